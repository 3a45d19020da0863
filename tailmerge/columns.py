"""The fast path: lines that have their time where the lines before them had it.

Several loops for the same thing, for a line's cost is a few hundred ns and a call is 50 of
them: where there is no fraction the whole text is looked up, a short fraction with the text
behind it, a long one is computed, and one behind a lead is searched for. Each gives up at the
first line that makes the layout move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter

from tailmerge.layout import Layout, is_inner
from tailmerge.moments import SCALES

Other = Callable[[bytes, int | None], tuple[int | None, int | None, bool]]
"""Reads a line that is not at the columns, given the last time: its time, the last time
then, and whether the layout's columns still hold."""


STRANGERS = 8
"""Lines without a known time, after which a loop of its own for the others no longer pays."""


def read_run(
    layout: Layout,
    lines: Sequence[bytes],
    rest: Iterator[bytes],
    times: list[int | None],
    last: int | None,
    other: Other,
) -> int | None:
    """Take lines and add their times while the layout holds; return the last time.

    `rest` is what of `lines` has no time yet.
    """
    if layout.lead or layout.is_flexible:
        return _read_behind(layout, rest, times.append, last, other)
    if layout.cut == layout.stop:
        return _read_whole(layout, lines, rest, times, last, other)
    if layout.ends:
        return _read_short(layout, rest, times.append, last, other)
    return _read_long(layout, rest, times.append, last, other)


def _read_whole(
    layout: Layout,
    lines: Sequence[bytes],
    rest: Iterator[bytes],
    times: list[int | None],
    last: int | None,
    other: Other,
) -> int | None:
    """There is no fraction, so that many lines have the same text."""
    start, cut, end = layout.start, layout.cut, layout.end
    cut_out = itemgetter(slice(start, end))
    known: dict[bytes, int] = {}
    strangers = 0
    while strangers < STRANGERS:
        done = len(times)
        try:
            times.extend(map(known.__getitem__, map(cut_out, rest)))
        except KeyError:  # the lines before it have their times, and it was taken
            last = times[-1] if len(times) > done else last
        else:
            return times[-1] if len(times) > done else last
        line = lines[len(times)]
        base = layout.seconds.get(line[start:cut]) or layout.find_second(line[start:cut])
        if base is not None and line[cut:end] == layout.tail:
            known[line[start:end]] = last = base
            times.append(base)
            continue
        strangers += 1
        found, last, holds = other(line, last)
        times.append(found)
        if not holds:
            return last
        known.clear()  # it may be another year
    return _read_short(layout, rest, times.append, last, other)


def _read_short(
    layout: Layout,
    rest: Iterator[bytes],
    append: Callable[[int | None], None],
    last: int | None,
    other: Other,
) -> int | None:
    """The fraction has at most three digits."""
    head, end = slice(layout.start, layout.cut), slice(layout.cut, layout.end)
    known, find_second, ends = layout.seconds.get, layout.find_second, layout.ends.get
    for line in rest:
        base = known(line[head]) or find_second(line[head])
        if base is not None:
            more = ends(line[end])
            if more is not None:
                last = base + more
                append(last)
                continue
        found, last, holds = other(line, last)
        append(found)
        if not holds:
            break
    return last


def _read_long(
    layout: Layout,
    rest: Iterator[bytes],
    append: Callable[[int | None], None],
    last: int | None,
    other: Other,
) -> int | None:
    """The fraction has more digits, always as many."""
    start, cut, stop, end = layout.start, layout.cut, layout.stop, layout.end
    tail, scale = layout.tail, layout.scale
    known, find_second = layout.seconds.get, layout.find_second
    for line in rest:
        base = known(line[start:cut]) or find_second(line[start:cut])
        if base is not None and line[stop:end] == tail:
            digits = line[cut:stop]
            if digits.isdigit():
                last = base + int(digits) * scale
                append(last)
                continue
        found, last, holds = other(line, last)
        append(found)
        if not holds:
            break
    return last


def _read_behind(
    layout: Layout,
    rest: Iterator[bytes],
    append: Callable[[int | None], None],
    last: int | None,
    other: Other,
) -> int | None:
    """The time stands behind the same bytes, or its fraction has any number of digits."""
    start, cut, inside = layout.start, layout.cut, layout.inside
    lead, length, behind = layout.lead, len(layout.lead), len(layout.tail)
    known, find_second = layout.seconds.get, layout.find_second
    tail, scale = layout.tail, layout.scale
    for line in rest:
        place = line.find(lead)
        first = place + length + start
        mid = place + length + cut
        base = known(line[first:mid]) or find_second(line[first:mid])
        if base is not None and not (
            inside and line.find(b"{", inside, place) >= 0 and is_inner(line, inside, place)
        ):
            if not scale and line[mid : mid + behind] == tail:
                last = base
                append(base)
                continue
            stop = line.find(tail, mid, mid + 9 + behind)
            digits = line[mid:stop]
            if scale and stop > 0 and digits.isdigit():
                last = base + int(digits) * SCALES[stop - mid]
                append(last)
                continue
        found, last, holds = other(line, last)
        append(found)
        if not holds:
            break
    return last
