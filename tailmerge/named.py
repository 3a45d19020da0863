"""An output that is a regular file: appended to, found again by its name, waited for.

The name is checked before every batch and never inside one: moved or deleted it is opened
anew, truncated it is appended to from there. Each batch is announced in the journal, where
there is one, before its first byte is written. A write that fails for now is tried again
until it works, the run is told to hurry, or the patience of a one-shot run is used up; no
wait holds the thread.
"""

from __future__ import annotations

import errno
import os
import stat
from functools import partial
from typing import Protocol

from tailmerge.batch import Batch
from tailmerge.output import Audience, Output, Trouble
from tailmerge.position import EMPTY, Position, position_of
from tailmerge.report import Report, cannot_open, output_busy, still_owes
from tailmerge.system import System, identity
from tailmerge.writebehind import WriteBehind


class Ahead(Protocol):
    """What is told before something happens to the output: the journal, or nobody."""

    def announce(self, batch: Batch, at: int) -> None: ...

    def reopened(self, before: Position, now: Position, rest: Batch | None) -> None: ...


class Durable(Protocol):
    """Who sees to it that what is written survives a power cut: syncing.py, or nobody."""

    async def before(self, batch: Batch) -> None: ...

    async def announced(self, batch: Batch) -> None: ...

    def wrote(self, length: int) -> None: ...

    async def left(self, fd: int) -> None: ...


