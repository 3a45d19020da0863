"""Files that another input knows: their positions go with them, and none is read twice.

A rename from one input's name to another's; two logs of one name with one olddir; a list
of inputs that changed since the run before.
"""

from __future__ import annotations

import os

from tailmerge.candidates import Candidates
from tailmerge.generation import Findings, Generation
from tailmerge.keeping import Keeping
from tailmerge.match import Seen
from tailmerge.packed import open_any
from tailmerge.position import Position
from tailmerge.registry import Registry
from tailmerge.source import Source
from tailmerge.system import System


class Inheritance:
    """What one series takes over from others, or leaves to them."""

    __slots__ = ("_keeping", "_registry", "_system")

    def __init__(self, keeping: Keeping, system: System, registry: Registry) -> None:
        self._keeping = keeping
        self._system = system
        self._registry = registry

    def inherit(
        self, source: Source, candidates: Candidates, file: Seen, found: Findings, now: float
    ) -> bool:
        """The file is known by another input's name: go on there, or leave it to that one."""
        if file.apart and self._is_siblings(source):
            return True
        owner = self._registry.owner(source.identity)
        if owner and owner[0] is not self._keeping:
            keeping, generation = owner
            if generation.source and self._system.leads_to(keeping.name, source.identity):
                found.twin = keeping.path if file.live else found.twin
                return True
            position = generation.remembered
            # Of an empty file nothing is known but its number, which may be another's by now.
            held = generation.source and generation.source.parked is None
            known = position and (held or position.offset or position.head_length)
            if position and known and source.fits(position):
                self._take_over(keeping, generation, file, candidates, now)
                return True
            # else the number of a deleted file, given to a new one
        return self._inherit_content(source, candidates, file, now)

    def _is_siblings(self, source: Source) -> bool:
        """Whether it belongs to another input with the same last part, by its content.

        Their olddir may be one. What fits none of them goes to the one that looks first:
        the first one given.
        """
        base = os.path.basename(self._keeping.name)
        for keeping in self._registry.present:
            if keeping is self._keeping or os.path.basename(keeping.name) != base:
                continue
            positions = [g.remembered for g in keeping]
            if any(p and p.offset and source.fits(p) for p in positions):
                return True
            live = keeping.live and keeping.live.source
            if live and not live.cut and live.begins_with(source, source.size()):
                return True  # a copy whose original is not cut yet
        return False

    def _inherit_content(
        self, source: Source, candidates: Candidates, file: Seen, now: float
    ) -> bool:
        """Ours and another input, of this run or of an earlier one, rotated from one log.

        `tailmerge 'old/*'` makes an input of each rotated file, and their names go on
        changing: its content has its position, unless the file that it was read from stands.
        """
        for keeping in self._registry.find_related(self._keeping.name, apart=file.apart):
            if keeping is self._keeping:
                continue
            for generation in list(keeping):
                position = generation.position
                if not position or not position.offset or not source.fits(position):
                    continue
                if not self._stands(position):
                    self._take_over(keeping, generation, file, candidates, now)
                    return True
        return False

    def _stands(self, position: Position) -> bool:
        """Whether the file that a position was seen in is still there."""
        try:
            source = open_any(self._system, position.path, self._registry.hands)
        except OSError:
            return False
        try:
            return source.identity == position.identity and source.fits(position)
        finally:
            source.close()

    def _take_over(
        self,
        keeping: Keeping,
        generation: Generation,
        file: Seen,
        candidates: Candidates,
        now: float,
    ) -> None:
        position, held = generation.remembered, generation.source
        keeping.give_away(generation)
        generation.source, generation.position = None, position
        self._keeping.rotated += (generation,)
        ahead = held if held and held.is_ahead else None
        self._keeping.resume(generation, file, candidates, now, held=ahead)
