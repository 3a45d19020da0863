"""What a run shows of itself: the status line, the table on SIGUSR1, the sum at its end.

All of it is looked at on the thread that owns the files, and composed on the main loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from tailmerge.counting import Counting
from tailmerge.feed import Feed
from tailmerge.generation import Generation
from tailmerge.keeping import Keeping
from tailmerge.registry import Registry
from tailmerge.report import Report
from tailmerge.route import MakeRoute, Route, Turn
from tailmerge.standing import GONE, UNKNOWN, Standing, lay_out
from tailmerge.statusline import Glance, write_line
from tailmerge.system import System
from tailmerge.wording import show
from tailmerge.writer import WriteThread

DRAW_SECONDS = 0.2
"""How often the status line is drawn."""

DRAW_SHARE = 20
"""So many times as long as one look took nothing is looked at: 5 % of one core at most.

What counts is the look itself, not how long it waited for its turn behind a batch.
"""

RATE_SECONDS = 3.0
"""The time over which a rate is measured."""


class Sum(NamedTuple):
    """One input at the end of a run."""

    name: str
    lines: int
    moved: int
    """Bytes that were read of it."""
    unfinished: int
    """Bytes of unfinished last lines."""
    behind: int
    """Other bytes that are there and were not read."""


class Sight:
    """What one run shows; where nobody looks it only counts bytes."""

    def __init__(
        self,
        *,
        show_line: Callable[[Callable[[int], str]], None] | None = None,
        show_table: Callable[[str], None] | None = None,
        lines: bool = False,
        once: bool = False,
    ) -> None:
        """`show_line` gets what composes the status line, `show_table` the table that was
        asked for; `lines`: they are counted, too; `once`: what there is to be read is known."""
        self._show_line = show_line
        self._show_table = show_table
        self._lines = lines or show_line is not None
        self._once = once
        self._asked = asyncio.Event()
        self._counting: Counting | None = None
        self._past: deque[tuple[float, int]] = deque()

    def ask(self) -> None:
        """Somebody wants the table."""
        self._asked.set()

    def counted(self, make_route: MakeRoute) -> MakeRoute:
        """What makes the same way out, looked at."""

        def make(in_turn: Turn) -> Route:
            self._counting = Counting(make_route(in_turn), lines=self._lines)
            return self._counting

        return make

    async def run(self, output: WriteThread, registry: Registry) -> None:
        """Show what is to be shown, for ever."""
        loop = asyncio.get_running_loop()
        pause = DRAW_SECONDS
        self._past.append((loop.time(), 0))
        while True:
            try:
                await asyncio.wait_for(self._asked.wait(), pause if self._show_line else None)
            except TimeoutError:
                pass  # time to draw
            if self._asked.is_set():
                self._asked.clear()
                table = await output.call(self._write_table, output, registry)
                if self._show_table:
                    self._show_table(table)
            if self._show_line:
                glance, took = await output.call(self._glance, registry, loop.time)
                self._show_line(partial(write_line, glance))
                pause = max(DRAW_SECONDS, DRAW_SHARE * took)

    async def sum_up(self, output: WriteThread, registry: Registry, report: Report) -> None:
        """Say what was merged from where, and what was not, to whom wants to know."""
        if not report.is_verbose:
            return
        sums = await output.call(self._sum, registry)
        for each in sums:
            if each.moved or each.name not in report.left_out:
                report.input_merged(each.name, each.lines, each.moved)
            if each.unfinished:
                report.input_unfinished(each.name, each.unfinished)
            if each.behind:
                report.input_behind(each.name, each.behind)
        for name, why in report.left_out.items():
            report.input_left_out(name, why)
        lines, moved = sum(s.lines for s in sums), sum(s.moved for s in sums)
        report.run_ended(sum(s.moved > 0 for s in sums), lines, moved)

    # on the thread that owns the files

    @property
    def _feeds(self) -> list[Feed]:
        return self._counting.feeds if self._counting else []

    def _glance(self, registry: Registry, clock: Callable[[], float]) -> tuple[Glance, float]:
        """A glance, and how long it took, seconds."""
        now = clock()
        moved = sum(feed.moved for feed in self._feeds)
        files = (f for keeping in registry.present for f in self._find_files(keeping))
        self._past.append((now, moved))
        while now - self._past[0][0] > RATE_SECONDS:
            self._past.popleft()
        then, before = self._past[0]
        glance = Glance(
            inputs=len(self._feeds),
            lines=sum(feed.lines for feed in self._feeds),
            moved=moved,
            behind=sum(file.behind for file in files),
            rate=(moved - before) / (now - then) if now > then else 0.0,
            is_backlog=self._once,
        )
        return glance, clock() - now

    def _write_table(self, output: WriteThread, registry: Registry) -> str:
        rows = []
        for keeping in registry.present:
            rows += [file.row() for file in self._find_files(keeping)]
        files = {keeping.path for keeping in registry.present}
        for feed in self._feeds:
            if feed.name not in files:  # a pipe, a handle
                rows.append((show(feed.name), str(feed.moved), UNKNOWN, UNKNOWN))
        path = output.output_path
        name = "standard output" if path == "-" else f"output {show(path)}"
        rows.append((name, "", _find_size(path, output.system), ""))
        return "".join(lay_out(rows))

    def _sum(self, registry: Registry) -> list[Sum]:
        keepings = {keeping.path: keeping for keeping in registry.present}
        return [self._sum_feed(feed, keepings.get(feed.name)) for feed in self._feeds]

    def _sum_feed(self, feed: Feed, keeping: Keeping | None) -> Sum:
        unfinished = behind = 0
        for generation in keeping or ():
            source = generation.source
            rest = source.rest - source.offset if source else 0
            standing = self._stand(generation)
            unfinished += rest
            behind += max(0, standing.behind - rest) if standing else 0
        return Sum(feed.name, feed.lines, feed.moved, unfinished, behind)

    def _find_files(self, keeping: Keeping) -> Iterator[Standing]:
        for generation in keeping:
            if standing := self._stand(generation):
                yield standing

    def _stand(self, generation: Generation) -> Standing | None:
        source, position = generation.source, generation.position
        if source:
            offset = source.written.offset if source.written else source.offset
            size = generation.size
            if not self._once:
                try:
                    size = source.size()
                except OSError:
                    pass  # the read that follows, or the let-go, meets the same error
            return Standing(generation.path or source.path, offset, size, size)
        if position:
            seen = generation.size if generation.path else None
            path = generation.path or position.path
            return Standing(path, position.offset, seen, generation.size)
        return None


def _find_size(path: str, system: System) -> str:
    try:
        status = system.fstat(1) if path == "-" else system.stat(path)
    except OSError:
        return GONE
    return str(status.st_size) if status.st_size else UNKNOWN
