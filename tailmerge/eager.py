"""A coroutine that is begun at once, and becomes a task only where it has to wait.

A task costs a hundred microseconds and a turn of the loop before its first step, and most of what
is begun here never waits. Python has this from 3.12 on, as `eager_start`.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


def start_at_once(coroutine: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
    """Run it up to where it waits; what it returns or raises is in the future, now or later.

    Before Python 3.12 its first part has the caller's task for its own, so there it must not use
    what asks for the task; and what it waits for first must be waited for by nobody else.
    """
    loop = asyncio.get_running_loop()
    if hasattr(asyncio, "eager_task_factory"):
        return asyncio.Task(coroutine, loop=loop, eager_start=True)  # type: ignore[call-arg,unused-ignore]
    future: asyncio.Future[T] = loop.create_future()
    try:
        awaited = coroutine.send(None)
    except StopIteration as over:
        future.set_result(over.value)
    except asyncio.CancelledError:
        future.cancel()
    except Exception as error:
        future.set_exception(error)
    else:
        return loop.create_task(_go_on(coroutine, awaited))
    return future


async def _go_on(coroutine: Coroutine[Any, Any, T], awaited: object) -> T:
    """The rest of it, in a task."""
    return await _steps(coroutine, awaited)


@types.coroutine
def _steps(coroutine: Coroutine[Any, Any, T], awaited: object) -> Generator[Any, Any, T]:
    """What it waits for is waited for by whoever awaits this; what that brings is its own."""
    try:
        while True:
            try:
                answer = yield awaited
            except BaseException as error:  # a cancellation, too: the coroutine decides
                awaited = coroutine.throw(error)
            else:
                awaited = coroutine.send(answer)
    except StopIteration as over:
        return over.value  # type: ignore[no-any-return]
