"""The thread that speaks: a message is handed over and never waited for.

Standard error may be a pipe that nobody empties, so writing to it can block for ever.
Here it blocks a thread of its own. When more than `BACKLOG` messages wait, new ones are
counted instead of kept, and the count is said when the way is free again.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable

BACKLOG = 10_000
"""Messages kept for a reader that is slow; about 1 MiB of them."""

LAST_WORDS_SECONDS = 1.0
"""How long the end of a run waits for its last messages to be taken, seconds."""


class Voice:
    """Says lines of text through `deliver`, in order, on a thread of its own."""

    def __init__(self, deliver: Callable[[str], None]) -> None:
        self._deliver = deliver
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._unsaid = 0
        self._thread = threading.Thread(target=self._run, name="tailmerge-voice", daemon=True)

    def say(self, text: str) -> None:
        """Hand a message over; from any thread, without waiting."""
        if self._queue.qsize() >= BACKLOG:
            self._unsaid += 1
            return
        if self._unsaid:
            self._queue.put(f"{self._unsaid} messages were left out: nobody took them")
            self._unsaid = 0
        self._queue.put(text)

    async def open(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._thread.start)

    async def close(self) -> None:
        """Wait for the last words, at most `LAST_WORDS_SECONDS`."""
        if self._thread.ident is None:
            return  # the start was cancelled: nobody speaks
        self._queue.put(None)
        wait = self._thread.join
        await asyncio.get_running_loop().run_in_executor(None, wait, LAST_WORDS_SECONDS)

    def _run(self) -> None:
        while (text := self._queue.get()) is not None:
            self._deliver(text)
