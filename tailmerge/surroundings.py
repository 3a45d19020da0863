"""What the tails of one run share, and what a tail is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tailmerge.ending import Ending
from tailmerge.feed import Feed
from tailmerge.report import Report
from tailmerge.watch import Watch
from tailmerge.writer import WriteThread


class Surroundings:
    """What the tails of one run share."""

    def __init__(
        self,
        output: WriteThread,
        watch: Watch,
        report: Report,
        ending: Ending,
        once: bool = False,
        resumable: bool = False,
        sorted: bool = False,
        window: float | None = None,
        start: Callable[[Tail], object] | None = None,
    ) -> None:
        self.output = output
        self.watch = watch
        self.report = report
        self.ending = ending
        self.once = once
        self.resumable = resumable
        """There is a state: what is unfinished is left for the next run."""
        self.sorted = sorted
        """Lines wait for their place in the order of their times."""
        self.window = window
        """How long an open record waits for its next line, seconds; None: there are only lines."""
        self.start = start
        """Runs a tail that was asleep again, in a task; None: no tail ever sleeps."""


class Tail(Protocol):
    """The life of one input."""

    feed: Feed
    asleep: bool
    """There is nothing to do until it is run again."""

    async def run(self) -> None:
        """Follow it until it is over, or asleep."""
        ...
