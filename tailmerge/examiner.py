"""Large compressed files are recognised on a thread of their own, not on the one that reads.

What a file held before it was compressed is known by its decompressed bytes, and that it is
whole only at its end: a few seconds of decompressing for each GiB. Meanwhile the lines of
all other inputs go on. Nothing of its own input is read until it is recognised, since what
is in it may be older than all the rest.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import NamedTuple

from tailmerge.match import Seen
from tailmerge.packed import NotThereYet, PackedSource, open_any
from tailmerge.system import Identity, System

LARGE = 1024 * 1024
"""Smaller ones, bytes as they are, are decompressed where they are met: in some 50 ms."""

FORGET_SECONDS = 3600.0
"""How long an answer is kept that nobody asks for: by then the file is known, or gone."""


class Examined(NamedTuple):
    """What was found of a whole compressed file."""

    length: int
    """Its decompressed size, bytes."""
    end: bytes
    """Its last decompressed bytes."""


class _Case:
    """One file, by device and inode."""

    __slots__ = ("answer", "asked", "done", "file")

    def __init__(self, file: Seen) -> None:
        self.file = file
        """As it was seen, with the name that it has by now."""
        self.answer: Examined | NotThereYet | None = None
        """None: nothing is known; whoever opens it meets the same error, or none."""
        self.done = False
        self.asked = time.monotonic()
        """When it was asked for last, seconds."""


class Examiner:
    """Asked on the thread that owns the files; works on its own one, a file after the other."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._cases: dict[Identity, _Case] = {}
        self._asked: queue.SimpleQueue[_Case | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def is_changing(self, file: Seen) -> bool:
        """Whether it was written to since its examination was begun, which goes on."""
        case = self._cases.get(file.identity)
        return case is not None and not case.done and case.file.size != file.size

    def is_pending(self, file: Seen) -> bool:
        """Whether it is being examined: from now on, where nobody asked before."""
        if file.size < LARGE or self._stopped:
            return False
        case = self._cases.get(file.identity)
        if case:
            case.asked = time.monotonic()
        if case and not case.done:
            if case.file.size == file.size:
                case.file = case.file._replace(path=file.path)
            return True
        if case and _is_same(case.file, file):
            return False
        self._forget()
        case = self._cases[file.identity] = _Case(file)
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._work, name="tailmerge-examiner", daemon=True
            )
            self._thread.start()
        self._asked.put(case)
        return True

    def _forget(self) -> None:
        """A run may live for years."""
        long_ago = time.monotonic() - FORGET_SECONDS
        old = [file for file, case in self._cases.items() if case.done and case.asked < long_ago]
        for file in old:
            del self._cases[file]

    def answer(self, file: Seen) -> Examined | NotThereYet | None:
        """What was found of it; None: it was not examined."""
        case = self._cases.get(file.identity)
        return case.answer if case and case.done and _is_same(case.file, file) else None

    def close(self) -> None:
        """What is under way is given up."""
        self._stopped = True
        self._asked.put(None)

    # on its own thread

    def _work(self) -> None:
        while (case := self._asked.get()) and not self._stopped:
            path = case.file.path
            try:
                case.answer = self._examine(case.file)
            except NotThereYet as error:
                case.answer = error
            except Exception:  # whoever opens it meets it, and says it
                if case.file.path != path:
                    self._asked.put(case)  # renamed meanwhile
                    continue
            case.done = True

    def _examine(self, file: Seen) -> Examined | None:
        source = open_any(self._system, file.path, file=file.identity, check=False)
        try:
            if not isinstance(source, PackedSource):
                return None  # its name only looks so
            return Examined(source.size(lambda: self._stopped), source.end)
        finally:
            source.close()


def _is_same(one: Seen, other: Seen) -> bool:
    return (one.size, one.modified) == (other.size, other.modified)
