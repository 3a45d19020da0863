"""Many inputs at rest: what they cost, and how soon all of them are followed."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from harness import (
    Aim,
    Bench,
    Outcome,
    Table,
    Unmeasured,
    cpu_seconds,
    eventually,
    in_turn,
    median,
    memory,
    say,
    size_of,
)
from peers import OURS, POLLING, RSYSLOG, SYSLOG_NG, TAIL, WATCHING, Peer, following, tailmerge

FIRST = b"2026-11-23T12:00:00.000 a first line\n"
SETTLE = 8.0
"""Seconds from when all is followed until it counts as rest: what was there at the start is
looked at once more after the time that a rotated file is waited for."""

LAST = b"2026-11-23T12:00:01.000 the last line\n"


def _by_pattern(folder: Path, inputs: list[Path], output: Path) -> list[str | Path]:
    return tailmerge(folder, [folder / "in*.log"], output)


WORDS = replace(POLLING, name="tailmerge, polling, each input a word")
PATTERNS = tuple(replace(peer, follow=_by_pattern) for peer in OURS)


@dataclass(frozen=True, slots=True)
class Rest:
    cpu: float
    """Share of a core."""
    memory: float
    """MiB."""
    follows: float
    """Seconds from the start until a line that was appended to the last file right after
    it is in the output."""


def measure(bench: Bench) -> Outcome:
    outcome = Outcome(figures={"idle": {}})
    peers = [peer for peer in (*PATTERNS, WORDS, TAIL, RSYSLOG, SYSLOG_NG) if not peer.missing]
    for inputs in bench.pick((100, 1000, 10_000), (100, 10_000), (10, 20)):
        say(f"  {inputs} inputs")
        runs = {peer.name: partial(_rest, bench, peer, inputs) for peer in peers}
        rounds = 1 if inputs > 1000 or bench.quick else bench.pick(2, 1, 1)
        found = {
            name: Rest(*(median([getattr(rest, f) for rest in rests]) for f in Rest.__slots__))
            for name, rests in in_turn(rounds, runs).items()
            if rests
        }
        outcome.skipped += [
            f"{name} with {inputs} inputs: did not follow them all"
            for name in runs
            if name not in found
        ]
        outcome.figures["idle"][str(inputs)] = {
            name: [rest.cpu, rest.memory, rest.follows] for name, rest in found.items()
        }
    _tabulate(outcome)
    _add_aims(outcome)
    return outcome


def _tabulate(outcome: Outcome) -> None:
    least = {name: rest[1] for name, rest in next(iter(outcome.figures["idle"].values())).items()}
    fewest = int(next(iter(outcome.figures["idle"])))
    columns = ["", "% of a core", "MiB", "KB an input", "follows after s"]
    for inputs, found in outcome.figures["idle"].items():
        rows = []
        for name, (cpu, mib, follows) in found.items():
            more = (mib - least.get(name, 0)) * 1024 / max(1, int(inputs) - fewest)
            each = f"{more:.1f}" if int(inputs) > fewest else ""
            rows.append([name, f"{cpu * 100:.2f}", f"{mib:.0f}", each, f"{follows:.2f}"])
        outcome.tables.append(Table(f"{int(inputs):,} inputs at rest", columns, rows))
    outcome.tables[-1].note = (
        f"An input's memory is what it takes more than with {fewest} inputs, over the inputs that"
        " are more. tailmerge gets them as one pattern in quotes, but for one row: Python keeps"
        " each word of a command line several times, in up to four bytes a character. An input"
        " follows when a line appended to the last file right after the start is in the output."
    )


def _add_aims(outcome: Outcome) -> None:
    """Of the largest number of inputs."""
    sizes = list(outcome.figures["idle"])
    most, fewest = outcome.figures["idle"][sizes[-1]], outcome.figures["idle"][sizes[0]]
    for peer in OURS:
        if peer.name not in most:
            continue
        cpu, mib, follows = most[peer.name]
        more = (mib - fewest[peer.name][1]) * 1024 / (int(sizes[-1]) - int(sizes[0]))
        limit = 0.5 if peer is WATCHING else 10
        head = f"{peer.name}, {int(sizes[-1]):,} inputs at rest"
        outcome.aims += [
            Aim(f"{head}, % of a core", cpu * 100, limit),
            Aim(f"{head}, KB an input", more, 3),
            Aim(f"{head}, follows after", follows, 3, "s"),
        ]


def _rest(bench: Bench, peer: Peer, inputs: int) -> Rest:
    with bench.place() as folder:
        paths = [folder / f"in{number:05}.log" for number in range(inputs)]
        for path in paths:
            path.write_bytes(FIRST)
        output = folder / "merged.txt"
        whole = inputs * len(FIRST) + len(LAST)
        begin = time.monotonic()
        with following(peer, folder, paths, output) as process:
            with paths[-1].open("ab") as file:
                file.write(LAST)
            patience = bench.pick(40, 20, 5)
            eventually(lambda: LAST in _read(output), patience, "the last line is merged")
            follows = time.monotonic() - begin
            eventually(lambda: size_of(output) == whole, patience / 2, "all is merged")
            time.sleep(bench.pick(SETTLE, SETTLE, 0.1))
            seconds = bench.pick(10.0 if inputs > 1000 else 5.0, 3.0, 0.3)
            since, before = time.monotonic(), cpu_seconds(process.pid)
            time.sleep(seconds)
            cpu = (cpu_seconds(process.pid) - before) / (time.monotonic() - since)
            if process.poll() is not None:
                raise Unmeasured("it ended")
            return Rest(cpu, memory(process.pid), follows)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
