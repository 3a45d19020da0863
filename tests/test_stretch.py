"""Long parts of a file go out in one batch, a block at a time; whatever comes in between."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import append

from tailmerge import run_fully_async, stretch
from tailmerge.batch import EDGE, Span, labelled_batch
from tailmerge.position import digest
from tailmerge.recovery import Finding, Verdict, examine
from tailmerge.state import Record
from tailmerge.system import System

LINES = [b"%06d %s\n" % (number, b"x" * (number % 173)) for number in range(56_000)]
CONTENT = b"".join(LINES)
FOREIGN = b"somebody else's line\n"


@pytest.fixture
def content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stretch, "SPARE", stretch.BLOCK)
    monkeypatch.setattr(stretch, "SECONDS", 60)
    Path("a").write_bytes(CONTENT)
    return CONTENT


class Watched(System):
    """Does something before its n-th write to the output, and counts records and writes."""

    def __init__(self, at: int = 0, act: Callable[[], None] = lambda: None) -> None:
        self.at = at
        self.act = act
        self.writes = self.records = 0
        self.output: int | None = None

    def write(self, fd: int, data: Any) -> int:
        self.writes += 1
        if self.writes == self.at:
            self.act()
        return super().write(fd, data)

    def write_at(self, fd: int, data: bytes, offset: int) -> int:
        self.records += data.count(b'"from"')
        return super().write_at(fd, data, offset)


def merge(system: System | None = None, **how: Any) -> None:
    how = {"once": True, "state_path": "m.tailmerge"} | how
    asyncio.run(run_fully_async(["a"], 0.01, "m", system=system, **how))


def test_what_is_long_is_announced_in_few_batches(content: bytes) -> None:
    system = Watched()
    merge(system)
    assert Path("m").read_bytes() == content
    assert system.records <= 4
    assert system.writes >= 10


def test_without_a_state_too(content: bytes) -> None:
    merge(state_path=None)
    assert Path("m").read_bytes() == content


@pytest.mark.parametrize("at", range(2, 10))
def test_others_may_append_between_two_blocks(content: bytes, at: int) -> None:
    merge(Watched(at, lambda: append("m", FOREIGN)))
    merged = Path("m").read_bytes()
    assert merged.count(FOREIGN) == 1
    assert merged.replace(FOREIGN, b"") == content
    assert_nothing_comes_again(merged)


def assert_nothing_comes_again(merged: bytes) -> None:
    append("a", b"one more\n")
    merge()
    assert Path("m").read_bytes() == merged + b"one more\n"


class Full(Watched):
    """Writes a part of one block, and then nothing for a while; others append meanwhile."""

    def __init__(self, at: int, part: float, theirs: bytes) -> None:
        super().__init__(at)
        self.part = part
        self.theirs = theirs
        self.fails = 3

    def write(self, fd: int, data: Any) -> int:
        if self.writes + 1 < self.at or not self.fails:
            return super().write(fd, data)
        self.fails -= 1
        if self.fails == 2 and self.part:
            return super().write(fd, bytes(data)[: int(len(data) * self.part)])
        if self.fails == 1 and self.theirs:
            append("m", self.theirs)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("theirs", [b"", FOREIGN])
@pytest.mark.parametrize("part", [0, 0.001, 0.5])
def test_a_disk_that_is_full_inside_of_it(content: bytes, part: float, theirs: bytes) -> None:
    system = Full(5, part, theirs)
    merge(system)
    assert system.fails == 0
    merged = Path("m").read_bytes()
    kept = [line for line in merged.splitlines(keepends=True) if line in KNOWN]
    assert b"".join(kept) == content
    if not theirs:
        assert merged == content
    assert_nothing_comes_again(merged)


KNOWN = frozenset(LINES)


@pytest.mark.parametrize("at", range(3, 9))
def test_a_file_that_is_copied_and_cut_inside_of_it(content: bytes, at: int) -> None:
    def copytruncate() -> None:
        Path("a.1").write_bytes(Path("a").read_bytes())
        os.truncate("a", 0)
        append("a", b"new\n")

    merge(Watched(at, copytruncate), once=False, until_idle=0.3)
    assert Path("m").read_bytes() == content + b"new\n"


def test_a_file_that_is_cut_and_has_grown_again_inside_of_it(content: bytes) -> None:
    def rewrite() -> None:
        os.truncate("a", 0)
        append("a", content.replace(b"x", b"y"))

    merge(Watched(6, rewrite), once=False, until_idle=0.3)
    merged = Path("m").read_bytes()
    assert merged.endswith(content.replace(b"x", b"y"))
    assert content.startswith(merged[: -len(content)])


def test_a_line_longer_than_a_block_ends_it(content: bytes) -> None:
    long = b"l" * (2 * stretch.BLOCK) + b"\n"
    Path("a").write_bytes(CONTENT[:2_000_031] + b"\n" + long + CONTENT)
    merge()
    assert Path("m").read_bytes() == Path("a").read_bytes()


def test_a_slow_one_ends_early(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretch, "SECONDS", 0)
    system = Watched()
    merge(system)
    assert Path("m").read_bytes() == content
    assert system.records >= system.writes - 2


# after a kill


class Dying(Watched):
    """Is killed inside of a write."""

    def __init__(self, at: int, part: float, theirs: str) -> None:
        super().__init__(at)
        self.part = part
        self.theirs = theirs

    def write(self, fd: int, data: Any) -> int:
        if self.writes + 1 < self.at:
            return super().write(fd, data)
        if self.theirs == "before":
            append("m", FOREIGN)
        os.write(fd, bytes(data)[: int(len(data) * self.part)])
        if self.theirs == "behind":
            append("m", FOREIGN)
        os._exit(9)


def die(system: Dying) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            merge(system)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9


@pytest.mark.parametrize("part", [0, 0.3, 1])
@pytest.mark.parametrize("theirs", ["none", "before", "behind"])
@pytest.mark.parametrize("at", [2, 3, 6])
def test_killed_between_two_blocks(content: bytes, at: int, theirs: str, part: float) -> None:
    """Others append in the instant between a look at the output's end and a write."""
    die(Dying(at, part, theirs))
    merge()
    lines = Path("m").read_bytes().splitlines(keepends=True)
    assert b"".join(line for line in lines if line in KNOWN) == content


