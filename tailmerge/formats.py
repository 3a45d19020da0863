"""The ways to write a time that are recognised: a table of shapes.

They are put together from the parts of the grammar; the more telling ones come first. Where
two of them fit at the same place, the first one is taken.
"""

from __future__ import annotations

import functools
import re

from tailmerge.grammar import (
    BEFORE,
    BEHIND,
    CLOCK,
    CLOCK_BARE,
    CLOCK_DOTS,
    CLOCK_SHORT,
    DAY,
    DD,
    FRACTION,
    HALF,
    MM,
    MONTH,
    WEEKDAY,
    WORD,
    YEAR,
    YY,
    Shape,
    make_zone,
)

BETWEEN = rb"(?:[T_]|[ \t]{1,2}|, | at | - |\"? time=\"?|\] ?\[|[-:](?=\d\d[.:]\d\d[.:]\d\d))"
YEAR_FIRST = YEAR + rb"(?P<s1>[-/.])" + MONTH + rb"(?P=s1)" + DAY
OPEN_ORDER = rb"(?P<A>\d{1,2})(?P<s1>[-/.])(?P<B>\d{1,2})(?P=s1)" + YEAR
SHORT_YEAR = rb"(?P<A>\d\d)(?P<s1>[-/.])(?P<B>\d\d)(?P=s1)(?P<C>\d\d)"
NAMED = DAY + rb"(?P<s1>[-/ ]?)" + WORD + rb"(?P=s1)(?:" + YEAR + rb"|" + YY + rb"(?!\d))"
MONTH_FIRST = WORD + rb" {1,2}" + DAY
YEAR_BEHIND = rb"(?:,? " + YEAR + rb"(?:,| -| at)?)"
NO_FRACTION = rb"(?P<frac>(?!))?"


@functools.lru_cache(maxsize=8)
def make_shapes(names: frozenset[str]) -> tuple[Shape, ...]:
    """All shapes. `names` are the local zone's own names."""
    word = make_zone(names)
    zone = rb"(?: ?(?P<z>" + word + rb"))?"
    half_zone = rb"(?:" + HALF + rb")?" + zone
    return (
        *_list_year_first(zone, half_zone),
        *_list_words(zone, half_zone, word),
        *_list_numbers(half_zone),
        *_list_short(zone, half_zone),
    )


def _list_year_first(zone: bytes, half_zone: bytes) -> tuple[Shape, ...]:
    """The year first: ISO 8601 and its relatives."""
    return (
        _shape("ISO 8601", YEAR_FIRST + BETWEEN + CLOCK, half_zone, is_ordered=True),
        _shape("ISO 8601 with points", YEAR_FIRST + BETWEEN + CLOCK_DOTS, zone, is_ordered=True),
        _shape("ISO 8601 without seconds", YEAR_FIRST + rb"[T ]" + CLOCK_SHORT, half_zone,
               fraction=NO_FRACTION, is_ordered=True),
        _shape("ISO 8601 basic", YEAR + MM + DD + rb"(?:[T _-]|(?=\d{6}\D))" + CLOCK_BARE, zone,
               is_ordered=True),
        _shape("ISO 8601 basic date", YEAR + MM + DD + rb"[T _-]" + CLOCK, zone, is_ordered=True),
        _shape("year, month's name, day",
               YEAR + rb"(?P<s1>[-/ ])" + WORD + rb"(?P=s1)" + DAY + rb"(?:[ T]|, )" + CLOCK,
               half_zone),
        _shape("year, day of the year", YEAR + rb"-?(?P<j>[0-3]\d\d)[T ]" + CLOCK, zone),
        _shape("Chinese and Japanese dates",
               YEAR + rb"\xe5\xb9\xb4" + MONTH + rb"\xe6\x9c\x88" + DAY
               + rb"\xe6\x97\xa5 ?" + CLOCK, zone),
    )  # fmt: skip


