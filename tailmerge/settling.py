"""What a look found is matched with what is known: it goes on, is a copy, or is new.

The deciding half of series.py: positions and files are matched by content (match.py), and
what is to be read is opened, oldest first.
"""

from __future__ import annotations

from collections.abc import Iterable

from tailmerge.beside import Beside
from tailmerge.candidates import Candidates
from tailmerge.generation import Findings, Generation
from tailmerge.inheritance import Inheritance
from tailmerge.keeping import Keeping
from tailmerge.lines import find_last_lines
from tailmerge.match import Matching, Seen, match
from tailmerge.packed import NotThereYet, PackedSource
from tailmerge.registry import Registry
from tailmerge.source import Source
from tailmerge.system import System


class Settling:
    """How the files of one series are settled at each look."""

    def __init__(
        self,
        keeping: Keeping,
        beside: Beside,
        system: System,
        registry: Registry,
        *,
        lines: int | None,
        named: frozenset[str],
        passed_before: float,
    ) -> None:
        """What an earlier run left is restored already; the rest is as in `Series`."""
        self.keeping = keeping
        self._beside = beside
        self._system = system
        self._lines = lines
        self._named = named
        self._passed_before = passed_before
        self._inherit = Inheritance(keeping, system, registry).inherit
        self.waits = False
        """Something is not settled: a copy whose original stands, half a compressed file."""
        self.newest: Seen | None = None
        """The newest rotated file, read or not."""
        self._copies: list[Seen] = []
        """Compressed files whose originals are held open."""
        self.resumes = bool(keeping.rotated)
        """An earlier run read the series."""

    def is_passed_over(self, file: Seen) -> bool:
        if self.resumes or file.path in self._named or file.modified >= self._passed_before:
            return False
        self.keeping.pass_over(file)
        self.newest = file
        return True

    def settle(
        self, rotated: list[Seen], live: Seen | None, found: Findings, first: bool, now: float
    ) -> None:
        """Match what is there with what is known; open what is to be read."""
        keeping = self.keeping
        self.waits = False
        held = keeping.held()
        unknown = [f for f in rotated if f.identity not in held and f.size > 0]
        for generation in keeping.rotated:
            if not (first and generation.position and not self.resumes):
                generation.path = None
        for file in rotated:
            if file.identity in held:
                held[file.identity].path = file.path
        if live:
            unknown.append(live)
        if unknown:
            standing = [f for f in rotated if f.identity in held]
            standing += [  # deleted, or moved out of sight, and known all the same
                Seen("", file, generation.size, now, live=False)
                for file, generation in held.items()
                if generation.path is None
            ]
            self._match(unknown, standing, found, first, now)
        for generation in list(keeping):
            if generation.source and generation.source.cut:
                if not generation.missed:  # a name that moved while the folder was listed
                    generation.missed = found.unsettled = True
                    continue
                found.lost += keeping.begin_again(generation, copied=False)
                found.begun = True
                found.rewritten = True
        if not (self.waits or found.unsettled or found.unreadable):
            found.lost += keeping.give_up_gone()  # else it may be in what is not there yet
        self._put_in_order(rotated, now)

    def _put_in_order(self, rotated: list[Seen], now: float) -> None:
        order = {file.path: index for index, file in enumerate(rotated)}
        self.keeping.rotated.sort(key=lambda g: order.get(g.path or "", -1))
        if rotated:
            self.newest = rotated[-1]
        for generation in self.keeping.rotated:
            if self.is_followed(generation):
                self.keeping.reopen(generation, now)

    def is_followed(self, generation: Generation) -> bool:
        """Whether there is a newer rotated file, be it empty: this one's end has come."""
        newest = self.newest
        return newest is not None and generation.path not in (None, newest.path)

    def _match(
        self,
        unknown: list[Seen],
        standing: list[Seen],
        found: Findings,
        first: bool,
        now: float,
    ) -> None:
        """By content: goes on at its position, is a copy, or is new."""
        keeping = self.keeping
        known = [g.source for g in keeping if g.source]
        with Candidates(self._system, known) as candidates:
            cut, matching = self._compare(unknown, standing, candidates, now)
            self.waits = bool(matching.copies)
            self._copies = [file for file in matching.copies if file.compressed]
            self._remember_copies(candidates)
            if any(file.live for file in matching.new):
                self._beside.came_up_together = {file.identity for file in matching.copies}
            self._go_on(matching, cut, candidates, found, now)
            new = matching.new
            for source in [cut[g] for g in matching.gone if g in cut]:
                if shorter := candidates.find_shorter_copy(new, source):
                    new = [file for file in new if file is not shorter]
                    keeping.pass_over(shorter)
            for file in new:
                self._read_new(file, candidates, found, first, now)

    def remember_copies(self) -> None:
        """At the end of the run, where a copy may not have been whole when it was seen."""
        held = [g.source for g in self.keeping.rotated if g.source]
        if any(source.is_deleted() for source in held):
            known = {g.position.identity for g in self.keeping.rotated if g.position}
            found = self._beside.find_rotated(float("inf"))
            self._copies = [f for f in found if f.compressed and f.identity not in known]
            with Candidates(self._system, held) as candidates:
                self._remember_copies(candidates)

    def _remember_copies(self, candidates: Candidates) -> None:
        """A compressed copy whose original is deleted is all that a later run finds of it.

        Where the original's writer went on after it was compressed, the position lies behind
        the copy's end, and would not tell it.
        """
        for file in self._copies:
            copy = candidates.open(file)
            for generation in list(self.keeping.rotated) if copy else ():
                source = generation.source
                if not copy or not source or not source.is_deleted():
                    continue
                size = copy.size()
                if size < source.offset and source.begins_with(copy, size):
                    self.keeping.pass_over(file)

    def _compare(
        self, unknown: list[Seen], standing: list[Seen], candidates: Candidates, now: float
    ) -> tuple[dict[Generation, Source], Matching[Generation]]:
        """What was cut, and the matching.

        An original that is cut while it is compared with its copy no longer shows that it is
        one: the copy would be read as new. Each can be cut only once, so this comes to an end.
        """
        keeping = self.keeping
        live = keeping.live and keeping.live.source
        while True:
            held = {generation: generation.source for generation in keeping if generation.source}
            cut = {generation: source for generation, source in held.items() if source.cut}
            positions = [(g, g.position) for g in keeping.rotated if g.position]
            positions += [(g, source.position_before()) for g, source in cut.items()]
            others = list(standing)
            if live:
                others.append(Seen(keeping.path, live.identity, live.size(), now, live=True))
            matching = match(positions, unknown, others, candidates.fits, candidates.is_copy)
            if not matching.new or not self._see_cuts(held.values()):
                return cut, matching

    @staticmethod
    def _see_cuts(sources: Iterable[Source]) -> bool:
        """Whether a file that stood a moment ago was cut since."""
        found = [source for source in sources if not source.cut and not source.is_unchanged()]
        for source in found:
            source.cut = True
        return bool(found)

    def _go_on(
        self,
        matching: Matching[Generation],
        cut: dict[Generation, Source],
        candidates: Candidates,
        found: Findings,
        now: float,
    ) -> None:
        keeping = self.keeping
        for generation, file in matching.pairs:
            if generation in cut:  # the copy that copytruncate made of it
                before = cut[generation]
                keeping.begin_again(generation, copied=True)
                found.begun = True
                copy = candidates.take(file, before.offset, before.number)
                copy.written = before.written
                keeping.take(copy, file.path, now, live=False)
                found.rotated = found.rewritten = True
            elif not self._is_another_inputs(generation, file, candidates, found, now):
                keeping.resume(generation, file, candidates, now)

    def _is_another_inputs(
        self,
        generation: Generation,
        file: Seen,
        candidates: Candidates,
        found: Findings,
        now: float,
    ) -> bool:
        """A position at a file's start fits any: that of another input may fit in earnest."""
        if generation.position is None or generation.position.offset:
            return False
        source = candidates.open(file)
        return source is not None and self._inherit(source, candidates, file, found, now)

    def _read_new(
        self, file: Seen, candidates: Candidates, found: Findings, first: bool, now: float
    ) -> None:
        """No position fits: read in full."""
        try:
            source = candidates.must_open(file)
        except FileNotFoundError:
            found.unsettled = True  # renamed since: the next look finds its new name
            found.missing = found.missing or file.live
            return
        except NotThereYet as error:
            self.waits = True
            if file.live:
                found.error = error
            return
        except OSError as error:
            if file.live:
                found.error = error
            else:
                found.unreadable.append((file.path, error))
            return
        if self._inherit(source, candidates, file, found, now):
            return
        candidates.take(file)
        if first and not self.resumes:
            self._begin_at_last_lines(source)
        self.keeping.take(source, file.path, now, live=file.live)
        found.appeared = found.appeared or (file.live and not first)
        found.rotated = found.rotated or not (file.live or first)

    def _begin_at_last_lines(self, source: Source) -> None:
        if self._lines is not None and not isinstance(source, PackedSource):
            source.start_at(find_last_lines(source.read_at, source.size(), self._lines))
