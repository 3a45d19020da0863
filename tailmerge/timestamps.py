"""The time of a line: a clock for each input recognises the format and reads it fast.

Pure: bytes in, ns since the epoch out. A line without a time has None; to which record it
belongs is for the caller to say, and so is what happens where time steps back.

The format is found out on the first line that has a time and kept for the lines like it
(`layout`); a line that does not fit is looked at anew (`recognise`), so a file may mix
formats. Once times stand at the start of lines, a time farther on in another line is part
of its message.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Hashable, Iterator, Sequence

from tailmerge import fields, recognise
from tailmerge.civil import SECOND, Calendar
from tailmerge.columns import read_run
from tailmerge.grammar import ANSI, RELATIVE
from tailmerge.layout import ZEROS, Layout, compile_shape
from tailmerge.moments import choose_order
from tailmerge.recognise import FAR, NEAR, Found
from tailmerge.timeformat import check_time_format, make_shape

__all__ = ["Clock", "check_time_format", "format_rfc3339"]

REMEMBERED = 12
"""Formats of one file that are kept in mind."""
FRUITLESS = 2_000
"""Lines in a row whose words are searched for a time in vain, before that is given up."""
AHEAD = 200
"""Lines that are looked at to tell days from months."""
NUMBERS = re.compile(rb"0{9}|(?<!0)0{6} {1,2}0{6}(?!0)|(?<!0)0{8}[T _-]0{6}(?!0)|@0")
"""What times without a sign between hour and minute have in them, all digits being 0."""
SLACK = 24
"""Bytes by which a time of the user's format may begin later than the first one did."""


