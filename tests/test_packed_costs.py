"""What compressed files cost: none is decompressed more often than its lines need."""

from __future__ import annotations

import asyncio
import gzip
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import append, eventually, said
from test_series import Run, follow

from tailmerge import examiner, run_fully_async
from tailmerge.lines import BLOCK
from tailmerge.match import Seen
from tailmerge.packed import PackedSource
from tailmerge.system import System, identity

LINES = b"".join(b"%020x\n" % random.Random(n).getrandbits(80) for n in range(60_000))
"""More than a megabyte that gzip makes no much shorter."""


class Reading(System):
    """Counts the bytes that are read at the descriptor's offset, as decompressing does."""

    def __init__(self) -> None:
        self.bytes = 0

    def read_into(self, fd: int, view: memoryview, offset: int) -> int:
        got = super().read_into(fd, view, offset)
        self.bytes += got
        return got


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def merge(*names: str) -> int:
    """One run; the bytes that it read in blocks."""
    system = Reading()
    run = run_fully_async(
        names or ("a.log",), output_path="m.log", once=True, state_path="m.state", system=system
    )
    asyncio.run(run)
    return system.bytes


def compress(name: str, age: float = 0) -> int:
    """As gzip does it; the file was written so many seconds ago. Its size."""
    packed = gzip.compress(Path(name).read_bytes(), 1)
    Path(f"{name}.gz").write_bytes(packed)
    if age:
        os.utime(f"{name}.gz", (time.time() - age,) * 2)
    os.unlink(name)
    return len(packed)


def test_what_was_compressed_since_it_was_read_is_decompressed_once_and_never_again() -> None:
    append("a.log", LINES)
    merge()
    os.rename("a.log", "a.log.1")
    append("a.log", b"new\n")
    size = compress("a.log.1")
    assert size < merge() < size + BLOCK + 1000  # all of it, and its beginning once more
    os.rename("a.log.1.gz", "a.log.2.gz")
    append("a.log", b"newer\n")
    assert merge() < 1000
    assert Path("m.log").read_bytes() == LINES + b"new\nnewer\n"


def test_what_is_passed_over_is_not_decompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    append("a.log.1", LINES)
    append("a.log", b"new\n")
    compress("a.log.1", age=100)
    monkeypatch.setattr(PackedSource, "size", lambda self: pytest.fail("decompressed"))
    assert merge() < 1000
    assert merge() < 1000
    assert Path("m.log").read_bytes() == b"new\n"


def test_half_a_file_is_not_passed_over_as_if_it_were_whole() -> None:
    append("a.log.1", LINES)
    append("a.log", b"new\n")
    packed = gzip.compress(LINES)
    Path("a.log.1.gz").write_bytes(packed[:-100])
    merge()
    os.unlink("a.log.1")
    append("a.log.1.gz", packed[-100:])
    append("a.log", b"newer\n")
    merge()
    assert Path("m.log").read_bytes() == b"new\nnewer\n"


def test_what_is_being_compressed_is_not_decompressed_at_each_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a large file the thread that owns the files did nothing else meanwhile."""
    append("a.log", LINES)
    opened: list[str] = []
    size = PackedSource.size

    def note(self: PackedSource) -> int:
        opened.append(self.path)
        return size(self)

    monkeypatch.setattr(PackedSource, "size", note)
    packed = gzip.compress(LINES, 1)

    async def story(run: Run) -> None:
        os.rename("a.log", "a.log.1")
        append("a.log", b"new\n")
        for begin in range(0, len(packed), 50_000):
            append("a.log.1.gz", packed[begin : begin + 50_000])
            await run.seconds(0.5)
        assert not opened
        os.unlink("a.log.1")
        await run.seconds(3)
        assert opened

    assert follow(story).merged == LINES + b"new\n"


def test_a_file_that_is_compressed_and_gone_before_it_is_opened_is_read_in_its_place() -> None:
    append("a.log", b"")
    merge()
    append("a.log", LINES)
    os.rename("a.log", "a.log.1")
    append("a.log", b"new\n")
    Path("a.log.1.gz").write_bytes(gzip.compress(LINES))

    class Quick(System):
        def open(self, path: str, flags: int, mode: int = 0o600) -> int:
            if path == "a.log.1" and os.path.exists(path):
                os.unlink(path)
            return super().open(path, flags, mode)

    run = run_fully_async(
        ["a.log"], output_path="m.log", once=True, state_path="m.state", system=Quick()
    )
    asyncio.run(run)
    assert not os.path.exists("a.log.1")
    assert Path("m.log").read_bytes() == LINES + b"new\n"


class Following:
    """A run with a state that follows a.log, beside which a large file was compressed."""

    def __init__(self, **how: Any) -> None:
        self.words, report = said()
        self.stop = asyncio.Event()
        how = {"state_path": "m.state", "report": report, "stop": self.stop} | how
        self.run = asyncio.ensure_future(run_fully_async(["a.log"], 0.01, "m.log", **how))

    async def end(self) -> bytes:
        self.stop.set()
        await self.run
        return merged()


async def leave_unread(*, age: float = 0) -> int:
    """An earlier run read a line of a file that has these by now, and is compressed; its size."""
    append("a.log", b"0\n")
    await run_fully_async(["a.log"], output_path="m.log", state_path="m.state", once=True)
    append("a.log", LINES)
    os.rename("a.log", "a.log.1")
    size = compress("a.log.1", age)
    append("a.log", b"new\n")
    return size


class Slow:
    """Decompressing that begins and ends when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        size = PackedSource.size

        def wait(source: PackedSource, *args: Callable[[], bool]) -> int:
            if threading.current_thread().name == "tailmerge-examiner":
                self.begun.set()
                assert self.go_on.wait(30)
            return size(source, *args)

        monkeypatch.setattr(PackedSource, "size", wait)
        monkeypatch.setattr(examiner, "LARGE", 1000)


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not done():
            await asyncio.sleep(0.01)


