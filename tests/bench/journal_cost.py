"""What the journal adds to one batch of live lines."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial

from harness import Aim, Bench, Outcome, Table, in_turn, say

from tailmerge.batch import Span, lines_batch
from tailmerge.journal import Journal
from tailmerge.state import State
from tailmerge.system import System

LINES = b"2026-11-23T12:00:00.000 INFO worker: a line of a log, about as long as most\n" * 3


def measure(bench: Bench) -> Outcome:
    count = bench.pick(3000, 3000, 50)
    with bench.place() as folder:
        say("  a batch")
        system = System()
        journal = Journal(str(folder / "state"), system)
        journal.checkpoint(State())
        fd = os.open(folder / "out", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        batch = lines_batch(LINES, (Span(1, 0, len(LINES), LINES[-64:]),))

        def write() -> None:
            system.write(fd, LINES)

        def announce_and_write() -> None:
            journal.announce(batch, 0)
            system.write(fd, LINES)

        runs = {
            "write": partial(_each, write, count),
            "announce and write": partial(_each, announce_and_write, count),
        }
        took = {name: min(found) * 1e6 for name, found in in_turn(15, runs).items()}
        journal.close()
        os.close(fd)
    added = took["announce and write"] - took["write"]
    rows = [[name, f"{value:.2f}"] for name, value in took.items()]
    table = Table(
        "A batch of three lines", ["", "us"], [*rows, ["the journal adds", f"{added:.2f}"]]
    )
    table.note = "The quickest of 15 rounds: what else the machine does is not the journal's."
    return Outcome([table], [Aim("the journal, a live batch", added, 5, "us")])


def _each(act: Callable[[], None], count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        act()
    return (time.perf_counter() - begin) / count
