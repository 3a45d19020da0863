"""What a look found is matched with what is known: it goes on, is a copy, or is new.

The deciding half of series.py: positions and files are matched by content (match.py), and
what is to be read is opened, oldest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from tailmerge.beside import NOTHING, Beside
from tailmerge.candidates import Candidates, Unclear
from tailmerge.generation import Findings, Generation, Terms, order_by_age
from tailmerge.halves import Halves, has_original, is_examined, is_in_the_making
from tailmerge.inheritance import Inheritance
from tailmerge.keeping import Keeping
from tailmerge.lines import find_last_lines
from tailmerge.match import Matching, Seen, leave_strangers, match
from tailmerge.packed import NotThereYet, PackedSource
from tailmerge.position import Position
from tailmerge.registry import Registry
from tailmerge.source import Rewritten, Source
from tailmerge.system import Identity, System

SLACK_SECONDS = 1.0
"""When a file was seen last the state tells in whole seconds, and a file's time has its tick."""


class Settling:
    """How the files of one series are settled at each look; made when there is something to."""

    __slots__ = (
        "_copies",
        "_halves",
        "_registry",
        "_system",
        "_terms",
        "_unpassed",
        "beside",
        "keeping",
        "newest",
        "resumes",
        "waits",
    )

    def __init__(
        self,
        keeping: Keeping,
        beside: Beside,
        system: System,
        registry: Registry,
        terms: Terms,
        *,
        resumes: bool,
    ) -> None:
        """`resumes`: an earlier run read the series, or found no file of it; so nothing is
        passed over."""
        self.keeping = keeping
        self.beside = beside
        self._system = system
        self._registry = registry
        self._terms = terms
        self.resumes = resumes
        self.waits = False
        """Something is not settled: a copy whose original stands, half a compressed file."""
        self.newest: Seen | None = None
        """The newest rotated file, read or not."""
        self._halves: Halves | None = None
        """None: none was met."""
        self._unpassed: frozenset[Identity] = NOTHING
        """Files to be passed over that could not be opened so far."""
        self._copies: Mapping[Identity, Identity] = MappingProxyType({})
        """By their originals, as they were matched last."""

    @property
    def _inheritance(self) -> Inheritance:
        """Made when it is asked for: most files are met once."""
        return Inheritance(self.keeping, self._system, self._registry)

    def is_passed_over(self, file: Seen, first: bool) -> bool:
        """Whether it is from before the first look, and not to be read."""
        if not self._is_from_before(file, first):
            return False
        try:
            self.keeping.pass_over(file)
        except OSError:
            self._unpassed |= {file.identity}  # nothing of it is read, and it is tried again
        else:
            self._unpassed -= {file.identity}
        self.newest = file
        return True

    def _is_from_before(self, file: Seen, first: bool) -> bool:
        if not first and file.identity not in self._unpassed:
            return False
        is_read = self.resumes or file.path in self._terms.named
        return not is_read and file.modified < self._terms.passed_before

    def is_pending(self, rotated: Sequence[Seen], first: bool) -> bool:
        """Whether large compressed files are being decompressed, to see what they are.

        Nothing is decided meanwhile: what is in them may be older than all the rest.
        """
        examiner, held = self._registry.examiner, self.keeping.held()
        if examiner is None:
            return False
        unknown = (f for f in rotated if f.identity not in held)
        to_read = [f for f in unknown if not self._is_from_before(f, first)]
        return any([is_examined(f, rotated, self.keeping, examiner) for f in to_read])

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
                held[file.identity].follow(file.path)
        if live:
            unknown.append(live)
        for file in list(unknown):
            if is_in_the_making(file, rotated, self._registry.examiner):
                unknown.remove(file)
                self.waits = found.unclear = True
            elif self._halves and (error := self._halves.find(file)):
                unknown.remove(file)
                self._note(file, error, rotated, found, now)
        if unknown:
            standing = [f for f in rotated if f.identity in held]
            standing += [  # deleted, or moved out of sight, and known all the same
                Seen("", file, generation.size, now, live=False)
                for file, generation in held.items()
                if generation.path is None
            ]
            for file, error in self._match(unknown, standing, rotated, found, first, now):
                self._note(file, error, rotated, found, now)
        for generation in list(keeping):
            if generation.source and generation.source.cut:
                if not generation.missed:  # a name that moved while the folder was listed
                    generation.missed = found.unsettled = True
                    continue
                owed = found.unclear or bool(found.unreadable)
                try:
                    found.lost += keeping.begin_again(generation, owed=owed)
                except OSError as error:
                    found.error = error
                    continue
                found.begun = True
                found.rewritten = True
        found.vanished = keeping.note_gone(now) or found.vanished
        if not (self.waits or found.unsettled or found.unreadable or found.error):
            found.lost += keeping.give_up_gone(now)  # else it may be in what is not there yet
            found.gone = keeping.awaits_gone()
        self._put_in_order(rotated, now)

    def _put_in_order(self, rotated: list[Seen], now: float) -> None:
        self.keeping.rotated = order_by_age(self.keeping.rotated, rotated, self._copies)
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
        rotated: list[Seen],
        found: Findings,
        first: bool,
        now: float,
    ) -> list[tuple[Seen, OSError]]:
        """By content: goes on at its position, is a copy, or is new.

        Returns what could not be compared or opened, and why: nothing is decided about it.
        """
        keeping = self.keeping
        failed: list[tuple[Seen, OSError]] = []
        known = [g.source for g in keeping.held().values() if g.source]
        registry = self._registry
        with Candidates(self._system, known, registry.hands, registry.examiner) as candidates:
            while True:
                try:
                    cut, matching = self._compare(unknown, standing, candidates, now)
                    break
                except Unclear as unclear:
                    failed.append((unclear.file, unclear.error))
                    unknown = [file for file in unknown if file is not unclear.file]
            self.waits = self.waits or bool(matching.copies)
            # Of several copies the newest counts, as their names tell.
            self._copies = {original.identity: copy.identity for copy, original in matching.copies}
            self.keeping.remember_copies((copy for copy, _ in matching.copies), candidates)
            if any(file.live for file in matching.new):
                together = frozenset(copy.identity for copy, _ in matching.copies)
                self.beside.came_up_together = together or NOTHING
            for generation, file in matching.pairs:
                try:
                    self._go_on(generation, file, cut, candidates, found, now)
                except Rewritten:  # cut since it was compared: all is looked at once more
                    found.begun = found.unsettled = True
                    return failed
                except OSError as error:
                    failed.append((file, error))
            new = self._leave_strangers(matching, rotated)
            for source in [cut[g] for g in matching.gone if g in cut]:
                new = self._without_shorter_copy(new, source, candidates, failed)
            for file in new:
                try:
                    self._read_new(file, candidates, found, first, now)
                except Rewritten:
                    found.begun = found.unsettled = True
                    return failed
                except OSError as error:
                    failed.append((file, error))
        return failed

    def _leave_strangers(self, matching: Matching[Generation], rotated: list[Seen]) -> list[Seen]:
        """What is new and of this input, where its name is a link."""
        keeping = self.keeping
        if not (any(keeping) and any(file.log for file in matching.new)):
            return matching.new
        known = {*keeping.held(), *(file.identity for _, file in matching.pairs)}
        known |= {copy.identity for copy, _ in matching.copies}
        gone = [g for g in keeping.rotated if g.path is None] + matching.gone
        since = max(g.seen for g in keeping) - SLACK_SECONDS
        return leave_strangers(matching.new, rotated, known, self.beside.find_logs(gone), since)

    def _note(
        self, file: Seen, error: OSError, rotated: list[Seen], found: Findings, now: float
    ) -> None:
        """Half a compressed file is waited for while its original stands, or somebody writes."""
        if isinstance(error, NotThereYet) and not file.live:
            self.waits = found.unclear = True
            stands = has_original(file, rotated)
            self._halves = self._halves or Halves(self._terms.rotate_wait)
            if not self._halves.is_damaged(file, error, now) or stands:
                return
        found.note(file, error)

    def _without_shorter_copy(
        self,
        new: list[Seen],
        cut: Source,
        candidates: Candidates,
        failed: list[tuple[Seen, OSError]],
    ) -> list[Seen]:
        try:
            if shorter := candidates.find_shorter_copy(new, cut):
                self.keeping.pass_over(shorter)
                return [file for file in new if file is not shorter]
        except Unclear as unclear:
            failed.append((unclear.file, unclear.error))
            return [file for file in new if file is not unclear.file]
        return new

    def remember_copies(self) -> None:
        """At the end of the run, where a copy may not have been whole when it was seen."""
        registry = self._registry
        held = [g.source for g in self.keeping.rotated if g.source]
        if any(source.is_deleted() for source in held):
            known = {g.position.identity for g in self.keeping.rotated if g.position}
            try:
                found = self.beside.find_rotated(float("inf"))
            except OSError:
                return  # what is not seen is not known, and looked for by the next run
            unknown = [file for file in found if file.identity not in known]
            with Candidates(self._system, held, registry.hands, registry.examiner) as candidates:
                self.keeping.remember_copies(unknown, candidates)

    def _compare(
        self, unknown: list[Seen], standing: list[Seen], candidates: Candidates, now: float
    ) -> tuple[dict[Generation, Source], Matching[Generation]]:
        """What was cut or lost, and the matching.

        An original that is cut while it is compared with its copy no longer shows that it is
        one: the copy would be read as new. Each can be cut only once, so this comes to an end.
        """
        keeping = self.keeping
        live = keeping.live and keeping.live.source
        if not (keeping.live or keeping.rotated or standing or unknown[1:]):
            return {}, Matching([], [], list(unknown), [])  # as most inputs begin
        while True:
            held = {generation: generation.source for generation in keeping if generation.source}
            cut = {generation: source for generation, source in held.items() if source.cut}
            lost = {generation: source for generation, source in held.items() if source.lost}
            positions = [(g, g.position) for g in keeping.rotated if g.position]
            gone = [g for g in keeping.rotated if g in lost or g in cut]
            gone += [keeping.live] if keeping.live in cut else []
            positions += [(g, held[g].position_before()) for g in gone]
            others = list(standing)
            if keeping.live and live:
                keeping.live.has_grown(now)
                size = keeping.live.size
                others.append(Seen(keeping.path, live.identity, size, now, live=True))
            fits = partial(self._fits, candidates, {p for g, p in positions if g in lost})
            matching = match(positions, unknown, others, fits, candidates.is_copy)
            if not matching.new or not self._see_cuts(held.values()):
                return cut | lost, matching

    @staticmethod
    def _fits(
        candidates: Candidates, of_lost: set[Position], position: Position, file: Seen
    ) -> bool:
        """Whether it may be that file: the name of a lost one leads to a stranger."""
        return not (file.live and position in of_lost) and candidates.fits(position, file)

    @staticmethod
    def _see_cuts(sources: Iterable[Source]) -> bool:
        """Whether a file that stood a moment ago was cut since."""
        found = [source for source in sources if not source.cut and not _is_unchanged(source)]
        for source in found:
            source.cut = True
        return bool(found)

    def _go_on(
        self,
        generation: Generation,
        file: Seen,
        cut: dict[Generation, Source],
        candidates: Candidates,
        found: Findings,
        now: float,
    ) -> None:
        if generation in cut and cut[generation].lost:
            if not self._is_another_inputs(generation, file, candidates, found, now):
                source = candidates.take(file, cut[generation].position_before())
                self.keeping.find_again(generation, source, file.path, now)
        elif generation in cut:  # the copy that copytruncate made of it
            before = cut[generation]
            copy = candidates.take(file, before.position_before())
            copy.written = before.written
            try:
                self.keeping.begin_again(generation, copied=True)
            except OSError:
                copy.close()
                raise
            self.keeping.take(copy, file.path, now, live=False)
            found.rotated = found.rewritten = found.doubtful = True
        elif not self._is_another_inputs(generation, file, candidates, found, now):
            self.keeping.resume(generation, file, candidates, now)

    def _is_another_inputs(
        self,
        generation: Generation,
        file: Seen,
        candidates: Candidates,
        found: Findings,
        now: float,
    ) -> bool:
        """A position at a file's start fits any: that of another input may fit in earnest."""
        begun = generation.source or generation.position
        if begun is None or begun.offset:
            return False
        source = candidates.open(file)
        if source is None:
            return False
        return self._inheritance.inherit(source, candidates, file, found, now)

    def _read_new(
        self, file: Seen, candidates: Candidates, found: Findings, first: bool, now: float
    ) -> None:
        """No position fits: read in full."""
        source = candidates.must_open(file)
        if self._inheritance.inherit(source, candidates, file, found, now):
            return
        if first and not self.resumes:
            self._begin_at_last_lines(source)
        candidates.take(file)
        self.keeping.take(source, file.path, now, live=file.live)
        found.appeared = found.appeared or (file.live and not first)
        found.rotated = found.rotated or not (file.live or first)

    def _begin_at_last_lines(self, source: Source) -> None:
        if self._terms.lines is not None and not isinstance(source, PackedSource):
            source.start_at(find_last_lines(source.read_at, source.size(), self._terms.lines))
            if source.offset and not source.marker.endswith(b"\n"):
                source.start_at(0)  # cut and written to this moment: no line begins there


def _is_unchanged(source: Source) -> bool:
    """Whether nothing shows that it was cut: an error does not, and is met again."""
    try:
        return source.is_unchanged()
    except OSError:
        return True
