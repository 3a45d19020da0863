"""Handles and whole runs: `tail_async` and `run_fully_async` as a program uses them."""

from __future__ import annotations

import asyncio
import collections
import errno
import functools
import gc
import logging
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest
from helpers import Faulty, append, before, fault, on_lane, open_files, said

from tailmerge import OutputError, UsageProblem, WriteThread, run_fully_async, tail_async
from tailmerge.follow import SeriesTail
from tailmerge.handles import Relay
from tailmerge.lane import Lane, LaneStopped
from tailmerge.lines import BLOCK
from tailmerge.source import open_source
from tailmerge.system import System

SOON = 0.001
"""A poll interval for tests, seconds."""

PATIENCE = 10
"""Seconds after which what a test waits for does not come."""


def open_binary(name: str, position: int = 0, mode: str = "rb") -> BinaryIO:
    handle: Any = open(name, mode)  # noqa: SIM115
    handle.seek(position)
    return handle  # type: ignore[no-any-return]


def merged(name: str = "m.log") -> bytes:
    return Path(name).read_bytes() if name in os.listdir() else b""


class Sink:
    """A write function of somebody else's, which remembers what it got."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._news = asyncio.Event()

    async def write(self, lines: bytes) -> None:
        self.parts.append(lines)
        self._news.set()

    @property
    def content(self) -> bytes:
        return b"".join(self.parts)

    async def gets(self, content: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.content != content:
                self._news.clear()
                await self._news.wait()


class Seeing(System):
    """A System that tells a test's loop when the output has become longer."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()

    def write(self, fd: int, data: bytes | bytearray | memoryview) -> int:
        written = super().write(fd, data)
        self._loop.call_soon_threadsafe(self._news.set)
        return written

    async def sees(self, content: bytes, name: str = "m.log") -> None:
        async with asyncio.timeout(PATIENCE):
            while merged(name) != content:
                self._news.clear()
                await self._news.wait()


@pytest.fixture(autouse=True)
def nothing_is_left_over() -> Iterator[None]:
    """Whatever happens in a test of this file, no descriptor and no thread of ours stays."""
    files, threads = open_files(), set(lanes())
    yield
    for lane in set(lanes()) - threads:
        lane.join(5)  # a stop that was cancelled does not wait for the thread's last steps
    assert set(lanes()) <= threads
    assert collections.Counter(open_files()) - collections.Counter(files) == {}


def lanes() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if isinstance(thread, Lane)]


# a handle and a foreign write function


async def test_whole_lines_go_to_the_write_function() -> None:
    append("a.log", b"one\ntwo\nhalf")
    sink = Sink()
    handle = open_binary("a.log")
    tail = asyncio.create_task(tail_async(handle, SOON, sink.write))
    await sink.gets(b"one\ntwo\n")
    append("a.log", b" done\n")
    await sink.gets(b"one\ntwo\nhalf done\n")
    handle.close()
    await tail
    assert all(isinstance(part, bytes) and part.endswith(b"\n") for part in sink.parts)


async def test_a_handle_that_is_closed_is_read_to_its_end() -> None:
    append("a.log", b"one\n")
    sink = Sink()
    handle = open_binary("a.log")
    tail = asyncio.create_task(tail_async(handle, SOON, sink.write))
    await sink.gets(b"one\n")
    append("a.log", b"two\nhalf")
    handle.close()
    await tail
    assert sink.content == b"one\ntwo\nhalf\n"


async def test_a_handle_is_read_from_its_current_position_and_is_not_moved() -> None:
    append("a.log", b"one\ntwo\n")
    sink = Sink()
    handle = open_binary("a.log")
    handle.readline()
    tail = asyncio.create_task(tail_async(handle, SOON, sink.write))
    await sink.gets(b"two\n")
    assert handle.tell() == 4
    assert handle.readline() == b"two\n"
    handle.close()
    await tail
    assert sink.content == b"two\n"


async def test_a_number_that_is_given_to_another_file_is_not_read_by_us() -> None:
    append("a.log", b"one\n")
    append("other", b"secret\n")
    sink = Sink()
    handle = open_binary("a.log")
    number = handle.fileno()
    tail = asyncio.create_task(tail_async(handle, SOON, sink.write))
    await asyncio.sleep(0)
    handle.close()
    other = open_binary("other")
    assert other.fileno() == number
    await tail
    other.close()
    assert sink.content == b"one\n"


