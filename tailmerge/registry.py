"""Which file belongs to which input, so that none is read twice.

A file can be reached by several names: hard links, symbolic links, two patterns, a rename
from one input's name to another's. The registry knows every file that is held open, every
one that was and keeps its position, and the outputs, by device and inode. It lives on the
thread that owns the files, and tells the journal what becomes known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tailmerge.system import Identity

if TYPE_CHECKING:
    from tailmerge.generation import Generation
    from tailmerge.keeping import Keeping


class Registry:
    """The files that are known, by device and inode."""

    def __init__(self) -> None:
        self._owners: dict[Identity, tuple[Keeping, Generation]] = {}
        self.outputs: set[Identity] = set()
        """What we write or wrote to: never an input."""
        self.tell: Callable[[Keeping, Generation], None] = lambda keeping, generation: None
        """Called with each file that becomes known: the journal listens."""
        self.present: list[Keeping] = []
        """The series of this run."""
        self.absent: dict[str, Keeping] = {}
        """What a state tells of and this run leaves out, by the input's absolute name."""

    def claim(self, file: Identity, keeping: Keeping, generation: Generation) -> None:
        self._owners[file] = (keeping, generation)
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
