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

from collections.abc import Callable, Container, Sequence
from typing import Generic, NamedTuple, TypeVar

from tailmerge.position import HEAD, Position
from tailmerge.system import Identity


class Seen(NamedTuple):
    """A file as a look found it."""

    path: str
    identity: Identity
    size: int
    modified: float
    live: bool
    """It has the input's own name; all others are rotated forms."""
    compressed: bool = False
    quiet: bool = False
    """It came up with the live file, not beside one that was known, and has not grown for
    so long that it is no copy in the making."""
    apart: bool = False
    """In another folder than the input's own."""
    log: str = ""
    """Where the input's name is a link: the log that it leads to, or led, of which this is a
    rotated form."""


P = TypeVar("P")


class Matching(NamedTuple, Generic[P]):
    """What a look made of the files."""

    pairs: list[tuple[P, Seen]]
    """Goes on at its position."""
    copies: list[tuple[Seen, Seen]]
    """A copy, not read while its original stands, and that original."""
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
    # What was not read yet fits anything: it takes what no other position is for.
    begun = [pair for pair in positions if pair[1].offset]
    for group in (begun, [pair for pair in positions if not pair[1].offset]):
        waiting: list[tuple[P, Position]] = []
        for owner, position in group:
            same = [f for f in left if not f.live and f.identity == position.identity]
            if same and fits(position, same[0]):
                pairs.append((owner, same[0]))
                left.remove(same[0])
            else:
                waiting.append((owner, position))
        for owner, position in waiting:
            fitting = [f for f in left if fits(position, f)]
            if position.offset == 0:  # what is somebody's copy is not its file
                fitting = [f for f in fitting if not _find_original(f, standing, is_copy)]
            if not fitting:
                gone.append(owner)
                continue
            chosen = _choose(fitting, is_copy)
            pairs.append((owner, chosen))
            left.remove(chosen)
    matched = [file for _, file in pairs]
    copies: list[tuple[Seen, Seen]] = []
    new: list[Seen] = []
    for file in left:
        others = [*standing, *(f for f in left if f.live or not f.compressed)]
        others = [other for other in others if not _holds_a_header(file, other)]
        if original := _find_original(file, [*matched, *others], is_copy):
            copies.append((file, original))
        else:
            new.append(file)
    return Matching(pairs, copies, new, gone)


def _holds_a_header(file: Seen, live: Seen) -> bool:
    """Whether a file is like a copy of a live one, and yet a generation of its own.

    Nothing was written to it but the few bytes that all generations begin with. A copy in
    the making is either cut off from its original at once, or goes on growing.
    """
    return live.live and file.quiet and file.size <= min(HEAD, live.size - 1)


def _find_original(
    file: Seen, others: Sequence[Seen], is_copy: Callable[[Seen, Seen], bool]
) -> Seen | None:
    return next((other for other in others if _is_copy(file, other, is_copy)), None)


def _choose(fitting: list[Seen], is_copy: Callable[[Seen, Seen], bool]) -> Seen:
    """The oldest file that is not merely a copy of another one that fits."""
    for file in fitting:
        if not _find_original(file, fitting, is_copy):
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


def leave_strangers(
    new: Sequence[Seen],
    rotated: Sequence[Seen],
    known: Container[Identity],
    gone: Container[str],
    since: float,
) -> list[Seen]:
    """Without what stood where an input's name leads before it led there.

    What rotated from a log is the input's from the oldest file on that is `known` there, or
    where one that was is `gone`; of a log that it leads to only now, what was written to
    `since` it was seen to lead elsewhere, seconds since the epoch. `rotated` are all, oldest
    first.
    """
    begun = {file.log for file in rotated if file.log in gone}
    strangers = set()
    for file in rotated:
        if file.identity in known:
            begun.add(file.log)
        elif file.log and file.log not in begun and file.modified < since:
            strangers.add(file.identity)
    return [file for file in new if file.live or file.identity not in strangers]
