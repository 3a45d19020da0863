"""One write that is under way on a thread of its own, while what follows it is read.

A block takes longer to write than to read, and neither needs Python meanwhile: side by side
they take as long as the writes alone. There is never more than one, and whoever began it waits
for it before anything else is done to the output, or said of it: what is announced and written
comes in the same order as without.
"""

from __future__ import annotations

import queue
import threading

from tailmerge.batch import Bytes
from tailmerge.system import System


class WriteBehind:
    """Begun and waited for on the thread that owns the files."""

    def __init__(self, system: System) -> None:
        """The thread is started with the first write; there is none on a single processor."""
        self._system = system
        self._is_alone = system.processors() == 1
        self._asked: queue.SimpleQueue[tuple[int, Bytes] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[int | BaseException] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def begin(self, fd: int, data: Bytes) -> None:
        """Write, beside what comes next; the one before was waited for. `data` stays as it is."""
        if self._thread is None and not self._is_alone:
            self._start()
        if self._is_alone:
            self._write(fd, data)
        else:
            self._asked.put((fd, data))

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name="tailmerge-write", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._is_alone = True  # the process has all the threads that it may have
        else:
            self._thread = thread

    def wait(self) -> int:
        """How many bytes are written of what was begun.

        Raises:
            OSError: as the write did.
        """
        answer = self._answers.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self) -> None:
        """Nothing more is begun; nothing is under way."""
        if self._thread:
            self._asked.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while asked := self._asked.get():
            self._write(*asked)
            del asked  # it may be long until the next one

    def _write(self, fd: int, data: Bytes) -> None:
        try:
            self._answers.put(self._system.write(fd, data))
        except BaseException as error:  # whoever waits for it meets it
            self._answers.put(error)
