"""A journal that has grown is replaced by a checkpoint, while lines go on being merged.

A checkpoint has to be on the disk before it takes the journal's name, and on ext4 that takes as
long as what was just written to any file takes to reach it: 1.5 s were seen at 200,000 lines/s.
So it is synced on a thread of its own, and the journal goes on meanwhile; what it told since is
put behind the checkpoint then.
"""

from __future__ import annotations

from threading import Event, Thread

from tailmerge.checkpoint import Checkpoint
from tailmerge.ledger import Ledger
from tailmerge.system import System


class Shortening:
    """Done between two batches, on the thread that owns the files."""

    def __init__(self, ledger: Ledger, system: System) -> None:
        self._ledger = ledger
        self._system = system
        self._new: Checkpoint | None = None
        self._is_over = Event()
        """The sync is, however it ended."""
        self._is_synced = False

    def step(self) -> None:
        """Begin it where it is time, and end it once the sync is done: with the next batch."""
        if self._new is None:
            if self._ledger.is_long:
                self._begin()
        elif self._is_over.is_set():
            new, self._new = self._new, None
            self._ledger.end_shortening(new, is_synced=self._is_synced)

    def _begin(self) -> None:
        new = self._new = self._ledger.begin_shortening()
        if new is None:
            return
        self._is_over.clear()
        self._is_synced = False
        try:
            fd = self._system.duplicate(new.fd)  # closed by who syncs: the run may be over by then
        except OSError:
            self._is_over.set()  # too many are open: tried again
            return
        name = "tailmerge-checkpoint"
        thread = Thread(target=self._sync, args=(fd,), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._sync(fd)  # the process has all the threads that it may have

    def _sync(self, fd: int) -> None:
        try:
            try:
                self._system.sync(fd)
            finally:
                self._system.close(fd)
            self._is_synced = True
        except OSError:
            pass  # not used, and tried again when the journal has grown more
        finally:
            self._is_over.set()

    def close(self) -> None:
        """The run is over: what is not done yet is not to be."""
        new, self._new = self._new, None
        if new:
            new.drop()
