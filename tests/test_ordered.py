"""The way out by time, on a clock that jumps: no line waits for longer than it is said to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from helpers import LaneLoop, on_lane, said

from tailmerge.batch import Batch
from tailmerge.feed import Feed
from tailmerge.ordered import Ordered
from tailmerge.records import Records
from tailmerge.shape import Shape
from tailmerge.stream import Carry
from tailmerge.timekeeper import Timekeeper
from tailmerge.timestamps import Clock

WINDOW = 1.0


class Sink(AbstractAsyncContextManager[Any]):
    """Stands for the output, and the turn at it: knows when each line came."""

    def __init__(self) -> None:
        self.came: dict[bytes, float] = {}
        self.on_append: Callable[[], None] = lambda: None

    async def append(self, batch: Batch) -> None:
        now = asyncio.get_running_loop().time()
        lines = b"".join(bytes(piece) for piece in batch.pieces(0)).splitlines()
        self.came |= dict.fromkeys(lines, now)
        self.on_append()

    async def __aexit__(self, *error: object) -> None:
        pass


class Ways:
    """Some inputs on their way out."""

    def __init__(self, names: str, shape: Shape | None = None, start: str | None = None) -> None:
        self.sink = Sink()
        self.words, report = said()
        records = Records(start) if start else None
        keeper = Timekeeper(lambda _: Clock(utc=True), raw=not (shape or records))
        self.route = Ordered(self.sink, keeper, WINDOW, report, shape, records)
        self.feeds = {name: Feed(name) for name in names}
        self.route.enrol(self.feeds.values(), backlog=True)

    async def add(self, name: str, *lines: bytes) -> None:
        data = b"".join(line + b"\n" for line in lines)
        await self.route.append_stream(self.feeds[name], Carry(), data)

    async def pause(self, names: str) -> None:
        for name in names:
            await self.route.pause(self.feeds[name])

    async def came(self) -> set[bytes]:
        """What is written when there was no news for long."""
        await asyncio.sleep(10 * WINDOW)
        return set(self.sink.came)


def line(seconds: float, word: str = "x") -> bytes:
    minutes, seconds = divmod(seconds, 60)
    return b"2026-11-23 12:%02d:%06.3f %s" % (minutes, seconds, word.encode())


class TickingLoop(LaneLoop):
    """Each look at the clock takes a while, as on a machine that does much else."""

    tick = 0.0

    def time(self) -> float:
        self.jumping.now += self.tick
        return self.jumping.now


def test_what_becomes_ripe_between_two_looks_at_the_clock_does_not_wait_for_ever() -> None:
    """Nothing was ripe; a moment later nothing was to become ripe: it waited for other news."""
    loop = TickingLoop()

    async def run() -> set[bytes]:
        ways = Ways("ab")
        await ways.pause("ab")
        await ways.add("a", line(1))
        await asyncio.sleep(WINDOW / 2)
        await ways.add("b", line(2))
        ripe = loop.time() + WINDOW

        def take_long() -> None:
            loop.jumping.now, loop.tick = ripe - 0.015, 0.01

        ways.sink.on_append = take_long
        return await ways.came()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        assert runner.run(run()) == {line(1), line(2)}
    assert loop.tick


@pytest.mark.parametrize("start", [None, "^2026"], ids=["lines", "records"])
def test_a_line_that_is_dropped_holds_up_none_that_is_kept(start: str | None) -> None:
    """It stood in front for ever, and no clock was set for what is behind it."""

    async def run() -> set[bytes]:
        ways = Ways("ab", Shape(match=("keep",)), start)
        await ways.pause("ab")
        await ways.add("a", line(1, "drop"))
        await ways.pause("a")
        await ways.came()
        await ways.add("a", line(2, "keep"))
        await ways.pause("a")
        return await ways.came()

    assert on_lane(run()) == {line(2, "keep")}


def test_lines_that_are_dropped_do_not_fill_the_memory() -> None:
    async def run() -> int:
        ways = Ways("ab", Shape(match=("keep",)))
        await ways.pause("ab")
        for number in range(20):
            await ways.add("a", line(number, "drop"))
        await ways.came()
        return ways.route._order.size

    assert on_lane(run()) == 0


def test_an_input_whose_times_lag_behind_holds_up_others_for_half_a_window_more() -> None:
    """One that was never quiet held them up until it had reached their times."""

    async def run() -> float:
        ways = Ways("ab")
        await ways.pause("ab")
        begun = asyncio.get_running_loop().time()
        await ways.add("a", line(2000))
        for number in range(20):
            await ways.add("b", line(number))
            await asyncio.sleep(WINDOW / 5)
        return ways.sink.came[line(2000)] - begun

    assert WINDOW <= on_lane(run()) <= 1.5 * WINDOW


def test_an_input_with_times_is_not_said_to_have_none() -> None:
    """It was, where another format came once all of it was written."""

    async def run() -> list[str]:
        ways = Ways("ab")
        await ways.add("a", line(1))
        await ways.pause("ab")
        await ways.came()
        await ways.add("b", b"Nov 23 12:00:05 host another format")
        await ways.came()
        for feed in ways.feeds.values():
            await ways.route.finish(feed)
        await ways.route.settle()
        return ways.words

    assert on_lane(run()) == []
