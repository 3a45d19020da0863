"""The next whole lines of a file, held in memory: for every way out that looks at them.

Where lines are grouped to records, a piece ends where a record does: an open one is left in
its file, like an unfinished line, until the next one begins or until it is closed.
"""

from __future__ import annotations

from dataclasses import dataclass

from tailmerge.lines import BLOCK
from tailmerge.records import Records
from tailmerge.source import Source, Torn


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole lines, or records, as they stand in their file."""

    data: bytes
    """Ends with a newline, be it added; empty where there is nothing yet."""
    start: int
    """Offset of the first byte, bytes."""
    end: int
    """Offset behind the last byte, without a newline that was added."""
    before: bytes
    """The source's marker before the piece."""
    at_end: bool
    """The file, or what was asked of it, ended here."""


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
        cut = None if close or last else self._cut
        chunk = source.read(self._buffer, until, cut)
        if source.offset != start:  # behind a hole
            before, start = source.marker, source.offset
        if chunk.cut > chunk.begin:
            data = bytes(memoryview(self._buffer)[chunk.begin : chunk.cut])
            source.advance(self._buffer, chunk)
            return Piece(data, start, source.offset, before, chunk.at_end and not last)
        if not chunk.at_end:
            end, at_end = self._find_long_end(source, until, close or last)
            if end is None:
                if at_end and last:
                    return self._read_rest(source, before)
                return Piece(b"", start, start, before, at_end)
            return self._read_line(source, end, before, at_end=False)
        if last:
            return self._read_rest(source, before)
        return Piece(b"", start, start, before, True)

    def _find_long_end(
        self, source: Source, until: int | None, close: bool
    ) -> tuple[int | None, bool]:
        """Where the line or record ends that is longer than the buffer, and whether the
        file does."""
        if not self._records:
            return source.find_long_end(self._buffer, until)
        seen = source.offset
        looked = 0  # up to here no line begins a record, but for the very first one
        at_end = False
        tail = b""
        while not at_end:
            room = BLOCK if until is None else min(BLOCK, until - seen)
            block = source.read_at(room, seen) if room > 0 else b""
            seen += len(block)
            at_end = len(block) < BLOCK
            tail += block
            whole = tail.rfind(b"\n") + 1
            skip = 0 if looked else tail.find(b"\n") + 1
            found = self._records.find_first(tail[skip:whole])
            if found is not None:
                return source.offset + looked + skip + found, False
            looked, tail = looked + whole, tail[whole:]
        source.scanned = seen
        return (source.offset + looked, False) if close and looked else (None, True)

    def _read_rest(self, source: Source, before: bytes) -> Piece:
        if source.rest > source.offset:
            return self._read_line(source, source.rest, before, at_end=True)
        return Piece(b"", source.offset, source.offset, before, True)

    def _read_line(self, source: Source, end: int, before: bytes, *, at_end: bool) -> Piece:
        start = source.offset
        try:
            data = b"".join(bytes(part) for part in source.pieces(self._buffer, start, end))
        except Torn:
            source.scanned = start  # the next read finds it rewritten
            return Piece(b"", start, start, before, False)
        data = data if data.endswith(b"\n") else data + b"\n"
        source.advance_to(end, data.count(b"\n") if self._records else 1)
        return Piece(data, start, end, before, at_end)
