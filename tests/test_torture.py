"""The torture program, short here; the long run is behind the marker `slow`."""

from __future__ import annotations

import os
from array import array
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torture import Torture
from torture_count import Count, choose_reader

NOTHING = {
    "lost": 0,
    "doubled": 0,
    "torn": 0,
    "reordered": 0,
    "foreign_lost": 0,
    "tracebacks": 0,
    "wrong_ends": [],
}


def wrongs(result: dict[str, Any]) -> dict[str, Any]:
    return {name: result[name] for name in NOTHING}


@pytest.mark.timeout(150)
@pytest.mark.parametrize("seed", [1, 2])
def test_kills_and_rotations_cost_and_double_nothing(seed: int) -> None:
    result = Torture(seconds=12, seed=seed).run()
    assert wrongs(result) == NOTHING, result
    assert result["fragments"] == 0, result
    # Under rotations this fast a look may meet names on the move and warn for nothing: about
    # once in 500 kills (docs/reference.md, "Known limits").
    assert result["said_missing"] <= 1, result
    assert result["kills"] >= 4
    assert len(result["rotations"]) == 8
    assert min(result["rotations"].values()) >= 2


@pytest.mark.timeout(150)
def test_somebody_else_who_appends_all_the_while_costs_nothing() -> None:
    result = Torture(seconds=12, seed=3, foreign=True, short=True).run()
    assert wrongs(result) == NOTHING, result
    assert result["fragments"] <= result["kills"], "more than the beginning of one line a kill"
    assert result["kills"] >= 8


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("foreign", [False, True], ids=["alone", "with others"])
def test_500_kills_cost_and_double_nothing(foreign: bool) -> None:
    seconds = float(os.environ.get("TAILMERGE_TORTURE_SECONDS", "1800"))
    result = Torture(seconds=seconds, seed=4, kills=500, short=True, foreign=foreign).run()
    assert wrongs(result) == NOTHING, result
    assert result["fragments"] <= (result["kills"] if foreign else 0), result


# what the counting sees


def counted(tmp_path: Path, output: bytes, *options: str, foreign: int = 0) -> dict[str, Any]:
    """What is wrong with an output, of two writers that wrote two lines of three x each."""
    writers: list[Any] = [
        SimpleNamespace(number=n, lengths={0: array("H", [3, 3])}) for n in (0, 1)
    ]
    logs = [tmp_path / "0.log", tmp_path / "1.log"]
    count = Count(writers, choose_reader(options, logs))
    (tmp_path / "m").write_bytes(output)
    count.add([tmp_path / "m"])
    result = count.result(foreign)
    kinds = ("lost", "doubled", "torn", "reordered", "fragments", "untimely", "foreign_lost")
    return {kind: result[kind] for kind in kinds if result[kind]}


ALL = b"w0 g0 000000 xxx\nw1 g0 000000 xxx\nw0 g0 000001 xxx\nw1 g0 000001 xxx\n"


@pytest.mark.parametrize(
    ("output", "wrong"),
    [
        (ALL, {}),
        (ALL[17:], {"lost": 1}),
        (ALL + b"w0 g0 000001 xxx\n", {"doubled": 1}),
        (ALL.replace(b"w0 g0 000001 xxx", b"w0 g0 000001 x"), {"lost": 1, "fragments": 1}),
        (ALL.replace(b"xxx\nw1", b"xxxw1", 1), {"lost": 2, "torn": 1}),
        (ALL + b"nobody's\n", {"torn": 1}),
        (ALL + b"w0 g", {"fragments": 1}),
        (
            b"w0 g0 000001 xxx\nw1 g0 000000 xxx\nw0 g0 000000 xxx\nw1 g0 000001 xxx\n",
            {"reordered": 1},
        ),
    ],
)
def test_each_wrong_is_counted(tmp_path: Path, output: bytes, wrong: dict[str, int]) -> None:
    assert counted(tmp_path, output) == wrong


def test_the_lines_of_somebody_else_are_counted_behind_a_fragment_too(tmp_path: Path) -> None:
    output = ALL + b"foreign 0\nw0 gforeign 1\n"
    assert counted(tmp_path, output, foreign=2) == {"fragments": 1}
    assert counted(tmp_path, output, foreign=3) == {"fragments": 1, "foreign_lost": 1}


def test_times_that_step_back_are_counted(tmp_path: Path) -> None:
    lines = ALL.splitlines(keepends=True)
    times = [b"2026-11-23T10:00:00.%06d+00:00 " % n for n in (1, 2, 4, 3)]
    timed = b"".join(t + line for t, line in zip(times, lines, strict=True))
    assert counted(tmp_path, timed) == {"untimely": 1}


def test_a_label_is_taken_off_where_it_is_the_right_one(tmp_path: Path) -> None:
    labelled = b"".join(
        b"%d.log: " % (n % 2) + line for n, line in enumerate(ALL.splitlines(keepends=True))
    )
    assert counted(tmp_path, labelled, "--label", "{name}: ") == {}
    assert counted(tmp_path, labelled, "--label={name}: ") == {}
    assert counted(tmp_path, labelled, "--label", "{path}: ") == {"torn": 4, "lost": 4}


def test_json_lines_are_opened(tmp_path: Path) -> None:
    lines = [f'{{"source": "m", "offset": 0, "line": "{line}"}}\n' for line in ALL_TEXT]
    assert counted(tmp_path, "".join(lines).encode(), "--format", "json") == {}
    assert counted(tmp_path, "".join(lines[1:]).encode(), "--format=json") == {"lost": 1}
    assert counted(tmp_path, ALL, "--format", "json") == {"torn": 4, "lost": 4}


ALL_TEXT = [line.decode() for line in ALL.splitlines()]