def _list_words(zone: bytes, half_zone: bytes, word: bytes) -> tuple[Shape, ...]:
    """A month by its name."""
    return (
        _shape("day, month's name, year",
               WEEKDAY + rb"?" + NAMED + rb"(?:::?|[ T-]|, | at | - )(?:" + CLOCK + rb")",
               half_zone),
        _shape("day, month's name, year, with points",
               NAMED + rb"[ :-]" + CLOCK_DOTS,
               half_zone),
        _shape("month's name, day, year",
               WEEKDAY + rb"?" + MONTH_FIRST + YEAR_BEHIND + rb" " + CLOCK, half_zone),
        _shape("month's name, day, year, joined",
               WORD + rb"(?P<s1>[-/])" + DAY + rb"(?P=s1)" + YEAR + rb"(?: |:|, )" + CLOCK,
               half_zone),
        _shape("ctime", WEEKDAY + rb"?" + MONTH_FIRST + rb" " + CLOCK,
               rb"(?: (?P<p>[AaPp][Mm]))?(?: (?P<z>" + word + rb"|[A-Z]{3,5}))? " + YEAR
               + rb"(?: (?P<z2>" + word + rb"))?"),
        _shape("syslog (RFC 3164)", WEEKDAY + rb"?" + MONTH_FIRST + rb" " + CLOCK, zone),
        _shape("day and month's name", WEEKDAY + rb"?" + DAY + rb"[ -]" + WORD + rb" " + CLOCK,
               zone),
    )  # fmt: skip


def _list_numbers(half_zone: bytes) -> tuple[Shape, ...]:
    """Numbers whose order is open."""
    return (
        _shape("day and month as numbers, year", OPEN_ORDER + rb"(?:[T:-]| {1,2}|, | - )" + CLOCK,
               half_zone),
        _shape("day and month as numbers, year, without seconds",
               OPEN_ORDER + rb"(?: {1,2}|, )" + CLOCK_SHORT, half_zone,
               fraction=rb"(?P<frac>(?!))?"),
        _shape("year of two digits", SHORT_YEAR + rb"(?:[T:-]| {1,2}|, )" + CLOCK, half_zone),
    )  # fmt: skip


def _list_short(zone: bytes, half_zone: bytes) -> tuple[Shape, ...]:
    """Short ones, which count only at the start of a line."""
    return (
        _shape("glog and klog", rb"[IWEFDV](?:" + YEAR + rb"|" + YY + rb")?" + MM + DD + rb" "
               + CLOCK, is_short=True),
        _shape("month and day as numbers", MM + rb"[-/.]" + DD + rb"(?: {1,2}|-)" + CLOCK, zone,
               is_vague=True),
        _shape("yymmdd", YY + MM + DD + rb" {1,2}(?:" + CLOCK_BARE + rb"|" + _again(CLOCK) + rb")",
               is_vague=True),
        _shape("seconds since the epoch", rb"(?P<E>[1-4]\d{9})",
               behind=rb"(?![0-9A-Za-z_]|[-/.]\d)",
               fraction=rb"(?P<frac>[.,]\d{1,9}|\d{3}|\d{6}|\d{9})?", is_ordered=True,
               is_vague=True),
        _shape("TAI64N", rb"@(?P<T>4[0-9a-f]{15})", fraction=rb"(?P<frac>[0-9a-f]{8})",
               is_vague=True, count=16),
        _shape("time of day", CLOCK, half_zone, fraction=rb"(?P<frac>[.,]\d{1,9})\d*",
               is_vague=True),
        _shape("time of day", CLOCK, half_zone, is_vague=True),
    )  # fmt: skip


def _shape(
    name: str,
    head: bytes,
    tail: bytes = b"",
    *,
    fraction: bytes = FRACTION,
    behind: bytes = BEHIND,
    is_short: bool = False,
    is_vague: bool = False,
    is_ordered: bool = False,
    count: int = 0,
) -> Shape:
    pattern = BEFORE + rb"(?P<head>" + head + rb")" + fraction + rb"(?P<tail>" + tail + rb")"
    return Shape(name, pattern + behind, is_short, is_vague, is_ordered, count)


def _again(pattern: bytes) -> bytes:
    """A second way to write the same in one pattern: its groups need names of their own."""
    return re.sub(rb"\?P<(\w)>", rb"?P<\g<1>2>", pattern)
