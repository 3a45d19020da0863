"""The thread that owns the files: it reads the inputs and appends to the output.

This is the lesson's `WriteThread`, carried to its end. Coroutines are sent to its event
loop and awaited from the caller's; since every handle lives on this one thread there is
no lock and nothing that can block the caller. What travels is not lines but "this source,
up to here": `forward` reads, cuts and appends up to `HOP` bytes before it answers.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tailmerge.batch import Batch, Span
from tailmerge.lane import Lane
from tailmerge.output import Audience, NamedFile, Output, Stream
from tailmerge.report import OutputError, Report
from tailmerge.source import BUFFER, Source, Torn
from tailmerge.stream import InputStream
from tailmerge.system import Identity, System

HOP = 4 * 1024 * 1024
"""Bytes forwarded from one source before another one gets its turn."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What one `forward` did."""

    moved: int
    """Bytes of the source that reached the output."""
    more: bool
    """The end was not reached: ask again."""
    waiting: int
    """Bytes of an unfinished last line."""
    hole: int = 0
    """Bytes of a hole that were skipped."""
    torn: bool = False
    """The file was cut while a long line was copied, of which only a part is written."""


class WriteThread(Lane):
    """A thread with an event loop of its own that owns the output, and reads for it.

        async with WriteThread("merged.log") as output:
            await output.write(b"a line\\n")

    What is written is appended. A path of "-" is standard output.
    """

    def __init__(
        self,
        output_path: str | os.PathLike[str],
        *,
        audience: Audience | None = None,
        overwrite: bool = False,
        patience: float | None = None,
        report: Report | None = None,
        system: System | None = None,
    ) -> None:
        """Nothing is opened yet.

        `audience` is who may read a new output (its owner alone where None), `patience`
        the seconds that a write may fail for before the run gives up (None: for ever).
        """
        super().__init__("tailmerge-writer")
        self.output_path = os.fspath(output_path)
        self.output: Output | None = None
        self.system = system or System()
        self._audience = audience or Audience()
        self._overwrite = overwrite
        self._patience = patience
        self._report = report or Report(lambda text: None)
        self._buffer = bytearray(BUFFER)
        self._turn: asyncio.Lock | None = None

    async def __aenter__(self) -> WriteThread:
        """Start the thread and open the output, off the caller's loop.

        Raises:
            OutputError: the output cannot be opened; the thread has ended again.
        """
        await self.open()
        try:
            await self.send(self._open_output)
        except BaseException:
            await self.stop()
            raise
        return self

    async def write(self, data: bytes) -> None:
        """Append `data`; it is written, in one piece, when this returns.

        Raises:
            LaneStopped: after `stop`.
            OutputError: the output cannot be written.
        """
        await self.send(self._real_write, data)

    async def forward(
        self, source: Source, until: int | None = None, *, last: bool = False
    ) -> Progress:
        """Append the source's next whole lines, at most `HOP` bytes of them or one line.

        `until` is the offset behind which nothing is read. With `last` an unfinished last
        line goes out too, with a newline added.

        Raises:
            Rewritten: the file no longer holds what was read from it.
            Refused: the file is not made of lines of bytes.
            OutputError: the output cannot be written.
        """
        return await self.send(self._real_forward, source, until, last)

    async def pump(self, stream: InputStream) -> Progress:
        """Wait for the stream's next bytes and append the lines that they end.

        `more` is False when no writer is left, or the stream was interrupted; an unfinished
        last line whose writers have gone is then written too.
        """
        return await self.send(self._real_pump, stream)

    async def pump_rest(self, stream: InputStream) -> None:
        """Append the stream's unfinished last line, with a newline added."""
        await self.send(self._real_pump_rest, stream)

    async def wait_reader_gone(self) -> None:
        """Wait, for ever on a regular file, until nobody reads the output any more."""
        await self.send(self._real_wait_reader_gone)

    async def identities(self) -> set[Identity]:
        """Every file that is or was the output in this run; it grows with each reopening."""
        return await self.call(lambda: self._opened.identities)

    async def hurry(self) -> None:
        """Tell a write that waits for its output that the run is to end."""
        await self.call(self._opened.hurry)

    # on the thread's own loop

    @property
    def _opened(self) -> Output:
        if self.output is None:
            raise OutputError("the output is not open")
        return self.output

    async def _open_output(self) -> None:
        self._turn = asyncio.Lock()
        output = self._choose_output()
        output.open()
        self.output = output

    def _choose_output(self) -> Output:
        path = self.output_path
        try:
            named = path != "-" and stat.S_IFMT(self.system.stat(path).st_mode)
        except OSError:
            named = stat.S_IFREG  # a new one; what else is wrong open() will say
        if named in (stat.S_IFREG, stat.S_IFDIR):
            return NamedFile(
                path, self.system, self._report, self._patience, self._audience, self._overwrite
            )
        return Stream(path, self.system, self._report, self._patience)

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[Output]:
        """One batch after the other: while one waits for its output, all wait."""
        assert self._turn is not None
        async with self._turn:
            yield self._opened

    async def _real_write(self, data: bytes) -> None:
        async with self._in_turn() as output:
            await output.append(Batch((), len(data)), (data,))

    async def _real_forward(self, source: Source, until: int | None, last: bool) -> Progress:
        moved = 0
        torn = False
        async with self._in_turn() as output:
            if source.orphan:
                await output.append(Batch((), len(source.orphan) + 1), (source.orphan, b"\n"))
                source.orphan = b""
            at_end = False
            while moved < HOP and not at_end:
                chunk = source.read(self._buffer, until)
                if chunk.cut > chunk.begin:
                    at_end = chunk.at_end
                    length = chunk.cut - chunk.begin
                    batch = self._batch(source, source.offset + length)
                    await output.append(batch, (memoryview(self._buffer)[chunk.begin : chunk.cut],))
                    source.advance(self._buffer, chunk)
                    moved += length
                elif chunk.at_end:
                    source.scanned = source.offset
                    at_end = True
                else:
                    end, at_end = source.find_long_end(self._buffer, until)
                    if end is None:
                        break
                    length = end - source.offset
                    torn = not await self._copy(output, source, end, ended=True)
                    moved += length
            rest = source.rest
            if last and at_end and rest > source.offset:
                moved += rest - source.offset
                torn = not await self._copy(output, source, rest, ended=False)
        hole, source.hole = source.hole, 0
        return Progress(moved, not at_end, source.rest - source.offset, hole, torn)

    async def _copy(self, output: Output, source: Source, end: int, ended: bool) -> bool:
        """Append all up to `end` as one line; False where the file was cut meanwhile."""
        whole = True

        def pieces() -> Iterator[bytes | memoryview]:
            nonlocal whole
            try:
                yield from source.pieces(self._buffer, end)
            except Torn:
                whole = False
            if not (ended and whole):
                yield b"\n"

        batch = self._batch(source, end, added=0 if ended else 1)
        await output.append(batch, pieces())
        source.advance_to(end)
        return whole

    async def _real_pump(self, stream: InputStream) -> Progress:
        data = await stream.read()  # not in turn: it may take for ever
        if not data:
            if data is not None:
                await self._real_pump_rest(stream)
            return Progress(0, False, len(stream.carry))
        cut = data.rfind(b"\n") + 1
        if cut:
            length = len(stream.carry) + cut
            async with self._in_turn() as output:
                span = Span(stream.number, stream.offset, stream.offset + length)
                pieces = itertools.chain(stream.carry.take(), (data[:cut],))
                await output.append(Batch((span,), length), pieces)
                stream.offset += length
        if cut < len(data):
            stream.carry.add(data[cut:])
        return Progress(len(data), True, len(stream.carry))

    async def _real_pump_rest(self, stream: InputStream) -> None:
        length = len(stream.carry)
        if not length:
            return
        async with self._in_turn() as output:
            span = Span(stream.number, stream.offset, stream.offset + length)
            pieces = itertools.chain(stream.carry.take(), (b"\n",))
            await output.append(Batch((span,), length + 1), pieces)
            stream.offset += length

    @staticmethod
    def _batch(source: Source, end: int, added: int = 0) -> Batch:
        return Batch((Span(source.number, source.offset, end),), end - source.offset + added)

    async def _real_wait_reader_gone(self) -> None:
        output = self._opened
        if isinstance(output, Stream):
            await output.reader_gone.wait()
        else:
            await asyncio.Event().wait()

    async def before_stop(self) -> None:
        """What was sent is written, as far as the output takes it; then all is closed."""
        if self.output:
            self.output.hurry()
        if self._turn:
            async with self._turn:
                pass
        if self.output:
            self.output.close()
