"""Backlogs of lines that tell where they come from, and the proof that all came out.

A line is `<time> f<file> <number> <text>`, a millisecond later than the one before it. An
output is right where it is a shuffle of its inputs that keeps every line whole and every
file's order: at each line the file is known by its second word, and the output is compared
with that file from where it stood.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from harness import MIB, Unmeasured

TEXT = b"INFO worker: a line of a log, about as long as most are\n"
WORD = len(b"2026-11-23T00:00:00.000 f")
"""Where the number of a line's file is."""
BLOCK = 256 * 1024


def make_backlog(folder: Path, size: int, files: int) -> list[Path]:
    """`files` files of equal size, together `size` bytes or a few lines more."""
    paths = [folder / f"input{number}.log" for number in range(files)]
    for number, path in enumerate(paths):
        with path.open("wb") as file:
            second = 0
            while (left := size / files - file.tell()) > 0:
                many = min(1000, 1 + int(left / (WORD + 12 + len(TEXT))))
                file.write(_lines(number, second, many))
                second += 1
    os.sync()  # writing the inputs back is not what is measured
    return paths


def _lines(number: int, second: int, many: int) -> bytes:
    """The lines of one second, at most a thousand."""
    stamp = b"2026-11-%02dT%02d:%02d:%02d." % (
        23 + second // 86400,
        second // 3600 % 24,
        second // 60 % 60,
        second % 60,
    )
    middle, first = b" f%d " % number, second * 1000
    lines = (
        b"%b%03d%b%09d %b" % (stamp, milli, middle, first + milli, TEXT) for milli in range(many)
    )
    return b"".join(lines)


def check_merged(output: Path, inputs: list[Path]) -> None:
    """Every line of every input once, whole, in its file's order.

    Raises:
        Unmeasured: it is not so; what was measured is worth nothing.
    """
    views = []
    for path in inputs:
        with path.open("rb") as file:
            views.append(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    at = [0] * len(inputs)
    with output.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as merged:
        place, size = 0, len(merged)
        guess = BLOCK
        while place < size:
            begin = place + WORD
            number = int(merged[begin : merged.find(b" ", begin, begin + 10)])
            same = _same_lines(merged, place, views[number], at[number], guess)
            if not same:
                raise Unmeasured(f"the output is wrong behind byte {place}")
            place, at[number] = place + same, at[number] + same
            guess = min(BLOCK, same * 2)
    if at != [len(view) for view in views]:
        raise Unmeasured("lines are missing in the output")
    for view in views:
        view.close()


def _same_lines(merged: mmap.mmap, place: int, source: mmap.mmap, at: int, guess: int) -> int:
    """Bytes of whole lines that are equal here, at most about `guess`; 0 where none is."""
    while True:
        ours = merged[place : place + guess]
        cut = ours.rfind(b"\n") + 1
        if cut and ours[:cut] == source[at : at + cut]:
            return cut
        if guess < 64:
            end = merged.find(b"\n", place) + 1 - place
            return end if end > 0 and merged[place : place + end] == source[at : at + end] else 0
        guess //= 2


def throughput(size: int, seconds: float) -> float:
    """MiB a second."""
    return size / MIB / seconds
