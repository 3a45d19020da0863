"""How the time for a backlog grows with its size and with the number of its files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from backlog import Backlog
from harness import GIB, MIB, Bench, Outcome, Table, Unmeasured, in_turn, median, say
from load import make_backlog


def measure(bench: Bench) -> Outcome:
    outcome = Outcome()
    sizes = bench.pick((16, 64, 256, 1024, 2048), (4, 16, 64, 128), (1, 2))
    files = bench.pick((1, 10, 100, 1000, 5000), (1, 10, 100, 1000), (1, 10))
    much = bench.pick(256, 64, 1)
    if not bench.has_room(3 * GIB):
        raise Unmeasured("there is not enough room on the disk")
    by_size = {size: _merge(bench, size * MIB, 4) for size in sizes}
    by_files = {number: _merge(bench, much * MIB, number) for number in files}
    for title, found in (("MiB in 4 files", by_size), (f"files with {much} MiB", by_files)):
        rows = [
            [f"{key:,}", f"{cat:.3f}", f"{ours:.3f}", f"{ours / cat:.2f}"]
            for key, (cat, ours) in found.items()
        ]
        columns = [title, "cat s", "tailmerge --once s", "ratio"]
        outcome.tables.append(Table(f"A backlog, by the number of {title}", columns, rows))
    outcome.figures["by_size"] = {str(key): value for key, value in by_size.items()}
    outcome.figures["by_files"] = {str(key): value for key, value in by_files.items()}
    return outcome


def _merge(bench: Bench, size: int, files: int) -> tuple[float, float]:
    """Seconds of cat, and of tailmerge as a whole command."""
    say(f"  {size // MIB} MiB in {files} files")
    with bench.place() as folder:
        backlog = Backlog(folder, make_backlog(folder, size, files))
        runs: dict[str, Callable[[], float]] = {
            "cat": partial(backlog.shell, 'exec cat "$@"'),
            "tailmerge": backlog.command,
        }
        found = in_turn(bench.pick(3, 3, 1), runs)
        return median(found["cat"]), median(found["tailmerge"])
