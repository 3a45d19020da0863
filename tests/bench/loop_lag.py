"""How long tailmerge keeps the main event loop waiting, beside a run with blocking calls.

    python tests/bench/loop_lag.py [--size BYTES]

A heartbeat sleeps a millisecond at a time on the main loop and notes how late it wakes up.
Beside it run_fully_async merges a backlog into a file, and into a named pipe whose reader
stalls for two seconds; then the same is done by coroutines that read and write on the loop
itself. Aim: p99 under 3 ms, max under 15 ms.

A beat that comes late keeps others from being due: they are counted with the lateness that
they would have had, so that the percentiles are shares of the time. The last column is how
late a heartbeat in a process of its own was meanwhile: what the machine itself adds.
Everything is made in the temporary directory and removed again.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from tailmerge import NoNewData, readline, run_fully_async

GIB = 1 << 30
INPUTS = 4
SORTED = GIB // 4
"""Bytes to sort, at most."""
ONE_FORMAT = ("%Y-%m-%dT%H:%M:%S.SSSZ",) * INPUTS
FORMATS = (
    *("%Y-%m-%dT%H:%M:%S.SSSZ", "%Y-%m-%d %H:%M:%S,SSS", "%b %d %H:%M:%S host app[SSS]:"),
    "10.0.0.1 - - [%d/%b/%Y:%H:%M:%S +0000]",
)
BEAT = 0.001
STALL = 2.0
LINE = b"2026-11-23T12:00:00.000+0000 INFO worker: a line of a log, about as long as most\n"

READER = f"""
import os, sys, time
fd = os.open(sys.argv[1], os.O_RDONLY)
left = int(sys.argv[2])
while left > 0 and (data := os.read(fd, 1 << 16)):
    left -= len(data)
time.sleep({STALL})
while os.read(fd, 1 << 16):
    pass
"""
"""Takes so many bytes from a pipe, stalls, and takes the rest."""

ELSEWHERE = f"""
import sys, time
worst = 0.0
while True:
    begin = time.perf_counter()
    time.sleep({BEAT})
    late = time.perf_counter() - begin - {BEAT}
    if late > worst:
        worst = late
        print(worst, flush=True)
"""
"""Says its worst lateness so far, whenever that grows."""

Merge = Callable[[list[Path], Path], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Lag:
    """How late the heartbeat was, in seconds, over a whole run."""

    beats: list[float]
    seconds: float
    elsewhere: float
    """The worst of a heartbeat in another process."""

    def shares(self) -> tuple[float, float, float]:
        """p50, p99 and the worst, in seconds."""
        due = sorted(_with_those_not_due(self.beats))
        p50, p99 = (due[min(len(due) - 1, int(len(due) * share))] for share in (0.5, 0.99))
        return p50, p99, due[-1]

    def __str__(self) -> str:
        p50, p99, worst = (value * 1000 for value in self.shares())
        return (
            f"{p50:9.2f} {p99:9.2f} {worst:9.2f} {len(self.beats):8} {self.seconds:8.1f}"
            f" {self.elsewhere * 1000:10.2f}"
        )


def _with_those_not_due(beats: list[float]) -> Iterator[float]:
    for late in beats:
        while late > BEAT:
            yield late
            late -= BEAT
        yield late


async def merge_with_tailmerge(inputs: list[Path], output: Path) -> None:
    await run_fully_async(inputs, 0.1, output, once=True)


async def sort_with_tailmerge(inputs: list[Path], output: Path) -> None:
    await run_fully_async(inputs, 0.1, output, once=True, sort=True, utc=True)


async def merge_on_the_loop(inputs: list[Path], output: Path) -> None:
    """What one writes first: open, read, write and close right in the coroutines."""
    with open(output, "ab") as out:  # noqa: ASYNC230 - blocking is what is measured
        async with asyncio.TaskGroup() as group:
            for path in inputs:
                group.create_task(_tail_on_the_loop(path, out))


async def _tail_on_the_loop(path: Path, out: BinaryIO) -> None:
    with open(path, "rb") as handle:  # noqa: ASYNC230 - blocking is what is measured
        while True:
            try:
                line = readline(handle)
            except NoNewData:
                return
            out.write(line)


async def wait(inputs: list[Path], output: Path) -> None:
    await asyncio.sleep(1)


async def measure(merge: Merge, inputs: list[Path], output: Path) -> Lag:
    beats: list[float] = []
    elsewhere = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ELSEWHERE, stdout=subprocess.PIPE
    )
    heart = asyncio.create_task(_beat(beats))
    await asyncio.sleep(0.1)
    begin = time.perf_counter()
    await merge(inputs, output)
    seconds = time.perf_counter() - begin
    await asyncio.sleep(10 * BEAT)  # a beat that is late now still counts
    heart.cancel()
    elsewhere.kill()
    said, _ = await elsewhere.communicate()
    return Lag(beats, seconds, float(said.split()[-1]))


async def _beat(beats: list[float]) -> None:
    while True:
        begin = time.perf_counter()
        await asyncio.sleep(BEAT)
        beats.append(time.perf_counter() - begin - BEAT)


def make_inputs(folder: Path, size: int) -> list[Path]:
    """A backlog of `size` bytes in `INPUTS` files."""
    block = LINE * (len(LINE) * 128)
    paths = []
    for number in range(INPUTS):
        path = folder / f"input{number}.log"
        with path.open("wb") as file:
            while file.tell() < size // INPUTS:
                file.write(block)
        paths.append(path)
    os.sync()  # writing the inputs back is not what is measured
    return paths


def make_timed_inputs(folder: Path, size: int, formats: Sequence[str]) -> list[Path]:
    """The same with times that go forward, each file's by its own strftime format."""
    paths = []
    for number, form in enumerate(formats):
        path = folder / f"timed{number}-{len(set(formats))}.log"
        at = datetime(2026, 11, 23, tzinfo=UTC)
        with path.open("w") as file:
            while file.tell() < size // len(formats):
                at += timedelta(seconds=1)
                head = at.strftime(form)
                lines = (head.replace("SSS", f"{n:03}") for n in range(number, 1000, 5))
                file.write(
                    "".join(f"{line} INFO worker: a line of a log, as most\n" for line in lines)
                )
        paths.append(path)
    os.sync()
    return paths


