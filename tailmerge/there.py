"""An output as a run finds it: what was written to it, and room behind that."""

from __future__ import annotations

import os

from tailmerge.batch import Bytes
from tailmerge.position import ReadAt
from tailmerge.system import System


class There:
    """A file that is the output, or was; open, by its descriptor."""

    def __init__(self, system: System, fd: int) -> None:
        self._system = system
        self.fd = fd
        self.read: ReadAt | None = None
        """How to read it; None where it can only be written."""
        if system.can_read(fd):
            self.read = lambda length, offset: system.read_at(fd, length, offset)

    @property
    def size(self) -> int:
        """How long it is now, bytes."""
        return self._system.fstat(self.fd).st_size

    @property
    def is_torn(self) -> bool:
        """Whether it ends inside of a line, as far as that can be seen."""
        size = self.size
        return bool(size and self.read and self.read(1, size - 1) != b"\n")

    def append(self, data: Bytes) -> int:
        """Write all of it at the end; where it begins there, bytes."""
        self._system.write_all(self.fd, data)
        return self._system.seek(self.fd, 0, os.SEEK_CUR) - len(data)
