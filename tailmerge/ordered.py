"""The way out by time: lines are read ahead, wait for their place, and go out in order.

Each input is read into a queue of its own (order.py), as far as there is room; one task
writes what may go. A source that is read ahead remembers up to where its lines are in the
output (`Source.written`): that alone is its position, so that a kill only makes lines be
read again. What goes out together is no function of its spans alone, so the journal keeps it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tailmerge.batch import Span, lines_batch
from tailmerge.feed import HOP, Asked, Feed, Progress
from tailmerge.lines import end_line
from tailmerge.order import Block, Key, Order, Queue, Taken, fill_keys, raise_keys
from tailmerge.position import MARKER, Written
from tailmerge.reading import Reading, keep_at_hand
from tailmerge.records import OpenEnd, Records
from tailmerge.report import Report
from tailmerge.route import Route, Turn
from tailmerge.shape import Shape
from tailmerge.source import Source
from tailmerge.stream import Carry
from tailmerge.timekeeper import Clocks, Timekeeper
from tailmerge.timestamps import Clock
from tailmerge.weave import weave

SILENT_LINES = 100
"""So many lines without a time, and it is said that there is none."""


@dataclass(slots=True, eq=False)
class _Input:
    """What is known of one input while it is merged by time."""

    feed: Feed
    queue: Queue
    clocks: Clocks
    rest: OpenEnd
    """Of a stream."""
    room: asyncio.Event = field(default_factory=asyncio.Event)
    lines: int = 0
    offset: int = 0
    """Bytes that came of a stream so far."""
    is_silence_said: bool = False


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where the lines of a block come from."""

    clock: Clock
    number: int = 0
    """The source's number in the journal."""
    written: Written | None = None
    """None: the journal does not tell of it."""
    before: bytes = b""
    """The bytes before the block, at most `MARKER` of them."""


def _dress(block: Block, shape: Shape, feed: Feed, times: list[int | None]) -> None:
    """Leave of a block the lines that are kept, as they go out."""
    lines, keys = block.texts, block.keys
    behind = itertools.accumulate((len(line) + 1 for line in lines), initial=block.start)
    offsets = list(behind)
    kept = [i for i, keeps in enumerate(shape.find_kept(block.data, lines)) if keeps]
    of_kept = [times[i] for i in kept]
    starts = [offsets[i] for i in kept]
    block.texts = shape.dress_lines(feed, [lines[i] for i in kept], starts, of_kept)
    block.keys = [keys[i] for i in kept]
    block.ends = starts[1:]
    if block.own is not None:
        block.own = max((n for n, time in enumerate(of_kept) if time is not None), default=None)


