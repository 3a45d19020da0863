"""A state in the making: written and locked beside the one that is in use, synced, then named.

A kill before it gets the name leaves the old state, which is as true; one after it the new one.
Both are locked by the run that makes it, so at every instant the name leads to a whole state,
and to one that is locked by whoever uses it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection

from tailmerge.report import output_busy
from tailmerge.state import TOGETHER, State, format_head
from tailmerge.system import System


class Checkpoint:
    """A new file beside the state. It belongs to the thread that owns the files."""

    def __init__(self, path: str, system: System) -> None:
        """`path` is the state's.

        Raises:
            OSError: it cannot be made.
        """
        self._path = path
        self._system = system
        self._name = f"{path}.{os.getpid()}.tmp"
        try:
            system.unlink(self._name)
        except FileNotFoundError:
            pass  # as it should be: nobody of our number died here before
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        self.fd = system.open(self._name, flags, 0o600)
        self.size = 0
        """Bytes of it."""
        self.since = 0
        """How long the journal was when it was written, bytes: what is behind that it lacks."""
        try:
            system.lock(self.fd)
        except BaseException:
            self.drop()
            raise

    def write(self, state: State, entries: Collection[str]) -> None:
        """Write what a run begins with; `entries` are the lines of its files.

        Raises:
            OSError: the disk is full; it is to be dropped.
        """
        head, rest = format_head(state, os.getpid(), len(entries)), iter(entries)
        # In parts: of one text of megabytes the C library would keep the room for good.
        while part := (head + "".join(itertools.islice(rest, TOGETHER))).encode("ascii"):
            self.add(part)
            head = ""

    def add(self, text: bytes) -> int:
        """Write what the journal told meanwhile; return how many bytes that are."""
        self._system.write_all(self.fd, text)
        self.size += len(text)
        return len(text)

    def give_name(self, *, instead: bool) -> None:
        """It is the state from now on; `instead` of the one that we have.

        Raises:
            Busy: somebody was quicker to make the first one.
            OSError: it cannot be; it is to be dropped.
        """
        if instead:
            self._system.rename(self._name, self._path)
            return
        try:
            self._system.link(self._name, self._path)
        except FileExistsError:
            raise output_busy(self._path, None) from None
        except OSError:
            self._system.rename(self._name, self._path)  # a file system without hard links
        else:
            self._system.unlink(self._name)

    def drop(self) -> None:
        """It is not to be: close it, and remove it where it has no other name yet."""
        try:
            self._system.unlink(self._name)
        except OSError:
            pass  # it has its name already; or it stays, and the next run removes it
        finally:
            self._system.close(self.fd)