def into_file(merge: Merge, inputs: list[Path], folder: Path) -> Lag:
    output = folder / "merged.log"
    try:
        lag = asyncio.run(measure(merge, inputs, output))
        if merge is not wait:
            assert output.stat().st_size == sum(path.stat().st_size for path in inputs)
        return lag
    finally:
        output.unlink(missing_ok=True)


def into_stalled_pipe(merge: Merge, inputs: list[Path], folder: Path) -> Lag:
    output = folder / "pipe"
    os.mkfifo(output)
    taken = sum(path.stat().st_size for path in inputs) // 2
    reader = subprocess.Popen([sys.executable, "-c", READER, output, str(taken)])
    try:
        lag = asyncio.run(measure(merge, inputs, output))
        assert lag.seconds > STALL
        return lag
    finally:
        reader.kill()
        reader.wait()
        output.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", metavar="BYTES", type=int, default=GIB, help="of the backlog")
    size = parser.parse_args().size
    with tempfile.TemporaryDirectory(prefix="loop_lag.") as name:
        folder = Path(name)
        inputs = make_inputs(folder, size)
        print(f"loop lag in ms, {size / GIB:.2f} GiB in {INPUTS} files")
        columns = "".join(f"{name:>10}" for name in ("p50", "p99", "max"))
        print(f"{'':37}{columns} {'beats':>8} {'seconds':>8} {'elsewhere':>10}")
        rows = (
            ("nothing beside the heartbeat", into_file, wait),
            ("backlog to a file, tailmerge", into_file, merge_with_tailmerge),
            ("backlog to a file, blocking calls", into_file, merge_on_the_loop),
            ("reader stalls for 2 s, tailmerge", into_stalled_pipe, merge_with_tailmerge),
            ("reader stalls for 2 s, blocking calls", into_stalled_pipe, merge_on_the_loop),
        )
        for title, run, merge in rows:
            print(f"{title:38} {run(merge, inputs, folder)}", flush=True)
        for title, formats in (("one format", ONE_FORMAT), ("mixed formats", FORMATS)):
            inputs = make_timed_inputs(folder, min(size, SORTED), formats)
            lag = into_file(sort_with_tailmerge, inputs, folder)
            print(f"{'--sort, ' + title + ', tailmerge':38} {lag}", flush=True)


if __name__ == "__main__":
    main()