async def test_a_handle_that_was_closed_before_is_an_error() -> None:
    append("a.log", b"one\n")
    handle = open_binary("a.log")
    handle.close()
    with pytest.raises(ValueError, match="closed"):
        await tail_async(handle, SOON, Sink().write)


async def test_an_error_of_the_write_function_is_raised() -> None:
    async def refuse(lines: bytes) -> None:
        raise ZeroDivisionError

    append("a.log", b"one\n")
    with open_binary("a.log") as handle, pytest.raises(ZeroDivisionError):
        await tail_async(handle, SOON, refuse)


async def test_a_tail_that_is_cancelled_while_it_writes_leaves_nothing_open() -> None:
    writing = asyncio.Event()

    async def never(lines: bytes) -> None:
        writing.set()
        await asyncio.Event().wait()

    append("a.log", b"one\n")
    with open_binary("a.log") as handle:
        tail = asyncio.create_task(tail_async(handle, SOON, never))
        await writing.wait()
        tail.cancel()
        with pytest.raises(asyncio.CancelledError):
            await tail
        assert handle.readline() == b"one\n"


@pytest.mark.parametrize("size", [BLOCK, 3 * BLOCK, 70 * BLOCK])
async def test_a_long_line_reaches_a_foreign_write_function_whole(size: int) -> None:
    append("a.log", b"before\n" + b"x" * size + b"\nafter\n")
    sink = Sink()
    handle = open_binary("a.log")
    tail = asyncio.create_task(tail_async(handle, SOON, sink.write))
    await sink.gets(b"before\n" + b"x" * size + b"\nafter\n")
    handle.close()
    await tail


async def test_a_slow_write_function_is_never_called_twice_at_once() -> None:
    active = 0

    async def slow(lines: bytes) -> None:
        nonlocal active
        active += 1
        assert active == 1
        for _ in range(3):
            await asyncio.sleep(0)
        active -= 1
        await sink.write(lines)

    append("a.log", b"x" * 99 + b"\n" * 10_000)
    sink = Sink()
    handle = open_binary("a.log")
    tail = asyncio.create_task(tail_async(handle, SOON, slow))
    for _ in range(10):
        append("a.log", b"y\n")
        await asyncio.sleep(0)
    handle.close()
    await tail
    assert sink.content == merged("a.log")


def rewrite(name: str, data: bytes) -> None:
    os.truncate(name, 0)
    append(name, data)


def follow_steps(handle: BinaryIO, *steps: Callable[[], object], sink: Sink) -> bytes:
    """Before each poll but the first one step is done; after the last the handle is closed."""
    pending = iter(((lambda: None), *steps))

    class Stepping:
        """A handle that is asked at each poll whether it is closed."""

        fileno, tell = handle.fileno, handle.tell

        @property
        def closed(self) -> bool:
            for step in pending:
                step()
                return False
            return True

    stepping: Any = Stepping()
    with handle:
        on_lane(tail_async(stepping, SOON, sink.write), threads=True)
    return sink.content


def nothing() -> None:
    """A poll in between."""


def test_a_handle_whose_file_was_truncated_is_read_from_its_start() -> None:
    append("a.log", b"one\n")
    rewritten = functools.partial(rewrite, "a.log", b"other lines\n")
    content = follow_steps(open_binary("a.log"), nothing, rewritten, nothing, sink=Sink())
    assert content == b"one\nother lines\n"


def test_a_file_that_is_rewritten_while_its_lines_are_written_is_read_from_its_start() -> None:
    """What the position was to be known by was read again after the writing."""

    class Rewriting(Sink):
        async def write(self, lines: bytes) -> None:
            await super().write(lines)
            if len(self.parts) == 1:
                rewrite("a.log", b"other lines\n")

    append("a.log", b"one\n")
    content = follow_steps(open_binary("a.log"), nothing, nothing, nothing, sink=Rewriting())
    assert content == b"one\nother lines\n"


def test_a_handle_at_the_end_of_its_file_sees_a_truncation() -> None:
    """Nothing was known of what lay before the position: new lines were not seen before the
    file was as long as the old one, and the first of them then came torn."""
    append("a.log", b"one\ntwo\n")
    cut = functools.partial(os.truncate, "a.log", 0)
    grow = functools.partial(append, "a.log", b"new\n")
    content = follow_steps(open_binary("a.log", 8), nothing, cut, grow, nothing, sink=Sink())
    assert content == b"new\n"


