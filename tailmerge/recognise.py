"""Which format a line has: asked of the first lines of a file, and of those that differ.

The order of the questions: an object of JSON; a time at the start of the line, behind
nothing but marks (levels, brackets, numbers, a container's name); a key of logfmt; a time
in brackets behind an address, as in access logs; a time farther on. Of several the leftmost
is taken.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from re import Match, Pattern

from tailmerge.civil import DAY
from tailmerge.formats import make_shapes
from tailmerge.grammar import BEFORE, PREFIX, Shape
from tailmerge.layout import Layout, compile_shape, find_lead

NEAR = 220
"""Bytes of a line within which its time begins, where it is not in a named field."""
FAR = 64 * 1024
"""The same for a named field."""

TRIED = 8
"""Keys of one line whose values are looked at."""
LIKE_LINES = 3
"""Lines that must be alike before a bare number among words counts as a time."""
YEARS = 3 * 365 * DAY
"""Seconds within which they must be."""
KEYS = (
    *("@timestamp", "timestamp", "time", "ts", "t", "__REALTIME_TIMESTAMP", "@t", "datetime"),
    *("date", "eventTime", "event_time", "start_time", "startTime", "timeMillis", "asctime"),
    *("time_local", "time_iso8601", "requestReceivedTimestamp", "EdgeStartTimestamp", "instant"),
    *(
        "created_at",
        "created",
        "timestampMillis",
        "logged_at",
        "epoch",
        "Timestamp",
        "Time",
        "msec",
    ),
)
"""The keys under which an object has its time, the more telling first."""
LIKELY_KEY = re.compile(r"(?i).*(?:time|timestamp|date|[_.]ts|[_.]at)$")
LOGFMT = re.compile(
    rb"(?:^|[\s,|{])(@?(?:time|timestamp|ts|t|datetime|eventtime|date|_time|asctime|rt|devTime|eventTime)=[\"'\[]?)"
)
KEY_HINTS = (b"time=", b"ts=", b"t=", b"stamp=", b"date=", b"Time=")
OBJECT = re.compile(rb"(?:[\w.@/-]+ *\| *|\[[^\]\n]{1,80}\] *)?\{")
STRUCTURED = re.compile(
    rb"(?:[\w.@/-]+ *\| *)?(?:\S{1,64} )?"
    rb"(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}"
    rb"|\S+ \S+ \S+ |\[pid: |\S+:\d{1,5} |- )"
)
"""How a line of an access log begins, a container's name before it included."""
BRACKET = re.compile(rb"\[(?:\d{1,4}[-/]|[A-Z][a-z]{2} )")
OPENERS = (b"[", b"(", b"=", b"|", b'"', b"'")
DATED = re.compile(rb"\d[-/.]\d|[A-Za-z]{3},? {1,2}\d|\d[-/ ]?[A-Z][a-z]{2}|\d{8}|\d\xe5")
"""What any date has in it."""
SECONDS_NANOS = (
    rb'"(?:epochSecond|seconds|timestampSeconds)"\s*:\s*"?(?P<head>(?P<E>[1-4]\d{9}))"?\s*,\s*'
    rb'"(?:nanoOfSecond|nanos|timestampNanos)"\s*:\s*(?P<frac>\d{1,9})(?P<tail>)(?!\d)'
)
NUMBER = (
    rb"(?P<head>(?P<E>[1-9]\d{8,9}))(?P<frac>\.\d{1,9}|\d{9}|\d{6}|\d{3})?(?P<tail>)"
    rb"(?:(?<=\.\d{9})\d*)?(?![0-9eE])"
)
"""In a named field a number of seconds may be smaller."""
VALUE = Shape("seconds since the epoch", NUMBER)
TWO_NUMBERS = Shape("seconds and nanoseconds", SECONDS_NANOS, count=10)


class Form:
    """A shape, compiled for the places where it may stand once it is looked for there."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    @functools.cached_property
    def starting(self) -> Pattern[bytes]:
        """Behind a prefix, from the line's beginning."""
        return compile_shape(self.shape, PREFIX)

    @functools.cached_property
    def plain(self) -> Pattern[bytes]:
        """From a given place, or searched for."""
        return compile_shape(self.shape)


