"""Lines of several inputs, each in order already, become one list in order; pure.

The sort that Python has finds the runs that are in order and merges them, so all parts are
put behind each other and sorted by the numbers of their lines. One call for all of them would
keep other threads from running, so many lines are cut into ranges of keys first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

Part = tuple[list[Any], list[bytes]]
"""The keys of lines, none less than the one before, and the lines."""

LONG = 12_000
"""Lines that are sorted in one call: about a millisecond."""


def weave(parts: Sequence[Part]) -> list[bytes]:
    """The lines of all parts by their keys; equal ones in the order of the parts."""
    texts: list[bytes] = []
    for some in _cut([part for part in parts if part[0]]):
        texts += _sort(some) if len(some) > 1 else some[0][1]
    return texts


def _sort(parts: Sequence[Part]) -> list[bytes]:
    keys: list[Any] = []
    texts: list[bytes] = []
    for some, those in parts:
        keys += some
        texts += those
    return [texts[index] for index in sorted(range(len(keys)), key=keys.__getitem__)]


def _cut(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """The parts cut at the same keys, so that what is behind a cut is behind all before it."""
    count = sum(len(keys) for keys, _ in parts)
    if count <= LONG:
        if parts:
            yield list(parts)
        return
    longest = max((keys for keys, _ in parts), key=len)
    step = max(1, len(longest) * LONG // count)
    begins = [0] * len(parts)
    for index in range(step, len(longest), step):
        ends = [
            bisect_right(keys, longest[index], begin)
            for (keys, _), begin in zip(parts, begins, strict=True)
        ]
        yield from _pick(parts, begins, ends)
        begins = ends
    yield from _pick(parts, begins, [len(keys) for keys, _ in parts])


def _pick(parts: Sequence[Part], begins: list[int], ends: list[int]) -> Iterator[list[Part]]:
    picked = [
        (keys[begin:end], texts[begin:end])
        for (keys, texts), begin, end in zip(parts, begins, ends, strict=True)
        if begin < end
    ]
    if picked:
        yield picked
