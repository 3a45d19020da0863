"""What the thread that owns the files forwards by itself: what merely grew.

A tail that waits for news leaves an errand: forward what its one file has grown by. Who sees
the growth is on the thread that does it, and does it there, for many inputs in one batch;
nobody is woken. What is more than growth (there is much more to read, a hole, a file that
was rewritten, an error) is kept for the tail, which is woken and meets it as if it had
forwarded itself.

Two threads have it. The tail lets it be done and takes it back, the other one says when it
is under way; each first says its own and then asks for the other's, so that an errand that
was taken back is either never begun or known to be under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from tailmerge.feed import Feed, Progress
from tailmerge.route import Growth
from tailmerge.source import Source

ForwardAll = Callable[[Sequence[Growth]], Awaitable[Sequence[Progress | Exception]]]
"""Forwards what each has grown by; for each, in their order, what it did or raised."""


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

    @property
    def is_over(self) -> bool:
        """Whether growth is the tail's again, with what came of it."""
        return not (self._left or self._under_way)

    def begin(self) -> bool:
        """Whether it is under way from now on, for who asks; once more where it is already."""
        if self._under_way:
            self._again = True
            return False
        self._under_way = True
        if not self._left:
            self.end()
        return self._under_way

    def go_on(self) -> bool:
        """Whether there is more to forward: there was growth since this was asked last."""
        again, self._again = self._again and self._outcome is None, False
        return again

    def keep(self, outcome: Progress | Exception) -> None:
        """What a forward of it did or raised; more than growth is kept."""
        if isinstance(outcome, Exception) or outcome.more or outcome.hole or outcome.torn:
            self._outcome = outcome

    def end(self) -> None:
        """It is no longer under way."""
        self._under_way = self._again = False
        self._left = self._left and self._outcome is None
        if self._done:
            self._done.set()

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


async def run_all(errands: Iterable[Errand], forward_all: ForwardAll) -> None:
    """Forward what is there, of all of them together."""
    begun = [errand for errand in errands if errand.begin()]
    going = begun
    try:
        while going:
            outcomes = await forward_all([(errand.feed, errand.source) for errand in going])
            for errand, outcome in zip(going, outcomes, strict=True):
                errand.keep(outcome)
            going = [errand for errand in begun if errand.go_on()]
    except Exception as error:  # raised where the tails meet it
        for errand in going:
            errand.keep(error)
    finally:
        for errand in begun:
            errand.end()
