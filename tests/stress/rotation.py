"""A log that is renamed and created anew again and again, with writers that are late to know."""

from __future__ import annotations

import json
import subprocess
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from stress.programs import eventually, running, tail, tailmerge, write
from stress.verify import Verdict, verify


@dataclass(frozen=True, slots=True)
class Result:
    merged: Verdict
    tail: Verdict | None
    """What `tail -F` made of the very same files."""
    lines: int
    generations: int


def merge_rotating(
    folder: Path, seconds: float, period: float, rate: int, scheme: str, *, beside_tail: bool
) -> Result:
    """Rotate every `period` seconds under `rate` lines a second; see writers.Rotator.

    `scheme` is what becomes of the old file: "shift" (.1, .2, ... .6, then deleted), "dated",
    or "single" (.1, the one before is replaced).
    """
    path, merged, other = folder / "app.log", folder / "merged", folder / "tail"
    path.touch()
    words = [str(word) for word in (seconds, period, rate, scheme)]
    with (
        tail(other, [path]) if beside_tail else nullcontext(),
        running(write("rotate", folder, *words), stdin=subprocess.PIPE) as load,
        tailmerge(folder, path, "-o", merged, "--pid", str(load.pid)) as merge,
    ):
        for follower in (merged, other) if beside_tail else (merged,):
            eventually(lambda f=follower: f.exists() and f.stat().st_size > 0, 20, "it is followed")
        load.stdin.close()
        assert load.wait(seconds + 60) == 0
        merge.wait(60)
        assert "may be missing" not in merge.said
    counts = {int(w): n for w, n in json.loads((folder / "counts.json").read_text()).items()}
    return Result(
        verify(merged, counts),
        verify(other, counts) if beside_tail else None,
        sum(counts.values()),
        max(counts) // 3 + 1,
    )
