"""Compressed files: read through, decompressed, by offsets of what is in them.

Known by their first bytes, whatever their name. One without its end mark is not there yet:
somebody is still writing it, and its original stands beside it. Once it is read to its end
its bytes as they are tell it again, and it need not be decompressed to be known.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable
from typing import IO, Any, cast

from tailmerge.hands import Hands
from tailmerge.lines import BLOCK
from tailmerge.position import MARKER, Position, holds, read_position
from tailmerge.source import Source, open_source
from tailmerge.system import Identity, System, identity

MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)

STARTS = tuple(magic for magic, _ in MAGIC)

ZSTD_MODULES = ("compression.zstd", "backports.zstd", "pyzstd")
"""Where a `ZstdFile` may be found: the standard library has it since Python 3.14."""


class NotThereYet(OSError):
    """A compressed file has no end mark: it is still being written, or damaged."""


class _Raw(io.RawIOBase):
    """The compressed bytes, read at offsets through the run's system calls."""

    def __init__(self, system: System, fd: int) -> None:
        self._system = system
        self._fd = fd
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        got = self._system.read_into(self._fd, memoryview(buffer), self._at)
        self._at += got
        return got

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at}
        if whence == io.SEEK_END:
            base[whence] = self._system.fstat(self._fd).st_size
        self._at = base[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at


# Each decompressor is imported when there is a file for it.


def _find_errors() -> tuple[type[Exception], ...]:
    """What the decompressors raise for a file that is cut short or damaged."""
    import gzip
    import lzma
    import zlib

    zstd = _import_zstd()
    errors = EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile
    return (*errors, zstd.ZstdError) if zstd else errors


def _open_gzip(raw: Any) -> IO[bytes]:
    import gzip

    return cast(IO[bytes], gzip.GzipFile(fileobj=raw))


def _open_bzip2(raw: Any) -> IO[bytes]:
    import bz2

    return cast(IO[bytes], bz2.BZ2File(raw))


def _open_xz(raw: Any) -> IO[bytes]:
    import lzma

    return cast(IO[bytes], lzma.LZMAFile(raw))


def _import_zstd() -> Any:
    for name in ZSTD_MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def _open_zstd(raw: IO[bytes]) -> IO[bytes]:
    if module := _import_zstd():
        return cast(IO[bytes], module.ZstdFile(raw))
    raise OSError(None, "is compressed with zstd; to read it: pip install 'tailmerge[zstd]'")


OPENERS: dict[str, Callable[[Any], IO[bytes]]] = {
    "gzip": _open_gzip,
    "bzip2": _open_bzip2,
    "xz": _open_xz,
    "zstd": _open_zstd,
}


class PackedSource(Source):
    """A compressed file; offsets and sizes are of its decompressed bytes."""

    __slots__ = ("_at", "_file", "_kind", "_length", "_tail", "end")

    def __init__(self, system: System, fd: int, path: str, file: Identity, kind: str) -> None:
        self._kind = kind
        self._file = _decompress(system, fd, kind)
        self._length: int | None = None
        self._at = 0
        self._tail = b""
        self.end = b""
        """Its last bytes: what was read to its end before is known by them."""
        super().__init__(system, fd, path, file)

    def is_whole(self, length: int, end: bytes) -> None:
        """It was decompressed already, to this length and end."""
        self._length, self.end = length, end

    def size(self, is_stopped: Callable[[], bool] = lambda: False) -> int:
        """The decompressed size, bytes; the whole file is read for it once.

        Raises:
            NotThereYet: its end mark is missing, or it was stopped.
        """
        if self._length is None:
            end = b""
            try:
                while data := self._file.read(BLOCK):
                    if is_stopped():
                        raise NotThereYet(None, "was not decompressed to its end")
                    end = (end + data[-MARKER:])[-MARKER:]
                length = self._file.tell()
                self._file.seek(0)
            except _find_errors() as error:
                raise NotThereYet(None, f"is not a whole compressed file: {error}") from error
            self._at, self._tail = 0, b""
            self._length, self.end = length, end
        return self._length

    def read_at(self, length: int, offset: int) -> bytes:
        buffer = bytearray(length)
        return bytes(buffer[: self.read_into(memoryview(buffer), offset)])

    def read_into(self, view: memoryview, offset: int) -> int:
        """Forward at the speed of decompressing; back beyond the last bytes from the start."""
        self.hold()
        if self._length is not None and offset >= self._length - len(self.end):
            known = self.end[offset - self._length + len(self.end) :][: len(view)]
            view[: len(known)] = known
            return len(known)
        begin = self._at - len(self._tail)
        got = 0
        if begin <= offset < self._at:
            known = self._tail[offset - begin :][: len(view)]
            view[: len(known)] = known
            got = len(known)
        elif offset != self._at:
            self._file.seek(offset)
            self._at, self._tail = offset, b""
        while got < len(view):
            try:
                data = self._file.read(len(view) - got)
            except _find_errors() as error:  # it was whole when it was opened: cut since
                raise NotThereYet(None, f"is not a whole compressed file: {error}") from error
            if not data:
                break
            view[got : got + len(data)] = data
            got += len(data)
            self._at += len(data)
            self._tail = (self._tail + data[-MARKER:])[-MARKER:]
        return got

    def has_head(self) -> bool:
        """True: going back to the start means to decompress all of it once more."""
        return True

    @property
    def is_steady(self) -> bool:
        """False: it is read from front to back."""
        return False

    def is_read(self) -> bool:
        """Whether all of it was forwarded."""
        return self.offset >= self.size()

    def packed_position(self) -> Position:
        """The file as it is, with nothing left to read of it."""
        self.hold()
        status = self.system.fstat(self.fd)
        raw, size = super().read_at, status.st_size
        position = read_position(raw, self.path, identity(status), size, self.number)
        return position._replace(packed=True)

    def fits(self, position: Position) -> bool:
        if position.packed:
            same_size = self.status().st_size == position.offset
            return same_size and holds(super().read_at, position)
        return position.offset <= self.size() and super().fits(position)

    def can_park(self, *, forced: bool = False) -> bool:
        """In the middle it costs decompressing the beginning once more."""
        cheap = self._at == 0 or self.offset == self._length
        return (cheap or forced) and super().can_park(forced=forced)

    def park(self) -> None:
        self._file.close()
        super().park()

    def hold(self) -> None:
        if self.parked is not None:
            super().hold()
            self._file = _decompress(self.system, self.fd, self._kind)
            self._at, self._tail = 0, b""

    def close(self) -> None:
        self._file.close()
        super().close()


def _decompress(system: System, fd: int, kind: str) -> IO[bytes]:
    return OPENERS[kind](io.BufferedReader(_Raw(system, fd), BLOCK))


def find_compression(start: bytes) -> str | None:
    """How a file with these first bytes is compressed; None where it is not."""
    if not start.startswith(STARTS):
        return None  # nearly all of many
    return next((kind for magic, kind in MAGIC if start.startswith(magic)), None)


def open_any(
    system: System,
    path: str,
    hands: Hands | None = None,
    *,
    file: Identity | None = None,
    check: bool = True,
) -> Source:
    """Open a regular file, compressed or not, to be read from its first byte.

    Where there are too many open ones `hands` close some. `file`: the one that is meant.
    `check`: that a compressed one is whole, for which all of it is decompressed.

    Raises:
        FileNotFoundError: there is none, or another one has its name by now.
        NotThereYet: it is compressed and has no end mark.
        OSError: it cannot be opened, it is no regular file, or nothing here decompresses it.
    """
    plain = open_source(system, path, hands)
    try:
        if file not in (None, plain.identity):
            raise FileNotFoundError(path)
        kind = find_compression(plain.read_at(6, 0))
        if kind is None:
            return plain
        packed = PackedSource(system, plain.fd, path, plain.identity, kind)
        if check:
            packed.size()
        return packed
    except BaseException:
        plain.close()
        raise
