"""Whether the folders of the inputs are as they were: then no name in them leads elsewhere.

A name that is made, moved or removed changes the time of its folder. Of ten thousand names
that are polled this spares nearly all looks; a few of them are looked at all the same, in
turns, for what no folder tells: a file that was written over in place, a server's odd clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Protocol

from tailmerge.folders import folder_stamp
from tailmerge.system import System

STIRRED_SECONDS = 3.0
"""How long after a change names are looked at as often as ever: all of them twice."""

MOST_FOLDERS = 100
"""More of them are not asked: their names are."""

LEARNED = 500
"""Of so many inputs it is found out in one sweep which folders they are in."""


class Placed(Protocol):
    """What is reached by names in folders."""

    def places(self) -> Iterator[tuple[str, str]]: ...


class Stillness:
    """The folders of what is polled; on the thread that owns the files."""

    def __init__(self, system: System, clock: Callable[[], float] = time.time) -> None:
        """`clock` tells the seconds since the epoch."""
        self._system = system
        self._clock = clock
        self._fresh: dict[Placed, None] = {}
        """Whose folders are to be found out."""
        self._stamps: dict[str, tuple[int, ...] | None] = {}
        self._stirred = float("-inf")
        """When a folder was found changed last, seconds of the loop's clock."""

    def add(self, fresh: Iterable[Placed]) -> None:
        self._fresh |= dict.fromkeys(fresh)

    def forget(self, gone: Iterable[Placed]) -> None:
        for placed in gone:
            self._fresh.pop(placed, None)

    def is_still(self, now: float) -> bool:
        """Whether nothing changed lately in any of the folders; asked once a sweep."""
        for placed in list(islice(self._fresh, LEARNED)):
            del self._fresh[placed]
            if not self._fresh:
                self._fresh = {}  # the old one keeps the room of all that were in it
            for folder, _ in placed.places():
                self._stamps.setdefault(folder, None)
        if len(self._stamps) > MOST_FOLDERS:
            return False
        for folder, before in self._stamps.items():
            stamp = folder_stamp(self._system, folder, self._clock())
            if stamp is None or stamp != before:
                self._stamps[folder], self._stirred = stamp, now
        return not self._fresh and now - self._stirred >= STIRRED_SECONDS
