"""How long a lone line takes from its append until it can be read in the output."""

from __future__ import annotations

import os
import random
import time
from functools import partial
from pathlib import Path

from harness import Aim, Bench, Outcome, Table, Unmeasured, eventually, in_turn, say, share, size_of
from peers import BOOK, FOLLOWERS, POLLING, WATCHING, Peer, following

PAUSE = (0.05, 0.15)
"""Seconds between two lines, at random."""

LOOK = 0.0001
"""Seconds between two looks at the output: what is seen is at most so late."""


def measure(bench: Bench) -> Outcome:
    outcome = Outcome()
    count = bench.pick(50, 30, 3)
    peers = [peer for peer in FOLLOWERS if peer is not BOOK]
    outcome.skipped += [f"{peer.name}: {peer.missing}" for peer in peers if peer.missing]
    outcome.skipped.append("the book's code: its output is buffered, a lone line stays in it")
    say(f"  {count} lone lines each")
    runs = {peer.name: partial(_delays, bench, peer, count) for peer in peers if not peer.missing}
    results = {
        name: [delay for delays in found for delay in delays]
        for name, found in in_turn(bench.pick(4, 1, 1), runs).items()
    }
    rows = [
        [name, f"{share(found, 0.5) * 1000:.2f}", f"{share(found, 0.99) * 1000:.2f}",
         f"{max(found) * 1000:.2f}", str(len(found))]
        for name, found in results.items()
        if found
    ]  # fmt: skip
    columns = ["", "p50 ms", "p99 ms", "max ms", "lines"]
    outcome.tables.append(Table("A lone line, from its append to its being visible", columns, rows))
    if watching := results.get(WATCHING.name):
        outcome.aims += [
            Aim("latency with the extra, p50", share(watching, 0.5) * 1000, 1, "ms"),
            Aim("latency with the extra, p99", share(watching, 0.99) * 1000, 5, "ms"),
        ]
    if polling := results.get(POLLING.name):
        outcome.aims.append(Aim("latency by polling, p99", share(polling, 0.99) * 1000, 105, "ms"))
    outcome.figures["latency"] = {name: found for name, found in results.items() if found}
    return outcome


def _delays(bench: Bench, peer: Peer, count: int) -> list[float]:
    chance = random.Random(count)
    with bench.place() as folder:
        path, output = folder / "app.log", folder / "merged.log"
        path.write_bytes(b"2026-11-23T12:00:00.000 the first line\n")
        with following(peer, folder, [path], output), path.open("ab", buffering=0) as file:
            eventually(lambda: size_of(output) > 0, 10, "the first line is merged")
            time.sleep(0.5)
            return [_delay(file.fileno(), output, n, chance) for n in range(count)]


def _delay(fd: int, output: Path, number: int, chance: random.Random) -> float:
    time.sleep(chance.uniform(*PAUSE))
    line = b"2026-11-23T12:00:00.000 a lone line %06d\n" % number
    before = output.stat().st_size
    begin = time.perf_counter()
    os.write(fd, line)
    while output.stat().st_size == before:
        time.sleep(LOOK)
        if time.perf_counter() > begin + 10:
            raise Unmeasured("a line was not merged within 10 s")
    took = time.perf_counter() - begin
    if not output.read_bytes().endswith(line):
        raise Unmeasured("what appeared was not the line")
    return took
