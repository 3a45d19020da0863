"""What is written of a line: filter, label, JSON; pure.

Filters decide on whole records (a line is one where no record is begun by a pattern), labels
and JSON are made line by line. All of it is a function of the lines, of where they stand and
of their input, so it does not matter in which order they go out.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence

from tailmerge.batch import Bytes, put_label
from tailmerge.feed import Feed
from tailmerge.label import Label
from tailmerge.lines import Window
from tailmerge.patterns import Patterns
from tailmerge.records import Records
from tailmerge.timestamps import Clock, format_rfc3339

SECOND = 1_000_000_000
"""Nanoseconds."""


class Shape:
    """The shape that lines get on their way out."""

    def __init__(
        self,
        *,
        label: Label | None = None,
        match: Sequence[str] = (),
        exclude: Sequence[str] = (),
        as_json: bool = False,
        records: Records | None = None,
        utc: bool = False,
    ) -> None:
        """What matches none of `match`, where there are any, or one of `exclude` is left out.

        `utc` writes the times in JSON as UTC.

        Raises:
            ValueError: a pattern is no regular expression.
        """
        self._match = Patterns(match) if match else None
        self._exclude = Patterns(exclude) if exclude else None
        self._label = label
        self.as_json = as_json
        self.records = records
        self._utc = utc
        self._heads: dict[Feed, tuple[bytes, str]] = {}

    @property
    def _filters(self) -> bool:
        return self._match is not None or self._exclude is not None

    def apply(self, feed: Feed, data: bytes, offset: int, clock: Clock | None = None) -> bytes:
        """What is written of whole records.

        `offset` is where they begin in their file, or of all that came of a stream, in bytes.
        For JSON the clock of their file is told of all of them.
        """
        if not self.as_json:
            return self.dress(feed, self.select(data), offset)
        lines = data.split(b"\n")
        lines.pop()
        offsets = itertools.accumulate((len(line) + 1 for line in lines), initial=offset)
        times = clock.find_times(lines) if clock else itertools.repeat(None)
        rows = zip(lines, offsets, times, strict=False)
        if self._filters:
            rows = itertools.compress(rows, self.find_kept(data, lines))  # type: ignore[assignment]
        return self._format_json(feed, rows)

    def apply_in(
        self, feed: Feed, window: Window, offset: int, clock: Clock | None = None
    ) -> Bytes:
        """The same of lines in a buffer, which need not be copied where one thing is asked for."""
        if self.is_label:
            return put_label(self.find_label(feed), window.view())
        if not (self.as_json or self.records or self._label):
            if self._match and not self._exclude:
                return self._match.keep(*window)
            if self._exclude and not self._match:
                return self._exclude.drop(*window)
        return self.apply(feed, window.copy(), offset, clock)

    # what is written at all

    def keeps(self, record: bytes) -> bool:
        """Whether a record, or a line, with its newline is written at all."""
        text = record.removesuffix(b"\n")
        if self._match and not self._match.picks(text):
            return False
        return not (self._exclude and self._exclude.picks(text))

    def select(self, data: bytes) -> bytes:
        """The lines of whole records that are written."""
        if self.records and self._filters:
            if self._match and not self._match.may_pick(data):
                return b""
            return b"".join([r for r in self.records.split(data) if self.keeps(r)])
        if self._match:
            data = self._match.keep(data)
        if self._exclude and data:
            data = self._exclude.drop(data)
        return data

    def find_kept(self, data: bytes, lines: list[bytes]) -> Iterator[bool]:
        """For each line whether it is written."""
        if not self._filters:
            return itertools.repeat(True, len(lines))
        if not self.records:
            return map(self.keeps, lines)
        records = self.records.split(data)
        return itertools.chain.from_iterable(
            itertools.repeat(self.keeps(record), record.count(b"\n")) for record in records
        )

    # how it is written

    def dress(
        self, feed: Feed, data: bytes, offset: int, times: Sequence[int | None] | None = None
    ) -> bytes:
        """Whole lines that stand together, as they are written; nothing is left out.

        `times` are the lines' own, in ns since the epoch; only JSON has them.
        """
        if self.as_json:
            lines = data.split(b"\n")
            lines.pop()
            offsets = itertools.accumulate((len(line) + 1 for line in lines), initial=offset)
            rows = zip(lines, offsets, times or itertools.repeat(None), strict=False)
            return self._format_json(feed, rows)
        if not data or not self._label:
            return data
        return bytes(put_label(self.find_label(feed), data))

    def dress_lines(
        self, feed: Feed, lines: list[bytes], offsets: list[int], times: list[int | None]
    ) -> list[bytes]:
        """Lines that need not stand together, as they are written; all without newlines."""
        if self.as_json:
            rows = iter(list(zip(lines, offsets, times, strict=True)))
            return self._format_json(feed, rows).split(b"\n")[:-1]
        label = self.find_label(feed)
        return [label + line for line in lines]

    @property
    def is_label(self) -> bool:
        """Whether lines only get their input's label."""
        return bool(self._label) and not (self._filters or self.as_json or self.records)

    def find_label(self, feed: Feed) -> bytes:
        return self._find_head(feed)[0]

    def _find_head(self, feed: Feed) -> tuple[bytes, str]:
        """An input's label, and with what its objects begin."""
        head = self._heads.get(feed)
        if head is None:
            label = self._label.render(feed.name) if self._label else ""
            start = f'{{"source": {json.dumps(feed.name)}, '
            if self._label:
                start += f'"label": {json.dumps(label)}, '
            prefix = label.encode("utf-8", "surrogateescape")
            head = self._heads[feed] = prefix, start + '"offset": '
        return head

    def _format_json(self, feed: Feed, rows: Iterator[tuple[bytes, int, int | None]]) -> bytes:
        """One object a line, in ASCII."""
        kept = list(rows)
        if not kept:
            return b""
        head = self._find_head(feed)[1]
        text = b"\n".join([line for line, _, _ in kept]).decode("utf-8", "surrogateescape")
        # One call encodes all lines: no newline is left inside of a string.
        bodies = json.dumps(text.split("\n"), separators=("\n", ":"))[1:-1].split("\n")
        stamps = _Stamps(self._utc)
        objects = [
            f'{head}{offset}, {stamps.format(time)}"line": {body}}}\n'
            for (_, offset, time), body in zip(kept, bodies, strict=True)
        ]
        return "".join(objects).encode("ascii")


class _Stamps:
    """Times in JSON; lines of the same second share most of the work."""

    def __init__(self, utc: bool) -> None:
        self._utc = utc
        self._second: int | None = None
        self._text = self._zone = ""

    def format(self, time: int | None) -> str:
        """The `time` of an object and the comma behind it; nothing where there is none."""
        if time is None:
            return ""
        second, fraction = divmod(time, SECOND)
        if second != self._second:
            try:
                text = format_rfc3339(second * SECOND, utc=self._utc)
            except (ValueError, OverflowError):
                return ""  # RFC 3339 has no way to write it
            self._second, self._text, self._zone = second, text[:19], text[19:]
        digits = ""
        if fraction:
            digits = f".{fraction:09}"
            while digits.endswith("000"):
                digits = digits[:-3]
        return f'"time": "{self._text}{digits}{self._zone}", '
