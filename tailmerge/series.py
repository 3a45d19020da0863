"""The files of one input: the one with its name, and its rotated forms beside it.

This is where rotation is decided. A look finds the files of the series, knows the ones
that are held open by device and inode and all others by their content, and says what is to
be read, oldest first. It runs on the thread that owns the files; when to look, and what is
forwarded, the main loop decides (follow.py).

States of a generation: live (held open) -> rotated, held open -> quiet for the rotate wait:
closed, its position kept -> opened again when late lines come. A deleted one ends when it
was quiet. A live one that was cut stays live and begins again; what was not read before
the cut is taken from the copy where there is one.
"""

from __future__ import annotations

from collections.abc import Iterable

from tailmerge.beside import Beside
from tailmerge.candidates import Candidates
from tailmerge.generation import Findings, Generation, Look, News
from tailmerge.keeping import Keeping
from tailmerge.lines import find_last_lines
from tailmerge.match import Matching, Seen, match
from tailmerge.packed import NotThereYet, PackedSource
from tailmerge.registry import Registry
from tailmerge.rotation import Folders
from tailmerge.source import Source
from tailmerge.state import Entry
from tailmerge.system import System, identity, is_regular

SETTLE_SECONDS = 0.05
"""After a rotation was seen the folder is listed again so much later: a listing that was
read while names moved may have missed one."""

RECHECK_SECONDS = 1.0
"""How often what nobody tells of is looked at: late lines, copies, what was unreadable."""


