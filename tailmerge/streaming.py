"""The life of a pipe or of standard input: forwarded as it comes, until it is over."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from tailmerge.discover import Found, Kind
from tailmerge.feed import Feed, Progress
from tailmerge.stream import NEWCOMER_SECONDS, BlockingStream, InputStream, PipeStream
from tailmerge.surroundings import Surroundings
from tailmerge.system import System

RETRY_SECONDS = 1.0
"""How long a pipe that could not be opened or read is left alone."""


def opener(found: Found, system: System) -> Callable[[], InputStream]:
    """How what a name leads to is opened, on the thread that owns the files."""

    def open_stream() -> InputStream:
        if found.kind is Kind.PIPE:
            return PipeStream(found.name, system)
        if found.kind is Kind.STDIN:
            if not system.can_read(0):
                raise OSError(None, "is closed, not read")
            return BlockingStream(found.name, 0, system)
        fd = system.open(found.name, os.O_RDONLY)
        return BlockingStream(found.name, fd, system, owned=True)

    return open_stream


class StreamTail:
    """A pipe or standard input: forwarded as it comes."""

    asleep = False

    def __init__(
        self, name: str, open_stream: Callable[[], InputStream], around: Surroundings
    ) -> None:
        """`open_stream` opens it; called on the thread that owns the files."""
        self._name = name
        self.feed = Feed(name)
        self._open = open_stream
        self._around = around
        self._stream: InputStream | None = None

    async def run(self) -> None:
        try:
            if stream := await self._open_stream():
                interrupter = asyncio.create_task(self._interrupt(stream))
                try:
                    await self._pump(stream)
                finally:
                    interrupter.cancel()
        finally:
            self._around.output.post(self._close)

    async def _open_stream(self) -> InputStream | None:
        """Open it, once at least: what is in it is merged though the run is to end."""
        around = self._around
        while not around.ending.stopped:
            try:
                stream = await around.output.call(self._open_here)
            except OSError as error:
                around.report.input_unreadable(self._name, error)
                await around.output.pause(self.feed)
                if around.once or await around.ending.wait(RETRY_SECONDS):
                    return None
            else:
                around.report.input_works(self._name)
                return stream
        return None

    def _open_here(self) -> InputStream:
        self._stream = self._open()
        return self._stream

    async def _close(self) -> None:
        """On the thread that owns the files, behind the opening though that was cancelled."""
        if self._stream:
            self._stream.close()

    async def _interrupt(self, stream: InputStream) -> None:
        await self._around.ending.wait()
        await self._around.output.call(stream.interrupt)

    async def _pump(self, stream: InputStream) -> None:
        around = self._around
        while not around.ending.has_come:
            progress = await self._pump_once(stream)
            if progress is None:
                if around.once or await around.ending.wait(RETRY_SECONDS):
                    break
            elif not progress.more and not await self._goes_on(stream):
                break
        await self._drain(stream)
        if not around.ending.stopped:
            await around.output.pump_rest(stream, self.feed)
        elif len(stream.carry):
            around.report.line_left_out(self._name)

    async def _pump_once(self, stream: InputStream) -> Progress | None:
        """None where it could not be read, which is said."""
        around = self._around
        try:
            progress = await around.output.pump(stream, self.feed)
        except OSError as error:
            around.report.input_unreadable(self._name, error)
            await around.output.pause(self.feed)
            return None
        around.report.input_works(self._name)
        around.watch.note(progress)
        return progress

    async def _goes_on(self, stream: InputStream) -> bool:
        """Whether anything may come though no writer is left, or the read was interrupted."""
        around = self._around
        if around.ending.has_come:
            return True  # for what is there now
        if not isinstance(stream, PipeStream):
            return False
        if around.once and (stream.has_met_writer or not await self._meet_writer(stream)):
            return False
        await around.ending.wait(NEWCOMER_SECONDS / 2)
        return True

    async def _drain(self, stream: InputStream) -> None:
        """The run ends by itself: what is there now is merged, what comes later is not."""
        ending = self._around.ending
        if not ending.has_come or ending.stopped:
            return
        left = await self._around.output.call(stream.count_waiting)
        while left > 0 and not ending.stopped:
            progress = await self._pump_once(stream)
            if progress is None or not progress.more:
                return
            left -= progress.moved

    async def _meet_writer(self, stream: PipeStream) -> bool:
        """A writer that waited for us to open the pipe is given a moment to come."""
        deadline = asyncio.get_running_loop().time() + NEWCOMER_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if await self._around.ending.wait(NEWCOMER_SECONDS / 10):
                return False
            progress = await self._around.output.pump(stream, self.feed)
            self._around.watch.note(progress)
            if progress.more or stream.has_met_writer:
                return True
        return False
