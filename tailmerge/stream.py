"""Inputs that cannot be read twice: named pipes and standard input.

A named pipe is opened without blocking and read when it is ready. Standard input, which is
shared with whoever started us, is read by a thread of its own that may block for ever: its
flags are not ours to change. An unfinished last line is kept until its end comes, a long
one in an unnamed temporary file.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import queue
import threading
from collections.abc import Iterator
from typing import IO

from tailmerge.batch import EDGE, Batch, skip_bytes
from tailmerge.lines import BLOCK
from tailmerge.system import System

CHUNK = 64 * 1024
"""Bytes a read: what a pipe holds."""

NEWCOMER_SECONDS = 0.2
"""How long a one-shot run waits for a writer that was waiting for us to open the pipe."""

BELL_SECONDS = 1.0
"""How long the thread of a blocking input may take to hear that it is to end: a slow disk's."""


class Carry:
    """Bytes that came and are no whole line yet."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._spool: IO[bytes] | None = None
        self._spooled = 0
        """Bytes of it that are in the temporary file; the parts come behind them."""

    def __len__(self) -> int:
        return self._size

    def add(self, data: bytes) -> None:
        """Keep these bytes; in memory where the temporary folder does not take them."""
        self._parts.append(data)
        self._size += len(data)
        if not self._spool and self._size <= BLOCK:
            return
        try:
            if self._spool is None:
                import tempfile

                self._spool = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
            self._spool.seek(self._spooled)
            while self._parts:
                part = self._parts[0]
                _write_all(self._spool, part)
                self._spooled += len(part)
                del self._parts[0]
        except OSError:
            pass  # a full disk: what came cannot be had again, so it stays in memory

    def pieces(self) -> Iterator[bytes]:
        """All of it, a block at a time; as often as asked."""
        if self._spool:
            offset = 0
            while offset < self._spooled:
                count = min(BLOCK, self._spooled - offset)
                block = self._read_spool(self._spool, offset, count)
                offset += len(block)
                yield block
        yield from self._parts

    @staticmethod
    def _read_spool(spool: IO[bytes], offset: int, count: int) -> bytes:
        spool.seek(offset)
        block = spool.read(count)
        if not block:
            raise OSError(None, "the temporary file of a long line was cut")
        return block

    def batch(self, rest: bytes) -> Batch:
        """The batch of what was carried and the whole lines that follow it."""
        size = self._size
        first = b""
        for piece in itertools.chain(self.pieces(), (rest,)):
            first = (first + piece)[:EDGE]
        last = rest[-EDGE:] if len(rest) >= EDGE else self._tail(EDGE - len(rest)) + rest
        return Batch(
            (),
            size + len(rest),
            first,
            last,
            lambda n: skip_bytes(itertools.chain(self.pieces(), (rest,)), n),
            lambda n: size + rest.rfind(b"\n", 0, n - size) + 1 if n > size else 0,
            again=False,
        )

    def _tail(self, count: int) -> bytes:
        tail = b""
        for piece in self.pieces():
            tail = (tail + piece)[-count:]
        return tail

    def close(self) -> None:
        """Nothing is left of it."""
        if self._spool:
            self._spool.close()
            self._spool = None
        self._parts.clear()
        self._size = self._spooled = 0


def _write_all(file: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


class InputStream:
    """What comes out of a pipe: read on the loop of the thread that owns the files."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.carry = Carry()
        self.alone_since: float | None = None
        """When a read found that no writer is left, seconds; None: there is one."""
        self._interrupted = asyncio.Event()

    async def read(self) -> bytes | None:
        """The next bytes as they come; b"" when no writer is left; None when interrupted."""
        raise NotImplementedError

    def interrupt(self) -> None:
        """The run is to end: a read brings what is there, and no longer waits."""
        self._interrupted.set()

    def count_waiting(self) -> int:
        """Bytes that are there to be read."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the pipe and of what is kept of it."""
        self._interrupted.set()
        self.carry.close()