def test_the_unfinished_line_of_a_truncated_handle_is_ended() -> None:
    append("a.log", b"one\nhalf")
    rewritten = functools.partial(rewrite, "a.log", b"new\n")
    content = follow_steps(open_binary("a.log"), nothing, nothing, rewritten, sink=Sink())
    assert content == b"one\nhalf\nnew\n"


async def test_a_handle_that_has_no_position_is_an_error_and_leaves_nothing_open() -> None:
    reading, writing = os.pipe()
    handle = os.fdopen(reading, "rb")
    try:
        with pytest.raises(OSError, match=r"seek|tell"):
            await tail_async(handle, SOON, Sink().write)
    finally:
        handle.close()
        os.close(writing)
    await asyncio.sleep(0)


async def test_a_file_cut_while_a_long_line_is_relayed_does_not_end_the_tail() -> None:
    """The caller got an exception that tells of our inside."""
    append("a.log", b"x" * 3 * BLOCK + b"\n")
    cut = before(lambda: rewrite("a.log", b"new\n"))
    system = Faulty(read_into=[None, None, None, None, None, cut])
    sink = Sink()
    async with Lane("tailmerge-reader") as lane:
        source = await lane.call(open_source, system, "a.log")
        try:
            await Relay(lane, sink.write).forward(source)
        finally:
            await lane.call(source.close)
    assert system.spent


# a handle and a WriteThread


class Counting(WriteThread):
    """A WriteThread that counts the lines that crossed a thread."""

    writes = 0

    async def write(self, data: bytes) -> None:
        self.writes += 1
        await super().write(data)


async def test_a_write_thread_reads_the_lines_itself() -> None:
    append("a.log", b"one\n")
    seeing = Seeing()
    async with Counting("m.log", system=seeing) as output:
        handle = open_binary("a.log")
        tail = asyncio.create_task(tail_async(handle, SOON, output.write))
        await seeing.sees(b"one\n")
        append("a.log", b"two\nhalf")
        await seeing.sees(b"one\ntwo\n")
        handle.close()
        await tail
        assert output.writes == 0
    assert merged() == b"one\ntwo\nhalf\n"


async def test_a_wrapped_write_is_a_foreign_write_function() -> None:
    append("a.log", b"one\n")
    async with Counting("m.log") as output:
        handle = open_binary("a.log")
        tail = asyncio.create_task(tail_async(handle, SOON, functools.partial(output.write)))
        await asyncio.sleep(0)
        handle.close()
        await tail
        assert output.writes == 1
    assert merged() == b"one\n"


async def test_several_handles_share_one_write_thread() -> None:
    for name in "abc":
        append(f"{name}.log", f"{name}\n".encode() * 1000)
    async with WriteThread("m.log") as output:
        handles = [open_binary(f"{name}.log") for name in "abc"]
        tails = [asyncio.create_task(tail_async(h, SOON, output.write)) for h in handles]
        await asyncio.sleep(0)
        for handle in handles:
            handle.close()
        await asyncio.gather(*tails)
    assert sorted(merged().split()) == [b"a"] * 1000 + [b"b"] * 1000 + [b"c"] * 1000


async def test_a_tail_on_a_stopped_write_thread_raises_and_leaves_nothing_open() -> None:
    append("a.log", b"one\n")
    async with WriteThread("m.log") as output:
        pass
    with open_binary("a.log") as handle, pytest.raises(LaneStopped):
        await tail_async(handle, SOON, output.write)


async def test_a_tail_whose_write_thread_stops_raises_and_leaves_nothing_open() -> None:
    append("a.log", b"one\n")
    seeing = Seeing()
    with open_binary("a.log") as handle:
        async with WriteThread("m.log", system=seeing) as output:
            tail = asyncio.create_task(tail_async(handle, SOON, output.write))
            await seeing.sees(b"one\n")
        with pytest.raises(LaneStopped):
            await tail


async def test_a_tail_that_is_cancelled_leaves_nothing_open() -> None:
    append("a.log", b"one\n")
    seeing = Seeing()
    with open_binary("a.log") as handle:
        async with WriteThread("m.log", system=seeing) as output:
            tail = asyncio.create_task(tail_async(handle, SOON, output.write))
            await seeing.sees(b"one\n")
            tail.cancel()
            with pytest.raises(asyncio.CancelledError):
                await tail
            await output.write(b"still works\n")
    assert merged() == b"one\nstill works\n"


# a whole run, as in the lesson


