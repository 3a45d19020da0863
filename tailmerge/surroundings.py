"""What the tails of one run share, and what a tail is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from tailmerge.ending import Ending
from tailmerge.feed import Feed, Progress
from tailmerge.report import Report
from tailmerge.watch import Watch
from tailmerge.writer import WriteThread


@dataclass(slots=True)
class Surroundings:
    """What the tails of one run share."""

    output: WriteThread
    watch: Watch
    report: Report
    ending: Ending
    once: bool = False
    resumable: bool = False
    """There is a state: what is unfinished is left for the next run."""
    sorted: bool = False
    """Lines wait for their place in the order of their times."""
    window: float | None = None
    """How long an open record waits for its next line, seconds; None: there are only lines."""
    last_news: float = 0.0
    """When something was forwarded last, seconds of the loop's clock."""

    def note(self, progress: Progress) -> None:
        if progress.moved:
            self.last_news = asyncio.get_running_loop().time()


class Tail(Protocol):
    """The life of one input."""

    feed: Feed

    async def run(self) -> None: ...
