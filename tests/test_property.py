"""The promise as one property: random programs of what writers and rotation do.

Each program runs against real files and the real run; a small model keeps what each file
held, in order. At the end the output must hold every line once, whole, and each file's
lines in their order. A step that destroys what was not read yet waits until it is.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailmerge import run_fully_async
from tailmerge.report import Report

ROTATE_WAIT = 0.05
"""Seconds: short, so that files are let go of and opened again within a program."""

LONGEST_SECONDS = 30
"""How long a line may take to the output: a machine may do much else."""

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["append", "half", "rename", "late", "truncate", "delete", "swap", "glob", "settle"]
        ),
        st.integers(0, 1),
        st.integers(1, 3),
    ),
    min_size=4,
    max_size=16,
)


class Content:
    """The lines that one file holds, finished ones and the one that is not."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.open = b""

    def add(self, data: bytes) -> None:
        *whole, self.open = (self.open + data).split(b"\n")
        self.lines += whole

    def end(self) -> None:
        """The file is cut or gone: its unfinished line ends here."""
        if self.open:
            self.add(b"\n")


class Program:
    """The files, the model of them, and the steps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "merged"
        self.numbers = itertools.count()
        self.contents: list[Content] = []
        self.live: dict[str, Content] = {}
        self.rotated: dict[str, list[Content]] = {"0.log": [], "1.log": []}
        self.targets: dict[str, Content] = {}
        for name in ("0.log", "1.log"):
            self.create(name)
        for name in ("target-0", "target-1"):
            self.targets[name] = self.new()
            (folder / name).touch()
        (folder / "link.log").symlink_to("target-0")
        (folder / "pace.log").touch()
        self.pace = self.new()

    def new(self) -> Content:
        content = Content()
        self.contents.append(content)
        return content

    def create(self, name: str) -> None:
        (self.folder / name).touch()
        self.live[name] = self.new()

    def write(self, path: str, content: Content, data: bytes) -> None:
        with open(self.folder / path, "ab") as file:
            file.write(data)
        content.add(data)

    def text(self, count: int) -> bytes:
        return b"".join(self.line(b"line %d\r\n") for _ in range(count))

    def line(self, text: bytes) -> bytes:
        """With a time in front: by time every line comes after the ones before it."""
        number = next(self.numbers)
        return b"2026-11-23 12:%02d:%02d.000 " % divmod(number, 60) + text % number

    async def until_written(self, lines: set[bytes]) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LONGEST_SECONDS
        while missing := lines - self.written():
            assert loop.time() < deadline, f"never came: {missing}"
            await asyncio.sleep(0.005)

    def written(self) -> set[bytes]:
        return set(self.output.read_bytes().split(b"\n")) if self.output.exists() else set()

    async def until_read(self) -> None:
        """What is there is read, half lines included: the next step may destroy it."""
        await self.until_written({line for c in self.contents for line in c.lines})
        if any(content.open for content in self.contents):
            await self.settle()

    async def settle(self) -> None:
        """Several sweeps pass: a line goes through another input after each."""
        for _ in range(4):
            line = self.text(1)
            self.write("pace.log", self.pace, line)
            await self.until_written({line[:-1]})

    async def step(self, verb: str, which: int, count: int) -> None:
        name = f"{which}.log"
        content = self.live.get(name)
        if content is None and verb in ("append", "half", "truncate", "rename"):
            self.create(name)
            content = self.live[name]
        match verb:
            case "append":
                self.write(name, self.live[name], self.text(count))
            case "half":
                self.write(name, self.live[name], self.line(b"half %d "))
            case "rename":
                await self.rename(name, count)
            case "late" if self.rotated[name]:
                self.write(f"{name}.1", self.rotated[name][-1], self.text(count))
            case "truncate":
                await self.until_read()
                os.truncate(self.folder / name, 0)
                self.live[name].end()
                self.live[name] = self.new()
                if count > 1:
                    self.write(name, self.live[name], self.text(count))
            case "delete" if content:
                await self.until_read()
                (self.folder / name).unlink()
                content.end()
                del self.live[name]
            case "swap":
                await self.until_read()
                link = self.folder / "new"
                link.symlink_to(f"target-{which}")
                link.rename(self.folder / "link.log")
                target = f"target-{which}"
                self.write(target, self.targets[target], self.text(count))
            case "glob":
                new = f"glob-{next(self.numbers)}.log"
                self.create(new)
                self.write(new, self.live[new], self.text(count))
            case "settle":
                await self.until_read()

    async def rename(self, name: str, count: int) -> None:
        """Rotate as logrotate does, with a new file at once or a little later."""
        rotated = self.rotated[name]
        for number in range(len(rotated), 0, -1):
            (self.folder / f"{name}.{number}").rename(self.folder / f"{name}.{number + 1}")
        (self.folder / name).rename(self.folder / f"{name}.1")
        if rotated:
            rotated[-1].end()
        rotated.append(self.live.pop(name))
        if count > 1:
            self.create(name)
            self.write(name, self.live[name], self.text(count))


def check(program: Program) -> None:
    got = program.output.read_bytes()
    assert got.endswith(b"\n") or not got
    lines = got.split(b"\n")[:-1]
    want = [line for content in program.contents for line in content.lines]
    assert sorted(lines) == sorted(want)
    place = {line: index for index, line in enumerate(lines)}
    for content in program.contents:
        places = [place[line] for line in content.lines]
        assert places == sorted(places), "out of order within one file"


@pytest.mark.timeout(300)
@settings(
    max_examples=int(os.environ.get("TAILMERGE_TEST_EXAMPLES", "15")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@pytest.mark.parametrize("sort", [False, True], ids=["as they come", "by time"])
@given(steps=STEPS)
def test_every_line_comes_out_once_whole_and_in_order_whatever_happens_to_the_files(
    sort: bool, steps: list[tuple[str, int, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run_program(Program(Path(folder)), steps, sort))


async def run_program(program: Program, steps: list[tuple[str, int, int]], sort: bool) -> None:
    folder = program.folder
    said: list[str] = []
    inputs = [str(folder / name) for name in ("0.log", "1.log", "link.log", "pace.log")]
    life = await asyncio.to_thread(subprocess.Popen, ["sleep", "300"])
    run = asyncio.create_task(
        run_fully_async(
            [*inputs, str(folder / "glob-*.log")],
            0.005,
            program.output,
            rotate_wait=ROTATE_WAIT,
            pid=life.pid,
            sort=sort,
            window=0.02,
            report=Report(said.append, verbose=True),
        )
    )
    try:
        for name in ("0.log", "1.log"):
            program.write(name, program.live[name], program.text(1))
        program.write("target-0", program.targets["target-0"], program.text(1))
        await program.until_read()  # what is rotated before the first look is passed over
        await program.settle()
        for verb, which, count in steps:
            await program.step(verb, which, count)
        link = os.readlink(folder / "link.log")
        program.write(link, program.targets[link], b"last\n")
    finally:
        life.kill()
        life.wait()
        await run
    for content in program.contents:
        content.end()
    check(program)
