"""What goes out in one piece: whole lines, the sources they come from, and up to where.

A batch is the unit of everything that must not be half done: it is announced in the
journal before it is written, and no other input's bytes are ever inside it. Its bytes can
be had more than once, from any byte on, so that what was not written can be written later; but
for a stretch's (stretch.py), which ends with what was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

EDGE = 64
"""Bytes at both ends of a batch by which the journal knows it again."""

LONGEST = 16 * 1024 * 1024
"""Bytes of the longest batch of several lines: it is held while it is compared after a kill."""

Bytes = bytes | memoryview


class Span(NamedTuple):
    """A part of one input that a batch carries."""

    source: int
    """The source's number in the journal."""
    start: int
    """Offset of the first byte, bytes."""
    end: int
    """Offset behind the last byte, bytes."""
    marker: bytes
    """The last bytes before `end`, at most `source.MARKER` of them."""


class Batch(NamedTuple):
    """Whole lines that are written together, from one or several sources."""

    spans: tuple[Span, ...]
    length: int
    """Bytes that reach the output: more than the spans where a newline was added."""
    first: bytes
    """The first `EDGE` bytes."""
    last: bytes
    """The last `EDGE` bytes."""
    pieces: Callable[[int], Iterable[Bytes]]
    """The bytes from the n-th on, a block at a time, each valid until the next one."""
    whole: Callable[[int], int]
    """Of the first n bytes, how many are whole lines."""
    again: bool = True
    """A later run can have the bytes again from the spans and the label; else they are kept
    beside the journal until they are written."""
    kept_at: int | None = None
    """Where in what is kept it begins, bytes; None: it is not kept yet."""
    label: bytes = b""
    """What stands before each line of the spans."""
    sent: Callable[[int], int] = int
    """Of the spans, how many bytes are in the first n, which are whole lines."""

    def rest(self, written: int) -> Batch:
        """The batch of the lines that are not whole when so many bytes are written."""
        skip = self.whole(written)
        sent = self.sent(skip)
        spans = tuple(_skip_spans(self.spans, sent)) if self.again else self.spans
        first = next(iter(self.pieces(skip)), b"")
        return self._replace(
            spans=spans,
            length=self.length - skip,
            first=bytes(first[:EDGE]),
            pieces=lambda n: self.pieces(skip + n),
            whole=lambda n: max(0, self.whole(skip + n) - skip),
            kept_at=None if self.again else (self.kept_at or 0) + skip,
            sent=lambda n: self.sent(skip + n) - sent,
        )


def _skip_spans(spans: Iterable[Span], count: int) -> Iterator[Span]:
    """The spans without the first `count` bytes of all of them."""
    for span in spans:
        size = span.end - span.start
        if count < size:
            yield span._replace(start=span.start + count)
        count = max(0, count - size)


def lines_batch(data: Bytes, spans: tuple[Span, ...], *, again: bool = True) -> Batch:
    """A batch of the whole lines in `data`."""
    view = memoryview(data)
    return Batch(
        spans,
        len(view),
        bytes(view[:EDGE]),
        bytes(view[-EDGE:]),
        lambda n: (view[n:],),
        lambda n: bytes(view[:n]).rfind(b"\n") + 1,
        again,
    )


def labelled_batch(data: Bytes, spans: tuple[Span, ...], label: bytes) -> Batch:
    """A batch of the whole lines in `data`, each with a label before the bytes of its span."""
    sent = partial(_count_sent, data, len(label))
    return lines_batch(data, spans)._replace(label=label, sent=sent)


def put_label(label: bytes, lines: Bytes) -> memoryview:
    """Whole lines with a label before each."""
    data = b"".join((label, lines)).replace(b"\n", b"\n" + label)
    return memoryview(data)[: len(data) - len(label)]


def take_label(label: bytes, lines: bytes) -> bytes:
    """Whole lines without the label before each."""
    return lines.removeprefix(label).replace(b"\n" + label, b"\n")


def _count_sent(data: Bytes, label: int, count: int) -> int:
    return count - bytes(data[:count]).count(b"\n") * label


def skip_bytes(pieces: Iterable[Bytes], count: int) -> Iterator[Bytes]:
    """The pieces without their first `count` bytes."""
    for piece in pieces:
        if count >= len(piece):
            count -= len(piece)
        else:
            yield piece[count:]
            count = 0
