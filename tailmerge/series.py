"""The files of one input: the one with its name, and its rotated forms beside it.

This is where rotation is decided. A look finds the files of the series, knows the ones
that are held open by device and inode and all others by their content, and says what is to
be read, oldest first. It runs on the thread that owns the files; when to look, and what is
forwarded, the main loop decides (follow.py).

States of a generation: live (held open) -> rotated, held open -> quiet for the rotate wait:
closed, its position kept -> opened again when late lines come. A deleted one ends when it
was quiet. A live one that was cut stays live and begins again; what was not read before
the cut is taken from the copy where there is one.

Beyond the limit of descriptors a file that is held may be parked: closed while it is idle,
with all that is known of it in memory. Its name is asked instead; with news, and at each
look, it is opened again. Its name leads elsewhere: it is lost. A lost one was renamed,
compressed or deleted: it is matched like a position, but never with the live file, which is
another one; found, it goes on where it was. One that is not found for the rotate wait was
deleted while nobody held it: its position stays, and bytes of it that were seen and not
read are said. A cut while it is parked shows in its content; kill -9 changes nothing, as the
state tells of a parked file what it tells of an open one.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Sequence

from tailmerge.beside import Beside
from tailmerge.folders import Folders
from tailmerge.generation import Findings, Generation, Look, News, Terms, plain_look
from tailmerge.keeping import GONE_SECONDS, Keeping
from tailmerge.meeting import Moved, meet
from tailmerge.nameholder import NameHolder
from tailmerge.packed import PackedSource
from tailmerge.position import HEAD
from tailmerge.probe import Probe
from tailmerge.registry import Registry
from tailmerge.settling import Settling
from tailmerge.source import Source
from tailmerge.state import Entry
from tailmerge.system import System

SETTLE_SECONDS = 0.05
"""After a rotation was seen the folder is listed again so much later: a listing that was
read while names moved may have missed one."""

MOST_CUTS = 10
"""So many copytruncates are followed within one look."""

EXAMINED_SECONDS = 0.1
"""How often it is asked whether a large compressed file is decompressed."""

AHEAD_SECONDS = 1.0
"""How often a file is looked at that could be let go of but for lines that wait."""

NOTHING: frozenset[str] = frozenset()
"""One for all inputs."""

_share = functools.lru_cache(maxsize=100)(lambda terms: terms)
"""Those of ten thousand inputs are mostly the same."""


class Series:
    """One input and the files that rotation made of it."""

    __slots__ = (
        "_doubt",
        "_looked",
        "_probe",
        "_registry",
        "_resumes",
        "_system",
        "_terms",
        "_unreadable",
        "folders",
        "hand",
        "is_known",
        "keeping",
        "path",
        "seen",
    )

    def __init__(
        self,
        path: str,
        system: System,
        registry: Registry,
        folders: Folders,
        *,
        rotate_wait: float = 5.0,
        lines: int | None = None,
        named: frozenset[str] = NOTHING,
        passed_before: float = float("inf"),
        entries: Iterable[Entry] = (),
        name: str = "",
        status: os.stat_result | None = None,
    ) -> None:
        """Nothing is opened yet.

        `lines`: begin with so many last lines of the files that are there. `named`: rotated
        forms that are inputs themselves, read in full. `passed_before`: other rotated forms
        that were last written before this time (seconds since the epoch) are passed over.
        `entries`: what an earlier run left; then nothing is passed over, and what matches
        none of them is new. `name`: the path made absolute, as the state has it. `status`:
        what its name was found to lead to.
        """
        self.path = path
        self.keeping = Keeping(path, name or path, system, registry, folders)
        self._system = system
        self._registry = registry
        self.folders = folders
        self._terms = _share(Terms(lines, named, passed_before, rotate_wait))
        self.hand: Source | None = None
        """The file that is held open under the name, as the last probe found it."""
        self.seen = -1
        """Its size then, bytes."""
        self._looked = False
        self._doubt: Findings | None = None
        """What a look found that is to be looked at once more."""
        self._unreadable: frozenset[str] = NOTHING
        self.keeping.restore(entries)
        registry.present.append(self.keeping)
        self.is_known = bool(self.keeping.rotated)
        """An earlier run read it: a file that is not there was rotated away."""
        self._resumes = self.is_known or self.keeping.name in registry.missing
        """The same, or it found no file of it: nothing is passed over."""
        self._probe = Probe(self.keeping, system, named)
        if status:
            self._probe.begin(status)

    @property
    def _settling(self) -> Settling:
        """Made when it is asked for first: of most inputs there is nothing to settle."""
        if self._probe.settling is None:
            self._probe.settling = Settling(
                self.keeping,
                Beside(self.keeping, self._system, self._registry, self.folders),
                self._system,
                self._registry,
                self._terms,
                resumes=self._resumes,
            )
        return self._probe.settling

    def probe(self, now: float, *, told: bool = False) -> News:
        """Whether anything happened since the last probe: one stat, mostly."""
        news = self._probe.probe(now, told=told)
        self.hand, self.seen = self._probe.hand, self._probe.seen
        return news

    def note_growth(self, end: int) -> None:
        """Its file was seen to end there, bytes: of what is cut before it is read that tells."""
        self.seen = end
        if live := self.keeping.live:
            live.size = max(live.size, end)

    def stands(self) -> bool:
        return self._probe.stands()

    @property
    def is_unsettled(self) -> bool:
        return self._probe.is_unsettled

    def places(self) -> Iterator[tuple[str, str]]:
        return self._probe.places()

    # looking: where rotation is decided

    def look(self, now: float, *, hold: bool = False) -> Look:
        """Decide what is read from where; with `hold` nothing is let go of: it may be in use."""
        return self.begin_look(now, hold=hold) or confirm([self], now, hold=hold)[0]

    def begin_look(self, now: float, *, hold: bool = False) -> Look | None:
        """The same; None: what the file holds may be newer than the listing of its folder, so
        that `confirm` is to be asked."""
        if not self._looked and self._meet(now):
            live = self.keeping.live
            assert live
            assert live.source
            return None if self._doubt else plain_look(live.source, live.size)
        return self._look(Findings(), now, hold=hold)

    def confirm(self, now: float, *, hold: bool, last: bool) -> Look | None:
        """Look once more, by a listing that is newer; None as before, unless it is the `last`."""
        found, self._doubt = self._doubt, None
        assert found
        keeping = self.keeping
        if keeping.live and not keeping.rotated and not self._has_forms(now):
            return self._conclude(found, now, hold=hold)  # it has only grown
        return self._look(found, now, hold=hold, last=last)

    def _has_forms(self, now: float) -> bool:
        try:
            forms = self.folders.find_forms(self.path, self.keeping.name, now)
            return next(forms, None) is not None
        except OSError:
            return True  # the look meets the same error

    def _look(self, found: Findings, now: float, *, hold: bool, last: bool = False) -> Look | None:
        self._settle(found, now)
        for _ in range(MOST_CUTS):
            if not (found.begun or found.vanished):
                break
            # What it holds now may be newer than the listing: another copy may stand there.
            found.begun = found.vanished = False
            self.folders.forget(self.path, self.keeping.name)
            self._settle(found, now)
        if found.doubtful and not last:
            self._doubt, found.doubtful = found, False
            return None
        return self._conclude(found, now, hold=hold)

    def _conclude(self, found: Findings, now: float, *, hold: bool) -> Look:
        if found.pending:
            return Look(again=EXAMINED_SECONDS, pending=True)
        for generation in [] if hold else list(self.keeping.rotated):
            self._let_go_if_quiet(generation, found, now)
        unreadable = frozenset(path for path, _ in found.unreadable) or NOTHING
        found.readable = sorted(self._unreadable - unreadable)
        self._unreadable = unreadable
        self._probe.trouble = found.error is not None or bool(unreadable)
        return self._answer(found, now)

    def _meet(self, now: float) -> bool:
        """The first look where there is nothing to decide, as for most of many inputs."""
        if self._terms.lines is not None and not self._resumes:
            return False
        try:
            met = meet(self.keeping, self._probe, self._system, self._registry, self.folders, now)
        except Moved:
            self.folders.forget(self.path, self.keeping.name)
            self._looked = not self.keeping.rotated  # nothing is from before the first look
            return False
        if met is None:
            return False
        self._looked = True
        self._doubt = None if met.is_sure else Findings()
        self.hand, self.seen = self._probe.hand, self._probe.seen
        return True

    def _settle(self, found: Findings, now: float) -> None:
        found.begin_again()
        was_seen = self._probe.has_begun
        links = self.folders.links
        holder = NameHolder(self.keeping, self._probe, self._system, self._registry, links)
        live = holder.find_live(found, now)
        self.keeping.take_up()
        self._glance(found)
        beside = self._settling.beside
        try:
            rotated = beside.find_rotated(now)
            if beside.apart and beside.is_owed(rotated, live):
                raise beside.apart[0][1]
        except OSError as error:  # nothing is decided by a look that sees half
            found.error = error
            return
        if not found.error and holder.has_moved(found):
            found.begun = found.unsettled = True
            return
        # By a link the file of our name has a rotated name, too: cronolog's, rotatelogs'.
        rotated = [file for file in rotated if file.identity != found.current]
        first = not self._looked
        if self._settling.is_pending(rotated, first):
            found.pending = True
            return
        self._looked = True
        found.unreadable += [*beside.failed, *beside.apart]
        passed = self._settling.is_passed_over
        rotated = [
            file
            for file in rotated
            if file.identity in found.were_live
            or not passed(file, first or beside.is_first_sight(file.path))
        ]
        beside.note_listed(first=first)
        self._settling.settle(rotated, live, found, first, now)
        if live and not (was_seen and holder.is_as_seen(live)):
            found.doubtful = True
        keeping = self.keeping
        lacks_file = any(g.position and g.path is None for g in keeping.rotated)
        relist = lacks_file and not found.is_relisted
        if relist and self.folders.has_changed(self.path, keeping.name):
            found.doubtful = found.is_relisted = True  # it may have a name that was not listed
        if found.missing and not any(keeping):
            self._registry.tell_missing(keeping.name)

    def _glance(self, found: Findings) -> None:
        """See the beginning of what was empty: a cut before the first read is noticed.

        Before the folder is listed: what was copied and cut since is seen by its beginning, and
        of what was before that the copies are in the list. So a live file that is empty now is
        not read by this look, whatever it holds a moment later.
        """
        for generation in self.keeping:
            source = generation.source
            if source and source.offset == 0 and not source.head:
                try:
                    source.head = source.read_at(HEAD, 0)
                except OSError:
                    found.blind = True  # the read that follows meets the same error

    def _let_go_if_quiet(self, generation: Generation, found: Findings, now: float) -> None:
        """Close a rotated file that was quiet for the rotate wait; its position stays."""
        source = generation.source
        if source is None:
            return
        if source.lost:
            self._give_up_if_quiet(generation, source, found, now)
            return
        generation.has_grown(now)
        packed = isinstance(source, PackedSource)
        quiet = packed or generation.changed + self._terms.rotate_wait <= now  # as in _answer
        if not quiet or source.rest < generation.size or generation.unsure:
            return
        if source.rest > source.offset:
            if packed or source.is_deleted() or self._settling.is_followed(generation):
                found.finish.append(source)
                return
            if generation.path is None:
                return  # moved to where it cannot be found again: held on to
        if source.is_ahead:
            return  # lines of it wait for their place in the output
        self.keeping.let_go(source)
        found.let_go = True

    def _give_up_if_quiet(
        self, generation: Generation, source: Source, found: Findings, now: float
    ) -> None:
        """It was deleted, or moved out of sight, while it was parked: its position stays."""
        unclear = self._settling.waits or found.unsettled or found.unreadable or found.error
        if unclear or source.is_ahead or generation.changed + self._terms.rotate_wait > now:
            return
        found.lost += max(0, generation.size - source.offset)
        generation.size = source.offset
        self.keeping.let_go(source)
        found.let_go = True

    def close(self) -> None:
        """Let go of every file."""
        self._settling.remember_copies()
        self.keeping.close()

    def _answer(self, found: Findings, now: float) -> Look:
        held = self.keeping.held().values()
        deadlines = (g.changed + self._terms.rotate_wait for g in self.keeping.rotated if g.source)
        waits = [deadline - now for deadline in deadlines if deadline > now]
        if found.unsettled:
            waits.append(SETTLE_SECONDS)
        if found.gone:
            waits.append(GONE_SECONDS / 4)
        if any(g.source and g.source.is_ahead for g in self.keeping.rotated):
            waits.append(AHEAD_SECONDS)
        reads = []
        for generation in held:
            assert generation.source
            source = generation.source
            known = source.offset or source.head or source.orphan or found.blind
            if generation is self.keeping.live and not known:
                generation.size = 0  # its first lines are a change: they are the next look's
                continue
            generation.has_grown(now)
            reads.append((source, generation.size))
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
            gone=found.gone,
            held=len(held),
            over=self.keeping.is_over(),
        )


def begin_looks(all_series: Sequence[Series], now: float) -> list[Look | None]:
    """Look at these; None where it is to be confirmed: something may have been turned over."""
    return [series.begin_look(now) for series in all_series]


def confirm(doubtful: Sequence[Series], now: float, *, hold: bool = False) -> list[Look]:
    """Look once more, all by one listing that is newer than what they hold."""
    looks: list[Look | None] = [None for _ in doubtful]
    for left in range(MOST_CUTS, 0, -1):
        indexes = [index for index, look in enumerate(looks) if look is None]
        if not indexes:
            break
        now = doubtful[0].folders.later(now)
        for index in indexes:
            looks[index] = doubtful[index].confirm(now, hold=hold, last=left == 1)
    return [look for look in looks if look]
