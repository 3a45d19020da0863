"""Who writes while tailmerge is tortured: logs that are turned over, and somebody else.

A `Writer` fills one log with numbered lines, some in two halves, and turns it over in its own
way. What it wrote is kept as the lengths of its lines, by file. `Reached` is what is surely in
the output already: only then may a file go for good.
"""

from __future__ import annotations

import bz2
import collections
import contextlib
import datetime
import gzip
import lzma
import os
import random
import re
import shutil
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

LINE = re.compile(rb"(?:(\d{4}-\S+) )?w(\d+) g(\d+) (\d{6}) (x*)\n")
"""A writer's line: its time where asked for, the writer, the file, the line in it."""

WAYS = ("rename", "copytruncate", "gzip", "delete", "dateext", "copybz2", "xz", "infix")
"""How a writer turns its log over, one way after the other."""

OPENERS: dict[str, Callable[..., Any]] = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}

KEPT = 8
"""Rotated files that are left; an older one goes when it is surely read."""


class Reached(threading.Thread):
    """Reads the output as it grows; `lines` is up to which line each file has come."""

    def __init__(self, output: Path, read: Callable[[bytes], bytes | None], stop: threading.Event):
        super().__init__(name="reached", daemon=True)
        self.output = output
        self.read = read
        self.stop = stop
        self.lines: dict[tuple[int, int], int] = {}

        self.lock = threading.Lock()
        self.files: list[tuple[Any, list[bytes]]] = []
        """The last files that were the output, open, each with its unfinished last line."""

    def run(self) -> None:
        while not self.stop.wait(0.02):
            self.open_output()
            for file, torn in list(self.files):
                self.follow(file, torn)
        for file, _ in self.files:
            file.close()

    def open_output(self) -> None:
        """The file that is the output now is read to its end, whatever becomes of its name."""
        with self.lock, contextlib.suppress(FileNotFoundError):
            if self.stop.is_set() or any(self.is_output(file) for file, _ in self.files):
                return
            self.files.append((self.output.open("rb"), []))
            for file, _ in self.files[:-4]:
                file.close()
            del self.files[:-4]

    def is_output(self, file: Any) -> bool:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(self.output))

    def follow(self, file: Any, torn: list[bytes]) -> None:
        while not file.closed and (raw := file.readline()):
            torn.append(raw)
            if raw.endswith(b"\n"):
                self.note(b"".join(torn))
                torn.clear()

    def note(self, raw: bytes) -> None:
        line = self.read(raw)
        if line and (match := LINE.fullmatch(line)):
            writer, generation, number = map(int, match.group(2, 3, 4))
            self.lines[writer, generation] = number


