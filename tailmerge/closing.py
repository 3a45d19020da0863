"""Open records: which files end in one, and when it is taken for whole.

A record has no end mark. While following it is closed by the next one's first line, or when
its file was quiet for the window. On the main loop; what a forward told is all that is known.
"""

from __future__ import annotations

from tailmerge.feed import Progress
from tailmerge.source import Source


class _Open:
    __slots__ = ("closed", "since", "waiting")

    def __init__(self, waiting: int, since: float, closed: bool = False) -> None:
        self.waiting = waiting
        """Bytes behind the last closed record."""
        self.since = since
        """When they became so many, seconds of the loop's clock."""
        self.closed = closed
        """What of them is whole lines has gone out."""


class OpenRecords:
    """The files of one input that end in an open record."""

    __slots__ = ("_open", "window")

    def __init__(self, window: float | None) -> None:
        """`window` in seconds; None: there are no records, only lines."""
        self.window = window
        self._open: dict[Source, _Open] = {}

    def note(self, source: Source, progress: Progress, now: float, *, closed: bool) -> None:
        """A forward reached the end of a file, or of what was asked of it."""
        if self.window is None or progress.more:
            return
        known = self._open.get(source)
        if not progress.waiting:
            self._open.pop(source, None)
        elif closed or known is None or known.waiting != progress.waiting:
            self._open[source] = _Open(progress.waiting, now, closed)

    def find_wait(self, now: float) -> float | None:
        """Seconds until one is due; None: no record is open."""
        if self.window is None:
            return None
        waits = [o.since + self.window - now for o in self._open.values() if not o.closed]
        return max(0.0, min(waits)) if waits else None

    def find_wait_of(self, source: Source, now: float) -> float | None:
        """Seconds until this one is due; None: its record is not open."""
        known = self._open.get(source)
        if self.window is None or known is None or known.closed:
            return None
        return max(0.0, known.since + self.window - now)

    def take_due(self, now: float) -> list[tuple[Source, int]]:
        """The files whose record is to be closed, and up to which offset."""
        window = self.window or 0.0
        due = [s for s, o in self._open.items() if not o.closed and o.since + window <= now]
        return [(source, source.offset + self._open[source].waiting) for source in due]

    def forget(self, kept: set[Source]) -> None:
        """Only these files are still read."""
        if self.window is None:
            return
        self._open = {s: o for s, o in self._open.items() if s in kept}


LINES = OpenRecords(None)
"""Of all inputs where there are no records: nothing is ever kept in it."""
