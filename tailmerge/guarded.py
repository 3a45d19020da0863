"""System calls on file systems that can hang: each is waited for only so long.

A network file system whose server does not answer keeps a call for minutes, or for ever, and
what keeps the thread that owns the files holds up every input. So each mount that can hang has a
thread of its own, which makes the calls there one after the other. Who asks waits
`LIMIT_SECONDS` at most; then the call fails, as on a bad disk: nothing is decided, and the
look is made again. While it hangs all other calls on that mount fail at once.

Only inputs are reached this way. What is local is asked for as it always is, and where nothing
that can hang is mounted there is nothing of this at all (`guard`).
"""

from __future__ import annotations

import errno
import os
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

from tailmerge.held import HeldT
from tailmerge.mounts import find_hanging, is_under
from tailmerge.system import System

LIMIT_SECONDS = 0.5
"""How long a call may take before it counts as one that hangs."""

MOST_SECONDS = 3.0
"""The same, at most, where a mount is slow: twice as long after each call that took longer. It
counts as slow until so many calls in a row, `QUICK_CALLS`, took a tenth of the limit or less."""

QUICK_CALLS = 20

HELD_A_CALL = 20
"""Files of a mount that are asked in one call for where they end; of a slow one each by itself."""

MOST_LINKS = 40
"""Symbolic links that are followed in one name, as the kernel does."""

T = TypeVar("T")


def guard(system: System) -> System:
    """The calls for inputs: guarded where something is mounted that can hang."""
    points = find_hanging(system.mounts())
    return Guarded(system, points) if points else system


def release(system: System) -> None:
    """Inputs are asked for nothing more."""
    if isinstance(system, Guarded):
        system.end()


class _Call(Generic[T]):
    """One call that is asked for."""

    def __init__(self, make: Callable[[], T], undo: Callable[[T], None] | None) -> None:
        self.make = make
        self.undo = undo
        self.done = threading.Event()
        self.answer: T
        self.error: BaseException | None = None
        self.is_left = False
        """Nobody waits for it any more."""


