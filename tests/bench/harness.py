"""What all parts of the benchmark share: runs in turn, clocks, costs, proofs.

Nothing is compared across runs of the benchmark: whatever is set against each other is run
in turn (A B C, B A C, ...) in the same minutes, and what is kept is the median.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

MIB = 1 << 20
GIB = 1 << 30

_COMMAND = Path(sys.executable).with_name("tailmerge")
TAILMERGE = (_COMMAND,) if _COMMAND.exists() else (sys.executable, "-m", "tailmerge")
"""As it is installed, and typed; `-m` imports more."""

HERE = Path(__file__).parent

Command = Sequence[str | Path]


class Unmeasured(Exception):
    """Something could not be measured; the text says why, for the page."""


@dataclass(slots=True)
class Table:
    """A table of the page; `note` stands below it."""

    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    note: str = ""


@dataclass(slots=True)
class Aim:
    """A bound that tailmerge is to keep."""

    what: str
    value: float
    limit: float
    unit: str = ""
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(slots=True)
class Outcome:
    """What one part found."""

    tables: list[Table] = field(default_factory=list)
    aims: list[Aim] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    """Plain numbers, for the plots."""
    skipped: list[str] = field(default_factory=list)
    """What was not measured, and why."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Bench:
    """How much is to be measured, and where."""

    folder: Path
    quick: bool = False
    tiny: bool = False
    """Only to see that the harness works: nothing it says is worth a thing."""

    def pick(self, full: T, quick: T, tiny: T) -> T:
        return tiny if self.tiny else quick if self.quick else full

    @contextmanager
    def place(self, where: Path | None = None) -> Iterator[Path]:
        """A folder of its own for one thing that is measured."""
        with tempfile.TemporaryDirectory(
            dir=where or self.folder, ignore_cleanup_errors=True
        ) as name:
            yield Path(name)

    def has_room(self, size: int, where: Path | None = None) -> bool:
        return shutil.disk_usage(where or self.folder).free > size + GIB


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took."""

    seconds: float
    cpu: float
    """User and system seconds of its process."""
    peak: float = 0.0
    """The most memory that was seen, MiB; 0 where it was not looked at."""


def in_turn(rounds: int, runs: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Call each once a round, in another order each time; one that fails is left out from then on.

    What one leaves behind it (dirty pages, a busy disk) is not always before the same other one.
    What failed has an empty list, and its reason is said on standard error.
    """
    results: dict[str, list[T]] = {name: [] for name in runs}
    failed: set[str] = set()
    order, chance = list(runs.items()), random.Random(0)
    for _ in range(rounds):
        for name, run in order:
            if name in failed:
                continue
            try:
                results[name].append(run())
            except (Unmeasured, AssertionError, OSError, subprocess.SubprocessError) as error:
                failed.add(name)
                results[name].clear()
                say(f"    {name}: not measured: {error}")
        chance.shuffle(order)
    return results


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")


def share(values: Sequence[float], part: float) -> float:
    """The value below which so large a part lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else float("nan")


def run(command: Command, *, seconds: float = 300, watch: bool = False, **streams: Any) -> Cost:
    """Run a command to its end; with `watch` its memory is looked at all the while."""
    streams.setdefault("stderr", subprocess.DEVNULL)
    begin = time.perf_counter()
    process = subprocess.Popen([str(word) for word in command], **streams)
    try:
        peak, usage = _wait(process, begin + seconds, watch)
    except BaseException:
        process.kill()
        process.wait()
        raise
    took = time.perf_counter() - begin
    if process.returncode:
        raise Unmeasured(f"{Path(str(command[0])).name} ended with {process.returncode}")
    return Cost(took, usage.ru_utime + usage.ru_stime, peak)


def _wait(process: subprocess.Popen[bytes], deadline: float, watch: bool) -> tuple[float, Any]:
    """The peak of memory and the resources used.

    The peak is /proc's VmHWM, never ru_maxrss: a child inherits the latter from us.
    """
    peak, pause = 0.0, 0.002 if watch else 0.0005
    while True:
        if watch:
            peak = max(peak, peak_memory(process.pid))
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return peak, usage
        if time.perf_counter() > deadline:
            raise Unmeasured("it took too long")
        time.sleep(pause)


def peak_memory(pid: int) -> float:
    """MiB, 0 when the process has gone."""
    return _status(pid, "VmHWM:") / 1024


def memory(pid: int) -> float:
    """MiB now, 0 when the process has gone."""
    return _status(pid, "VmRSS:") / 1024


def _status(pid: int, word: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(word)), 0)


def cpu_seconds(pid: int) -> float:
    """Of the process and all its descendants, the ended ones that were waited for too."""
    total, pids = 0.0, [pid]
    while pids:
        one = pids.pop()
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            threads = list(Path(f"/proc/{one}/task").iterdir())
            for thread in threads:
                pids += [int(word) for word in (thread / "children").read_text().split()]
        except OSError:
            continue  # it ended meanwhile
        total += sum(int(word) for word in fields[11:15]) / os.sysconf("SC_CLK_TCK")
    return total


def eventually(is_so: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until it is so.

    Raises:
        Unmeasured: it was not so in time.
    """
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise Unmeasured(f"not within {seconds:g} s: {what}")
        time.sleep(0.005)


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def settle(path: Path, expected: int, seconds: float, quiet: float = 1.0) -> None:
    """Wait until an output has its length, or is quiet, or the time is over."""
    deadline = time.monotonic() + seconds
    size, since = -1, time.monotonic()
    while (now := size_of(path)) < expected and time.monotonic() < deadline:
        if now != size:
            size, since = now, time.monotonic()
        if time.monotonic() - since > quiet:
            break
        time.sleep(0.02)
