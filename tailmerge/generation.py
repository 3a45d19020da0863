"""The files of a series, and what a look at them found: the data that travels.

A `Generation` lives on the thread that owns the files; a `Look` is what the main loop gets
of it.
"""

from __future__ import annotations

import enum
import errno
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tailmerge.match import Seen
from tailmerge.packed import PackedSource
from tailmerge.position import Position
from tailmerge.source import Source
from tailmerge.system import Identity

if TYPE_CHECKING:
    from tailmerge.keeping import Keeping


class News(enum.IntEnum):
    """What a probe found."""

    NONE = 0
    GREW = 1
    """A file that is held open has more to read, or is not what it was."""
    CHANGED = 2
    """The name leads to another file, or to none: look again."""


class Terms(NamedTuple):
    """What is asked for of an input's rotated files, and of what was there before the run."""

    lines: int | None
    """Begin with so many last lines of the files that are there; None: with the first."""
    named: frozenset[str]
    """Rotated forms that are inputs themselves."""
    passed_before: float
    """Other rotated forms that were last written before this time are passed over, seconds
    since the epoch."""
    rotate_wait: float
    """Seconds after which a quiet rotated file is let go of."""


class Generation:
    """One file of a series."""

    __slots__ = (
        "changed",
        "gone",
        "keeper",
        "missed",
        "path",
        "position",
        "seen",
        "size",
        "source",
        "unsure",
        "was_cut",
    )

    def __init__(
        self,
        source: Source | None = None,
        position: Position | None = None,
        path: str | None = None,
        size: int = 0,
        changed: float = 0.0,
        seen: float | None = None,
        was_cut: bool = False,
    ) -> None:
        self.keeper: Keeping | None = None
        """The series that claimed it."""
        self.source = source
        """Where it is held open."""
        self.position = position
        """Where it is not."""
        self.path = path
        """The name it has within the series; None: it was moved away or deleted."""
        self.size = size
        """Its size when it was looked at last, bytes."""
        self.changed = changed
        """When it was last seen to grow, or rotated, seconds of the loop's clock."""
        self.missed = False
        """It was cut, and one look found no copy of it."""
        self.gone: float | None = None
        """Since when it is nowhere to be seen, seconds of the loop's clock, though it was not
        read to its end; None: it is there, or there is nothing left to read."""
        self.seen = time.time() if seen is None else seen
        """When there was a file of this content last, seconds since the epoch."""
        self.unsure = False
        """Its size could not be asked for: there may be more to read."""
        self.was_cut = was_cut
        """It was cut, and no copy of it was found so far; this is what was read of it."""

    def follow(self, path: str) -> None:
        """The file that is held has this name now: by that it is found again."""
        self.path = path
        if self.source:
            self.source.path = path

    def has_grown(self, now: float) -> bool:
        """Whether it is held open and its size is another than it was."""
        if self.source is None or self.source.cut:
            return False  # what a cut file was is told by the size from before the cut
        try:
            size = self.source.size()
        except OSError as error:
            self.unsure = error.errno != errno.ESTALE  # else its server has it no more
            return False  # the read that follows meets the same error, and says it
        self.unsure = False
        if size == self.size:
            return False
        self.size, self.changed = size, now
        return True

    @property
    def remembered(self) -> Position | None:
        """Its position now, held open or not."""
        return self.source.position() if self.source else self.position


