"""A thread with an event loop of its own, to which coroutines are sent."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blockbuster import BlockingError
from helpers import append

from tailmerge import readline
from tailmerge.discover import discover
from tailmerge.lane import CARRIED, JOIN_SECONDS, Carrier, Lane, LaneStopped
from tailmerge.system import System


class Stuck:
    """A call that blocks until it is freed, and then does something."""

    def __init__(self, then: Callable[[], object]) -> None:
        self.begun, self.free = threading.Event(), threading.Event()
        self.then = then

    def __call__(self) -> None:
        self.begun.set()
        assert self.free.wait(30)
        self.then()

    async def begins(self) -> None:
        while not self.begun.is_set():
            await asyncio.sleep(0)


async def test_a_coroutine_runs_on_the_lanes_thread_and_its_answer_comes_back() -> None:
    async def where(word: str) -> tuple[str, threading.Thread]:
        return word, threading.current_thread()

    async with Lane("tailmerge-test") as lane:
        assert await lane.send(where, "answer") == ("answer", lane)


async def test_a_plain_function_runs_on_the_lanes_thread() -> None:
    async with Lane("tailmerge-test") as lane:
        assert await lane.call(threading.current_thread) is lane


async def test_the_thread_has_its_name_and_does_not_hold_up_the_exit() -> None:
    async with Lane("tailmerge-test") as lane:
        assert (lane.name, lane.daemon) == ("tailmerge-test", True)


async def test_an_error_over_there_is_raised_here() -> None:
    async with Lane("tailmerge-test") as lane:
        with pytest.raises(ZeroDivisionError):
            await lane.call(lambda: 1 // 0)
        assert await lane.call(lambda: "still there") == "still there"


async def test_what_blocks_over_there_does_not_block_here() -> None:
    free = threading.Event()
    async with Lane("tailmerge-test") as lane:
        waiting = asyncio.create_task(lane.call(free.wait, 10))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not waiting.done()
        free.set()
        assert await waiting


async def test_what_was_sent_is_run_in_order() -> None:
    seen: list[int] = []
    async with Lane("tailmerge-test") as lane:
        await asyncio.gather(*(lane.call(seen.append, number) for number in range(100)))
    assert seen == list(range(100))


async def test_what_was_sent_before_the_stop_is_run() -> None:
    seen: list[int] = []
    async with Lane("tailmerge-test") as lane:
        tasks = [asyncio.create_task(lane.call(seen.append, number)) for number in range(100)]
        await asyncio.sleep(0)
        await lane.stop()
        await asyncio.gather(*tasks)
    assert seen == list(range(100))


async def test_a_call_after_the_stop_raises() -> None:
    async with Lane("tailmerge-test") as lane:
        pass
    with pytest.raises(LaneStopped, match="tailmerge-test is not running"):
        await lane.call(int)


async def test_a_call_before_the_start_raises() -> None:
    with pytest.raises(LaneStopped):
        await Lane("tailmerge-test").call(int)


async def test_after_the_stop_the_thread_has_ended() -> None:
    async with Lane("tailmerge-test") as lane:
        assert lane.is_alive()
    assert not lane.is_alive()


async def test_a_second_stop_does_nothing() -> None:
    lane = Lane("tailmerge-test")
    await lane.stop()
    async with lane:
        await lane.stop()
        await lane.stop()


async def test_a_cancelled_caller_no_longer_waits_and_what_it_sent_is_still_run() -> None:
    seen: list[str] = []
    stuck = Stuck(lambda: seen.append("run"))
    async with Lane("tailmerge-test") as lane:
        waiting = asyncio.create_task(lane.call(stuck))
        await stuck.begins()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        stuck.free.set()
        await lane.call(int)
    assert seen == ["run"]


async def test_an_error_that_nobody_waits_for_any_more_is_not_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`tailmerge *.log | head -1` said "Future exception was never retrieved", with a traceback."""
    stuck = Stuck(lambda: 1 // 0)
    async with Lane("tailmerge-test") as lane:
        waiting = asyncio.create_task(lane.call(stuck))
        await stuck.begins()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        stuck.free.set()
        await lane.call(int)
    gc.collect()
    assert [record.getMessage() for record in caplog.records] == []


async def test_a_lane_that_is_stuck_is_left_behind() -> None:
    """A write on a dead disk never returns: the stop waited for it for ever."""
    stuck = Stuck(lambda: None)
    lane = Lane("tailmerge-test")
    await lane.open()
    waiting = asyncio.create_task(lane.call(stuck))
    await stuck.begins()
    lane.join_seconds = 0.1
    try:
        await asyncio.wait_for(lane.stop(), JOIN_SECONDS)
    finally:
        stuck.free.set()
        await asyncio.wait([waiting])


async def test_a_start_that_is_cancelled_leaves_no_thread() -> None:
    """Nobody knew any more that it was there: it ran on for ever."""
    stuck = Stuck(lambda: None)

    class Slow(Lane):
        def _start(self) -> None:
            stuck()
            super()._start()

    lane = Slow("tailmerge-test")
    starting = asyncio.create_task(lane.__aenter__())
    await stuck.begins()
    starting.cancel()
    await asyncio.sleep(0)
    stuck.free.set()
    await asyncio.wait([starting])
    await asyncio.to_thread(lane._ready.wait, JOIN_SECONDS)
    await asyncio.to_thread(lane.join, JOIN_SECONDS)
    assert not lane.is_alive()


async def test_what_still_waits_at_the_stop_is_cancelled() -> None:
    async with Lane("tailmerge-test") as lane:
        for_ever = asyncio.create_task(lane.send(asyncio.Event().wait))
        await lane.call(int)
    with pytest.raises(asyncio.CancelledError):
        await for_ever


async def test_the_last_words_of_a_lane_are_said_before_it_ends() -> None:
    said: list[str] = []

    class Polite(Lane):
        async def before_stop(self) -> None:
            said.append("bye")

    async with Polite("tailmerge-test"):
        assert said == []
    assert said == ["bye"]


# what conftest.py promises: a blocking call of ours on the main loop is an error

BLOCKING: dict[str, Callable[[System, int], object]] = {
    "open": lambda system, fd: system.open("a.log", os.O_RDONLY),
    "close": lambda system, fd: system.close(fd),
    "stat": lambda system, fd: system.stat("a.log"),
    "fstat": lambda system, fd: system.fstat(fd),
    "read": lambda system, fd: system.read(fd, 1),
    "read_at": lambda system, fd: system.read_at(fd, 1, 0),
    "read_into": lambda system, fd: system.read_into(fd, memoryview(bytearray(1)), 0),
    "write": lambda system, fd: system.write(fd, b""),
    "truncate": lambda system, fd: system.truncate(fd, 0),
    "change_mode": lambda system, fd: system.change_mode(fd, 0o600),
    "names": lambda system, fd: system.names("."),
    "umask": lambda system, fd: system.umask(),
    "discover a name": lambda system, fd: discover(["a.log"], system),
    "discover a pattern": lambda system, fd: discover(["*.log"], system),
    "readline": lambda system, fd: readline(open(fd, "rb", closefd=False)),  # noqa: SIM115
}


@pytest.fixture
def fd() -> Iterator[int]:
    append("a.log", b"one\n")
    fd = os.open("a.log", os.O_RDWR)
    yield fd
    os.close(fd)


@pytest.mark.parametrize("call", BLOCKING.values(), ids=BLOCKING)
async def test_a_blocking_call_on_the_main_loop_is_an_error(
    call: Callable[[System, int], object], fd: int
) -> None:
    with pytest.raises(BlockingError):
        call(System(), fd)


async def test_starting_a_thread_on_the_main_loop_is_an_error() -> None:
    with pytest.raises(BlockingError):
        Lane("tailmerge-test")._start()


async def test_a_blocking_call_on_a_lane_is_what_it_is_for(fd: int) -> None:
    async with Lane("tailmerge-test") as lane:
        assert (await lane.call(System().stat, "a.log")).st_size == 4
        assert await lane.call(System().read_at, fd, 4, 0) == b"one\n"


async def test_a_test_may_write_its_files_itself(tmp_path: Path) -> None:
    (tmp_path / "b.log").write_bytes(b"x\n")
    assert os.stat("b.log").st_size == 2


class CountingLoop:
    """A loop that counts how often it is woken, and runs what it was given when told."""

    def __init__(self) -> None:
        self.woken = 0
        self.ready: list[Callable[[], object]] = []

    def call_soon_threadsafe(self, call: Callable[[], object]) -> None:
        self.woken += 1
        self.ready.append(call)

    def call_soon(self, call: Callable[[], object]) -> None:
        self.ready.append(call)

    def turn(self) -> None:
        ready, self.ready = self.ready, []
        for call in ready:
            call()


def test_a_loop_is_woken_once_for_all_that_is_put_in_and_does_it_in_order() -> None:
    loop = CountingLoop()
    carrier = Carrier(loop)  # type: ignore[arg-type]
    seen: list[int] = []
    for number in range(CARRIED + 1):
        carrier.put(seen.append, number)
    assert (loop.woken, seen) == (1, [])
    loop.turn()
    assert seen == list(range(CARRIED))  # the rest in the next turn: others come between
    loop.turn()
    assert seen == list(range(CARRIED + 1))
    carrier.put(seen.append, -1)
    loop.turn()
    assert (loop.woken, seen[-1]) == (2, -1)


def test_what_a_call_puts_in_is_called_too() -> None:
    loop = CountingLoop()
    carrier = Carrier(loop)  # type: ignore[arg-type]
    seen: list[str] = []
    carrier.put(lambda: carrier.put(seen.append, "later"))
    carrier.put(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        loop.turn()
    loop.turn()
    assert seen == ["later"]


async def test_what_waits_for_ever_is_not_collected(capfd: pytest.CaptureFixture[str]) -> None:
    """asyncio said "Task was destroyed but it is pending" when a run ended."""

    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    async with Lane("tailmerge-test") as lane:
        waiting = asyncio.create_task(lane.send(wait_for_ever))
        await lane.call(int)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        del waiting
        gc.collect()
        running = lane._running
        assert len(running) == 1
    assert "destroyed" not in capfd.readouterr().err
