"""A power cut at any moment of a run with --fsync: nothing is lost, nothing is doubled.

disk.py says what a power cut may leave. Seconds and sizes are made small, so that a short
run has many batches, groups of syncs and checkpoints.
"""

from __future__ import annotations

import asyncio
import collections
import os
import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from disk import Disk

from tailmerge import journal, plain, run_fully_async, syncing
from tailmerge.report import Report
from tailmerge.system import System

CUTS = 60
"""Power cuts a scenario."""


@pytest.fixture(autouse=True)
def _small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "BUFFER", 2048)
    monkeypatch.setattr(syncing, "SYNC_SECONDS", 0.0)
    monkeypatch.setattr(syncing, "SYNC_BYTES", 8 * 1024)
    monkeypatch.setattr(journal, "JOURNAL_BYTES", 6 * 1024)


class Rebooted(System):
    """The same machine, started again."""

    def boot(self) -> str:
        return "another boot"


class Scene:
    """What is put in."""

    def __init__(self) -> None:
        self.lines: dict[str, list[bytes]] = {}
        self.words: list[str] = []
        self.stamp: Callable[[int], bytes] = lambda n: b""
        """What the n-th line of an input begins with."""

    def append(self, name: str, count: int) -> None:
        known = self.lines.setdefault(name, [])
        new = [
            b"%s%s %05d %s\n"
            % (self.stamp(len(known) + n), name.encode(), len(known) + n, b"x" * (n * 7 % 90))
            for n in range(count)
        ]
        known += new
        with open(name, "ab") as file:
            file.write(b"".join(new))

    async def run(self, system: System, **how: Any) -> None:
        report = Report(self.words.append, once=True)
        await run_fully_async(
            sorted(self.lines),
            0.01,
            "m",
            once=True,
            state_path="m.tailmerge",
            fsync=True,
            report=report,
            system=system,
            **how,
        )


async def plainly(scene: Scene, disk: Disk) -> None:
    scene.append("a", 200)
    scene.append("b", 120)
    await scene.run(disk)


async def in_turns(scene: Scene, disk: Disk) -> None:
    for count in (5, 60, 1, 90):
        scene.append("a", count)
        scene.append("b", 3)
        scene.append("c", 40)
        await scene.run(disk)


