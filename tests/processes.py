"""The command as a user runs it: real processes in a folder of their own.

The fixture `place` is that folder. Whatever is started through it is watched with
deadlines, never outlives its test, and never ends in a traceback. A test file takes it
with `pytest_plugins = ["processes"]`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from helpers import PROCESS_SECONDS, append, eventually

COMMAND = (sys.executable, "-m", "tailmerge")

WITHOUT_PRIVILEGES = ("setpriv", "--inh-caps=-all", "--bounding-set=-all")
"""What makes the mode of a file count for root, too."""


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: bytes
    err: str


class Live:
    """A command that runs; its messages and its standard output go to files."""

    def __init__(self, process: subprocess.Popen[bytes], messages: Path, stdout: Path) -> None:
        self.process = process
        self.pid = process.pid
        self._messages = messages
        self._stdout = stdout

    @property
    def err(self) -> str:
        return self._messages.read_text(errors="replace")

    @property
    def out(self) -> bytes:
        return self._stdout.read_bytes()

    def says(self, words: str) -> str:
        """Wait until a message holds these words; return all messages."""

        def heard() -> str:
            assert words in self.err, f"{words!r} was not said, but:\n{self.err}"
            assert self.process.poll() is None or words in self.err, self.err
            return self.err

        return eventually(heard)

    def ends(self, seconds: float = PROCESS_SECONDS) -> int:
        """Wait for its end; the return code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still runs after {seconds:g} s; it said:\n{self.err}") from None

    def stop(self, which: int = signal.SIGTERM, seconds: float = PROCESS_SECONDS) -> int:
        """Send a signal and wait for the end; the return code."""
        self.process.send_signal(which)
        return self.ends(seconds)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()


