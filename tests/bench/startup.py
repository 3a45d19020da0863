"""A one-shot run that has nothing new to merge, beside what the interpreter needs anyway."""

from __future__ import annotations

import sys
from functools import partial

from harness import TAILMERGE, Aim, Bench, Outcome, Table, in_turn, median, run, say


def measure(bench: Bench) -> Outcome:
    with bench.place() as folder:
        path, output = folder / "app.log", folder / "merged.log"
        path.write_bytes(b"a line\n" * 100)
        once = [*TAILMERGE, "--once", path, "-o", output]
        run(once)
        runs = {
            "python -c pass": partial(run, [sys.executable, "-c", "pass"]),
            "python -c 'import click, asyncio'": partial(
                run, [sys.executable, "-c", "import click, asyncio"]
            ),
            "tailmerge --once, no news": partial(run, once),
        }
        say("  start-up")
        results = in_turn(bench.pick(25, 15, 2), runs)
    took = {name: median([cost.seconds for cost in found]) for name, found in results.items()}
    _, base, ours = took.values()
    rows = [[name, f"{s * 1000:.0f}", f"{s / base:.2f}"] for name, s in took.items()]
    columns = ["", "ms", "/ click and asyncio"]
    outcome = Outcome([Table("Start-up", columns, rows)], figures={"startup": took})
    outcome.aims.append(
        Aim("a no-news --once / the interpreter with click, asyncio", ours / base, 1.2)
    )
    return outcome
