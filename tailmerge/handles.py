"""Handles that a caller opened: followed until they are closed, then read to their end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from tailmerge.ending import Ending
from tailmerge.lane import Lane
from tailmerge.source import BUFFER, Rewritten, Source
from tailmerge.system import System, identity
from tailmerge.writer import Progress

WriteFunction = Callable[[bytes], Awaitable[Any]]


class Duplicate:
    """A descriptor of our own for a caller's handle, and where its reading begins.

    It is made at once, on the caller's thread: a number that the caller closes is given to
    another file at once. Neither dup nor lseek can block.
    """

    def __init__(self, handle: BinaryIO) -> None:
        self.handle = handle
        self.name = str(getattr(handle, "name", "handle"))
        self.fd = os.dup(handle.fileno())
        self.offset = handle.tell()

    def open(self, system: System) -> Source:
        status = system.fstat(self.fd)
        return Source(system, self.fd, self.name, identity(status), self.offset)


@dataclass(slots=True)
class HandleTail:
    """A handle of the caller's: followed until it is closed, then read to its end."""

    duplicate: Duplicate
    interval: float
    forward: Callable[..., Awaitable[Progress]]
    lane: Lane
    ending: Ending
    note: Callable[[Progress], None] = field(default=lambda progress: None)
    once: bool = False

    async def run(self) -> None:
        source = await self.lane.call(self.duplicate.open, System())
        try:
            while not self.ending.stopped:
                # Asked before the reading: what was written before the close is read.
                over = self.duplicate.handle.closed or self.ending.has_come or self.once
                more = await self._forward(source, last=over)
                if over and not more:
                    return
                if not more:
                    await self.ending.wait(self.interval)
        finally:
            await asyncio.shield(self.lane.call(source.close))

    async def _forward(self, source: Source, last: bool) -> bool:
        try:
            progress = await self.forward(source, last=last)
        except Rewritten:
            await self.lane.call(source.start_at, 0)
            return True
        self.note(progress)
        return progress.more


class Relay:
    """Reads whole lines on a lane, for a `write_func` that is not a WriteThread's."""

    def __init__(self, lane: Lane, write_func: WriteFunction) -> None:
        self._lane = lane
        self._write = write_func
        self._buffer = bytearray(BUFFER)

    async def forward(
        self, source: Source, until: int | None = None, *, last: bool = False
    ) -> Progress:
        """Hand the next whole lines over; a long line is held in memory."""
        lines, end, more = await self._lane.call(self._read, source, until, last)
        if lines:
            await self._write(lines)
            await self._lane.call(source.advance_to, end)
        return Progress(len(lines), more, 0)

    def _read(self, source: Source, until: int | None, last: bool) -> tuple[bytes, int, bool]:
        chunk = source.read(self._buffer, until)
        if chunk.cut > chunk.begin:
            lines = bytes(memoryview(self._buffer)[chunk.begin : chunk.cut])
            return lines, source.offset + len(lines), not chunk.at_end or last
        end: int | None = None
        at_end = chunk.at_end
        while end is None and not at_end:
            end, at_end = source.find_long_end(self._buffer, until)
        if end is None and not last:
            return b"", source.offset, False
        stop = source.rest if end is None else end
        lines = b"".join(bytes(piece) for piece in source.pieces(self._buffer, source.offset, stop))
        if lines and end is None:
            lines += b"\n"
        return lines, stop, end is not None
