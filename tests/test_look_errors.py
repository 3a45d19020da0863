"""An error during a look costs nothing: it is said, and tried again.

Every call that the looks of a story make fails once, one call a run (every second one, the
others are slow); whatever is asked for then, each line comes out once and in order.
"""

from __future__ import annotations

import errno
import gzip
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import append, fault
from test_series import Run, Story, copytruncate, follow, nothing, rotate

from tailmerge.series import Series
from tailmerge.system import System

LONG = 8
"""Seconds: a file that is quiet is let go of within them."""

CALLS = ("stat", "fstat", "open", "read_at", "read_into", "names", "seek")


class Failing(System):
    """A System of which one call, the n-th within a look, fails so many times."""

    def __init__(self, call: str, nth: int, number: int, times: int = 1) -> None:
        self.call = call
        self.left = nth
        self.times = times
        self.number = number
        self.looking = False
        self.fired = 0

    def play(self, call: str) -> None:
        if not self.looking or call != self.call:
            return
        if self.left > 0:
            self.left -= 1
        elif self.fired < self.times:
            self.fired += 1
            raise fault(self.number)


def _failing(call: str) -> Callable[..., Any]:
    def play(self: Failing, *args: Any, **kw: Any) -> Any:
        self.play(call)
        return getattr(System, call)(self, *args, **kw)

    return play


