"""Whole lines: where one ends, and what waits for its end."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from helpers import append
from hypothesis import given
from hypothesis import strategies as st

from tailmerge import NoNewData, readline
from tailmerge.lines import BLOCK, find_last_lines

TEXT = st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\0", b"\xff"])).map(b"".join)


def read_of(data: bytes) -> Callable[[int, int], bytes]:
    return lambda length, offset: data[offset : offset + length]


def all_lines(handle: BinaryIO) -> Iterator[bytes]:
    try:
        while True:
            yield readline(handle)
    except NoNewData:
        pass


def last_lines(data: bytes, count: int) -> bytes:
    return data[find_last_lines(read_of(data), len(data), count) :]


def test_readline_returns_a_whole_line_with_its_newline() -> None:
    handle = io.BytesIO(b"a\nb\n")
    assert [readline(handle), readline(handle)] == [b"a\n", b"b\n"]


def test_readline_raises_at_the_end() -> None:
    with pytest.raises(NoNewData):
        readline(io.BytesIO(b""))


def test_a_line_written_in_two_halves_comes_in_one_piece(tmp_path: Path) -> None:
    append(tmp_path / "a.log", b"one\ntw")
    with open(tmp_path / "a.log", "rb") as handle:
        assert readline(handle) == b"one\n"
        with pytest.raises(NoNewData):
            readline(handle)
        assert handle.tell() == 4
        append(tmp_path / "a.log", b"o\n")
        assert readline(handle) == b"two\n"


@pytest.mark.parametrize(
    "line", [b"\n", b"crlf\r\n", b"a\0b\n", b"\xff\xfe\x80\n", b"\r\x0b\x85\n"]
)
def test_only_a_newline_ends_a_line(line: bytes) -> None:
    assert readline(io.BytesIO(line + b"more\n")) == line


@given(TEXT)
def test_readline_returns_every_byte_up_to_the_last_newline(data: bytes) -> None:
    lines = list(all_lines(io.BytesIO(data)))
    assert b"".join(lines) == data[: data.rfind(b"\n") + 1]
    assert all(line.count(b"\n") == 1 for line in lines)


@given(TEXT, st.integers(0, 5))
def test_the_last_lines_are_whole_ones_and_what_is_behind_them(data: bytes, count: int) -> None:
    *lines, unfinished = data.split(b"\n")
    wanted = lines[max(0, len(lines) - count) :]
    assert last_lines(data, count) == b"".join(line + b"\n" for line in wanted) + unfinished


@pytest.mark.parametrize("length", [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_the_last_lines_are_found_across_blocks(length: int) -> None:
    line = b"x" * (length - 1) + b"\n"
    assert last_lines(b"first\n" + line + b"last\n", 2) == line + b"last\n"
    assert last_lines(b"first\n" + line, 1) == line


def test_no_last_lines_are_what_is_behind_the_last_newline() -> None:
    assert last_lines(b"a\nb\nunfinished", 0) == b"unfinished"
    assert last_lines(b"a\nb\n", 0) == b""


def test_more_last_lines_than_there_are_is_the_whole_file() -> None:
    assert last_lines(b"a\nb\n", 100) == b"a\nb\n"


def test_a_file_cut_while_its_last_lines_are_looked_for_does_no_harm() -> None:
    """The size was asked before the cut: what is read behind the end is nothing."""
    assert find_last_lines(read_of(b"a\nb\n"), 10 * BLOCK, 1) == 2