class Writer(threading.Thread):
    """Writes one log and rotates it; `lengths` is what it wrote, by file, in order."""

    def __init__(
        self,
        folder: Path,
        number: int,
        seed: int,
        reached: Reached,
        alive: threading.Lock,
        stop: threading.Event,
        *,
        times: bool,
    ) -> None:
        """`alive` keeps tailmerge from being killed while it is held."""
        super().__init__(name=f"writer-{number}", daemon=True)
        self.folder = folder
        self.number = number
        self.way = WAYS[number % len(WAYS)]
        self.random = random.Random(seed * 1000 + number)
        self.reached = reached
        self.alive = alive
        self.stop = stop
        self.times = times
        self.log = folder / f"{number}.log"
        self.file = self.create()
        self.generation = 0
        self.lengths: dict[int, array[int]] = collections.defaultdict(lambda: array("H"))
        self.rotations = 0
        self.rotated: list[tuple[int, str]] = []
        """The files that were turned over, newest first: generation and name."""
        self.failure: BaseException | None = None

    def create(self) -> int:
        return os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def line(self, generation: int) -> bytes:
        lengths = self.lengths[generation]
        length = self.random.choice((0, 5, 60, 60, 60, 500, 5000))
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
        time_ = f"{now} ".encode() if self.times else b""
        line = time_ + b"w%d g%d %06d %s\n" % (self.number, generation, len(lengths), b"x" * length)
        lengths.append(length)
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
            for _ in range(self.random.randrange(1, 30)):
                self.write(self.file, self.generation)
            time.sleep(self.random.random() * 0.04)
            if time.monotonic() > due:
                self.rotate()
                due = time.monotonic() + self.random.choice((0.02, 0.1, 0.4, 1.0, 2.0))
        os.close(self.file)

    # turning the log over

    def rotate(self) -> None:
        if self.way == "delete":
            self.delete()
        elif self.way in ("copytruncate", "copybz2"):
            self.shift()
            shutil.copyfile(self.log, self.rotated_name(1))
            os.truncate(self.log, 0)
            self.turned_over(self.rotated_name(1))
        else:
            self.rename()
        self.remove_old()

    def turned_over(self, name: str) -> None:
        self.rotations += 1
        self.rotated.insert(0, (self.generation, name))
        self.generation += 1

    def rename(self) -> None:
        """Renamed and created anew, with late lines, one of them begun before the rename."""
        self.shift()
        first = self.rotated_name(1)
        line = self.line(self.generation) if self.random.random() < 0.3 else b""
        cut = self.random.randrange(len(line)) if line else 0
        os.write(self.file, line[:cut])
        os.rename(self.log, first)
        old, generation = self.file, self.generation
        if self.random.random() < 0.3:
            time.sleep(self.random.random() * 0.3)  # no file of this name for a while
        os.write(old, line[cut:])
        for _ in range(self.random.randrange(4)):
            self.write(old, generation)
        self.turned_over(first)
        self.file = self.create()
        for _ in range(self.random.randrange(3)):
            self.write(self.file, self.generation)
            self.write(old, generation)  # late: the new file is in use already
        os.close(old)
        if self.way == "xz":
            self.compress(0, "xz")

    def rotated_name(self, number: int) -> str:
        if self.way == "dateext":
            return f"{self.log}-20261123-{1795450000 + self.rotations}"
        if self.way == "infix":
            return str(self.folder / f"{self.number}.{number}.log")
        return f"{self.log}.{number}"

    def shift(self) -> None:
        """a.log.1 becomes a.log.2, compressed where this writer does so."""
        if self.way != "dateext":
            for index in range(len(self.rotated) - 1, -1, -1):
                generation, name = self.rotated[index]
                packed = name.rpartition(".")[2]
                suffix = f".{packed}" if packed in OPENERS else ""
                moved = self.rotated_name(index + 2) + suffix
                os.rename(name, moved)
                self.rotated[index] = generation, moved
        form = {"gzip": "gz", "dateext": "gz", "copybz2": "bz2"}.get(self.way)
        if form and self.rotated and self.random.random() < 0.8:
            self.compress(0, form)

    def compress(self, index: int, form: str) -> None:
        """As logrotate does: half of the new file stands beside the old one for a while."""
        generation, name = self.rotated[index]
        with open(name, "rb") as plain, OPENERS[form](f"{name}.{form}", "wb") as packed:
            while data := plain.read(100_000):
                packed.write(data)
                time.sleep(self.random.random() * 0.01)
        shutil.copystat(name, f"{name}.{form}")
        os.unlink(name)
        self.rotated[index] = generation, f"{name}.{form}"

    def remove_old(self) -> None:
        while len(self.rotated) > KEPT and self.is_read(self.rotated[-1][0]):
            os.unlink(self.rotated.pop()[1])

    # deletions: only of what is read, or surely held

    def is_read(self, generation: int) -> bool:
        last = len(self.lengths[generation]) - 1
        return self.reached.lines.get((self.number, generation), -1) >= last

    def wait_read(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not self.is_read(self.generation) and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.is_read(self.generation)

    def delete(self) -> None:
        if self.random.random() < 0.3:
            self.delete_held()
        elif self.wait_read(2):
            os.unlink(self.log)
            self.begin_anew()

    def begin_anew(self) -> None:
        os.close(self.file)
        if self.random.random() < 0.5:
            time.sleep(self.random.random() * 0.1)
        self.rotations += 1
        self.generation += 1
        self.file = self.create()

    def delete_held(self) -> None:
        """Deleted while tailmerge holds it, with lines behind that: it must not die now."""
        with self.alive:
            if not self.is_held():
                return
            os.unlink(self.log)
            for _ in range(self.random.randrange(5)):
                self.write(self.file, self.generation)
            assert self.wait_read(20), "what was deleted while it was held did not come"
        self.begin_anew()

    def is_held(self) -> bool:
        """Whether a tailmerge that reads our lines has the file open."""
        if not self.wait_read(1):  # nothing of it is left to a run that ends right now
            return False
        return any(os.path.exists(link) for link in self.holders())

    def holders(self) -> Iterator[str]:
        pid = (self.folder / "pid").read_text() if (self.folder / "pid").exists() else ""
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd") if pid else ():
                link = f"/proc/{pid}/fd/{fd}"
                with contextlib.suppress(OSError):
                    if os.path.samefile(link, self.log):
                        yield link


class Foreigner(threading.Thread):
    """Somebody else who appends whole lines to the output, wherever its name leads."""

    def __init__(self, output: Path, stop: threading.Event):
        super().__init__(name="foreigner", daemon=True)
        self.output = output
        self.stop = stop
        self.count = 0

    def run(self) -> None:
        while not self.stop.wait(0.001):
            with open(self.output, "ab", buffering=0) as file:
                file.write(b"foreign %d\n" % self.count)
            self.count += 1


class Rotator(threading.Thread):
    """Rotates the output now and then: merged becomes merged.1, and nothing takes its place."""

    def __init__(self, output: Path, seed: int, reached: Reached, stop: threading.Event):
        super().__init__(name="rotator", daemon=True)
        self.output = output
        self.reached = reached
        self.random = random.Random(seed)
        self.stop = stop
        self.count = 0

    def run(self) -> None:
        while not self.stop.wait(self.random.choice((0.05, 1.0, 3.0, 6.0))):
            if not self.output.exists():
                continue
            self.reached.open_output()
            for number in range(self.count, 0, -1):
                os.rename(f"{self.output}.{number}", f"{self.output}.{number + 1}")
            os.rename(self.output, f"{self.output}.1")
            self.count += 1

    def files(self) -> list[Path]:
        """All that was the output, oldest first."""
        rotated = [Path(f"{self.output}.{number}") for number in range(self.count, 0, -1)]
        return [*rotated, self.output]
