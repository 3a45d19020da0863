"""A daemon thread with an event loop of its own, to which coroutines are sent.

This is the lesson's idea: what can block runs over there, the caller's loop only waits.
A lane guarantees that what was sent before `stop` is run, that a call after `stop`
raises instead of waiting for ever, and that neither its start nor its end blocks the
caller's loop. It is a daemon so that a call that never returns cannot stop the exit.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from asyncio import FIRST_COMPLETED
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

T = TypeVar("T")

JOIN_SECONDS = 5.0
"""How long one call of a thread that is to end is waited for, seconds: a slow disk's."""

PING_SECONDS = 0.1
"""How often a thread that is to end is asked whether it still gets on."""


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
        self._unwanted = False
        """Whoever started it was cancelled meanwhile."""
        self.join_seconds = JOIN_SECONDS

    def run(self) -> None:
        loop = asyncio.new_event_loop()
        loop.set_debug(False)  # this loop is there to be blocked
        asyncio.set_event_loop(loop)
        with self._gate:
            self._loop = loop
            self._open = wanted = not self._unwanted
        self._ready.set()
        try:
            if wanted:
                loop.run_forever()
            # A last turn, so that whoever awaits stop() gets its answer.
            loop.run_until_complete(_end_others(loop))
        finally:
            loop.close()

    async def open(self) -> None:
        """Start the thread, off the caller's loop; a cancelled start leaves no thread."""
        starting = asyncio.get_running_loop().run_in_executor(None, self._start)
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            self._abandon()
            raise

    def _start(self) -> None:
        self.start()
        self._ready.wait()

    def _abandon(self) -> None:
        """Nobody will know of this thread: it ends, whether it runs already or not yet."""
        with self._gate:
            self._unwanted = True
        self._begin_stop()

    async def send(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Run a coroutine function on the lane's loop and return what it returns.

        A caller that is cancelled no longer waits, but what it sent is still run.

        Raises:
            LaneStopped: the lane is not running.
        """
        future: asyncio.Future[T] = asyncio.wrap_future(self._post(function, *args))
        future.add_done_callback(look_at)
        await asyncio.wait([future])  # unlike a plain await it does not cancel what it waits for
        return future.result()

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Run a plain function, which may block, on the lane's thread."""

        async def run() -> T:
            return function(*args)

        return await self.send(run)

    def post(self, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> None:
        """Run a coroutine function on the lane's loop; nobody waits for it.

        Raises:
            LaneStopped: the lane is not running.
        """
        self._post(function, *args)

    def _post(
        self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any
    ) -> concurrent.futures.Future[T]:
        with self._gate:
            if not self._open or self._loop is None:
                raise LaneStopped(f"{self.name} is not running")
            return asyncio.run_coroutine_threadsafe(function(*args), self._loop)

    async def stop(self) -> None:
        """Run what was sent before, then end the thread; a second stop does nothing.

        It ends even where the caller is cancelled meanwhile. One that is stuck in a call
        that does not return is left behind after `join_seconds`.

        Raises:
            Whatever `before_stop` raises.
        """
        loop = self._loop
        last = self._begin_stop()
        if last is None or loop is None:
            return
        future = asyncio.wrap_future(last)
        future.add_done_callback(look_at)
        while not future.done():
            answer = asyncio.Event()
            if not self._ask(asyncio.get_running_loop(), answer):
                await asyncio.wait([future])  # its loop has ended: so has all that was sent
                break
            pinged = asyncio.ensure_future(answer.wait())
            either: list[asyncio.Future[Any]] = [future, pinged]
            try:
                await asyncio.wait(either, timeout=self.join_seconds, return_when=FIRST_COMPLETED)
            finally:
                pinged.cancel()
            if not (future.done() or answer.is_set()):
                return  # stuck
            await asyncio.wait([future], timeout=PING_SECONDS)
        await asyncio.get_running_loop().run_in_executor(None, self.join, self.join_seconds)
        future.result()

    def _ask(self, asker: asyncio.AbstractEventLoop, answer: asyncio.Event) -> bool:
        """Let the lane's loop set `answer`; False where it has ended."""
        assert self._loop
        try:
            self._loop.call_soon_threadsafe(_answer, asker, answer)
        except RuntimeError:
            return False
        return True

    def _begin_stop(self) -> concurrent.futures.Future[None] | None:
        """Send the last words; None where the lane is not running, or ends already."""
        with self._gate:
            if not self._open or self._loop is None:
                return None
            self._open = False
            return asyncio.run_coroutine_threadsafe(self._real_stop(), self._loop)

    async def _real_stop(self) -> None:
        try:
            await self.before_stop()
        finally:
            asyncio.get_running_loop().stop()

    async def before_stop(self) -> None:
        """What a lane still does on its own loop before it ends."""

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def look_at(future: asyncio.Future[Any]) -> None:
    """An error that nobody waits for any more is not asyncio's to complain of."""
    if not future.cancelled():
        future.exception()


def _answer(asker: asyncio.AbstractEventLoop, answer: asyncio.Event) -> None:
    try:
        asker.call_soon_threadsafe(answer.set)
    except RuntimeError:
        pass  # the asker's loop is closed: it no longer waits


async def _end_others(loop: asyncio.AbstractEventLoop) -> None:
    me = asyncio.current_task()
    others = [task for task in asyncio.all_tasks(loop) if task is not me]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, asyncio.sleep(0), return_exceptions=True)