for _call in CALLS:
    setattr(Failing, _call, _failing(_call))


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system knows when a look is under way."""
    look = Series.look

    def watch(self: Series, *args: Any, **kw: Any) -> Any:
        system = self._system
        if not isinstance(system, Failing):
            return look(self, *args, **kw)
        system.looking = True
        try:
            return look(self, *args, **kw)
        finally:
            system.looking = False

    monkeypatch.setattr(Series, "look", watch)


def compress(name: str) -> None:
    Path(name + ".gz").write_bytes(gzip.compress(Path(name).read_bytes()))
    os.unlink(name)


def shift(count: int) -> None:
    for number in range(count, 0, -1):
        for suffix in ("", ".gz"):
            if Path(f"a.log.{number}{suffix}").exists():
                rotate(f"a.log.{number}{suffix}", f"a.log.{number + 1}{suffix}")


async def story(run: Run) -> None:
    """Renamed, copied, compressed, late lines; a moment or a long while in between."""
    append("a.log", b"2\n")
    await run.seconds(3)
    rotate()
    append("a.log", b"3\n")
    await run.seconds(3)
    append("a.log.1", b"late\n")
    await run.seconds(LONG)
    append("a.log", b"4\n")
    compress("a.log.1")
    await run.seconds(3)
    append("a.log", b"5\n")
    shift(1)
    copytruncate()
    append("a.log", b"6\n")
    await run.seconds(3)
    shift(2)
    rotate()
    await run.seconds(LONG)
    append("a.log", b"7\n")
    await run.seconds(LONG)


def play(story: Story, call: str, nth: int, number: int, times: int = 1) -> tuple[Run, Failing]:
    for path in Path().iterdir():
        path.unlink()
    append("a.log", b"1\n")
    system = Failing(call, nth, number, times)
    return follow(story, system=system), system


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "number",
    [
        errno.EIO,
        pytest.param(errno.ESTALE, marks=pytest.mark.slow),
        pytest.param(errno.EACCES, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("first", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.usefixtures("watched")
def test_a_call_of_a_look_that_fails_costs_nothing(call: str, first: int, number: int) -> None:
    failed = 0
    for nth in range(first, 400, 2):
        run, system = play(story, call, nth, number)
        lines = run.merged.split()
        assert sorted(lines) == [b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"late"], (
            nth,
            run.words,
        )
        lines.remove(b"late")
        assert not any("missing" in words for words in run.words), (nth, run.words)
        if not system.fired:
            break
        failed += 1
    assert failed or call == "seek"


def bad_disk(run: Run) -> list[str]:
    return [words for words in run.words if "input/output error" in words]


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize("call", ["read_at", "fstat"])
def test_it_is_said_once_however_often_it_fails(call: str) -> None:
    async def wait(run: Run) -> None:
        append("a.log", b"2\n")
        rotate()
        append("a.log", b"3\n")
        await run.seconds(40)

    run, system = play(wait, call, 4, errno.EIO, times=6)
    assert system.fired == 6
    assert run.merged == b"1\n2\n3\n"
    assert len(bad_disk(run)) <= 1


class Unreadable(System):
    """A System that neither reads nor sizes one file until it is told to."""

    def __init__(self) -> None:
        self.bad: int | None = None

    def _check(self, fd: int) -> None:
        if os.stat(fd).st_ino == self.bad:
            raise fault(errno.EIO)

    def read_into(self, fd: int, view: memoryview, offset: int) -> int:
        self._check(fd)
        return super().read_into(fd, view, offset)

    def fstat(self, fd: int) -> os.stat_result:
        self._check(fd)
        return super().fstat(fd)


def test_a_file_with_unread_lines_is_not_let_go_of() -> None:
    """It was renamed and deleted: closed it would be gone."""
    append("a.log", b"1\n")
    system = Unreadable()

    async def wait(run: Run) -> None:
        system.bad = os.stat("a.log").st_ino
        append("a.log", b"2\n")
        rotate()
        os.unlink("a.log.1")
        append("a.log", b"3\n")
        await run.seconds(60)
        assert run.merged == b"1\n3\n"
        system.bad = None
        await run.seconds(30)
        assert sorted(run.merged.split()) == [b"1", b"2", b"3"]

    run = follow(wait, system=system)
    assert len(bad_disk(run)) == 1


# half a compressed file


HALF = gzip.compress(b"".join(b"line %d\n" % n for n in range(2000)))[:-300]


def damage(name: str, age: float) -> None:
    Path(name).write_bytes(HALF)
    os.utime(name, (time.time() - age,) * 2)


@pytest.mark.parametrize(
    ("age", "original", "spoken"), [(61, False, True), (5, False, False), (600, True, False)]
)
def test_a_one_shot_run_says_what_is_damaged(age: float, original: bool, spoken: bool) -> None:
    append("a.log", b"2\n")
    damage("a.log.1.gz", age)
    if original:
        append("a.log.1", b"1\n")
    run = follow(nothing, once=True, named=frozenset({"a.log.1", "a.log.1.gz"}))
    assert run.merged == (b"1\n2\n" if original else b"2\n")
    assert run.report.owes is spoken
    assert any("is not a whole compressed file" in words for words in run.words) is spoken


def test_a_damaged_file_is_said_once_and_read_when_it_is_whole() -> None:
    append("a.log", b"1\n")

    async def mend(run: Run) -> None:
        append("a.log", b"2\n")
        await run.seconds(1)
        rotate()
        append("a.log", b"3\n")
        await run.seconds(60)
        rotate("a.log.1", "a.log.3")
        damage("a.log.2.gz", 0)
        await run.seconds(3)
        assert not any("whole" in words for words in run.words)
        await run.seconds(60)
        assert len([words for words in run.words if "whole" in words]) == 1
        assert run.report.owes
        append("a.log.2", b"0\n")
        compress("a.log.2")
        await run.seconds(5)
        assert not run.report.owes

    run = follow(mend)
    assert sorted(run.merged.split()) == [b"0", b"1", b"2", b"3"]


def test_half_a_compressed_file_is_not_decompressed_again_and_again() -> None:
    append("a.log", b"1\n")
    system = Failing("read_into", 0, errno.EIO, times=0)
    counted = 0

    def count(fd: int, view: memoryview, offset: int) -> int:
        nonlocal counted
        counted += os.stat(fd).st_ino == os.stat("a.log.1.gz").st_ino
        return System.read_into(system, fd, view, offset)

    system.read_into = count  # type: ignore[method-assign]
    damage("a.log.1.gz", 600)
    follow_for = 120

    async def wait(run: Run) -> None:
        await run.seconds(follow_for)

    follow(wait, system=system, named=frozenset({"a.log.1.gz"}))
    assert 0 < counted < 10
