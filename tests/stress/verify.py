"""Whether a merged file holds every line of the load once, whole, and in its file's order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stress.writers import make_line

LINE = re.compile(rb"w(\d+) (\d+) [a-z]+\n")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a merged file holds, in lines."""

    whole: int
    """Lines of the load that came out whole, each counted once."""
    lost: int
    """Lines of the load that did not come out whole."""
    broken: int
    """Lines of the output that are no line of the load."""
    doubled: int
    reordered: int
    """Lines behind a later one of the same writer and file."""

    @property
    def is_exact(self) -> bool:
        return not (self.lost or self.broken or self.doubled or self.reordered)

    def __str__(self) -> str:
        return (
            f"{self.whole} whole, {self.lost} lost, {self.broken} broken,"
            f" {self.doubled} doubled, {self.reordered} reordered"
        )


def verify(path: Path, counts: Mapping[int, int]) -> Verdict:
    """Compare a merged file with what was written: `counts` is the lines of each writer."""
    seen = {writer: bytearray(count) for writer, count in counts.items()}
    following = dict.fromkeys(counts, 0)
    broken = doubled = reordered = 0
    with path.open("rb") as merged:
        for line in merged:
            parts = LINE.fullmatch(line)
            writer, sequence = (int(parts[1]), int(parts[2])) if parts else (-1, -1)
            if sequence >= counts.get(writer, 0) or line != make_line(writer, sequence):
                broken += 1
            elif seen[writer][sequence]:
                doubled += 1
            else:
                seen[writer][sequence] = 1
                reordered += sequence < following[writer]
                following[writer] = max(following[writer], sequence + 1)
    lost = sum(marks.count(0) for marks in seen.values())
    return Verdict(sum(counts.values()) - lost, lost, broken, doubled, reordered)
