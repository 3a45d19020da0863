"""Every system call of a run, in one place that a test can replace.

All other modules reach files through a `System`; none calls `os` for I/O itself. A test
hands in a subclass that counts the calls, makes the n-th one fail, writes half of its
bytes or ends the process there. Methods raise OSError as the system call does.
"""

from __future__ import annotations

import errno
import fcntl
import importlib
import operator
import os
import resource
import select
import stat
import sys
import warnings
from collections.abc import Collection, Iterator
from contextlib import suppress
from itertools import compress, repeat
from typing import Any

from tailmerge.held import Held, HeldT

Identity = tuple[int, int]
"""(st_dev, st_ino): which file this is, as long as somebody holds it open."""

_devices: dict[int, int] = {}  # one number for all files of a device


def identity(status: os.stat_result) -> Identity:
    return (_devices.setdefault(device := status.st_dev, device), status.st_ino)


class System:
    """The operating system's calls as they are."""

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        return os.open(path, flags | os.O_CLOEXEC | os.O_NOCTTY, mode)

    def find_changed(self, held: Collection[HeldT]) -> list[HeldT]:
        """Those whose file no longer ends where it did, and those that hold none.

        One call, ten times a second, for all: where all are open no loop of Python's is run.
        """
        fds = [hand.fd if (hand := each.hand) else -1 for each in held]
        changed: list[HeldT] = []
        if -1 in fds:
            pairs = list(zip(held, fds, strict=True))
            changed = [each for each, fd in pairs if fd < 0 and self._has_changed(each)]
            held, fds = [each for each, fd in pairs if fd >= 0], [fd for fd in fds if fd >= 0]
        try:
            ends = list(map(os.lseek, fds, repeat(0), repeat(os.SEEK_END)))
        except OSError:
            return changed + [each for each in held if self._has_changed(each)]
        seen = [each.seen for each in held]
        return changed + list(compress(held, map(operator.ne, ends, seen)) if ends != seen else ())

    @staticmethod
    def _has_changed(held: Held) -> bool:
        """What is closed for being idle is asked by its name."""
        if (hand := held.hand) is None:
            return True
        try:
            if hand.fd < 0:
                return os.path.getsize(hand.path) != held.seen
            return os.lseek(hand.fd, 0, os.SEEK_END) != held.seen
        except OSError:
            return True  # closed since, or gone

    def has_notifier(self) -> bool:
        """Whether asyncinotify is installed and the system has inotify.

        The import starts a process (it looks for the C library), so it may take a while.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it says so where the system has none
                return hasattr(importlib.import_module("asyncinotify"), "Inotify")
        except (ImportError, AttributeError, OSError, RuntimeError):
            return False

    def make_notifier(self) -> Any:
        """An `asyncinotify.Inotify`, open; None where the limit of them is reached."""
        try:
            notifier = importlib.import_module("asyncinotify").Inotify()
        except OSError:
            return None
        os.set_blocking(notifier.fd, False)  # not every version of the package does
        return notifier

    def mounts(self) -> str:
        """What is mounted where, as /proc/self/mountinfo says; empty where there is none."""
        try:
            with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
                return file.read()
        except OSError:
            return ""

    def read_link(self, path: str) -> str:
        return os.readlink(path)

    def descriptor_limit(self) -> int:
        """How many descriptors the process may have."""
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    def duplicate(self, fd: int) -> int:
        return os.dup(fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def read(self, fd: int, count: int) -> bytes:
        return os.read(fd, count)

    def read_at(self, fd: int, count: int, offset: int) -> bytes:
        return os.pread(fd, count, offset)

    def read_into(self, fd: int, view: memoryview, offset: int) -> int:
        """Fill `view` from `offset`; return the bytes read, fewer at the end of the file."""
        if hasattr(os, "preadv"):
            return os.preadv(fd, [view], offset)
        data = os.pread(fd, len(view), offset)
        view[: len(data)] = data
        return len(data)

    def write(self, fd: int, data: bytes | bytearray | memoryview) -> int:
        return os.write(fd, data)

    def write_all(self, fd: int, data: bytes | bytearray | memoryview) -> None:
        """Write all of it, in as many calls as that takes; an error leaves a part written."""
        view = memoryview(data)
        while view:
            view = view[self.write(fd, view) :]

    def seek(self, fd: int, offset: int, whence: int) -> int:
        return os.lseek(fd, offset, whence)

    def stat(self, path: str) -> os.stat_result:
        return os.stat(path)

    def fstat(self, fd: int) -> os.stat_result:
        return os.fstat(fd)

    def leads_to(self, path: str, file: Identity) -> bool:
        """Whether this name is this file's."""
        try:
            return identity(self.stat(path)) == file
        except OSError:
            return False

    def absolute(self, path: str) -> str:
        return os.path.abspath(path)

    def real(self, path: str) -> str:
        """Where a name leads, every symbolic link followed; it need not be there."""
        return os.path.realpath(path)

    def can_read(self, fd: int) -> bool:
        """Whether this descriptor is open, and for reading."""
        return self._access(fd) in (os.O_RDONLY, os.O_RDWR)

    def can_write(self, fd: int) -> bool:
        """Whether this descriptor is open, and for writing."""
        return self._access(fd) in (os.O_WRONLY, os.O_RDWR)

    @staticmethod
    def _access(fd: int) -> int | None:
        with suppress(OSError):
            return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
        return None  # closed

    def is_link(self, path: str) -> bool:
        return os.path.islink(path)

    def is_folder(self, path: str) -> bool:
        return os.path.isdir(path)

    def change_mode(self, fd: int, mode: int) -> None:
        os.fchmod(fd, mode)

    def change_group(self, fd: int, group: int) -> None:
        os.fchown(fd, -1, group)

    def umask(self) -> int:
        """The process's umask, without changing it where the system tells."""
        try:
            with open("/proc/self/status", encoding="utf-8", errors="replace") as status:
                for line in status:
                    if line.startswith("Umask:"):
                        return int(line.split()[1], 8)
        except OSError:
            pass  # no /proc here
        mask = os.umask(0o077)  # for a moment stricter, never looser
        os.umask(mask)
        return mask

    def lock(self, fd: int) -> None:
        """Lock the file for this open descriptor; BlockingIOError where another one has it."""
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def lock_holder(self, path: str) -> int | None:
        """Whose process holds `lock` of this file; None where the system does not tell."""
        try:
            device, inode = identity(os.stat(path))
            with open("/proc/locks", encoding="utf-8", errors="replace") as locks:
                rows = [line.split() for line in locks]
        except OSError:
            return None
        file = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
        for row in rows:
            if len(row) == 8 and row[1] == "FLOCK" and row[5] == file and row[4].isdigit():
                return int(row[4]) or None  # 0: of another pid namespace
        return None

    def link(self, path: str, name: str) -> None:
        os.link(path, name)

    def rename(self, path: str, name: str) -> None:
        os.rename(path, name)

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def write_at(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        return os.pwrite(fd, data, offset)

    def write_all_at(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        """Write all of it from `offset` on; return the offset behind it."""
        view = memoryview(data)
        while view:
            written = self.write_at(fd, view, offset)
            view, offset = view[written:], offset + written
        return offset

    def read_all_at(self, fd: int, count: int, offset: int) -> bytes:
        """So many bytes, fewer only at the end of the file: one read has a limit of 2 GiB."""
        parts = []
        while count > 0 and (part := self.read_at(fd, min(count, 1 << 20), offset)):
            parts.append(part)
            offset, count = offset + len(part), count - len(part)
        return b"".join(parts)

    def sync(self, fd: int) -> None:
        """Wait until what was written to this file survives a power cut."""
        full = getattr(fcntl, "F_FULLFSYNC", None)
        if full is None:
            os.fsync(fd)
        else:
            fcntl.fcntl(fd, full)  # macOS: fsync does not empty the disk's own cache

    def sync_data(self, fd: int) -> None:
        """As `sync`, for its bytes and its length; not for when it was changed."""
        if hasattr(os, "fdatasync"):
            os.fdatasync(fd)
        else:
            self.sync(fd)

    def sync_folder(self, path: str) -> None:
        """Wait until the names in this folder survive a power cut."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.sync(fd)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise  # EINVAL: a file system that keeps names safe in its own way
        finally:
            os.close(fd)

    def boot(self) -> str:
        """This boot's id; empty where the system has none."""
        try:
            with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
                return file.read().strip()
        except OSError:
            return ""

    def processors(self) -> int:
        """How many threads of this process can run at once."""
        ours = getattr(os, "sched_getaffinity", None)
        return len(ours(0)) if ours else os.cpu_count() or 1

    def host(self) -> str:
        """The name of this machine."""
        return os.uname().nodename

    def truncate(self, fd: int, length: int) -> None:
        os.ftruncate(fd, length)

    def names(self, folder: str) -> Iterator[str]:
        """The names in a folder, in no order."""
        return iter(os.listdir(folder))

    def has_reader(self, fd: int) -> bool:
        """Whether anybody can still read what is written to this pipe or socket."""
        poller = select.poll()
        poller.register(fd, 0)
        return not any(event & (select.POLLERR | select.POLLHUP) for _, event in poller.poll(0))

    def is_writable(self, fd: int) -> bool:
        """Whether a little can be written without waiting, or would fail at once."""
        poller = select.poll()
        poller.register(fd, select.POLLOUT)
        return bool(poller.poll(0))

    def wait_readable(self, fds: tuple[int, ...]) -> set[int]:
        """Wait for as long as it takes; those from which a read would not wait."""
        poller = select.poll()
        for fd in fds:
            poller.register(fd, select.POLLIN)
        return {fd for fd, _ in poller.poll()}

    def count_readable(self, fd: int) -> int:
        """Bytes that can be read without waiting; 1 where the system does not count them."""
        status = os.fstat(fd)
        if is_regular(status):
            return max(0, status.st_size - os.lseek(fd, 0, os.SEEK_CUR))
        termios = importlib.import_module("termios")  # a run of files does without
        try:
            answer = fcntl.ioctl(fd, termios.FIONREAD, bytes(4))
        except OSError:
            return 1
        return int.from_bytes(answer, sys.byteorder)

    def is_terminal(self, fd: int) -> bool:
        return os.isatty(fd)

    def terminal_device(self) -> int | None:
        """The number of the device that always leads to the process's own terminal."""
        with suppress(OSError):
            return os.stat("/dev/tty").st_rdev
        return None

    def columns(self, fd: int) -> int:
        """How wide this terminal is now; 0 where it does not tell."""
        with suppress(OSError):
            return os.get_terminal_size(fd).columns
        return 0

    def in_foreground(self, fd: int) -> bool:
        """Whether the terminal is ours: no shell's prompt stands on it."""
        try:
            return os.tcgetpgrp(fd) == os.getpgrp()
        except OSError:
            return True  # no terminal that controls processes: there are no others

    def prints_beside(self, fd: int) -> bool:
        """Whether another program of our pipeline prints on this terminal, or may."""
        try:
            device = os.fstat(fd).st_rdev
            others = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        except OSError:
            return True
        others -= {os.getpid(), os.getppid()}  # who waits for us prints nothing
        return os.getppid() == 0 or any(self._prints_on(pid, device) for pid in others)

    @staticmethod
    def _prints_on(pid: int, device: int) -> bool:
        try:
            if os.getpgid(pid) != os.getpgrp():
                return False
            return os.stat(f"/proc/{pid}/fd/1").st_rdev == device
        except PermissionError:
            return True  # another user's, in our pipeline
        except OSError:
            return False  # it has ended, or its output is closed

    def make_bell(self) -> tuple[int, int]:
        """Two descriptors: the first can be read from as soon as the second is closed."""
        return os.pipe()

    def is_running(self, pid: int) -> bool:
        """Whether this process lives; one that ended and was not waited for does not."""
        try:
            fd = os.pidfd_open(pid)  # type: ignore[attr-defined,unused-ignore]
        except ProcessLookupError:
            return False
        except (AttributeError, OSError):
            return self._answers(pid)  # another system, or a sandbox without it
        try:
            poller = select.poll()
            poller.register(fd, select.POLLIN)
            return not poller.poll(0)
        finally:
            os.close(fd)

    @staticmethod
    def _answers(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except OSError as error:
            return error.errno != errno.ESRCH  # another user's is there
        return True


def is_regular(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode)
