"""One open file, by device and inode; closed while it is idle where there are too many.

It is parked then (hands.py): its descriptor is closed, and all that was known of the file
stays. What is read next opens it again, by device and inode under the name that it had. Where
no name leads there it is lost, until it is found beside its name (settling.py) or was for
the rotate wait; then its position alone is kept.
"""

from __future__ import annotations

import errno
import os

from tailmerge.hands import Hands
from tailmerge.system import Identity, System, identity


class OpenFile:
    """A regular file that is held open, or parked."""

    __slots__ = ("fd", "hands", "identity", "lost", "parked", "path", "pins", "system")

    def __init__(self, system: System, fd: int, path: str, file: Identity) -> None:
        self.system = system
        self.fd = fd
        """Negative while it is closed."""
        self.path = path
        self.identity = file
        self.hands: Hands | None = None
        """Who closes it while it is idle; None: nobody."""
        self.parked: str | None = None
        """Where its name led when it was closed for being idle; None: it was not."""
        self.lost = False
        """It is parked, and no name that it had leads to it."""
        self.pins = 0
        """Copies out of it that are under way: it stays open."""

    def size(self) -> int:
        """The file's size now, bytes."""
        return self.status().st_size

    def status(self) -> os.stat_result:
        """What the system says of the file, by its name while it is parked.

        Raises:
            FileNotFoundError: it is parked, and no name leads to it.
        """
        if self.parked is None:
            return self.system.fstat(self.fd)
        for path in dict.fromkeys((self.path, self.parked)):
            try:
                status = self.system.stat(path)
            except FileNotFoundError:
                continue
            if identity(status) == self.identity:
                return status
        raise FileNotFoundError(self.path)

    def can_park(self, *, forced: bool = False) -> bool:
        """Whether it is open and its name leads to it: one that is deleted stays open."""
        if self.fd < 0 or self.pins:
            return False
        return self.system.leads_to(self.path, self.identity)

    def park(self) -> None:
        """Close it for a while; what is known of it stays."""
        self.parked = self.system.real(self.path)
        self.system.close(self.fd)
        self.fd = -1

    def hold(self) -> None:
        """Open it again where it is parked.

        Raises:
            FileNotFoundError: it is lost: no name leads to it.
            OSError: that cannot be told now.
        """
        if self.parked is None:
            return
        for path in dict.fromkeys((self.path, self.parked)):
            if self._open_again(path):
                self.parked, self.lost = None, False
                if self.hands:
                    self.hands.hold(self)
                return
        self.lost = True
        raise FileNotFoundError(self.path)

    def _open_again(self, path: str) -> bool:
        try:
            if identity(self.system.stat(path)) != self.identity:
                return False
        except (FileNotFoundError, NotADirectoryError):
            return False
        flags = os.O_RDONLY | os.O_NONBLOCK
        hands = self.hands or Hands()
        try:
            fd = hands.attempt(lambda: self.system.open(path, flags))
        except FileNotFoundError:
            return False  # renamed this moment
        try:
            if identity(self.system.fstat(fd)) == self.identity:
                self.fd = fd
        finally:
            if self.fd != fd:
                self.system.close(fd)
        return self.fd == fd

    def modified(self) -> float | None:
        """When it was last written to, seconds since the epoch; None where nobody knows."""
        try:
            return self.status().st_mtime
        except OSError:
            return None  # the read that follows meets the same error

    def is_deleted(self) -> bool:
        """Whether no name leads to the file any more."""
        try:
            return self.status().st_nlink == 0
        except FileNotFoundError:
            return self.lost
        except OSError as error:
            return error.errno == errno.ESTALE  # its server forgot it: it has no name there

    def close(self) -> None:
        if self.hands:
            self.hands.forget(self)
        if self.parked is None:
            self.system.close(self.fd)
        self.parked = None
        self.fd = -1  # the number is reused at once

    def read_at(self, length: int, offset: int) -> bytes:
        """The bytes at an offset, fewer at the file's end."""
        self.hold()
        return self.system.read_at(self.fd, length, offset)

    def read_into(self, view: memoryview, offset: int) -> int:
        """Fill the view from an offset; return the bytes read, fewer at the file's end."""
        self.hold()
        return self.system.read_into(self.fd, view, offset)