class Look(NamedTuple):
    """What a look found, for the main loop to act upon."""

    reads: tuple[tuple[Source, int], ...] = ()
    """What is held open, oldest first, the live one last, each with its size now."""
    finish: tuple[Source, ...] = ()
    """Files that will not grow any more and have an unfinished last line."""
    again: float | None = None
    """Seconds until the next look is due where nothing happens before."""
    missing: bool = False
    """There is no file of this name."""
    error: OSError | None = None
    """Why the file of this name cannot be read."""
    twin: str | None = None
    """The name of the input that follows this very file already."""
    rotated: bool = False
    appeared: bool = False
    rewritten: bool = False
    let_go: bool = False
    unreadable: tuple[tuple[str, OSError], ...] = ()
    """Rotated files that cannot be read."""
    readable: tuple[str, ...] = ()
    """Rotated files that could not be read before."""
    lost: int = 0
    """Bytes that were seen in the file's size and cut before they could be read."""
    gone: bool = False
    """What was not read to its end is nowhere to be seen: it may be found a moment later."""
    held: int = 0
    """Files of the series that are held open."""
    pending: bool = False
    """Nothing is decided yet: a large compressed file is being decompressed."""
    over: bool = False
    """The file is a compressed one: once it is read nothing more can come."""

    @property
    def is_plain(self) -> bool:
        """Whether there is one file, to be read, and nothing else to be done or said."""
        return len(self.reads) == 1 and self[1:] == _PLAIN

    @property
    def is_read(self) -> bool:
        """Whether all that is there was forwarded by an earlier run."""
        return all(is_read(source, size) for source, size in self.reads)


_PLAIN = Look(held=1)[1:]


def is_read(source: Source, until: int) -> bool:
    """Whether a file that a look compared need not be read up to there any more."""
    if isinstance(source, PackedSource) or source.cut or source.encoding or source.orphan:
        return False
    return source.offset == until > 0 and not source.is_ahead


def plain_look(source: Source, size: int = 0) -> Look:
    """What a look finds that finds this file, of this size, and nothing else."""
    return Look(reads=((source, size),), held=1)


def order_by_age(
    rotated: Iterable[Generation], files: Sequence[Seen], copies: Mapping[Identity, Identity]
) -> tuple[Generation, ...]:
    """The oldest first, as these files are, of which the names tell.

    One without a name, deleted or out of sight, takes the place of its copy (`copies`, by the
    originals); without a copy it stays behind all that is before it in `rotated`. What is
    still to be read of an older file comes first.
    """
    order = {file.identity: index for index, file in enumerate(files)}
    named = {file.path: file.identity for file in files}
    places: dict[Generation, int] = {}
    behind = -1
    for generation in rotated:
        source = generation.source
        file = named.get(generation.path or "") or (source and copies.get(source.identity))
        place = order.get(file, behind) if file else behind
        places[generation] = place
        behind = max(behind, place)
    return tuple(sorted(places, key=places.__getitem__))


class Findings:
    """A Look in the making."""

    def __init__(self) -> None:
        self.missing = False
        self.error: OSError | None = None
        self.twin: str | None = None
        self.rotated = False
        self.appeared = False
        self.rewritten = False
        self.let_go = False
        self.lost = 0
        self.gone = False
        self.vanished = False
        """What was not read to its end is gone since this look: its name may just have moved."""
        self.unsettled = False
        self.begun = False
        """A file was found cut and begins again, or a name moved: the listing is too old."""
        self.current: Identity | None = None
        """The file that the name led to when the look began; None: there was none."""
        self.were_live: set[Identity] = set()
        """What the name led to earlier in the look."""
        self.pending = False
        """Nothing is decided: a large compressed file is being decompressed."""
        self.doubtful = False
        """What the live file holds may be newer than the listing of its folder."""
        self.is_relisted = False
        """It was in doubt because names moved; once a look, for a folder may never be at rest."""
        self.blind = False
        """The beginning of a file could not be read."""
        self.finish: list[Source] = []
        self.unreadable: list[tuple[str, OSError]] = []
        self.readable: list[str] = []
        self.unclear = False
        """A file of the series could not be looked into: what it holds is not decided."""

    def begin_again(self) -> None:
        """All is looked at once more: what is wrong now counts."""
        self.missing = self.unclear = self.pending = False
        self.error = self.twin = None
        self.unreadable = []

    def note(self, file: Seen, error: OSError) -> None:
        """This file could not be looked into; it is tried again."""
        self.unclear = True
        if isinstance(error, FileNotFoundError):
            self.begun = self.unsettled = True  # renamed since: all is looked at once more
            self.missing = self.missing or file.live
        elif file.live:
            self.error = error
        else:
            self.unreadable.append((file.path, error))
