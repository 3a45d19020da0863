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
from tailmerge.feed import HOP, Feed, Progress
from tailmerge.order import ROOM, Block, Key, Order, Queue, Taken, fill_keys, raise_keys
from tailmerge.position import MARKER
from tailmerge.report import Report
from tailmerge.route import Route, Turn
from tailmerge.source import Source, Written
from tailmerge.stream import Carry
from tailmerge.timekeeper import Clocks, Timekeeper
from tailmerge.timestamps import Clock

SILENT_LINES = 100
"""So many lines without a time, and it is said that there is none."""


@dataclass(slots=True, eq=False)
class _Input:
    """What is known of one input while it is merged by time."""

    name: str
    queue: Queue
    clocks: Clocks
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


class Ordered(Route):
    """Forwards lines by the times in them; on the thread that owns the files."""

    def __init__(
        self, in_turn: Turn, keeper: Timekeeper, window: float | None, report: Report
    ) -> None:
        """`window` in seconds; None: everything is there, no line waits by a clock."""
        self._in_turn = in_turn
        self._keeper = keeper
        self._order = Order(window)
        self._report = report
        self._inputs: dict[Feed, _Input] = {}
        self._buffer = bytearray(MARKER + ROOM)
        self._news = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._high: tuple[Clock, bytes] | None = None
        """The latest line that was written, and its clock."""
        self.patience = window
        """How long a stream must say nothing to have no backlog any more, seconds."""

    # the inputs

    def enrol(self, feeds: Iterable[Feed], *, backlog: bool) -> None:
        """These inputs take part, in this order; `backlog`: what they hold now comes first."""
        for feed in feeds:
            queue = self._order.enrol(self._keeper.low, backlog=backlog)
            self._inputs[feed] = _Input(feed.name, queue, Clocks(self._keeper.make_clock))
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write_on())

    def pause(self, feed: Feed) -> None:
        """The input was read to its end for now: its backlog is over."""
        if self._order.window is not None:
            self._inputs[feed].queue.backlog = False
            self._news.set()

    def finish(self, feed: Feed) -> None:
        """Nothing more comes of this input."""
        entered = self._inputs[feed]
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

    async def forward(
        self, feed: Feed, source: Source, until: int | None, last: bool, again: bool
    ) -> Progress:
        """Read the source's next whole lines into its queue; see `WriteThread.forward`."""
        entered = self._inputs[feed]
        begin, at_end = source.offset, False
        if again:
            source.read_ahead()
        if source.orphan:
            orphan, source.orphan = source.orphan + b"\n", b""
            self._add(entered, orphan, 0, len(orphan), _Origin(self._find_clock(entered, source)))
        while source.offset - begin < HOP and not at_end:
            await self._wait_for_room(entered)
            chunk = source.read(self._buffer, until)
            at_end = chunk.at_end
            if chunk.cut > chunk.begin:
                data = bytes(memoryview(self._buffer)[chunk.begin : chunk.cut])
                origin, start = self._find_origin(entered, source), source.offset
                source.advance(self._buffer, chunk)
                self._add(entered, data, start, source.offset, origin)
            elif not at_end:
                end, at_end = source.find_long_end(self._buffer, until)
                if end is None:
                    break
                self._add_line(entered, source, end)
        if last and at_end and source.rest > source.offset:
            self._add_line(entered, source, source.rest)
        hole, source.hole = source.hole, 0
        moved = source.offset - begin
        return Progress(moved, not at_end, source.rest - source.offset, hole)

    async def append_stream(self, feed: Feed, carry: Carry, data: bytes) -> None:
        """Put the lines of a stream into its queue; `data` ends what was carried."""
        entered = self._inputs[feed]
        await self._wait_for_room(entered)
        lines = b"".join([*carry.pieces(), data])
        start = entered.offset
        entered.offset += len(lines)
        self._add(entered, lines, start, entered.offset, _Origin(entered.clocks.of(0)))

    def _find_origin(self, entered: _Input, source: Source) -> _Origin:
        clock = self._find_clock(entered, source)
        return _Origin(clock, source.number, source.written, source.marker)

    @staticmethod
    def _find_clock(entered: _Input, source: Source) -> Clock:
        return entered.clocks.of(source.number, source.modified)

    def _add_line(self, entered: _Input, source: Source, end: int) -> None:
        """One line, held in memory, which is longer than a block or has no newline."""
        start, origin = source.offset, self._find_origin(entered, source)
        line = b"".join(bytes(piece) for piece in source.pieces(self._buffer, start, end))
        source.advance_to(end)
        whole = line if line.endswith(b"\n") else line + b"\n"
        self._add(entered, whole, start, end, origin)

    def _add(self, entered: _Input, data: bytes, start: int, end: int, origin: _Origin) -> None:
        """Put whole lines behind what waits of this input already."""
        texts = data.split(b"\n")
        texts.pop()
        keys, own = self._find_keys(entered, texts, origin.clock)
        now = asyncio.get_running_loop().time()
        block = Block(keys, texts, own, data, start, end, None, origin, now)
        entered.queue.add(block)
        entered.lines += len(texts)
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
        self, entered: _Input, texts: list[bytes], clock: Clock
    ) -> tuple[list[Key], int | None]:
        """The keys of lines, and the last one that has a time of its own."""
        keeper, queue = self._keeper, entered.queue
        if keeper.is_raw:
            raw = keeper.find_raw(clock, texts)
            if raw is not None:
                keys = raise_keys(raw, queue.last)
                return keys, len(keys) - 1
            self._leave_raw()
        return fill_keys(clock.find_times(texts), queue.last)

    def _leave_raw(self) -> None:
        """What waits gets keys that can be compared with those of any other format."""
        self._keeper.leave_raw()
        for entered in self._inputs.values():
            queue = entered.queue
            queue.low, queue.shown = self._keeper.low, None
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
            self._report.no_times(entered.name)

    # writing

    async def _write_on(self) -> None:
        """Write what may go, for ever."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._news.clear()
                taken = self._order.take(loop.time())
                if taken:
                    await self._write(taken)
                    self._make_room()
                elif self._order.is_ending:
                    return
                else:
                    await self._wait_for_news(loop.time())
        finally:
            self._make_room()

    def _make_room(self) -> None:
        for entered in self._inputs.values():
            entered.room.set()

    async def _wait_for_news(self, now: float) -> None:
        wake = self._order.find_wake(now)
        try:
            await asyncio.wait_for(self._news.wait(), None if wake is None else wake - now)
        except TimeoutError:
            pass  # something is ripe

    async def _write(self, taken: Sequence[Taken]) -> None:
        texts = self._sort(taken)
        data = b"\n".join(texts) + b"\n" if texts else b""
        reached = {}
        spans = []
        for span, written in self._find_spans(taken):
            spans.append(span)
            reached[span.source] = (written, span)
        async with self._in_turn() as output:
            await output.append(lines_batch(data, tuple(spans), again=False))
            for written, span in reached.values():
                written.offset, written.marker = span.end, span.marker

    def _sort(self, taken: Sequence[Taken]) -> list[bytes]:
        """The texts of all of these, by their keys, equal ones in the order of the inputs."""
        order, keeper = self._order, self._keeper
        for part in taken:
            order.pass_by(part, keeper.low)
        texts = list(itertools.chain.from_iterable(t.block.texts[t.start : t.end] for t in taken))
        keys = list(itertools.chain.from_iterable(t.block.keys[t.start : t.end] for t in taken))
        indices = sorted(range(len(keys)), key=keys.__getitem__)
        if keeper.is_raw and indices:
            self._high = (taken[0].block.origin.clock, texts[indices[-1]])
        return [texts[index] for index in indices]

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
