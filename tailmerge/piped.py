"""An output that cannot be looked at again: standard output, a pipe, a terminal, a device."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import stat
from typing import Protocol

from tailmerge.batch import Batch, Bytes
from tailmerge.output import HURRY_SECONDS, Output, Trouble
from tailmerge.report import Report, cannot_open, still_owes, stopped_reading
from tailmerge.system import System, identity, is_regular

WATCH_SECONDS = 0.1
"""How often an idle pipe is asked whether its reader is still there."""


class Behind(Protocol):
    """What is told around each batch: the journal, or nobody."""

    def prepare(self, batch: Batch) -> None: ...

    def took(self, batch: Batch) -> None: ...


class Stream(Output):
    """Standard output, a named pipe, a terminal or a device.

    A pipe or a terminal is opened anew through /proc, so that its O_NONBLOCK is ours
    alone: set on an inherited descriptor it would break the shell's next command. Where
    that cannot be done a write is at most what a pipe that is ready takes without blocking.
    """

    def __init__(self, path: str, system: System, report: Report, patience: float | None) -> None:
        super().__init__(path, system, report, patience)
        self._most = 1 << 20
        """Bytes a write: bounded where a write could block."""
        self.behind: Behind | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._can_break = False
        self.reader_gone: asyncio.Event = asyncio.Event()

    def open(self) -> None:
        try:
            if self.path == "-":
                self._open_standard_output()
            else:
                self._open_named()
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # a named pipe that nobody reads yet: opened with the first batch
            raise cannot_open(self.path, error) from error
        self._begin()

    def _open_standard_output(self) -> None:
        status = self.system.fstat(1)
        if stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode):
            try:
                flags = os.O_WRONLY | os.O_NONBLOCK
                self.fd = self.system.open("/proc/self/fd/1", flags)
                return
            except OSError:
                self._most = select.PIPE_BUF  # another user's, or no /proc
        elif stat.S_ISSOCK(status.st_mode):
            self._most = select.PIPE_BUF
        self.fd = self.system.duplicate(1)

    def _open_named(self) -> None:
        self.fd = self.system.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)

    def _begin(self) -> None:
        status = self.system.fstat(self.fd)
        self.identity = identity(status)
        self.identities.add(self.identity)
        self._can_break = stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode)
        if is_regular(status):
            self._end_torn_line(status.st_size)
        if self._can_break:
            self._watcher = asyncio.get_running_loop().create_task(self._watch_reader())

    def _end_torn_line(self, length: int) -> None:
        """`tailmerge a.log >> all.log`: a torn last line that is there does not join ours."""
        ours = 1 if self.path == "-" else self.fd
        try:
            fd = self.system.open(f"/proc/self/fd/{ours}", os.O_RDONLY)
        except OSError:
            return  # not readable: as cat would, we append
        try:
            if length and self.system.read_at(fd, 1, length - 1) != b"\n":
                self.system.write(self.fd, b"\n")
        finally:
            self.system.close(fd)

    async def append(self, batch: Batch) -> None:
        await self._meet_reader()
        if behind := self.behind:
            await self.insist(lambda: behind.prepare(batch))
        for piece in batch.pieces(0):
            await self._write_all(piece)
        if self.behind:
            self.behind.took(batch)

    async def _meet_reader(self) -> None:
        """A named pipe can be opened once somebody reads it."""
        trouble: Trouble | None = None
        while self.fd < 0:
            try:
                self._open_named()
                self._begin()
            except OSError as error:
                self.close()
                trouble = trouble or Trouble(self)
                if error.errno == errno.ENXIO:
                    error = OSError(None, "nobody reads it")
                await trouble.wait(error)
        if trouble:
            trouble.over()

    async def _write_all(self, data: Bytes) -> None:
        view = memoryview(data)
        trouble: Trouble | None = None
        while view:
            try:
                written = self._write_some(view)
            except BlockingIOError:
                await self._wait_until_writable()
            except BrokenPipeError:
                raise stopped_reading() from None
            except OSError as error:
                trouble = trouble or Trouble(self)
                await trouble.wait(error)
            else:
                view = view[written:]
                if trouble and written:
                    trouble.over()
                    trouble = None

    def _write_some(self, view: memoryview) -> int:
        if self._most == select.PIPE_BUF and not self.system.is_writable(self.fd):
            raise BlockingIOError
        return self.system.write(self.fd, view[: self._most])

    async def _wait_until_writable(self) -> None:
        """Until the pipe takes more, its reader goes, or a run that hurries has waited."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_writer(self.fd, ready.set)
        waits = [loop.create_task(ready.wait()), loop.create_task(self._hurry.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if not ready.is_set():
                await asyncio.wait(waits[:1], timeout=HURRY_SECONDS)
                if not ready.is_set():
                    raise still_owes(self.path, "its reader does not read")
        finally:
            loop.remove_writer(self.fd)
            for wait in waits:
                wait.cancel()

    async def _watch_reader(self) -> None:
        while self.system.has_reader(self.fd):
            await asyncio.sleep(WATCH_SECONDS)
        self.reader_gone.set()

    def close(self) -> None:
        if self._watcher:
            self._watcher.cancel()
        super().close()
