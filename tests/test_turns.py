"""How soon other threads have their turn: shortened while lines are worked on, put back after."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailmerge import run_fully_async
from tailmerge.report import Report
from tailmerge.turns import SECONDS, short_turns

LONG = 0.004


@pytest.fixture(autouse=True)
def interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(LONG)
    yield
    sys.setswitchinterval(before)


def now() -> float:
    return pytest.approx(sys.getswitchinterval(), abs=1e-7)


def test_the_last_of_several_puts_the_interval_back() -> None:
    first, second = short_turns(), short_turns()
    with first:
        assert now() == SECONDS
        second.__enter__()
    assert now() == SECONDS
    second.__exit__(None, None, None)
    assert now() == LONG


def test_an_interval_that_somebody_else_set_meanwhile_is_left_alone() -> None:
    with short_turns():
        sys.setswitchinterval(0.002)
    assert now() == 0.002


def test_a_shorter_one_stays() -> None:
    sys.setswitchinterval(0.0001)
    with short_turns():
        assert now() == 0.0001
    assert now() == 0.0001


@pytest.mark.parametrize("sort", [False, True])
async def test_a_run_that_works_on_lines_shortens_it_for_as_long_as_it_lasts(
    tmp_path: Path, sort: bool
) -> None:
    (tmp_path / "in.log").write_bytes(b"2026-11-29T10:00:00Z a line\n")
    stop, report = asyncio.Event(), Report(lambda text: None)
    output = tmp_path / "out.log"
    run = asyncio.create_task(
        run_fully_async([tmp_path / "in.log"], 0.01, output, sort=sort, report=report, stop=stop)
    )
    while not output.exists():
        await asyncio.sleep(0.001)
    assert now() == (SECONDS if sort else LONG)
    stop.set()
    await run
    assert now() == LONG
