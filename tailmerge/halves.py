"""Compressed files without an end mark: somebody is still writing them, or they are damaged."""

from __future__ import annotations

import time

from tailmerge.match import Seen
from tailmerge.system import Identity

DAMAGED_SECONDS = 60.0
"""How long before a look half a compressed file was last written where nobody writes it."""


class Halves:
    """The ones of one series, each decompressed again only when it has changed."""

    __slots__ = ("_met", "_rotate_wait")

    def __init__(self, rotate_wait: float) -> None:
        """`rotate_wait`: how many seconds one must be quiet that is watched."""
        self._rotate_wait = rotate_wait
        self._met: dict[Identity, tuple[int, float, float, OSError]] = {}
        """The size, the time of the last write, since when it is met so, and what is wrong."""

    def find(self, file: Seen) -> OSError | None:
        """What was wrong with it when it was met, where it did not change since."""
        size, modified, _, error = self._met.get(file.identity, (-1, 0.0, 0.0, None))
        return error if (size, modified) == (file.size, file.modified) else None

    def is_damaged(self, file: Seen, error: OSError, now: float) -> bool:
        """Whether it has not changed for so long that it never becomes whole by itself."""
        if not self.find(file):
            self._met[file.identity] = (file.size, file.modified, now, error)
        since = self._met[file.identity][2]
        return now - since >= self._rotate_wait or time.time() - file.modified >= DAMAGED_SECONDS
