"""What a power cut left of the output behind its last synced byte: proven by walking it.

Behind that byte stand lines of the inputs from their synced positions on, each input's in
order, between lines of others; where the disk did not get so far there are holes of NULs,
and the end may be torn. The journal's own tail may be lost, so the inputs' bytes decide;
a record that is there says which input it was where two have the same line. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tailmerge.lines import BLOCK
from tailmerge.position import ReadAt
from tailmerge.state import Record

KEY = 4096
"""Bytes of a line by which it is looked up; all of it where it is shorter."""

AHEAD = 64 * 1024
"""How far behind a hole an input's next line is looked for, bytes beyond the holes' own."""


@dataclass(slots=True)
class Growth:
    """What one input holds from its synced position on."""

    number: int
    offset: int
    """Up to where the walk has found its lines in the output, bytes."""
    read_at: ReadAt


@dataclass(slots=True)
class Trail:
    """What the walk found."""

    offsets: dict[int, int]
    """Up to where each input stands in the output, by its number."""
    end: int
    """Behind the last byte before the first damage: a hole, or a torn end."""
    damaged: bool = False
    foreign: bool = False
    """Behind the damage stands what is no input's: nothing may be cut."""
    gaps: list[tuple[int, int, int]] = field(default_factory=list)
    """Where it is not cut: inputs' numbers, from where to where they were lost in holes."""
    offsets_behind: dict[int, int] = field(default_factory=dict)
    """As `offsets`, with the lines behind the damage."""


