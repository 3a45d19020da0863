"""W3C extended logs: which columns have the date and the time is said by `#Fields`.

The directive can come again, with other columns, in the middle of a file. Times are UTC, as
the format has it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from tailmerge.civil import SECOND
from tailmerge.grammar import CLOCK, Shape
from tailmerge.layout import Layout

DIRECTIVE = re.compile(rb"#(Fields|Date|Software|Version|Start-Date|End-Date|Remark): *([^\r\n]*)")
DATE = rb"\"?(?P<Y>\d{4})[-/](?P<m>\d\d)[-/](?P<d>\d\d)\"?"
TIME = rb"\"?" + CLOCK
FRACTION = rb"(?P<frac>[.,]\d{1,9})?\d*\"?"
BLANK = rb"[ \t,]"
COLUMN = rb"(?:\"[^\"\n]*\"|[^ \t,\"\n]*)"


def make_layout(fields: bytes) -> Layout | None:
    """Return how lines with these fields are read; None where they have no time."""
    names = [name.strip(b'"') for name in re.split(rb"[ \t,]+", fields.strip())]
    if b"time" not in names:
        return None
    time = names.index(b"time")
    if b"date" not in names:
        pattern = _skip(time) + rb"(?P<head>" + TIME + rb")" + FRACTION + rb"(?P<tail>)"
    elif (date := names.index(b"date")) < time:
        between = BLANK + _skip(time - date - 1)
        head = rb"(?P<head>" + DATE + between + TIME + rb")"
        pattern = _skip(date) + head + FRACTION + rb"(?P<tail>)"
    else:
        between = BLANK + _skip(date - time - 1)
        tail = rb"(?P<tail>" + between + DATE + rb")"
        pattern = _skip(time) + rb"(?P<head>" + TIME + rb")" + FRACTION + tail
    shape = Shape("W3C extended log", pattern, utc=True)
    return Layout(shape, re.compile(pattern), is_anchored=True)


def find_date(text: bytes) -> int | None:
    """Return the time that `#Date` says, in ns since the epoch; None for none."""
    found = re.match(rb"(\d{4})[-/](\d\d)[-/](\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?", text)
    if found is None:
        return None
    try:
        year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
        begun = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return int(begun.timestamp()) * SECOND


def _skip(count: int) -> bytes:
    return rb"(?:" + COLUMN + BLANK + rb"){%d}" % count if count else b""
