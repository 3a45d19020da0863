"""A way out that counts what goes through it, input by input.

Bytes cost nothing: they are the difference of two offsets. Lines are counted only where
somebody is to see them: each block is looked through once more for its newlines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tailmerge.feed import Asked, Feed, Progress
from tailmerge.route import Growth, Route
from tailmerge.source import Source
from tailmerge.stream import Carry

Stock = tuple[int, int, bool]
"""Before a forward: the source's offset, its lines, and whether it has an orphan."""


class Counting(Route):
    """Hands everything to another way out; on the thread that owns the files."""

    def __init__(self, route: Route, *, lines: bool) -> None:
        self._route = route
        self._lines = lines
        self.patience = route.patience
        self.feeds: list[Feed] = []
        """The inputs of this run, in their order, with what was read of each."""

    async def forward(self, feed: Feed, source: Source, asked: Asked) -> Progress:
        before = self._take_stock(source)
        try:
            return await self._route.forward(feed, source, asked)
        finally:
            self._count(feed, source, before)

    async def forward_all(self, grown: Sequence[Growth]) -> Sequence[Progress | Exception]:
        before = [self._take_stock(source) for _, source in grown]
        try:
            return await self._route.forward_all(grown)
        finally:
            for (feed, source), stock in zip(grown, before, strict=True):
                self._count(feed, source, stock)

    def _take_stock(self, source: Source) -> Stock:
        if self._lines and source.lines is None:
            source.lines = 0
        return source.offset, source.lines or 0, bool(source.orphan)

    def _count(self, feed: Feed, source: Source, before: Stock) -> None:
        offset, lines, orphan = before
        feed.moved += max(0, source.offset - offset)
        feed.lines += (source.lines or 0) - lines
        if self._lines and orphan and not source.orphan:
            feed.lines += 1

    async def append_stream(self, feed: Feed, carry: Carry, data: bytes) -> None:
        size = len(carry) + len(data)
        await self._route.append_stream(feed, carry, data)
        feed.moved += size
        if self._lines:
            feed.lines += data.count(b"\n")

    def enrol(self, feeds: Iterable[Feed], *, backlog: bool) -> None:
        feeds = list(feeds)
        self.feeds += feeds
        self._route.enrol(feeds, backlog=backlog)

    async def pause(self, feed: Feed) -> None:
        await self._route.pause(feed)

    async def finish(self, feed: Feed) -> None:
        await self._route.finish(feed)

    async def settle(self) -> None:
        await self._route.settle()
