"""A coroutine that is begun at once: the same as in a task, but sooner."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from tailmerge.eager import start_at_once

pytestmark = pytest.mark.timeout(10)


async def test_what_does_not_wait_is_done_at_once() -> None:
    async def work() -> str:
        async with asyncio.Lock():
            return "done"

    running = start_at_once(work())
    assert running.done()
    assert await running == "done"


async def test_what_waits_goes_on_when_that_comes() -> None:
    steps: list[Any] = []
    first: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def work() -> str:
        steps.append("begun")
        steps.append(await first)
        await asyncio.sleep(0)
        steps.append(await asyncio.sleep(0.001, "slept"))
        return "done"

    running = start_at_once(work())
    assert steps == ["begun"]
    assert not running.done()
    first.set_result(1)
    assert await running == "done"
    assert steps == ["begun", 1, "slept"]


async def test_who_waits_for_its_turn_has_it_in_order() -> None:
    lock, order = asyncio.Lock(), []

    async def work(number: int) -> None:
        async with lock:
            order.append(number)

    async with lock:
        running = [start_at_once(work(number)) for number in range(3)]
        await asyncio.sleep(0)
        assert order == []
    await asyncio.gather(*running)
    assert order == [0, 1, 2]


@pytest.mark.parametrize("waits", [False, True])
async def test_an_error_is_in_the_future(waits: bool) -> None:
    async def work() -> None:
        if waits:
            await asyncio.sleep(0)
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        await start_at_once(work())


async def test_an_error_of_what_it_waits_for_is_its_own() -> None:
    first: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def work() -> str:
        try:
            await first
        except OSError:
            return await asyncio.sleep(0, "caught")
        raise AssertionError("it came")

    running = start_at_once(work())
    first.set_exception(OSError("no"))
    assert await running == "caught"


async def test_a_cancellation_reaches_it() -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    running = start_at_once(work())
    await asyncio.sleep(0)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert running.cancelled()
    assert ended == [True]


async def test_one_that_cancels_itself_is_cancelled() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    running = start_at_once(work())
    assert running.cancelled()


async def test_it_can_wait_with_a_limit_from_its_first_step_on() -> None:
    async def work() -> str:
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.001)
        except TimeoutError:
            return "late"
        raise AssertionError("it came")

    assert await start_at_once(work()) == "late"