class Place:
    """A folder with logs in it, and the commands that run there."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "place"
        self.folder.mkdir()
        self._root = root
        self._live: list[Live] = []
        self._others: list[subprocess.Popen[bytes]] = []
        self._tracebacks: list[str] = []

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    # files

    def write(self, name: str, data: bytes) -> Path:
        """Make a file that holds exactly this."""
        path = self / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def append(self, name: str, data: bytes) -> None:
        append(self / name, data)

    def read(self, name: str = "merged.log") -> bytes:
        """What a file holds; nothing where it is not there."""
        try:
            return (self / name).read_bytes()
        except FileNotFoundError:
            return b""

    def sees(self, expected: bytes, name: str = "merged.log") -> None:
        """Wait until a file, the output, holds exactly this."""

        def check() -> bool:
            got = self.read(name)
            assert got == expected, f"{difference(expected, got)}\n{self.said()}"
            return True

        eventually(check)

    def sees_lines(self, expected: Sequence[bytes], name: str = "merged.log") -> None:
        """Wait until a file holds these lines in this order, each once."""
        self.sees(b"".join(line + b"\n" for line in expected), name)

    def sees_mixed(self, *inputs: Sequence[bytes], name: str = "merged.log") -> None:
        """Wait until a file holds the lines of all inputs, each input's in its order."""
        total = sum(map(len, inputs))
        eventually(lambda: self.read(name).count(b"\n") >= total or not self._all_live(), 20)
        lines = self.read(name).split(b"\n")
        assert lines.pop() == b"", f"torn last line\n{self.said()}"
        for wanted in inputs:
            members = set(wanted)
            got = [line for line in lines if line in members]
            assert got == list(wanted), f"{difference(wanted, got)}\n{self.said()}"
        known = {line for wanted in inputs for line in wanted}
        strange = [line for line in lines if line not in known]
        assert not strange, f"lines nobody wrote: {strange[:5]}\n{self.said()}"

    def settles(self, name: str) -> None:
        """Wait until all that happened before this call has been looked at.

        A sweep may be half way: that the first of two marks came proves nothing.
        """
        for mark in (b"mark 1\n", b"mark 2\n"):
            before = self.read().count(mark)
            self.append(name, mark)
            eventually(lambda mark=mark, before=before: self.read().count(mark) > before)

    def without_marks(self) -> bytes:
        return self.read().replace(b"mark 1\n", b"").replace(b"mark 2\n", b"")

    # commands

    def run(self, *args: str, under: Sequence[str] = (), **kw: Any) -> Ended:
        """Run tailmerge to its end."""
        return self._run([*under, *COMMAND, *args], **kw)

    def shell(self, script: str, **kw: Any) -> Ended:
        """Run a bash script, in which $tailmerge is the command."""
        return self._run(["bash", "-c", script], **kw)

    def _run(
        self,
        command: list[str],
        *,
        input: bytes | None = None,
        timeout: float = PROCESS_SECONDS,
        **kw: Any,
    ) -> Ended:
        pipe = subprocess.PIPE
        kw = {"stdin": subprocess.DEVNULL if input is None else pipe, "stdout": pipe} | kw
        kw["env"] = self.environment(kw.get("env"))
        process = subprocess.Popen(
            command, cwd=self.folder, stderr=pipe, start_new_session=True, **kw
        )
        try:
            out, err = process.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # a script's children, too
            err = process.communicate()[1].decode(errors="replace")
            raise AssertionError(f"still runs after {timeout:g} s; it said:\n{err}") from None
        said = err.decode(errors="replace")
        if "Traceback" in said:
            self._tracebacks.append(said)
        return Ended(process.returncode, out or b"", said)

    def start(self, *args: str, under: Sequence[str] = (), **kw: Any) -> Live:
        """Start tailmerge, with a short interval where none is given."""
        number = len(self._live)
        messages = self._root / f"messages.{number}"
        stdout = self._root / f"stdout.{number}"
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw["env"] = self.environment({"TAILMERGE_INTERVAL": "0.02"} | (kw.get("env") or {}))
        with open(messages, "wb") as err, open(stdout, "wb") as out:
            process = subprocess.Popen(
                [*under, *COMMAND, *args],
                cwd=self.folder,
                **{"stderr": err, "stdout": out} | kw,
            )
        live = Live(process, messages, stdout)
        self._live.append(live)
        return live

    def follow(self, *args: str, expected: bytes, **kw: Any) -> Live:
        """Start tailmerge with -o merged.log and wait until it has written this."""
        live = self.start(*args, "-o", "merged.log", **kw)
        self.sees(expected)
        return live

    def start_other(self, command: Sequence[str], **kw: Any) -> subprocess.Popen[bytes]:
        """Start another program, which the test's end kills, too."""
        kw.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(command, cwd=self.folder, start_new_session=True, **kw)
        self._others.append(process)
        return process

    @staticmethod
    def environment(more: dict[str, str] | None = None) -> dict[str, str]:
        """Our own without options and settings of Python, and $tailmerge for scripts."""
        own = {k: v for k, v in os.environ.items() if not k.startswith(("TAILMERGE_", "PYTHON"))}
        return own | {"tailmerge": " ".join(COMMAND)} | (more or {})

    def _all_live(self) -> bool:
        return all(live.process.poll() is None for live in self._live)

    def said(self) -> str:
        """All messages of what was started, for a failure to show."""
        return "".join(f"[{i}] {live.err}" for i, live in enumerate(self._live))

    def close(self) -> None:
        """End what still runs; a traceback anywhere fails the test."""
        for live in self._live:
            live.kill()
        for other in self._others:
            try:
                os.killpg(other.pid, signal.SIGKILL)  # a script's children, too
            except ProcessLookupError:
                pass
            other.wait()
            for stream in (other.stdin, other.stdout, other.stderr):
                if stream:
                    stream.close()
        said = [*self._tracebacks, *(live.err for live in self._live if "Traceback" in live.err)]
        assert not said, "a traceback:\n" + "\n".join(said)


def difference(expected: bytes | Sequence[bytes], got: bytes | Sequence[bytes]) -> str:
    """The first place where two contents part, with a little around it."""
    pairs = zip(expected, got, strict=False)
    at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(expected), len(got)))
    around = slice(max(0, at - 20), at + 60)
    if not isinstance(expected, bytes):
        around = slice(max(0, at - 2), at + 4)
    return (
        f"{len(expected)} expected, {len(got)} came, they part at {at}:\n"
        f"  expected ...{expected[around]!r}\n"
        f"  got      ...{got[around]!r}"
    )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A folder for logs; what was started in it is ended with the test."""
    folder = Place(tmp_path)
    try:
        yield folder
    finally:
        folder.close()


@pytest.fixture
def without_privileges() -> Sequence[str]:
    """The words before a command for which the mode of a file counts, even under root."""
    return WITHOUT_PRIVILEGES if os.geteuid() == 0 else ()
