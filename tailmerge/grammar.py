"""What a time looks like: a grammar of dates, times of day, fractions and zones.

A `Shape` is one way to write a time, as a regular expression of three parts: `head` (what
names the second), `frac` (its fraction, with the sign before it) and `tail` (what else
belongs to it: AM or PM, a zone, the year of ctime). Two lines with the same head and tail
are of the same second, which is what makes reading them fast.

Numbers have the ranges of a calendar, and the text before and behind is no part of a longer
word or number, so that addresses, versions, identifiers and paths are no times.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from tailmerge.civil import NAMED_ZONES

MONTHS = {
    name: number
    for number, name in enumerate(
        b"jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1
    )
}

YEAR = rb"(?P<Y>(?:19|20)\d\d)"
YY = rb"(?P<y>\d\d)"
MONTH = rb"(?P<m>1[0-2]|0?[1-9])"
MM = rb"(?P<m>1[0-2]|0[1-9])"
DAY = rb"(?P<d>3[01]|[12]\d|[0 ]?[1-9])"
DD = rb"(?P<d>3[01]|[12]\d|0[1-9])"
WORD = (
    rb"(?P<b>(?:[Jj]an|[Ff]eb|[Mm]ar|[Aa]pr|[Mm]ay|[Jj]un|[Jj]ul|[Aa]ug|[Ss]ep|[Oo]ct|[Nn]ov|[Dd]ec"
    rb"|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)(?:[a-z]{1,6}\b)?)\.?"
)
WEEKDAY = rb"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?:[a-z]{3,6})?[,.]? {1,2})"
CLOCK = rb"(?P<H>2[0-3]|[01]\d|[ ]?\d):(?P<M>[0-5]\d):(?P<S>60|[0-5]\d)"
CLOCK_DOTS = rb"(?P<H>2[0-3]|[01]\d)\.(?P<M>[0-5]\d)\.(?P<S>60|[0-5]\d)"
CLOCK_SHORT = rb"(?P<H>2[0-3]|[01]?\d):(?P<M>[0-5]\d)(?![:\d])"
CLOCK_BARE = rb"(?P<H>2[0-3]|[01]\d)(?P<M>[0-5]\d)(?P<S>60|[0-5]\d)"
FRACTION = rb"(?P<frac>\.\d{1,9}|,\d{3}(?:\d{3}){0,2}(?!\d)|:\d{3}(?!\d))?(?:(?<=\.\d{9})\d+)?"
HALF = rb"(?:[ \xa0]|\xe2\x80\xaf)?(?P<p>[AaPp]\.?[Mm]\b\.?)"
OFFSET = (
    rb"(?:UTC|GMT)?[+-](?:1[0-4]|0\d):?[0-5]\d(?::[0-5]\d)?|(?<=[\d])[+-](?:1[0-4]|0\d)(?![\d:])"
)

BEFORE = rb"(?<![0-9A-Za-z_./\\])(?<![0-9A-Za-z]-)"
BEHIND = rb"(?![0-9A-Za-z_]|[-/.:]\d)"


@dataclass(frozen=True, slots=True)
class Shape:
    """One way to write a time."""

    name: str
    """For people."""
    pattern: bytes
    """With the groups head, frac and tail, and in them Y y m d b H M S p z and the like."""
    is_short: bool = False
    """So short that it counts only at the start of a line."""
    is_vague: bool = False
    """Numbers that may be something else: it counts only where nothing better was found."""
    is_ordered: bool = False
    """Raw bytes sort as the times do, where all are of one width and one zone."""
    count: int = 0
    """`frac` is a number of ns in this base, not the digits of a fraction; 0 where it is."""
    order: str = ""
    """Which of the groups A, B, C is which, where the shape leaves it open: `mdy`."""
    strptime: str = ""
    """The format by which strptime finds the date, where the groups do not say it."""
    utc: bool = False
    """A time without a zone is UTC, whatever the user's zone is."""

    def with_order(self, order: str) -> Shape:
        return dataclasses.replace(self, order=order)


def make_zone(names: frozenset[str]) -> bytes:
    """A zone behind a time: an offset, or a name that means one zone or is a local one."""
    known = {*NAMED_ZONES, *(name.encode() for name in names if name.isalpha())}
    words = b"|".join(sorted(known, reverse=True))  # a longer one before its beginning
    return rb"(?:" + OFFSET + rb"|(?:" + words + rb")(?![0-9A-Za-z_]))"


MARK = (
    rb"(?>"  # what was taken is not given back, or a line of dashes would take for ever
    rb"<\d{1,3}>(?:\d{1,2} )?"  # syslog's priority
    rb"|[\w.@/-]+ *\| ?"  # a container's name
    rb"|\[[A-Z](?= \d)"  # a level and the time in brackets
    rb"|\[[^\]\[\n]{0,60}\][:,]?"  # anything in brackets
    rb"|(?i:trace|debug|verbose|info(?:rmation)?|notice|warn(?:ing)?|err(?:or)?|crit(?:ical)?"
    rb"|alert|emerg|fatal|severe|panic|fine[rs]?t?|config|log|audit)\b[\]:,|-]?"
    rb"|\d{1,10}[:,;|]?(?:[A-Z]\b)?"  # a count, a process, redis' role
    rb"|[A-Z][,:|]?(?=[ \[])"
    rb"|(?i:date|time|timestamp|ts)(?:[:=]| [:=] )"
    rb"|=[A-Z ]{3,30}=+"  # Erlang
    rb"|(?:node=\S{1,60} )?type=\S{1,40} msg=audit\("
    rb"|(?:https?|h2|grpcs?|wss?|tls)"  # a load balancer's first column
    rb"|[*#%!=+>~;-]{1,5}"
    rb")"
)
PREFIX = rb"[ \t]*(?:" + MARK + rb"[ \t]*){0,4}?[\[({<\"'`|]{0,2}"
"""What may stand before the time where it is at the start of its line."""

ANSI = re.compile(rb"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\))")
"""Colours and other control sequences of a terminal."""
RELATIVE = re.compile(rb"(?:<\d{1,3}>)?\[ {0,12}\d{1,9}\.\d{3,9}\]")
"""Seconds since the machine was started."""
