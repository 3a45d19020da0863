"""One run: its inputs and their tasks, and the reasons to end."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import nullcontext, suppress
from typing import Any

from tailmerge.crew import Crew
from tailmerge.discover import (
    SERIES_KINDS,
    Discovery,
    Found,
    Kind,
    find_statuses,
    group_found,
    is_pattern,
)
from tailmerge.ending import Ending
from tailmerge.examiner import Examiner
from tailmerge.folders import Folders
from tailmerge.follow import SeriesTail
from tailmerge.generation import News
from tailmerge.handles import Duplicate, HandleTail
from tailmerge.hands import Hands
from tailmerge.keeping import restore_all
from tailmerge.lane import Lane, LaneStopped
from tailmerge.output import find_audience
from tailmerge.own import Met, Own
from tailmerge.registry import Registry
from tailmerge.report import (
    Busy,
    Report,
    TailmergeError,
    choose_error,
    nothing_to_read,
    output_busy,
    stopped_reading,
)
from tailmerge.series import NOTHING, Series
from tailmerge.settings import Settings
from tailmerge.sight import Sight
from tailmerge.streaming import StreamTail, opener
from tailmerge.surroundings import Surroundings, Tail
from tailmerge.system import Identity, System
from tailmerge.turns import short_turns
from tailmerge.watch import Watch
from tailmerge.ways import choose_route
from tailmerge.writer import WriteThread

DISCOVER_SECONDS = 1.0
"""How often patterns are looked at again while following."""

PATIENCE_SECONDS = 10.0
"""How long a one-shot run waits for an output that cannot be written."""

ALWAYS = float("inf")
"""Whatever the time of a file that is older than this."""

MADE = 100
"""So many inputs are made before the loop has its turn."""

CLOCK_TICK = 0.01
"""By so many seconds, at most, the clock that files get their times from is behind ours."""


class Run:
    """One run: its inputs, their tasks, and the reasons to end."""

    def __init__(
        self,
        *,
        names: list[str],
        duplicates: list[Duplicate],
        settings: Settings,
        report: Report,
        stop: asyncio.Event,
        system: System,
        inputs: System,
        sight: Sight,
    ) -> None:
        """`inputs` are the calls for these (guarded.py), `system` those for all else."""
        self.names = names
        self.duplicates = duplicates
        self.settings = settings
        self.report = report
        self.stop = stop
        self.system = system
        self.inputs = inputs
        self.sight = sight
        self.began = time.time() - CLOCK_TICK  # by the clock that files have
        self.registry = Registry(Hands(self.system.descriptor_limit()))
        if not settings.once:  # else nobody's lines wait
            self.registry.examiner = Examiner(inputs)
        self.folders = Folders(inputs, asyncio.get_running_loop().time)
        self.own = Own(settings.output_path, settings.state_path, self.registry, system, inputs)
        self.series: dict[str, Series] = {}
        self.met = Met(self.series)
        self.lane = Lane("tailmerge-discover")
        self.group = asyncio.TaskGroup()

    async def run(self) -> None:
        turns = short_turns() if self.settings.works_on_lines else nullcontext()
        async with self.lane as lane:
            try:
                with turns:
                    await self._run(lane)
            except Busy as busy:
                if busy.pid is not None:
                    raise
                holder = await lane.call(self.system.lock_holder, self.settings.output_path)
                raise output_busy(self.settings.output_path, holder) from None
            finally:
                if self.registry.examiner:
                    self.registry.examiner.close()

    async def _run(self, lane: Lane) -> None:
        discovery, own, readable = await lane.call(self._look_around)
        self.folders.name(discovery.folders)
        found = self._choose(discovery, own)
        if not (found or self.duplicates or discovery.unmatched or discovery.failed):
            raise nothing_to_read()
        audience = find_audience(readable)
        make_route = await lane.call(choose_route, self.settings, self.report, self.system)
        del discovery, own, readable  # of ten thousand inputs 10 MB, for as long as the run
        writer = WriteThread(
            self.settings.output_path,
            audience=audience,
            overwrite=self.settings.overwrite,
            patience=PATIENCE_SECONDS if self.settings.once else None,
            report=self.report,
            system=self.system,
            state_path=self.settings.state_path,
            folders=self.folders,
            make_route=self.sight.counted(make_route),
            fsync=self.settings.fsync,
            peek=self.own.take_peek(),
        )
        hurrying = asyncio.create_task(self._hurry(writer))
        try:
            async with writer as output:
                hurrying.cancel()
                await self._run_with(output, found)
        finally:
            hurrying.cancel()

    async def _hurry(self, writer: WriteThread) -> None:
        """Who is asked to end while it begins no longer waits for a full disk."""
        await self.stop.wait()
        with suppress(LaneStopped):  # it ends already
            await writer.hurry()

    async def _run_with(self, output: WriteThread, found: list[Found]) -> None:
        self.registry.outputs = await output.identities()
        await output.call(lambda: self.own.listen(output.output))
        known = await output.known(self.registry, self.series.values())
        self.registry.absent = restore_all(known, self.inputs, self.registry, self.folders)
        self.own.leave_inputs()
        del known  # of ten thousand inputs 8 MB
        try:
            await self._merge(output, found)
        except* TailmergeError as group:
            raise choose_error(group) from None
        finally:
            try:
                await output.settle()
                await self.sight.sum_up(output, self.registry, self.report)
            finally:
                await output.close_inputs(self._close)

    def _close(self) -> None:
        for series in self.series.values():
            series.close()

    def _look_around(self) -> tuple[Discovery, set[str], list[os.stat_result]]:
        """What there is, the names of it that are ours, and who may read the inputs."""
        self.own.look(overwrite=self.settings.overwrite)
        discovery, own = self.own.survey(self.names)
        inputs = (f for f in discovery.found if f.name not in own)
        return discovery, own, find_statuses(inputs, (d.fd for d in self.duplicates), self.system)

    def _choose(self, discovery: Discovery, own: set[str]) -> list[Found]:
        """What is to be read: neither what is ours nor directories, and no pipe twice.

        A regular file with two names is found out when it is opened: either name may lead
        to another file later.
        """
        chosen: list[Found] = []
        pipes: dict[Identity, str] = {}
        for found in discovery.found:
            file = found.identity
            if found.name in own:
                self.report.output_skipped(found.name)
            elif found.kind is Kind.DIRECTORY:
                self.report.directory_skipped(found.name)
            elif file is not None and file in pipes:
                self.report.duplicate_skipped(found.name, pipes[file])
            else:
                if file is not None and found.kind is not Kind.FILE:
                    pipes[file] = found.name
                chosen.append(found)
                continue  # from `_make_tails` on it is met
            self.met.skipped.add(found.name)
        self.report.patterns_asked(discovery.failed)
        for pattern in discovery.unmatched:
            self.report.pattern_unmatched(pattern)
        return chosen

    async def _merge(self, output: WriteThread, found: list[Found]) -> None:
        ending = Ending()
        report = None if self.settings.once else self.report
        watch = Watch(output, self.settings.interval, report, self.inputs)
        around = Surroundings(
            output,
            watch,
            self.report,
            ending,
            self.settings.once,
            self.settings.state_path is not None,
            self.settings.sort,
            self.settings.window if self.settings.record_start else None,
        )
        crew = Crew(self.group, around, self.settings.interval)
        around.start = crew.start
        async with self.group as group:
            guards = [group.create_task(guard) for guard in self._guards(around, crew)]
            tails: list[Tail] = [
                HandleTail(
                    duplicate,
                    self.settings.interval,
                    output,
                    output,
                    ending,
                    self.system,
                    self.report,
                    note=around.watch.note,
                    once=self.settings.once,
                    window=around.window,
                    outputs=lambda: self.registry.outputs,
                )
                for duplicate in self.duplicates
            ]
            tails += await self._make_tails(found, around, start=True)
            found.clear()  # who called still has it
            await output.leave_to_series()
            await output.enrol([tail.feed for tail in tails], backlog=True)
            if self.settings.once:
                await self._read_in_order(tails, around, crew)
            else:
                patterns = any(is_pattern(name) for name in self.names)
                if patterns:
                    guards.append(group.create_task(self._discover(around, crew)))
                crew.begin(tails)
                del tails
                await crew.wait()
                if patterns:
                    await ending.wait()  # something may still appear
            for guard in guards:
                guard.cancel()

    async def _read_in_order(self, tails: list[Tail], around: Surroundings, crew: Crew) -> None:
        """One-shot: all are looked at first, then read one after the other, as given.

        By time they are read all at once: any of them may have the next line.
        """
        series = [tail for tail in tails if isinstance(tail, SeriesTail)]
        looks = await crew.look_at(series)
        async with asyncio.TaskGroup() as gone:
            for number, (each, look) in enumerate(zip(series, looks, strict=False), 1):
                await each.take_in(look)
                if look.gone:
                    gone.create_task(each.await_gone())
                if number % MADE == 0:
                    await asyncio.sleep(0)
        if around.sorted:
            async with asyncio.TaskGroup() as follows:
                for tail in tails:
                    follows.create_task(crew.follow(tail))
            return
        for tail in tails:
            if not around.ending.stopped:
                await crew.follow(tail)

    async def _make_tails(
        self, found: Sequence[Found], around: Surroundings, *, start: bool
    ) -> list[Tail]:
        groups = await self.lane.call(group_found, found, self.folders.named)
        at_first = start and not (self.own.resumes and not self.settings.overwrite)
        tails: list[Tail] = []
        for number, f in enumerate(found, 1):
            if number % MADE == 0:
                await asyncio.sleep(0)
            if f.name in groups:
                absent = self.registry.absent.pop(f.absolute, None)
                self.folders.claim(f.absolute, f.leads)
                series = Series(
                    f.name,
                    self.inputs,
                    self.registry,
                    self.folders,
                    rotate_wait=self.settings.rotate_wait,
                    lines=self.settings.lines if at_first and f.kind is not Kind.MISSING else None,
                    named=frozenset(groups[f.name]) or NOTHING,
                    passed_before=ALWAYS if start and f.status else self.began,
                    entries=absent.entries() if absent else (),
                    name=f.absolute,
                    status=f.status,
                )
                self.series[f.name] = series
                self.report.given.setdefault(f.absolute, f.name)
                tails.append(SeriesTail(series, around, named=not f.matched))
                continue
            self.met.skipped.add(f.name)
            if f.kind is Kind.SOCKET:
                self.report.input_special(f.name, f.kind.value)
            elif f.kind not in SERIES_KINDS:
                tails.append(StreamTail(f.name, opener(f, self.system), around))
        return tails

    # the reasons to end, and what else goes on meanwhile

    def _guards(self, around: Surroundings, crew: Crew) -> Iterator[Coroutine[Any, Any, None]]:
        yield around.watch.run()
        yield self.sight.run(around.output, self.registry)
        yield self._await_stop(around)
        yield self._await_end(around, crew)
        yield self._await_reader_gone(around.output)
        if self.settings.pid is not None:
            yield self._await_process(self.settings.pid, around, crew)
        if self.settings.until_idle is not None:
            yield self._await_idle(self.settings.until_idle, around, crew)

    async def _await_stop(self, around: Surroundings) -> None:
        await self.stop.wait()
        around.ending.stop()

    async def _await_end(self, around: Surroundings, crew: Crew) -> None:
        await around.ending.wait()
        await crew.end()

    async def _await_reader_gone(self, output: WriteThread) -> None:
        await output.wait_reader_gone()
        raise stopped_reading()

    async def _await_process(self, pid: int, around: Surroundings, crew: Crew) -> None:
        while await around.output.call(self.system.is_running, pid):
            await asyncio.sleep(around.watch.interval)
        await self._finish(around, crew)

    async def _await_idle(self, seconds: float, around: Surroundings, crew: Crew) -> None:
        now = asyncio.get_running_loop().time
        begun = now()
        while (left := max(begun, around.watch.last_news) + seconds - now()) > 0:
            await asyncio.sleep(left)
        await self._finish(around, crew)

    async def _finish(self, around: Surroundings, crew: Crew) -> None:
        """A last look at the patterns: what appeared just before the end is merged too."""
        await self._discover_again(around, crew)
        around.ending.finish()

    async def _discover(self, around: Surroundings, crew: Crew) -> None:
        """Look at the patterns again and again; follow what is new."""
        while not await around.ending.wait(DISCOVER_SECONDS):
            await self._discover_again(around, crew)

    async def _discover_again(self, around: Surroundings, crew: Crew) -> None:
        patterns = [name for name in self.names if is_pattern(name)]
        outputs = await around.output.call(self.registry.outputs.copy)
        discovery, own = await self.lane.call(self.own.survey, patterns, self.met, outputs)
        self.folders.name(discovery.folders)
        self.report.patterns_asked(discovery.failed)
        fresh: list[Found] = []
        for found in [f for f in discovery.found if f.name not in self.met]:  # two may overlap
            self.met.skipped.add(found.name)
            if found.name in own:
                self.report.output_skipped(found.name)
            elif inputs := self._rotated_from(found):
                for series in inputs:
                    around.watch.tell(series, News.CHANGED)  # its content decides
            elif found.kind is Kind.DIRECTORY:
                self.report.directory_skipped(found.name)
            elif found.kind is not Kind.MISSING:
                fresh.append(found)
        tails = await self._make_tails(fresh, around, start=False)
        if tails:
            await around.output.enrol([tail.feed for tail in tails], backlog=False)
        for tail in tails:
            if isinstance(tail, SeriesTail):
                self.report.input_appeared(tail.series.path)
        crew.begin(tails)

    def _rotated_from(self, found: Found) -> list[Series]:
        """The inputs whose rotated form this file could be."""
        roots = self.folders.find_inputs(found.absolute, found.logs)
        return [s for s in self.series.values() if s.keeping.name in roots] if roots else []
