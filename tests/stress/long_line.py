"""One line of hundreds of megabytes between short lines of other files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stress.programs import tailmerge
from stress.verify import Verdict, verify
from stress.writers import FLAGS, make_line

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Result:
    is_whole: bool
    """The long line came out once, byte for byte, with nothing inside it."""
    others: Verdict
    """The short lines."""
    peak: float
    """Memory of tailmerge, MiB."""


def _chunks(size: int) -> Iterator[bytes]:
    """The long line: no two of its chunks are equal."""
    yield b"LONG"
    for number in range(size // CHUNK):
        yield b"%016d" % number * (CHUNK // 16)
    yield b"\n"


def merge_long_line(folder: Path, size: int, *, live: bool) -> Result:
    """A line of `size` bytes; `live`: it grows under tailmerge's eyes, or it is there before."""
    merged = folder / "merged"
    paths = [folder / name for name in ("long.log", "a.log", "b.log")]
    fds = [os.open(path, FLAGS) for path in paths]
    words = [*paths, "-o", merged, "--until-idle", "1.5"]
    if live:
        with tailmerge(folder, *words) as merge:
            short = _write(fds, size)
            merge.wait(120)
    else:
        short = _write(fds, size)
        with tailmerge(folder, *words) as merge:
            merge.wait(120)
    for fd in fds:
        os.close(fd)
    is_whole = _take_long_out(merged, folder / "short", size)
    verdict = verify(folder / "short", {0: 2, 1: short, 2: short})
    return Result(is_whole, verdict, merge.peak)


def _write(fds: list[int], size: int) -> int:
    """Write the long line, and after each chunk short ones elsewhere; return how many."""
    os.write(fds[0], make_line(0, 0))
    count = 0
    for chunk in _chunks(size):
        assert os.write(fds[0], chunk) == len(chunk)
        for writer in (1, 2):
            os.write(fds[writer], make_line(writer, count))
        count += 1
    os.write(fds[0], make_line(0, 1))
    return count


def _take_long_out(merged: Path, short: Path, size: int) -> bool:
    """Write all lines but the long one to `short`; whether that one is whole."""
    expected = hashlib.blake2b()
    for chunk in _chunks(size):
        expected.update(chunk)
    found = []
    with merged.open("rb") as lines, short.open("wb") as others:
        for line in lines:
            if line.startswith(b"LONG"):
                found.append(hashlib.blake2b(line).digest())
            else:
                others.write(line)
    return found == [expected.digest()]
