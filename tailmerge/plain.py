"""The plain way out: whole lines go from an input to the output as they are.

One read, one cut at the last newline, one append for each block: no line is looked at by
itself. Of many sources that grew by a little there is one append for all, of a file with much
more to give one for many blocks (stretch.py). A line that is longer than a block is copied from
its file while it is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tailmerge.batch import EDGE, Batch, Bytes, Span, lines_batch
from tailmerge.feed import HOP, Asked, Feed, Progress
from tailmerge.lines import BLOCK, Chunk
from tailmerge.output import Output
from tailmerge.position import MARKER
from tailmerge.report import still_owes
from tailmerge.route import OF_SOURCE, Growth, Route, Turn
from tailmerge.source import BUFFER, Rewritten, Source, Torn
from tailmerge.stream import Carry
from tailmerge.stretch import copy_stretch

MOST_SPANS = 50
"""So many sources at most in one batch: after a kill all of them are opened at once."""


class Plain(Route):
    """Forwards lines unchanged; on the thread that owns the files."""

    def __init__(self, in_turn: Turn) -> None:
        self._in_turn = in_turn
        self._buffer = bytearray(BUFFER)
        self._buffers = self._buffer, bytearray(BUFFER)

    async def forward(self, feed: Feed, source: Source, asked: Asked) -> Progress:
        """Append the source's next whole lines; see `WriteThread.forward`."""
        async with self._in_turn as output:
            return await self._forward(output, source, asked)

    async def _forward(self, output: Output, source: Source, asked: Asked) -> Progress:
        until, last, again = asked.until, asked.last, asked.again
        begin = source.offset
        torn = at_end = False
        if source.orphan:
            orphan, source.orphan = source.orphan + b"\n", b""
            await output.append(lines_batch(orphan, (), again=False))
        while source.offset - begin < HOP and not at_end:
            if again and await copy_stretch(output, source, self._buffers, until):
                break
            chunk = source.read(self._buffer, until)
            at_end = chunk.at_end
            if chunk.cut > chunk.begin:
                span, lines = self._take_lines(source, chunk)
                await output.append(lines_batch(lines, (span,) if again else (), again=again))
            elif not at_end:
                end, at_end = source.find_long_end(self._buffer, until)
                if end is None:
                    break
                torn = not await self._append_line(output, source, end, b"", again)
                if torn:
                    break  # said first; the next read finds the file rewritten
        if last and at_end and source.rest > source.offset:
            torn = not await self._append_line(output, source, source.rest, b"\n", again)
        return _progress(source, begin, more=not at_end, torn=torn)

    async def forward_all(self, grown: Sequence[Growth]) -> Sequence[Progress | Exception]:
        """Append what these have grown by: little of many in one batch."""
        outcomes: list[Progress | Exception] = []
        async with self._in_turn as output:
            pending = _Pending(output)
            for _, source in grown:
                try:
                    outcomes.append(await self._forward_growth(pending, source))
                except OF_SOURCE as error:
                    outcomes.append(error)
            await pending.append()
        return outcomes

    async def _forward_growth(self, pending: _Pending, source: Source) -> Progress:
        begin = source.offset
        if not source.orphan:
            chunk = source.read(self._buffer)
            if chunk.cut > chunk.begin:
                await pending.add(*self._take_lines(source, chunk))
            if chunk.at_end:
                return _progress(source, begin)
        await pending.append()
        progress = await self._forward(pending.output, source, Asked())
        return progress._replace(moved=source.offset - begin)

    def _take_lines(self, source: Source, chunk: Chunk) -> tuple[Span, memoryview]:
        """The chunk's lines; the source is behind them from now on.

        Whatever the append waits for, nobody else reads these lines again: a copy that is
        found of the file meanwhile goes on behind them.
        """
        start = source.offset
        source.advance(self._buffer, chunk)
        span = Span(source.number, start, source.offset, source.marker)
        return span, memoryview(self._buffer)[chunk.begin : chunk.cut]

    async def _append_line(
        self, output: Output, source: Source, end: int, added: bytes, again: bool
    ) -> bool:
        """Append all up to `end` as one line; False where the file was cut meanwhile.

        A read error in the middle ends the line and is raised: it comes whole later.
        """
        start, marker, whole = source.offset, source.marker, True
        failed: OSError | None = None
        edge = min(EDGE, end - start)
        first = source.read_at(edge, start)
        last = source.read_at(edge, end - edge)
        if len(first) == len(last) == edge:
            source.advance_to(end)  # before the append, as in _take_lines
        if source.offset != end or len(source.marker) < min(MARKER, end):
            # Cut since its end was found, before anything of it was written.
            source.offset, source.scanned, source.marker = start, start, marker
            source.cut = True
            raise Rewritten(source.path)
        span = Span(source.number, start, end, source.marker)
        length = end - start + len(added)
        last = (last + added)[-EDGE:]

        def pieces(skip: int) -> Iterator[Bytes]:
            nonlocal whole, failed
            whole, failed = True, None  # of the last copying: it was copied to be kept, too
            try:
                yield from source.pieces(self._buffer, start + skip, end)
            except Torn:
                whole = False
                yield b"\n"
            except OSError as error:
                failed = error
                yield b"\n"
            else:
                yield added

        def whole_lines(count: int) -> int:
            return count if count == length else 0

        spans, first = (span,) if again else (), (first + added)[:EDGE]
        await output.append(Batch(spans, length, first, last, pieces, whole_lines, again))
        if failed:
            source.offset, source.scanned, source.marker = start, start, marker
            raise failed
        return whole

    async def append_stream(self, feed: Feed, carry: Carry, data: bytes) -> None:
        """Append what was carried of a stream, and the lines that end it."""
        batch = carry.batch(data)
        async with self._in_turn as output:
            await output.append(batch)


class _Pending:
    """Lines of several sources that go out together."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self._spans: list[Span] = []
        self._parts: list[bytes] = []
        self._size = 0

    async def add(self, span: Span, lines: memoryview) -> None:
        """Add lines that are not there for long."""
        if self._size + len(lines) > BLOCK or len(self._spans) == MOST_SPANS:
            await self.append()
        self._spans.append(span)
        self._parts.append(bytes(lines))
        self._size += len(lines)

    async def append(self) -> None:
        """Append what was added."""
        if self._spans:
            batch = lines_batch(b"".join(self._parts), tuple(self._spans))
            self._spans, self._parts, self._size = [], [], 0
            try:
                await self.output.append(batch)
            except OSError as error:  # of none of the sources that are read here
                raise still_owes(self.output.path, error.strerror or str(error)) from error


def _progress(source: Source, begin: int, *, more: bool = False, torn: bool = False) -> Progress:
    hole, source.hole = source.hole, 0
    return Progress(source.offset - begin, more, source.rest - source.offset, hole, torn)