def test_others_append_where_there_is_nothing_to_finish(content: bytes) -> None:
    die(Dying(4, 1, "none"))
    assert Path("m").read_bytes().endswith(b"\n")
    merge(Watched(1, lambda: append("m", FOREIGN)))
    assert Path("m").read_bytes().replace(FOREIGN, b"") == content


@pytest.mark.parametrize("part", [0.001, 0.3])
def test_others_append_while_a_torn_line_is_finished(content: bytes, part: float) -> None:
    """Old symptom: that line was lost."""
    die(Dying(4, part, "none"))
    assert not Path("m").read_bytes().endswith(b"\n")
    merge(Watched(1, lambda: append("m", FOREIGN)))
    lines = Path("m").read_bytes().splitlines(keepends=True)
    assert b"".join(line for line in lines if line in KNOWN) == content


class Moving(Watched):
    """Has its output renamed inside of a stretch, and is killed at a later call of the journal."""

    def __init__(self, calls: int, theirs: bytes) -> None:
        super().__init__()
        self.calls = calls
        self.theirs = theirs
        self.is_moved = False

    def write(self, fd: int, data: Any) -> int:
        count = super().write(fd, data)
        if self.writes == 3:
            os.rename("m", "m.1")
            self.is_moved = True
            if self.theirs:
                append("m.1", self.theirs)
        return count

    def write_at(self, fd: int, data: bytes, offset: int) -> int:
        if self.is_moved:
            self.calls -= 1
            if self.calls < 0:
                os._exit(9)
        return super().write_at(fd, data, offset)


@pytest.mark.parametrize("calls", range(4))
@pytest.mark.parametrize(("seconds", "theirs"), [(0, b""), (60, FOREIGN)])
def test_killed_where_the_output_was_moved_inside_of_it(
    content: bytes, monkeypatch: pytest.MonkeyPatch, seconds: float, theirs: bytes, calls: int
) -> None:
    """Old symptom: all of the stretch was taken for written."""
    monkeypatch.setattr(stretch, "SECONDS", seconds)
    die(Moving(calls, theirs))
    merge()
    merged = Path("m.1").read_bytes() + Path("m").read_bytes()
    assert merged.replace(FOREIGN, b"") == content


@pytest.mark.parametrize("at", range(1, 16))
def test_the_input_is_cut_while_a_kill_is_recovered_from(content: bytes, at: int) -> None:
    """Old symptom: its lines came twice."""
    die(Dying(4, 0.3, "none"))

    class Cutting(System):
        left = at

        def read_at(self, fd: int, count: int, offset: int) -> bytes:
            self.left -= 1
            if self.left == 0:
                Path("a.1").write_bytes(Path("a").read_bytes())
                os.truncate("a", 0)
                append("a", b"new\n")
            return super().read_at(fd, count, offset)

    merge(Cutting())
    merge()
    assert Path("m").read_bytes() == content + b"new\n"


