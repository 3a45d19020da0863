"""Many inputs that grew by a little go out in one batch; what is more goes out by itself."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from helpers import Faulty, append, fault, short

from tailmerge import WriteThread
from tailmerge.batch import Span, lines_batch
from tailmerge.feed import HOP, Feed, Progress
from tailmerge.lines import BLOCK
from tailmerge.notices import HEADER, _split
from tailmerge.plain import MOST_SPANS
from tailmerge.source import Refused, Rewritten, Source, open_source
from tailmerge.system import System


def merged() -> bytes:
    return Path("m.log").read_bytes()


async def opened(output: WriteThread, *names: str) -> list[Source]:
    return [await output.call(open_source, output.system, name) for name in names]


async def close(output: WriteThread, sources: Sequence[Source]) -> None:
    for each in sources:
        await output.call(each.close)


async def forward(output: WriteThread, sources: Sequence[Source]) -> Sequence[Progress | Exception]:
    return await output.send(output.forward_all, [(Feed(each.path), each) for each in sources])


class Counted(System):
    """Counts the writes."""

    writes = 0

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self.writes += 1
        return super().write(fd, data)


async def test_little_of_many_is_one_write_in_their_order() -> None:
    names = [f"{number:02}.log" for number in range(MOST_SPANS)]
    for name in names:
        append(name, f"{name} one\n{name} half".encode())
    system = Counted()
    async with WriteThread("m.log", system=system, state_path="m.state") as output:
        sources = await opened(output, *names)
        system.writes = 0
        outcomes = await forward(output, sources)
        assert outcomes == [Progress(11, False, 11)] * len(names)
        assert system.writes == 1
        await close(output, sources)
    assert merged().decode().splitlines() == [f"{name} one" for name in names]


async def test_more_files_than_a_record_holds_and_more_bytes_than_a_block() -> None:
    names = [f"{number:03}.log" for number in range(2 * MOST_SPANS + 1)]
    line = b"x" * 20_000 + b"\n"
    for name in names:
        append(name, line)
    async with WriteThread("m.log") as output:
        sources = await opened(output, *names)
        await forward(output, sources)
        await close(output, sources)
    assert merged() == line * len(names)


async def test_what_is_not_little_goes_out_in_its_place() -> None:
    much = (b"y" * 99 + b"\n") * (2 * BLOCK // 100)
    long = b"z" * 2 * BLOCK + b"\n"
    append("a", b"a 1\n")
    append("much", much)
    append("b", b"b 1\n")
    append("long", long)
    append("orphan", b"new\n")
    append("c", b"c 1\n")
    append("endless", b"e\n" * HOP)
    async with WriteThread("m.log") as output:
        sources = await opened(output, "a", "much", "b", "long", "orphan", "c", "endless")
        sources[4].orphan = b"left over"
        outcomes = await forward(output, sources)
        assert [each for each in outcomes if isinstance(each, Exception)] == []
        assert [each.more for each in outcomes if isinstance(each, Progress)] == [False] * 6 + [
            True
        ]
        await close(output, sources)
    expected = b"a 1\n" + much + b"b 1\n" + long + b"left over\nnew\nc 1\n"
    assert merged().startswith(expected + b"e\n")
    assert merged() == expected + b"e\n" * ((len(merged()) - len(expected)) // 2)


@pytest.mark.parametrize("size", [100, BLOCK // 8, BLOCK // 2, BLOCK - 200, BLOCK, 3 * BLOCK])
async def test_half_a_line_behind_whatever_there_is_waits_for_its_end(size: int) -> None:
    lines = (b"y" * 99 + b"\n") * (size // 100)
    append("a", b"a 1\n")
    append("much", lines + b"half")
    async with WriteThread("m.log") as output:
        sources = await opened(output, "a", "much")
        assert await forward(output, sources) == [
            Progress(4, False, 0),
            Progress(len(lines), False, 4),
        ]
        append("much", b" a line\n" + lines)
        assert await forward(output, sources) == [
            Progress(0, False, 0),
            Progress(len(b"half a line\n" + lines), False, 0),
        ]
        await close(output, sources)
    assert merged() == b"a 1\n" + lines + b"half a line\n" + lines


async def test_what_fails_for_one_is_its_own() -> None:
    append("a", b"a 1\n")
    append("cut", b"cut 1\n")
    append("wide", "\ufeffone\n".encode("utf-16-le"))
    append("b", b"b 1\n")
    async with WriteThread("m.log") as output:
        sources = await opened(output, "a", "cut", "wide", "b")
        await forward(output, sources[1:2])
        os.truncate("cut", 0)
        append("cut", b"other 1\n")
        a, cut, wide, b = await forward(output, sources)
        assert (a, b) == (Progress(4, False, 0), Progress(4, False, 0))
        assert isinstance(cut, Rewritten)
        assert isinstance(wide, Refused)
        await close(output, sources)
    assert merged() == b"cut 1\na 1\nb 1\n"


async def test_an_input_that_cannot_be_read_is_left_as_it_was() -> None:
    append("a", b"a 1\n")
    append("b", b"b 1\n")
    system = Faulty(read_into=[fault(errno.EIO)])
    async with WriteThread("m.log", system=system) as output:
        sources = await opened(output, "a", "b")
        a, b = await forward(output, sources)
        assert isinstance(a, OSError)
        assert b == Progress(4, False, 0)
        assert await forward(output, sources) == [Progress(4, False, 0), Progress(0, False, 0)]
        await close(output, sources)
    assert merged() == b"b 1\na 1\n"


@pytest.mark.parametrize("written", range(1, 12))
async def test_a_disk_that_is_full_anywhere_in_the_batch_costs_and_doubles_nothing(
    written: int,
) -> None:
    for name in "abc":
        append(name, name.encode() + b" 1\n")
    system = Faulty(write=[short(written), fault(errno.ENOSPC)])
    async with WriteThread("m.log", system=system, state_path="m.state") as output:
        sources = await opened(output, "a", "b", "c")
        await forward(output, sources)
        await close(output, sources)
    assert system.spent
    assert merged() == b"a 1\nb 1\nc 1\n"


def test_the_rest_of_a_batch_begins_where_its_first_line_that_is_not_whole_does() -> None:
    spans = (Span(1, 10, 14, b"a 1\n"), Span(2, 0, 8, b"b 2\n"), Span(3, 5, 9, b"c 1\n"))
    batch = lines_batch(b"a 1\nb 1\nb 2\nc 1\n", spans)
    for written, rest in {
        3: (spans, b"a 1\nb 1\nb 2\nc 1\n"),
        4: (spans[1:], b"b 1\nb 2\nc 1\n"),
        9: ((spans[1]._replace(start=4), spans[2]), b"b 2\nc 1\n"),
        15: (spans[2:], b"c 1\n"),
        16: ((), b""),
    }.items():
        left = batch.rest(written)
        assert (left.spans, b"".join(left.pieces(0))) == rest
        assert left.length == len(rest[1])


def event(watch: int, mask: int, name: bytes, room: int) -> bytes:
    head = watch.to_bytes(4, "little") + mask.to_bytes(4, "little") + bytes(4)
    return head + room.to_bytes(4, "little") + name.ljust(room, b"\0")


def test_events_are_told_apart_whatever_room_their_names_take() -> None:
    a, b = event(1, 2, b"a.log", 16), event(1, 2, b"b.log", 16)
    long, none = event(1, 2, b"n" * 300, 304), event(1, 0x4000, b"", 0)
    assert _split(b"") == set()
    assert _split(a + b + a + a) == {a, b}
    assert _split(a + long + b + none + a) == {a, b, long, none}
    assert _split(none + none) == {none}
    assert _split(long + a) == {long, a}
    tricky = event(1, 2, b"x" * HEADER, 32)  # its second half could be taken for one of its own
    assert _split(none + tricky + a) == {none, tricky, a}
