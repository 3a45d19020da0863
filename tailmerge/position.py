"""Up to where a file was forwarded, and how to know it again when it is not held open.

By content, not by name or number: a fingerprint of the head that grows with the file, and
the marker, a digest of the bytes before the offset. A new device number (a reboot, a
restored backup) changes neither, and a reused inode has neither.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

from tailmerge.system import Identity, System, identity

try:
    from _blake2 import blake2b  # hashlib's own: that loads OpenSSL beside it, which takes 3 ms
except ImportError:
    from hashlib import blake2b

MARKER = 64
"""Bytes before the offset that are checked with every read."""

HEAD = 1024
"""Bytes at a file's start that its fingerprint covers at most."""

_numbers = itertools.count(1)


def new_number() -> int:
    """A number for a content that no journal has met yet."""
    return next(_numbers)


def skip_numbers(highest: int) -> None:
    """The numbers up to `highest` are taken by what a state tells of."""
    global _numbers
    _numbers = itertools.count(max(highest + 1, next(_numbers)))


class Position(NamedTuple):
    """Up to where a file was forwarded, and how to know it again when it is not held open."""

    path: str
    """Where it was seen last."""
    identity: Identity
    offset: int
    """Bytes forwarded."""
    head_length: int
    """Bytes that `head` covers; it grows with the file up to `HEAD`."""
    head: str
    marker_length: int
    marker: str
    """A digest of the last `marker_length` bytes before `offset`."""
    number: int = 0
    """What the journal calls this content; 0 where it is not kept in one."""
    packed: bool = False
    """It is a compressed file that needs no more reading: offset, head and marker are of
    its bytes as they are."""


class Written:
    """Up to where a source that is read ahead is in the output.

    Every descriptor of one content shares it: the file, and the copy that it is read on from.
    """

    __slots__ = ("marker", "offset")

    def __init__(self, offset: int, marker: bytes) -> None:
        self.offset = offset
        self.marker = marker
        """The last bytes before `offset`, at most `MARKER` of them."""


def digest(data: bytes) -> str:
    return blake2b(data, digest_size=12).hexdigest()


EMPTY = digest(b"")


ReadAt = Callable[[int, int], bytes]
"""`read_at(length, offset)`: the bytes of a file, fewer at its end."""


def read_position(
    read_at: ReadAt, path: str, file: Identity, offset: int, number: int = 0
) -> Position:
    """What is remembered of a content that is read, or written, up to `offset`."""
    head = read_at(HEAD, 0)
    length = min(MARKER, offset)
    marker = read_at(length, offset - length) if length else b""
    return Position(
        path, file, offset, len(head), digest(head), len(marker), digest(marker), number
    )


def holds(read_at: ReadAt, position: Position) -> bool:
    """Whether a content holds, up to a position, what was recorded of it."""
    if digest(read_at(position.head_length, 0)) != position.head:
        return False
    start = position.offset - position.marker_length
    return digest(read_at(position.marker_length, start)) == position.marker


def read_proof(read_at: ReadAt, position: Position, count: int) -> tuple[bytes, bytes] | None:
    """A content's first `count` bytes, and its marker, where they are what was recorded.

    `count` is `HEAD` at least. None: they are not.
    """
    offset, length = position.offset, min(MARKER, position.offset)
    start = read_at(count, 0)
    if offset <= len(start):
        marker = start[offset - length : offset]
    else:
        marker = read_at(length, offset - length)
    known = marker[length - position.marker_length :]
    if len(marker) < length or digest(known) != position.marker:
        return None
    return (start, marker) if digest(start[: position.head_length]) == position.head else None


def position_of(system: System, fd: int, path: str, offset: int) -> Position:
    """What is remembered of an open file, its bytes as they are."""
    file = identity(system.fstat(fd))
    return read_position(lambda n, at: system.read_at(fd, n, at), path, file, offset)


def fits(system: System, fd: int, position: Position) -> bool:
    """Whether an open file, its bytes as they are, holds what a position recorded."""
    return holds(lambda n, at: system.read_at(fd, n, at), position)
