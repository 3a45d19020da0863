"""The first look at an input of which there is one file, with nothing to decide.

Of ten thousand inputs nearly all are so: no rotated form stands beside the file, no other
input knows it, and it is new, or where an earlier run left it with its content. That takes
one open and, mostly, one read, in which head and marker are compared. Where there is more
to it nothing is done here, and the look decides (series.py).
"""

from __future__ import annotations

import os
from typing import NamedTuple

from tailmerge.encoding import find_encoding
from tailmerge.folders import Folders
from tailmerge.generation import Generation
from tailmerge.keeping import Keeping
from tailmerge.packed import find_compression
from tailmerge.position import Position
from tailmerge.probe import Probe
from tailmerge.registry import Registry
from tailmerge.source import Rewritten, Source
from tailmerge.system import System, identity, is_regular


class Moved(Exception):
    """The name leads to another file, or to none, since it was asked for: what stands beside
    it now is newer than that."""


class Met(NamedTuple):
    """The file is held open, the live one of its series."""

    is_sure: bool
    """Nothing stood beside it when what it holds was read. Else it changed since the folder
    was listed: it may have grown, or was copied and cut."""


class _MoreToDecide(Exception):
    """It is left to the look."""


def meet(
    keeping: Keeping,
    probe: Probe,
    system: System,
    registry: Registry,
    folders: Folders,
    now: float,
) -> Met | None:
    """Open the one file of a series; None, and nothing was done: there is more to decide.

    Its name was asked for before the folder was listed: what is renamed since then shows.

    Raises:
        Moved: nothing stood beside it a moment ago, and now something may.
    """
    try:
        known = _find_known(keeping)
        if not probe.has_begun:
            probe.begin(system.stat(keeping.path))
        if next(folders.find_forms(keeping.path, keeping.name, now), None):
            return None
        if known is None and _has_relatives(keeping, registry):
            return None
    except (OSError, _MoreToDecide):
        return None
    try:
        fd = system.open(keeping.path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise Moved from None
    except OSError:
        return None
    source = None
    try:
        status = system.fstat(fd)
        if not probe.saw(status):
            raise Moved
        file = identity(status)
        owner = registry.owner(file)
        if not (is_regular(status) and status.st_size) or file in registry.outputs:
            return None
        if owner != (known and (keeping, known)):
            return None
        position = known.position if known else None
        number = position.number if position else 0
        begun = Source(system, fd, keeping.path, file, number=number)
        _begin(begun, position)
        if known is None:
            status = system.fstat(fd)  # as it was when it was read, not before
        source = begun
    except (OSError, _MoreToDecide):
        return None
    finally:
        if source is None:
            system.close(fd)
    is_sure = known is not None or probe.saw_all(status)
    probe.meet(source, status)
    keeping.meet(source, known, status.st_size, now)
    return Met(is_sure)


def _find_known(keeping: Keeping) -> Generation | None:
    """What an earlier run left of the file; None: there was none."""
    if not keeping.rotated:
        return None
    known = keeping.rotated[0]
    position = known.position
    if len(keeping.rotated) > 1 or position is None or position.packed or not position.offset:
        raise _MoreToDecide
    return known


def _has_relatives(keeping: Keeping, registry: Registry) -> bool:
    """Whether its content may have its position with another input."""
    related = registry.find_related(keeping.name, apart=False)
    return any(other is not keeping for other in related)


def _begin(source: Source, position: Position | None) -> None:
    """See what the file begins with, and that it goes on where it was left.

    Raises:
        _MoreToDecide: it is not what was left, or not to be read like most files.
    """
    if position is None:
        source.start_at(0)
    else:
        try:
            source.resume_at(position)
        except Rewritten:
            raise _MoreToDecide from None
    if not source.head or find_compression(source.head) or find_encoding(source.head):
        raise _MoreToDecide
