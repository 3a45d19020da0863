"""Handles that a caller opened: followed until they are closed, then read to their end.

A handle is read through a duplicate of its descriptor, which is closed whatever happens:
by the thread that reads it, or, where none ever did, by `close_unread`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, BinaryIO, Protocol

from tailmerge.closing import OpenRecords
from tailmerge.ending import Ending
from tailmerge.feed import Feed, Progress
from tailmerge.lane import Lane, LaneStopped
from tailmerge.report import Report
from tailmerge.source import BUFFER, Refused, Rewritten, Source
from tailmerge.system import Identity, System, identity
from tailmerge.writer import WriteThread

WriteFunction = Callable[[bytes], Awaitable[Any]]

RETRY_SECONDS = 1.0
"""How long a handle that could not be read is left alone."""


class Reader(Protocol):
    """Who reads a handle's source and forwards its lines: a WriteThread, or a Relay."""

    async def forward(
        self,
        source: Source,
        until: int | None = None,
        *,
        last: bool = False,
        again: bool = True,
        close: bool = False,
        feed: Feed | None = None,
    ) -> Progress: ...

    async def close_source(self, source: Source) -> None:
        """On the loop of the lane that reads; the others are the caller's."""


class Duplicate:
    """A descriptor of our own for a caller's handle, and where its reading begins.

    It is made at once, on the caller's thread: a number that the caller closes is given to
    another file at once. Neither dup nor lseek can block.
    """

    def __init__(self, handle: BinaryIO) -> None:
        self.handle = handle
        self.name = str(getattr(handle, "name", "handle"))
        self.offset = handle.tell()  # first: a pipe has none, and nothing is to be closed yet
        self.fd = os.dup(handle.fileno())
        self.taken = False
        """Somebody reads it, and will close it."""
        self._source: Source | None = None

    def open(self, system: System) -> Source:
        status = system.fstat(self.fd)
        self._source = Source(system, self.fd, self.name, identity(status), self.offset)
        return self._source

    def close(self, system: System) -> None:
        """Close what was never read."""
        system.close(self.fd)

    async def close_read(self, reader: Reader, system: System) -> None:
        """Close it on the lane that reads; runs there behind `open`, if that was ever sent."""
        if self._source:
            await reader.close_source(self._source)
        else:
            self.close(system)


async def duplicate_all(handles: Iterable[BinaryIO], system: System) -> list[Duplicate]:
    """A duplicate of each; where one cannot be had none is left open."""
    duplicates: list[Duplicate] = []
    try:
        for handle in handles:
            duplicates.append(Duplicate(handle))
    except BaseException:
        await close_unread(duplicates, system)
        raise
    return duplicates


async def close_unread(duplicates: Iterable[Duplicate], system: System) -> None:
    """Close, off the loop, the duplicates that nobody came to read."""

    def close() -> None:
        for duplicate in unread:
            duplicate.close(system)

    unread = [duplicate for duplicate in duplicates if not duplicate.taken]
    if unread:
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, close))


