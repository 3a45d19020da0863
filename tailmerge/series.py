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

import os

from tailmerge.candidates import Candidates
from tailmerge.generation import Findings, Generation, Look, News
from tailmerge.lines import find_last_lines
from tailmerge.match import Seen, match
from tailmerge.registry import Registry
from tailmerge.rotation import Folders, age_order
from tailmerge.source import Position, Source, fits, open_source
from tailmerge.system import Identity, System, identity, is_regular

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
    ) -> None:
        """Nothing is opened yet.

        `lines`: begin with so many last lines of the files that are there. `named`: rotated
        forms that are inputs themselves, read in full. `passed_before`: other rotated forms
        that were last written before this time (seconds since the epoch) are passed over.
        """
        self.path = path
        self._system = system
        self._registry = registry
        self._folders = folders
        self._rotate_wait = rotate_wait
        self._lines = lines
        self._named = named
        self._passed_before = passed_before
        self._looked = False
        self._live: Generation | None = None
        self._rotated: list[Generation] = []
        self._copies = False
        self._newest: Seen | None = None
        """The newest rotated file, read or not."""
        self._signature: tuple[int, ...] | None = None
        self._checked = 0.0
        self._trouble = False

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
            live = self._live and self._live.source
            same = signature is not None and live and signature[:2] == live.identity
            news = News.GREW if same else News.CHANGED
            self._signature = signature
            if same and self._live and signature:
                self._live.size = max(self._live.size, signature[2])
        for generation in self._rotated:
            if generation.source and self._has_grown(generation, now):
                news = max(news, News.GREW)
        if now - self._checked >= RECHECK_SECONDS:
            self._checked = now
            if self._trouble or self._copies or self._late_has_changed():
                news = News.CHANGED
        return news

    def _has_grown(self, generation: Generation, now: float) -> bool:
        assert generation.source
        size = generation.source.size()
        if size == generation.size:
            return False
        generation.size, generation.changed = size, now
        return True

    def _late_has_changed(self) -> bool:
        """Late lines in the newest rotated file (or one that was named), or a new name."""
        if newest := self._newest:
            size = max(
                (g.size for g in self._rotated if g.path == newest.path), default=newest.size
            )
            if self._differs(newest.path, size, newest.identity):
                return True
        return any(
            self._differs(g.path, g.size, g.position.identity)
            for g in self._rotated
            if g.path in self._named and g.path and g.position
        )

    def _differs(self, path: str, size: int, file: Identity) -> bool:
        try:
            status = self._system.stat(path)
        except OSError:
            return True
        return status.st_size != size or identity(status) != file

    # looking: where rotation is decided

    def look(self, now: float) -> Look:
        """Find the files of the series and decide what is read from where."""
        first, self._looked = not self._looked, True
        found = Findings()
        self._find_live(found, now)
        rotated = self._find_rotated(now)
        self._settle(rotated, found, first, now)
        self._open_live(found, first, now)
        for generation in list(self._rotated):
            self._let_go_if_quiet(generation, found, now)
        self._trouble = found.error is not None
        return self._answer(found, now)

    def _find_live(self, found: Findings, now: float) -> None:
        """Is the file of this name still the one we hold?"""
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
        live = self._live
        if live and live.source and live.source.identity == current:
            live.source.cut = live.source.cut or status.st_size < live.source.rest
        elif live:
            live.path, live.changed = None, now
            self._rotated.append(live)
            self._live = None
            found.rotated = found.unsettled = True
        back = [g for g in self._rotated if g.source and g.source.identity == current]
        if self._live is None and back:  # renamed back, or a symlink swapped back
            self._rotated.remove(back[0])
            self._live = back[0]
            self._live.path = self.path

    def _find_rotated(self, now: float) -> list[Seen]:
        """The plain rotated forms beside the file, oldest first."""
        folder = os.path.dirname(self.path)
        files = []
        for rotated in self._folders.find_rotated(self.path, now):
            path = os.path.join(folder, rotated.name)
            try:
                status = self._system.stat(path)
            except OSError:
                continue  # renamed since the listing: the next look finds its new name
            file = identity(status)
            live = self._live and self._live.source and self._live.source.identity == file
            if rotated.compressed or not is_regular(status) or live:
                continue
            if file in self._registry.outputs or self._is_others(file):
                continue
            key = age_order(rotated, status.st_mtime)
            files.append((key, Seen(path, file, status.st_size, status.st_mtime, live=False)))
        return [seen for _, seen in sorted(files, key=lambda pair: pair[0])]

    def _is_others(self, file: tuple[int, int]) -> bool:
        owner = self._registry.owner(file)
        return owner is not None and owner[0] is not self and owner[1].source is not None

    def _settle(self, files: list[Seen], found: Findings, first: bool, now: float) -> None:
        """Match the rotated files with what is known; open what is to be read."""
        held = {g.source.identity: g for g in self._rotated if g.source}
        standing = [f for f in files if f.identity in held]
        unknown = [f for f in files if f.identity not in held and f.size > 0]
        for generation in self._rotated:
            generation.path = None
        for file in standing:
            held[file.identity].path = file.path
        cut = self._live if self._live and self._live.source and self._live.source.cut else None
        positions = [(g, g.position) for g in self._rotated if g.position]
        if cut and cut.source:
            positions.append((cut, cut.source.position_before()))
        if first:
            unknown = [f for f in unknown if not self._pass_over(f, now)]
        if unknown:
            self._match(positions, unknown, standing, cut, found, first, now)
        if cut and cut.source and cut.source.cut:
            self._begin_again(cut.source, cut, found, copied=False)
        for generation in self._rotated:
            if generation.source and generation.source.cut:
                self._begin_again(generation.source, generation, found, copied=False)
        order = {file.path: index for index, file in enumerate(files)}
        self._rotated.sort(key=lambda g: order.get(g.path or "", -1))
        self._newest = files[-1] if files else None
        for generation in self._rotated:
            if self._is_followed(generation):
                self._reopen_unfinished(generation)

    def _is_followed(self, generation: Generation) -> bool:
        """Whether there is a newer rotated file, be it empty: this one's end has come."""
        newest = self._newest
        return newest is not None and generation.path not in (None, newest.path)

    def _match(
        self,
        positions: list[tuple[Generation, Position]],
        unknown: list[Seen],
        standing: list[Seen],
        cut: Generation | None,
        found: Findings,
        first: bool,
        now: float,
    ) -> None:
        known = [g.source for g in (*self._rotated, self._live) if g and g.source]
        if self._live and self._live.source and not self._live.source.cut:
            source = self._live.source
            standing = [*standing, Seen(self.path, source.identity, source.size(), now, live=True)]
        with Candidates(self._system, known) as candidates:
            matching = match(positions, unknown, standing, candidates.fits, candidates.is_copy)
            self._copies = bool(matching.copies)
            for generation, file in matching.pairs:
                if generation is cut and cut.source:
                    source = candidates.take(file, cut.source.offset)
                    self._add(Generation(source=source, path=file.path, changed=now))
                    self._begin_again(cut.source, cut, found, copied=True)
                    found.rotated = True
                else:
                    self._resume(generation, file, candidates, now)
            for file in matching.new:
                if candidates.open(file) is None:
                    found.unsettled = True  # renamed since, or unreadable: tried again
                    continue
                source = candidates.take(file)
                if first:
                    self._begin_at_last_lines(source)
                self._add(Generation(source=source, path=file.path, changed=now))
                found.rotated = not first

    def _add(self, generation: Generation) -> None:
        self._rotated.append(generation)
        if generation.source:
            self._registry.claim(generation.source.identity, self, generation)

    def _resume(
        self, generation: Generation, file: Seen, candidates: Candidates, now: float
    ) -> None:
        """A file that was let go of: opened again only where it has more."""
        generation.path = file.path
        position = generation.position
        if position is None or (file.size == generation.size and file.size >= position.offset):
            return
        source = candidates.take(file, position.offset)
        generation.source, generation.position = source, None
        generation.size, generation.changed = file.size, now
        self._registry.claim(source.identity, self, generation)

    def _pass_over(self, file: Seen, now: float) -> bool:
        """A rotated file from before the first look: known, and not read."""
        if file.path in self._named or file.modified >= self._passed_before:
            return False
        try:
            source = open_source(self._system, file.path)
        except OSError:
            return True
        try:
            source.start_at(source.size())
            generation = Generation(position=source.position(), path=file.path, size=file.size)
        finally:
            source.close()
        self._rotated.append(generation)
        self._registry.claim(file.identity, self, generation)
        return True

    def _begin_again(
        self, source: Source, generation: Generation, found: Findings, *, copied: bool
    ) -> None:
        """The file was cut or written over: from its first byte, what was read is read."""
        if not copied:
            found.lost += max(0, generation.size - source.rest)
            source.orphan += source.fragment
        source.head, source.head_length = "", 0
        source.start_at(0, cut_from=source.offset)
        generation.size = 0
        found.rewritten = True

    def _open_live(self, found: Findings, first: bool, now: float) -> None:
        if self._live or found.missing or found.error:
            return
        try:
            source = open_source(self._system, self.path)
        except OSError as error:
            found.missing = isinstance(error, FileNotFoundError)
            found.error = None if found.missing else error
            found.unsettled = found.missing
            return
        owner = self._registry.owner(source.identity)
        if owner is None or not self._inherit(source, *owner, found):
            if found.twin:
                source.close()
                return
            if first:
                self._begin_at_last_lines(source)
        self._live = Generation(source=source, path=self.path, changed=now)
        self._registry.claim(source.identity, self, self._live)
        found.appeared = not first

    def _begin_at_last_lines(self, source: Source) -> None:
        def read_at(length: int, offset: int) -> bytes:
            return self._system.read_at(source.fd, length, offset)

        if self._lines is not None:
            source.start_at(find_last_lines(read_at, source.size(), self._lines))

    def _inherit(
        self, source: Source, other: Series, generation: Generation, found: Findings
    ) -> bool:
        """The file has a place in this or another series: go on there."""
        if generation.source:
            if other._still_names(source):
                found.twin = other.path
                return False
            position = generation.source.position()
        elif generation.position:
            position = generation.position
        else:
            return False
        if not fits(self._system, source.fd, position):
            return False  # the number of a deleted file, given to a new one
        source.start_at(position.offset)
        other._give_away(generation)
        return True

    def _still_names(self, source: Source) -> bool:
        try:
            return identity(self._system.stat(self.path)) == source.identity
        except OSError:
            return False

    def _give_away(self, generation: Generation) -> None:
        if generation.source:
            generation.source.close()
        if generation is self._live:
            self._live = None
        elif generation in self._rotated:
            self._rotated.remove(generation)

    def _let_go_if_quiet(self, generation: Generation, found: Findings, now: float) -> None:
        """Close a rotated file that was quiet for the rotate wait; its position stays."""
        source = generation.source
        if source is None:
            return
        self._has_grown(generation, now)
        if now - generation.changed < self._rotate_wait or source.rest < generation.size:
            return
        deleted = self._system.fstat(source.fd).st_nlink == 0
        if source.rest > source.offset:
            if deleted or self._is_followed(generation):
                found.finish.append(source)
                return
            if generation.path is None:
                return  # moved to where it cannot be found again: held on to
        self.let_go(source)
        found.let_go = True

    def let_go(self, source: Source) -> None:
        """Close a rotated file; its position is kept where the file is."""
        for generation in self._rotated:
            if generation.source is source:
                if self._system.fstat(source.fd).st_nlink == 0:
                    self._rotated.remove(generation)
                    self._registry.forget(source.identity, generation)
                else:
                    generation.position = source.position()
                    generation.source = None
                source.close()
                return

    def _answer(self, found: Findings, now: float) -> Look:
        reads = []
        held = [g for g in (*self._rotated, self._live) if g and g.source]
        waits = [
            generation.changed + self._rotate_wait - now
            for generation in self._rotated
            if generation.source
        ]
        if found.unsettled:
            waits.append(SETTLE_SECONDS)
        for generation in held:
            assert generation.source
            self._has_grown(generation, now)
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
            lost=found.lost,
            held=len(held),
        )

    def _reopen_unfinished(self, generation: Generation) -> None:
        """Open a file again that was let go of while its last line was unfinished."""
        position, path = generation.position, generation.path
        if position is None or path is None or generation.size <= position.offset:
            return
        try:
            source = open_source(self._system, path)
        except OSError:
            return  # gone or renamed this moment: the next look sees to it
        if fits(self._system, source.fd, position):
            source.start_at(position.offset)
            generation.source, generation.position = source, None
            self._registry.claim(source.identity, self, generation)
        else:
            source.close()

    def unfinished(self) -> list[Source]:
        """What still has an unfinished last line at the end of a run, opened where need be."""
        for generation in self._rotated:
            self._reopen_unfinished(generation)
        held = (g.source for g in (*self._rotated, self._live) if g and g.source)
        return [source for source in held if source.size() > source.offset]

    def close(self) -> None:
        """Let go of everything."""
        for generation in (*self._rotated, self._live):
            if generation and generation.source:
                generation.source.close()
                generation.source = None
