"""The thread that owns the files: it reads the inputs and appends to the output."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from helpers import Faulty, append, before, fault, is_open, said, short

from tailmerge import OutputError, WriteThread, stretch
from tailmerge.feed import HOP, Progress
from tailmerge.lane import JOIN_SECONDS, LaneStopped
from tailmerge.lines import BLOCK
from tailmerge.source import Refused, Rewritten, Source, open_source
from tailmerge.stretch import MOST
from tailmerge.system import System

MERGED = Path("m.log")


def merged() -> bytes:
    return MERGED.read_bytes()


def append_behind_a_hole(name: str, size: int, data: bytes) -> None:
    with open(name, "wb") as file:
        file.seek(size)
        file.write(data)


@pytest.fixture
async def output() -> AsyncIterator[WriteThread]:
    async with WriteThread(MERGED) as output:
        yield output


async def source(
    output: WriteThread, name: str, content: bytes, system: System | None = None
) -> Source:
    append(name, content)
    return await output.call(open_source, system or System(), name)


async def close(output: WriteThread, *sources: Source) -> None:
    for each in sources:
        await output.call(each.close)


# what others write


async def test_what_is_written_is_in_the_file_when_write_returns(output: WriteThread) -> None:
    await output.write(b"a\n")
    assert merged() == b"a\n"
    await output.write(b"b\n")
    assert merged() == b"a\nb\n"


async def test_the_lessons_own_use_works() -> None:
    async with WriteThread("m.log") as output:
        await output.write(b"a line\n")
    assert merged() == b"a line\n"


async def test_writes_at_the_same_time_go_one_after_the_other(output: WriteThread) -> None:
    lines = [b"%d" % number * 1000 + b"\n" for number in range(50)]
    await asyncio.gather(*map(output.write, lines))
    assert merged() == b"".join(lines)


async def test_a_write_that_is_done_in_pieces_is_not_interrupted_by_another() -> None:
    system = Faulty(write=[short(1) for _ in range(6)])
    async with WriteThread(MERGED, system=system) as output:
        await asyncio.gather(output.write(b"one\n"), output.write(b"two\n"))
    assert system.spent
    assert merged() == b"one\ntwo\n"


def test_the_constructor_touches_nothing() -> None:
    WriteThread("none/m.log")
    assert os.listdir() == []


async def test_an_output_that_cannot_be_opened_raises_and_ends_the_thread() -> None:
    """The lesson's own sketch waits for ever here."""
    output = WriteThread("none/m.log")
    with pytest.raises(OutputError, match="no folder"):
        async with output:
            pass
    assert not output.is_alive()


async def test_a_write_after_the_stop_raises(output: WriteThread) -> None:
    """The lesson's own sketch waits for ever here."""
    await output.stop()
    with pytest.raises(LaneStopped):
        await output.write(b"late\n")
    assert merged() == b""


async def test_a_write_before_the_start_raises() -> None:
    with pytest.raises(LaneStopped):
        await WriteThread(MERGED).write(b"early\n")


async def test_what_was_sent_before_the_stop_is_written() -> None:
    output = await WriteThread(MERGED).__aenter__()
    tasks = [asyncio.create_task(output.write(b"%d\n" % number)) for number in range(100)]
    await asyncio.sleep(0)
    await output.stop()
    await asyncio.gather(*tasks)
    assert merged() == b"".join(b"%d\n" % number for number in range(100))


async def test_after_the_end_nothing_is_left_open(output: WriteThread) -> None:
    await output.write(b"a\n")
    await output.stop()
    assert not is_open(MERGED)


async def test_an_output_that_waits_does_not_hold_the_thread() -> None:
    """While the disk is full inputs go on being opened and held."""
    words, report = said()
    full = Faulty(write=[fault(errno.ENOSPC), fault(errno.ENOSPC)])
    async with WriteThread(MERGED, report=report, system=full) as output:
        writing = asyncio.create_task(output.write(b"a\n"))
        while not words:
            assert await output.call(int) == 0
        held = await source(output, "a.log", b"x\n")
        assert not writing.done()
        await writing
        await close(output, held)
    assert full.spent
    assert merged() == b"a\n"


async def test_a_stop_that_is_cancelled_still_ends_the_thread_and_closes_the_output() -> None:
    """The cancelling reached the lane within its last words: it ran on for ever."""
    words, report = said()
    full = Faulty(write=[fault(errno.ENOSPC)] * 1000)
    output = await WriteThread(MERGED, report=report, system=full).__aenter__()
    writing = asyncio.create_task(output.write(b"a\n"))
    while not words:
        await asyncio.sleep(0)
    stopping = asyncio.create_task(output.stop())
    await output_hurries(output)
    stopping.cancel()
    await asyncio.wait([stopping, writing])
    assert writing.exception()
    await asyncio.to_thread(output.join, JOIN_SECONDS)
    assert not output.is_alive()
    assert not is_open(MERGED)


async def output_hurries(output: WriteThread) -> None:
    assert output.output
    while not output.output._hurry.is_set():
        await asyncio.sleep(0)


# what it reads itself


