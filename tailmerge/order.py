"""Which line goes next: by time, within a window. No I/O, and no clock of its own.

Each input has a queue of blocks whose keys never step back: a line without a time has the
key of the line above it, one that steps back has its predecessor's. So a queue is sorted,
and what may go is everything up to a bound, a key and the number of an input: equal keys
keep the order of the inputs.

The bound is the furthest of these:

- what every input has shown: none of them can bring anything earlier. As long as one of them
  has a backlog, one that it had before its end was first reached, only those count. One whose
  lines have no time so far counts while it has a backlog, for as long as the window at most;
- behind the backlogs: what came in longer ago than the window;
- what is written already: a line that belongs before it is late, and waits for nothing;
- where more than `MOST` bytes wait: half of them.

The last line of a queue is held until nothing came for half of the window, or for the window:
lines that belong to it may follow. Whatever comes behind it in order waits as long, but for no
more than half of the window longer than for the window: an input whose times lag behind, and
which is never quiet, would hold up all others. With more than `MOST` bytes of them it is held no
longer.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST = 32 * 1024 * 1024
"""Bytes that wait for their place, at most; then they no longer wait for the whole window."""

ROOM = 64 * 1024, 128 * 1024
"""Bytes of one input that are read at a time, and that wait while there is a backlog: for
many inputs, and for few."""
ROUND = 512 * 1024
"""Bytes of all inputs that are sorted at a time, as far as `ROOM` allows: what is done for each
round costs less the more is done in it, until it no longer fits the processor's own memory."""

LONGEST = 1.5
"""Windows that a line waits behind what others hold, at most."""

Key = Any
"""Nanoseconds since the epoch, or the bytes of a time that can be compared as they are."""

LAST = float("inf")


@dataclass(slots=True, eq=False)
class Block:
    """Lines of one input that were read together, and where they stand in its file."""

    keys: list[Key]
    texts: list[bytes]
    """The lines without their newlines, as they are to be written."""
    own: int | None
    """The index of the last line that has a time of its own; None: no line has one."""
    data: bytes
    """What was read."""
    start: int = 0
    """The offset of its first byte, bytes."""
    end: int = 0
    """The offset behind its last byte; a newline that was added is not counted."""
    ends: Sequence[int] | None = None
    """The offset behind each line, where it cannot be told from the texts."""
    origin: Any = None
    """Where the lines come from, for whoever reads and writes them."""
    arrived: float = 0.0
    """When it was read, seconds."""
    at: int = 0
    """How many of the lines are taken."""
    offset: int = 0
    """The offset behind the ones that are taken, bytes."""

    def take(self, count: int) -> Taken:
        """Take all lines up to the index `count`."""
        start, begin = self.at, self.offset
        if count >= len(self.texts):
            self.offset = self.end
        elif self.ends is not None:
            self.offset = self.ends[count - 1] if count else self.offset
        else:
            left = len(self.texts) - count
            if left < count - start:  # counted from behind, since each line costs something
                rest = sum(map(len, self.texts[count:])) + left
                self.offset = self.start + len(self.data) - rest
            else:
                self.offset += sum(map(len, self.texts[start:count])) + count - start
        self.at = count
        return Taken(self, start, count, begin, self.offset)


@dataclass(frozen=True, slots=True)
class Taken:
    """Lines of a block that are written next."""

    block: Block
    start: int
    """The index of the first one."""
    end: int
    """The index behind the last one."""
    begin: int
    """The offset of the first one's first byte."""
    offset: int
    """The offset behind the last one."""

    def lines(self) -> tuple[list[Key], list[bytes]]:
        """The lines' keys, and the lines."""
        keys, texts = self.block.keys, self.block.texts
        if self.end - self.start == len(texts):
            return keys, texts
        return keys[self.start : self.end], texts[self.start : self.end]


@dataclass(slots=True, eq=False)
class Queue:
    """What was read of one input and is not written yet."""

    number: int
    """Its place among the inputs."""
    low: Key
    """Less than any key: of lines above which there is no time."""
    backlog: bool = True
    """It has not been read to its end yet."""
    over: bool = False
    """Nothing more comes."""
    blocks: deque[Block] = field(default_factory=deque)
    shown: Key | None = None
    """The key of its last line; None: no line had a time so far."""
    met: float | None = None
    """When the first of its lines was read, seconds; None: none was."""
    size: int = 0
    """Bytes that wait."""

    @property
    def last(self) -> Key:
        return self.low if self.shown is None else self.shown

    def add(self, block: Block, shown: Key | None) -> None:
        """Put a block behind the others; its keys are not less than `last`.

        `shown` is the key of the last line that was read with it, be it dropped; None where
        no line had a time.
        """
        self.met = block.arrived if self.met is None else self.met
        block.offset = block.start
        self.blocks.append(block)
        self.size += block.end - block.start
        if shown is not None:
            self.shown = shown

    def is_silent(self) -> bool:
        """Whether no line that was read of it has a time, nor any above it: all may go."""
        return self.shown is None and self.met is not None

    def open_from(self) -> tuple[Block, int] | None:
        """Where its last line with a time begins: what follows it may still come."""
        for block in reversed(self.blocks):
            if block.own is not None:
                return (block, block.own) if block.own >= block.at else None
        return None


