"""The next whole lines of a file, held in memory: for every way out that looks at them.

Where lines are grouped to records, a piece ends where a record does: an open one is left in
its file, like an unfinished line, until the next one begins or until it is closed.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from tailmerge.lines import BLOCK, Chunk, Window, cut_lines, end_line
from tailmerge.position import MARKER
from tailmerge.records import Records
from tailmerge.source import Source, Torn

AT_HAND = 24 * 1024 * 1024
"""Bytes of blocks that glibc keeps at hand."""


@functools.cache
def keep_at_hand() -> None:
    """Ask for much memory once, touch none of it and give it back.

    From then on glibc keeps blocks of up to this size. New ones from the system for each block
    cost twice as much time, and so would asking again.
    """
    bytes(AT_HAND)


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole lines, or records, as they stand in their file."""

    window: Window
    """Ends with a newline, be it added; empty where there is nothing yet. Until the next read."""
    start: int
    """Offset of the first byte, bytes."""
    end: int
    """Offset behind the last byte, without a newline that was added."""
    before: bytes
    """The source's marker before the piece."""
    at_end: bool
    """The file, or what was asked of it, ended here."""

    @property
    def has_lines(self) -> bool:
        return self.window.end > self.window.begin

    @property
    def data(self) -> bytes:
        return self.window.copy()


def _piece(data: bytes, start: int, end: int, before: bytes, at_end: bool) -> Piece:
    return Piece(Window(data, 0, len(data)), start, end, before, at_end)


class Reading:
    """Reads pieces of about a buffer's size; a longer line or record comes as one piece."""

    def __init__(self, size: int = BLOCK, records: Records | None = None) -> None:
        """`size` in bytes."""
        self._buffer = bytearray(size)
        self._records = records
        self._cut = records.cut if records else None

    def read(
        self, source: Source, until: int | None, *, last: bool = False, close: bool = False
    ) -> Piece:
        """The next piece of a source, which is behind it from now on.

        With `close` an open record at the end is closed; with `last` an unfinished last
        line goes out too, with a newline added.

        Raises:
            Rewritten: the file no longer holds what was read from it.
            Refused: the file is not made of lines of bytes.
        """
        before, start = source.marker, source.offset
        chunk = source.read(self._buffer, until, self._cut)
        if source.offset != start:  # behind a hole
            before, start = source.marker, source.offset
        if self._records and chunk.at_end and (close or last):
            chunk = self._close(source, chunk, last)
        if chunk.cut > chunk.begin:
            window = Window(self._buffer, chunk.begin, chunk.cut)
            source.advance(self._buffer, chunk)
            end = source.offset
            if not self._buffer.endswith(b"\n", chunk.begin, chunk.cut):
                data = end_line(window.copy())
                window = Window(data, 0, len(data))
            rest = last and source.rest > end
            return Piece(window, start, end, before, chunk.at_end and not rest)
        if not chunk.at_end:
            long_end, at_end = self._find_long_end(source, until, close, last)
            if long_end is not None:
                return self._read_line(source, long_end, before, at_end=at_end)
            return _piece(b"", start, start, before, at_end)
        if last:
            return self._read_rest(source, before)
        return _piece(b"", start, start, before, True)

    def _close(self, source: Source, chunk: Chunk, last: bool) -> Chunk:
        """The same bytes with all records closed; with `last` the unfinished line belongs to
        the last one."""
        cut = chunk.end if last else cut_lines(self._buffer, chunk.cut, chunk.end)
        source.fragment = bytes(memoryview(self._buffer)[cut : chunk.end])
        return Chunk(chunk.begin, cut, chunk.end, True)

    def _find_long_end(
        self, source: Source, until: int | None, close: bool, last: bool
    ) -> tuple[int | None, bool]:
        """Where the line or record ends that is longer than the buffer, and whether the
        file does."""
        if not self._records:
            end, at_end = source.find_long_end(self._buffer, until)
            ends = end is None and at_end and last and source.rest > source.offset
            return (source.rest if ends else end), at_end
        lines = bytearray()
        at = whole = source.offset  # of the lines, and behind the last one that was looked at
        at_end = False
        while not at_end:
            seen = at + len(lines)
            room = BLOCK if until is None else max(0, min(BLOCK, until - seen))
            block = source.read_at(room, seen) if room else b""
            at_end = len(block) < BLOCK
            lines += block
            if b"\n" not in block:
                continue
            end = lines.rfind(b"\n") + 1
            skip = lines.find(b"\n") + 1 if whole == source.offset else 0  # it begins this one
            found = self._records.find_first(bytes(memoryview(lines)[skip:end]))
            if found is not None:
                return at + skip + found, False
            whole = at = at + end
            del lines[:end]
        source.scanned = at + len(lines)
        if last and source.scanned > source.offset:
            return source.scanned, True
        return (whole if close and whole > source.offset else None), True

    def _read_rest(self, source: Source, before: bytes) -> Piece:
        if source.rest > source.offset:
            return self._read_line(source, source.rest, before, at_end=True)
        return _piece(b"", source.offset, source.offset, before, True)

    def _read_line(self, source: Source, end: int, before: bytes, *, at_end: bool) -> Piece:
        start = source.offset
        try:
            there = b"".join(bytes(part) for part in source.pieces(self._buffer, start, end))
        except Torn:
            source.scanned = start  # the next read finds it rewritten
            return _piece(b"", start, start, before, False)
        data = end_line(there)
        source.advance_to(end, data.count(b"\n") if self._records else 1)
        source.marker = (before + there)[-MARKER:]  # as it was read: it may have been cut since
        return _piece(data, start, end, before, at_end)
