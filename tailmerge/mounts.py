"""Which file systems tell of changes: what /proc/self/mountinfo says of a path; pure."""

from __future__ import annotations

import re

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


def find_type(mounts: str, path: str) -> str:
    """The type of the file system that an absolute, real path is on; "" where not said.

    The longest mount point that the path lies under counts; of two on one point the later.
    """
    best, kind = -1, ""
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        words, types = fields.split(), rest.split()
        if len(words) < 5 or not types:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), words[4])
        under = path == point or path.startswith(point.rstrip("/") + "/")
        if under and len(point) >= best:
            best, kind = len(point), types[0]
    return kind


def tells(mounts: str, path: str) -> bool:
    """Whether the kernel tells of every change on the file system that a real path is on."""
    return find_type(mounts, path) in LOCAL
