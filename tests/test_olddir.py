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
from helpers import eventually, run_tailmerge, start_tailmerge
from rotating import RotatedLog

from tailmerge import run_fully_async
from tailmerge.report import Report
from tailmerge.status import describe, read_status
from tailmerge.system import System

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


def merge(*inputs: str) -> list[bytes]:
    """One one-shot run; what it added to the output."""
    said: list[str] = []
    report = Report(said.append, once=True)
    before = Path("merged").read_bytes() if Path("merged").exists() else b""
    asyncio.run(
        run_fully_async(
            inputs, 0.005, "merged", once=True, state_path="merged.state", report=report
        )
    )
    assert (said, report.owes) == ([], False)
    after = Path("merged").read_bytes()
    assert after.startswith(before)
    return after[len(before) :].splitlines()


@pytest.fixture
def log() -> RotatedLog:
    log = RotatedLog(Path("log"), "app.log", Path("old"))
    log.append(2)
    return log


def test_a_folder_that_is_not_named_is_not_looked_into(log: RotatedLog) -> None:
    merge("log/app.log")
    log.append(1)
    log.rotate(copy=False)
    Path("other").mkdir()
    Path("old/app.log.1").rename("other/app.log.1")
    log.append(1)
    said: list[str] = []
    run = run_fully_async(
        ["log/app.log", "old/*"],
        output_path="merged",
        once=True,
        state_path="merged.state",
        report=Report(said.append, once=True),
    )
    asyncio.run(run)
    assert Path("merged").read_bytes().splitlines()[2:] == [b"app.log 3"]


def test_a_log_of_the_same_name_makes_what_is_beside_it_its_own(log: RotatedLog) -> None:
    """`tailmerge nginx/app.log apache/other.log`: apache/app.log.1 is not nginx's."""
    Path("apache").mkdir()
    for name in ("app.log", "app.log.1", "other.log"):
        Path("apache", name).write_bytes(b"apache's %s\n" % name.encode())
    inputs = ("log/app.log", "apache/other.log")
    assert merge(*inputs) == [b"app.log 0", b"app.log 1", b"apache's other.log"]
    Path("apache/app.log.1").rename("apache/app.log.2")
    Path("apache/app.log").rename("apache/app.log.1")
    Path("apache/app.log").write_bytes(b"apache's newest\n")
    assert merge(*inputs) == []


def test_inputs_with_one_name_share_an_olddir() -> None:
    for folder in ("a", "b", "old"):
        Path(folder).mkdir()
    inputs = ("a/app.log", "b/app.log", "old/*")
    Path("a/app.log").write_bytes(b"a 0\n")
    Path("b/app.log").write_bytes(b"b 0\n")
    assert merge(*inputs) == [b"a 0", b"b 0"]
    Path("b/app.log").write_bytes(b"b 0\nb 1\n")
    Path("b/app.log").rename("old/app.log.1")
    Path("b/app.log").write_bytes(b"b 2\n")
    assert merge(*inputs) == [b"b 1", b"b 2"]
    Path("old/app.log.1").rename("old/app.log.2")
    Path("a/app.log").rename("old/app.log.1")
    Path("a/app.log").write_bytes(b"a 1\n")
    assert merge(*inputs) == [b"a 1"]
    Path("old/app.log.3").write_bytes(b"nobody's\n")
    assert merge(*inputs) == [b"nobody's"]
    assert merge(*reversed(inputs)) == []


LISTS = (
    ("log/*.log",),
    ("log/*.log", "old/*"),
    ("old/*",),
    ("old/*", "log/app.log"),
    ("**/app.log*",),
    ("log/app.log", "old/*.gz"),
)


@pytest.mark.parametrize("seed", range(12))
def test_a_list_of_inputs_that_changes_costs_no_line(seed: int) -> None:
    """Whatever a run leaves out, the last one names all: each line came once."""
    choose = random.Random(seed)
    log = RotatedLog(Path("log"), "app.log", Path("old"), dated=seed % 2 == 0)
    log.append(3)
    merge("log/app.log", "old/*")
    for _ in range(8):
        for _ in range(choose.randint(0, 3)):
            log.step(choose)
        said: list[str] = []
        inputs = choose.choice(LISTS)
        report = Report(said.append, once=True)
        run = run_fully_async(
            inputs, 0.005, "merged", once=True, state_path="merged.state", report=report
        )
        asyncio.run(run)
        got = Path("merged").read_bytes().splitlines()
        assert len(got) == len(set(got)), f"twice with {inputs}: {said}"
    merge_all = run_fully_async(
        ["log/app.log", "old/*"], 0.005, "merged", once=True, state_path="merged.state"
    )
    asyncio.run(merge_all)
    assert sorted(Path("merged").read_bytes().splitlines()) == sorted(log.written.splitlines())


def test_the_status_has_a_row_for_what_is_in_another_folder(log: RotatedLog) -> None:
    inputs = ("log/app.log", "old/*")
    merge(*inputs)
    log.append(1)
    log.rotate(copy=False)
    merge(*inputs)
    with open("old/app.log.1", "ab") as file:
        file.write(b"late\n")
    rows = [
        line.split() for line in describe(read_status("merged.state", None, System())).splitlines()
    ]
    row = next(row for row in rows if row[0].endswith("old/app.log.1"))
    assert row[1:] == ["30", "35", "5"]


@pytest.mark.parametrize("keep", [0, 5, 20])
def test_a_batch_that_a_kill_cut_short_is_found_in_another_folder(
    log: RotatedLog, keep: int
) -> None:
    """No run has seen the file there yet: the folders that are named now are looked through."""
    merge("log/app.log")
    before = Path("merged").read_bytes()
    arguments = ("log/app.log", "old/*", "-o", "merged", "--state", "merged.state", "-q")
    with start_tailmerge(*arguments) as process:
        log.append(3)
        eventually(lambda: Path("merged").read_bytes() == log.written)
        process.kill()
        process.wait()
    os.truncate("merged", len(before) + keep)  # what a kill in the middle of the write leaves
    log.rotate(copy=False)
    log.append(1)
    done = run_tailmerge(*arguments[:-1], "--once")
    assert (done.returncode, done.stderr) == (0, b"")
    assert Path("merged").read_bytes() == log.written
