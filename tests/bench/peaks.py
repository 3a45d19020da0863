"""The most memory that a one-shot run takes, by the backlog and by the length of its lines."""

from __future__ import annotations

from pathlib import Path

from harness import GIB, MIB, TAILMERGE, Aim, Bench, Outcome, Table, Unmeasured, in_turn, run, say
from load import make_backlog


def _lines(path: Path, length: int, size: int) -> None:
    """Lines of `length` bytes with their newline, together `size` bytes."""
    block = min(length, MIB)
    with path.open("wb") as file:
        for _ in range(size // length):
            for _ in range(length // block - 1):
                file.write(b"x" * block)
            file.write(b"x" * (block + length % block - 1) + b"\n")


def measure(bench: Bench) -> Outcome:
    much = bench.pick(GIB, 256 * MIB, 2 * MIB)
    cases = {
        "nothing": (1, 0),
        "empty lines": (1, min(much, 64 * MIB)),
        "lines of 100 bytes, 10 MiB": (100, 10 * MIB),
        f"lines of 100 bytes, {much // MIB} MiB": (100, much),
        "lines of 1 MiB": (MIB, min(much, 256 * MIB)),
        "one line of 300 MiB": (300 * MIB, 300 * MIB),
        "one line of 1 GiB": (GIB, GIB),
    }
    if bench.quick or bench.tiny:
        cases.popitem()
    if bench.tiny:
        cases.popitem()
    rows, worst = [], 0.0
    for title, (length, size) in cases.items():
        if not bench.has_room(3 * size):
            raise Unmeasured("there is not enough room on the disk")
        say(f"  {title}")
        peak = in_turn(1, {title: lambda c=(length, size): _peak(bench, *c)})[title]  # type: ignore[misc]
        rows.append([title, f"{peak[0]:.1f}" if peak else "failed"])
        worst = max(worst, peak[0] if peak else float("inf"))
    table = Table("Peak memory of a one-shot run, journal on", ["", "MiB"], rows)
    return Outcome([table], [Aim("peak memory, the worst of all cases", worst, 60, "MiB")])


def _peak(bench: Bench, length: int, size: int) -> float:
    with bench.place() as folder:
        path, output = folder / "app.log", folder / "merged.log"
        if length == 100:
            make_backlog(folder, size, 1)[0].rename(path)
        else:
            _lines(path, length, size)
        cost = run([*TAILMERGE, "--once", path, "-o", output], watch=True)
        if path.stat().st_size != output.stat().st_size:
            raise Unmeasured("the output has the wrong size")
        return cost.peak