class Walk:
    """One walk through the output from `start` to `size`."""

    def __init__(
        self,
        read_output: ReadAt,
        start: int,
        size: int,
        growths: Iterable[Growth],
        records: Iterable[Record] = (),
    ) -> None:
        """`records` are those of batches behind `start`, as far as the journal has them."""
        self._read = read_output
        self._at = start
        self._size = size
        self._growths = {growth.number: growth for growth in growths}
        self._keys: dict[bytes, set[int]] = {}
        self._key_of: dict[int, bytes] = {}
        self._records = {part.at: part for record in records for part in record.split()}
        self._holes = 0
        """Bytes of NULs that were met."""
        for growth in self._growths.values():
            self._learn(growth)

    def go(self) -> Trail:
        """Walk to the end."""
        while self._at < self._size and (self._step() or self._pass_foreign()):
            pass
        trail = Trail(self._offsets(), self._at)
        if self._at < self._size:
            trail.damaged = True
            self._go_behind(trail)
            trail.offsets_behind = self._offsets()
        return trail

    def _offsets(self) -> dict[int, int]:
        return {number: growth.offset for number, growth in self._growths.items()}

    # an input's next line

    def _learn(self, growth: Growth) -> None:
        """Which line the input's next one is."""
        if old := self._key_of.pop(growth.number, b""):
            self._keys[old].discard(growth.number)
        key = self._next_key(growth)
        if key:
            self._key_of[growth.number] = key
            self._keys.setdefault(key, set()).add(growth.number)

    @staticmethod
    def _next_key(growth: Growth) -> bytes:
        start = growth.read_at(KEY, growth.offset)
        cut = start.find(b"\n") + 1
        if cut or len(start) == KEY:
            return start[: cut or KEY]
        return start + b"\n" if start else b""  # an unfinished last line, ended by us

    def _key_at(self, at: int) -> bytes:
        start = self._read(min(KEY, self._size - at), at)
        return start[: start.find(b"\n") + 1 or len(start)]

    # before any damage

    def _step(self) -> bool:
        """Go on behind the lines of the input that has the most of them here."""
        numbers = self._keys.get(self._key_at(self._at)) or set()
        record = self._records.get(self._at)
        if record and len(record.reaches) == 1 and record.reaches[0].source in numbers:
            numbers = {record.reaches[0].source}
        best, growth = 0, None
        for number in sorted(numbers):
            length = self._common(self._growths[number], record)
            if length > best:
                best, growth = length, self._growths[number]
        if growth is None:
            return False
        self._advance(growth, best)
        return True

    def _advance(self, growth: Growth, length: int) -> None:
        self._at += length
        added = growth.read_at(1, growth.offset + length - 1) != b"\n"
        growth.offset += length - added
        self._learn(growth)

    def _common(self, growth: Growth, record: Record | None) -> int:
        """Bytes of the input's whole next lines that stand here."""
        most = self._size - self._at
        if record and record.reaches:
            most = min(most, record.length)
        length = whole = 0
        while length < most:
            ours = growth.read_at(min(BLOCK, most - length), growth.offset + length)
            theirs = self._read(len(ours) + 1, self._at + length)
            same = _same(ours, theirs)
            cut = ours[:same].rfind(b"\n") + 1
            if cut:
                whole = length + cut
            length += same
            if same < len(ours) or not ours:
                ended = not growth.read_at(1, growth.offset + length)
                if ended and theirs[same : same + 1] == b"\n" and length > whole:
                    whole = length + 1  # the newline that we added
                break
        return whole

    def _pass_foreign(self) -> bool:
        """Go on behind a whole line that is no input's; False where it is damaged."""
        end = self._line_end(self._at)
        if end is None or self._has_hole(self._at, end):
            return False
        self._at = end
        return True

    def _line_end(self, at: int) -> int | None:
        while at < self._size:
            block = self._read(min(BLOCK, self._size - at), at)
            cut = block.find(b"\n")
            if cut >= 0:
                return at + cut + 1
            if not block:
                return None
            at += len(block)
        return None

    def _has_hole(self, at: int, end: int) -> bool:
        while at < end:
            block = self._read(min(BLOCK, end - at), at)
            if b"\0" in block or not block:
                return True
            at += len(block)
        return False

    # behind it

    def _go_behind(self, trail: Trail) -> None:
        """Look for what is not an input's, and for the lines that holes have swallowed."""
        while self._at < self._size:
            if self._step():
                continue
            end = self._line_end(self._at) or self._size
            if self._skip_ahead(end, trail):
                continue
            trail.foreign = trail.foreign or not self._is_ours(self._at, end)
            self._at = end

    def _skip_ahead(self, end: int, trail: Trail) -> bool:
        """Whether a line that stands here is an input's, behind others that were lost."""
        line = self._key_at(self._at)
        if not self._holes or b"\0" in line or not line.endswith(b"\n"):
            return False
        for growth in self._growths.values():
            ahead = growth.read_at(self._holes + AHEAD + len(line), growth.offset)
            where = ahead.find(b"\n" + line) + 1
            if where > 0:
                trail.gaps.append((growth.number, growth.offset, growth.offset + where))
                growth.offset += where
                self._learn(growth)
                return True
        return False

    def _is_ours(self, at: int, end: int) -> bool:
        """Whether a damaged line holds nothing but NULs and pieces of inputs' lines."""
        line = b""
        while at < end:
            block = self._read(min(BLOCK, end - at), at)
            if not block:
                break
            line += block
            at += len(block)
        self._holes += line.count(b"\0")
        if b"\0" not in line and line.endswith(b"\n"):
            return False  # whole, and no input's
        return all(self._is_piece(piece) for piece in line.split(b"\0") if piece)

    def _is_piece(self, piece: bytes) -> bool:
        most = self._holes + AHEAD + len(piece)
        return any(piece in g.read_at(most, g.offset) for g in self._growths.values())


def _same(ours: bytes, theirs: bytes) -> int:
    """How many bytes both begin with."""
    length = min(len(ours), len(theirs))
    if ours[:length] == theirs[:length]:
        return length
    low, high = 0, length  # the first difference lies in between
    while high - low > 1:
        middle = (low + high) // 2
        if ours[low:middle] == theirs[low:middle]:
            low = middle
        else:
            high = middle
    return low
