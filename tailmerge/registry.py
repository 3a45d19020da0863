"""Which file belongs to which input, so that none is read twice.

A file can be reached by several names: hard links, symbolic links, two patterns, a rename
from one input's name to another's. The registry knows every file that is held open, every
one that was and keeps its position, and the outputs, by device and inode. It lives on the
thread that owns the files, and tells the journal what becomes known.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING

from tailmerge.hands import Hands
from tailmerge.rotation import rotated_forms
from tailmerge.system import Identity

if TYPE_CHECKING:
    from tailmerge.examiner import Examiner
    from tailmerge.generation import Generation
    from tailmerge.keeping import Keeping


_Member = tuple[tuple[int, int], "Keeping"]
"""A series, and its place in the order: absent ones first."""


class Registry:
    """The files that are known, by device and inode."""

    def __init__(self, hands: Hands | None = None) -> None:
        """`hands` hold the files open; None: as many as there are."""
        self.hands = Hands() if hands is None else hands
        self.examiner: Examiner | None = None
        """Who decompresses large files; None: who meets them."""
        self._owners: dict[Identity, Generation] = {}
        self.outputs: set[Identity] = set()
        """What we write or wrote to: never an input."""
        self.tell: Callable[[Keeping, Generation], None] = lambda keeping, generation: None
        """Called with each file that becomes known: the journal listens."""
        self.missing: Collection[str] = ()
        """Inputs, by their absolute names, of which an earlier run found no file."""
        self.tell_missing: Callable[[str], None] = lambda name: None
        """Called with each input that was never there when it is looked at."""
        self.present: list[Keeping] = []
        """The series of this run."""
        self.absent: dict[str, Keeping] = {}
        """What a state tells of and this run leaves out, by the input's absolute name."""

        self._forms: dict[str, list[_Member]] = {}
        """By the last part of each name that one could have rotated from, but its own."""
        self._bases: dict[str, list[_Member]] | None = None
        """By its own last part; None: nobody asked."""
        self._indexed = (-1, 0)
        """How many series were absent and present when these were made."""

    def find_related(self, name: str, *, apart: bool) -> list[Keeping]:
        """The series, absent ones first, that could be of one log with this name.

        `apart`: by its rotated forms in any folder, so that the last parts are the same.
        There may be ten thousand, each of which asks.
        """
        self._index()
        base, logs = _logs(name)
        if not apart and not logs and base not in self._forms:
            return []  # most of ten thousand
        found: dict[tuple[int, int], Keeping] = {}
        for log in (base, *logs):
            members = self._forms.get(log, [])
            if apart or log != base:
                members = members + self._find_bases().get(log, [])
            for place, keeping in members:
                if apart or os.path.basename(keeping.name) != base:
                    found[place] = keeping
        return [found[place] for place in sorted(found)]

    def _index(self) -> None:
        absent, present = self._indexed
        if (absent, present) == (len(self.absent), len(self.present)):
            return
        self._bases = None
        if absent != len(self.absent):
            self._forms, absent, present = {}, len(self.absent), 0
        for place, keeping in self._members(present):
            for log in _logs(keeping.name)[1]:
                self._forms.setdefault(log, []).append((place, keeping))
            if place[0]:
                present = place[1] + 1
        self._indexed = (absent, present)

    def _members(self, begin: int) -> Iterator[_Member]:
        """The absent ones, and the present ones from this one on; with their places."""
        if not begin:
            for number, keeping in enumerate(tuple(self.absent.values())):
                yield (0, number), keeping
        for number, keeping in enumerate(self.present[begin:], begin):
            yield (1, number), keeping

    def _find_bases(self) -> dict[str, list[_Member]]:
        if self._bases is None:
            self._bases = {}
            for member in self._members(0):
                base = os.path.basename(member[1].name)
                self._bases.setdefault(base, []).append(member)
        return self._bases

    def claim(self, file: Identity, keeping: Keeping, generation: Generation) -> None:
        self._owners[file] = generation
        generation.keeper = keeping
        if generation.source:
            generation.source.hands = self.hands
            self.hands.hold(generation.source)
        self.tell(keeping, generation)

    def forget(self, file: Identity, generation: Generation) -> None:
        """The file is gone; its number may be given to another one."""
        if self._owners.get(file) is generation:
            del self._owners[file]

    def owner(self, file: Identity) -> tuple[Keeping, Generation] | None:
        """Who has this file, held open or by its position; None: nobody, or no longer.

        A generation that was found again as another file is no longer this one, whose
        number may have been given to a stranger since.
        """
        generation = self._owners.get(file)
        if generation is None or generation.keeper is None:
            return None
        holder = generation.source or generation.position
        if holder is None or holder.identity != file:
            return None
        return generation.keeper, generation


def _logs(name: str) -> tuple[str, set[str]]:
    """The last part of a name, and all that it could have rotated from."""
    base = os.path.basename(name)
    return base, {form.base for form in rotated_forms(base)} - {base}
