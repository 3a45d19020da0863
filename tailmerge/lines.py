"""Whole lines: where one ends, and what waits for its end.

A line is bytes up to and with its newline. Nothing here interprets them: CRLF, NUL and
invalid UTF-8 pass as they are.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

BLOCK = 512 * 1024
"""Bytes read at a time: what is done for each block costs half of what it does for 256 KiB,
and more than this no longer fits the processor's own memory everywhere (docs/design.md)."""


class Chunk(NamedTuple):
    """What one read brought, as indexes into the buffer."""

    begin: int
    """Where the source's offset is."""
    cut: int
    """Behind the last newline; `begin` where there is none."""
    end: int
    """Behind the last byte."""
    at_end: bool
    """The file, or what was asked of it, ended here."""


Cut = Callable[[bytes | bytearray, int, int], int]
"""Where the last whole piece of `buffer[begin:end]` ends; `begin` where there is none."""


def cut_lines(buffer: bytes | bytearray, begin: int, end: int) -> int:
    """Behind the last newline."""
    return buffer.rfind(b"\n", begin, end) + 1 or begin


def end_line(data: bytes) -> bytes:
    """With a newline at its end, be it added: open records end with one, lines do not."""
    return data if data.endswith(b"\n") else data + b"\n"


class Window(NamedTuple):
    """Whole lines that stand in a buffer, until that is used again."""

    buffer: bytes | bytearray
    begin: int
    end: int

    def copy(self) -> bytes:
        """The lines, to be kept."""
        if isinstance(self.buffer, bytes) and len(self.buffer) == self.end - self.begin:
            return self.buffer
        return bytes(self.view())

    def view(self) -> memoryview:
        return memoryview(self.buffer)[self.begin : self.end]


class NoNewData(Exception):
    """There is no whole new line in the file yet."""


def readline(handle: BinaryIO) -> bytes:
    """Return the next whole line, with its newline, from a handle's current position.

    The handle is left behind the line; where there is none yet, at the place where it
    was, so that a line written in two halves comes out in one piece later. It blocks as
    the handle's own `readline` does: call it off the event loop.

    Raises:
        NoNewData: there is no whole line yet.
    """
    start = handle.tell()
    line = handle.readline()
    if line.endswith(b"\n"):
        return line
    handle.seek(start, io.SEEK_SET)
    raise NoNewData


def find_last_lines(read_at: Callable[[int, int], bytes], size: int, count: int) -> int:
    """Return the offset at which the last `count` whole lines of a file begin.

    `read_at(length, offset)` reads the file and `size` is its length in bytes. A last
    line without its newline is not counted and lies behind the ones that are; 0 lines
    is therefore the offset behind the last newline.
    """
    wanted = count + 1  # the newline that ends the line before them
    end = size
    while end > 0:
        begin = max(0, end - BLOCK)
        block = read_at(end - begin, begin)
        cut = len(block)
        while (cut := block.rfind(b"\n", 0, cut)) >= 0:
            wanted -= 1
            if wanted == 0:
                return begin + cut + 1
        end = begin
    return 0
