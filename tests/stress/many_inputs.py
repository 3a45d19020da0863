"""A thousand inputs by one pattern: what they cost at rest, and what must not be missed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from stress.programs import eventually, processor_seconds, tailmerge, wait_until_quiet
from stress.verify import Verdict, verify
from stress.writers import make_line


@dataclass(frozen=True, slots=True)
class Result:
    idle: float
    """Share of one core that the idle inputs cost."""
    merged: Verdict
    new: float
    """Seconds from the making of a new match to its lines in the output."""
    late: float
    """Seconds from a late line in a renamed file to the output."""


def merge_many(folder: Path, inputs: int, measured: float, late: float) -> Result:
    """`measured` is for how many seconds the cost is measured, `late` how late a line comes."""
    paths = [folder / f"input{number:04}.log" for number in range(inputs)]
    merged = folder / "merged"
    merged.touch()
    for number, path in enumerate(paths):
        path.write_bytes(make_line(number, 0))
    with tailmerge(folder, str(folder / "*.log"), "-o", merged) as merge:

        def wait_for(line: bytes) -> float:
            begin = time.monotonic()
            eventually(lambda: line in merged.read_bytes(), 20, f"{line!r} is merged")
            return time.monotonic() - begin

        wait_for(make_line(inputs - 1, 0))
        wait_until_quiet(merged, 2.0)
        idle = _measure(merge.process.pid, measured)

        (folder / "new.log").write_bytes(make_line(inputs, 0) + make_line(inputs, 1))
        new = wait_for(make_line(inputs, 1))

        renamed = paths[0].rename(f"{paths[0]}.1")
        paths[0].write_bytes(make_line(inputs + 1, 0))
        wait_for(make_line(inputs + 1, 0))
        time.sleep(late)  # the point of it: the file is no longer held open by now
        with renamed.open("ab") as file:
            file.write(make_line(0, 1))
        delay = wait_for(make_line(0, 1))
        merge.stop()
    counts = dict.fromkeys(range(inputs + 2), 1) | {0: 2, inputs: 2}
    return Result(idle, verify(merged, counts), new, delay)


def _measure(pid: int, seconds: float) -> float:
    begin, before = time.monotonic(), processor_seconds(pid)
    time.sleep(seconds)
    return (processor_seconds(pid) - before) / (time.monotonic() - begin)
