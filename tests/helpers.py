"""What several tests need: patience with real processes, and the command as one.

Unit tests never wait for time to pass; process tests do it here and nowhere else.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

FIRST_DELAY = 0.005
LONGEST_DELAY = 0.25
"""Seconds between two looks: fast where it works, patient on a loaded machine."""

PROCESS_SECONDS = 30
"""How long a command that ends by itself may take on a loaded machine."""


def eventually(predicate: Callable[[], T], seconds: float = 10) -> T:
    """Ask until the answer is true, and return it; at the end an AssertionError decides.

    The predicate may assert, too: its last AssertionError is then the failure. Otherwise
    the failure shows its last value.
    """
    deadline = time.monotonic() + seconds
    delay = FIRST_DELAY
    while True:
        failure: AssertionError | None = None
        value: Any = None
        try:
            value = predicate()
        except AssertionError as error:
            failure = error
        if failure is None and value:
            return value
        if time.monotonic() >= deadline:
            if failure:
                raise failure
            raise AssertionError(f"not within {seconds:g} s; the last value was {value!r}")
        time.sleep(delay)
        delay = min(2 * delay, LONGEST_DELAY)


class Running(subprocess.Popen[bytes]):
    """A process that does not outlive the `with` block it was started for."""

    def __exit__(self, *exception: Any) -> None:
        if self.poll() is None:
            self.kill()
        super().__exit__(*exception)


def run_tailmerge(*args: str | os.PathLike[str], **kw: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end; its output and messages are bytes.

    `kw` is what subprocess.run takes; `env` is added to the environment.
    """
    return subprocess.run(
        _command(args),
        check=False,
        **{"timeout": PROCESS_SECONDS} | _streams(kw, given="input" in kw),
    )


def start_tailmerge(*args: str | os.PathLike[str], **kw: Any) -> Running:
    """Start the command: `with start_tailmerge(...) as process:`, killed where it still runs.

    `kw` is what Popen takes; `env` is added to the environment.
    """
    return Running(_command(args), **_streams(kw))


def _command(args: tuple[str | os.PathLike[str], ...]) -> list[str]:
    return [sys.executable, "-m", "tailmerge", *map(os.fspath, args)]


def _streams(kw: dict[str, Any], *, given: bool = False) -> dict[str, Any]:
    """No standard input unless there is one, both outputs kept, no option from outside."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TAILMERGE_", "PYTHONASYNC"))}
    kw["env"] = kept | (kw.get("env") or {})
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if not given:
        streams["stdin"] = subprocess.DEVNULL
    return streams | kw


def append(path: Path | str, data: bytes) -> None:
    """Write as a log's writer does: opened for append, one write, closed."""
    with open(path, "ab", buffering=0) as file:
        file.write(data)
