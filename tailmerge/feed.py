"""One input as the thread that owns the files sees it, and what one forward of it did."""

from __future__ import annotations

from typing import NamedTuple

HOP = 4 * 1024 * 1024
"""Bytes forwarded from one source before another one gets its turn; where they are but copied, a
stretch more (stretch.py); where they are shaped the time counts (shaped.py)."""

TURN_SECONDS = 0.01
"""How long a stretch may take, or lines that are shaped: others wait for their turn."""


class Feed:
    """One input: all files of a series, a stream, a handle."""

    __slots__ = ("lines", "moved", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        """As it was given or matched; a rotated file keeps its input's."""
        self.moved = 0
        """Bytes that were read of it in this run."""
        self.lines = 0
        """Lines that were read of it in this run, where they are counted."""


class Asked(NamedTuple):
    """What is to be forwarded of a source."""

    until: int | None = None
    """The offset behind which nothing is read; None: the file's end."""
    last: bool = False
    """An unfinished last line goes out too, with a newline added."""
    again: bool = True
    """A later run can have these lines once more: the journal need not keep them."""
    close: bool = False
    """An open record at the end is taken for whole."""


class Progress(NamedTuple):
    """What one `forward` did."""

    moved: int
    """Bytes of the source that reached the output."""
    more: bool
    """The end was not reached: ask again."""
    waiting: int
    """Bytes of an unfinished last line."""
    hole: int = 0
    """Bytes of a hole that were skipped."""
    torn: bool = False
    """The file was cut while a long line was copied, of which only a part is written."""
