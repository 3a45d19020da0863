"""Generations that begin alike, and cron: one-shot runs with rotations in between.

All generations of a log share their first 200 bytes, or 2 KiB, which is more than a
fingerprint covers. Each run of a random program is checked: the output holds every byte that
was ever written, generation after generation.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from rotating import COMPRESS, RotatedLog

from tailmerge import run_fully_async
from tailmerge.report import Report

BANNER = b"# a banner that each generation of this log begins with -- %04d\n"


def banner(size: int) -> bytes:
    lines = b"".join(BANNER % number for number in range(size // 50))
    return lines[: size - 1] + b"\n"


class Cron:
    """A log, and one-shot runs over it."""

    def __init__(self, choose: random.Random, header: bytes) -> None:
        self.choose = choose
        self.log = RotatedLog(Path(), "app.log", header=header, dated=choose.random() < 0.5)

    def run(self) -> None:
        said: list[str] = []
        report = Report(said.append, once=True)
        run = run_fully_async(
            ["app.log"], output_path="m.log", once=True, state_path="m.state", report=report
        )
        asyncio.run(run)
        assert (said, report.owes) == ([], False)
        assert Path("m.log").read_bytes() == self.log.written

    def happen(self, rotations: int) -> None:
        """So many rotations, each with lines before it and maybe compressions behind it."""
        for _ in range(rotations):
            self.log.append(self.choose.randint(1, 20))
            self.log.rotate(copy=self.choose.random() < 0.5)
            for _ in range(self.choose.randint(0, 2)):
                self.log.compress(self.choose)
        if self.choose.random() < 0.8:
            self.log.append(self.choose.randint(1, 20))


def play(seed: str, size: int, runs: int) -> None:
    choose = random.Random(seed)
    cron = Cron(choose, banner(size) if size else b"")
    cron.log.append(3)
    cron.run()
    for _ in range(runs):
        cron.happen(choose.randint(0, 3))
        cron.run()


@pytest.mark.parametrize("size", [0, 200, 2048])
@pytest.mark.parametrize("seed", [0, 1, 105])
def test_twenty_runs_by_cron(seed: int, size: int) -> None:
    play(f"{seed} {size}", size, 20)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("size", [0, 200, 2048])
@pytest.mark.parametrize("seed", range(100, 120))
def test_many_runs_by_cron(seed: int, size: int) -> None:
    play(f"{seed} {size}", size, 20)


def test_what_compresses_here_is_tried() -> None:
    assert {".gz", ".bz2", ".xz"} <= set(COMPRESS)