def merged() -> bytes:
    return Path("m.log").read_bytes() if os.path.exists("m.log") else b""


@pytest.mark.parametrize("sort", [False, True])
async def test_while_a_large_one_is_recognised_others_go_on_and_its_own_input_waits(
    sort: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that owns the files decompressed it, and did nothing else meanwhile."""
    append("a.log", LINES[: 21 * 100])
    append("b.log", b"")
    state = {"output_path": "m.log", "state_path": "m.state", "sort": sort, "window": 0.1}
    await run_fully_async(["a.log", "b.log"], once=True, **state)
    append("a.log", LINES[21 * 100 :])
    os.rename("a.log", "a.log.1")
    compress("a.log.1")
    append("a.log", b"new\n")
    slow, stop = Slow(monkeypatch, tmp_path), asyncio.Event()
    run = asyncio.ensure_future(run_fully_async(["a.log", "b.log"], 0.01, stop=stop, **state))
    await until(slow.begun.is_set)
    for n in range(3):
        append("b.log", b"b %d\n" % n)
        if not sort:  # there the other input's next line may be the earlier one
            await until(lambda n=n: merged().endswith(b"b %d\n" % n))
    assert merged().startswith(LINES[: 21 * 100])
    assert b"new" not in merged()
    slow.go_on.set()
    await until(lambda: b"new\n" in merged())
    stop.set()
    await run
    lines = merged().splitlines(keepends=True)
    assert b"".join(line for line in lines if not line.startswith(b"b ")) == LINES + b"new\n"
    assert lines.count(b"b 2\n") == 1


async def begin_to_recognise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Slow, Following]:
    """A run that follows, and is in the middle of recognising a large compressed file."""
    await leave_unread()
    slow, following = Slow(monkeypatch, tmp_path), Following()
    await until(slow.begun.is_set)
    return slow, following


async def test_a_run_ends_while_a_large_one_is_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, following = await begin_to_recognise(tmp_path, monkeypatch)
    assert await asyncio.wait_for(following.end(), 10) == b"0\n"
    slow.go_on.set()
    await run_fully_async(["a.log"], output_path="m.log", state_path="m.state", once=True)
    assert merged() == b"0\n" + LINES + b"new\n"


async def test_a_large_one_that_is_damaged_is_said_and_the_live_file_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = await leave_unread()
    os.truncate("a.log.1.gz", size - 20)
    os.utime("a.log.1.gz", (time.time() - 100,) * 2)
    slow = Slow(monkeypatch, tmp_path)
    slow.go_on.set()
    following = Following()
    await until(lambda: merged() == b"0\nnew\n")
    await following.end()
    assert [word for word in following.words if "not a whole compressed file" in word]
    assert slow.begun.is_set()


async def test_while_one_without_an_original_is_written_its_input_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append("a.log", b"1\n")
    await run_fully_async(["a.log"], output_path="m.log", state_path="m.state", once=True)
    packed = gzip.compress(LINES, 1)
    append("a.log.1.gz", packed[:5000])
    slow, following = Slow(monkeypatch, tmp_path), Following()
    await until(slow.begun.is_set)
    append("a.log.1.gz", packed[5000:9000])
    append("a.log", b"2\n")
    await until(lambda: merged() == b"1\n2\n")
    append("a.log.1.gz", packed[9000:])
    slow.go_on.set()
    await until(lambda: merged() == b"1\n2\n" + LINES)
    await following.end()


async def test_one_that_is_renamed_while_it_is_decompressed_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, following = await begin_to_recognise(tmp_path, monkeypatch)
    os.rename("a.log.1.gz", "a.log.2.gz")
    await asyncio.sleep(0.3)
    slow.go_on.set()
    await until(lambda: merged().endswith(b"new\n"))
    assert await following.end() == b"0\n" + LINES + b"new\n"


async def test_one_whose_time_is_set_behind_its_last_byte_is_not_taken_for_unfinished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """cp -p does so. The newer lines of the live file came before its own."""
    await leave_unread(age=100)
    slow, following = Slow(monkeypatch, tmp_path), Following()
    await until(slow.begun.is_set)
    os.utime("a.log.1.gz", (time.time() - 5000,) * 2)
    await asyncio.sleep(0.3)
    assert b"new" not in merged()
    slow.go_on.set()
    await until(lambda: merged().endswith(b"new\n"))
    assert await following.end() == b"0\n" + LINES + b"new\n"


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), RuntimeError("odd")])
async def test_an_error_of_its_thread_is_met_again_where_the_file_is_opened(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the disk may be over by then; the file was given up for the whole run."""
    await leave_unread()
    size, failed = PackedSource.size, threading.Event()

    def fail(source: PackedSource, *args: Callable[[], bool]) -> int:
        if threading.current_thread().name == "tailmerge-examiner" and not failed.is_set():
            failed.set()
            raise error
        return size(source, *args)

    monkeypatch.setattr(PackedSource, "size", fail)
    monkeypatch.setattr(examiner, "LARGE", 1000)
    following = Following()
    await until(lambda: merged().endswith(b"new\n"))
    assert failed.is_set()
    assert await following.end() == b"0\n" + LINES + b"new\n"


async def test_a_plain_file_with_the_name_of_a_compressed_one_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(examiner, "LARGE", 1000)
    await leave_unread()
    os.unlink("a.log.1.gz")
    append("a.log.1.gz", b"0\n" + LINES)
    following = Following()
    await until(lambda: merged().endswith(b"new\n"))
    assert await following.end() == b"0\n" + LINES + b"new\n"


async def test_more_of_them_than_anybody_keeps_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a hundred answers were kept, and the input waited for ever."""
    monkeypatch.setattr(examiner, "LARGE", 10)
    append("a.log", b"0\n")
    await run_fully_async(["a.log"], output_path="m.log", state_path="m.state", once=True)
    os.rename("a.log", "a.log.200")
    for number in range(199, 80, -1):
        append(f"a.log.{number}", b"%d\n" % number)
        compress(f"a.log.{number}")
    append("a.log", b"new\n")
    following = Following()
    await until(lambda: merged().endswith(b"new\n"))
    expected = [b"0", *(b"%d" % number for number in range(199, 80, -1)), b"new"]
    assert (await following.end()).split() == expected


async def test_the_last_lines_are_asked_of_the_live_file_too_where_one_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(examiner, "LARGE", 1000)
    append("a.log.1", LINES)
    compress("a.log.1")
    append("a.log", b"1\n2\n3\n")
    words, report = said()
    stop = asyncio.Event()
    names = ["a.log", "a.log.1.gz"]
    run = asyncio.ensure_future(
        run_fully_async(names, 0.01, "m.log", lines=2, stop=stop, report=report)
    )
    await until(lambda: merged().endswith(b"3\n"))
    append("a.log", b"4\n")
    await until(lambda: merged().endswith(b"4\n"))
    stop.set()
    await run
    assert merged() == LINES + b"2\n3\n4\n"
    assert not [word for word in words if "appeared" in word or "rotated" in word]


def test_what_nobody_asks_for_any_more_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run may live for years, and see a compressed file of each input every day."""
    monkeypatch.setattr(examiner, "LARGE", 10)
    asked = examiner.Examiner(System())
    append("a.log", LINES)
    compress("a.log")
    status = os.stat("a.log.gz")
    file = Seen("a.log.gz", identity(status), status.st_size, 1.0, live=False, compressed=True)
    assert asked.is_pending(file)
    eventually(lambda: not asked.is_pending(file))
    answer = asked.answer(file)
    assert isinstance(answer, examiner.Examined)
    assert answer == (len(LINES), LINES[-64:])
    monkeypatch.setattr(examiner, "FORGET_SECONDS", -1.0)
    other = file._replace(identity=(0, 0))
    assert asked.is_pending(other)
    assert asked.answer(file) is None
    asked.close()
