"""The one file that everything goes to: appended to, reopened, waited for.

Two kinds. A `NamedFile` is a regular file known by its name, which is checked before
every batch and never inside one: moved or deleted it is opened anew, truncated it is
appended to from there. A `Stream` is a pipe, a terminal or a device. Neither ever skips a
byte: a write that fails for now is tried again until it works, the run is told to hurry,
or the patience of a one-shot run is used up. All of it happens on the thread that owns
the output, and no wait holds that thread.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from tailmerge.batch import Batch
from tailmerge.report import Report, cannot_open, still_owes, stopped_reading
from tailmerge.system import Identity, System, identity, is_regular

RETRY_SECONDS = 0.1
"""How long a full disk is left alone between two tries."""

HURRY_SECONDS = 0.5
"""How long a run that was told to stop still waits for its output."""

WATCH_SECONDS = 0.1
"""How often an idle pipe is asked whether its reader is still there."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Who may read every input, and so may read a new output."""

    group: int | None = None
    """The one group that every input lets read, or None."""
    others: bool = False
    """Every input lets everybody read."""

    def mode(self, group: int) -> int:
        """The permission bits of a new file that belongs to this group."""
        return 0o600 | (0o040 if self.group == group else 0) | (0o004 if self.others else 0)


def find_audience(inputs: Iterable[os.stat_result]) -> Audience:
    """Who may read all of these files; nobody but the owner where there is none."""
    statuses = list(inputs)
    groups = {s.st_gid if s.st_mode & stat.S_IRGRP else None for s in statuses}
    group = groups.pop() if len(groups) == 1 else None
    return Audience(group, bool(statuses) and all(s.st_mode & stat.S_IROTH for s in statuses))


class Output:
    """What both kinds share: every byte of a batch is written, or the run ends."""

    def __init__(self, path: str, system: System, report: Report, patience: float | None) -> None:
        self.path = path
        self.system = system
        self.report = report
        self.patience = patience
        """Seconds that one write may fail before the run gives up; None is for ever."""
        self.fd = -1
        self.identity: Identity | None = None
        self.identities: set[Identity] = set()
        """Every file that was our output in this run: none of them is ever an input."""
        self._hurry = asyncio.Event()

    def open(self) -> None:
        raise NotImplementedError

    async def append(self, batch: Batch, pieces: Iterable[bytes | memoryview]) -> None:
        """Write the batch's bytes, all of them, in one go where the system lets us."""
        raise NotImplementedError

    def hurry(self) -> None:
        """The run is to end: from now on the output is waited for only a moment."""
        self._hurry.set()

    def close(self) -> None:
        if self.fd >= 0:
            self.system.close(self.fd)
            self.fd = -1

    async def _write_all(self, data: bytes | memoryview) -> None:
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
        return self.system.write(self.fd, view)

    async def _wait_until_writable(self) -> None:
        await self._sleep(RETRY_SECONDS, "its reader does not read")

    async def _sleep(self, seconds: float, reason: str) -> None:
        """Wait so long; once the run hurries, end it when this took `HURRY_SECONDS`."""
        if self._hurry.is_set():
            await asyncio.sleep(HURRY_SECONDS)
            raise still_owes(self.path, reason)
        try:
            await asyncio.wait_for(self._hurry.wait(), seconds)
        except TimeoutError:
            pass