class Grammar:
    """The shapes, compiled when they are needed: all of them take 0.2 s."""

    def __init__(self, shapes: tuple[Shape, ...]) -> None:
        self.shapes = shapes
        self.forms = tuple(map(Form, shapes))

    @functools.cached_property
    def at_start(self) -> Pattern[bytes]:
        """Any of them at the start of a line, in one go."""
        nameless = [_strip_names(shape.pattern) for shape in self.shapes]
        return re.compile(PREFIX + rb"(?:" + rb"|".join(nameless) + rb")")

    @functools.cached_property
    def anywhere(self) -> Pattern[bytes]:
        """Any that counts among other words."""
        telling = [shape for shape in self.shapes if not (shape.is_short or shape.is_vague)]
        nameless = [_strip_names(shape.pattern) for shape in telling]
        return re.compile(rb"(?:" + rb"|".join(nameless) + rb")")


@functools.lru_cache(maxsize=8)
def make_grammar(names: frozenset[str]) -> Grammar:
    """The grammar where the local zone has these names."""
    return Grammar(make_shapes(names))


def _strip_names(pattern: bytes) -> bytes:
    """The same without groups; what stands between the numbers of a date is free then."""
    return re.sub(rb"\(\?P<\w+>", rb"(?:", pattern).replace(rb"(?P=s1)", rb"[-/. ]?")


@dataclass(frozen=True, slots=True)
class Found:
    """A time in a line, and how others like it are found."""

    shape: Shape
    match: Match[bytes]
    layout: Layout
    is_at_start: bool
    """Not searched for among other words."""


def find_object(line: bytes, grammar: Grammar) -> Found | None:
    """The time of an object of JSON."""
    opened = OBJECT.match(line)
    if opened is None:
        return None
    for key, value in _list_candidates(line[opened.end() - 1 :]):
        found = _find_value(line, grammar, key, value)
        if found is not None:
            return found
    return _try_value(line, (TWO_NUMBERS,), b"", is_object=True)


def _find_value(line: bytes, grammar: Grammar, key: str, value: object) -> Found | None:
    shapes = (VALUE, *grammar.shapes)
    name = rb'"' + re.escape(key.encode("utf-8", "surrogateescape")) + rb'"\s*:\s*'
    if not isinstance(value, dict):
        return _try_value(line, shapes, name + rb'"?', is_object=True)
    if any(inner in value for inner in ("$date", "timestamp", "repr")):
        inner = rb'\{[^{}]*?"(?:\$date|timestamp|repr)"\s*:\s*"?'
        return _try_value(line, shapes, name + inner, is_object=True)
    found = _try_value(line, (TWO_NUMBERS,), name + rb"\{\s*", is_object=True)
    if found is not None or key in KEYS:
        return found
    for inner_key, inner_value in _choose_keys(value):
        inside = rb'"' + re.escape(inner_key.encode("utf-8", "surrogateescape")) + rb'"\s*:\s*'
        if isinstance(inner_value, dict):
            inside += rb'\{[^{}]*?"(?:\$date|timestamp|repr)"\s*:\s*'
        found = _try_value(line, shapes, inside + rb'"?', is_object=False)
        if found is not None:
            return found
    return None


def _list_candidates(text: bytes) -> list[tuple[str, object]]:
    """The keys of an object that may hold its time, the likelier first, with their values."""
    try:
        parsed = json.loads(text.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):  # cut short, or not quite JSON: the keys themselves
        return [(key, "") for key in KEYS if b'"%s"' % key.encode() in text]
    if not isinstance(parsed, dict):
        return []
    inner = [item for item in parsed.items() if isinstance(item[1], dict)]
    return _choose_keys(parsed) + inner[:TRIED]


def _choose_keys(parsed: dict[str, object]) -> list[tuple[str, object]]:
    known = [(key, parsed[key]) for key in KEYS if key in parsed]
    likely = [item for item in parsed.items() if LIKELY_KEY.match(item[0])]
    return (known + likely)[:TRIED]


def find_key(line: bytes, grammar: Grammar) -> Found | None:
    """The time of a line of `key=value` pairs."""
    if not any(hint in line for hint in KEY_HINTS):
        return None
    for key in itertools.islice(LOGFMT.finditer(line, 0, FAR), TRIED):
        before = rb"(?:(?<=^)|(?<=[\s,|{]))" + re.escape(key[1])
        span = (key.start(), key.end() + NEAR)
        found = _try_value(line, (VALUE, *grammar.shapes), before, is_object=False, span=span)
        if found is not None:
            return found
    return None