class PipeStream(InputStream):
    """A named pipe, whose end stays open for the next writer."""

    def __init__(self, name: str, system: System) -> None:
        super().__init__(name)
        self._system = system
        self._fd = system.open(name, os.O_RDONLY | os.O_NONBLOCK)
        self._met = False
        """There was a writer."""
        self._loop: asyncio.AbstractEventLoop | None = None
        """Whose reader the pipe is just now."""

    async def read(self) -> bytes | None:
        while self._fd >= 0:
            try:
                data = self._system.read(self._fd, CHUNK)
            except BlockingIOError:
                self._met = True
                if self._interrupted.is_set():
                    return None
                await self._wait_until_readable()
                continue
            self._met = self._met or bool(data)
            return data
        return None  # closed while it waited

    def count_waiting(self) -> int:
        return self._system.count_readable(self._fd)

    @property
    def has_met_writer(self) -> bool:
        return self._met

    async def _wait_until_readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._fd, ready.set)
        self._loop = loop
        waits = [loop.create_task(event.wait()) for event in (ready, self._interrupted)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._forget_reader()
            for wait in waits:
                wait.cancel()

    def _forget_reader(self) -> None:
        if self._loop:
            self._loop.remove_reader(self._fd)
            self._loop = None

    def close(self) -> None:
        super().close()
        self._forget_reader()
        self._system.close(self._fd)
        self._fd = -1  # the number is reused at once


class BlockingStream(InputStream):
    """Standard input, or a device: a daemon thread reads it, when asked and never ahead.

    The thread waits for data or for a bell, whichever comes first: an interrupted one takes
    nothing that comes later, which belongs to whoever reads after us.
    """

    def __init__(self, name: str, fd: int, system: System, *, owned: bool = False) -> None:
        """`owned`: the descriptor is closed in the end."""
        super().__init__(name)
        self._fd = fd
        self._owned = owned
        self._system = system
        self._loop = asyncio.get_running_loop()
        self._data: asyncio.Queue[bytes | OSError | None] = asyncio.Queue()
        self._wanted: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._pending = False
        self._bell, self._rope = system.make_bell()
        self._thread = threading.Thread(target=self._run, name="tailmerge-stdin", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while self._wanted.get():
                data = self._read_now()
                try:
                    self._loop.call_soon_threadsafe(self._data.put_nowait, data)
                except RuntimeError:
                    return  # the run has ended while we waited for data
        finally:
            self._system.close(self._bell)
            if self._owned:
                self._system.close(self._fd)

    def _read_now(self) -> bytes | OSError | None:
        # os.read on the descriptor: a daemon thread inside sys.stdin.buffer would abort
        # the interpreter's exit.
        while True:
            try:
                if self._fd not in self._system.wait_readable((self._fd, self._bell)):
                    return None
                return self._system.read(self._fd, CHUNK)
            except BlockingIOError:
                continue  # another reader was quicker
            except OSError as error:
                return error

    async def read(self) -> bytes | None:
        if not self._pending:
            self._pending = True
            self._wanted.put(True)
        get = asyncio.ensure_future(self._data.get())
        interrupted = asyncio.ensure_future(self._interrupted.wait())
        try:
            await asyncio.wait([get, interrupted], return_when=asyncio.FIRST_COMPLETED)
            if not get.done():  # the bell rings; only a read that blocks does not hear it
                await asyncio.wait([get], timeout=BELL_SECONDS)
            if not get.done():
                return None
        finally:
            interrupted.cancel()
            get.cancel()
        self._pending = False
        data = get.result()
        if isinstance(data, OSError):
            raise data
        return data

    def count_waiting(self) -> int:
        return self._system.count_readable(self._fd)

    def interrupt(self) -> None:
        super().interrupt()
        if self._rope >= 0:
            self._system.close(self._rope)  # its other end is readable from now on
            self._rope = -1

    def close(self) -> None:
        self.interrupt()
        super().close()
        self._wanted.put(False)
        self._thread.join(BELL_SECONDS)
