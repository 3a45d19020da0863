"""The way out for lines that do not go out as they are: filtered, labelled, JSON, records.

What is written is no function of its spans alone, so the journal keeps it beside itself until
it is settled; but for lines that only get a label, which the journal tells. Blocks of which
little is left are written together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tailmerge.batch import Batch, Bytes, Span, labelled_batch, lines_batch
from tailmerge.feed import TURN_SECONDS, Asked, Feed, Progress
from tailmerge.lines import BLOCK, end_line
from tailmerge.position import MARKER
from tailmerge.reading import Piece, Reading, keep_at_hand
from tailmerge.records import OpenEnd
from tailmerge.route import Route, Turn
from tailmerge.shape import Shape
from tailmerge.source import Source
from tailmerge.stream import Carry
from tailmerge.timekeeper import Clocks, MakeClock

Append = Callable[[Batch], Awaitable[None]]

MOST = 16 * 1024 * 1024
"""Bytes forwarded from one source before another one gets its turn, where the time allows it."""

JSON_BLOCK = BLOCK // 4
"""Bytes that become JSON at a time: one call for all of them keeps other threads waiting."""


@dataclass(slots=True, eq=False)
class _Input:
    """What is kept of one input."""

    feed: Feed
    clocks: Clocks | None
    rest: OpenEnd
    """Of a stream."""
    offset: int = 0
    """Bytes of a stream that are written or dropped."""


@dataclass(slots=True)
class _Pending:
    """What is shaped and not yet appended, of one source."""

    source: Source
    again: bool
    start: int
    end: int
    label: bytes = b""
    """That of its lines, where that is all that they get."""
    parts: list[Bytes] = field(default_factory=list)
    size: int = 0


class Shaped(Route):
    """Forwards lines as they are to look; on the thread that owns the files."""

    def __init__(
        self,
        in_turn: Turn,
        shape: Shape,
        make_clock: MakeClock | None,
        window: float | None,
    ) -> None:
        """`make_clock` where times are shown; `window` is how long a stream's open record
        waits for its next line, seconds."""
        keep_at_hand()
        self._in_turn = in_turn
        self._shape = shape
        self._make_clock = make_clock
        self._reading = Reading(MARKER + (JSON_BLOCK if shape.as_json else BLOCK), shape.records)
        self._inputs: dict[Feed, _Input] = {}
        if shape.records:
            self.patience = window

    def _enter(self, feed: Feed) -> _Input:
        if feed not in self._inputs:
            clocks = Clocks(self._make_clock) if self._make_clock else None
            self._inputs[feed] = _Input(feed, clocks, OpenEnd(self._shape.records))
        return self._inputs[feed]

    # files

    async def forward(self, feed: Feed, source: Source, asked: Asked) -> Progress:
        """Append the source's next whole lines, or records; see `WriteThread.forward`."""
        entered, begin = self._enter(feed), source.offset
        async with self._in_turn as output:
            pending = _Pending(source, asked.again, begin, begin)
            if source.orphan:
                orphan, source.orphan = end_line(source.orphan), b""
                if shaped := self._shape.apply(feed, orphan, 0):
                    await output.append(lines_batch(shaped, (), again=False))
            if self._shape.is_label and output.has_again:
                pending.label = self._shape.find_label(feed)
            at_end, now = False, asyncio.get_running_loop().time
            late = now() + TURN_SECONDS
            try:
                while not at_end and source.offset - begin < MOST and now() < late:
                    piece = self._reading.read(
                        source, asked.until, last=asked.last, close=asked.close
                    )
                    at_end = piece.at_end
                    if not (piece.has_lines or at_end):
                        break  # a long line whose end was not found yet
                    if piece.has_lines:
                        self._shape_piece(entered, pending, piece)
                    if pending.size >= BLOCK:
                        await self._append(output.append_behind, pending)
            finally:
                await self._append(output.append, pending)
        hole, source.hole = source.hole, 0
        moved = source.offset - begin
        return Progress(moved, not at_end, source.rest - source.offset, hole)

    def _shape_piece(self, entered: _Input, pending: _Pending, piece: Piece) -> None:
        source = pending.source
        clock = entered.clocks.of(source.number, source.modified) if entered.clocks else None
        if not pending.parts:
            pending.start = piece.start  # behind a hole
        shaped = self._shape.apply_in(entered.feed, piece.window, piece.start, clock)
        pending.end = piece.end
        pending.parts.append(shaped)
        pending.size += len(shaped)

    async def _append(self, append: Append, pending: _Pending) -> None:
        """Append what is pending, be it nothing: what was dropped is behind us, too."""
        data = pending.parts[0] if len(pending.parts) == 1 else b"".join(pending.parts)
        source, start, end = pending.source, pending.start, pending.end
        pending.parts, pending.size, pending.start = [], 0, end
        if end > start or data:
            moved = pending.again and end > start
            spans = (Span(source.number, start, end, source.marker),) if moved else ()
            if spans and pending.label:
                await append(labelled_batch(data, spans, pending.label))
            else:
                await append(lines_batch(data, spans, again=False))

    # streams

    async def append_stream(self, feed: Feed, carry: Carry, data: bytes) -> None:
        """Append the lines of a stream; `data` ends what was carried."""
        entered = self._enter(feed)
        lines = entered.rest.add(b"".join([*carry.pieces(), data]))
        await self._append_lines(entered, lines)

    async def pause(self, feed: Feed) -> None:
        """The stream was silent for the window: its open record is closed."""
        await self.finish(feed)

    async def finish(self, feed: Feed) -> None:
        """Nothing more comes of the stream: what is kept of it goes out."""
        entered = self._enter(feed)
        await self._append_lines(entered, entered.rest.close())

    async def _append_lines(self, entered: _Input, lines: bytes) -> None:
        if lines:
            clock = entered.clocks.of(0) if entered.clocks else None
            shaped = self._shape.apply(entered.feed, lines, entered.offset, clock)
            entered.offset += len(lines)
            if shaped:
                async with self._in_turn as output:
                    await output.append(lines_batch(shaped, (), again=False))
