"""Which recorded position belongs to which file: one pure function.

Positions and files go in, both oldest first; pairs, copies and new files come out. It
does no I/O: whether a file holds what a position recorded, and whether one file begins
with all the bytes of another, is asked through the two functions that it is given.

Heads are shared by all generations of many logs (a CSV header, a banner), a copy stands
beside its original before copytruncate cuts it, a .gz beside the file it is made from, and
an empty position fits anything. So several files can fit one position; then the rules of
the contract decide, one position to one file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tailmerge.source import Position
from tailmerge.system import Identity


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as a look found it."""

    path: str
    identity: Identity
    size: int
    modified: float
    live: bool
    """It has the input's own name; all others are rotated forms."""
    compressed: bool = False
    quiet: bool = False
    """It has not grown for so long that it is no copy in the making."""


P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Matching(Generic[P]):
    """What a look made of the files."""

    pairs: list[tuple[P, Seen]]
    """Goes on at its position."""
    copies: list[Seen]
    """Not read while the original stands."""
    new: list[Seen]
    """Read in full, in this order."""
    gone: list[P]
    """Has no file any more."""


def match(
    positions: Sequence[tuple[P, Position]],
    files: Sequence[Seen],
    standing: Sequence[Seen],
    fits: Callable[[Position, Seen], bool],
    is_copy: Callable[[Seen, Seen], bool],
) -> Matching[P]:
    """Match positions with files, one to one.

    `standing` are files that are known already (held open). `is_copy(a, b)` is whether b
    begins with all the bytes of a.
    """
    left = list(files)
    pairs: list[tuple[P, Seen]] = []
    gone: list[P] = []
    waiting: list[tuple[P, Position]] = []
    for owner, position in positions:
        same = [f for f in left if not f.live and f.identity == position.identity]
        if same and fits(position, same[0]):
            pairs.append((owner, same[0]))
            left.remove(same[0])
        else:
            waiting.append((owner, position))
    for owner, position in waiting:
        fitting = [f for f in left if fits(position, f)]
        if not fitting:
            gone.append(owner)
            continue
        chosen = _choose(fitting, is_copy)
        pairs.append((owner, chosen))
        left.remove(chosen)
    originals = [*standing, *(file for _, file in pairs)]
    copies: list[Seen] = []
    new: list[Seen] = []
    for file in left:
        others = [*originals, *(f for f in left if f.live or not f.compressed)]
        copied = any(_is_copy(file, other, is_copy) for other in others)
        (copies if copied else new).append(file)
    return Matching(pairs, copies, new, gone)


def _choose(fitting: list[Seen], is_copy: Callable[[Seen, Seen], bool]) -> Seen:
    """The oldest file that is not merely a copy of another one that fits."""
    for file in fitting:
        if not any(_is_copy(file, other, is_copy) for other in fitting):
            return file
    return fitting[0]


def _is_copy(file: Seen, other: Seen, is_copy: Callable[[Seen, Seen], bool]) -> bool:
    """Of two files the live one, or the uncompressed one, is the original.

    Of any other file there are no copies beside it: two rotated files that begin alike are
    two generations, of which one holds little but the header of both.
    """
    if file.identity == other.identity or file.live:
        return False
    if not other.live and not (file.compressed and not other.compressed):
        return False
    return is_copy(file, other)
