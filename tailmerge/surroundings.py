"""What the tails of one run share, and what a tail is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from tailmerge.ending import Ending
from tailmerge.feed import Feed, Progress
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
        last_news: float = 0.0,
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
        self.last_news = last_news
        """When something was forwarded last, seconds of the loop's clock."""
        self.start = start
        """Runs a tail that was asleep again, in a task; None: no tail ever sleeps."""

    def note(self, progress: Progress) -> None:
        if progress.moved:
            self.last_news = asyncio.get_running_loop().time()


class Tail(Protocol):
    """The life of one input."""

    feed: Feed
    asleep: bool
    """There is nothing to do until it is run again."""

    async def run(self) -> None:
        """Follow it until it is over, or asleep."""
        ...
