"""What is written of lines: filters, labels, JSON."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from helpers import on_lane
from hypothesis import given
from hypothesis import strategies as st

from tailmerge import shaped
from tailmerge.batch import Batch
from tailmerge.feed import TURN_SECONDS, Asked, Feed, Progress
from tailmerge.label import Label
from tailmerge.lines import BLOCK
from tailmerge.position import MARKER
from tailmerge.records import Records
from tailmerge.shape import Shape
from tailmerge.source import open_source
from tailmerge.system import System
from tailmerge.timestamps import Clock
from tailmerge.turn import OutputTurn

FEED = Feed("logs/app.log")
LINES = st.lists(st.binary(max_size=8).map(lambda b: b.replace(b"\n", b"")), max_size=8)


def join(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


# labels


@pytest.mark.parametrize(
    ("template", "path", "label"),
    [
        ("{path}: ", "logs/app.log", "logs/app.log: "),
        ("[{name}] ", "logs/app.log", "[app.log] "),
        ("{stem}|{host} ", "/var/app.1.log", "app.1|here "),
        ("{{{name}}} ", "app.log", "{app.log} "),
        ("{path} {name} {stem} ", "-", "- stdin stdin "),
        ("{stem} ", ".profile", ".profile "),
        ("{name} ", "a\nb\x1b[31m\x85", "a\\nb\\x1b[31m\\x85 "),
        ("{name} ", "caf\xe9\udcff", "caf\xe9\udcff "),
        ("", "a", ""),
    ],
)
def test_a_label_says_which_input(template: str, path: str, label: str) -> None:
    assert Label(template, "here").render(path) == label


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{nam}", "{nam} is no field (did you mean {name}?): there are {path}, {name}, {stem} and"),
        ("{0}", "{0} is no field: there are"),
        ("{}", "{} is no field: there are"),
        ("{name.x}", "is no field"),
        ("{name:>9}", "{name} takes no format"),
        ("{name!r}", "{name} takes no format"),
        ("{name", "twice: {{"),
        ("name}", "twice: {{"),
        ("a\n", "newline"),
    ],
)
def test_what_is_no_label_is_said(template: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Label(template, "here")


@given(LINES)
def test_each_line_has_its_label(lines: list[bytes]) -> None:
    shape = Shape(label=Label("{name}: ", "here"))
    assert shape.apply(FEED, join(lines), 7) == join([b"app.log: " + line for line in lines])


# filters


@given(LINES)
def test_what_matches_is_kept_and_what_is_excluded_is_not(lines: list[bytes]) -> None:
    shape = Shape(match=["0", "\\x01"], exclude=["1"])
    kept = [ln for ln in lines if (b"0" in ln or b"\x01" in ln) and b"1" not in ln]
    assert shape.apply(FEED, join(lines), 0) == join(kept)
    assert [ln for ln in lines if shape.keeps(ln + b"\n")] == kept


def test_a_record_is_kept_or_left_out_as_a_whole() -> None:
    records = Records("^[A-Z]")
    data = b" early\nERROR one\n  at x\nINFO two\n  at y\nERROR three\n"
    assert Shape(match=["ERROR"], records=records).apply(FEED, data, 0) == (
        b"ERROR one\n  at x\nERROR three\n"
    )
    assert Shape(match=["at x", "early"], records=records).apply(FEED, data, 0) == (
        b" early\nERROR one\n  at x\n"
    )
    assert Shape(exclude=["at"], records=records).apply(FEED, data, 0) == b" early\nERROR three\n"
    assert Shape(match=["one\n  at"], records=records).apply(FEED, data, 0) == (
        b"ERROR one\n  at x\n"
    )


def test_a_records_lines_have_a_label_each() -> None:
    shape = Shape(label=Label("{stem} ", ""), match=["x"], records=Records("^[A-Z]"))
    assert shape.apply(FEED, b"A\n  x\nB\n", 0) == b"app A\napp   x\n"


# JSON


def read_back(data: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in data.decode("ascii").splitlines()]


@given(LINES, st.integers(0, 1 << 40))
def test_each_line_is_an_object_that_has_the_very_same_bytes(
    lines: list[bytes], start: int
) -> None:
    objects = read_back(Shape(as_json=True).apply(FEED, join(lines), start))
    assert [str(o["line"]).encode("utf-8", "surrogateescape") for o in objects] == lines
    offsets = [start + sum(len(ln) + 1 for ln in lines[:i]) for i in range(len(lines))]
    assert [o["offset"] for o in objects] == offsets
    assert all(list(o) == ["source", "offset", "line"] for o in objects)
    assert all(o["source"] == "logs/app.log" for o in objects)


def test_an_object_has_the_lines_time_where_there_is_one() -> None:
    data = b"2026-11-24T12:00:01.5Z a\nnone\n2026-11-24T12:00:01.123456Z b\n2026-11-24T12:00:02Z\n"
    objects = read_back(Shape(as_json=True, utc=True).apply(FEED, data, 0, Clock(utc=True)))
    assert [o.get("time") for o in objects] == [
        "2026-11-24T12:00:01.500Z",
        None,
        "2026-11-24T12:00:01.123456Z",
        "2026-11-24T12:00:02Z",
    ]


def test_what_is_left_out_moves_no_offset_and_no_clock() -> None:
    data = b"#Fields: date time x\n2026-11-24 12:00:01 a\n2026-11-24 12:00:02 b\n"
    shape = Shape(as_json=True, match=["b$"], utc=True)
    assert read_back(shape.apply(FEED, data, 100, Clock(utc=True))) == [
        {
            "source": "logs/app.log",
            "offset": 143,
            "time": "2026-11-24T12:00:02Z",
            "line": "2026-11-24 12:00:02 b",
        }
    ]


def test_records_in_json_are_an_object_a_line_and_the_label_is_a_field() -> None:
    shape = Shape(
        as_json=True, match=["x"], records=Records("^[A-Z]"), label=Label("{name}", "here")
    )
    objects = read_back(shape.apply(FEED, b"A\n  x\nB\n", 0))
    assert [(o["label"], o["line"]) for o in objects] == [("app.log", "A"), ("app.log", "  x")]


def test_a_name_that_is_no_text_comes_back_as_it_was() -> None:
    (only,) = read_back(Shape(as_json=True).apply(Feed("a\udcff\n.log"), b"x\n", 0))
    assert only["source"] == "a\udcff\n.log"


def test_what_is_to_go_out_later_is_dressed_by_itself() -> None:
    shape = Shape(as_json=True, utc=True)
    (only,) = read_back(shape.dress(FEED, b"x\n", 5, [1_000_000_000]))
    assert only == {
        "source": "logs/app.log",
        "offset": 5,
        "time": "1970-01-01T00:00:01Z",
        "line": "x",
    }


# records


@given(st.lists(st.sampled_from([b"A", b"A1", b" b", b""]), max_size=8))
def test_records_are_all_lines_each_begun_by_one_that_matches(lines: list[bytes]) -> None:
    data = join(lines)
    records = Records("^A").split(data)
    assert b"".join(records) == data
    begun = [r for r in records if r.startswith(b"A")]
    assert len(begun) == sum(ln.startswith(b"A") for ln in lines)
    early = records[: len(records) - len(begun)]
    assert all(r.count(b"\n") == 1 and not r.startswith(b"A") for r in early)
    cut = Records("^A").cut(b"x\n" + data + b"A part", 2, 2 + len(data) + 3) - 2
    assert cut == (len(data) - len(begun[-1]) if begun else len(data))


class Sink:
    """An output that takes everything."""

    has_again = False

    def __init__(self) -> None:
        self.data = b""

    async def append(self, batch: Batch) -> None:
        self.data += b"".join(bytes(piece) for piece in batch.pieces(0))

    append_behind = append

    async def settle(self) -> None:
        pass


class Slow(Shape):
    """One that takes longer for each block than a turn may."""

    def apply_in(self, *args: Any) -> Any:
        loop: Any = asyncio.get_running_loop()
        loop.jumping.now += 2 * TURN_SECONDS
        return super().apply_in(*args)


@pytest.mark.parametrize("slow", [True, False])
def test_others_have_their_turn_after_a_while(slow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not slow:
        monkeypatch.setattr(shaped, "TURN_SECONDS", 60)
        monkeypatch.setattr(shaped, "MOST", BLOCK + 1)
    lines = [b"%06d x\n" % number for number in range(4 * BLOCK // 9)]
    Path("a.log").write_bytes(b"".join(lines))
    sink: Any = Sink()

    async def forward_all() -> list[Progress]:
        turn = OutputTurn(None, System())
        turn.output = sink
        way = shaped.Shaped(turn, (Slow if slow else Shape)(match=["x"]), None, None)
        feed, source = Feed("a.log"), open_source(System(), "a.log")
        found = []
        while not found or found[-1].more:
            found.append(await way.forward(feed, source, Asked()))
        source.close()
        return found

    hops = [progress.moved for progress in on_lane(forward_all())]
    assert len(hops) >= (4 if slow else 2)
    assert max(hops) <= (1 if slow else 2) * (BLOCK + MARKER)
    assert sink.data == b"".join(lines)
