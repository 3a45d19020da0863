"""Inputs that cannot be read twice: named pipes and standard input."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from helpers import Faulty, fault, is_open, open_files, said

from tailmerge.ending import Ending
from tailmerge.feed import Progress
from tailmerge.lines import BLOCK
from tailmerge.report import Report
from tailmerge.stream import BlockingStream, Carry, InputStream, PipeStream
from tailmerge.streaming import StreamTail
from tailmerge.surroundings import Surroundings
from tailmerge.system import System
from tailmerge.watch import Watch
from tailmerge.writer import WriteThread

PIPE = "a.pipe"


def take(carry: Carry) -> list[bytes]:
    """All of it; afterwards there is nothing left."""
    blocks = list(carry.pieces())
    carry.close()
    return blocks


def merged() -> bytes:
    return Path("m.log").read_bytes()


# what waits for the end of its line


def test_what_was_carried_comes_out_in_order_and_once() -> None:
    carry = Carry()
    carry.add(b"one ")
    carry.add(b"two")
    assert len(carry) == 7
    assert b"".join(take(carry)) == b"one two"
    assert len(carry) == 0
    assert b"".join(take(carry)) == b""


@pytest.mark.parametrize("size", [BLOCK, BLOCK + 1, 3 * BLOCK + 5])
def test_a_long_line_comes_out_whole_a_block_at_a_time(size: int) -> None:
    data = os.urandom(size)
    carry = Carry()
    for at in range(0, size, 60_000):
        carry.add(data[at : at + 60_000])
    assert len(carry) == size
    blocks = list(take(carry))
    assert b"".join(blocks) == data
    assert max(map(len, blocks)) <= BLOCK


def test_a_long_line_is_not_kept_in_memory() -> None:
    carry = Carry()
    for _ in range(100):
        carry.add(bytes(60_000))
    assert sum(map(len, carry._parts)) <= BLOCK
    list(take(carry))


def test_a_long_line_stays_whole_where_the_temporary_folder_is_full() -> None:
    """It had been read already: what the folder did not take was lost."""
    data = os.urandom(3 * BLOCK)
    carry = Carry()
    carry.add(data[: 2 * BLOCK])

    class Full:
        def __init__(self, spool: object) -> None:
            self._spool = spool

        def __getattr__(self, name: str) -> object:
            return getattr(self._spool, name)

        def write(self, data: bytes) -> int:
            raise fault(errno.ENOSPC)

    carry._spool = Full(carry._spool)  # type: ignore[assignment]
    carry.add(data[2 * BLOCK : -5])
    carry.add(data[-5:])
    assert len(carry) == len(data)
    assert b"".join(take(carry)) == data


def test_the_file_of_a_long_line_has_no_name_and_is_closed() -> None:
    before = open_files()
    carry = Carry()
    carry.add(bytes(2 * BLOCK))
    (spool,) = set(open_files()) - set(before)
    assert "(deleted)" in spool or "#" in spool
    list(take(carry))
    assert open_files() == before


def test_after_a_long_line_a_short_one_can_be_carried() -> None:
    carry = Carry()
    carry.add(bytes(2 * BLOCK))
    list(take(carry))
    carry.add(b"short")
    assert b"".join(take(carry)) == b"short"


# a named pipe


class Writer:
    """Who writes into the pipe."""

    def __init__(self, name: str = PIPE) -> None:
        self.fd = os.open(name, os.O_WRONLY | os.O_NONBLOCK)

    def write(self, data: bytes) -> None:
        assert os.write(self.fd, data) == len(data)

    def close(self) -> None:
        os.close(self.fd)


@pytest.fixture
async def output() -> AsyncIterator[WriteThread]:
    async with WriteThread("m.log") as output:
        yield output


@pytest.fixture
async def stream(output: WriteThread) -> AsyncIterator[PipeStream]:
    os.mkfifo(PIPE)
    stream = await output.call(PipeStream, PIPE, System())
    yield stream
    await output.call(stream.close)
    assert not is_open(PIPE)


async def test_a_pipe_without_a_writer_has_nothing_yet(
    output: WriteThread, stream: PipeStream
) -> None:
    assert await output.pump(stream) == Progress(0, False, 0)
    assert not stream.has_met_writer


async def test_lines_of_a_pipe_are_written_whole(output: WriteThread, stream: PipeStream) -> None:
    writer = Writer()
    writer.write(b"one\nha")
    assert await output.pump(stream) == Progress(6, True, 2)
    assert merged() == b"one\n"
    writer.write(b"lf\n")
    assert await output.pump(stream) == Progress(3, True, 0)
    assert merged() == b"one\nhalf\n"
    writer.close()


async def test_a_pump_waits_for_a_writer_that_says_nothing(
    output: WriteThread, stream: PipeStream
) -> None:
    writer = Writer()
    pumping = asyncio.create_task(output.pump(stream))
    await output.call(int)
    assert not pumping.done()
    writer.write(b"one\n")
    assert (await pumping).moved == 4
    assert stream.has_met_writer
    writer.close()


async def test_the_unfinished_line_of_the_last_writer_is_ended(
    output: WriteThread, stream: PipeStream
) -> None:
    one, two = Writer(), Writer()
    one.write(b"one\nhalf")
    await output.pump(stream)
    one.close()
    pumping = asyncio.create_task(output.pump(stream))
    await output.call(int)
    assert merged() == b"one\n"
    two.close()
    assert await pumping == Progress(0, False, 0)
    assert merged() == b"one\nhalf\n"


async def test_an_unfinished_long_line_is_let_go_with_its_pipe(output: WriteThread) -> None:
    before = open_files()
    os.mkfifo(PIPE)
    stream = await output.call(PipeStream, PIPE, System())
    await output.call(stream.carry.add, bytes(2 * BLOCK))
    assert len(open_files()) == len(before) + 2
    await output.call(stream.close)
    assert open_files() == before


async def test_the_next_writer_is_read_too(output: WriteThread, stream: PipeStream) -> None:
    for word in (b"one\n", b"two\n"):
        writer = Writer()
        writer.write(word)
        writer.close()
        assert (await output.pump(stream)).moved == 4
        assert not (await output.pump(stream)).more
    assert merged() == b"one\ntwo\n"


async def test_a_pump_that_waits_is_interrupted(output: WriteThread, stream: PipeStream) -> None:
    writer = Writer()
    writer.write(b"half")
    await output.pump(stream)
    pumping = asyncio.create_task(output.pump(stream))
    await output.call(stream.interrupt)
    assert await pumping == Progress(0, False, 4)
    assert merged() == b""
    await output.pump_rest(stream)
    assert merged() == b"half\n"
    writer.close()


async def test_what_is_there_is_read_though_the_run_is_to_end(
    output: WriteThread, stream: PipeStream
) -> None:
    writer = Writer()
    writer.write(b"one\n")
    await output.call(stream.interrupt)
    assert (await output.pump(stream)).moved == 4
    writer.close()


@pytest.mark.parametrize("size", [70_000, 2 * BLOCK])
async def test_a_line_longer_than_the_pipe_comes_whole(
    output: WriteThread, stream: PipeStream, size: int
) -> None:
    line = b"x" * size + b"\n"
    fd = os.open(PIPE, os.O_WRONLY)

    def write() -> None:
        rest = line
        while rest:
            rest = rest[os.write(fd, rest) :]
        os.close(fd)

    writing = asyncio.create_task(asyncio.to_thread(write))
    while (await output.pump(stream)).more:
        pass
    await writing
    assert merged() == line


async def test_a_file_and_a_pipe_are_never_inside_each_others_lines(
    output: WriteThread, stream: PipeStream
) -> None:
    writer = Writer()
    writer.write(b"half")
    await output.pump(stream)
    await output.write(b"foreign\n")
    writer.write(b" done\n")
    await output.pump(stream)
    assert merged() == b"foreign\nhalf done\n"
    writer.close()


# standard input, or a device: a thread of its own


@pytest.fixture
def ends() -> Iterator[list[int]]:
    ends = list(os.pipe())
    yield ends
    for fd in ends:
        os.close(fd)


def close_end(ends: list[int], index: int) -> None:
    os.close(ends.pop(index))


async def test_standard_input_is_read_to_its_end(output: WriteThread, ends: list[int]) -> None:
    stream = await output.call(BlockingStream, "-", ends[0], System())
    os.write(ends[1], b"one\nhalf")
    assert await output.pump(stream) == Progress(8, True, 4)
    close_end(ends, 1)
    assert await output.pump(stream) == Progress(0, False, 0)
    assert merged() == b"one\nhalf\n"
    await output.call(stream.close)


async def test_nothing_is_read_before_it_is_asked_for(output: WriteThread, ends: list[int]) -> None:
    """What was taken from standard input and not written is lost by kill -9."""
    stream = await output.call(BlockingStream, "-", ends[0], System())
    os.write(ends[1], b"one\n")
    await output.call(stream.close)
    assert os.read(ends[0], 10) == b"one\n"


async def test_a_read_that_blocks_holds_neither_loop(output: WriteThread, ends: list[int]) -> None:
    stream = await output.call(BlockingStream, "-", ends[0], System())
    pumping = asyncio.create_task(output.pump(stream))
    await output.write(b"others\n")
    assert not pumping.done()
    os.write(ends[1], b"one\n")
    assert (await pumping).moved == 4
    await output.call(stream.close)


async def test_a_read_that_blocks_is_interrupted_and_what_comes_later_is_not_lost(
    output: WriteThread, ends: list[int]
) -> None:
    stream = await output.call(BlockingStream, "-", ends[0], System())
    pumping = asyncio.create_task(output.pump(stream))
    await output.write(b"others\n")
    await output.call(stream.interrupt)
    assert await pumping == Progress(0, False, 0)
    os.write(ends[1], b"one\n")
    while not merged().endswith(b"one\n"):
        await output.pump(stream)
    await output.call(stream.close)


async def test_the_thread_that_reads_ends_with_its_stream(
    output: WriteThread, ends: list[int]
) -> None:
    stream = await output.call(BlockingStream, "-", ends[0], System())
    assert (stream._thread.name, stream._thread.daemon) == ("tailmerge-stdin", True)
    await output.call(stream.close)
    await asyncio.to_thread(stream._thread.join, 5)
    assert not stream._thread.is_alive()


async def test_an_interrupted_read_takes_nothing_that_comes_later(
    output: WriteThread, ends: list[int]
) -> None:
    """`(tailmerge -; cat)`: its thread still waited, took the next block, and it was lost."""
    stream = await output.call(BlockingStream, "-", ends[0], System())
    pumping = asyncio.create_task(output.pump(stream))
    await output.call(int)
    await output.call(stream.interrupt)
    assert await pumping == Progress(0, False, 0)
    await output.call(stream.close)
    assert not stream._thread.is_alive()
    os.write(ends[1], b"one\n")
    assert os.read(ends[0], 10) == b"one\n"


# the life of a stream


async def live(
    output: WriteThread,
    report: Report,
    open_stream: Callable[[], InputStream],
    *,
    once: bool = True,
    ending: Ending | None = None,
) -> None:
    watch = Watch(output, 0.1)
    around = Surroundings(output, watch, report, ending or Ending(), once=once)
    await StreamTail(PIPE, open_stream, around).run()


async def test_a_one_shot_run_reads_a_pipe_until_its_writers_close(output: WriteThread) -> None:
    os.mkfifo(PIPE)
    words, report = said()
    opened = threading.Event()

    def open_pipe() -> PipeStream:
        stream = PipeStream(PIPE, System())
        opened.set()
        return stream

    def write() -> None:
        assert opened.wait(10)
        writer = Writer()
        writer.write(b"one\nhalf")
        writer.close()

    await asyncio.gather(live(output, report, open_pipe), asyncio.to_thread(write))
    assert merged() == b"one\nhalf\n"
    assert words == []


async def test_a_run_that_is_stopped_leaves_an_unfinished_line_out(output: WriteThread) -> None:
    os.mkfifo(PIPE)
    words, report = said()
    ending = Ending()
    reading = os.open(PIPE, os.O_RDONLY | os.O_NONBLOCK)
    writer = Writer()
    writer.write(b"one\nhalf")
    living = asyncio.create_task(
        live(output, report, lambda: PipeStream(PIPE, System()), once=False, ending=ending)
    )
    while not merged():
        await output.call(int)
    ending.stop()
    await living
    assert merged() == b"one\n"
    assert words == ["a.pipe: unfinished last line left out"]
    writer.close()
    os.close(reading)


async def test_a_pipe_that_cannot_be_opened_is_said_and_owed(output: WriteThread) -> None:
    words, report = said()
    system = Faulty(open=[fault(errno.EACCES)])
    await live(output, report, lambda: PipeStream(PIPE, system))
    assert system.spent
    assert words == ["a.pipe: permission denied, tried again"]
    assert report.owes


async def test_a_read_error_is_said_and_does_not_end_the_run(
    output: WriteThread, ends: list[int]
) -> None:
    """A terminal that hangs up, a device that fails: the whole run died of it."""
    words, report = said()
    system = Faulty(read=[fault(errno.EIO)])
    os.write(ends[1], b"one\n")
    await live(output, report, lambda: BlockingStream(PIPE, ends[0], system))
    assert system.spent
    assert len(words) == 1
    assert "input/output error" in words[0]
    assert report.owes