def _try_value(
    line: bytes,
    shapes: tuple[Shape, ...],
    before: bytes,
    *,
    is_object: bool,
    span: tuple[int, int] = (0, FAR),
) -> Found | None:
    for shape in shapes:
        pattern = re.compile(before + shape.pattern.removeprefix(BEFORE))
        match = pattern.search(line, *span)
        if match is None or shape.name == "time of day":
            continue
        lead = line[match.start() : match.start("head")]
        opening = OBJECT if is_object else None
        layout = Layout(shape, pattern, is_anchored=False, lead=lead, limit=FAR, opening=opening)
        match = layout.find(line)
        if match is None:  # only within an inner object
            continue
        return Found(shape, match, layout, True)
    return None


def find_at_start(line: bytes, grammar: Grammar, *, vague: bool, dateless: bool) -> Found | None:
    """The time at the start of a line, behind nothing but marks."""
    likeliest = grammar.forms[0].starting.match(line, 0, NEAR)
    if not (likeliest or grammar.at_start.match(line, 0, NEAR)):
        return None
    best: tuple[int, Shape, Match[bytes], Pattern[bytes]] | None = None
    for form in grammar.forms:
        shape = form.shape
        if shape.is_vague and not vague:
            continue
        if shape.name == "time of day" and (best is not None or not dateless):
            continue
        match = form.starting.match(line, 0, NEAR)
        if match is not None and (best is None or match.start("head") < best[0]):
            best = (match.start("head"), shape, match, form.starting)
            if not best[0]:
                break  # nothing is farther to the left
    if best is None:
        return None
    _, shape, match, pattern = best
    return Found(shape, match, Layout(shape, pattern, is_anchored=True, limit=NEAR), True)


def find_in_brackets(line: bytes, grammar: Grammar) -> Found | None:
    """The time of a line of an access log: in brackets, behind an address and names."""
    if not BRACKET.search(line, 0, NEAR) or not STRUCTURED.match(line):
        return None
    found = find_anywhere(line, grammar)
    if found is None or line[found.match.start("head") - 1 :][:1] != b"[":
        return None
    return Found(found.shape, found.match, found.layout, True)


def find_anywhere(line: bytes, grammar: Grammar) -> Found | None:
    """The leftmost time among the words of a line."""
    if not DATED.search(line, 0, NEAR) or not grammar.anywhere.search(line, 0, NEAR):
        return None
    best: tuple[int, Shape, Match[bytes]] | None = None
    for form in grammar.forms:
        shape = form.shape
        if shape.is_short or shape.is_vague:
            continue
        match = form.plain.search(line, 0, NEAR)
        if match is not None and (best is None or match.start("head") < best[0]):
            best = (match.start("head"), shape, match)
    if best is None:
        return None
    start, shape, match = best
    lead = find_lead(line, start) if line[start - 1 : start] in OPENERS else b""
    pattern = compile_shape(shape, re.escape(lead))
    layout = Layout(shape, pattern, is_anchored=False, lead=lead, limit=NEAR)
    return Found(shape, match, layout, False)


def find_number(line: bytes, block: Sequence[bytes], reference: float) -> Found | None:
    """Seconds since the epoch in one column of many: the same column in several lines.

    The column must hold likely times in each of them, and near to each other.
    """
    place = _find_place(line, reference)
    if place is None:
        return None
    values = [_read_place(other, place[0], reference) for other in block]
    known = [value for value in values if value is not None]
    if len(known) < LIKE_LINES or len(known) < len(block) * 0.9:
        return None
    if max(known) - min(known) > YEARS:
        return None
    number = rb"(?P<head>(?P<E>[1-4]\d{9}))(?P<frac>\.\d{1,9})?(?P<tail>)(?!\S)"
    shape = Shape("seconds since the epoch", rb"(?:\S+\s+){%d}" % place[0] + number)
    pattern = re.compile(shape.pattern)
    match = pattern.match(line)
    if match is None:
        return None
    return Found(shape, match, Layout(shape, pattern, is_anchored=True, limit=NEAR), True)


def _find_place(line: bytes, reference: float) -> tuple[int, int] | None:
    """The first column with a likely time, and its value."""
    for number, _ in enumerate(line[:NEAR].split()):
        value = _read_place(line, number, reference)
        if value is not None:
            return number, value
    return None


def _read_place(line: bytes, number: int, reference: float) -> int | None:
    words = line[:NEAR].split(None, number + 1)
    if len(words) <= number or not re.fullmatch(rb"[1-4]\d{9}(?:\.\d{1,9})?", words[number]):
        return None
    value = int(words[number][:10])
    return value if value <= reference + DAY else None