class Ordered(Route):
    """Forwards lines by the times in them; on the thread that owns the files."""

    def __init__(
        self,
        in_turn: Turn,
        keeper: Timekeeper,
        window: float | None,
        report: Report,
        shape: Shape | None = None,
        records: Records | None = None,
    ) -> None:
        """`window` in seconds; None: everything is there, no line waits by a clock."""
        self._in_turn = in_turn
        self._keeper = keeper
        self._shape = shape
        self._records = records
        self._order = Order(window, holds_last=records is None)
        self._reading = Reading(MARKER + self._order.room, records)
        keep_at_hand()
        self._report = report
        self._inputs: dict[Feed, _Input] = {}
        self._news = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._high: tuple[Clock, bytes] | None = None
        """The latest line that was written, and its clock."""
        self.patience = window
        """How long a stream must say nothing to have no backlog any more, seconds."""

    # the inputs

    def enrol(self, feeds: Iterable[Feed], *, backlog: bool) -> None:
        """These inputs take part, in this order; `backlog`: what they hold now comes first."""
        room = self._order.room
        for feed in feeds:
            queue = self._order.enrol(self._keeper.low, backlog=backlog)
            self._inputs[feed] = _Input(
                feed, queue, Clocks(self._keeper.make_clock), OpenEnd(self._records)
            )
        if self._order.room != room:
            self._reading = Reading(MARKER + self._order.room, self._records)
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write_on())

    async def pause(self, feed: Feed) -> None:
        """The input was read to its end for now: its backlog is over."""
        self._add_stream(self._inputs[feed], self._inputs[feed].rest.close())
        if self._order.window is not None:
            self._inputs[feed].queue.backlog = False
            self._news.set()

    async def finish(self, feed: Feed) -> None:
        """Nothing more comes of this input."""
        entered = self._inputs[feed]
        self._add_stream(entered, entered.rest.close())
        entered.queue.over = True
        self._say_silent(entered, 1)
        self._news.set()

    async def settle(self) -> None:
        """Write all that waits, whatever its time; nothing is read any more."""
        for entered in self._inputs.values():
            entered.queue.over = True
        if self._writing:
            self._order.is_ending = True
            self._news.set()
            await self._writing
        if self._order.late:
            self._report.lines_late(self._order.late)
            self._order.late = 0

    # reading

    async def forward(self, feed: Feed, source: Source, asked: Asked) -> Progress:
        """Read the source's next whole lines into its queue; see `WriteThread.forward`."""
        entered = self._inputs[feed]
        begin, at_end = source.offset, False
        if asked.again:
            source.read_ahead()
        if source.orphan:
            orphan, source.orphan = end_line(source.orphan), b""
            clock = entered.clocks.of(source.number, source.modified)
            self._add(entered, orphan, 0, len(orphan), _Origin(clock))
        while source.offset - begin < HOP and not at_end:
            await self._wait_for_room(entered)
            piece = self._reading.read(source, asked.until, last=asked.last, close=asked.close)
            at_end = piece.at_end
            if piece.has_lines:
                clock = entered.clocks.of(source.number, source.modified)
                origin = _Origin(clock, source.number, source.written, piece.before)
                self._add(entered, piece.data, piece.start, piece.end, origin)
            elif not at_end:
                break  # a long line whose end was not found yet
        hole, source.hole = source.hole, 0
        moved = source.offset - begin
        return Progress(moved, not at_end, source.rest - source.offset, hole)

    async def append_stream(self, feed: Feed, carry: Carry, data: bytes) -> None:
        """Put the lines of a stream into its queue; `data` ends what was carried."""
        entered = self._inputs[feed]
        await self._wait_for_room(entered)
        self._add_stream(entered, entered.rest.add(b"".join([*carry.pieces(), data])))

    def _add_stream(self, entered: _Input, lines: bytes) -> None:
        if lines:
            start = entered.offset
            entered.offset += len(lines)
            self._add(entered, lines, start, entered.offset, _Origin(entered.clocks.of(0)))

    def _add(self, entered: _Input, data: bytes, start: int, end: int, origin: _Origin) -> None:
        """Put whole lines behind what waits of this input already."""
        lines = data.split(b"\n")
        lines.pop()
        entered.lines += len(lines)
        keys, own, times = self._find_keys(entered, lines, origin.clock)
        shown = None if own is None else keys[-1]
        now = asyncio.get_running_loop().time()
        block = Block(keys, lines, own, data, start, end, None, origin, now)
        if self._shape:
            _dress(block, self._shape, entered.feed, times)
        entered.queue.add(block, shown)
        self._say_silent(entered, SILENT_LINES)
        self._news.set()

    async def _wait_for_room(self, entered: _Input) -> None:
        while not self._order.has_room(entered.queue):
            assert self._writing
            if self._writing.done():
                await self._writing  # it failed: so does whoever waits for it
                return
            entered.room.clear()
            await entered.room.wait()

    # times

    def _find_keys(
        self, entered: _Input, lines: list[bytes], clock: Clock
    ) -> tuple[list[Key], int | None, list[int | None]]:
        """The keys of lines, the last one that has a time of its own, and their times, which
        are not looked for where nobody shows them."""
        keeper, queue = self._keeper, entered.queue
        if keeper.is_raw:
            raw = keeper.find_raw(clock, lines)
            if raw is not None:
                keys = raise_keys(raw, queue.last)
                return keys, len(keys) - 1, []
            self._leave_raw()
        times = clock.find_times(lines)
        if self._records:
            begins = self._records.begins
            owned = [t if begins(line) else None for line, t in zip(lines, times, strict=True)]
            return *fill_keys(owned, queue.last), times
        return *fill_keys(times, queue.last), times

    def _leave_raw(self) -> None:
        """What waits gets keys that can be compared with those of any other format."""
        self._keeper.leave_raw()
        for entered in self._inputs.values():
            queue = entered.queue
            queue.low = self._keeper.low
            queue.shown = None if queue.shown is None else queue.low  # it has shown times
            for block in queue.blocks:
                times = block.origin.clock.find_times(block.texts)
                block.keys, block.own = fill_keys(times, queue.last)
                if block.own is not None:
                    queue.shown = block.keys[-1]
        if self._high:
            clock, text = self._high
            self._order.high = clock.find_time(text)

    def _say_silent(self, entered: _Input, lines: int) -> None:
        """A file in whose lines no time is recognised: said once."""
        silent = entered.queue.is_silent() and entered.lines >= lines
        if silent and not entered.is_silence_said:
            entered.is_silence_said = True
            relative = entered.clocks.are_relative
            self._report.no_times(entered.feed.name, relative=relative)

    # writing

    async def _write_on(self) -> None:
        """Write what may go, for ever."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._news.clear()
                now = loop.time()
                taken = self._order.take(now)
                if taken:
                    await self._write(taken)
                    self._make_room()
                elif self._order.is_ending:
                    return
                else:
                    await self._wait_for_news(now)
        finally:
            self._make_room()

    def _make_room(self) -> None:
        for entered in self._inputs.values():
            entered.room.set()

    async def _wait_for_news(self, now: float) -> None:
        """Until there is something new, or something is ripe that was not `now`."""
        wake = self._order.find_wake(now)
        try:
            await asyncio.wait_for(self._news.wait(), None if wake is None else wake - now)
        except TimeoutError:
            pass  # something is ripe

    async def _write(self, taken: Sequence[Taken]) -> None:
        texts = self._sort(taken)
        texts.append(b"")  # the last line ends, too
        data = b"\n".join(texts)
        reached = {}
        spans = []
        for span, written in self._find_spans(taken):
            spans.append(span)
            reached[span.source] = (written, span)
        async with self._in_turn as output:
            await output.append(lines_batch(data, tuple(spans), again=False))
            for written, span in reached.values():
                written.offset, written.marker = span.end, span.marker

    def _sort(self, taken: Sequence[Taken]) -> list[bytes]:
        """The texts of all of these, by their keys, equal ones in the order of the inputs."""
        order, keeper = self._order, self._keeper
        for part in taken:
            order.pass_by(part, keeper.low)
        texts = weave([part.lines() for part in taken])
        if keeper.is_raw and texts:
            self._high = (taken[0].block.origin.clock, texts[-1])
        return texts

    @staticmethod
    def _find_spans(taken: Sequence[Taken]) -> Iterable[tuple[Span, Written]]:
        """Up to where each source is written with these, one span a source."""
        parts: dict[int, list[Taken]] = {}
        for part in taken:
            if part.block.origin.written:
                parts.setdefault(part.block.origin.number, []).append(part)
        for number, those in parts.items():
            last = those[-1]
            behind = last.offset - last.block.start
            marker = last.block.data[max(0, behind - MARKER) : behind]
            marker = (last.block.origin.before + marker)[-MARKER:]
            span = Span(number, those[0].begin, last.offset, marker)
            yield span, last.block.origin.written
