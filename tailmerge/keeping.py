"""The files of a series that are kept in mind: held open, or let go of with their position.

What opens, closes and remembers files, for series.py to decide with. Whatever becomes known
here is claimed in the registry, which tells the journal.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping

from tailmerge.candidates import Candidates
from tailmerge.folders import Folders
from tailmerge.generation import Generation
from tailmerge.lines import find_last_lines
from tailmerge.match import Seen
from tailmerge.packed import PackedSource, open_any
from tailmerge.position import Position
from tailmerge.registry import Registry
from tailmerge.source import Rewritten, Source
from tailmerge.state import FORGET_SECONDS, Entry
from tailmerge.system import Identity, System

CUTS_REMEMBERED = 3
"""How many cut contents of which no copy was found are kept in mind for each series."""

GONE_SECONDS = 1.0
"""How long a file must be nowhere to be seen before what was not read of it is given up."""

WRITTEN_SECONDS = 60.0
"""What is compressed is written to its end without a pause that is so long."""


class Keeping:
    """The generations of one series, the rotated ones oldest first."""

    __slots__ = ("_folders", "_registry", "_system", "live", "name", "path", "rotated")

    def __init__(
        self, path: str, name: str, system: System, registry: Registry, folders: Folders
    ) -> None:
        self.path = path
        """The series as it was given."""
        self.name = name
        """The series in the journal: its path, absolute."""
        self.live: Generation | None = None
        self.rotated: tuple[Generation, ...] = ()  # of most inputs there is none
        self._system = system
        self._registry = registry
        self._folders = folders

    def __iter__(self) -> Iterator[Generation]:
        """All of them, oldest first, the live one last."""
        yield from self.rotated
        if self.live:
            yield self.live

    def drop(self, generation: Generation) -> None:
        self.rotated = tuple(each for each in self.rotated if each is not generation)

    def held(self) -> dict[Identity, Generation]:
        """The ones that are held open, parked or not, by device and inode; no lost ones."""
        return {g.source.identity: g for g in self if g.source and not g.source.lost}

    def take_up(self) -> None:
        """Open the parked rotated ones again, where their names lead to them."""
        for generation in self.rotated:
            if source := generation.source:
                try:
                    source.hold()
                except OSError:
                    continue  # it is lost, or the read that follows meets the same error

    def find_again(self, generation: Generation, source: Source, path: str, now: float) -> None:
        """A lost file was found under this name, in this form."""
        lost = generation.source
        assert lost is not None
        source.written, source.history, source.lines = lost.written, lost.history, lost.lines
        source.orphan = lost.orphan
        generation.source, generation.path, generation.changed = source, path, now
        lost.close()
        self._registry.claim(source.identity, self, generation)

    def restore(self, entries: Iterable[Entry], *, present: bool = True) -> None:
        """Take up what an earlier run left, before the first look."""
        for entry in entries:
            position = entry.position
            if present:
                self._folders.links.remember(self.name, position.path)
            generation = Generation(position=position, size=entry.size, seen=entry.seen)
            self.rotated += (generation,)
            self._registry.claim(position.identity, self, generation)

    def entries(self) -> Iterator[Entry]:
        """What a later run is told; what was not seen for so long is forgotten."""
        now = time.time()
        for generation in list(self):
            position = self.remembered(generation)
            if generation.path or generation.source:
                generation.seen = now
            if position is None:
                continue
            is_old = now - generation.seen >= FORGET_SECONDS
            if not (is_old and self._system.is_folder(os.path.dirname(position.path) or ".")):
                yield Entry(self.name, position, generation.size, generation.seen)
            elif generation in self.rotated:  # a run may live for years
                self.drop(generation)
                self._registry.forget(position.identity, generation)

    def remembered(self, generation: Generation) -> Position | None:
        """A generation's position, with the absolute path that it has now."""
        position = generation.remembered
        if position is None:
            return None
        return position._replace(path=self._absolute(generation.path or position.path))

    def _absolute(self, path: str) -> str:
        if path == self.path:
            return self._folders.links.find(self.name) or self.name
        folder, base = os.path.split(path)
        if folder == os.path.dirname(self.path):
            return os.path.join(os.path.dirname(self.name), base)
        if os.path.isabs(folder):
            return path
        return os.path.join(self._folders.absolute(folder) or os.path.dirname(self.name), base)

    # becoming known

    def take(self, source: Source, path: str, now: float, *, live: bool) -> Generation:
        """A file that is read from now on."""
        generation = Generation(source=source, path=path, changed=now)
        if live:
            self.live = generation
        else:
            self.rotated += (generation,)
        self._registry.claim(source.identity, self, generation)
        return generation

    def meet(self, source: Source, known: Generation | None, size: int, now: float) -> Generation:
        """The live file, as a first look found it, and what was known of it."""
        generation = known or Generation()
        generation.source, generation.position = source, None
        generation.path, generation.size, generation.changed = source.path, size, now
        if known:
            self.drop(known)
        self.live = generation
        self._registry.claim(source.identity, self, generation)
        return generation

    def pass_over(self, file: Seen) -> None:
        """A rotated file from before the first look: known, and not read.

        Raises:
            OSError: nothing can be known of it.
        """
        check = time.time() - file.modified < WRITTEN_SECONDS
        hands = self._registry.hands
        source = open_any(self._system, file.path, hands, file=file.identity, check=check)
        try:
            if isinstance(source, PackedSource):
                position, size = source.packed_position(), file.size
            else:
                size = source.size()
                source.start_at(find_last_lines(source.read_at, size, 0))
                position = source.position()
            generation = Generation(position=position, path=file.path, size=size)
        finally:
            source.close()
        self.rotated += (generation,)
        self._registry.claim(file.identity, self, generation)

    def remember_copies(self, files: Iterable[Seen], candidates: Candidates) -> None:
        """A compressed copy whose original is deleted is all that a later run finds of it.

        Where the original's writer went on after it was compressed, the position lies behind
        the copy's end, and would not tell it.
        """
        for file in files:
            copy = candidates.open(file) if file.compressed else None
            for generation in list(self.rotated) if copy else ():
                source = generation.source
                if not copy or not source or not source.is_deleted():
                    continue
                try:
                    size = copy.size()
                    if size < source.offset and source.begins_with(copy, size):
                        self.pass_over(file)
                except OSError:
                    continue  # it is compared again at the next look

    def resume(
        self,
        generation: Generation,
        file: Seen,
        candidates: Candidates,
        now: float,
        *,
        held: Source | None = None,
    ) -> None:
        """A known file was found: it is opened where there is more to read, or may be.

        `held` is what another input read ahead of it.
        """
        generation.path = file.path
        position = generation.position
        if position is None:
            return
        is_read = position.packed
        if not is_read and not file.live and file.size == generation.size == position.offset:
            is_read = not isinstance(candidates.open(file), PackedSource)  # else sizes say nothing
        if is_read:
            generation.position = position._replace(identity=file.identity)
            self._registry.claim(file.identity, self, generation)
            if file.live:
                self.drop(generation)
                self.live = generation
            return
        source = candidates.take(file, position, held)
        generation.source, generation.position = source, None
        generation.size, generation.changed = file.size, now
        if file.live:
            self.drop(generation)
            self.live = generation
        self._registry.claim(source.identity, self, generation)

    def reopen(self, generation: Generation, now: float) -> None:
        """Open a file again that was let go of while its last line was unfinished."""
        position, path = generation.position, generation.path
        if position is None or path is None or generation.size <= position.offset:
            return
        try:
            source = open_any(self._system, path, self._registry.hands)
        except OSError:
            return  # gone or renamed this moment: the next look sees to it
        try:
            source.resume_at(position)
            source.number = position.number
            # An earlier run's clock is not ours: the file tells how long it has been quiet.
            age = max(0.0, time.time() - self._system.fstat(source.fd).st_mtime)
        except (OSError, Rewritten):
            return  # its position stays, and the next look tries again
        else:
            generation.source, generation.position = source, None
            generation.changed = max(generation.changed, now - age)
            self._registry.claim(source.identity, self, generation)
        finally:
            if generation.source is not source:
                source.close()

    def begin_again(
        self, generation: Generation, *, copied: bool = False, owed: bool = False
    ) -> int:
        """The file was cut or written over: what it holds now is a content of its own.

        Returns the bytes that were seen in its size and cut before they could be read;
        none of them where a copy was found, which is read in its place, or is `owed`: it may
        be in a file that cannot be read yet.
        """
        old = generation.source
        assert old is not None
        lost = 0 if copied or owed else max(0, generation.size - old.rest)
        source = Source(self._system, old.fd, old.path, old.identity)
        source.start_at(0, cut_from=old.offset)
        if not copied:
            source.orphan = old.orphan if owed else old.orphan + old.fragment
            self._remember_cut(old, generation.size if owed else old.offset)
        self._registry.hands.forget(old)
        old.fd = -1  # whoever still reads from it is told to look again
        generation.source, generation.size, generation.missed = source, 0, False
        self._registry.claim(source.identity, self, generation)
        return lost

    def _remember_cut(self, old: Source, size: int) -> None:
        """A copy of what was cut may still come up, and is not to be read once more."""
        if old.offset and not old.is_ahead:
            before = [g for g in self.rotated if g.was_cut and g.path is None]
            for generation in before[: -(CUTS_REMEMBERED - 1)]:
                self.drop(generation)
            position = old.position_before()
            self.rotated += (Generation(position=position, size=size, was_cut=True),)

    # being given away, let go of, closed

    def give_away(self, generation: Generation) -> None:
        """The file has another input's name now, and its place in that series."""
        if generation.source:
            generation.source.close()
        if generation is self.live:
            self.live = None
        elif generation in self.rotated:
            self.drop(generation)

    def let_go(self, source: Source) -> None:
        """Close a rotated file; its position is kept where the file is.

        One that was read ahead stays open: only it knows up to where it is written.
        """
        if source.is_ahead:
            return
        for generation in self.rotated:
            if generation.source is source:
                if source.is_deleted():  # its number may be given to another file
                    self._registry.forget(source.identity, generation)
                    if source.offset == 0:
                        self.drop(generation)  # nothing was in it to know again
                self._close(generation, source)  # a compressed form of it may be there
                source.close()
                return

    @staticmethod
    def _close(generation: Generation, source: Source) -> None:
        try:
            if isinstance(source, PackedSource) and source.is_read():
                generation.position = source.packed_position()
                generation.size = generation.position.offset
            else:
                generation.position = source.position()
        except OSError:  # it cannot be read any more: what was known of it must do
            generation.position = source.position_before()
        generation.source, generation.seen = None, time.time()

    def unfinished(self) -> list[Source]:
        """What has an unfinished last line, opened where need be."""
        held = [g.source for g in self if g.source and not g.source.lost]
        found = [source for source in held if source.rest > source.offset]
        for generation in self.rotated:
            if generation.source is None:
                self.reopen(generation, 0.0)
                found += [generation.source] if generation.source else []
        return found

    def note_gone(self, now: float) -> bool:
        """See which files are gone that were not read to their end; whether one is so newly."""
        newly = False
        for generation in self.rotated:
            position = generation.position
            if position and generation.path is None and generation.size > position.offset:
                newly = newly or generation.gone is None
                generation.gone = now if generation.gone is None else generation.gone
            else:
                generation.gone = None
        return newly

    def give_up_gone(self, now: float) -> int:
        """What was not read of files that are gone for good, bytes; each is told once.

        A folder that is listed while names in it move may not show one of them.
        """
        lost = 0
        for generation in self.rotated:
            position, gone = generation.position, generation.gone
            if position and gone is not None and now - gone >= GONE_SECONDS:
                lost += generation.size - position.offset
                generation.size, generation.gone = position.offset, None
        return lost

    def awaits_gone(self) -> bool:
        """Whether files are gone that were not given up yet."""
        return any(generation.gone is not None for generation in self.rotated)

    def is_over(self) -> bool:
        """Whether the file of this name is a compressed one, which does not grow."""
        live = self.live
        return bool(live and (isinstance(live.source, PackedSource) or live.position))

    def has_cut(self) -> bool:
        """Whether a file that is held open was found cut, or written over."""
        return any(g.source.cut for g in self if g.source)

    def has_unfinished(self) -> bool:
        """Whether any file, held open or not, has an unfinished last line.

        A rotated one may have been opened again and not read since: its size tells.
        """
        return any(
            g.source.rest > g.source.offset or (g is not self.live and g.size > g.source.offset)
            if g.source
            else g.position is not None and g.size > g.position.offset
            for g in self
        )

    def close(self) -> None:
        """Let go of everything."""
        for generation in self:
            if source := generation.source:
                self._close(generation, source)
                source.close()


def restore_all(
    known: Mapping[str, Iterable[Entry]], system: System, registry: Registry, folders: Folders
) -> dict[str, Keeping]:
    """What earlier runs read, by the input's absolute name: nobody's until its series is made."""
    keepings = {name: Keeping(name, name, system, registry, folders) for name in known}
    for name, entries in known.items():
        keepings[name].restore(entries, present=False)
    return keepings
