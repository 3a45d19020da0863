"""A daemon thread with an event loop of its own, to which coroutines are sent.

This is the lesson's idea: what can block runs over there, the caller's loop only waits.
A lane guarantees that what was sent before `stop` is run, that a call after `stop`
raises instead of waiting for ever, and that neither its start nor its end blocks the
caller's loop. It is a daemon so that a call that never returns cannot stop the exit.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import FIRST_COMPLETED
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Self, TypeVar

T = TypeVar("T")

JOIN_SECONDS = 5.0
"""How long one call of a thread that is to end is waited for, seconds: a slow disk's."""

PING_SECONDS = 0.1
"""How often a thread that is to end is asked whether it still gets on."""

CARRIED = 100
"""Calls that a loop makes in one turn for another thread: the rest waits for the next turn."""


class LaneStopped(RuntimeError):
    """Something was sent to a lane before its start or after its stop."""


class Carrier:
    """What one thread has another one's loop call, in order.

    To wake a loop takes a system call. So it is woken once for all that is put in before it
    comes to look: of ten thousand inputs each puts something in.
    """

    __slots__ = ("_awake", "_calls", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._awake = False
        """It comes to look. Without a lock: set behind each append, cleared before each look,
        so at worst it comes once too often."""

    def put(self, function: Callable[..., object], *args: Any) -> None:
        """Have the loop call a function.

        Raises:
            RuntimeError: the loop is closed.
        """
        self._calls.append((function, args))
        if not self._awake:
            self._awake = True
            self._loop.call_soon_threadsafe(self._carry)

    def _carry(self) -> None:
        self._awake = False
        try:
            for _ in range(min(CARRIED, len(self._calls))):
                function, args = self._calls.popleft()
                function(*args)
        finally:
            if self._calls and not self._awake:
                self._awake = True
                self._loop.call_soon(self._carry)


class Lane(threading.Thread):
    """One thread, one loop, one owner of whatever is opened on it."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._gate = threading.Lock()  # held for the few instructions of sending, never for I/O
        self._way: Carrier | None = None
        self._ways_back: dict[asyncio.AbstractEventLoop, Carrier] = {}
        self._running: set[asyncio.Task[Any]] = set()
        """What was sent and is not done: a loop itself forgets a task that nobody refers to."""
        self._open = False
        self._unwanted = False
        """Whoever started it was cancelled meanwhile."""
        self.join_seconds = JOIN_SECONDS

    def run(self) -> None:
        loop = asyncio.new_event_loop()
        loop.set_debug(False)  # this loop is there to be blocked
        asyncio.set_event_loop(loop)
        with self._gate:
            self._loop, self._way = loop, Carrier(loop)
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
        self._begin_stop(None)

    async def send(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Run a coroutine function on the lane's loop and return what it returns.

        A caller that is cancelled no longer waits, but what it sent is still run.

        Raises:
            LaneStopped: the lane is not running.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._post(answer, function, *args)
        return await answer

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
        self._post(None, function, *args)

    def _post(
        self,
        answer: asyncio.Future[Any] | None,
        function: Callable[..., Coroutine[Any, Any, Any]],
        *args: Any,
    ) -> None:
        with self._gate:
            if not self._open:
                raise LaneStopped(f"{self.name} is not running")
            self._send(answer, function, *args)

    def _send(
        self,
        answer: asyncio.Future[Any] | None,
        function: Callable[..., Coroutine[Any, Any, Any]],
        *args: Any,
    ) -> None:
        assert self._way
        back = None
        if answer is not None:
            loop = answer.get_loop()
            back = self._ways_back.get(loop) or self._ways_back.setdefault(loop, Carrier(loop))
        self._way.put(self._begin, answer, back, function, args)

    def _begin(
        self,
        answer: asyncio.Future[Any] | None,
        back: Carrier | None,
        function: Callable[..., Coroutine[Any, Any, Any]],
        args: tuple[Any, ...],
    ) -> None:
        """On the lane's loop: run what was sent."""
        assert self._loop
        task = self._loop.create_task(function(*args))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        if answer is not None and back is not None:
            task.add_done_callback(partial(_bring_back, answer, back))

    async def stop(self) -> None:
        """Run what was sent before, then end the thread; a second stop does nothing.

        It ends even where the caller is cancelled meanwhile. One that is stuck in a call
        that does not return is left behind after `join_seconds`.

        Raises:
            Whatever `before_stop` raises.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._begin_stop(future):
            return
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

    def _begin_stop(self, answer: asyncio.Future[None] | None) -> bool:
        """Send the last words; False where the lane is not running, or ends already."""
        with self._gate:
            if not self._open:
                return False
            self._send(answer, self._real_stop)
            self._open = False
            return True

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


def _bring_back(answer: asyncio.Future[Any], back: Carrier, task: asyncio.Task[Any]) -> None:
    try:
        back.put(_set_answer, answer, task)
    except RuntimeError:
        look_at(task)  # the asker's loop is closed: it no longer waits


def _set_answer(answer: asyncio.Future[Any], task: asyncio.Task[Any]) -> None:
    """On the asker's loop."""
    if task.cancelled():
        answer.cancel()
    elif error := task.exception():
        if not answer.done():  # the asker was cancelled: nobody waits for it any more
            answer.set_exception(error)
            look_at(answer)
    elif not answer.done():
        answer.set_result(task.result())


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
