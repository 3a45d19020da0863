"""An error during a look costs nothing: it is said, and tried again.

Every call that the looks of a story make fails once, one call a run; whatever is asked for
then, each line comes out once and in order.
"""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import append, fault
from test_series import Run, Story, copytruncate, follow, rotate

from tailmerge.series import Series
from tailmerge.system import System

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
    await run.seconds(30)
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
    await run.seconds(30)
    append("a.log", b"7\n")
    await run.seconds(30)


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
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.usefixtures("watched")
def test_a_call_of_a_look_that_fails_costs_nothing(call: str, number: int) -> None:
    failed = 0
    for nth in range(400):
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
