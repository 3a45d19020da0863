"""The file beside the state that keeps a batch whose bytes cannot be had again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tailmerge.batch import Bytes
from tailmerge.position import ReadAt
from tailmerge.system import System

KEPT_SUFFIX = ".batch"
"""What its name has behind the state's."""


class Kept:
    """The bytes of the last such batch; on the thread that owns the files."""

    def __init__(self, state_path: str, system: System) -> None:
        """Nothing is opened yet."""
        self._path = state_path + KEPT_SUFFIX
        self._system = system
        self.fd = -1
        """Negative while nothing was kept."""

    def write(self, pieces: Iterable[Bytes]) -> None:
        """Keep these, instead of what was kept before."""
        if self.fd < 0:
            self.fd = self._system.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            self._system.sync_folder(os.path.dirname(self._path) or ".")
        offset = 0
        for piece in pieces:
            offset = self._system.write_all_at(self.fd, piece, offset)

    @contextmanager
    def read(self) -> Iterator[ReadAt | None]:
        """How to read what was kept, by an earlier run, too; None where there is nothing."""
        try:
            fd = self._system.open(self._path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            yield None
            return
        try:
            yield lambda length, offset: self._system.read_all_at(fd, length, offset)
        finally:
            self._system.close(fd)

    def close(self) -> None:
        if self.fd >= 0:
            self._system.close(self.fd)
        self.fd = -1