class Series:
    """One input and the files that rotation made of it."""

    def __init__(
        self,
        path: str,
        system: System,
        registry: Registry,
        folders: Folders,
        *,
        rotate_wait: float = 5.0,
        lines: int | None = None,
        named: frozenset[str] = frozenset(),
        passed_before: float = float("inf"),
        entries: Iterable[Entry] = (),
        name: str = "",
    ) -> None:
        """Nothing is opened yet.

        `lines`: begin with so many last lines of the files that are there. `named`: rotated
        forms that are inputs themselves, read in full. `passed_before`: other rotated forms
        that were last written before this time (seconds since the epoch) are passed over.
        `entries`: what an earlier run left; then nothing is passed over, and what matches
        none of them is new. `name`: the path made absolute, as the state has it.
        """
        self.path = path
        self.keeping = Keeping(path, name or path, system, registry)
        self._system = system
        self._registry = registry
        self._beside = Beside(self.keeping, system, registry, folders)
        self._rotate_wait = rotate_wait
        self._lines = lines
        self._named = named
        self._passed_before = passed_before
        self._looked = False
        self._waits = False
        """Something is not settled: a copy whose original stands, half a compressed file."""
        self._newest: Seen | None = None
        """The newest rotated file, read or not."""
        self._signature: tuple[int, ...] | None = ()
        """What the last probe saw; None: no file. At first nothing, which is neither."""
        self._unreadable: set[str] = set()
        self._checked = 0.0
        self._trouble = False
        self.keeping.restore(entries)
        self._resumes = bool(self.keeping.rotated)

    @property
    def is_known(self) -> bool:
        """An earlier run read it: a file that is not there was rotated away."""
        return self._resumes

    # probing: cheap, at every interval

    def probe(self, now: float) -> News:
        """Whether anything happened since the last probe: one stat, mostly."""
        try:
            s = self._system.stat(self.path)
            signature = (s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns)
        except OSError:
            signature = None
        news = News.NONE
        if signature != self._signature:
            live = self.keeping.live
            source = live and live.source
            same = signature is not None and source and signature[:2] == source.identity
            # What did not grow was touched, cut or written over; and of an empty file nothing
            # is known by which a cut could be seen.
            grew = same and live and signature and signature[2] > live.size > 0
            news = News.GREW if grew else News.CHANGED
            self._signature = signature
            if same and live and signature:
                live.size = max(live.size, signature[2])
        for generation in self.keeping.rotated:
            if generation.has_grown(now):
                news = max(news, News.GREW)
        if now - self._checked >= RECHECK_SECONDS:
            self._checked = now
            if self._trouble or self._waits or self._late_has_changed():
                news = News.CHANGED
        return news

    def _late_has_changed(self) -> bool:
        """Late lines in the newest rotated file (or one that was named), or a new name."""
        rotated = self.keeping.rotated
        if newest := self._newest:
            size = max((g.size for g in rotated if g.path == newest.path), default=newest.size)
            if self._beside.differs(newest.path, size, newest.identity):
                return True
        return any(
            self._beside.differs(g.path, g.size, g.position.identity)
            for g in rotated
            if g.path in self._named and g.path and g.position
        )

    # looking: where rotation is decided

    def look(self, now: float, *, hold: bool = False) -> Look:
        """Decide what is read from where; with `hold` nothing is let go of: it may be in use."""
        first, self._looked = not self._looked, True
        found = Findings()
        live = self._find_live(found, now)
        rotated = self._beside.find_rotated(now)
        rotated = [f for f in rotated if not (first and self._is_passed_over(f))]
        self._settle(rotated, live, found, first, now)
        for generation in [] if hold else list(self.keeping.rotated):
            self._let_go_if_quiet(generation, found, now)
        unreadable = {path for path, _ in found.unreadable}
        found.readable = sorted(self._unreadable - unreadable)
        self._unreadable = unreadable
        self._trouble = found.error is not None or bool(unreadable)
        return self._answer(found, now)

    def _find_live(self, found: Findings, now: float) -> Seen | None:
        """The file of this name, where it is not the one we hold already."""
        try:
            status = self._system.stat(self.path)
        except OSError as error:
            found.missing = isinstance(error, FileNotFoundError | NotADirectoryError)
            found.error = None if found.missing else error
            current = None
        else:
            current = identity(status)
            if not is_regular(status):
                found.error = OSError(None, "is no longer a regular file, not read")
                current = None
            elif current in self._registry.outputs:
                found.error = OSError(None, "is the output, not read")
                current = None
        keeping = self.keeping
        live = keeping.live
        if live and live.source and live.source.identity == current:
            live.source.cut = live.source.cut or not live.source.is_unchanged()
        elif live and not (live.position and live.position.identity == current):
            live.path, live.changed = None, now
            keeping.rotated.append(live)
            keeping.live = None
            found.rotated = found.unsettled = True
        back = [g for g in keeping.rotated if g.source and g.source.identity == current]
        if keeping.live is None and back:  # renamed back, or a symlink swapped back
            keeping.rotated.remove(back[0])
            keeping.live = back[0]
            keeping.live.path = self.path
        if keeping.live or current is None:
            return None
        return Seen(self.path, current, status.st_size, status.st_mtime, live=True)

    def _is_passed_over(self, file: Seen) -> bool:
        if self._resumes or file.path in self._named or file.modified >= self._passed_before:
            return False
        self.keeping.pass_over(file)
        self._newest = file
        return True

    def _settle(
        self, rotated: list[Seen], live: Seen | None, found: Findings, first: bool, now: float
    ) -> None:
        """Match what is there with what is known; open what is to be read."""
        keeping = self.keeping
        self._waits = False
        held = keeping.held()
        unknown = [f for f in rotated if f.identity not in held and f.size > 0]
        for generation in keeping.rotated:
            if not (first and generation.position and not self._resumes):
                generation.path = None
        for file in rotated:
            if file.identity in held:
                held[file.identity].path = file.path
        if live:
            unknown.append(live)
        cut = keeping.live if keeping.live and keeping.live.source else None
        if cut and cut.source and not cut.source.cut:
            cut = None
        if unknown:
            standing = [f for f in rotated if f.identity in held]
            standing += [  # deleted, or moved out of sight, and known all the same
                Seen("", file, generation.size, now, live=False)
                for file, generation in held.items()
                if generation.path is None
            ]
            self._match(unknown, standing, cut, found, first, now)
        for generation in keeping:
            if generation.source and generation.source.cut:
                if not generation.missed:  # a name that moved while the folder was listed
                    generation.missed = found.unsettled = True
                    continue
                found.lost += keeping.begin_again(generation, copied=False)
                found.rewritten = True
        found.lost += keeping.give_up_gone()
        self._put_in_order(rotated, now)

    def _put_in_order(self, rotated: list[Seen], now: float) -> None:
        order = {file.path: index for index, file in enumerate(rotated)}
        self.keeping.rotated.sort(key=lambda g: order.get(g.path or "", -1))
        if rotated:
            self._newest = rotated[-1]
        for generation in self.keeping.rotated:
            if self._is_followed(generation):
                self.keeping.reopen(generation, now)

    def _is_followed(self, generation: Generation) -> bool:
        """Whether there is a newer rotated file, be it empty: this one's end has come."""
        newest = self._newest
        return newest is not None and generation.path not in (None, newest.path)

    def _match(
        self,
        unknown: list[Seen],
        standing: list[Seen],
        cut: Generation | None,
        found: Findings,
        first: bool,
        now: float,
    ) -> None:
        """By content: goes on at its position, is a copy, or is new."""
        keeping = self.keeping
        positions = [(g, g.position) for g in keeping.rotated if g.position]
        if cut and cut.source:
            positions.append((cut, cut.source.position_before()))
        if keeping.live and keeping.live.source:
            source = keeping.live.source
            standing = [*standing, Seen(self.path, source.identity, source.size(), now, live=True)]
        known = [g.source for g in keeping if g.source]
        with Candidates(self._system, known) as candidates:
            matching = match(positions, unknown, standing, candidates.fits, candidates.is_copy)
            self._waits = bool(matching.copies)
            if any(file.live for file in matching.new):
                self._beside.came_up_together = {file.identity for file in matching.copies}
            self._go_on(matching, cut, candidates, found, now)
            new = matching.new
            if cut and cut in matching.gone and cut.source:
                shorter = candidates.find_shorter_copy(new, cut.source)
                if shorter:
                    new = [file for file in new if file is not shorter]
                    keeping.pass_over(shorter)
            for file in new:
                self._read_new(file, candidates, found, first, now)

    def _go_on(
        self,
        matching: Matching[Generation],
        cut: Generation | None,
        candidates: Candidates,
        found: Findings,
        now: float,
    ) -> None:
        keeping = self.keeping
        for generation, file in matching.pairs:
            if generation is cut and cut.source:  # the copy that copytruncate made of it
                number, offset = cut.source.number, cut.source.offset
                keeping.begin_again(cut, copied=True)
                copy = candidates.take(file, offset, number)
                keeping.take(copy, file.path, now, live=False)
                found.rotated = found.rewritten = True
            else:
                keeping.resume(generation, file, candidates, now)

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
            self._waits = True
            if file.live:
                found.error = error
            return
        except OSError as error:
            if file.live:
                found.error = error
            else:
                found.unreadable.append((file.path, error))
            return
        if file.live and self._inherit(source, candidates, file, found, now):
            return
        candidates.take(file)
        if first and not self._resumes:
            self._begin_at_last_lines(source)
        self.keeping.take(source, file.path, now, live=file.live)
        found.appeared = found.appeared or (file.live and not first)
        found.rotated = found.rotated or not (file.live or first)

    def _begin_at_last_lines(self, source: Source) -> None:
        if self._lines is not None and not isinstance(source, PackedSource):
            source.start_at(find_last_lines(source.read_at, source.size(), self._lines))

    def _inherit(
        self, source: Source, candidates: Candidates, file: Seen, found: Findings, now: float
    ) -> bool:
        """The file is known by another input's name: go on there, or leave it to that one."""
        owner = self._registry.owner(source.identity)
        if owner is None or owner[0] is self.keeping:
            return False
        keeping, generation = owner
        if generation.source and self._system.leads_to(keeping.name, source.identity):
            found.twin = keeping.path
            return True
        position = generation.remembered
        if position is None or not source.fits(position):
            return False  # the number of a deleted file, given to a new one
        keeping.give_away(generation)
        candidates.take(file, position.offset, position.number)
        self.keeping.take(source, file.path, now, live=True)
        return True

    def _let_go_if_quiet(self, generation: Generation, found: Findings, now: float) -> None:
        """Close a rotated file that was quiet for the rotate wait; its position stays."""
        source = generation.source
        if source is None:
            return
        generation.has_grown(now)
        packed = isinstance(source, PackedSource)
        quiet = packed or now - generation.changed >= self._rotate_wait
        if not quiet or source.rest < generation.size:
            return
        if source.rest > source.offset:
            if packed or source.is_deleted() or self._is_followed(generation):
                found.finish.append(source)
                return
            if generation.path is None:
                return  # moved to where it cannot be found again: held on to
        self.keeping.let_go(source)
        found.let_go = True

    def close(self) -> None:
        """Let go of every file."""
        self.keeping.close()

    def _answer(self, found: Findings, now: float) -> Look:
        held = self.keeping.held().values()
        deadlines = (g.changed + self._rotate_wait for g in self.keeping.rotated if g.source)
        waits = [deadline - now for deadline in deadlines if deadline > now]
        if found.unsettled:
            waits.append(SETTLE_SECONDS)
        reads = []
        for generation in held:
            assert generation.source
            generation.has_grown(now)
            reads.append((generation.source, generation.size))
        return Look(
            reads=tuple(reads),
            finish=tuple(found.finish),
            again=max(SETTLE_SECONDS, min(waits)) if waits else None,
            missing=found.missing,
            error=found.error,
            twin=found.twin,
            rotated=found.rotated,
            appeared=found.appeared,
            rewritten=found.rewritten,
            let_go=found.let_go,
            unreadable=tuple(found.unreadable),
            readable=tuple(found.readable),
            lost=found.lost,
            held=len(held),
            over=self.keeping.is_over(),
        )
