"""The thread that speaks: a message is handed over and never waited for.

Standard error may be a pipe that nobody empties, or a terminal that was stopped, so writing
to it can block for ever. Here it blocks a thread of its own. When more than `BACKLOG`
messages wait, new ones are counted instead of kept, and the count is said when the way is
free again. The thread is started for the first message: most runs from cron have none.
The status line is drawn by the same thread: it is taken away before a message
is said, and no two of them are ever written at once.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable

from tailmerge.painter import Compose, Painter

BACKLOG = 10_000
"""Messages kept for a reader that is slow; about 1 MiB of them."""

LAST_WORDS_SECONDS = 1.0
"""How long the end of a run waits for its last messages to be taken, seconds."""

Deliver = Callable[[str], None]


class Voice:
    """Says lines of text through `deliver`, in order, on a thread of its own."""

    def __init__(self, deliver: Deliver, painter: Painter | None = None) -> None:
        self._deliver = deliver
        self._painter = painter
        self._compose: Compose | None = None
        """The newest status line, until it is drawn; older ones are nobody's."""
        self._queue: queue.SimpleQueue[tuple[Deliver, str] | Painter | None] = queue.SimpleQueue()
        self._unsaid = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wanted = False
        """There is something to say: the thread is started, or will be."""
        self._starting: asyncio.Future[None] | None = None
        self._thread = threading.Thread(target=self._run, name="tailmerge-voice", daemon=True)

    def say(self, text: str) -> None:
        """Hand a message over; from any thread, without waiting."""
        self.write(self._deliver, text)

    def write(self, deliver: Deliver, text: str) -> None:
        """Hand a text over that is written otherwise than a message."""
        if self._queue.qsize() >= BACKLOG:
            self._unsaid += 1
            return
        if self._unsaid:
            unsaid = f"{self._unsaid} messages were left out: nobody took them"
            self._put((self._deliver, unsaid))
            self._unsaid = 0
        self._put((deliver, text))

    def show_line(self, compose: Compose) -> None:
        """Hand the newest status line over; from one thread, without waiting."""
        waits, self._compose = self._compose, compose
        if self._painter and waits is None:
            self._put(self._painter)

    def _put(self, item: tuple[Deliver, str] | Painter) -> None:
        self._queue.put(item)
        if self._loop and not self._wanted:
            self._wanted = True
            self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        """Start the thread, off the loop, on which this is called."""
        if self._starting is None:
            self._starting = asyncio.get_running_loop().run_in_executor(None, self._thread.start)

    async def open(self) -> None:
        """From now on what is said is delivered."""
        self._loop = asyncio.get_running_loop()
        if not self._queue.empty():
            self._wanted = True
            self._begin()

    async def close(self) -> None:
        """Wait for the last words, at most `LAST_WORDS_SECONDS`."""
        self._wanted = True  # too late to start it for who still speaks
        if self._loop is None or (self._starting is None and self._queue.empty()):
            return  # nobody spoke
        self._begin()
        self._queue.put(None)
        assert self._starting
        await asyncio.shield(self._starting)
        wait = self._thread.join
        await asyncio.get_running_loop().run_in_executor(None, wait, LAST_WORDS_SECONDS)

    def _run(self) -> None:
        last: Compose | None = None
        while (item := self._queue.get()) is not None:
            if isinstance(item, Painter):
                compose, self._compose = self._compose, None
                last = compose or last
            else:
                if self._painter:
                    self._painter.clear()
                deliver, text = item
                deliver(text)
            if self._painter and last and self._queue.empty():
                self._painter.draw(last)
        if self._painter:
            self._painter.clear()
