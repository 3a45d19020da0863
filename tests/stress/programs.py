"""Real processes: tailmerge, the writers, GNU tail for comparison; and what they cost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stress import writers

TAIL = shutil.which("tail")

Words = Sequence[str | Path]


def eventually(is_so: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until it is so; quick at first, patient on a loaded machine."""
    deadline, pause = time.monotonic() + seconds, 0.01
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(pause)
        pause = min(pause * 2, 0.2)


@contextmanager
def running(command: Words, **streams: object) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does not outlive the block."""
    with subprocess.Popen(command, **streams) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


class Merge:
    """A run of tailmerge: its process and what it said."""

    def __init__(self, process: subprocess.Popen[bytes], said: Path) -> None:
        self.process = process
        self._said = said
        self.peak = 0.0
        """The most memory that was seen, MiB."""

    @property
    def said(self) -> str:
        return self._said.read_text(errors="replace")

    def wait(self, seconds: float) -> None:
        """Until it has ended by itself, with 0 and nothing but messages of its own."""

        def has_ended() -> bool:
            self.peak = max(self.peak, peak_memory(self.process.pid))
            return self.process.poll() is not None

        eventually(has_ended, seconds, "tailmerge ends")
        self.check(0)

    def stop(self, seconds: float = 10) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(seconds)
        self.check(0)

    def check(self, code: int) -> None:
        odd = [line for line in self.said.splitlines() if not line.startswith("tailmerge: ")]
        assert not odd, self.said
        assert self.process.returncode == code, self.said


@contextmanager
def tailmerge(folder: Path, *words: str | Path) -> Iterator[Merge]:
    """`tailmerge WORDS...`, with its standard error in a file of the folder."""
    said = folder / "said"
    with said.open("wb") as errors:
        command = [sys.executable, "-m", "tailmerge", *words]
        with running(command, stderr=errors) as process:
            yield Merge(process, said)


@contextmanager
def tail(merged: Path, inputs: Words) -> Iterator[None]:
    """`tail -q -F INPUTS > merged`, until its output is quiet at the end of the block."""
    assert TAIL
    command = [TAIL, "-q", "-F", "-n", "+1", *inputs]
    with (
        merged.open("wb") as output,
        running(command, stdout=output, stderr=subprocess.DEVNULL) as process,
    ):
        yield
        wait_until_quiet(merged)
        process.terminate()


def wait_until_quiet(path: Path, seconds: float = 1.5) -> None:
    size, since = -1, time.monotonic()
    while time.monotonic() - since < seconds:
        if (now := path.stat().st_size) != size:
            size, since = now, time.monotonic()
        time.sleep(0.1)


def write(*words: str | Path) -> list[str | Path]:
    """The command that starts the writers; see writers.py."""
    return [sys.executable, writers.__file__, *words]


def peak_memory(pid: int) -> float:
    """MiB (VmHWM), 0 when the process has gone.

    Not ru_maxrss: what is forked from a large process inherits its peak.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    sizes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(sizes[0]) / 1024 if sizes else 0.0


def processor_seconds(pid: int) -> float:
    """User and system time of all threads of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
