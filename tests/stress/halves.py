"""Many writers, each line in two halves: nothing may come between them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from stress.programs import running, tail, tailmerge, write
from stress.verify import Verdict, verify
from stress.writers import halves_paths

WRITERS = 8


@dataclass(frozen=True, slots=True)
class Result:
    verdict: Verdict
    seconds: float
    """From the first write to the end of the program."""


def merge_halves(folder: Path, lines: int, *ending: str) -> Result:
    """`lines` lines in all through tailmerge; without `ending` until the writers have gone."""
    merged = folder / "merged.log"
    begin = time.monotonic()
    with running(write("halves", folder, str(WRITERS), str(lines // WRITERS))) as load:
        words = ending or ("--pid", str(load.pid))
        with tailmerge(folder, *halves_paths(folder, WRITERS), "-o", merged, *words) as merge:
            assert load.wait(300) == 0
            merge.wait(300)
    seconds = time.monotonic() - begin
    return Result(verify(merged, _counts(lines)), seconds)


def tail_halves(folder: Path, lines: int) -> Result:
    """The same load through `tail -q -F`."""
    merged = folder / "tail.log"
    paths = halves_paths(folder, WRITERS)
    for path in paths:
        path.touch()
    begin = time.monotonic()
    with (
        tail(merged, paths),
        running(write("halves", folder, str(WRITERS), str(lines // WRITERS))) as load,
    ):
        assert load.wait(300) == 0
    seconds = time.monotonic() - begin
    return Result(verify(merged, _counts(lines)), seconds)


def _counts(lines: int) -> dict[int, int]:
    return dict.fromkeys(range(WRITERS), lines // WRITERS)