class Trouble:
    """A write error that may pass: said once when it begins and once when it is over."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._began = asyncio.get_running_loop().time()
        self._said: int | None = None

    async def wait(self, error: OSError) -> None:
        output = self._output
        waited = asyncio.get_running_loop().time() - self._began
        reason = f"{error.strerror or error}".lower()
        if output.patience is not None and waited >= output.patience:
            raise still_owes(output.path, reason)
        if self._said != error.errno:
            output.report.output_waits(output.path, error)
            self._said = error.errno
        await output._sleep(RETRY_SECONDS, reason)

    def over(self) -> None:
        self._output.report.output_works(self._output.path)


class NamedFile(Output):
    """A regular file, found by its name again before every batch."""

    def __init__(
        self,
        path: str,
        system: System,
        report: Report,
        patience: float | None,
        audience: Audience,
        overwrite: bool,
    ) -> None:
        super().__init__(path, system, report, patience)
        self._audience = audience
        self._overwrite = overwrite
        self._end = 0
        """Where our last write ended; the file is as long unless others wrote to it."""

    def open(self) -> None:
        """Open the output for append; a new one is for those who may read every input.

        Raises:
            OutputError: it cannot be opened.
        """
        try:
            self._open(None)
            if self._overwrite:
                self.system.truncate(self.fd, 0)
                self._end = 0
        except OSError as error:
            self.close()
            raise cannot_open(self.path, error) from error

    def _open(self, before: os.stat_result | None) -> None:
        flags = os.O_RDWR | os.O_APPEND
        try:
            self.fd = self._open_existing(flags)
        except FileNotFoundError:
            try:
                self.fd = self.system.open(self.path, flags | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:  # made this moment, or a symlink to what is not there yet
                self.fd = self.system.open(self.path, flags | os.O_CREAT, 0o600)
            self._set_mode(before)
        status = self.system.fstat(self.fd)
        self.identity = identity(status)
        self.identities.add(self.identity)
        self._end = -1  # whatever its length is: its last line is looked at before we append

    def _open_existing(self, flags: int) -> int:
        try:
            return self.system.open(self.path, flags)
        except PermissionError:  # it may be one that we can only write
            return self.system.open(self.path, flags & ~os.O_RDWR | os.O_WRONLY)

    def _set_mode(self, before: os.stat_result | None) -> None:
        """Who may see a new output: as the one before it, or who may read every input."""
        group = self.system.fstat(self.fd).st_gid
        if before is None:
            self.system.change_mode(self.fd, self._audience.mode(group) & ~self.system.umask())
            return
        mode = stat.S_IMODE(before.st_mode)
        if before.st_gid != group:
            try:
                self.system.change_group(self.fd, before.st_gid)
            except PermissionError:
                mode &= ~0o070  # a group that could not see the one before
        self.system.change_mode(self.fd, mode)

    async def append(self, batch: Batch, pieces: Iterable[bytes | memoryview]) -> None:
        await self._find_again()
        for piece in pieces:
            await self._write_all(piece)
            self._end += len(piece)

    async def _find_again(self) -> None:
        trouble: Trouble | None = None
        while True:
            try:
                length = self._check_name()
                break
            except OSError as error:
                trouble = trouble or Trouble(self)
                await trouble.wait(error)
        if trouble:
            trouble.over()
        if length != self._end:
            if length < self._end:
                self.report.output_truncated(self.path)
            await self._end_line(length)

    def _check_name(self) -> int:
        """Make sure that the name is the file we hold; return its length, bytes."""
        try:
            status = self.system.stat(self.path)
            if identity(status) == self.identity:
                return status.st_size
        except FileNotFoundError:
            pass  # moved or deleted
        before = self.system.fstat(self.fd)
        old = self.fd
        self._open(before)
        self.system.close(old)
        self.report.output_reopened(self.path)
        return self.system.fstat(self.fd).st_size

    async def _end_line(self, length: int) -> None:
        """Others wrote, or nobody did yet: see to it that we begin on a new line."""
        self._end = length
        try:
            torn = length > 0 and self.system.read_at(self.fd, 1, length - 1) != b"\n"
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            torn = False  # write-only: its last byte cannot be seen
        if torn:
            await self._write_all(b"\n")
            self._end += 1


class Stream(Output):
    """Standard output, a named pipe, a terminal or a device.

    A pipe is opened anew through /proc, so that its O_NONBLOCK is ours alone: set on an
    inherited descriptor it would break the shell's next command. Where that cannot be
    done a write is at most what a pipe that is ready takes without blocking.
    """

    def __init__(self, path: str, system: System, report: Report, patience: float | None) -> None:
        super().__init__(path, system, report, patience)
        self._most = 1 << 20
        """Bytes a write: bounded where a write could block."""
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
        if stat.S_ISFIFO(status.st_mode):
            try:
                flags = os.O_WRONLY | os.O_NONBLOCK
                self.fd = self.system.open("/proc/self/fd/1", flags)
                return
            except OSError:
                self._most = select.PIPE_BUF  # another user's pipe, or no /proc
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
        try:
            fd = self.system.open("/proc/self/fd/1", os.O_RDONLY)
        except OSError:
            return  # not readable: as cat would, we append
        try:
            if length and self.system.read_at(fd, 1, length - 1) != b"\n":
                self.system.write(self.fd, b"\n")
        finally:
            self.system.close(fd)

    async def append(self, batch: Batch, pieces: Iterable[bytes | memoryview]) -> None:
        while self.fd < 0:
            try:
                self._open_named()
                self._begin()
            except OSError:
                await self._sleep(RETRY_SECONDS, "nobody reads this pipe")
        for piece in pieces:
            await self._write_all(piece)

    def _write_some(self, view: memoryview) -> int:
        if self._most == select.PIPE_BUF and not self._is_ready():
            raise BlockingIOError
        return self.system.write(self.fd, view[: self._most])

    def _is_ready(self) -> bool:
        return bool(select.select([], [self.fd], [], 0)[1])

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
