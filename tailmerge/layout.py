"""How one format stands in one file, and how it is read fast.

A `Layout` is a shape with what stands before it. It learns from the lines that it reads:
where all have their time at the same column, or behind the same few bytes, a line costs two
slices and a look into a dict, which holds the seconds seen lately. A line that is different
is read by the regular expression, which is what decides.
"""

from __future__ import annotations

import re
from re import Match, Pattern

from tailmerge.civil import SECOND, Calendar
from tailmerge.grammar import Shape
from tailmerge.moments import SCALES, read_fraction, read_second

KEPT = 5_000
"""Seconds (or fractions) that a layout keeps in mind before it begins anew."""
MOVES = 8
"""How often the place of the time may change before it counts as one that has none."""
STARTS = 6
"""Columns at which a time is looked for, where nothing before it tells."""
STEADY = 32
"""Lines (with another second each) after which earlier changes are forgiven."""
RETRY = 5_000
"""Lines after which a place is looked for again."""

ZEROS = bytes(48 if 48 <= code < 58 else code for code in range(256))
"""All digits become 0: lines of one layout become equal."""


class Layout:
    """One format of one file.

    Where `is_fixed`, lines have it at these columns, counted from the line's beginning
    or, where there is a `lead`, from behind its first occurrence: from `start` to `cut` the
    text that names the second, with the sign before the fraction; to `stop` the fraction's
    digits; to `end` the `tail`, the same in all of these lines. Where `is_flexible` the
    fraction has as many digits as it happens to need.
    """

    def __init__(
        self,
        shape: Shape,
        pattern: Pattern[bytes],
        *,
        is_anchored: bool,
        lead: bytes = b"",
        limit: int = 1 << 30,
        opening: Pattern[bytes] | None = None,
    ) -> None:
        self.shape = shape
        self.is_anchored = is_anchored
        self.lead = lead
        self.opening = opening
        """How an object of JSON begins; None for other lines."""
        self.inside = 0
        """Where an object's first field begins: from there to the lead no other one opens."""
        self.is_fixed = False
        self.is_flexible = False
        self.start = self.cut = self.stop = self.end = 0
        self.tail = b""
        self.starts: list[int] = []
        """Other columns than `start` (the first of them) at which the same was seen."""
        self.template = b""
        """The text that names the second, with 0 for all digits."""
        self.is_uniform = True
        """It has been the same for all lines."""
        self.is_halved = False
        """The tail has AM or PM."""
        self.has_zone = False
        """The tail ends in a zone."""
        self.scale = 0
        """What one unit of the fraction is, in ns; 0 where there is no fraction."""
        self.seconds: dict[bytes, int] = {}
        """From the text between `start` and `cut` to ns."""
        self.ends: dict[bytes, int] = {}
        """From the text between `cut` and `end` to ns, where the fraction is short."""
        self.moves = 0
        """How often the columns have changed."""
        self._hours: dict[bytes, int] = {}
        self._minute = -1
        self._span = 0
        self._sign = b""
        self._restless = 0
        self._steady = 0
        self.reach = limit
        """A time that begins farther on does not count."""
        self._pattern = pattern
        self._find = pattern.match if is_anchored else pattern.search
        self._limit = limit
        self._known: dict[tuple[bytes, bytes], int] = {}
        self._year = 0

    def find(self, line: bytes) -> Match[bytes] | None:
        """Find the time by the expression."""
        if self.opening is None:
            return self._find(line, 0, self._limit)
        opened = self.opening.match(line)
        if opened is None:
            return None
        begin = opened.end()
        for found in self._pattern.finditer(line, begin, self._limit):
            inner = line.count(b"{", begin, found.start())
            if inner == line.count(b"}", begin, found.start()):
                return found
        return None

    def read(self, line: bytes, calendar: Calendar, raw: bytes | None = None) -> int | None:
        """Return the time in ns by the expression; None where the line has none of this kind.

        `raw` is the line with its control sequences, where `line` is without them.
        """
        found = self.find(line)
        if found is None or found.start("head") > self.reach:
            return None
        head, fraction, tail = found.group("head", "frac", "tail")
        base = self._known.get((head, tail))
        if base is None:
            try:
                base = read_second(found, self.shape, calendar) * SECOND
            except (ValueError, OverflowError):
                return None
            if not calendar.is_certain:
                return base + read_fraction(fraction, self.shape.count)
            self._keep(head, tail, base, calendar)
            self._learn(found, line, raw, base)
            if calendar.is_steady:
                self._keep_hour(found, base)
        else:
            self._learn(found, line, raw, base)
        return base + read_fraction(fraction, self.shape.count)

    def forget(self) -> None:
        """Keep nothing in mind: what the texts mean has changed."""
        self._known.clear()
        self._hours.clear()
        self.seconds.clear()

    def _keep(self, head: bytes, tail: bytes, base: int, calendar: Calendar) -> None:
        if calendar.year != self._year or calendar.is_brief or len(self._known) >= KEPT:
            self.forget()
            self._year = calendar.year
        self._known[head, tail] = base

    def _learn(self, found: Match[bytes], line: bytes, raw: bytes | None, base: int) -> None:
        """Take the columns from a line, and keep its second for the lines like it."""
        if self.shape.count or not self._may_settle():
            return
        columns = _find_columns(found)
        if raw is not None:
            text = line[columns[0] : columns[2]]
            moved = raw.find(text) - columns[0]
            if moved < -columns[0] or not raw.startswith(found["tail"], columns[2] + moved):
                self._restless = MOVES  # control sequences within the time
                return
            columns, line = tuple(column + moved for column in columns), raw
        if self.opening is not None:
            self.inside = line.index(b"{") + 1
        origin = line.find(self.lead) + len(self.lead) if self.lead else 0
        start, cut, stop, end = (column - origin for column in columns)
        tail = line[columns[2] : columns[3]]
        shift = start - self.start
        if len(self.seconds) >= KEPT:
            self.seconds.clear()
        template = line[columns[0] : columns[1]].translate(ZEROS)
        self.is_uniform = self.is_uniform and template == (self.template or template)
        self.template = template
        if not self.is_fixed or (cut - shift, tail) != (self.cut, self.tail):
            self._settle(found, (start, cut, stop, end), tail)
        elif stop - shift != self.stop and not self.is_flexible:
            self.is_flexible = cut < stop and self.cut < self.stop and tail.strip() != b""
            self._settle(found, (start, cut, stop, end), tail)
        elif start not in self.starts:
            self._move(found, line, columns, origin)
        self.seconds[line[columns[0] : columns[1]]] = base

    def _may_settle(self) -> bool:
        """Whether columns are worth it: not where they change all the time.

        They were worth it after lines without a change; else it is tried again later.
        """
        self._steady += 1
        if self._steady >= (STEADY if self.is_fixed else RETRY):
            self._restless = self._steady = 0
        return self._restless < MOVES

    def _move(
        self, found: Match[bytes], line: bytes, columns: tuple[int, ...], origin: int
    ) -> None:
        """The same at another column: behind the same bytes, or it is one more column."""
        lead = b"" if self.lead else find_lead(line, columns[0])
        if not lead and not self.lead and len(self.starts) < STARTS:
            self.starts.append(columns[0] - origin)
            return
        if lead:
            self.lead, origin = lead, columns[0]
        start, cut, stop, end = (column - origin for column in columns)
        self._settle(found, (start, cut, stop, end), self.tail)

    def read_known(self, line: bytes) -> int | None:
        """Return the time in ns where it stands at columns that were seen before."""
        width = self.cut - self.start
        behind = line.find(self.lead) + len(self.lead) + self.start
        places = [behind] if self.lead else self.starts
        for start in places:
            cut = start + width
            head = line[start:cut]
            base = self.seconds.get(head)
            if base is None:
                base = self.find_second(head)
            if base is None:
                continue
            stop = cut + self.stop - self.cut
            fraction = line[cut:stop]
            if line.startswith(self.tail, stop) and (stop == cut or fraction.isdigit()):
                inner = self.inside and is_inner(line, self.inside, start - len(self.lead))
                return None if inner else base + int(fraction or b"0") * self.scale
        return None

    def find_second(self, head: bytes) -> int | None:
        """Return the ns of a second in an hour that was seen before; it is kept in mind."""
        at = self._minute
        if at < 0:
            return None
        hour = self._hours.get(head[:at])
        more = MINUTES.get(head[at : at + self._span])
        if hour is None or more is None or head[at + self._span :] != self._sign:
            return None
        if len(self.seconds) >= KEPT:
            self.seconds.clear()
        base = hour + more
        self.seconds[head] = base
        return base

    def _keep_hour(self, found: Match[bytes], base: int) -> None:
        """Keep the hour of a match, where minute and second stand together in its head."""
        groups = found.groupdict()
        start, cut = _find_columns(found)[:2]
        self._minute = -1
        if not groups.get("M") or not groups.get("S"):
            return
        minute, second = found.start("M") - start, found.end("S") - start
        text = found.string[start + minute : start + second]
        more = MINUTES.get(text)
        if more is None or second > cut - start:
            return
        self._minute, self._span = minute, second - minute
        self._sign = found.string[start + second : cut]
        if len(self._hours) >= KEPT:
            self._hours.clear()
        self._hours[found.string[start : start + minute]] = base - more

    def _settle(self, found: Match[bytes], columns: tuple[int, int, int, int], tail: bytes) -> None:
        """The columns are these from now on."""
        self.moves += self.is_fixed
        self._restless += self.is_fixed
        self._steady = 0
        self.is_fixed = self._restless < MOVES
        self.start, self.cut, self.stop, self.end = columns
        self.tail, self.starts = tail, [self.start]
        groups = found.groupdict()
        self.has_zone = bool(groups.get("z") or groups.get("E"))
        self.is_halved = bool(groups.get("p"))
        self.seconds.clear()
        self._hours.clear()
        width = self.stop - self.cut
        self.scale = SCALES[width] if width else 0
        if not width:
            self.ends = {self.tail: 0}
        elif width <= 3 and self.is_fixed:
            counted = range(10**width)
            self.ends = {b"%0*d%s" % (width, n, self.tail): n * self.scale for n in counted}
        else:
            self.ends = {}


