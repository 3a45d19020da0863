"""Which file systems tell of changes, and which can hang: what /proc/self/mountinfo says; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

LOCAL = frozenset(
    [
        "bcachefs",
        "btrfs",
        "ext2",
        "ext3",
        "ext4",
        "f2fs",
        "jfs",
        "nilfs2",
        "ramfs",
        "reiserfs",
        "tmpfs",
        "ubifs",
        "xfs",
        "zfs",
    ]
)
"""Every change is made by this machine's own kernel, which tells of it. On network file
systems others write, a layer below an overlay is written to past it, and of what is not
known here nothing is known."""


OF_THIS_MACHINE = LOCAL | frozenset(
    [
        "aufs",
        "binfmt_misc",
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "cramfs",
        "debugfs",
        "devpts",
        "devtmpfs",
        "ecryptfs",
        "efivarfs",
        "erofs",
        "exfat",
        "fuse.gvfsd-fuse",
        "fuse.lxcfs",
        "fuse.portal",
        "fusectl",
        "hfs",
        "hfsplus",
        "hugetlbfs",
        "iso9660",
        "jffs2",
        "minix",
        "mqueue",
        "msdos",
        "nfsd",
        "nsfs",
        "ntfs3",
        "overlay",
        "proc",
        "pstore",
        "rootfs",
        "rpc_pipefs",
        "securityfs",
        "selinuxfs",
        "squashfs",
        "sysfs",
        "tracefs",
        "udf",
        "vfat",
    ]
)
"""What answers as long as the machine's own disks do, and what holds no logs. All others can hang:
a server of NFS or SMB, a program behind FUSE, the host of a 9p share."""

KERNEL = ("/proc", "/sys", "/dev")
"""What is mounted below is the kernel's own, whatever its type: no input of anybody hangs there."""


def _read_mounts(mounts: str) -> Iterator[tuple[str, str]]:
    """Mount points and the types of what is mounted there, in their order."""
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        words, types = fields.split(), rest.split()
        if len(words) >= 5 and types:
            point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), words[4])
            yield point, types[0]


def is_under(path: str, point: str) -> bool:
    """Whether a path is this mount point or lies below it."""
    return path == point or path.startswith(point.rstrip("/") + "/")


def find_type(mounts: str, path: str) -> str:
    """The type of the file system that an absolute, real path is on; "" where not said.

    The longest mount point that the path lies under counts; of two on one point the later.
    """
    best, kind = -1, ""
    for point, here in _read_mounts(mounts):
        if is_under(path, point) and len(point) >= best:
            best, kind = len(point), here
    return kind


def tells(mounts: str, path: str) -> bool:
    """Whether the kernel tells of every change on the file system that a real path is on."""
    return find_type(mounts, path) in LOCAL


def find_hanging(mounts: str) -> dict[str, bool]:
    """The mount points by which it is known whether a path's file system can hang.

    The longest first: of those that a path lies under the first one counts. Empty where
    nothing can hang, or the system does not say what is mounted.
    """
    can_hang: dict[str, bool] = {}
    for point, kind in _read_mounts(mounts):
        kernel = any(is_under(point, top) for top in KERNEL)
        can_hang[point] = not kernel and kind not in OF_THIS_MACHINE
    hanging = [point for point, can in can_hang.items() if can]
    asked = [p for p in can_hang if any(is_under(p, point) for point in hanging)]
    return {point: can_hang[point] for point in sorted(asked, key=len, reverse=True)}