async def test_whole_lines_are_forwarded_and_the_rest_waits(output: WriteThread) -> None:
    a = await source(output, "a.log", b"one\ntwo\nthr")
    assert await output.forward(a) == Progress(moved=8, more=False, waiting=3)
    assert merged() == b"one\ntwo\n"
    append("a.log", b"ee\n")
    assert await output.forward(a) == Progress(moved=6, more=False, waiting=0)
    assert merged() == b"one\ntwo\nthree\n"
    await close(output, a)


async def test_nothing_new_moves_nothing(output: WriteThread) -> None:
    a = await source(output, "a.log", b"one\n")
    await output.forward(a)
    assert await output.forward(a) == Progress(0, False, 0)
    await close(output, a)


async def test_a_backlog_is_forwarded_a_hop_at_a_time(
    output: WriteThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretch, "SECONDS", 60)
    content = (b"x" * 99 + b"\n") * ((MOST + 2 * HOP) // 100)
    a = await source(output, "a.log", content)
    progress = await output.forward(a)
    assert MOST <= progress.moved < MOST + 2 * BLOCK
    assert progress.more
    while (await output.forward(a)).more:
        pass
    assert merged() == content
    await close(output, a)


async def test_nothing_behind_the_asked_offset_is_forwarded(output: WriteThread) -> None:
    a = await source(output, "a.log", b"one\ntwo\nthree\n")
    await output.forward(a, 9)
    assert merged() == b"one\ntwo\n"
    await close(output, a)


async def test_a_last_line_gets_its_newline_only_when_asked(output: WriteThread) -> None:
    a = await source(output, "a.log", b"one\ntwo")
    await output.forward(a)
    assert merged() == b"one\n"
    assert (await output.forward(a, last=True)).waiting == 0
    assert merged() == b"one\ntwo\n"
    assert await output.forward(a, last=True) == Progress(0, False, 0)
    assert merged() == b"one\ntwo\n"
    await close(output, a)


async def test_a_last_line_that_is_whole_gets_no_second_newline(output: WriteThread) -> None:
    a = await source(output, "a.log", b"one\n")
    await output.forward(a, last=True)
    assert merged() == b"one\n"
    await close(output, a)


@pytest.mark.parametrize("length", [BLOCK, BLOCK + 65, 3 * BLOCK, HOP + BLOCK, 5 * HOP])
async def test_a_line_of_any_length_passes_whole(output: WriteThread, length: int) -> None:
    line = b"x" * (length - 1) + b"\n"
    a = await source(output, "a.log", b"before\n" + line + b"after\n")
    while (await output.forward(a)).more:
        pass
    assert merged() == b"before\n" + line + b"after\n"
    await close(output, a)


async def test_an_unfinished_long_line_waits_and_gets_its_newline_when_asked(
    output: WriteThread,
) -> None:
    a = await source(output, "a.log", b"before\n" + b"x" * 3 * BLOCK)
    while (progress := await output.forward(a)).more:
        pass
    assert (merged(), progress.waiting) == (b"before\n", 3 * BLOCK)
    await output.forward(a, last=True)
    assert merged() == b"before\n" + b"x" * 3 * BLOCK + b"\n"
    await close(output, a)


async def test_lines_of_two_sources_are_never_inside_each_other() -> None:
    system = Faulty(write=[short(100) for _ in range(200)])
    long = b"a" * 5000 + b"\n"
    async with WriteThread(MERGED, system=system) as output:
        a = await source(output, "a.log", long * 2)
        b = await source(output, "b.log", long.replace(b"a", b"b") * 2)
        await asyncio.gather(output.forward(a), output.forward(b), output.write(b"c\n"))
        await close(output, a, b)
    assert system.spent
    assert sorted({line[:1] + line[-1:] for line in merged().splitlines(keepends=True)}) == [
        b"a\n",
        b"b\n",
        b"c\n",
    ]
    assert {len(line) for line in merged().splitlines()} == {5000, 1}


async def test_a_line_whose_file_is_gone_goes_before_the_new_content(output: WriteThread) -> None:
    a = await source(output, "a.log", b"new\n")
    a.orphan = b"unfinished"
    await output.forward(a)
    await output.forward(a)
    assert merged() == b"unfinished\nnew\n"
    await close(output, a)


async def test_a_hole_is_told_once(output: WriteThread) -> None:
    append_behind_a_hole("a.log", 100_000, b"new\n")
    a = await source(output, "a.log", b"")
    assert (await output.forward(a)).hole == 100_000
    assert (await output.forward(a)).hole == 0
    assert merged() == b"new\n"
    await close(output, a)


async def test_what_was_rewritten_is_told_and_nothing_of_it_is_forwarded(
    output: WriteThread,
) -> None:
    a = await source(output, "a.log", b"one\n")
    await output.forward(a)
    os.truncate("a.log", 0)
    append("a.log", b"other\n")
    with pytest.raises(Rewritten):
        await output.forward(a)
    assert merged() == b"one\n"
    await close(output, a)


async def test_what_is_not_made_of_bytes_is_refused(output: WriteThread) -> None:
    a = await source(output, "a.log", "\ufeffone\n".encode("utf-16-le"))
    with pytest.raises(Refused):
        await output.forward(a)
    assert merged() == b""
    await close(output, a)


async def test_a_read_error_leaves_everything_as_it_was(output: WriteThread) -> None:
    system = Faulty(read_into=[fault(errno.EIO)])
    a = await source(output, "a.log", b"one\n", system)
    with pytest.raises(OSError, match="Input/output"):
        await output.forward(a)
    assert system.spent
    await output.forward(a)
    assert merged() == b"one\n"
    await close(output, a)


async def test_a_full_disk_in_the_middle_of_a_batch_costs_and_doubles_nothing() -> None:
    system = Faulty(write=[short(5), fault(errno.ENOSPC), short(1)])
    async with WriteThread(MERGED, system=system) as output:
        a = await source(output, "a.log", b"one\ntwo\nthree\n")
        await output.forward(a)
        await close(output, a)
    assert system.spent
    assert merged() == b"one\ntwo\nthree\n"


async def cut_while_copied(output: WriteThread, new: bytes) -> tuple[Source, Progress | None]:
    """A long line is found whole; then its file is cut and written anew before it is copied."""
    append("a.log", b"x" * 3 * BLOCK + b"\n")

    def cut() -> None:
        os.truncate("a.log", 0)
        append("a.log", new)

    system = Faulty(read_into=[None, None, None, None, None, before(cut)])
    a = await source(output, "a.log", b"", system)
    try:
        progress = await output.forward(a)
    except Rewritten:
        progress = None
    assert system.spent
    return a, progress


async def test_a_file_cut_while_a_long_line_is_copied_leaves_a_line_that_is_ended(
    output: WriteThread,
) -> None:
    a, _ = await cut_while_copied(output, b"")
    assert merged().endswith(b"x\n")
    assert merged().count(b"\n") == 1
    await close(output, a)


async def test_a_line_that_was_cut_while_it_was_copied_is_told(output: WriteThread) -> None:
    a, progress = await cut_while_copied(output, b"")
    assert progress
    assert progress.torn
    await close(output, a)


async def test_after_a_torn_copy_the_cut_is_still_seen(output: WriteThread) -> None:
    """The marker was read where the file had nothing any more: a cut was never noticed, and
    new lines not seen before the file was as long as the old one."""
    a, progress = await cut_while_copied(output, b"new\n")
    if progress:
        with pytest.raises(Rewritten):
            await output.forward(a)
    await close(output, a)


async def test_a_file_cut_before_its_long_line_is_copied_is_found_rewritten(
    output: WriteThread,
) -> None:
    """The position went behind a line that was no longer there, and nobody saw the cut."""
    append("a.log", b"x" * 3 * BLOCK + b"\n")
    system = Faulty(read_at=[before(lambda: os.truncate("a.log", 0))])
    a = await source(output, "a.log", b"", system)
    with pytest.raises(Rewritten):
        await output.forward(a)
    assert system.spent
    assert (merged(), a.offset, a.cut) == (b"", 0, True)
    await close(output, a)


async def test_a_read_error_within_a_long_line_does_not_lose_it(output: WriteThread) -> None:
    """The position was behind the line already: its end never came."""
    line = b"x" * 3 * BLOCK + b"\n"
    append("a.log", line)
    system = Faulty(read_into=[None, None, None, None, None, None, fault(errno.EIO)])
    a = await source(output, "a.log", b"", system)
    with pytest.raises(OSError, match="Input/output"):
        await output.forward(a)
    assert system.spent
    assert merged().endswith(b"\n")
    await output.forward(a)
    assert merged().endswith(b"x\n" + line)
    await close(output, a)


# the output's end


async def test_every_output_of_the_run_is_known(output: WriteThread) -> None:
    first = os.stat(MERGED).st_ino
    os.rename(MERGED, "m.log.1")
    await output.write(b"a\n")
    inodes = {inode for _, inode in await output.identities()}
    assert inodes == {first, os.stat(MERGED).st_ino}


async def test_a_named_pipe_without_a_reader_is_not_waited_for_at_the_start() -> None:
    os.mkfifo("pipe")
    async with WriteThread("pipe") as output:
        reading = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
        await output.write(b"a\n")
        assert os.read(reading, 10) == b"a\n"
        os.close(reading)
        await asyncio.wait_for(output.wait_reader_gone(), 5)


async def test_overwrite_empties_the_output() -> None:
    append(MERGED, b"old\n")
    async with WriteThread(MERGED, overwrite=True) as output:
        await output.write(b"new\n")
    assert merged() == b"new\n"


async def test_an_output_that_cannot_be_emptied_is_said_and_not_left_open() -> None:
    """`chattr +a`: the caller got the system's own error."""
    append(MERGED, b"old\n")
    system = Faulty(truncate=[fault(errno.EPERM)])
    with pytest.raises(OutputError, match=r"m\.log: operation not permitted"):
        async with WriteThread(MERGED, overwrite=True, system=system):
            pass
    assert system.spent
    assert not is_open(MERGED)