class Order:
    """The queues of all inputs, and what of them may go."""

    def __init__(self, window: float | None, *, holds_last: bool = True) -> None:
        """`window` in seconds; None: everything is there, nothing is waited for by a clock.

        `holds_last`: a line without a time may follow the last one, and belongs to it.
        """
        self.window = window
        self.queues: list[Queue] = []
        self.high: Key | None = None
        """The key of the last line that was written."""
        self.late = 0
        """Lines that came after a later one was written."""
        self.is_ending = False
        """Nothing more is read: what waits is all that there is."""
        self._holds_last = holds_last
        self._before: Key | None = None
        """The key of the last line that was written before the ones that are taken now."""

    def enrol(self, low: Key, *, backlog: bool) -> Queue:
        """One more input, behind the others in the order of equal times."""
        queue = Queue(len(self.queues), low, backlog)
        self.queues.append(queue)
        return queue

    @property
    def size(self) -> int:
        """Bytes that wait in all queues."""
        return sum(queue.size for queue in self.queues)

    @property
    def room(self) -> int:
        """Bytes of one input that are read at a time."""
        least, most = ROOM
        return min(most, max(least, ROUND // max(1, len(self.queues))))

    @property
    def has_backlog(self) -> bool:
        return any(queue.backlog and not queue.over for queue in self.queues)

    def has_room(self, queue: Queue) -> bool:
        """Whether more is to be read of this input before something is written."""
        if queue.size < self.room or not (self.has_backlog or self.size >= MOST):
            return True
        held = self._find_held(queue, -LAST)  # one long record: it is read on until it ends
        return held is not None and held == (queue.blocks[0], queue.blocks[0].at)

    # what may go

    def pass_by(self, taken: Taken, low: Key) -> None:
        """These lines are written next: late ones are counted, the latest is remembered."""
        keys, start, end = taken.block.keys, taken.start, taken.end
        if start == end:
            return
        if self._before is not None and low < keys[start] < self._before:
            self.late += bisect_left(keys, self._before, start, end) - start
        if low < keys[end - 1] and (self.high is None or self.high < keys[end - 1]):
            self.high = keys[end - 1]

    def take(self, now: float) -> list[Taken]:
        """Everything that may go now, each input's lines in their order; they are out of
        the queues then."""
        self._before = self.high
        taken = [part for queue in self.queues for part in self._take_dropped(queue)]
        bound = self._find_bound(now)
        if bound is None:
            return taken
        held = {queue: self._find_held(queue, now) for queue in self.queues if queue.blocks}
        for queue, place in held.items():
            if place is not None:
                bound = self._wait_for(bound, queue, place[0].keys[place[1]])
        bound = self._raise_to_old(bound, now)
        for queue, place in held.items():
            taken += self._take(queue, *bound, place)
        return taken

    def _wait_for(self, bound: tuple[Key, float], queue: Queue, key: Key) -> tuple[Key, float]:
        """A bound that leaves what is behind a held line; one that is late holds up nobody."""
        if self.high is not None and key < self.high:
            return bound
        return (key, queue.number) if bound[0] is LAST else min(bound, (key, queue.number))

    def _raise_to_old(self, bound: tuple[Key, float], now: float) -> tuple[Key, float]:
        """A bound that leaves nothing for whatever waits for too long already."""
        if self.window is None or self.has_backlog or bound[0] is LAST:
            return bound
        return max(bound, self._find_ripe(now, LONGEST * self.window) or bound)

    @staticmethod
    def _take_dropped(queue: Queue) -> Iterator[Taken]:
        """Blocks of which no line is kept wait for nothing, and nothing behind them does."""
        while queue.blocks and not queue.blocks[0].texts:
            taken = queue.blocks.popleft().take(0)
            queue.size -= taken.offset - taken.begin
            yield taken

    @staticmethod
    def _take(
        queue: Queue, key: Key, number: float, held: tuple[Block, int] | None
    ) -> Iterator[Taken]:
        silent = queue.is_silent()
        while queue.blocks:
            block = queue.blocks[0]
            limit = len(block.texts)
            if held is not None and held[0] is block:
                limit = held[1]
            end = limit
            if key is not LAST and not silent:
                cut = bisect_right if queue.number <= number else bisect_left
                end = cut(block.keys, key, block.at, limit)
            if end > block.at or not block.texts:
                taken = block.take(end)
                queue.size -= taken.offset - taken.begin
                yield taken
            if end < len(block.texts):
                return
            queue.blocks.popleft()

    def _find_held(self, queue: Queue, now: float) -> tuple[Block, int] | None:
        """What waits at the end of a queue for lines that may belong to it."""
        if not self._holds_last or queue.over or not queue.blocks or queue.is_silent():
            return None
        if queue.size >= MOST:
            return None  # of a backlog nothing comes between: nobody has shown anything later
        place = queue.open_from()
        if place is None or self.window is None or queue.backlog:
            return place
        quiet = queue.blocks[-1].arrived + self.window / 2 <= now
        return None if quiet or place[0].arrived + self.window <= now else place

    def _find_bound(self, now: float) -> tuple[Key, float] | None:
        """Up to which key, and which input's lines of that key; None: nothing at all."""
        bounds = [self._find_shown(now)]
        if self.high is not None:
            bounds.append((self.high, LAST))
        if self.window is not None and not self.has_backlog:
            bounds.append(self._find_ripe(now, self.window))
            if self.size >= MOST:
                bounds.append(self._find_half())
        known = [bound for bound in bounds if bound is not None]
        if any(key is LAST for key, _ in known):
            return LAST, LAST
        silent = any(queue.is_silent() and queue.blocks for queue in self.queues)
        lowest = (self.queues[0].low, LAST) if silent else None
        return max(known, default=lowest)

    def _find_shown(self, now: float) -> tuple[Key, float] | None:
        """What every input that may bring something earlier has shown."""
        backlog = self.has_backlog
        least: tuple[Key, float] | None = (LAST, LAST)
        for queue in self.queues:
            if queue.over or self._counts_no_more(queue, now) or (backlog and not queue.backlog):
                continue
            if queue.shown is None:
                return None
            if least is not None and (least[0] is LAST or queue.shown < least[0]):
                least = (queue.shown, queue.number)
        return least

    def _counts_no_more(self, queue: Queue, now: float) -> bool:
        """Whether an input is taken for one without times; a backlog may begin with a long
        part that has none, so it is given the window to show one, or all that there is."""
        if queue.met is None or queue.shown is not None:
            return False
        return not queue.backlog or (self.window is not None and queue.met + self.window <= now)

    def _find_ripe(self, now: float, seconds: float) -> tuple[Key, float] | None:
        """The last of what came in so long ago."""
        ripe = [
            block.keys[-1]
            for queue in self.queues
            for block in queue.blocks
            if block.keys and block.arrived + seconds <= now
        ]
        return (max(ripe), LAST) if ripe else None

    def _find_half(self) -> tuple[Key, float] | None:
        """Where the first half of all that waits ends, by blocks."""
        keys = sorted(b.keys[-1] for q in self.queues for b in q.blocks if b.keys)
        return (keys[len(keys) // 2], LAST) if keys else None

    def find_wake(self, now: float) -> float | None:
        """When the clock will set something free, seconds; None: nothing waits by it.

        `now` is the one of a `take` that took nothing. A later one would pass over what became
        free in between, and that would wait until there is news of something else.
        """
        if self.window is None or self.has_backlog:
            return None
        wakes = []
        for queue in self.queues:
            if queue.blocks:
                wakes.append(queue.blocks[0].arrived + self.window)
                wakes.append(queue.blocks[0].arrived + LONGEST * self.window)
                if held := self._find_held(queue, now):
                    wakes.append(queue.blocks[-1].arrived + self.window / 2)
                    wakes.append(held[0].arrived + self.window)
        return min((wake for wake in wakes if wake > now), default=None)


def raise_keys(keys: list[Key], last: Key) -> list[Key]:
    """The keys of lines with these times, none less than `last` or the one before.

    Where that holds already they are returned as they are.

    Raises:
        TypeError: one of the times is None.
    """
    if keys and (keys != sorted(keys) or keys[0] < last):
        return list(itertools.accumulate(keys, max, initial=last))[1:]
    return keys


def fill_keys(times: list[Key | None], last: Key) -> tuple[list[Key], int | None]:
    """The same for lines some of which have no time: they have the key of the line above.

    Returns the keys and the index of the last line that has a time of its own.
    """
    try:
        return raise_keys(times, last), len(times) - 1 if times else None
    except TypeError:  # quicker to be told than to look for a None first
        pass
    keys, own = [], None
    for index, time in enumerate(times):
        if time is not None:
            own = index
            last = max(time, last)
        keys.append(last)
    return keys, own