async def ordered(scene: Scene, disk: Disk) -> None:
    """Batches with lines of all inputs, which no input has again as they are."""
    scene.stamp = lambda n: b"2026-11-24 12:%02d:%02d " % (n // 60, n % 60)
    for count in (30, 1, 90, 200):
        for name in "abc":
            scene.append(name, count)
        await scene.run(disk, sort=True)


async def with_others(scene: Scene, disk: Disk) -> None:
    disk.foreign = [(n, b"foreign %d\n" % n) for n in range(2, 60, 7)]
    await in_turns(scene, disk)


SCENARIOS: dict[str, Callable[[Scene, Disk], Any]] = {
    "plainly": plainly,
    "ordered": ordered,
    "in turns": in_turns,
    "with others": with_others,
}


def restore(state: dict[str, bytes]) -> None:
    """Make the folder what the power cut left; the output keeps its inode, as on a disk."""
    if os.path.exists("m"):
        if os.path.exists("../spare"):
            os.unlink("m")  # of a run after a cut that took the output's name
        else:
            os.rename("m", "../spare")
    for name in os.listdir("."):
        if name.startswith("m."):
            os.unlink(name)
    if "m" in state:
        os.rename("../spare", "m")
    for name, content in state.items():
        if name.startswith("m"):
            with open(name, "r+b" if os.path.exists(name) else "wb") as file:
                file.truncate(0)
                file.write(content)
            os.chmod(name, 0o600)


def check(scene: Scene, before: bytes) -> list[str]:
    got = Path("m").read_bytes()
    lines = got.splitlines(keepends=True)
    counts = collections.Counter(lines)
    place = {line: index for index, line in enumerate(lines)}
    problems = []
    for name, wanted in scene.lines.items():
        missing = [line for line in wanted if not counts[line]]
        doubled = [line for line in wanted if counts[line] > 1]
        if missing:
            problems.append(f"{name}: {len(missing)} missing, first {missing[0][:12]!r}")
        if doubled:
            problems.append(f"{name}: {len(doubled)} doubled, first {doubled[0][:12]!r}")
        places = [place[line] for line in wanted if line in place]
        if places != sorted(places) and b"foreign" not in before:
            problems.append(f"{name}: out of order")
    ours = {line for wanted in scene.lines.values() for line in wanted}
    strange = [line for line in lines if line not in ours and not line.startswith(b"foreign")]
    if strange and b"foreign" not in before:
        problems.append(f"{len(strange)} strange, first {strange[0][:40]!r}")
    whole = [line for line in before.splitlines(keepends=True) if line.startswith(b"foreign")]
    problems += [f"{line!r} is gone" for line in whole if line.endswith(b"\n") and line not in got]
    return problems


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_power_cut_costs_and_doubles_nothing(scenario: str) -> None:
    os.mkdir("work")
    os.chdir("work")
    scene, disk = Scene(), Disk()
    disk.output = "m"
    asyncio.run(SCENARIOS[scenario](scene, disk))
    last = disk.time
    chance = random.Random(zlib.crc32(scenario.encode()))
    problems = []
    holes = behind = 0
    cuts = 0
    while cuts < CUTS or (not holes and cuts < 10 * CUTS):
        cuts += 1
        at = chance.randrange(1, last)
        state = disk.after_cut(at, chance)
        restore(state)
        before = state.get("m", b"")
        if "m.tailmerge" not in state and before:
            problems.append(f"cut at {at}: written before the state was there")
        holes += b"\0" in before
        behind += len(before) > 0
        try:
            asyncio.run(scene.run(Rebooted()))
            found = check(scene, before)
        except Exception as error:
            found = [repr(error)]
        problems += [f"cut at {at} of {last}: {problem}" for problem in found]
    assert problems == []
    assert holes, "no cut left a hole"
    assert behind > CUTS / 4


@pytest.mark.parametrize("length", [None, 0.5, 0])
def test_an_output_that_can_only_be_written_goes_on_by_its_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: float | None
) -> None:
    """Old symptom: every later run ended with an error that blamed the state."""

    class WriteOnly(System):
        left = 10**9

        def open(self, path: str, flags: int, mode: int = 0o600) -> int:
            if path == "m" and flags & os.O_ACCMODE == os.O_RDWR and not flags & os.O_CREAT:
                raise PermissionError
            return super().open(path, flags, mode)

        def write(self, fd: int, data: Any) -> int:
            self.left -= 1
            if not self.left:
                os._exit(9)
            return super().write(fd, data)

    def merge(system: System) -> None:
        how = {"once": True, "state_path": "s", "fsync": True}
        asyncio.run(run_fully_async(["a"], 0.01, "m", system=system, **how))  # type: ignore[arg-type]

    monkeypatch.chdir(tmp_path)
    lines = [b"%06d %s\n" % (n, b"x" * 90) for n in range(30_000)]
    Path("a").write_bytes(b"".join(lines[:10]))
    Path("m").write_bytes(b"")
    merge(WriteOnly())
    Path("a").write_bytes(b"".join(lines))
    pid = os.fork()
    if pid == 0:
        try:
            dying = WriteOnly()
            dying.left = 3
            merge(dying)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    boot = System().boot().encode()
    Path("s").write_bytes(Path("s").read_bytes().replace(boot, b"another" + boot[7:]))
    if length is not None:
        os.truncate("m", int(os.path.getsize("m") * length))
    merge(WriteOnly())
    merged = Path("m").read_bytes().splitlines(keepends=True)
    assert merged[-1] == lines[-1]
    if length is None:
        assert merged == lines
