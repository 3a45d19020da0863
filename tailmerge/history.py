"""What was forwarded of one file, in samples: enough to know a copy of its beginning.

copytruncate copies a file and then cuts it. Lines that a writer adds in between are
forwarded and are not in the copy, which is then shorter than the position. It is a true
prefix of what was forwarded; another generation that begins alike (a banner, a CSV header)
is not. A hash of all that is forwarded would tell them apart at any length, and would cost
as much as the forwarding. So samples are kept:

- the first bytes: a copy that ends within them is compared whole;
- the last ones: so is the end of a copy from which little is missing, which is what the
  moment between the copying and the cutting leaves;
- marks, a few bytes at growing distances and at the ends of the last chunks. A copy must
  hold all the marks that it reaches.

Taken for a copy is then wrongly only what shares more than `START` bytes with the file and
ends before the next mark: no further on than half as much again.
"""

from __future__ import annotations

from collections import deque

from tailmerge.position import MARKER, ReadAt

START = 4096
"""Bytes at the beginning that are kept."""

TAIL = 2048
"""Bytes at the end that are kept."""

RECENT = 8
"""Ends of chunks that are marked."""

GROWTH = 1.5
"""Each other mark is so many times as far from the beginning as the one before."""

FIRST_MARK = START * GROWTH

Mark = tuple[int, bytes]
"""An offset, and the bytes before it."""


class History:
    """The samples of one file, from the first byte that is read of it."""

    __slots__ = ("_end", "_marks", "_next", "_recent", "_start", "_tail")

    def __init__(self, start: bytes = b"", tail: bytes = b"", end: int = 0) -> None:
        """The file is read from `end` on: what it begins with, and what is before that."""
        self._start = start[:START]
        self._tail = tail
        self._end = end
        self._marks: tuple[Mark, ...] = ()
        self._recent: deque[Mark] | tuple[Mark, ...] = ()  # most files are small
        self._next = FIRST_MARK if end <= START else end * GROWTH

    def learn(self, buffer: bytearray, begin: int, cut: int, offset: int) -> None:
        """From `begin` to `cut` of the buffer there is what follows at `offset` of the file."""
        size = cut - begin
        recent = self._recent
        if offset >= START and TAIL <= size < self._next - offset and isinstance(recent, deque):
            self._end = offset + size  # of what is long, as quick as it can be
            self._tail = bytes(buffer[cut - TAIL : cut])
            recent.append((self._end, self._tail[-MARKER:]))
            return
        view = memoryview(buffer)
        before = self._tail or self._start
        if len(self._start) == offset < START:
            self._start += bytes(view[begin : min(cut, begin + START - offset)])
        end = offset + cut - begin
        while self._next <= end:
            at = begin + int(self._next) - offset
            mark = bytes(view[max(begin, at - MARKER) : at])
            self._marks = (*self._marks, (int(self._next), mark))
            self._next *= GROWTH
        tail = bytes(view[max(begin, cut - TAIL) : cut])
        self._tail = (before + tail)[-TAIL:] if offset == self._end else tail
        self._end = end
        if end == len(self._start):
            self._tail = b""  # all of it is kept already
        if end > START:
            if not isinstance(self._recent, deque):
                self._recent = deque(maxlen=RECENT)
            self._recent.append((end, self._tail[-MARKER:]))

    def share(self, head: bytes) -> None:
        """Keep the first bytes once, where these are the same."""
        if head == self._start:
            self._start = head

    def begins_with(self, read_at: ReadAt, size: int) -> bool:
        """Whether a file of this size holds the beginning of what was read, as far as known."""
        length = min(size, len(self._start))
        if length == 0 or read_at(length, 0) != self._start[:length]:
            return False
        for end, mark in (*self._marks, *self._recent):
            if end <= size and read_at(len(mark), end - len(mark)) != mark:
                return False
        known = self._end - len(self._tail)
        if known < size <= self._end:
            return read_at(size - known, known) == self._tail[: size - known]
        return True
