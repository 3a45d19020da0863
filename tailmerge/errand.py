"""What the thread that owns the files forwards by itself: what merely grew.

A tail that waits for news leaves an errand: forward what its one file has grown by. Who sees
the growth is on the thread that does it, and does it there, for many inputs in one turn;
nobody is woken. What is more than growth (there is much more to read, a hole, a file that
was rewritten, an error) is kept for the tail, which is woken and meets it as if it had
forwarded itself.

Two threads have it. The tail lets it be done and takes it back, the other one says when it
is under way; each first says its own and then asks for the other's, so that an errand that
was taken back is either never begun or known to be under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tailmerge.feed import Feed, Progress
from tailmerge.source import Source

Forward = Callable[[Feed, Source], Awaitable[Progress]]


class Errand:
    """Forwards from one file, which merely grows, as often as it does."""

    __slots__ = ("_again", "_done", "_left", "_outcome", "_under_way", "feed", "source")

    def __init__(self, feed: Feed, source: Source) -> None:
        self.feed = feed
        self.source = source
        self._left = True
        self._under_way = False
        self._again = False
        """It grew once more while it was under way."""
        self._outcome: Progress | Exception | None = None
        """What is the tail's to meet."""
        self._done: asyncio.Event | None = None

    # of the tail

    def take_back(self) -> bool:
        """Let it be begun no more; whether there is something to `settle`."""
        self._left = False
        return self._under_way or self._outcome is not None

    # on the thread that owns the files

    @property
    def is_left(self) -> bool:
        return self._left

    async def run(self, forward: Forward) -> bool:
        """Forward what is there; whether there is something that the tail is to meet."""
        if self._under_way:
            self._again = True
            return False
        self._under_way = True
        try:
            self._again = self._left
            while self._again and self._outcome is None:
                self._again = False
                progress = await forward(self.feed, self.source)
                if progress.more or progress.hole or progress.torn:
                    self._outcome = progress
        except Exception as error:  # raised where the tail meets it
            self._outcome = error
        finally:
            self._under_way = False
            if self._done:
                self._done.set()
        self._left = self._left and self._outcome is None
        return self._outcome is not None

    async def settle(self) -> Progress:
        """Wait until it is not under way; what came of it that is the tail's to meet.

        Raises:
            What the forward raised.
        """
        if self._under_way:
            self._done = asyncio.Event()
            await self._done.wait()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome or Progress(0, False, 0)