class MountThread:
    """Makes the calls on one mount; for any thread."""

    def __init__(self, point: str) -> None:
        """The thread is started with the first call."""
        self.point = point
        self._lock = threading.Lock()
        self._asked: queue.SimpleQueue[_Call[Any] | None] = queue.SimpleQueue()
        self._limit = LIMIT_SECONDS
        self._quick = 0
        """So many calls in a row were answered at once."""
        self._began = 0.0
        """When the call under way, or the last one, began; seconds of the monotonic clock."""
        self._hangs = False
        """A call that nobody waits for any more is under way, or stands before the next one."""
        self._thread: threading.Thread | None = None
        self._is_ended = False

    @property
    def is_slow(self) -> bool:
        """Whether a call took too long lately."""
        return self._limit > LIMIT_SECONDS

    def call(self, make: Callable[[], T], undo: Callable[[T], None] | None = None) -> T:
        """What the call returns; `undo` meets what it returned too late.

        Raises:
            TimeoutError: it took too long, or another one still does.
            OSError: as the call does.
        """
        asked = _Call(make, undo)
        if not self._put(asked):
            return make()  # the process has all the threads that it may have
        left = self._limit
        while not asked.done.wait(left):
            with self._lock:
                # What stands before it may be slow, too: each call has its time.
                left = self._began + self._limit - time.monotonic()
                if left <= 0 and not asked.done.is_set():
                    asked.is_left = self._hangs = True
                    raise _no_answer()
        if asked.error is not None:
            raise asked.error
        return asked.answer

    def post(self, make: Callable[[], None]) -> None:
        """Make this call once what was asked for before is over; nobody waits for it.

        After the end it is made here, and not at all where that would hang.
        """
        if not self._put(_Call(make, None), waits=False) and not self._hangs:
            make()

    def end(self) -> None:
        """Nothing more is asked for; what hangs is left alone."""
        with self._lock:
            self._is_ended = True
            if self._thread:
                self._asked.put(None)

    def _put(self, asked: _Call[Any], *, waits: bool = True) -> bool:
        """Ask for it; False where there is no thread to be had."""
        with self._lock:
            if waits and self._hangs:
                raise _no_answer()
            is_started = not self._is_ended and self._start()
            if is_started:
                self._asked.put(asked)
            return is_started

    def _start(self) -> bool:
        if self._thread is None:
            thread = threading.Thread(
                target=self._work, name=f"tailmerge-mount {self.point}", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:
                return False
            self._thread = thread
        return True

    def _work(self) -> None:
        while asked := self._asked.get():
            if not asked.is_left:
                self._make(asked)
            del asked  # it may be long until the next one
            with self._lock:
                self._hangs = False

    def _make(self, asked: _Call[Any]) -> None:
        self._began = began = time.monotonic()
        try:
            asked.answer = asked.make()
        except BaseException as error:  # whoever waits for it meets it
            asked.error = error
        with self._lock:
            asked.done.set()
            is_late = asked.is_left
            is_quick = time.monotonic() - began <= LIMIT_SECONDS / 10
            self._quick = self._quick + 1 if is_quick else 0
            if is_late:
                self._limit = min(MOST_SECONDS, 2 * self._limit)
            elif self._quick >= QUICK_CALLS:
                self._limit = LIMIT_SECONDS
        if is_late and asked.undo and asked.error is None:
            with suppress(OSError):  # nobody is there to be told
                asked.undo(asked.answer)


def _no_answer() -> TimeoutError:
    return TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


class Guarded(System):
    """The system's calls for inputs."""

    def __init__(self, system: System, points: dict[str, bool]) -> None:
        """`points`: see `mounts.find_hanging`."""
        self._system = system
        threads = {point: MountThread(point) for point, can_hang in points.items() if can_hang}
        self._points = [(point, threads.get(point)) for point in points]
        self._threads = threads.values()
        self._opened: dict[int, MountThread] = {}
        """The descriptors of files that can hang."""
        self._silent: set[MountThread] = set()
        """Whose inputs were told that there is no answer."""
        self._next: dict[MountThread, int] = {}
        """Whose turn it is where not all could be asked in one sweep."""
        self._folders: dict[str, str] = {}
        """Where folders lead, as far as that can be told without asking what can hang."""

    def mounts(self) -> str:
        return self._system.mounts()

    def end(self) -> None:
        """Nothing more is asked for."""
        for thread in self._threads:
            thread.end()

    # by name

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        if not (thread := self._find(path)):
            return self._system.open(path, flags, mode)
        fd = thread.call(lambda: self._system.open(path, flags, mode), undo=self._system.close)
        self._opened[fd] = thread
        return fd

    def stat(self, path: str) -> os.stat_result:
        return self._ask(path, lambda: self._system.stat(path))

    def read_link(self, path: str) -> str:
        return self._ask(path, lambda: self._system.read_link(path))

    def real(self, path: str) -> str:
        """Where a name leads; without an answer as far as that is known without one."""
        try:
            return self._ask(path, lambda: self._system.real(path))
        except TimeoutError:
            return self._resolve(self.absolute(path))

    def is_link(self, path: str) -> bool:
        return self._ask_or(False, path, lambda: self._system.is_link(path))

    def is_folder(self, path: str) -> bool:
        return self._ask_or(False, path, lambda: self._system.is_folder(path))

    def _ask_or(self, default: T, path: str, make: Callable[[], T]) -> T:
        """For what has no error: without an answer the default."""
        try:
            return self._ask(path, make)
        except TimeoutError:
            return default

    def names(self, folder: str) -> Iterator[str]:
        return self._ask(folder, lambda: self._system.names(folder))

    def _ask(self, path: str, make: Callable[[], T]) -> T:
        thread = self._find(path)
        return thread.call(make) if thread else make()

    # by descriptor

    def duplicate(self, fd: int) -> int:
        """Not of a file that can hang: whoever syncs the copy would hang, too."""
        if fd in self._opened:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return self._system.duplicate(fd)

    def fstat(self, fd: int) -> os.stat_result:
        if thread := self._opened.get(fd):
            return thread.call(lambda: self._system.fstat(fd))
        return self._system.fstat(fd)

    def seek(self, fd: int, offset: int, whence: int) -> int:
        if thread := self._opened.get(fd):
            return thread.call(lambda: self._system.seek(fd, offset, whence))
        return self._system.seek(fd, offset, whence)

    def read_at(self, fd: int, count: int, offset: int) -> bytes:
        if thread := self._opened.get(fd):
            return thread.call(lambda: self._system.read_at(fd, count, offset))
        return self._system.read_at(fd, count, offset)

    def read_into(self, fd: int, view: memoryview, offset: int) -> int:
        if fd not in self._opened:
            return self._system.read_into(fd, view, offset)
        # Not into the view: a read that comes too late would write over what stands there by then.
        data = self.read_at(fd, len(view), offset)
        view[: len(data)] = data
        return len(data)

    def close(self, fd: int) -> None:
        if thread := self._opened.pop(fd, None):
            thread.post(lambda: self._system.close(fd))
        else:
            self._system.close(fd)

    def find_changed(self, held: Collection[HeldT]) -> list[HeldT]:
        """Those that have news. That a mount no longer answers is news of all there, once."""
        asked: dict[MountThread | None, list[HeldT]] = {}
        for each in held:
            asked.setdefault(self._find_held(each), []).append(each)
        changed = self._system.find_changed(asked.pop(None, []))
        for thread, some in asked.items():
            assert thread
            changed += self._find_changed(thread, some)
        return changed

    def _find_changed(self, thread: MountThread, held: list[HeldT]) -> list[HeldT]:
        first = self._next.get(thread, 0) % len(held)
        turn, changed = held[first:] + held[:first], []
        until, at = time.monotonic() + LIMIT_SECONDS, 0
        try:
            while at < len(turn) and time.monotonic() < until:
                some = turn[at : at + (1 if thread.is_slow else HELD_A_CALL)]
                changed += thread.call(partial(self._system.find_changed, some))
                at += len(some)
        except TimeoutError:
            is_news = thread not in self._silent
            self._silent.add(thread)
            return held if is_news else changed
        self._next[thread] = first + at if at < len(turn) else 0  # the others the next time
        self._silent.discard(thread)
        return changed

    def _find_held(self, each: HeldT) -> MountThread | None:
        if (hand := each.hand) is None:
            return None
        return self._opened.get(hand.fd) if hand.fd >= 0 else self._find(hand.path)

    # where a name leads

    def _find(self, path: str) -> MountThread | None:
        """Who is asked about this name; None: nobody, it leads to nothing that can hang."""
        return self._find_mount(self._resolve(self.absolute(path)))

    def _resolve(self, path: str, links: int = MOST_LINKS) -> str:
        """Where a name leads, up to the first part of it that can hang."""
        front, base = os.path.split(path)
        if not base:
            return path
        if front not in self._folders:
            self._folders[front] = self._resolve(front, links)
        at = os.path.join(self._folders[front], base)
        if not links or self._find_mount(at):
            return at
        try:
            target = self._system.read_link(at)
        except OSError:
            return at  # no link, or nothing
        return self._resolve(os.path.normpath(os.path.join(os.path.dirname(at), target)), links - 1)

    def _find_mount(self, at: str) -> MountThread | None:
        return next((thread for point, thread in self._points if is_under(at, point)), None)
