"""What goes out in one piece: whole lines, the sources they come from, and up to where.

A batch is the unit of everything that must not be half done: it is announced before it is
written, and no other input's bytes are ever inside it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A part of one input that a batch carries."""

    source: int
    """The source's number within this run."""
    start: int
    """Offset of the first byte, bytes."""
    end: int
    """Offset behind the last byte, bytes."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole lines that are written together, from one or several sources."""

    spans: tuple[Span, ...]
    length: int
    """Bytes that reach the output: more than the spans where a newline was added."""