async def test_handles_are_merged_until_their_caller_closes_them() -> None:
    append("a.log", b"a\n")
    append("b.log", b"b\n")
    seeing = Seeing()
    handles = [open_binary("a.log"), open_binary("b.log")]
    run = asyncio.create_task(run_fully_async(handles, SOON, "m.log", system=seeing))
    await seeing.sees(b"a\nb\n")
    append("b.log", b"more\n")
    await seeing.sees(b"a\nb\nmore\n")
    handles[0].close()
    append("b.log", b"last")
    handles[1].close()
    await run
    assert merged() == b"a\nb\nmore\nlast\n"


async def test_a_run_appends() -> None:
    append("m.log", b"before\n")
    append("a.log", b"a\n")
    await run_fully_async(["a.log"], SOON, "m.log", once=True)
    assert merged() == b"before\na\n"


async def test_paths_patterns_and_handles_go_together() -> None:
    for name in ("a.log", "b.log", "c.txt", "d.txt"):
        append(name, name.encode() + b"\n")
    handle = open_binary("c.txt")
    await run_fully_async([handle, Path("d.txt"), "*.log"], SOON, Path("m"), once=True)
    handle.close()
    assert sorted(merged("m").split()) == [b"a.log", b"b.log", b"c.txt", b"d.txt"]


async def test_a_one_shot_run_does_not_wait_for_a_handle_to_be_closed() -> None:
    append("a.log", b"one\nhalf")
    with open_binary("a.log") as handle:
        await run_fully_async([handle], SOON, "m.log", once=True)
        assert not handle.closed
    assert merged() == b"one\nhalf\n"


@pytest.mark.parametrize("how", ["stop", "cancel"])
async def test_a_run_that_is_stopped_has_written_what_it_read(how: str) -> None:
    append("a.log", b"one\nhalf")
    seeing, stop = Seeing(), asyncio.Event()
    run = asyncio.create_task(
        run_fully_async(["a.log"], SOON, "m.log", system=seeing, stop=stop, report=said()[1])
    )
    await seeing.sees(b"one\n")
    if how == "stop":
        stop.set()
        await run
    else:
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    assert merged() == b"one\n"


async def test_two_runs_go_on_in_one_loop() -> None:
    append("a.log", b"a\n")
    append("b.log", b"b\n")
    await asyncio.gather(
        run_fully_async(["a.log"], SOON, "one.log", once=True),
        run_fully_async(["b.log"], SOON, "two.log", once=True),
    )
    assert (merged("one.log"), merged("two.log")) == (b"a\n", b"b\n")


async def test_without_a_report_messages_go_to_the_logger(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "tailmerge"):
        await run_fully_async(["none.log"], SOON, "m.log", once=True)
    assert [record.getMessage() for record in caplog.records] == ["none.log: no such file"]


async def test_an_output_that_cannot_be_opened_leaves_nothing_open() -> None:
    append("a.log", b"a\n")
    with open_binary("a.log") as handle, pytest.raises(OutputError):
        await run_fully_async([handle, "a.log"], SOON, "none/m.log")


async def test_nothing_left_to_read_leaves_nothing_open() -> None:
    append("m.log", b"x\n")
    with pytest.raises(UsageProblem):
        await run_fully_async(["m.log", "."], SOON, "m.log", report=said()[1])


async def test_a_device_is_closed_when_it_is_over() -> None:
    await run_fully_async(["/dev/null"], SOON, "m.log")
    assert merged() == b""


async def test_a_handle_of_the_output_is_not_read() -> None:
    append("m.log", b"merged before\n")
    append("a.log", b"a\n")
    with open_binary("m.log") as handle:
        await run_fully_async([handle, "a.log"], SOON, "m.log", once=True, report=said()[1])
    assert merged() == b"merged before\na\n"


async def test_a_handle_that_is_not_made_of_bytes_is_refused_and_the_rest_merged() -> None:
    """The whole run died of it, with an ExceptionGroup."""
    append("utf16.log", "\ufeffone\n".encode("utf-16-le"))
    append("a.log", b"a\n")
    words, report = said()
    with open_binary("utf16.log") as handle:
        await run_fully_async([handle, "a.log"], SOON, "m.log", once=True, report=report)
    assert merged() == b"a\n"
    assert report.owes
    assert "iconv" in "".join(words)


async def test_a_handle_is_read_through_the_runs_system() -> None:
    """All I/O of a run goes through one place."""
    append("a.log", b"a\n")
    system = Faulty(read_into=[before(lambda: None)])
    with open_binary("a.log") as handle:
        await run_fully_async([handle], SOON, "m.log", once=True, system=system)
    assert system.spent


