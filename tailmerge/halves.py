"""Compressed files that may not be whole: somebody is still writing them, or they are damaged.

To know whether one is, all of it is decompressed: no more often than need be, and where it
is large, not on the thread that reads (examiner.py).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from tailmerge.examiner import Examiner
from tailmerge.keeping import Keeping
from tailmerge.match import Seen
from tailmerge.system import Identity

DAMAGED_SECONDS = 60.0
"""How long before a look half a compressed file was last written where nobody writes it."""

MAKING_SECONDS = 1.0
"""What is being compressed was written to less than so long ago, mostly."""


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


def has_original(file: Seen, rotated: Iterable[Seen]) -> bool:
    """Whether what a compressed file is made of, by its name, stands beside it."""
    original = os.path.splitext(file.path)[0]
    return any(f.path == original for f in rotated)


def is_in_the_making(file: Seen, rotated: Iterable[Seen], examiner: Examiner | None) -> bool:
    """Whether it is being compressed: to decompress it at each look would take long."""
    if not file.compressed or file.live:
        return False
    if examiner and examiner.is_changing(file):
        return True
    return abs(time.time() - file.modified) < MAKING_SECONDS and has_original(file, rotated)


def is_examined(file: Seen, rotated: Iterable[Seen], keeping: Keeping, examiner: Examiner) -> bool:
    """Whether it is being decompressed, to see what it is; from now on, where need be."""
    if not file.compressed or is_in_the_making(file, rotated, examiner):
        return False
    positions = (g.position for g in keeping.rotated)
    as_it_is = (file.identity, file.size)
    if any(p and p.packed and (p.identity, p.offset) == as_it_is for p in positions):
        return False  # it was known, as it is, by an earlier look
    return examiner.is_pending(file)
