"""A way from the inputs to the output: what every one of them can be asked.

The plain one (plain.py) writes lines as they are, the shaped one (shaped.py) changes them,
the one by time (ordered.py) lets them wait for their place. A route lives on the thread that
owns the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager

from tailmerge.feed import Asked, Feed, Progress
from tailmerge.output import Output
from tailmerge.source import Refused, Rewritten, Source
from tailmerge.stream import Carry

Turn = AbstractAsyncContextManager[Output]
"""Entered again and again, for each append: one batch after the other."""


Growth = tuple[Feed, Source]
"""An input and the file of it that grew."""

OF_SOURCE = (Rewritten, Refused, OSError)
"""What a forward raises that is its own file's, and no other's."""


class Route:
    """What a way out does; the ones that read nothing ahead have nothing to do in between."""

    patience: float | None = None
    """How long a stream must say nothing to be read to its end, seconds; None: it never is."""

    async def forward(self, feed: Feed, source: Source, asked: Asked) -> Progress:
        """Forward the source's next whole lines; see `WriteThread.forward`."""
        raise NotImplementedError

    async def forward_all(self, grown: Sequence[Growth]) -> Sequence[Progress | Exception]:
        """Forward what each of these has grown by; for each what it did, or raised.

        Raises:
            OutputError: the output cannot be written.
        """
        outcomes: list[Progress | Exception] = []
        for feed, source in grown:
            try:
                outcomes.append(await self.forward(feed, source, Asked()))
            except OF_SOURCE as error:
                outcomes.append(error)
        return outcomes

    async def append_stream(self, feed: Feed, carry: Carry, data: bytes) -> None:
        """Forward what was carried of a stream, and the lines that end it."""
        raise NotImplementedError

    def enrol(self, feeds: Iterable[Feed], *, backlog: bool) -> None:
        """These inputs take part, in this order; `backlog`: what they hold now comes first."""

    async def pause(self, feed: Feed) -> None:
        """The input was read to its end for now."""

    async def finish(self, feed: Feed) -> None:
        """Nothing more comes of this input."""

    async def settle(self) -> None:
        """Write all that was read; nothing more comes."""


MakeRoute = Callable[[Turn], Route]
