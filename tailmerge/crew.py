"""The tails of one run: begun many at a time, asleep where there is no news, run again.

A run may have ten thousand inputs. All are looked at in a few calls, so that each file is
held open early, and what is plain is read in a few more, as an errand: only who finds
something to decide, or has much to read, gets a task. What then happens to an input, its
tail decides (follow.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

from tailmerge.errand import Errand
from tailmerge.follow import SeriesTail
from tailmerge.generation import Look
from tailmerge.route import OF_SOURCE
from tailmerge.surroundings import Surroundings, Tail
from tailmerge.tail import tail_async

LOOKS = 50
"""So many inputs are looked at in one call: in a few milliseconds."""

CONFIRMED = 1000
"""So many are looked at once more by one listing."""

READS = 100
"""So many are read in one call."""

T = TypeVar("T")


class Crew:
    """Runs the tails, in tasks of a group."""

    def __init__(self, group: asyncio.TaskGroup, around: Surroundings, interval: float) -> None:
        self._group = group
        self._around = around
        self._interval = interval
        self._left = 0
        """Tails that are not over, most of them asleep."""
        self._all_over = asyncio.Event()
        self._at_once = not around.sorted and around.window is None
        """What is read is written at once: no line waits for its place or its record."""

    def begin(self, tails: Sequence[Tail]) -> None:
        """Follow these, too."""
        self._left += len(tails)
        self._all_over.clear()
        series = [tail for tail in tails if isinstance(tail, SeriesTail)]
        for tail in tails:
            if not isinstance(tail, SeriesTail):
                self.start(tail)
        if series:
            self._group.create_task(self._begin(series))

    async def wait(self) -> None:
        """Until all are over."""
        while self._left:
            await self._all_over.wait()

    def start(self, tail: Tail, look: Look | None = None) -> asyncio.Task[None]:
        """Run a tail in a task; `look` is what was found of it just now."""
        return self._group.create_task(self._run(tail, look))

    async def _run(self, tail: Tail, look: Look | None) -> None:
        if look and isinstance(tail, SeriesTail):
            await tail.take_in(look)
        await self.follow(tail)
        if not tail.asleep:
            self._note_over(1)

    async def follow(self, tail: Tail) -> None:
        """Follow one until it is over, or asleep."""
        around = self._around
        try:
            await tail_async(tail, self._interval, around.output.write)
        finally:
            if not (self._at_once or tail.asleep):
                await around.output.finish(tail.feed)

    def _note_over(self, count: int) -> None:
        self._left -= count
        if not self._left:
            self._all_over.set()

    # the beginning

    async def look_at(self, tails: Sequence[SeriesTail]) -> list[Look]:
        """Look at inputs for the first time; one listing of a folder serves them all."""
        now, looks = asyncio.get_running_loop().time(), list[Look | None]()
        around = self._around
        for some in _split(tails, LOOKS):
            looks += await around.output.begin_looks([tail.series for tail in some], now)
            if around.ending.stopped:
                break
        doubtful = [tail.series for tail, look in zip(tails, looks, strict=False) if look is None]
        confirmed = list[Look]()
        for again in _split(doubtful, CONFIRMED):
            confirmed += await around.output.confirm(again, now)
        rest = iter(confirmed)
        return [look or next(rest) for look in looks]

    async def _begin(self, tails: list[SeriesTail]) -> None:
        """All are looked at before the first one is read: its output may be stuck for hours."""
        around = self._around
        looks = await self.look_at(tails)
        plain: list[SeriesTail] = []
        for number, (tail, look) in enumerate(zip(tails, looks, strict=False), 1):
            around.watch.add(tail.series)
            if self._at_once and look.is_plain and tail.rest(look):
                if not look.is_read:
                    plain.append(tail)
            else:
                self.start(tail, look)
            if number % LOOKS == 0:
                await asyncio.sleep(0)
        for tail in tails[len(looks) :]:
            self.start(tail)  # the run was stopped
        for some in _split(plain, READS):
            await around.watch.run_errands([tail.series for tail in some])

    # the end

    async def end(self) -> None:
        """The run is to end: who is awake ends by itself, who sleeps a few at a time."""
        around = self._around
        sleepers = around.watch.take_sleepers()
        unsettled = around.watch.end()
        if around.ending.stopped:
            await around.output.hurry()
            if around.resumable and self._at_once:
                await self._settle(unsettled)
                self._note_over(len(sleepers))  # what they have not read the next run reads
                return
        tails = (tail for tail in sleepers if isinstance(tail, SeriesTail))
        while some := list(islice(tails, LOOKS)):
            await asyncio.wait([self.start(tail) for tail in some])

    async def _settle(self, errands: Sequence[Errand]) -> None:
        """What is under way for who sleeps is written, or the run has failed.

        Raises:
            OutputError: the output cannot be written.
        """
        for errand in errands:
            try:
                await self._around.output.send(errand.settle)
            except OF_SOURCE:
                pass  # a matter of its file, which the next run looks at


def _split(items: Sequence[T], count: int) -> Iterator[Sequence[T]]:
    return (items[begin : begin + count] for begin in range(0, len(items), count))
