"""A steady load: 200,000 lines a second in 8 files. What it costs, and how late lines come."""

from __future__ import annotations

import bisect
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness import (
    HERE,
    Aim,
    Bench,
    Outcome,
    Table,
    cpu_seconds,
    eventually,
    in_turn,
    median,
    say,
    share,
    size_of,
)
from peers import FOLLOWERS, POLLING, TAIL, WATCHING, Peer, following

FILES = 8
RATE = 200_000
LOOK = 0.001
"""Seconds between two looks at the output's size."""

GRACE = 1.0
"""Seconds after the last line; what is not merged by then was not kept up with."""


@dataclass(frozen=True, slots=True)
class Run:
    forwarded: float
    """Share of the lines that were merged in time."""
    exact: bool
    """Of what was merged: each line once, whole, in its file's order."""
    cpu: float
    """Seconds of the processor for each second of the load."""
    p50: float
    p99: float


def measure(bench: Bench) -> Outcome:
    outcome = Outcome()
    seconds = bench.pick(7.0, 4.0, 0.3)
    rate = bench.pick(RATE, RATE, 10_000)
    outcome.skipped += [f"{peer.name}: {peer.missing}" for peer in FOLLOWERS if peer.missing]
    say(f"  {rate} lines/s in {FILES} files for {seconds:g} s")
    runs = {
        peer.name: partial(_run, bench, peer, rate, seconds)
        for peer in FOLLOWERS
        if not peer.missing
    }
    results = in_turn(bench.pick(2, 1, 1), runs)
    cost = {name: median([run.cpu for run in found]) for name, found in results.items() if found}
    late = {name: median([run.p99 for run in found]) for name, found in results.items() if found}
    rows = []
    for name, found in results.items():
        if not found:
            outcome.skipped.append(f"{name}: did not follow this load")
            continue
        rows.append([
            name,
            f"{median([run.forwarded for run in found]):.1%}",
            "yes" if all(run.exact for run in found) else "no",
            f"{cost[name]:.2f}",
            f"{cost[name] * 15:.1f}",
            f"{median([run.p50 for run in found]) * 1000:.1f}",
            f"{late[name] * 1000:.1f}",
        ])  # fmt: skip
    columns = ["", "merged in time", "exact", "cores", "CPU s in 15 s", "p50 ms", "p99 ms"]
    note = (
        f"In time: at most {GRACE:g} s after the last line was written. Exact: each line that"
        " was merged is whole, there once, and in its file's order. The delay is of merged lines."
    )
    outcome.tables.append(Table(f"{rate:,} lines/s in {FILES} files", columns, rows, note))
    outcome.figures |= {"sustained_cpu": cost, "sustained_p99": late}
    for peer in (WATCHING, POLLING):
        if peer.name in cost:
            _add_aims(outcome, peer.name, results[peer.name], cost, late)
    return outcome


def _add_aims(
    outcome: Outcome,
    name: str,
    found: list[Run],
    cost: dict[str, float],
    late: dict[str, float],
) -> None:
    merged = min(run.forwarded if run.exact else 0.0 for run in found)
    outcome.aims.append(Aim(f"{name}, steady load, merged in time", merged, 1.0, at_least=True))
    if TAIL.name in cost:
        outcome.aims.append(
            Aim(f"{name}, steady load, CPU / tail -F", cost[name] / max(cost[TAIL.name], 0.01), 1.5)
        )
    if name == WATCHING.name:
        outcome.aims.append(Aim(f"{name}, steady load, p99", late[name] * 1000, 20, "ms"))


def _run(bench: Bench, peer: Peer, rate: int, seconds: float) -> Run:
    with bench.place() as folder:
        paths = [folder / f"input{number}.log" for number in range(FILES)]
        output = folder / "merged.log"
        for path in paths:
            path.write_bytes(b"0 first\n")
        with following(peer, folder, paths, output) as process:
            eventually(lambda: size_of(output) > 0 or peer.name == "the book's code", 10, "a start")
            time.sleep(0.5)
            before = cpu_seconds(process.pid)
            words = [HERE / "steady.py", folder, str(FILES), str(rate), str(seconds)]
            with subprocess.Popen(
                [sys.executable, *map(str, words)], stdout=subprocess.PIPE, text=True
            ) as writer:
                looks = _look(writer, output, paths)
                assert writer.stdout
                written = int(writer.stdout.read())
            cpu = (cpu_seconds(process.pid) - before) / seconds
        return _judge(output, looks, written, cpu)


def _look(writer: subprocess.Popen[str], output: Path, paths: list[Path]) -> list[tuple[int, int]]:
    """How long the output was when, until all is there or the time is over."""
    looks, ended, size = [(time.monotonic_ns(), size_of(output))], 0.0, -1
    while not ended or (time.monotonic() < ended + GRACE and size < _total(paths)):
        if not ended and writer.poll() is not None:
            ended = time.monotonic()
        if (now := size_of(output)) != size:
            size = now
            looks.append((time.monotonic_ns(), size))
        time.sleep(LOOK)
    return looks


def _total(paths: list[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def _judge(output: Path, looks: list[tuple[int, int]], written: int, cpu: float) -> Run:
    """Count what was there at the last look; each line's delay is that of the first look
    at which the output was long enough to hold it."""
    sizes = [size for _, size in looks]
    following = [0] * FILES
    delays, exact, merged, place = [], True, 0, 0
    with output.open("rb") as lines:
        for line in lines:
            place += len(line)
            if place > sizes[-1]:
                break
            if line == b"0 first\n":
                continue
            try:
                stamp, writer, number, _ = line.split(b" ", 3)
                file, sequence, stamped = int(writer[1:]), int(number), int(stamp)
                exact = exact and following[file] == sequence and line.endswith(b"longer\n")
            except (ValueError, IndexError):
                exact = False
                continue
            following[file] = sequence + 1
            merged += 1
            if merged % 10 == 0:
                delays.append(looks[bisect.bisect_left(sizes, place)][0] - stamped)
    share_of = merged / (written * FILES)
    return Run(share_of, exact, cpu, share(delays, 0.5) / 1e9, share(delays, 0.99) / 1e9)
