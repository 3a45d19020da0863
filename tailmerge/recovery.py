"""What reached the output of the last batch before a kill: proven by comparing.

Sizes alone cannot tell: others may have appended between our writes. So the batch's bytes
are had again and looked for in the output from where the batch was to begin. The answer is
a number, how many of its bytes are there, and whether anything came behind them.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import NamedTuple

from tailmerge.batch import EDGE
from tailmerge.lines import BLOCK
from tailmerge.position import ReadAt, digest
from tailmerge.state import Record

MOST_SHIFT = 64 << 10
"""So many bytes of others are looked through for the beginning of a batch."""


CERTAIN = 4096
"""So many bytes of a batch in one piece are ours: it is looked for no further."""


class Verdict(enum.Enum):
    """What the comparison found."""

    SETTLED = "the whole batch is there"
    FINISH = "its beginning is the very end of the output"
    AGAIN = "its beginning is there, with the bytes of others behind it"
    ABSENT = "nothing of it is there"
    TRUNCATED = "the output is shorter than it was before the batch"
    UNKNOWN = "something of it may be there, but its bytes cannot be had again"


class Finding(NamedTuple):
    """How much of a batch reached the output."""

    verdict: Verdict
    written: int = 0
    """Bytes of the batch that are in the output."""


def edges_fit(record: Record, read_output: ReadAt) -> bool:
    """Whether the batch's first and last bytes are where they were to be written.

    One of no bytes, whose lines were all left out, proves nothing.
    """
    if record.length == 0:
        return False
    edge = min(EDGE, record.length)
    first = read_output(edge, record.at)
    last = read_output(edge, record.at + record.length - edge)
    return digest(first) == record.first and digest(last) == record.last


def examine(
    record: Record, size: int, read_output: ReadAt | None, read_batch: ReadAt | None
) -> Finding:
    """Find out what became of the last batch in an output of `size` bytes.

    `read_output` is None where the output can only be written; `read_batch` reads the batch's
    own bytes, and is None where they cannot be had again.
    """
    if record.length == 0:
        return Finding(Verdict.SETTLED)
    if size < record.at:
        return Finding(Verdict.TRUNCATED)
    if size == record.at:
        return Finding(Verdict.ABSENT)
    if read_output is None:
        return _trust_size(record, size, is_had=read_batch is not None)
    if size == record.at + record.length and edges_fit(record, read_output):
        return Finding(Verdict.SETTLED, record.length)
    if read_batch is None:
        if _stands_whole(record, size, read_output):
            return Finding(Verdict.SETTLED, record.length)
        return Finding(Verdict.UNKNOWN)
    return _compare(record, size, read_output, read_batch)


def _trust_size(record: Record, size: int, *, is_had: bool) -> Finding:
    """Of an output that cannot be read: what there is behind `at` is taken for ours."""
    written = min(record.length, size - record.at)
    if written == record.length:
        return Finding(Verdict.SETTLED, written)
    return Finding(Verdict.FINISH, written) if is_had else Finding(Verdict.UNKNOWN)


def _stands_whole(record: Record, size: int, read_output: ReadAt) -> bool:
    """Whether a batch that cannot be had again is there, told by its first and last bytes.

    Others may have appended whole lines between the announcement and its first byte, and
    anything behind its last one.
    """
    last = size - record.length  # where it could begin at the latest
    between = read_output(max(0, min(MOST_SHIFT, last - record.at)), record.at)
    at = 0
    while record.at + at <= last:
        if edges_fit(record._replace(at=record.at + at), read_output):
            return True
        line = between.find(b"\n", at) + 1
        if not line:
            return False
        at = line
    return False


def _compare(record: Record, size: int, read_output: ReadAt, read_batch: ReadAt) -> Finding:
    """How much of the batch stands in the output, its beginning in one piece or in several.

    A long batch is written a block of whole lines at a time, and others may have appended
    between two of them.
    """
    done, at = 0, record.at  # of the batch, and where that ends in the output
    while True:
        read_rest = _skip(read_batch, done)
        rest = record._replace(at=at, length=record.length - done)
        finding, end = _find_beginning(rest, size, read_output, read_rest)
        verdict, written = finding
        by_chance = done and written < EDGE and end - written != at
        if by_chance or verdict is Verdict.ABSENT:
            return Finding(Verdict.AGAIN, done) if done else finding
        whole = whole_lines(written, read_rest) if verdict is Verdict.AGAIN else 0
        if not whole:
            return Finding(verdict, done + written)
        done, at = done + whole, end - (written - whole)


def _skip(read_batch: ReadAt, count: int) -> ReadAt:
    return lambda length, offset: read_batch(length, count + offset)


def whole_lines(written: int, read_batch: ReadAt) -> int:
    """Of so many bytes of a batch, how many are whole lines."""
    while written > 0:
        start = max(0, written - BLOCK)
        cut = read_batch(written - start, start).rfind(b"\n")
        if cut >= 0:
            return start + cut + 1
        written = start
    return 0


def _find_beginning(
    record: Record, size: int, read_output: ReadAt, read_batch: ReadAt
) -> tuple[Finding, int]:
    """The longest beginning of the batch that stands in the output in one piece, and its end.

    Looked for are its first line, wherever it is, and a shorter beginning only at the very
    end: a torn first line in the middle is no line, and comes again.
    """
    needle = _first_line(record, read_batch)
    best = 0
    end = record.at
    for at in _occurrences(needle, record.at, size, read_output):
        if size - at <= best or best >= CERTAIN:
            break
        length = _common(record, at, size, read_output, read_batch)
        if length > best and _may_begin(record, at, length, read_output):
            best, end = length, at + length
        if best == record.length:
            return Finding(Verdict.SETTLED, best), end
    tail = _torn_tail(record, size, read_output, read_batch)
    if tail > best and _may_begin(record, size - tail, tail, read_output):
        return Finding(Verdict.FINISH, tail), size
    if best == 0:
        return Finding(Verdict.ABSENT), end
    return Finding(Verdict.FINISH if end == size else Verdict.AGAIN, best), end


def _may_begin(record: Record, at: int, length: int, read_output: ReadAt) -> bool:
    """Whether a beginning of this length can be ours: not by chance inside a line of others."""
    return at == record.at or length >= EDGE or read_output(1, at - 1) == b"\n"


def _first_line(record: Record, read_batch: ReadAt) -> bytes:
    start = read_batch(min(BLOCK, record.length), 0)
    return start[: start.find(b"\n") + 1 or len(start)]


def _occurrences(needle: bytes, start: int, size: int, read_output: ReadAt) -> Iterator[int]:
    """Where the needle begins in the output, from `start` on."""
    at = start
    while at + len(needle) <= size:
        block = read_output(BLOCK + len(needle) - 1, at)
        where = block.find(needle)
        while where >= 0:
            yield at + where
            where = block.find(needle, where + 1)
        at += BLOCK


def _common(record: Record, at: int, size: int, read_output: ReadAt, read_batch: ReadAt) -> int:
    """How many bytes of the batch stand in the output from `at` on."""
    length, step = 0, EDGE  # most places differ at once
    while length < record.length:
        ours = read_batch(min(step, record.length - length), length)
        theirs = read_output(len(ours), at + length)
        if not ours or ours != theirs:
            return length + _count_alike(ours, theirs)
        length += len(ours)
        step = BLOCK
    return length


def _count_alike(a: bytes, b: bytes) -> int:
    """Bytes that these begin with alike."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _torn_tail(record: Record, size: int, read_output: ReadAt, read_batch: ReadAt) -> int:
    """The longest beginning of the batch's first line with which the output ends.

    A line longer than a block was written a block at a time, alone, so that its beginning
    stands where the batch began or not at all.
    """
    if record.at + BLOCK <= size:
        length = _common(record, record.at, size, read_output, read_batch)
        if record.at + length == size:
            return length
    start = read_batch(min(BLOCK, record.length), 0)
    tail = read_output(BLOCK, max(record.at, size - BLOCK))
    first = start[:1]
    where = tail.find(first) if first else -1
    while where >= 0:
        if start.startswith(tail[where : where + EDGE]) and start.startswith(tail[where:]):
            return len(tail) - where
        where = tail.find(first, where + 1)
    return 0
