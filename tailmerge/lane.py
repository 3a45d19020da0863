"""A daemon thread with an event loop of its own, to which coroutines are sent.

This is the lesson's idea: what can block runs over there, the caller's loop only waits.
A lane guarantees that what was sent before `stop` is run, that a call after `stop`
raises instead of waiting for ever, and that neither its start nor its end blocks the
caller's loop. It is a daemon so that a call that never returns cannot stop the exit.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

T = TypeVar("T")

JOIN_SECONDS = 1.0
"""How long the end of a thread is waited for, seconds; a stuck one is left behind."""


class LaneStopped(RuntimeError):
    """Something was sent to a lane before its start or after its stop."""


class Lane(threading.Thread):
    """One thread, one loop, one owner of whatever is opened on it."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._gate = threading.Lock()  # held for the few instructions of sending, never for I/O
        self._open = False

    def run(self) -> None:
        loop = asyncio.new_event_loop()
        loop.set_debug(False)  # this loop is there to be blocked
        asyncio.set_event_loop(loop)
        self._loop = loop
        self._open = True
        self._ready.set()
        try:
            loop.run_forever()
            # A last turn, so that whoever awaits stop() gets its answer.
            loop.run_until_complete(_end_others(loop))
        finally:
            loop.close()

    async def open(self) -> None:
        """Start the thread, off the caller's loop."""
        await asyncio.get_running_loop().run_in_executor(None, self._start)

    def _start(self) -> None:
        self.start()
        self._ready.wait()

    async def send(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Run a coroutine function on the lane's loop and return what it returns.

        A caller that is cancelled no longer waits, but what it sent is still run.

        Raises:
            LaneStopped: the lane is not running.
        """
        return await asyncio.shield(asyncio.wrap_future(self._post(function, *args)))

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Run a plain function, which may block, on the lane's thread."""

        async def run() -> T:
            return function(*args)

        return await self.send(run)

    def _post(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> Any:
        with self._gate:
            if not self._open or self._loop is None:
                raise LaneStopped(f"{self.name} is not running")
            return asyncio.run_coroutine_threadsafe(function(*args), self._loop)

    async def stop(self) -> None:
        """Run what was sent before, then end the thread; a second stop does nothing."""
        with self._gate:
            if not self._open or self._loop is None:
                return
            self._open = False
            last = asyncio.run_coroutine_threadsafe(self._real_stop(), self._loop)
        await asyncio.wrap_future(last)
        await asyncio.get_running_loop().run_in_executor(None, self.join, JOIN_SECONDS)

    async def _real_stop(self) -> None:
        await self.before_stop()
        asyncio.get_running_loop().stop()

    async def before_stop(self) -> None:
        """What a lane still does on its own loop before it ends."""

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


async def _end_others(loop: asyncio.AbstractEventLoop) -> None:
    me = asyncio.current_task()
    others = [task for task in asyncio.all_tasks(loop) if task is not me]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, asyncio.sleep(0), return_exceptions=True)
