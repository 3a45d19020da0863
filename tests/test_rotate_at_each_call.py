"""A rotation right before every single system call of a run: nothing lost, doubled, reordered.

What a look found may be untrue at its next call. So a run is made as often as it has calls,
and the log is turned over before another one of them each time; the next run reads the rest.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import append

from tailmerge import run_fully_async
from tailmerge.system import System

BEFORE = b"".join(b"before %03d\n" % n for n in range(300))
MEANWHILE = b"".join(b"meanwhile %03d\n" % n for n in range(100))
BEHIND = b"".join(b"behind %04d %s\n" % (n, b"x" * 90) for n in range(1000))


class Turning(System):
    """Turns the log over before its call of this number."""

    def __init__(self, number: int, turn: Callable[[], None]) -> None:
        self.left = number
        self.turn = turn

    def pass_call(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.turn()


class Stepping(Turning):
    """Does the first of these steps before its call of this number, the next a few calls on."""

    def __init__(self, number: int, gap: int, steps: list[Callable[[], None]]) -> None:
        self.steps = steps
        self.gap = gap
        super().__init__(number, self.step)

    def step(self) -> None:
        self.steps.pop(0)()
        self.left = self.gap if self.steps else 0


def _turning(name: str) -> Callable[..., Any]:
    def call(self: Turning, *args: Any) -> Any:
        self.pass_call()
        return getattr(System, name)(self, *args)

    return call


CALLS = ("stat", "fstat", "open", "names", "read_at", "read_into", "leads_to", "write_at", "close")
for _name in CALLS:
    setattr(Turning, _name, _turning(_name))


def shift() -> None:
    for number in (2, 1):
        if Path(f"a.log.{number}").exists():
            os.rename(f"a.log.{number}", f"a.log.{number + 1}")


def copytruncate() -> None:
    shift()
    shutil.copyfile("a.log", "a.log.1")
    os.truncate("a.log", 0)


def rename() -> None:
    shift()
    os.rename("a.log", "a.log.1")


def merge(*names: str, system: System | None = None) -> None:
    run = run_fully_async(
        names or ("a.log",), output_path="m.log", once=True, state_path="m.state", system=system
    )
    asyncio.run(run)


def in_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The number of the call whose turn it is, each in an empty folder of its own."""
    for number in itertools.count(1):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        yield number
        shutil.rmtree(folder)


def merged() -> bytes:
    return Path("m.log").read_bytes()


@pytest.mark.parametrize(
    ("old", "behind"),
    [(False, BEHIND), (True, BEHIND), (True, BEHIND[: 3 * 103]), (True, b"")],
    ids=["alone", "much behind", "little behind", "nothing behind"],
)
@pytest.mark.parametrize("rotate", [copytruncate, rename])
def test_it_is_turned_over_at_each_call(
    rotate: Callable[[], None],
    old: bool,
    behind: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file that was cut between the comparing and the opening went on where the one before
    had ended: what had been written to it was lost, and the copy merged once more."""

    def turn_over() -> None:
        rotate()
        append("a.log", behind)

    for number in in_folders(tmp_path, monkeypatch):
        expected = BEFORE + MEANWHILE
        append("a.log", b"old\n" * old + BEFORE[:40])
        merge()
        append("a.log", BEFORE[40:])
        if old:
            expected = b"old\n" + expected
            merge()
            rename()
            append("a.log", MEANWHILE[:50])
            merge()
            append("a.log", MEANWHILE[50:])
        else:
            append("a.log", MEANWHILE)
        system = Turning(number, turn_over)
        merge(system=system)
        if over := system.left > 0:  # it has no more calls
            turn_over()
        merge()
        assert merged() == expected + behind, number
        if over:
            break
    assert number > 20


@pytest.mark.parametrize("behind", [BEHIND, BEHIND[: 3 * 103]], ids=["much", "little"])
@pytest.mark.parametrize("rotate", [copytruncate, rename])
def test_of_what_nothing_is_known_the_older_comes_first(
    rotate: Callable[[], None], behind: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is listed once for many inputs: what a file holds when it is opened may be
    newer than that, and the copy of what it held before stand beside it by then."""
    both = ("0.log", "a.log")

    def turn_over() -> None:
        rotate()
        append("a.log", behind)

    for number in in_folders(tmp_path, monkeypatch):
        for name in both:
            append(name, b"")
        merge(*both)
        append("a.log", BEFORE)
        system = Turning(number, turn_over)
        merge(*both, system=system)
        if over := system.left > 0:
            turn_over()
        merge(*both)
        assert merged() == BEFORE + behind, number
        if over:
            break
    assert number > 20


def compress(old: bytes, behind: bytes) -> list[Callable[[], None]]:
    """What logrotate does, step by step, where the compressed copies go to another folder."""

    def shift() -> None:
        if Path("old/a.log.1.gz").exists():
            os.rename("old/a.log.1.gz", "old/a.log.2.gz")

    packed = gzip.compress(old)
    return [
        shift,
        lambda: append("old/a.log.1", old),
        lambda: os.truncate("a.log", 0),
        lambda: append("old/a.log.1.gz", packed[:40]),
        lambda: append("old/a.log.1.gz", packed[40:]),
        lambda: os.unlink("old/a.log.1"),
        lambda: append("a.log", behind),
    ]


def test_a_copy_that_is_deleted_while_it_is_read_stays_behind_the_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rotation while the run begins, one of its steps every eight calls: the copy of what was
    never read was found, then deleted for a compressed one, and came before the rest of the
    file before it."""
    names = ("a.log", "old/*")
    for number in in_folders(tmp_path, monkeypatch):
        os.mkdir("old")
        append("a.log", BEFORE[:300])
        merge(*names)
        append("a.log", BEFORE[300:])
        for step in compress(BEFORE, MEANWHILE):
            step()
        steps = compress(MEANWHILE, BEHIND)
        merge(*names, system=Stepping(number, 8, steps))
        over = len(steps) == 7  # it has no more calls
        for step in steps:
            step()
        merge(*names)
        assert merged() == BEFORE + MEANWHILE + BEHIND, number
        if over:
            break
    assert number > 20


def test_a_first_run_passes_over_what_was_rotated_before_it_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that was live when the run began is not one of those, whatever its name is now."""
    outcomes = []

    def turn_over() -> None:
        rename()
        append("a.log", BEHIND)

    for number in in_folders(tmp_path, monkeypatch):
        append("a.log.1", b"old\n")
        append("a.log", BEFORE)
        system = Turning(number, turn_over)
        merge(system=system)
        if over := system.left > 0:
            turn_over()
        merge()
        outcomes.append(merged())
        if over:
            break
    before_it_began = outcomes.index(BEFORE + BEHIND)
    assert before_it_began < 10
    assert set(outcomes[:before_it_began]) <= {BEHIND}
    assert set(outcomes[before_it_began:]) == {BEFORE + BEHIND}


@pytest.mark.parametrize("lines", [None, 500])
@pytest.mark.parametrize("names", [("a.log",), ("a-20260101.log", "a-20260102.log")])
def test_a_one_shot_run_merges_what_grows_at_each_call(
    lines: int | None, names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is looked at once more is read as far as it was there, not up to 0."""
    for number in in_folders(tmp_path, monkeypatch):
        for name in names:
            append(name, BEFORE)
        system = Turning(number, lambda: append(names[-1], b"more\n"))
        run = run_fully_async(names, output_path="m.log", once=True, lines=lines, system=system)
        asyncio.run(run)
        expected = BEFORE * len(names)
        assert merged() in (expected, expected + b"more\n"), number
        if system.left > 0:
            break
    assert number > 10
