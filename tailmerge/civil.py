"""From a date and a time of day to the instant; pure but for the local zone's rules.

It knows what text alone does not say: the local zone with its daylight saving, the year of
dates without one, the day of times without a date. Where there are two answers the order
within the file decides, for time goes forward in a file: `Calendar.last` is the time of the
line before, in ns since the epoch, and is set by the caller.

Dates before 1970 and after 2100 are no different from others. A second 60 is the one that
follows second 59.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime

SECOND = 1_000_000_000
"""Nanoseconds."""
DAY = 86_400
"""Seconds."""
EPOCH_DAY = date(1970, 1, 1).toordinal()

JITTER = 60
"""Seconds by which a line may lie before the one above it without the clock having been set
back: threads that overtake each other."""

DAYS_KEPT = 100
"""Days of which it is remembered which local offsets are near."""

NEW_YEAR = 7 * DAY
"""Seconds: a date without a year that steps back by more belongs to the next year."""

NAMED_ZONES = {
    **{b"Z": 0, b"z": 0, b"UTC": 0, b"GMT": 0, b"WET": 0, b"WEST": 60, b"CET": 60, b"CEST": 120},
    **{b"EET": 120, b"EEST": 180, b"MSK": 180, b"JST": 540, b"KST": 540},
    **{b"EST": -300, b"EDT": -240, b"MDT": -360, b"PST": -480, b"PDT": -420},
    **{b"AKST": -540, b"AKDT": -480, b"HST": -600},
    **{b"AWST": 480, b"ACST": 570, b"ACDT": 630, b"AEST": 600, b"AEDT": 660},
    **{b"NZST": 720, b"NZDT": 780},
}
"""Minutes east of Greenwich of the names that mean one zone. BST, CST, IST and others mean
several: they count only where they are the local zone's own, and as no zone elsewhere."""

GREENWICH = (b"Z", b"z", b"UTC", b"GMT")

OFFSET = re.compile(rb"(?:UTC|GMT)?([+-])(\d{1,2}):?(\d\d)?(?::?(\d\d))?")


@dataclass(frozen=True, slots=True)
class Moment:
    """A date and a time of day, as they stand in a line, without the fraction of a second."""

    year: int | None
    """None where the line has none."""
    month: int
    """0 where the line has no date at all."""
    day: int
    second: int
    """Seconds since midnight."""
    zone: bytes = b""
    """An offset or a name; empty where the line has none."""


