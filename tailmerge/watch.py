"""Who has news: one batched sweep over all inputs, which wakes only the tasks it is for.

A sweep is a single call on the thread that owns the files, whatever the number of inputs;
no input has a timer of its own. News that come while nobody waits are kept.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from tailmerge.generation import News
from tailmerge.lane import Lane

LEAST_SECONDS = 0.01
"""The shortest pause between two sweeps: a read per file per 10 ms is enough."""


class Probed(Protocol):
    """What can be asked, on the thread that owns the files, whether it has news."""

    def probe(self, now: float) -> News: ...


class Watch:
    """Sweeps at the interval, and wakes who waits for what it found."""

    def __init__(self, lane: Lane, interval: float) -> None:
        self._lane = lane
        self._interval = max(interval, LEAST_SECONDS)
        self._watched: list[Probed] = []
        self._news: dict[Probed, News] = {}
        self._waiting: dict[Probed, asyncio.Future[None]] = {}
        self._ended = False

    def add(self, probed: Probed) -> None:
        self._watched.append(probed)

    def remove(self, probed: Probed) -> None:
        self._watched.remove(probed)
        self._news.pop(probed, None)

    async def run(self) -> None:
        """Sweep for ever."""
        now = asyncio.get_running_loop().time
        while True:
            for probed, news in await self._lane.call(self._sweep, now(), tuple(self._watched)):
                self.tell(probed, news)
            await asyncio.sleep(self._interval)

    @staticmethod
    def _sweep(now: float, watched: tuple[Probed, ...]) -> list[tuple[Probed, News]]:
        found = []
        for probed in watched:
            if news := probed.probe(now):
                found.append((probed, news))
        return found

    def tell(self, probed: Probed, news: News) -> None:
        """There is news for whoever follows this."""
        self._news[probed] = max(news, self._news.get(probed, News.NONE))
        self._wake(probed)

    def _wake(self, probed: Probed) -> None:
        waiting = self._waiting.get(probed)
        if waiting and not waiting.done():
            waiting.set_result(None)

    def end(self) -> None:
        """Nobody waits any more: the run is to end."""
        self._ended = True
        for probed in tuple(self._waiting):
            self._wake(probed)

    def take_change(self, probed: Probed) -> bool:
        """Whether its name changed, without waiting; news of growth are left to be met."""
        if self._news.get(probed) is not News.CHANGED:
            return False
        del self._news[probed]
        return True

    async def wait(self, probed: Probed, seconds: float | None = None) -> News:
        """Wait for news, at most so long; `NONE` when the time, or the run, is over."""
        if not self._ended and probed not in self._news:
            future = asyncio.get_running_loop().create_future()
            self._waiting[probed] = future
            try:
                await asyncio.wait([future], timeout=seconds)
            finally:
                del self._waiting[probed]
        return self._news.pop(probed, News.NONE)
