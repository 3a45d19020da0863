"""The keys by which the lines of all inputs are put in order.

As long as every input writes its times in one and the same sortable way, at the same place,
the key of a line is that piece of it, as it is. As soon as one does not, keys are nanoseconds
since the epoch, for good.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from tailmerge.timestamps import Clock

Key = Any

LOWEST = -(1 << 80)
"""Nanoseconds since the epoch, before any time."""

CLOCKS = 8
"""Clocks that one input keeps: one for each of its files that may still grow."""

MakeClock = Callable[[float | None], Clock]
"""Makes a clock for a file that was last written to at this time, seconds since the epoch."""


class Timekeeper:
    """Turns lines into keys; one for all inputs of a run."""

    def __init__(self, make_clock: MakeClock, *, raw: bool = True) -> None:
        """`raw`: keys may be pieces of the lines as they are."""
        self.make_clock = make_clock
        self.is_raw = raw
        self._agreed: tuple[Hashable, slice] | None = None

    @property
    def low(self) -> Key:
        """Less than any key."""
        return b"" if self.is_raw else LOWEST

    def find_raw(self, clock: Clock, lines: list[bytes]) -> list[bytes] | None:
        """The raw keys of lines; None where they are not like all that were seen before."""
        if clock.raw_slice is None:
            clock.find_times(lines[:1])
        keys = clock.find_raw(lines)
        key, place = clock.raw_key, clock.raw_slice
        if keys is None or place is None:
            return None
        if self._agreed is None:
            self._agreed = (key, place)
        return keys if self._agreed == (key, place) else None

    def leave_raw(self) -> None:
        """From now on keys are nanoseconds."""
        self.is_raw = False


class Clocks:
    """The clocks of one input: one a file, since each has its own year and its own format."""

    def __init__(self, make_clock: MakeClock) -> None:
        self._make = make_clock
        self._clocks: dict[int, Clock] = {}

    @property
    def are_relative(self) -> bool:
        """Whether a line had seconds since the start of a machine or a process."""
        return any(clock.is_relative for clock in self._clocks.values())

    def of(self, number: int, find_modified: Callable[[], float | None] = lambda: None) -> Clock:
        """The clock of the file that the journal calls by this number; a stream has none."""
        clock = self._clocks.get(number)
        if clock is None:
            if len(self._clocks) >= CLOCKS:
                del self._clocks[next(iter(self._clocks))]
            clock = self._clocks[number] = self._make(find_modified())
        return clock
