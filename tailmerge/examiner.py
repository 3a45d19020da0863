"""Large compressed files are recognised on a thread of their own, not on the one that reads.

What a file held before it was compressed is known by its decompressed bytes, and that it is
whole only at its end: a few seconds of decompressing for each GiB. Meanwhile the lines of
all other inputs go on. Nothing of its own input is read until it is recognised, since what
is in it may be older than all the rest.
"""

from __future__ import annotations

import queue
import threading
from typing import NamedTuple

from tailmerge.match import Seen
from tailmerge.packed import PackedSource, open_any
from tailmerge.system import Identity, System

LARGE = 1024 * 1024
"""Smaller ones, bytes as they are, are decompressed where they are met: in some 50 ms."""

REMEMBERED = 100
"""So many answers are kept at most."""


class Examined(NamedTuple):
    """What was found of a whole compressed file."""

    length: int
    """Its decompressed size, bytes."""
    end: bytes
    """Its last decompressed bytes."""


Answer = Examined | OSError | None

_Key = tuple[Identity, int, float]


class Examiner:
    """Asked on the thread that owns the files; works on its own one, a file after the other."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._answers: dict[_Key, Answer] = {}
        """None: it is not known yet."""
        self._under_way: dict[Identity, _Key] = {}
        self._asked: queue.SimpleQueue[Seen | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def is_changing(self, file: Seen) -> bool:
        """Whether it was written to since its examination was begun, which goes on."""
        return self._under_way.get(file.identity, _key(file)) != _key(file)

    def is_pending(self, file: Seen) -> bool:
        """Whether it is being examined: from now on, where nobody asked before."""
        if file.size < LARGE or self._stopped:
            return False
        key = _key(file)
        if key not in self._answers:
            self._answers[key], self._under_way[file.identity] = None, key
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="tailmerge-examiner", daemon=True
                )
                self._thread.start()
            self._asked.put(file)
        return self._answers[key] is None

    def answer(self, file: Seen) -> Answer:
        """What was found of it; None: it was not examined."""
        return self._answers.get(_key(file))

    def close(self) -> None:
        """What is under way is given up."""
        self._stopped = True
        self._asked.put(None)

    # on its own thread

    def _work(self) -> None:
        while (file := self._asked.get()) and not self._stopped:
            try:
                answer: Answer = self._examine(file)
            except OSError as error:
                answer = error
            except BaseException as error:  # somebody waits for an answer
                self._note(file, OSError(None, f"cannot be decompressed: {error}"))
                raise
            self._note(file, answer)

    def _note(self, file: Seen, answer: Answer) -> None:
        self._answers[_key(file)] = answer
        self._under_way.pop(file.identity, None)
        for key in [key for key, known in self._answers.items() if known][:-REMEMBERED]:
            del self._answers[key]

    def _examine(self, file: Seen) -> Answer:
        source = open_any(self._system, file.path, check=False)
        try:
            if source.identity != file.identity or not isinstance(source, PackedSource):
                raise FileNotFoundError(file.path)  # renamed, or written anew since
            length = source.size(lambda: self._stopped)
            return Examined(length, source.end)
        finally:
            source.close()


def _key(file: Seen) -> _Key:
    return file.identity, file.size, file.modified
