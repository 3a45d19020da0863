"""The load of the stress tests: lines that prove themselves, and processes that write them.

A line is `w<writer> <sequence> <payload>`, and its sequence number says how long its payload
is: whatever is lost, broken, doubled or out of order shows (verify.py). As a script, so that
the writers share neither an interpreter nor its lock with anybody:

    writers.py halves FOLDER WRITERS LINES
    writers.py rotate FOLDER SECONDS PERIOD RATE SCHEME

It imports nothing but the standard library.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import sys
import time
from pathlib import Path

PAYLOAD = b"abcdefghijklmnopqrstuvwxyz" * 4

TICK = 0.005
"""Seconds between two bursts of the rotating writers."""

STRAGGLE = 4
"""Periods after the rotation at which a last line reaches the renamed file."""

FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT


def make_line(writer: int, sequence: int) -> bytes:
    return b"w%d %d %s\n" % (writer, sequence, PAYLOAD[: 16 + sequence % 64])


def halves_paths(folder: Path, writers: int) -> list[Path]:
    return [folder / f"writer{number}.log" for number in range(writers)]


def write_halves(folder: Path, writers: int, lines: int) -> None:
    """`writers` processes, each with a file and `lines` lines, two write calls a line."""
    children = []
    for number, path in enumerate(halves_paths(folder, writers)):
        child = os.fork()
        if child == 0:
            _write_halves(path, number, lines)
            os._exit(0)
        children.append(child)
    for child in children:
        _, status = os.waitpid(child, 0)
        assert status == 0, "a writer failed"


def _write_halves(path: Path, writer: int, lines: int) -> None:
    fd = os.open(path, FLAGS)
    for sequence in range(lines):
        line = make_line(writer, sequence)
        cut = 1 + sequence % (len(line) - 1)
        os.write(fd, line[:cut])
        os.write(fd, line[cut:])


class Rotator:
    """One log that is renamed and created anew, and its writers, some of them late to know.

    The prompt writer reopens a tick after the rotation, the late one somewhere within the
    period; and `STRAGGLE` periods after the rotation a last line reaches the old file. Each
    has a number of its own in each generation, so that the order within every file can be
    verified: generation * 3, + 1, + 2.
    """

    def __init__(self, folder: Path, scheme: str, period: float) -> None:
        self.path = folder / "app.log"
        self.scheme = scheme
        self.period = period
        self.generation = 0
        self.counts: dict[int, int] = {}
        self.files = [os.open(self.path, FLAGS)]
        self.prompt = self.late = 0
        """The generations that the writers write to."""

    def write(self, which: int, generation: int, lines: int) -> None:
        writer = generation * 3 + which
        first = self.counts.get(writer, 0)
        data = b"".join(make_line(writer, s) for s in range(first, first + lines))
        assert os.write(self.files[generation], data) == len(data)
        self.counts[writer] = first + lines

    def rotate(self) -> None:
        names = self._older_names()
        for new, old in itertools.pairwise(names):
            if os.path.exists(old):
                os.rename(old, new)
        self.generation += 1
        self.files.append(os.open(self.path, FLAGS))

    def _older_names(self) -> list[str]:
        """Each name takes the file of the next one; the first one's file is lost."""
        if self.scheme == "dated":
            return [f"{self.path}-20261123-{1795450000 + self.generation}", str(self.path)]
        keep = {"shift": 6, "single": 1}[self.scheme]
        return [f"{self.path}.{number}" for number in range(keep, 0, -1)] + [str(self.path)]

    def run(self, seconds: float, rate: int) -> None:
        chance = random.Random(7)
        begin = time.monotonic()
        due: list[tuple[float, str, int]] = []
        rotation = self.period
        written = 0
        while (now := time.monotonic() - begin) < seconds or due:
            if now >= rotation and rotation < seconds:
                self.rotate()
                reopening = rotation + chance.uniform(0.1, 0.9) * self.period
                due.append((now + TICK, "prompt", self.generation))
                due.append((reopening, "late", self.generation))
                due.append((now + STRAGGLE * self.period, "straggler", self.generation - 1))
                rotation += self.period
            self._do_what_is_due(due, now)
            owed = int(min(now, seconds) * rate) - written
            self.write(0, self.prompt, owed // 2)
            self.write(1, self.late, owed - owed // 2)
            written += owed
            time.sleep(TICK)

    def _do_what_is_due(self, due: list[tuple[float, str, int]], now: float) -> None:
        for entry in [entry for entry in due if entry[0] <= now]:
            due.remove(entry)
            _, what, generation = entry
            if what == "straggler":
                self.write(2, generation, 1)
                os.close(self.files[generation])
            else:
                setattr(self, what, generation)


def write_rotating(folder: Path, seconds: float, period: float, rate: int, scheme: str) -> None:
    """Write, and leave the number of lines of each writer in FOLDER/counts.json.

    All but a first line waits for the end of standard input: what was rotated before somebody
    followed the file would rightly be passed over.
    """
    rotator = Rotator(folder, scheme, period)
    rotator.write(0, 0, 1)
    sys.stdin.read()
    rotator.run(seconds, rate)
    (folder / "counts.json").write_text(json.dumps(rotator.counts))


def main(what: str, folder: str, *words: str) -> None:
    if what == "halves":
        write_halves(Path(folder), int(words[0]), int(words[1]))
    else:
        seconds, period, rate, scheme = words
        write_rotating(Path(folder), float(seconds), float(period), int(rate), scheme)


if __name__ == "__main__":
    main(*sys.argv[1:])