class Clock:
    """Which format an input's times have, and the time of each of its lines.

    Lines are given in their order, each once: years, days and the hour that daylight saving
    repeats are told from the lines before. `time_format` is for strptime, and then nothing
    else is recognised. `utc` makes times without a zone UTC instead of local ones. `modified`
    is when the file was last written to, in seconds since the epoch.

    Raises:
        ValueError: the time format cannot be used (`check_time_format`).
    """

    def __init__(
        self,
        *,
        time_format: str | None = None,
        utc: bool = False,
        now: Callable[[], float] = time.time,
        modified: float | None = None,
    ) -> None:
        self._utc = utc
        self._calendar = Calendar(utc=utc, now=now, modified=modified)
        self._grammar = recognise.make_grammar(frozenset(time.tzname))
        self._layouts: list[Layout] = []
        self._current: Layout | None = None
        self._block: Sequence[bytes] = ()
        self._has_start = False
        self._is_relative = False
        self._is_indented = False
        self._fruitless = 0
        self._is_even = True
        self._fields = b""
        self._is_given = time_format is not None
        if time_format is not None:
            shape = make_shape(time_format)
            self._layouts = [Layout(shape, compile_shape(shape), is_anchored=False, limit=NEAR)]

    @property
    def is_relative(self) -> bool:
        """A line had seconds since the machine was started, which are no time of day."""
        return self._is_relative

    @property
    def raw_slice(self) -> slice | None:
        """Where the bytes of every line seen so far sort as their times do; None if nowhere.

        A later line can be different: `find_raw` looks.
        """
        layout = self._current
        if layout is None or not self._is_even or not layout.is_fixed or layout.lead:
            return None
        if (
            not layout.shape.is_ordered
            or layout.is_halved
            or layout.moves
            or not layout.is_uniform
            or len(self._layouts) > 1
        ):
            return None
        return slice(layout.start, layout.end) if self._find_zone() is not None else None

    @property
    def raw_key(self) -> Hashable | None:
        """Equal for clocks whose raw slices compare with each other; None without a slice."""
        place, layout = self.raw_slice, self._current
        if place is None or layout is None:
            return None
        return (layout.template, layout.stop - layout.cut, layout.tail, self._find_zone())

    def find_raw(self, lines: list[bytes]) -> list[bytes] | None:
        """Return the raw slices of lines, None where one of them is not like the others.

        It is several times as fast as `find_times`. That numbers are numbers is looked at,
        not that there are such days. The lines count as seen.
        """
        place, layout = self.raw_slice, self._current
        if place is None or layout is None or not lines:
            return None
        keys = [line[place] for line in lines]
        sample = layout.template + b"0" * (layout.stop - layout.cut) + layout.tail
        if b"".join(keys).translate(ZEROS) != sample.translate(ZEROS) * len(keys):
            return None
        return keys

    def find_time(self, line: bytes) -> int | None:
        """Return the time of a line in ns since the epoch; None where it has none."""
        return self.find_times([line])[0]

    def find_times(self, lines: Sequence[bytes]) -> list[int | None]:
        """Return the times of lines in ns since the epoch; None where one has none."""
        times: list[int | None] = []
        self._block = lines
        rest = iter(lines)
        while len(times) < len(lines):
            layout = self._current
            if layout is None or not layout.is_fixed:
                self._read_next(rest, times)
            else:
                last = self._calendar.last
                self._calendar.last = read_run(layout, lines, rest, times, last, self._read_other)
        self._block = ()
        return times

    def _read_next(self, rest: Iterator[bytes], times: list[int | None]) -> None:
        for line in rest:
            times.append(self._read(line))
            if self._current is not None and self._current.is_fixed:
                return

    def _read_other(self, line: bytes, last: int | None) -> tuple[int | None, int | None, bool]:
        """Read a line that is not at the columns: its time, the last one, the columns hold."""
        before = self._current
        moves = None if before is None else (before.moves, before.inside)
        self._calendar.last = last
        found = self._read(line)
        after = self._current
        holds = after is before and after is not None and (after.moves, after.inside) == moves
        return found, self._calendar.last, holds

    def _read(self, line: bytes) -> int | None:
        """Read one line by the formats seen so far, or by a new one."""
        if line[:1] == b"#" and not self._is_given and self._read_directive(line):
            return None
        if line[:1] in (b" ", b"\t") and not self._is_indented and self._current is not None:
            self._is_even = False
            return None
        for layout in self._layouts:
            found = layout.read_known(line) if layout.is_fixed else None
            if found is not None:
                return self._take(layout, found)
        if not (self._is_given or _may_have_time(line)):
            self._is_even = False
            return None
        raw = None
        if b"\x1b" in line[:NEAR]:
            raw, line = line, ANSI.sub(b"", line[: 4 * NEAR])
        for layout in self._layouts:
            found = layout.read(line, self._calendar, raw)
            if found is not None:
                if self._current is None:
                    self._begin(layout, line)
                return self._take(layout, found)
        if not self._is_given and (new := self._recognise(line)) is not None:
            layout = self._settle(new)
            found = layout.read(line, self._calendar, raw)
            if found is not None:
                if self._current is None:
                    self._begin(layout, line)
                return self._take(layout, found)
        self._is_even = False
        return None

    def _begin(self, layout: Layout, line: bytes) -> None:
        """The first time of the file says how far on those of other lines may begin."""
        self._is_indented = line[:1] in (b" ", b"\t")
        if self._is_given:
            match = layout.find(line)
            assert match is not None
            layout.reach = match.start("head") + SLACK

    def _take(self, layout: Layout, found: int) -> int:
        """The layout is the current one from now on; a new one goes before others of its kind."""
        if self._current is not layout:
            if layout not in self._layouts:
                self._layouts.insert(0, layout)
                self._layouts.sort(key=lambda one: not one.is_anchored)
                del self._layouts[REMEMBERED:]
            self._current = layout
        self._calendar.last = found
        return found

    def _recognise(self, line: bytes) -> Found | None:
        if RELATIVE.match(line):
            self._is_relative = True
            return None
        grammar, is_first = self._grammar, not self._layouts
        found = (
            recognise.find_object(line, grammar)
            or recognise.find_at_start(line, grammar, vague=is_first, dateless=is_first)
            or recognise.find_key(line, grammar)
            or recognise.find_in_brackets(line, grammar)
        )
        if found is not None or self._has_start:
            return found
        if self._fruitless >= FRUITLESS:
            return None
        found = recognise.find_anywhere(line, grammar)
        self._fruitless = 0 if found else self._fruitless + 1
        if found is None and is_first:
            found = recognise.find_number(line, self._block[:AHEAD], self._calendar.reference)
        return found

    def _settle(self, found: Found) -> Layout:
        """Decide what a new format leaves open, and forget times that were in messages."""
        if found.is_at_start and not self._has_start:
            self._has_start = True
            self._layouts.clear()
        layout = found.layout
        if "A" in found.match.groupdict():
            samples = [found.match]
            for line in self._block[:AHEAD]:
                match = layout.find(line)
                samples += [match] if match else []
            layout.shape = layout.shape.with_order(
                choose_order(samples, layout.shape, self._calendar)
            )
        return layout

    def _read_directive(self, line: bytes) -> bool:
        """A directive of a W3C extended log says what the lines below it look like."""
        directive = fields.DIRECTIVE.match(line)
        if directive is None:
            return False
        if directive[1] == b"Fields" and directive[2] != self._fields:
            self._fields = directive[2]
            layout = fields.make_layout(directive[2])
            self._layouts = [] if layout is None else [layout]
            self._has_start = layout is not None
            self._current = layout
            self._is_even = False
        elif directive[1] == b"Date":
            begun = fields.find_date(directive[2])
            self._calendar.last = self._calendar.last if begun is None else begun
        return True

    def _find_zone(self) -> Hashable | None:
        """What the raw bytes' zone is; None where one offset does not hold for all."""
        layout = self._current
        assert layout is not None
        if layout.has_zone:
            return "zone"
        last = (self._calendar.last or 0) / SECOND
        if not self._calendar.has_steady_zone((self._calendar.reference, last)):
            return None
        return "utc" if self._utc else time.timezone


def _may_have_time(line: bytes) -> bool:
    """Whether there are digits in it as every time has some: to look closer costs 50 times
    as much."""
    digits = line[:FAR].translate(ZEROS)
    if b"0:00" in digits or b"0.00" in digits:
        return True
    return b"000000" in digits and NUMBERS.search(digits) is not None


def format_rfc3339(ns: int, *, utc: bool) -> str:
    """Return a time in RFC 3339 with 0, 3, 6 or 9 digits of the second, as many as it needs.

    Local time has its offset (`+02:00`), UTC a `Z`. A year beyond 9999 cannot be written.

    Raises:
        ValueError: the year has more than four digits.
    """
    second, fraction = divmod(ns, SECOND)
    parts = time.gmtime(second) if utc else time.localtime(second)
    if not 0 <= parts.tm_year <= 9999:
        raise ValueError("the year has more than four digits")
    text = (
        f"{parts.tm_year:04}-{parts.tm_mon:02}-{parts.tm_mday:02}"
        f"T{parts.tm_hour:02}:{parts.tm_min:02}:{parts.tm_sec:02}"
    )
    if fraction:
        digits = f"{fraction:09}"
        while digits.endswith("000"):
            digits = digits[:-3]
        text += "." + digits
    if utc:
        return text + "Z"
    minutes = parts.tm_gmtoff // 60
    return f"{text}{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