class HandleTail:
    """A handle of the caller's: followed until it is closed, then read to its end."""

    asleep = False

    def __init__(
        self,
        duplicate: Duplicate,
        interval: float,
        reader: Reader,
        lane: Lane,
        ending: Ending,
        system: System,
        report: Report | None = None,
        note: Callable[[Progress], None] = lambda progress: None,
        *,
        once: bool = False,
        window: float | None = None,
        outputs: Callable[[], Iterable[Identity]] = tuple,
    ) -> None:
        """The `reader` reads on the `lane`.

        `report` is who is told of what cannot be read (None: it is raised), `window` how many
        seconds a record waits for its next line (None: there are only lines), and `outputs`
        gives the files that are the output: a handle of one is not read.
        """
        self.duplicate = duplicate
        self.interval = interval
        self.reader = reader
        self.lane = lane
        self.ending = ending
        self.system = system
        self.report = report
        self.note = note
        self.once = once
        self.window = window
        self.outputs = outputs
        self.feed = Feed(duplicate.name)
        self._ends = OpenRecords(window)
        self._paused = False

    async def run(self) -> None:
        duplicate = self.duplicate
        duplicate.taken = True
        try:
            source = await self._open()
            if source:
                await self._follow(source)
        finally:
            try:
                self.lane.post(duplicate.close_read, self.reader, self.system)
            except LaneStopped:  # nobody reads it any more
                duplicate.taken = False
                await close_unread([duplicate], self.system)

    async def _open(self) -> Source | None:
        try:
            source = await self.lane.call(self.duplicate.open, self.system)
        except OSError as error:
            self._tell(error)
            return None
        if source.identity in self.outputs():
            if self.report:
                self.report.output_skipped(self.duplicate.name)
            return None
        return source

    async def _follow(self, source: Source) -> None:
        until = await self.lane.call(source.size) if self.once else None
        failed = False
        while not self.ending.stopped:
            # Asked before the reading: what was written before the close is read.
            over = self.duplicate.handle.closed or self.ending.has_come or self.once
            try:
                more = await self._forward(source, until, last=over)
            except Refused as refused:
                self._refuse(refused)
                return
            except OSError as error:
                self._tell(error)
                failed = True
                if over:
                    return
                await self._pause()
                if await self.ending.wait(RETRY_SECONDS):
                    return
                continue
            if failed and self.report:
                self.report.input_works(self.duplicate.name)
            failed = False
            if over and not more:
                return
            if not more:
                await self._pause()
                await self.ending.wait(self.interval)
        if self.window is not None:
            await self._close_record(source, until)

    async def _pause(self) -> None:
        """There is nothing to be read for now: nobody is to wait for it."""
        if not self._paused and isinstance(self.reader, WriteThread):
            self._paused = True
            await self.reader.pause(self.feed)

    async def _close_record(self, source: Source, until: int | None) -> None:
        """A signal ended the run, and nobody can ask for these lines again."""
        try:
            await self._forward(source, until, last=False, close=True)
        except OSError as error:
            self._tell(error)

    async def _forward(
        self, source: Source, until: int | None, last: bool, close: bool = False
    ) -> bool:
        now = asyncio.get_running_loop().time()
        close = close or self._ends.find_wait(now) == 0
        try:
            progress = await self.reader.forward(
                source, until, last=last, again=False, close=close, feed=self.feed
            )
        except Rewritten:
            await self.lane.call(_start_over, source)
            if self.report:
                self.report.input_rewritten(self.duplicate.name)
            return True
        self.note(progress)
        self._ends.note(source, progress, now, closed=close)
        if self.report and progress.hole:
            self.report.hole_skipped(self.duplicate.name, progress.hole)
        if self.report and progress.torn:
            self.report.line_torn(self.duplicate.name)
        return progress.more

    def _tell(self, error: OSError) -> None:
        if not self.report:
            raise error
        self.report.input_unreadable(self.duplicate.name, error)

    def _refuse(self, refused: Refused) -> None:
        name = self.duplicate.name
        if not self.report:
            raise ValueError(f"{name}: is {refused.encoding}, its lines are not made of bytes")
        self.report.input_refused(name, refused.encoding)


def _start_over(source: Source) -> None:
    """Truncated or rewritten: its unfinished line can have no end any more."""
    orphan = source.orphan + source.fragment
    source.start_at(0, cut_from=source.offset)
    source.orphan = orphan


class Relay:
    """Reads whole lines on a lane, for a `write_func` that is not a WriteThread's."""

    def __init__(self, lane: Lane, write_func: WriteFunction) -> None:
        from tailmerge.reading import Reading

        self._lane = lane
        self._write = write_func
        self._reading = Reading(BUFFER)

    async def forward(
        self,
        source: Source,
        until: int | None = None,
        *,
        last: bool = False,
        again: bool = True,
        close: bool = False,
        feed: Feed | None = None,
    ) -> Progress:
        """Hand the next whole lines over; a long line is held in memory.

        The source is behind them before they are handed over: whatever happens to the file
        meanwhile, what it is known by was read together with them.
        """
        start = source.offset
        lines, more = await self._lane.call(self._read, source, until, last)
        if lines:
            await self._write(lines)
        return Progress(source.offset - start, more, source.rest - source.offset)

    async def close_source(self, source: Source) -> None:
        source.close()

    def _read(self, source: Source, until: int | None, last: bool) -> tuple[bytes, bool]:
        if source.orphan:
            orphan, source.orphan = source.orphan + b"\n", b""
            return orphan, True
        piece = self._reading.read(source, until, last=last)
        return piece.data, not piece.at_end
