"""A block that is written while the next one is read: the output is as without."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import append, eventually

from tailmerge import run_fully_async, stretch
from tailmerge.report import OutputError
from tailmerge.system import System
from tailmerge.writebehind import WriteBehind

LINES = [b"%06d %s\n" % (number, b"x" * (number % 173)) for number in range(40_000)]
LABELLED = [b"a: " + line for line in LINES]
KNOWN = frozenset(LABELLED)
FOREIGN = b"somebody else's line\n"
SHORT = 0.3
AT = range(2, 9)
"""Writes during which something happens; the first one is the state's."""


class Acting(System):
    """Counts the writes to the output and the threads they are made on; acts in one of them."""

    def __init__(self, at: int = 0, act: Callable[[Any], int | None] = lambda data: None) -> None:
        self.at = at
        self.act = act
        self.writes = 0
        self.threads: set[str] = set()
        self.count = 2

    def processors(self) -> int:
        return self.count

    def write(self, fd: int, data: Any) -> int:
        self.threads.add(threading.current_thread().name)
        self.writes += 1
        if self.writes == self.at and (some := self.act(data)) is not None:
            return super().write(fd, bytes(data)[:some])
        return super().write(fd, data)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").write_bytes(b"".join(LINES))


def merge(system: System, **how: Any) -> None:
    how = {"once": True, "state_path": "m.tailmerge", "label": "{name}: "} | how
    asyncio.run(run_fully_async(["a"], 0.01, "m", system=system, **how))


def merged_lines() -> list[bytes]:
    return Path("m").read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("how", [{}, {"match": ("0",)}, {"format": "json"}, {"label": None}])
def test_the_output_is_as_with_a_single_processor(how: dict[str, Any]) -> None:
    merge(Acting(), **how)
    beside = Path("m").read_bytes()
    for name in ("m", "m.tailmerge"):
        os.unlink(name)
    alone = Acting()
    alone.count = 1
    merge(alone, **how)
    assert "tailmerge-write" not in alone.threads
    assert Path("m").read_bytes() == beside
    assert beside.count(b"\n") > 10_000


def test_blocks_are_written_on_a_thread_that_ends_with_the_run() -> None:
    system = Acting()
    merge(system)
    assert merged_lines() == LABELLED
    assert "tailmerge-write" in system.threads
    assert "tailmerge-write" not in {thread.name for thread in threading.enumerate()}


def raise_full(data: Any) -> int | None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_some(data: Any) -> int | None:
    return int(len(data) * SHORT)


def write_nothing(data: Any) -> int | None:
    return 0


@pytest.mark.parametrize("act", [raise_full, write_some, write_nothing])
@pytest.mark.parametrize("at", AT)
def test_a_write_that_falls_short_is_completed_before_the_next(
    at: int, act: Callable[[Any], int | None]
) -> None:
    system = Acting(at, act)
    merge(system)
    assert system.writes > at
    assert merged_lines() == LABELLED


@pytest.mark.parametrize("part", [0, SHORT])
@pytest.mark.parametrize("at", AT)
def test_others_append_behind_a_write_that_falls_short(at: int, part: float) -> None:
    """The torn line is ended and comes whole further on, as after a wait for the disk."""

    class Full(Acting):
        fails = 2

        def write(self, fd: int, data: Any) -> int:
            if self.writes + 1 < at or not self.fails:
                return super().write(fd, data)
            self.fails -= 1
            if self.fails:
                return super().write(fd, bytes(data)[: int(len(data) * part)])
            append("m", FOREIGN)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    system = Full()
    merge(system)
    assert not system.fails
    assert any(line.endswith(FOREIGN) for line in merged_lines())
    assert [line for line in merged_lines() if line in KNOWN] == LABELLED


@pytest.mark.parametrize("at", AT)
def test_others_append_between_two_writes(at: int) -> None:
    merge(Acting(at, lambda data: append("m", FOREIGN)))
    lines = merged_lines()
    assert lines.count(FOREIGN) == 1
    lines.remove(FOREIGN)
    assert lines == LABELLED


@pytest.mark.parametrize("at", AT)
def test_the_output_is_moved_during_a_write(at: int) -> None:
    merge(Acting(at, lambda data: os.rename("m", "m.1")))
    before = Path("m.1").read_bytes()
    assert before.endswith(b"\n")
    after = Path("m").read_bytes() if Path("m").exists() else b""
    assert before + after == b"".join(LABELLED)


