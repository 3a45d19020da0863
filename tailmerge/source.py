"""One open input file: what it is, and how its whole lines are read.

A source reads at offsets (pread), so the descriptor's own position is never used and a
caller's handle is never moved. With each read it proves that the bytes before its offset
are still the ones it forwarded: the marker, re-read in the same call, and then the head.
A file that was truncated and has grown past the offset, or was rewritten in place, is seen.
It belongs to one thread; whoever forwards from it decides when.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

from tailmerge.encoding import find_encoding
from tailmerge.hands import Hands
from tailmerge.history import START, History
from tailmerge.lines import BLOCK, Chunk, Cut, cut_lines
from tailmerge.openfile import OpenFile
from tailmerge.position import (
    HEAD,
    MARKER,
    Position,
    Written,
    digest,
    holds,
    new_number,
    read_position,
    read_proof,
)
from tailmerge.system import Identity, System, identity, is_regular

BUFFER = MARKER + BLOCK
"""Size of the buffer that `Source.read` fills, bytes."""

SCAN = 64 * BLOCK
"""Bytes looked through for the end of one long line before others get their turn."""


class Rewritten(Exception):
    """The file no longer holds what was read from it: truncated, or written over."""


class Refused(Exception):
    """The file is text in an encoding whose newlines are not bytes; `encoding` names it."""

    def __init__(self, encoding: str) -> None:
        super().__init__(encoding)
        self.encoding = encoding


class Torn(Exception):
    """The file became shorter while a long line was copied out of it."""


class Source(OpenFile):
    """An open regular file and the offset up to which its lines were forwarded."""

    __slots__ = (
        "cut",
        "cut_from",
        "encoding",
        "fragment",
        "head",
        "history",
        "hole",
        "lines",
        "marker",
        "number",
        "offset",
        "orphan",
        "scanned",
        "written",
    )

    def __init__(
        self,
        system: System,
        fd: int,
        path: str,
        file: Identity,
        offset: int = 0,
        *,
        number: int = 0,
    ) -> None:
        """`number` is what the journal calls its content; 0: it is new."""
        super().__init__(system, fd, path, file)
        self.number = number or new_number()
        self.head = b""
        """The file's first bytes as they were read, at most `HEAD` of them."""
        self.encoding: str | None = None
        """What it is written in where its newlines are not bytes."""
        self.orphan = b""
        """The unfinished last line of a content that is gone: goes out before all else."""
        self.hole = 0
        """Bytes of a hole that were skipped and not yet spoken of."""
        self.written: Written | None = None
        """Where it is read ahead of the output; None: what is read is written at once."""
        self.lines: int | None = None
        """How many lines were forwarded of it; None: nobody asks, so they are not counted."""
        self._begin(offset, 0, b"", b"")
        if offset:
            self.start_at(offset)

    def start_at(self, offset: int, cut_from: int = 0) -> None:
        """Go on from `offset` of what the file holds now.

        `cut_from` is the offset before a truncation: a writer that does not append leaves
        at least so many NULs behind. A file that is shorter was cut this moment.
        """
        length = min(MARKER, offset)
        marker = self.read_at(length, offset - length) if offset else b""
        if len(marker) < length:
            offset, cut_from, marker = 0, offset, b""
        self._begin(offset, cut_from, self.read_at(START if offset else HEAD, 0), marker)
        self.encoding = find_encoding(self.head) if offset else None

    def resume_at(self, position: Position) -> None:
        """Go on where a position was recorded.

        Raises:
            Rewritten: it does not hold what was recorded: it may have been cut this moment.
        """
        proof = read_proof(self.read_at, position, START)
        if proof is None:
            raise Rewritten(self.path)
        self._begin(position.offset, 0, *proof)
        self.encoding = find_encoding(self.head) if position.offset else None

    def _begin(self, offset: int, cut_from: int, start: bytes, marker: bytes) -> None:
        self.offset = offset
        self.cut = False
        """A read found it rewritten; whoever looks next decides where to go on."""
        self.cut_from = cut_from
        self.marker = marker
        # Before it is read: a kill may come first, its inode be given to another file.
        self.head = start[:HEAD]
        self.history = History(start[:offset], marker, offset)
        self.fragment = b""
        """The bytes behind `offset` when the end was last reached, up to a block of them."""
        self.scanned = offset
        """There is no newline between `offset` and here."""

    def go_on_as(self, other: Source) -> None:
        """Go on where another one of the same content is, which was read ahead."""
        self._begin(other.offset, 0, other.head, other.marker)
        self.history, self.written = other.history, other.written

    def can_park(self, *, forced: bool = False) -> bool:
        return not self.cut and super().can_park(forced=forced)

    def read_ahead(self) -> None:
        """From now on what is read is not yet written: `written` tells up to where it is."""
        if self.written is None:
            self.written = Written(self.offset, self.marker)

    @property
    def is_ahead(self) -> bool:
        """Whether something was read of it that is not in the output."""
        return self.written is not None and self.written.offset != self.offset

    def read(self, buffer: bytearray, until: int | None = None, cut: Cut | None = None) -> Chunk:
        """Fill the buffer from the offset, at most up to the offset `until`.

        `cut` finds where the last whole line, or record, ends.

        Raises:
            Rewritten: the bytes before the offset are no longer there.
            Refused: the file is UTF-16 or UTF-32.
        """
        try:
            self.hold()
        except FileNotFoundError:
            raise Rewritten(self.path) from None  # whoever looks next finds it
        if self.fd < 0:
            raise Rewritten(self.path)  # it was closed, or given to another input
        if self.hands:
            self.hands.touch(self)
        back = len(self.marker)
        room = len(buffer) - back
        if until is not None:
            room = max(0, min(room, until - self.offset))
        got = self.read_into(memoryview(buffer)[: back + room], self.offset - back)
        self._check_unchanged(buffer, got, back + room)
        if self.offset == 0 and got:
            self.encoding = find_encoding(bytes(buffer[: min(4, got)]))
        if self.encoding:
            raise Refused(self.encoding)
        if self.offset == 0 and got and buffer[0] == 0 and self._skip_hole(buffer):
            return self.read(buffer, until, cut)
        whole = (cut or cut_lines)(buffer, back, got)
        at_end = got < back + room or (until is not None and self.offset + got - back >= until)
        if at_end:
            self.fragment = bytes(memoryview(buffer)[whole:got])
        return Chunk(back, whole, got, at_end)

    @property
    def is_steady(self) -> bool:
        """Whether it is open, was not found rewritten, and is known up to the offset alone."""
        return self.fd >= 0 and not (self.cut or self.orphan or self.fragment or self.written)

    def _check_unchanged(self, buffer: bytearray, got: int, asked: int) -> None:
        back = len(self.marker)
        known = self._known_ahead()[: asked - back]
        if (
            got < back + len(known)
            or not buffer.startswith(self.marker)
            or not buffer.startswith(known, back)
            or not self.has_head()
        ):
            self.cut = True
            raise Rewritten(self.path)

    def has_head(self) -> bool:
        """Whether it begins as it did: lines of one length may end alike at every offset."""
        return not self.offset or self.read_at(len(self.head), 0) == self.head

    def _known_ahead(self) -> bytes:
        """The bytes behind the offset that were seen already."""
        return max(self.fragment, b"" if self.offset else self.head, key=len)

    def _skip_hole(self, buffer: bytearray) -> bool:
        """Move the offset behind a hole at the file's start; False where there is none.

        A hole is what copytruncate leaves under a writer without O_APPEND, which goes on
        at its old offset. Where the file system has no holes, or the hole is smaller than
        its blocks, NULs count as one when there are as many as were forwarded before.
        """
        data = 0
        if hasattr(os, "SEEK_DATA"):
            try:
                data = self.system.seek(self.fd, 0, os.SEEK_DATA)
            except OSError:
                return False  # nothing but a hole so far, or no such call here
        if data == 0 and not self.cut_from:
            return False
        end = data
        while got := self.read_into(memoryview(buffer), end):
            nuls = got - len(bytes(memoryview(buffer)[:got]).lstrip(b"\0"))
            end += nuls
            if nuls < got:
                break
        if data == 0 and end < self.cut_from:
            return False
        self.hole = end
        self.start_at(end)
        return end > 0

    def is_unchanged(self) -> bool:
        """Whether the file still holds what was read of it last."""
        known = self.marker + self._known_ahead()
        there = self.read_at(len(known), self.offset - len(self.marker))
        return there == known and self.has_head()

    def advance(self, buffer: bytearray, chunk: Chunk) -> None:
        """The lines of this chunk are forwarded: the offset is behind them now."""
        if len(self.head) < HEAD:
            self._learn_head(buffer, chunk)
        if self.lines is not None:
            self.lines += buffer.count(b"\n", chunk.begin, chunk.cut)
        self.history.learn(buffer, chunk.begin, chunk.cut, self.offset)
        self.history.share(self.head)
        self.offset += chunk.cut - chunk.begin
        self.scanned = self.offset
        if not chunk.at_end:
            self.fragment = b""
        self.marker = bytes(memoryview(buffer)[max(0, chunk.cut - MARKER) : chunk.cut])
        if self.marker == self.head:
            self.marker = self.head  # of a few bytes: kept once

    def advance_to(self, offset: int, lines: int = 1) -> None:
        """All up to `offset` is forwarded, however it was read: one line, or so many."""
        if self.lines is not None:
            self.lines += lines
        length = min(MARKER, offset)
        self.marker = self.read_at(length, offset - length)
        self.offset = self.scanned = offset
        self.fragment = b""

    def _learn_head(self, buffer: bytearray, chunk: Chunk) -> None:
        # From what was read, never from the file once more: it may have been cut since.
        known = len(self.head)
        if known >= self.offset:
            begin = chunk.begin + known - self.offset
            self.head += bytes(memoryview(buffer)[begin : min(begin + HEAD - known, chunk.end)])

    def find_long_end(self, buffer: bytearray, until: int | None) -> tuple[int | None, bool]:
        """Look on for the newline of a line longer than a block.

        Returns the offset behind it, or None, and whether the file's end was reached.
        Where neither is so the call has used up its `SCAN` bytes and is made again.
        """
        if self.scanned > self.size():
            self.scanned = self.offset  # cut within the line: look through it again
        self.scanned = max(self.scanned, self.offset)
        limit = self.scanned + SCAN
        view = memoryview(buffer)
        while self.scanned < limit:
            room = len(buffer) if until is None else min(len(buffer), until - self.scanned)
            got = self.read_into(view[:room], self.scanned) if room > 0 else 0
            cut = buffer.find(b"\n", 0, got)
            if cut >= 0:
                return self.scanned + cut + 1, False
            self.scanned += got
            if got < len(buffer):
                return None, True
        return None, False

    def fits(self, position: Position) -> bool:
        """Whether the file holds, up to a recorded position, what was forwarded there."""
        return not position.packed and holds(self.read_at, position)

    def begins_with(self, copy: Source, size: int) -> bool:
        """Whether the file begins with the first `size` bytes of a copy.

        The last block is compared first: two logs that differ at all mostly differ there.
        """
        last = max(0, size - BLOCK)
        for at in itertools.chain((last,), range(0, last, BLOCK)):
            length = min(BLOCK, size - at)
            theirs = copy.read_at(length, at)
            if len(theirs) < length or self.read_at(length, at) != theirs:
                return False
        return True

    def pieces(self, buffer: bytearray, start: int, end: int) -> Iterator[memoryview]:
        """The bytes from `start` to `end`, a block at a time, each valid until the next.

        Raises:
            Torn: the file ended before.
        """
        view = memoryview(buffer)
        at = start
        self.pins += 1
        try:
            while at < end:
                got = self.read_into(view[: min(len(buffer), end - at)], at)
                if got == 0:
                    raise Torn(self.path)
                at += got
                yield view[:got]
        finally:
            self.pins -= 1

    @property
    def rest(self) -> int:
        """The offset behind the unfinished last line; `offset` where there is none."""
        return max(self.scanned, self.offset + len(self.fragment))

    def position(self) -> Position:
        """What is remembered of this file when it is closed."""
        if self.written and self.is_ahead:
            return self._position_at(self.written.offset, self.written.marker)
        known = len(self.marker) == min(MARKER, self.offset) and (self.head or not self.offset)
        if known or self.parked is not None:
            # Of what was read, and of nothing that is there now: it may have been cut since.
            return self.position_before()
        file = identity(self.system.fstat(self.fd))
        return read_position(self.read_at, self.path, file, self.offset, self.number)

    def position_before(self) -> Position:
        """What was known of this file before it was cut; reads nothing."""
        return self._position_at(self.offset, self.marker)

    def _position_at(self, offset: int, marker: bytes) -> Position:
        head = self.head if self.offset else self._known_ahead()[:HEAD]
        return Position(
            self.path,
            self.identity,
            offset,
            len(head),
            digest(head),
            len(marker),
            digest(marker),
            self.number,
        )


def open_source(system: System, path: str, hands: Hands | None = None) -> Source:
    """Open a regular file to be read from its first byte.

    Where there are too many open ones `hands` close some.

    Raises:
        OSError: it cannot be opened, or it is no regular file.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK
    fd = (Hands() if hands is None else hands).attempt(lambda: system.open(path, flags))
    try:
        status = system.fstat(fd)
        if not is_regular(status):
            raise OSError(None, "is no longer a regular file, not read")
        return Source(system, fd, path, identity(status))
    except BaseException:
        system.close(fd)
        raise