def find_lead(line: bytes, start: int) -> bytes:
    """Return the few bytes before a time that are nowhere before them; empty for none."""
    for length in (1, 2, 3):
        lead = line[max(0, start - length) : start]
        if lead and not lead[-1:].isalnum() and line.find(lead) + len(lead) == start:
            return lead
    return b""


def is_inner(line: bytes, begin: int, end: int) -> bool:
    """Whether what begins at `end` is in an object within the object."""
    opened = line.count(b"{", begin, end)
    return bool(opened) and opened != line.count(b"}", begin, end)


MINUTES = {
    b"%02d%s%02d" % (minute, sign, second): (minute * 60 + second) * SECOND
    for sign in (b":", b".", b"")
    for minute in range(60)
    for second in range(60)
}
"""From minute and second to ns."""


def _find_columns(found: Match[bytes]) -> tuple[int, ...]:
    """The columns of a match: start, cut, stop and end."""
    start, cut = found.span("head")
    fraction = found["frac"]
    stop = cut
    if fraction:
        stop = found.end("frac")
        cut += not fraction[:1].isdigit()
    return start, cut, stop, max(found.end("tail"), stop + 1)


def compile_shape(shape: Shape, before: bytes = b"") -> Pattern[bytes]:
    return re.compile(before + shape.pattern)