async def test_a_handle_that_cannot_be_read_is_said_and_the_rest_merged() -> None:
    append("bad.log", b"bad\n")
    append("a.log", b"a\n")
    bad = os.stat("bad.log")

    class Bad(System):
        fired = 0

        def read_into(self, fd: int, view: memoryview, offset: int) -> int:
            if os.path.samestat(self.fstat(fd), bad):
                self.fired += 1
                raise fault(errno.EIO)
            return super().read_into(fd, view, offset)

    system, (words, report) = Bad(), said()
    with open_binary("bad.log") as handle:
        await run_fully_async(
            [handle, "a.log"], SOON, "m.log", once=True, system=system, report=report
        )
    assert system.fired
    assert merged() == b"a\n"
    assert report.owes
    assert "bad.log: input/output error" in "".join(words)


@pytest.mark.parametrize("spelling", ["./a.log", "{here}/a.log", "../{name}/a.log"])
async def test_rotated_files_that_were_named_are_read_whatever_their_folder_is_called(
    spelling: str, tmp_path: Path
) -> None:
    """`tailmerge ./a.log a.log.1`: a.log.1 was passed over as if nobody had named it."""
    append("a.log.1", b"old\n")
    append("a.log", b"new\n")
    live = spelling.format(here=tmp_path, name=tmp_path.name)
    await run_fully_async([live, "a.log.1"], SOON, "m.log", once=True)
    assert sorted(merged().split()) == [b"new", b"old"]


def mode(name: str) -> str:
    return oct(stat.S_IMODE(os.stat(name).st_mode))


@pytest.mark.parametrize("kind", ["pipe", "handle"])
async def test_a_private_input_of_any_kind_makes_the_new_output_private(kind: str) -> None:
    """Only files that were given by name were counted: a pipe's lines became public."""
    append("public.log", b"a\n")
    os.chmod("public.log", 0o644)
    handles: list[Any] = ["public.log"]
    if kind == "pipe":
        os.mkfifo("private", 0o600)
        handles.append("private")
    else:
        append("private", b"secret\n")
        os.chmod("private", 0o600)
        handles.append(open_binary("private"))
    await run_fully_async(handles, SOON, "m.log", once=True, report=said()[1])
    if kind == "handle":
        handles[-1].close()
    assert mode("m.log") == "0o600"


async def test_one_listing_of_a_folder_serves_all_the_inputs_in_it() -> None:
    """Each of n inputs listed all n names: 1,500 files took four seconds to begin with."""
    names = [f"{number}.log" for number in range(30)]
    for name in names:
        append(name, b"x\n")

    class CountingNames(System):
        listings = 0

        def names(self, folder: str) -> Any:
            self.listings += 1
            return super().names(folder)

    system = CountingNames()
    await run_fully_async(names, SOON, "m.log", once=True, system=system)
    assert merged() == b"x\n" * 30
    assert 0 < system.listings < len(names)


async def test_the_lines_of_a_handle_are_kept_beside_the_journal() -> None:
    """A later run has no handle to read them from: a kill within them left a torn line."""
    append("a.log", b"one\ntwo\n")
    kept: list[bytes] = []
    system = Faulty(write_at=[lambda write, fd, data, at: kept.append(data) or write(fd, data, at)])
    with open_binary("a.log") as handle:
        await run_fully_async(
            [handle], SOON, "m.log", once=True, state_path="m.state", system=system
        )
    assert kept == [b"one\ntwo\n"]
    assert merged() == b"one\ntwo\n"


async def test_a_forward_that_fails_after_its_tail_was_cancelled_is_nobodys_complaint() -> None:
    """asyncio wrote "Task exception was never retrieved" behind the message."""
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    begun, fail = asyncio.Event(), asyncio.Event()

    class Output:
        async def forward(self, *_: Any, **__: Any) -> None:
            begun.set()
            await fail.wait()
            raise OutputError("full")

    around: Any = SimpleNamespace(output=Output(), watch=None, window=None)
    series: Any = SimpleNamespace(path="a.log", is_known=False)
    tail = asyncio.create_task(
        SeriesTail(series, around, named=True)._await_forward(around.output.forward())
    )
    await begun.wait()
    tail.cancel()
    await asyncio.gather(tail, return_exceptions=True)
    del tail
    fail.set()
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()
    assert complaints == []
