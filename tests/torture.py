"""Several writers, every kind of rotation, random kills: nothing lost, doubled, torn or reordered.

    python tests/torture.py [--seconds 60] [--seed 1] [--writers 4] [--foreign] [-- OPTIONS]

Each writer fills a log of its own with numbered lines, some in two halves, and turns it over
in its own way: renamed and created (with late lines to the old file), copied and truncated
(the writer pauses over the cut), compressed one generation later. Meanwhile tailmerge is
killed with SIGKILL at random instants and started again. With --foreign somebody else
appends to the output all the while. At the end one `--once` run merges the rest and every
line is counted. Same seed, same decisions; the instants are the machine's.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import gzip
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any


class Writer(threading.Thread):
    """Writes one log and rotates it; `lines` is what it wrote, by file, in order."""

    def __init__(self, folder: Path, number: int, way: str, seed: int, stop: threading.Event):
        super().__init__(name=f"writer-{number}", daemon=True)
        self.folder = folder
        self.number = number
        self.way = way
        self.random = random.Random(seed * 1000 + number)
        self.stop = stop
        self.log = folder / f"{number}.log"
        self.file = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self.generation = 0
        self.lines: dict[int, list[bytes]] = collections.defaultdict(list)
        self.rotations = 0
        self.failure: BaseException | None = None

    def line(self, generation: int) -> bytes:
        lines = self.lines[generation]
        length = self.random.choice((0, 5, 60, 60, 60, 500, 5000))
        line = b"w%d g%d %06d %s\n" % (self.number, generation, len(lines), b"x" * length)
        lines.append(line)
        return line

    def write(self, fd: int, generation: int) -> None:
        line = self.line(generation)
        cut = self.random.randrange(len(line)) if self.random.random() < 0.2 else 0
        if cut:
            os.write(fd, line[:cut])
            if self.random.random() < 0.3:
                time.sleep(self.random.random() * 0.02)
        os.write(fd, line[cut:])

    def run(self) -> None:
        try:
            self.work()
        except BaseException as error:
            self.failure = error

    def work(self) -> None:
        due = time.monotonic() + 0.3
        while not self.stop.is_set():
            for _ in range(self.random.randrange(1, 60)):
                self.write(self.file, self.generation)
            time.sleep(self.random.random() * 0.02)
            if time.monotonic() > due:
                self.rotate()
                due = time.monotonic() + self.random.choice((0.02, 0.1, 0.4, 1.0))
        os.close(self.file)

    def rotate(self) -> None:
        self.rotations += 1
        self.shift()
        if self.way == "copytruncate":
            shutil.copyfile(self.log, f"{self.log}.1")
            os.truncate(self.log, 0)
            self.generation += 1
            return
        os.rename(self.log, f"{self.log}.1")
        old, generation = self.file, self.generation
        for _ in range(self.random.randrange(4)):
            self.write(old, generation)
        self.generation += 1
        self.file = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        for _ in range(self.random.randrange(3)):
            self.write(self.file, self.generation)
            self.write(old, generation)  # late: the new file is in use already
        os.close(old)

    def shift(self) -> None:
        """a.log.1 becomes a.log.2, compressed where this writer does so."""
        numbers = sorted(
            (int(path.name.split(".")[2]) for path in self.folder.glob(f"{self.number}.log.*")),
            reverse=True,
        )
        for number in numbers:
            for suffix in ("", ".gz"):
                name = f"{self.log}.{number}{suffix}"
                if os.path.exists(name):
                    os.rename(name, f"{self.log}.{number + 1}{suffix}")
        second = f"{self.log}.2"
        if self.way == "gzip" and os.path.exists(second):
            with open(second, "rb") as plain, gzip.open(f"{second}.gz.tmp", "wb") as packed:
                shutil.copyfileobj(plain, packed)
            shutil.copystat(second, f"{second}.gz.tmp")
            os.rename(f"{second}.gz.tmp", f"{second}.gz")
            os.unlink(second)


class Foreigner(threading.Thread):
    """Somebody else who appends whole lines to the output."""

    def __init__(self, output: Path, stop: threading.Event):
        super().__init__(name="foreigner", daemon=True)
        self.output = output
        self.stop = stop
        self.count = 0

    def run(self) -> None:
        fd = os.open(self.output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        while not self.stop.wait(0.001):
            os.write(fd, b"foreign %d\n" % self.count)
            self.count += 1
        os.close(fd)


def tailmerge(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    logs = sorted(str(path) for path in folder.glob("?.log"))
    command = [sys.executable, "-m", "tailmerge", "-q", "-o", str(folder / "merged")]
    return subprocess.Popen([*command, *options, *logs])


def torture(
    seconds: float, seed: int, writers: int, foreign: bool, options: list[str]
) -> dict[str, Any]:
    """Run it and return what was counted."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stop = threading.Event()
        ways = ("rename", "copytruncate", "gzip")
        threads = [Writer(folder, n, ways[n % len(ways)], seed, stop) for n in range(writers)]
        (folder / "merged").touch()
        foreigner = Foreigner(folder / "merged", stop)
        first = tailmerge(folder, "--once", *options)  # from here on all is known
        assert first.wait(60) == 0
        for thread in threads:
            thread.start()
        if foreign:
            foreigner.start()
        kills = 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            process = tailmerge(folder, "-i", "0.01", "--rotate-wait", "0.5", *options)
            time.sleep(chance.choice((0.15, 0.2, 0.3, 0.5, 1.0, 3.0)) * (0.5 + chance.random()))
            process.send_signal(signal.SIGKILL)
            code = process.wait()
            assert code == -signal.SIGKILL, f"tailmerge ended with {code}"
            kills += 1
        stop.set()
        for thread in threads:
            thread.join()
            if thread.failure:
                raise thread.failure
        with contextlib.suppress(RuntimeError):
            foreigner.join()
        for _ in range(2):  # the second one finds nothing new
            last = tailmerge(folder, "--once", *options)
            assert last.wait(120) == 0, "the last run failed"
        return {"kills": kills, **count(folder / "merged", threads, foreigner.count)}


def count(output: Path, writers: list[Writer], foreign: int) -> dict[str, Any]:
    """Compare the output with what was written."""
    lines = output.read_bytes().splitlines(keepends=True)
    place: dict[bytes, int] = {}
    doubled = torn = 0
    wanted = {line for w in writers for lines_ in w.lines.values() for line in lines_}
    theirs = set()
    examples = []
    for index, line in enumerate(lines):
        if line in wanted:
            if line in place:
                doubled += 1
                examples.append(f"doubled {line[:30]!r}")
            place.setdefault(line, index)
        elif line.startswith(b"foreign "):
            theirs.add(line)
        else:
            torn += 1
            examples.append(f"torn {line[:30]!r}...{line[-20:]!r}")
    lost = [line for line in wanted if line not in place]
    examples += [f"lost {line[:30]!r}" for line in sorted(lost)[:10]]
    reordered = 0
    for writer in writers:
        for generation in writer.lines.values():
            places = [place[line] for line in generation if line in place]
            reordered += sum(a > b for a, b in itertools.pairwise(places))
    return {
        "lines": len(wanted),
        "rotations": sum(w.rotations for w in writers),
        "lost": len(lost),
        "doubled": doubled,
        "torn": torn,
        "reordered": reordered,
        "foreign_lost": foreign - len(theirs),
        "examples": examples[:20],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--foreign", action="store_true")
    parser.add_argument("options", nargs="*")
    asked = parser.parse_args()
    result = torture(asked.seconds, asked.seed, asked.writers, asked.foreign, asked.options)
    print(json.dumps(result, indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