def test_after_a_power_cut_behind_its_end_it_goes_on_where_the_output_ends(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last record is of no bytes, which is no reason not to look at the output."""
    monkeypatch.setattr(stretch, "SECONDS", 0)
    die(Dying(6, 0, "none"))
    state = Path("m.tailmerge").read_bytes()
    records = [line for line in state.splitlines(keepends=True) if b'"from"' in line]
    last = records.index(next(line for line in reversed(records) if b'"length":0' in line))
    kept = state[: state.index(records[last]) + len(records[last])]
    boot = System().boot().encode()
    assert boot in kept
    Path("m.tailmerge").write_bytes(kept.replace(boot, b"another boot" + boot[12:]))
    os.truncate("m", json.loads(records[0])["length"])
    merge()
    assert Path("m").read_bytes() == content


BATCH = b"".join(b"line %d of the batch\n" % number for number in range(2000))


def find(output: bytes, at: int = 7) -> Finding:
    record = Record((), at, len(BATCH), digest(BATCH[:EDGE]), digest(BATCH[-EDGE:]))
    return examine(
        record,
        len(output),
        lambda n, skip: output[skip : skip + n],
        lambda n, skip: BATCH[skip : skip + n],
    )


CUT = BATCH.find(b"\n", 20_000) + 1
SECOND = BATCH.find(b"\n", 30_000) + 1


def test_a_batch_in_two_pieces_is_known_to_be_whole() -> None:
    output = b"before\n" + BATCH[:CUT] + FOREIGN + BATCH[CUT:]
    assert find(output) == Finding(Verdict.SETTLED, len(BATCH))
    assert find(output + FOREIGN) == Finding(Verdict.SETTLED, len(BATCH))


def test_a_batch_whose_second_piece_is_the_end_is_finished() -> None:
    output = b"before\n" + BATCH[:CUT] + FOREIGN + BATCH[CUT : SECOND + 5]
    assert find(output) == Finding(Verdict.FINISH, SECOND + 5)


def test_a_batch_in_three_pieces_with_others_behind() -> None:
    pieces = BATCH[:CUT] + FOREIGN + BATCH[CUT:SECOND] + FOREIGN
    assert find(b"before\n" + pieces) == Finding(Verdict.AGAIN, SECOND)


def test_a_line_of_others_that_is_like_the_next_one_is_theirs() -> None:
    next_line = BATCH[CUT : BATCH.find(b"\n", CUT) + 1]
    output = b"before\n" + BATCH[:CUT] + FOREIGN + next_line + FOREIGN
    assert len(next_line) < EDGE
    assert find(output) == Finding(Verdict.AGAIN, CUT)


@pytest.mark.parametrize(
    ("batch", "theirs"),
    [
        (b"\nTraceback:\n  x\n", b"foreign\n"),
        (b"}\nnext\n", b"{}\n"),
        (b"ok\nnext\n", b"look\n"),
    ],
)
def test_what_others_wrote_is_not_taken_for_a_short_first_line(batch: bytes, theirs: bytes) -> None:
    record = Record((), 7, len(batch), digest(batch[:EDGE]), digest(batch[-EDGE:]))
    output = b"before\n" + theirs
    finding = examine(
        record,
        len(output),
        lambda n, skip: output[skip : skip + n],
        lambda n, skip: batch[skip : skip + n],
    )
    assert finding == Finding(Verdict.ABSENT)


def test_a_long_batch_of_like_lines_is_compared_once() -> None:
    batch = b"tick\n" * 600_000
    record = Record((), 0, len(batch), digest(batch[:EDGE]), digest(batch[-EDGE:]))
    output = batch[:1_500_003] + FOREIGN * 1000
    reads = 0

    def read_output(n: int, skip: int) -> bytes:
        nonlocal reads
        reads += 1
        return output[skip : skip + n]

    finding = examine(record, len(output), read_output, lambda n, skip: batch[skip : skip + n])
    assert finding == Finding(Verdict.AGAIN, 1_500_000)
    assert reads < 50


def test_the_rest_of_a_labelled_batch_is_of_the_bytes_before_the_label() -> None:
    lines, label = [b"one\n", b"two2\n", b"three33\n", b"4\n"], b"a: "
    data = b"".join(label + line for line in lines)
    span = Span(7, 100, 100 + len(b"".join(lines)), b"m")
    batch = labelled_batch(data, (span,), label)
    rest = batch.rest(len(b"a: one\na: tw"))
    assert rest.spans == (span._replace(start=104),)
    assert b"".join(map(bytes, rest.pieces(0))) == data[7:]
    assert rest.length == len(data) - 7
    again = rest.rest(len(b"a: two2\na: three33\na"))
    assert again.spans == (span._replace(start=117),)
    assert b"".join(map(bytes, again.pieces(0))) == b"a: 4\n"
