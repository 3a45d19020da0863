"""The one file that everything goes to: what its two kinds have in common.

A `NamedFile` (named.py) is a regular file known by its name, a `Stream` (piped.py) a pipe,
a terminal or a device. Neither ever skips a byte: a write that fails for now is tried
again until it works, the run is told to hurry, or the patience of a one-shot run is used
up. All of it happens on the thread that owns the output, and no wait holds that thread.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Iterable
from typing import NamedTuple

from tailmerge.batch import Batch
from tailmerge.report import Report, still_owes
from tailmerge.system import Identity, System

RETRY_SECONDS = 0.1
"""How long a full disk is left alone between two tries."""

HURRY_SECONDS = 0.5
"""How long a run that was told to stop still waits for its output."""


class Audience(NamedTuple):
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
        self._give_up_at: float | None = None
        """When a run that hurries no longer tries, seconds of the loop's clock."""

    @property
    def has_again(self) -> bool:
        """Whether of what is labelled only the label is told, and nothing is kept."""
        return False

    def open(self) -> None:
        raise NotImplementedError

    async def append(self, batch: Batch) -> None:
        """Write the batch's bytes, all of them, in one go where the system lets us."""
        raise NotImplementedError

    async def append_behind(self, batch: Batch) -> None:
        """The same for one that is in memory; it may be written while what follows is read.

        Until the next append, or `settle`, the caller awaits nothing else: the thread's loop is
        not to see an output that is being written to.
        """
        await self.append(batch)

    async def settle(self) -> None:
        """See to it that what was begun is written."""

    async def insist(self, act: Callable[[], None]) -> bool:
        """Do something that an error which passes may prevent, as long as it takes.

        Returns whether that had to be waited for.
        """
        trouble: Trouble | None = None
        while True:
            try:
                act()
                break
            except OSError as error:
                trouble = trouble or Trouble(self)
                await trouble.wait(error)
        if trouble:
            trouble.over()
        return trouble is not None

    def hurry(self) -> None:
        """The run is to end: from now on the output is waited for only a moment."""
        self._hurry.set()

    def close(self) -> None:
        if self.fd >= 0:
            self.system.close(self.fd)
            self.fd = -1

    async def sleep(self, seconds: float, reason: str) -> None:
        """Wait so long, or until the run hurries; then end it after `HURRY_SECONDS` more."""
        now = asyncio.get_running_loop().time()
        if not self._hurry.is_set():
            try:
                await asyncio.wait_for(self._hurry.wait(), seconds)
            except TimeoutError:
                pass  # the usual way: nobody hurries
            return
        if self._give_up_at is None:
            self._give_up_at = now + HURRY_SECONDS
        if now >= self._give_up_at:
            raise still_owes(self.path, reason)
        await asyncio.sleep(min(seconds, self._give_up_at - now))

    def works_again(self) -> None:
        """What failed has worked: the next trouble has its own patience."""
        self._give_up_at = None


class Trouble:
    """A write error that may pass: said once when it begins and once when it is over."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._began = asyncio.get_running_loop().time()
        self._said: str | None = None

    async def wait(self, error: OSError) -> None:
        output = self._output
        waited = asyncio.get_running_loop().time() - self._began
        reason = f"{error.strerror or error}".lower()
        if output.patience is not None and waited >= output.patience:
            raise still_owes(output.path, reason)
        if self._said != str(error):
            output.report.output_waits(output.path, error)
            self._said = str(error)
        await output.sleep(RETRY_SECONDS, reason)

    def over(self) -> None:
        self._output.works_again()
        self._output.report.output_works(self._output.path)
