"""What several tests need: patience with processes, faults of the system, a clock that jumps.

Unit tests never wait for time to pass; process tests do it in `eventually` and nowhere else.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tailmerge.report import Report
from tailmerge.system import System

T = TypeVar("T")

FIRST_DELAY = 0.005
LONGEST_DELAY = 0.25
"""Seconds between two looks: fast where it works, patient on a loaded machine."""

PROCESS_SECONDS = 30
"""How long a command that ends by itself may take on a loaded machine."""

LONGEST_WAIT = 1000
"""Seconds of a clock that jumps after which what was waited for does not come."""

STUCK_SECONDS = 5
"""When a loop that only waits for what a test does not do is found out."""


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


def said() -> tuple[list[str], Report]:
    """A Report that records, and the list of what it said."""
    words: list[str] = []
    return words, Report(words.append, verbose=True)


def hide_inotify(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the extra were not installed, for whatever command is started from now on."""
    hidden = folder / "hidden"
    hidden.mkdir()
    (hidden / "asyncinotify.py").write_text("raise ImportError\n")
    path = os.pathsep.join(filter(None, [str(hidden), os.environ.get("PYTHONPATH")]))
    monkeypatch.setenv("PYTHONPATH", path)


# faults: what the system does wrong, at a call that is named

Step = BaseException | Callable[..., Any] | None
"""None: the call works. An exception: raised. A function: called with the real one in front."""


class Faulty(System):
    """A System whose calls follow a script: `Faulty(write=[None, short(3), no_space()])`.

    When a script is used up the calls work again. `fired` lists the calls that went wrong
    and `spent` is whether all that were planned did: a test asserts it, since a fault that
    never happened proves nothing.
    """

    def __init__(self, **scripts: list[Step]) -> None:
        self.scripts = scripts
        self.fired: list[str] = []

    @property
    def spent(self) -> bool:
        return not any(any(script) for script in self.scripts.values())

    def _play(self, name: str, *args: Any) -> Any:
        real = functools.partial(getattr(System, name), self)
        script = self.scripts.get(name)
        step = script.pop(0) if script else None
        if step is None:
            return real(*args)
        self.fired.append(name)
        if isinstance(step, BaseException):
            raise step
        return step(real, *args)


def _scripted(name: str) -> Callable[..., Any]:
    def call(self: Faulty, *args: Any) -> Any:
        return self._play(name, *args)

    return call


for _name in [name for name, value in vars(System).items() if inspect.isfunction(value)]:
    setattr(Faulty, _name, _scripted(_name))


def short(count: int) -> Callable[..., int]:
    """A write that takes only so many bytes."""
    return lambda write, fd, data: write(fd, bytes(data)[:count])


def before(action: Callable[[], Any]) -> Callable[..., Any]:
    """Something that happens at the very moment before the call."""

    def step(real: Callable[..., Any], *args: Any) -> Any:
        action()
        return real(*args)

    return step


def fault(number: int) -> OSError:
    """The system's error of this errno."""
    return OSError(number, os.strerror(number))


# time: a loop whose clock jumps


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            events = super().select(STUCK_SECONDS)
            assert events, "the loop waits for something that never comes"
            return events
        events = super().select(0)
        if not events:
            self.now += max(0.0, timeout)
        return events


class LaneLoop(asyncio.SelectorEventLoop):
    """Stands for a lane's event loop, on the test's own thread: blocking is allowed.

    Its clock begins at 0 and jumps over every wait, so seconds of patience pass at once.
    """

    def __init__(self) -> None:
        self.jumping = _JumpingSelector()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Without a longest wait, over which the clock would jump while a thread ends."""
        await super().shutdown_default_executor()


def on_lane(coroutine: Coroutine[Any, Any, T], *, threads: bool = False) -> T:
    """Run what belongs on a lane's loop, at once whatever it waits for.

    With `threads` it waits for other threads too: there is then no longest wait, over
    which the clock would jump while they work.
    """

    async def run() -> T:
        async with asyncio.timeout(None if threads else LONGEST_WAIT):
            return await coroutine

    with asyncio.Runner(loop_factory=LaneLoop) as runner:
        return runner.run(run())


def open_files() -> list[str]:
    """What this process holds open, but for its loops' own descriptors."""
    names = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            names.append(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:
            pass  # the listing's own
    return sorted(name for name in names if name.startswith(("/", "pipe:")))


def is_open(path: Path | str) -> bool:
    """Whether this process holds the file of this name open."""
    return str(Path(path).resolve()) in open_files()
