"""Rotated files in another folder (logrotate's olddir), which was named too.

Random programs of what happens to two logs, with one-shot runs and following ones in
between; what is merged of each log must be all of it, each generation after the other.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest
from rotating import RotatedLog

from tailmerge import run_fully_async
from tailmerge.report import Report

INPUTS = {
    "a pattern for each folder": ("log/*.log", "old/*"),
    "every folder by one pattern": ("**/*log*",),
    "names and the compressed ones": ("log/app.log", "log/err.log", "old/*.gz"),
    "the other folder first": ("old/*", "log/*.log"),
}


class Place:
    """Two logs with one olddir, and the runs that merge them."""

    def __init__(self, choose: random.Random, inputs: tuple[str, ...]) -> None:
        self.choose = choose
        self.inputs = inputs
        self.said: list[str] = []
        dated = choose.random() < 0.5
        header = b"# a banner that every generation begins with\n" * choose.choice((0, 1, 5))
        self.logs = [
            RotatedLog(Path("log"), name, Path("old"), dated=dated, header=header)
            for name in ("app.log", "err.log")
        ]

    @property
    def merged(self) -> int:
        try:
            return os.stat("merged").st_size
        except FileNotFoundError:
            return 0

    async def run(self, **how: object) -> None:
        report = Report(self.said.append, once="once" in how)
        await run_fully_async(
            self.inputs,
            0.005,
            "merged",
            state_path="merged.state",
            rotate_wait=0.05,
            report=report,
            **how,  # type: ignore[arg-type]
        )
        assert not report.owes, self.said

    async def follow(self) -> None:
        """A run that follows while things happen; a rotation waits for nothing."""
        stop = asyncio.Event()
        run = asyncio.create_task(self.run(stop=stop))
        for _ in range(self.choose.randint(1, 3)):
            await self.until_merged()
            self.choose.choice(self.logs).step(self.choose)
        await self.until_merged()
        stop.set()
        await run

    async def until_merged(self) -> None:
        deadline = asyncio.get_running_loop().time() + 10
        size = sum(len(log.written) for log in self.logs)
        while self.merged < size:
            assert asyncio.get_running_loop().time() < deadline, self.said
            await asyncio.sleep(0.005)

    def check(self) -> None:
        got = Path("merged").read_bytes().splitlines(keepends=True)
        for log in self.logs:
            mark = os.fsencode(log.path.name)
            mine = [line for line in got if line.startswith(mark)]
            want = [line for line in log.written.splitlines(True) if line.startswith(mark)]
            assert mine == want
        assert len(got) == sum(log.written.count(b"\n") for log in self.logs)


async def play(place: Place, rounds: int) -> None:
    for log in place.logs:
        log.append(3)
    await place.run(once=True)
    for _ in range(rounds):
        for _ in range(place.choose.randint(0, 4)):
            place.choose.choice(place.logs).step(place.choose)
        if place.choose.random() < 0.25:
            await place.follow()
        else:
            await place.run(once=True)
        place.check()


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("seed", range(4))
def test_every_line_comes_once_and_in_order(seed: int, inputs: str) -> None:
    place = Place(random.Random(f"{seed} {inputs}"), INPUTS[inputs])
    asyncio.run(play(place, 8))
    assert not [words for words in place.said if "missing" in words]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("seed", range(100, 130))
def test_every_line_comes_once_and_in_order_for_long(seed: int, inputs: str) -> None:
    test_every_line_comes_once_and_in_order(seed, inputs)
