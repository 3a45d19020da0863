"""What a run that goes on for long leaves beside its output."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from helpers import append, said

from tailmerge import journal, keeping, run_fully_async

ROTATIONS = 200


def is_merged(wanted: bytes) -> bool:
    return os.path.exists("m") and Path("m").read_bytes() == wanted


def size_of_state() -> int:
    return os.path.getsize("s")


async def test_a_state_does_not_grow_with_the_rotations_that_it_forgot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal, "JOURNAL_BYTES", 2048)
    monkeypatch.setattr(keeping, "FORGET_SECONDS", 0.1)
    _, report = said()
    stop = asyncio.Event()
    append("a.log", b"0\n")
    run = asyncio.create_task(
        run_fully_async(
            ["a.log"], 0.01, "m", state_path="s", rotate_wait=0.02, report=report, stop=stop
        )
    )
    wanted, longest = b"0\n", 0
    for number in range(1, ROTATIONS):
        async with asyncio.timeout(10):
            while not is_merged(wanted):
                assert not run.done()
                await asyncio.sleep(0.005)
        longest = max(longest, size_of_state())
        os.replace("a.log", "a.log.1")
        append("a.log", b"%d\n" % number)
        wanted += b"%d\n" % number
    stop.set()
    await run
    assert 2048 < longest < 50_000  # else nearly 70,000