@pytest.mark.parametrize("at", AT)
def test_the_input_is_copied_and_cut_during_a_write(at: int) -> None:
    def copytruncate(data: Any) -> None:
        Path("a.1").write_bytes(Path("a").read_bytes())
        os.truncate("a", 0)
        append("a", b"new\n")

    merge(Acting(at, copytruncate), once=False, until_idle=0.3)
    assert merged_lines() == [*LABELLED, b"a: new\n"]


@pytest.mark.parametrize("part", [0, SHORT, 1])
@pytest.mark.parametrize("at", AT)
def test_killed_during_a_write(at: int, part: float) -> None:
    def die(data: Any) -> None:
        os.write(output, bytes(data)[: int(len(data) * part)])
        os._exit(9)

    output = os.open("m", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    pid = os.fork()
    if pid == 0:
        try:
            merge(Acting(at, die))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    os.close(output)
    merge(Acting())
    assert merged_lines() == LABELLED


def test_an_error_that_is_no_systems_is_met_by_who_waits() -> None:
    class Broken(Acting):
        def write(self, fd: int, data: Any) -> int:
            raise ZeroDivisionError

    behind = WriteBehind(Broken())
    behind.begin(1, b"a\n")
    with pytest.raises(ZeroDivisionError):
        behind.wait()
    behind.close()


@pytest.mark.parametrize("how", [{}, {"label": None}])
def test_where_no_thread_can_be_started_the_writes_are_made_at_once(
    how: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old symptom: the run waited for ever, also when it was asked to end."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "tailmerge-write":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    merge(Acting(), **how)
    assert merged_lines() == (LINES if "label" in how else LABELLED)


def test_after_an_error_of_our_own_nothing_that_was_not_written_is_taken_for_written() -> None:
    class Broken(Acting):
        def write(self, fd: int, data: Any) -> int:
            if self.writes == 3:
                raise ZeroDivisionError
            return super().write(fd, data)

    with pytest.raises(BaseExceptionGroup):
        merge(Broken())
    merge(Acting())
    assert merged_lines() == LABELLED


def test_what_is_synced_is_not_written_behind() -> None:
    system = Acting()
    merge(system, fsync=True)
    assert merged_lines() == LABELLED
    assert "tailmerge-write" not in system.threads


@pytest.mark.parametrize("at", AT)
def test_others_append_behind_a_short_write_without_an_error(at: int) -> None:
    """What is left of the batch does not go on behind their line."""

    class Short(Acting):
        def write(self, fd: int, data: Any) -> int:
            if self.writes + 1 != at:
                return super().write(fd, data)
            self.writes += 1
            written = os.write(fd, bytes(data)[: int(len(data) * SHORT)])
            append("m", FOREIGN)
            return written

    merge(Short())
    lines = merged_lines()
    assert any(line.endswith(FOREIGN) for line in lines)
    assert [line for line in lines if line in KNOWN] == LABELLED
    assert len(lines) <= len(LABELLED) + 2


def test_what_was_written_is_not_held_until_the_next_write() -> None:
    class Data(bytearray):
        """Can be referred to weakly."""

    behind = WriteBehind(Acting())
    data = Data(b"a line\n")
    left = weakref.ref(data)
    with Path("m").open("wb") as file:
        behind.begin(file.fileno(), data)
        assert behind.wait() == len(data)
    del data
    eventually(lambda: left() is None)
    behind.close()


class Blind(Acting):
    """The output cannot be asked about, once or for good, after a write that fell short."""

    def __init__(self, call: str, times: int) -> None:
        super().__init__(4, write_some)
        self.call = call
        self.times = times

    def __getattribute__(self, name: str) -> Any:
        method = super().__getattribute__(name)
        if name not in ("fstat", "seek") or name != self.call:
            return method

        def fail(fd: int, *args: Any) -> Any:
            is_output = os.readlink(f"/proc/self/fd/{fd}").endswith("/m")
            if is_output and self.writes >= 4 and self.times:
                self.times -= 1
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            return method(fd, *args)

        return fail


@pytest.mark.parametrize("label", ["{name}: ", None])
@pytest.mark.parametrize(("call", "times"), [("seek", 1), ("fstat", 1), ("fstat", 10**6)])
def test_an_error_of_the_output_is_not_taken_for_the_inputs(
    call: str, times: int, label: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read and not written is not passed over."""
    monkeypatch.setattr(stretch, "SPARE", stretch.BLOCK)
    with contextlib.suppress(OutputError):
        merge(Blind(call, times), label=label)
    merge(Acting(), label=label)
    assert merged_lines() == (LABELLED if label else LINES)
