"""What the groups of a match say: the second, and the fraction of it, of a time that was found."""

from __future__ import annotations

from datetime import datetime
from re import Match

from tailmerge.civil import DAY, Calendar, Moment
from tailmerge.grammar import MONTHS, Shape

SCALES: tuple[int, ...] = tuple(10 ** (9 - width) for width in range(10))
TAI = 2**62 + 10
"""What TAI64 labels are ahead of the epoch; later leap seconds are not taken off."""
ORDERS = {b"/": ("mdy", "dmy"), b"-": ("dmy", "mdy"), b".": ("dmy",)}
"""How a date of three numbers may be meant that ends in a year of four digits."""
SHORT_ORDERS = {b"/": ("ymd", "mdy", "dmy"), b"-": ("ymd", "dmy", "mdy"), b".": ("dmy", "ymd")}
"""The same where the year has two digits."""


def read_fraction(text: bytes | None, count: int = 0) -> int:
    """Return the ns of `.123`, `,123`, `:123` or `123`; or of a number of ns in a base."""
    if not text:
        return 0
    if count:
        return int(text, count)
    digits = text if text[:1].isdigit() else text[1:]
    return int(digits) * SCALES[len(digits)]


def read_second(found: Match[bytes], shape: Shape, calendar: Calendar) -> int:
    """Return the second of a match, since the epoch.

    Raises:
        ValueError: there is no such date.
    """
    groups = found.groupdict()
    if groups.get("E"):
        calendar.is_certain = True
        return int(groups["E"])
    if groups.get("T"):
        calendar.is_certain = True
        return int(groups["T"], 16) - TAI
    if shape.strptime:
        text = (found["head"] + found["tail"]).decode("utf-8", "replace")
        day = datetime.strptime(" ".join(text.split()), shape.strptime)
        zone = groups.get("z") or b""
        moment = Moment(day.year, day.month, day.day, _read_clock(groups), zone)
        return calendar.find_instant(moment)
    return calendar.find_instant(read_moment(groups, shape))


def read_moment(groups: dict[str, bytes | None], shape: Shape) -> Moment:
    """Return what a match's groups say.

    Raises:
        ValueError: a number is out of its range.
    """
    zone = groups.get("z") or groups.get("z2") or (b"UTC" if shape.utc else b"")
    second = _read_clock(groups)
    if groups.get("A"):
        parts = {"A": groups["A"], "B": groups["B"], "C": groups.get("C") or groups.get("Y")}
        by_name = dict(zip(shape.order, parts.values(), strict=True))
        year, month, day = (int(by_name[name] or b"") for name in "ymd")
        return Moment(_widen(year) if groups.get("C") else year, month, day, second, zone)
    year_text, short = groups.get("Y"), groups.get("y")
    known = int(year_text) if year_text else _widen(int(short)) if short else None
    if groups.get("j"):
        date = datetime.strptime(f"{known or 1970} {int(groups['j'] or b'')}", "%Y %j")
        return Moment(known or 1970, date.month, date.day, second, zone)
    name = groups.get("b")
    month = MONTHS[name[:3].lower()] if name else int(groups.get("m") or b"0")
    return Moment(known, month, int(groups.get("d") or (b"1" if month else b"0")), second, zone)


def _read_clock(groups: dict[str, bytes | None]) -> int:
    """Seconds since midnight."""
    hour, minute, second = (
        int(groups.get(name) or groups.get(name + "2") or b"0") for name in "HMS"
    )
    half = groups.get("p")
    if half:
        if not 1 <= hour <= 12:
            raise ValueError("no such hour")
        hour = hour % 12 + (12 if half[:1] in b"Pp" else 0)
    if hour * 3600 >= DAY:
        raise ValueError("no such hour")
    return hour * 3600 + minute * 60 + second


def _widen(year: int) -> int:
    """A year of two digits, as POSIX has it."""
    return year + (1900 if year >= 69 else 2000)


def choose_order(found: list[Match[bytes]], shape: Shape, calendar: Calendar) -> str:
    """Return which number of a date is the day, the month and the year, for all lines alike.

    A reading in which a line has no such date is out; of the others it is the one that is
    nearest to when the file was written.
    """
    first = found[0].groupdict()
    orders = (SHORT_ORDERS if first.get("C") else ORDERS)[first["s1"]]
    best, least = orders[0], float("inf")
    for order in orders:
        try:
            far = max(
                calendar.distance(read_moment(one.groupdict(), shape.with_order(order)))
                for one in found
            )
        except ValueError:
            continue
        if far < least:
            best, least = order, far
    return best