class Calendar:
    """Turns the moments of one file into instants.

    `modified` is when the file was last written to, in seconds since the epoch: a line of
    it is hardly later. Where it is not known, `now()` stands for it.
    """

    def __init__(
        self, *, utc: bool, now: Callable[[], float], modified: float | None = None
    ) -> None:
        self.last: int | None = None
        """The time of the line before, in ns since the epoch."""
        self.is_certain = True
        """Whether the last answer depends on nothing but the text: it may be kept."""
        self.is_steady = True
        """Whether the offset is the same within the hour of the last answer."""
        self.is_brief = False
        """Whether the last answer may be kept only until another hour begins."""
        self.year = 0
        """The year that the last date without one was in; kept answers hold for one year."""
        self._utc = utc
        self._now = now
        self._modified = modified
        self._offsets: dict[int, int | None] = {}
        self._zones: dict[bytes, int | None] = {}
        self._near: dict[int, frozenset[int]] = {}

    @property
    def reference(self) -> float:
        """When the file was last written to, as far as known, in seconds since the epoch."""
        return self._now() if self._modified is None else self._modified

    def find_instant(self, moment: Moment) -> int:
        """Return seconds since the epoch.

        Raises:
            ValueError: there is no such date.
        """
        self.is_certain = self.is_steady = True
        self.is_brief = False
        if not moment.month:
            return self._find_day(moment)
        if moment.year is None:
            return self._find_year(moment)
        return self._convert(date(moment.year, moment.month, moment.day).toordinal(), moment)

    def distance(self, moment: Moment) -> float:
        """Return how far a moment is from when the file was written, in seconds.

        A moment that comes later than that is farther than any before it.

        Raises:
            ValueError: there is no such date.
        """
        assert moment.year is not None
        day = date(moment.year, moment.month, moment.day).toordinal() - EPOCH_DAY
        before = self.reference + DAY - (day * DAY + moment.second)
        return before if before >= 0 else 1e12 - before

    def find_zone(self, text: bytes) -> int | None:
        """Return the seconds east of Greenwich that a zone's text names, None for no such."""
        if text not in self._zones:
            self._zones[text] = _read_zone(text)
        return self._zones[text]

    def has_steady_zone(self, around: Iterable[float]) -> bool:
        """Whether times without a zone have one offset: no daylight saving, no change."""
        if self._utc:
            return True
        days = {int(second // DAY) for second in around}
        return len(frozenset().union(*map(self._find_offsets_near, days))) == 1

    def _find_offsets_near(self, day: int) -> frozenset[int]:
        """The local offsets within about a year of a day; asked for with each block of lines."""
        offsets = self._near.get(day)
        if offsets is None:
            if len(self._near) >= DAYS_KEPT:
                self._near.clear()
            offsets = self._near[day] = frozenset(
                time.localtime((day + step * 30) * DAY).tm_gmtoff for step in range(-13, 14)
            )
        return offsets

    def _convert(self, ordinal: int, moment: Moment) -> int:
        """The instant of a moment on a day, by its own zone or the local one."""
        civil = (ordinal - EPOCH_DAY) * DAY + moment.second
        if moment.zone:
            local = self._find_local_name(ordinal, moment)
            if local is not None:
                return local
            offset = self.find_zone(moment.zone)
            if offset is not None:
                return civil - offset
        return civil if self._utc else self._find_local(ordinal, moment.second)

    def _find_local_name(self, ordinal: int, moment: Moment) -> int | None:
        """The instant where the local zone itself has this name; it decides a fold, too."""
        name = moment.zone.decode("ascii", "replace")
        if moment.zone in GREENWICH or name not in time.tzname:
            return None
        for fold in (0, 1):
            instant = _to_local(ordinal, moment.second, fold)
            if time.localtime(instant).tm_zone == name:
                return instant
        return None

    def _find_local(self, ordinal: int, second: int) -> int:
        if ordinal not in self._offsets:
            self._offsets[ordinal] = _find_offset(ordinal)
        offset = self._offsets[ordinal]
        if offset is not None:
            return (ordinal - EPOCH_DAY) * DAY + second - offset
        self.is_steady = False
        first, again = _to_local(ordinal, second, 0), _to_local(ordinal, second, 1)
        if again <= first:
            return first
        self.is_certain = False  # this time comes twice
        if self.last is not None and self.last // SECOND - JITTER > first:
            return again
        return first

    def _find_year(self, moment: Moment) -> int:
        """The instant of a date without a year: not long after the line before."""
        if self.last is None:
            year = time.gmtime(self.reference + DAY).tm_year
            return self._find_latest(moment, year, self.reference + DAY)
        year = self.year or time.gmtime(self.last // SECOND).tm_year
        instant = self._try_year(moment, year)
        last = self.last // SECOND
        if instant is None or instant < last - NEW_YEAR:
            later = self._try_year(moment, year + 1)
            if later is not None and later <= max(self._now(), self.reference) + DAY:
                return self._set_year(year + 1, later)
        elif instant > last + 365 * DAY - NEW_YEAR:
            earlier = self._try_year(moment, year - 1)
            if earlier is not None:  # a straggler of the old year; the new one goes on
                return self._set_year(year - 1, earlier)
        if instant is None:
            return self._find_latest(moment, year, last + DAY)
        return self._set_year(year, instant)

    def _find_latest(self, moment: Moment, year: int, limit: float) -> int:
        """The instant in the latest year in which it is not after `limit`."""
        for candidate in range(year, year - 9, -1):  # the 29th of February of 1900
            instant = self._try_year(moment, candidate)
            if instant is not None and instant <= limit:
                return self._set_year(candidate, instant)
        raise ValueError("no such day in any year")

    def _try_year(self, moment: Moment, year: int) -> int | None:
        try:
            ordinal = date(year, moment.month, moment.day).toordinal()
        except ValueError:
            return None
        return self._convert(ordinal, moment)

    def _set_year(self, year: int, instant: int) -> int:
        self.year = year
        return instant

    def _find_day(self, moment: Moment) -> int:
        """The instant of a time without a date: on the day of the line before, or the next."""
        self.is_brief = True
        if self.last is None:
            limit = self.reference + JITTER
            ordinal = date.fromtimestamp(limit).toordinal()
            instant = self._convert(ordinal, moment)
            return instant if instant <= limit else self._convert(ordinal - 1, moment)
        last = self.last // SECOND
        here = time.gmtime(last) if self._utc or moment.zone in GREENWICH else time.localtime(last)
        ordinal = date(here.tm_year, here.tm_mon, here.tm_mday).toordinal()
        instant = self._convert(ordinal, moment)
        if instant < last - DAY // 2:
            return self._convert(ordinal + 1, moment)
        return instant if instant <= last + DAY // 2 else self._convert(ordinal - 1, moment)


def _to_local(ordinal: int, second: int, fold: int) -> int:
    """Seconds since the epoch of a local time; a leap second is the one after 59."""
    whole = min(second, DAY - 1)
    day = date.fromordinal(ordinal)
    local = datetime(
        day.year,
        day.month,
        day.day,
        whole // 3600,
        whole // 60 % 60,
        whole % 60,
        fold=fold,
    )
    return int(local.timestamp()) + second - whole


def _find_offset(ordinal: int) -> int | None:
    """The local offset of a whole day, seconds east; None where it changes within it."""
    begin = time.localtime(_to_local(ordinal, 0, 0)).tm_gmtoff
    end = time.localtime(_to_local(ordinal + 1, 0, 0)).tm_gmtoff
    if begin != end or _to_local(ordinal, 0, 0) != _to_local(ordinal, 0, 1):
        return None
    return begin


def _read_zone(text: bytes) -> int | None:
    if text in NAMED_ZONES:
        return NAMED_ZONES[text] * 60
    found = OFFSET.fullmatch(text)
    if found is None:
        return None
    sign, hours, minutes, seconds = found.groups()
    offset = int(hours) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return -offset if sign == b"-" else offset