class NamedFile(Output):
    """A regular file, found by its name again before every batch."""

    def __init__(
        self,
        path: str,
        system: System,
        report: Report,
        patience: float | None,
        audience: Audience,
    ) -> None:
        super().__init__(path, system, report, patience)
        self._audience = audience
        self._end = -1
        """Where our last write ended; the file is as long unless others wrote to it."""
        self.ahead: Ahead | None = None
        self.durable: Durable | None = None
        self._left = -1
        """The file before, which is still to be synced."""
        self._untold: Position | None = None
        """The file before, where the journal does not know yet that there is another."""
        self.is_new = False
        """There was no file of this name."""
        self._write_behind = WriteBehind(system)
        self._under_way: Batch | None = None
        """What is being written there."""

    def open(self) -> None:
        """Open the output for append and lock it.

        A new one is for those who may read every input.

        Raises:
            OutputError: it cannot be opened.
            Busy: another tailmerge has it.
        """
        try:
            self._open(None)
        except OSError as error:
            self.close()
            raise cannot_open(self.path, error) from error
        except BaseException:
            self.close()
            raise

    def empty(self) -> None:
        """Start over: what is in the output is thrown away."""
        self.system.truncate(self.fd, 0)
        self._end = 0

    def _open(self, before: os.stat_result | None) -> None:
        flags = os.O_RDWR | os.O_APPEND
        try:
            self.fd = self._open_existing(flags)
        except FileNotFoundError:
            self.is_new = True
            try:
                self.fd = self.system.open(self.path, flags | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:  # made this moment, or a symlink to what is not there yet
                self.fd = self.system.open(self.path, flags | os.O_CREAT, 0o600)
            self._set_mode(before)
        try:
            self.system.lock(self.fd)
        except BlockingIOError:
            raise output_busy(self.path, None) from None
        self.identity = identity(self.system.fstat(self.fd))
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

    def position(self) -> Position:
        """The output as the journal knows it again: its length, head and marker."""
        size = self.system.fstat(self.fd).st_size
        try:
            return position_of(self.system, self.fd, self.path, size)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            assert self.identity
            return Position(self.path, self.identity, size, 0, EMPTY, 0, EMPTY)  # write-only

    # appending

    @property
    def has_again(self) -> bool:
        return self.durable is None

    @property
    def end(self) -> int:
        """Where our last write ended, bytes."""
        return self._end

    async def append(self, batch: Batch) -> None:
        await self.settle()
        if self.durable:
            await self.durable.before(batch)
        await self._find_again(None)
        await self._write_all(await self._announce(batch))
        if self.durable:
            self.durable.wrote(batch.length)

    # written while what follows is read

    async def append_behind(self, batch: Batch) -> None:
        if self.durable:
            await self.append(batch)
            return
        await self.settle()
        await self._find_again(None)
        self._begin_write(await self._announce(batch))

    def _begin_write(self, batch: Batch) -> None:
        (data,) = batch.pieces(0)
        self._write_behind.begin(self.fd, data)
        self._under_way = batch

    def _end_write(self) -> tuple[Batch | None, int]:
        """What was under way, and how many bytes of it are written."""
        batch, self._under_way = self._under_way, None
        if batch is None:
            return None, 0
        try:
            written = self._write_behind.wait()
        except OSError:
            written = 0  # the next write meets it again
        self._end += written
        return batch, written

    async def settle(self) -> None:
        batch, written = self._end_write()
        if batch and written < batch.length:
            await self._write_rest(batch, written)

    async def _write_rest(self, batch: Batch, written: int) -> None:
        """Write what is left of a batch that was announced."""
        disturbed = self._was_disturbed()
        await self._write_all(
            await (self._begin_again if disturbed else self._write_batch)(batch, written)
        )

    # a batch that is written a block at a time (stretch.py)

    async def find_again(self) -> None:
        """Make sure that what is written next goes where it should."""
        await self._find_again(None)

    def begin(self, batch: Batch) -> bool:
        """Announce a batch whose blocks follow at once; False where that has to be waited for."""
        try:
            if self.ahead:
                self.ahead.announce(batch, self._end)
        except OSError:
            return False  # an append meets it too, and waits
        return True

    def begin_block(self, block: Batch) -> bool:
        """Begin to write the next whole lines of what was begun; the ones before are written.

        False where others appended meanwhile, or that cannot be asked: `finish` meets that.
        """
        try:
            if self.system.seek(self.fd, 0, os.SEEK_END) != self._end:
                return False
        except OSError:
            return False
        self._begin_write(block)
        return True

    async def end_block(self) -> bool:
        """See the block that is under way written; False where that was not at once."""
        block, written = self._end_write()
        if block is None or written == block.length:
            return True
        await self.finish(block, written)
        return False

    async def finish(self, batch: Batch, written: int) -> None:
        """Append the last lines of what was begun, of which so many bytes are written.

        Be it none: that no more of what was announced follows is told by their record. Where
        the output is opened anew that record is told with it, or a kill would take all of what
        was announced for written.
        """
        if not written:
            await self._find_again(batch)
            await self._write_all(await self._announce(batch))
            return
        if self.ahead:
            await self.insist(partial(self.ahead.announce, batch, self._end - written))
        await self._write_rest(batch, written)

    async def _write_all(self, batch: Batch | None) -> None:
        """Write a batch that was announced, in as many parts as that takes."""
        while batch is not None:
            batch = await self._write_batch(batch)

    async def _announce(self, batch: Batch) -> Batch:
        """Say what is written next; return it.

        Where the state had no room the output may have been cut or deleted meanwhile.
        """
        while self.ahead:
            waited = await self.insist(partial(self.ahead.announce, batch, self._end))
            if not (waited and self._was_disturbed()):
                break
            batch = batch.rest(0)
            await self._find_again(batch)
        if self.durable:
            await self.durable.announced(batch)
        return batch

    async def _write_batch(self, batch: Batch, written: int = 0) -> Batch | None:
        """Write a batch that was announced, but for what is `written` already.

        Returns what is still to be written of it where the output did not stay as it was
        while we waited: behind what others appended, or in a file that is opened anew.
        """
        trouble: Trouble | None = None
        for piece in batch.pieces(written):
            view = memoryview(piece)
            while view:
                if trouble and self._was_disturbed():
                    trouble.over()
                    return await self._begin_again(batch, written)
                try:
                    count = self.system.write(self.fd, view)
                except OSError as error:
                    trouble = trouble or Trouble(self)
                    await trouble.wait(error)
                    continue
                view = view[count:]
                written += count
                self._end += count
                if trouble and count:
                    trouble.over()
                    trouble = None
        return None

    def _was_disturbed(self) -> bool:
        """Whether others appended, cut or deleted the file while we waited inside a batch.

        A file that was only moved is written to until the batch is whole.

        Raises:
            OutputError: that cannot be asked; as an error of the input it would be passed over,
                and the input is behind the batch already.
        """
        try:
            status = self.system.fstat(self.fd)
        except OSError as error:
            raise still_owes(self.path, f"{error.strerror or error}".lower()) from error
        return status.st_size != self._end or status.st_nlink == 0

    async def _begin_again(self, batch: Batch, written: int) -> Batch | None:
        """The lines that are not whole are a batch of their own, wherever they go now."""
        rest = batch.rest(written)
        await self._find_again(rest)
        return await self._announce(rest) if rest.length else None

    def close(self) -> None:
        self._end_write()
        self._write_behind.close()
        super().close()

    async def _find_again(self, rest: Batch | None) -> None:
        """Make sure that the name is the file we hold, and that we begin on a new line.

        `rest` is what was announced and is still to be written.
        """
        await self.insist(self._check_name)
        if self._left >= 0 and self.durable:
            fd, self._left = self._left, -1
            await self.durable.left(fd)
        if self._untold:
            await self.insist(lambda: self._tell_reopened(rest))
        if self._end < 0:
            await self.insist(self._end_line)

    def _check_name(self) -> None:
        try:
            status = self.system.stat(self.path)
            if identity(status) == self.identity:
                if self._end > status.st_size:
                    self.report.output_truncated(self.path)
                if self._end != status.st_size:
                    self._end = -1
                return
        except FileNotFoundError:
            pass  # moved or deleted
        before, status = self.position(), self.system.fstat(self.fd)
        old = self.fd
        try:
            self._open(status)
        except BaseException:
            if self.fd not in (old, -1):
                self.system.close(self.fd)  # opened, and then not to be had
            self.fd = old
            raise
        if self.durable:
            self._left = old
        else:
            self.system.close(old)
        self._untold = before
        self.report.output_reopened(self.path)

    def _tell_reopened(self, rest: Batch | None) -> None:
        """The journal learns of the new file, however often that has to be tried."""
        if self.ahead:
            assert self._untold
            self.ahead.reopened(self._untold, self.position(), rest)
        self._untold = None

    def _end_line(self) -> None:
        """Others wrote, or nobody did yet: a torn line does not join ours."""
        length = self.system.fstat(self.fd).st_size
        try:
            torn = length > 0 and self.system.read_at(self.fd, 1, length - 1) != b"\n"
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            torn = False  # write-only: its last byte cannot be seen
        if torn:
            length += self.system.write(self.fd, b"\n")
        self._end = length
