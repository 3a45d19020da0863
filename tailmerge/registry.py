"""Which file belongs to which input, so that none is read twice.

A file can be reached by several names: hard links, symbolic links, two patterns, a rename
from one input's name to another's. The registry knows every file that is held open, every
one that was and keeps its position, and the outputs, by device and inode. It lives on the
thread that owns the files, and tells the journal what becomes known.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from tailmerge.hands import Hands
from tailmerge.rotation import rotated_forms
from tailmerge.system import Identity

if TYPE_CHECKING:
    from tailmerge.generation import Generation
    from tailmerge.keeping import Keeping


class Registry:
    """The files that are known, by device and inode."""

    def __init__(self, hands: Hands | None = None) -> None:
        """`hands` hold the files open; None: as many as there are."""
        self.hands = Hands() if hands is None else hands
        self._owners: dict[Identity, tuple[Keeping, Generation]] = {}
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

        self._by_log: dict[str, dict[str, list[tuple[int, Keeping]]]] = {}
        """By the last part of each name that one could have rotated from, then by its own;
        each with its place in the order."""
        self._indexed = (-1, -1)
        """How many series were present and absent when that was made."""

    def find_related(self, name: str, *, apart: bool) -> list[Keeping]:
        """The series, absent ones first, that could be of one log with this name.

        `apart`: by its rotated forms in any folder, so that the last parts are the same.
        There may be ten thousand, each of which asks.
        """
        counts = (len(self.present), len(self.absent))
        if self._indexed != counts:
            self._indexed, self._by_log = counts, {}
            for place, keeping in enumerate((*self.absent.values(), *self.present)):
                base, logs = _logs(keeping.name)
                for log in logs:
                    groups = self._by_log.setdefault(log, {})
                    groups.setdefault(base, []).append((place, keeping))
        base, logs = _logs(name)
        found: dict[int, Keeping] = {}
        for log in logs:
            for other, members in self._by_log.get(log, {}).items():
                if apart or other != base:
                    found.update(members)
        return [found[place] for place in sorted(found)]

    def claim(self, file: Identity, keeping: Keeping, generation: Generation) -> None:
        self._owners[file] = (keeping, generation)
        if generation.source:
            generation.source.hands = self.hands
            self.hands.hold(generation.source)
        self.tell(keeping, generation)

    def forget(self, file: Identity, generation: Generation) -> None:
        """The file is gone; its number may be given to another one."""
        if self._owners.get(file, (None, None))[1] is generation:
            del self._owners[file]

    def owner(self, file: Identity) -> tuple[Keeping, Generation] | None:
        """Who has this file, held open or by its position; None: nobody, or no longer.

        A generation that was found again as another file is no longer this one, whose
        number may have been given to a stranger since.
        """
        owner = self._owners.get(file)
        if owner is None:
            return None
        generation = owner[1]
        holder = generation.source or generation.position
        if holder is None or holder.identity != file:
            return None
        return owner


def _logs(name: str) -> tuple[str, set[str]]:
    """The last part of a name, and that with all that it could have rotated from."""
    base = os.path.basename(name)
    return base, {base, *(form.base for form in rotated_forms(base))}
