"""A long part of one file: announced once, copied a block at a time.

What is done for each batch costs a fifth of the copying itself. So where much is there, up to
`MOST` bytes of whole lines are announced as one batch. Each block ends behind a newline, is
proven, and is written while the next one is read; nothing in between waits: only the lines in
the two buffers are ever owed. Where it does not go smoothly the stretch ends, and those lines are
batches of their own, whose record takes the place of what was announced.
"""

from __future__ import annotations

import asyncio
from typing import NoReturn

from tailmerge.batch import EDGE, LONGEST, Batch, Span, lines_batch
from tailmerge.feed import TURN_SECONDS
from tailmerge.history import START
from tailmerge.lines import BLOCK, Chunk, cut_lines
from tailmerge.named import NamedFile
from tailmerge.output import Output
from tailmerge.position import HEAD, MARKER
from tailmerge.source import Rewritten, Source

MOST = LONGEST
"""Bytes of the longest stretch."""

LEAST = 4 * BLOCK
"""Bytes of the shortest one."""

SPARE = 8 * BLOCK
"""So much stays behind a stretch. What was written to a file last is announced in small parts:
of it a copy that is made this moment (copytruncate) may lack the end, and after a kill what was
announced is had again from one file."""

SECONDS = TURN_SECONDS
"""How long a stretch may take."""

ENDING = 16 * 1024
"""Bytes at the end of a stretch in which its last newline is looked for."""


Buffers = tuple[bytearray, bytearray]
"""One is read into while the other one is written."""


async def copy_stretch(output: Output, source: Source, buffers: Buffers, until: int | None) -> bool:
    """Append whole lines of a source in one stretch, where there are enough of them.

    False where there are not, or it did not go smoothly: the way for everything goes on.

    Raises:
        Rewritten: the file no longer holds what was read from it.
    """
    if not isinstance(output, NamedFile) or output.durable or not _find_length(source, until):
        return False
    if source.hands:
        source.hands.touch(source)
    await output.find_again()
    # From here on to the last block nobody else has a turn, unless it does not go smoothly.
    batch = _find_batch(source, _find_length(source, until))
    return batch is not None and output.begin(batch) and await _copy(output, source, buffers, batch)


def _find_length(source: Source, until: int | None) -> int:
    """How long a stretch can be, at most; 0: there is none."""
    known = len(source.marker) == MARKER and len(source.head) == HEAD and source.offset >= START
    if not (known and source.is_steady):
        return 0
    size = source.size()
    length = min(MOST, (size if until is None else min(size, until)) - source.offset - SPARE)
    return length if length >= LEAST else 0


def _find_batch(source: Source, length: int) -> Batch | None:
    """Whole lines of at most so many bytes; None where they end nowhere near that."""
    if not length:
        return None
    start, behind = source.offset, source.offset + length
    ending = source.read_at(ENDING, behind - ENDING)
    cut = ending.rfind(b"\n") + 1
    if cut < max(EDGE, MARKER):
        return None
    end = behind - ENDING + cut
    first, last = source.read_at(EDGE, start), ending[cut - EDGE : cut]
    span = Span(source.number, start, end, ending[cut - MARKER : cut])
    return Batch((span,), end - start, first, last, _not_by_itself, _not_by_itself)


def _not_by_itself(count: int) -> NoReturn:
    raise AssertionError("a stretch is only announced as a whole: its blocks are written")


def _read_on(source: Source, buffer: bytearray, end: int) -> memoryview:
    """The next whole lines of what was seen up to `end`; the source is behind them.

    No bytes where the next line is longer than a block.

    Raises:
        Rewritten: the bytes before the offset are no longer there.
    """
    view = memoryview(buffer)
    room = min(len(buffer) - MARKER, end - source.offset)
    got = source.read_into(view[: MARKER + room], source.offset - MARKER)
    if got < MARKER or not buffer.startswith(source.marker) or not source.has_head():
        source.cut = True
        raise Rewritten(source.path)
    cut = cut_lines(buffer, MARKER, got)
    if cut > MARKER:
        source.advance(buffer, Chunk(MARKER, cut, got, False))
    return view[MARKER:cut]


async def _copy(output: NamedFile, source: Source, buffers: Buffers, batch: Batch) -> bool:
    """Copy what was announced; False where it did not go smoothly.

    Each block is written while the next one is read.
    """
    now = asyncio.get_running_loop().time
    end, late = batch.spans[0].end, now() + SECONDS
    this, other = buffers
    while source.offset < end:
        start = source.offset
        if start > batch.spans[0].start and now() > late:
            await output.end_block()
            await output.finish(_block_at(source, start, memoryview(b"")), 0)
            return True
        try:
            block = _block_at(source, start, _read_on(source, this, end))
        except (Rewritten, OSError):
            await output.end_block()
            await output.finish(_block_at(source, start, memoryview(b"")), 0)
            raise
        if not await output.end_block():
            if block.length:
                await output.append(block)
            return False
        if not block.length or not output.begin_block(block):
            await output.finish(block, 0)
            return False
        this, other = other, this
    return await output.end_block()


def _block_at(source: Source, start: int, lines: memoryview) -> Batch:
    """The next lines of a stretch as a batch of their own. Be it of nothing: where one is
    finished its record tells that the stretch ended here."""
    return lines_batch(lines, (Span(source.number, start, source.offset, source.marker),))
