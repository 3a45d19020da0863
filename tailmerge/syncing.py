"""Groups of syncs, so that what was written survives a power cut (--fsync).

A group, at most one a second, waits until the inputs' lines, then the output's bytes are on
the disk, then says so in the journal, and waits for that too. Writing goes on meanwhile:
what is behind the last group is found out by comparing, after a power cut (powercut.py).
That needs three things to be on the disk before a batch is written: that its file is known,
which file the output is, and, of a batch that no input has again, its bytes and its record.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable

from tailmerge.batch import Batch
from tailmerge.lane import Lane
from tailmerge.ledger import Ledger
from tailmerge.named import NamedFile
from tailmerge.report import OutputError, cannot_sync
from tailmerge.system import System

SYNC_SECONDS = 1.0
"""The least time between two groups while a little is written."""

SYNC_BYTES = 64 * 1024 * 1024
"""So much is synced at once; four times as much is waited for."""


class Syncing:
    """One run's syncs; on the loop of the thread that owns the files, done by another."""

    def __init__(self, output: NamedFile, ledger: Ledger | None, system: System) -> None:
        self._output = output
        self._ledger = ledger
        self._system = system
        self._lane = Lane("tailmerge-sync")
        self._task: asyncio.Task[None] | None = None
        self._one = asyncio.Lock()
        self._news = asyncio.Event()
        self._much = asyncio.Event()
        self._failed = asyncio.Event()
        self._error: OutputError | None = None
        self._pending = 0
        """Bytes that were written since the last group began."""
        self._end = -1
        """The output's length behind the last batch that was written whole, bytes; -1 where
        none was."""
        self._is_kept = self._is_loose = False
        """The last batch was kept with its positions, and is not synced: before anything else
        is written it is."""
        self._new_name = True
        """The output's name may not be on the disk yet."""

    async def open(self) -> None:
        await self._lane.open()
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._output.durable = self

    async def wait_failure(self) -> None:
        """Wait, for ever where all is well, until something cannot be synced.

        Raises:
            OutputError: it cannot.
        """
        await self._failed.wait()
        self._check()

    def _check(self) -> None:
        if self._error:
            raise self._error

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self.settle()
            except OutputError:
                return  # the next append raises it, and whoever waits for a failure
            try:
                await asyncio.wait_for(self._much.wait(), SYNC_SECONDS)
            except TimeoutError:
                pass  # the usual way: little is written

    # what the output tells

    async def before(self, batch: Batch) -> None:
        """Before a batch is announced."""
        self._check()
        if self._is_loose or _is_kept(batch) or self._pending > 4 * SYNC_BYTES:
            await self.settle()
        if self._ledger and not self._ledger.is_marked:
            await self._mark(self._ledger)

    async def _mark(self, ledger: Ledger) -> None:
        """Before the first record: from here on the journal tells what is on the disk."""
        await self.settle()
        self._end = self._system.fstat(self._output.fd).st_size
        await self._output.insist(lambda: ledger.say_synced(None, self._end))
        await self.settle()

    async def announced(self, batch: Batch) -> None:
        """Before its first byte is written."""
        ledger, self._is_kept = self._ledger, _is_kept(batch)
        if ledger is None:
            return
        if self._end < 0:
            self._end = self._system.fstat(self._output.fd).st_size
        must = self._is_kept
        while ledger.has_loose_news or must:
            await self.settle()
            must = False

    def wrote(self, length: int) -> None:
        """A batch is written whole."""
        self._end = self._output.end
        self._is_loose = self._is_kept
        self._pending += length
        if self._ledger:
            self._ledger.note_written()
        self._news.set()
        if self._pending > SYNC_BYTES:
            self._much.set()

    async def left(self, fd: int) -> None:
        """The output is another file now: the one before is synced and closed."""
        await self._sync((), (fd,), None)
        self._new_name, self._end = True, -1

    # groups

    async def settle(self) -> None:
        """Sync all that was written before this.

        Raises:
            OutputError: it cannot be synced; the run is to end.
        """
        async with self._one:
            self._check()
            ledger, pending, end = self._ledger, self._pending, self._end
            loose = self._is_loose
            point = ledger.sync_point() if ledger else None
            inputs = ledger.duplicate_inputs() if ledger else []
            folder = os.path.dirname(self._output.path) or "." if self._new_name else None
            self._much.clear()
            await self._sync(inputs, self._duplicate(), folder)
            self._new_name = False
            self._pending -= pending
            if loose:
                self._is_loose = False
            if ledger and point:
                await self._sync_journal(ledger, point, end)

    async def _sync_journal(self, ledger: Ledger, point: tuple[int, int], end: int) -> None:
        try:
            if ledger.is_marked and end >= 0:
                ledger.say_synced(point, end)
        except OSError:
            pass  # a full disk: the last such line is as true, there is more to compare
        news = ledger.news
        await self._sync((), ledger.duplicate_journal(), None)
        ledger.note_synced(news)

    def _duplicate(self) -> list[int]:
        try:
            return [self._system.duplicate(self._output.fd)]
        except OSError as error:
            raise self._fail(error) from error

    async def _sync(self, inputs: Iterable[int], files: Iterable[int], folder: str | None) -> None:
        """Sync these descriptors, the inputs first, and close them."""
        try:
            await self._lane.call(self._sync_here, list(inputs), list(files), folder)
        except OSError as error:
            raise self._fail(error) from error

    def _sync_here(self, inputs: list[int], files: list[int], folder: str | None) -> None:
        try:
            for fd in inputs:
                self._sync_input(fd)
            for fd in files:
                self._system.sync_data(fd)
            if folder is not None:
                self._system.sync_folder(folder)
        finally:
            for fd in inputs + files:
                self._system.close(fd)

    def _sync_input(self, fd: int) -> None:
        try:
            self._system.sync_data(fd)
        except OSError:
            pass  # not ours, and on a file system that cannot: its own end is its writer's

    def _fail(self, error: OSError) -> OutputError:
        self._error = self._error or cannot_sync(self._output.path, error)
        self._failed.set()
        return self._error

    async def close(self) -> None:
        """End the thread; what is to be synced was synced before."""
        if self._task:
            self._task.cancel()
        await self._lane.stop()


def _is_kept(batch: Batch) -> bool:
    """Whether a batch has positions, and bytes that cannot be had again from there."""
    return bool(batch.spans) and not batch.again
