"""A batch's bytes, once more: from its input under any name, or from beside the state."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tailmerge.batch import EDGE, LONGEST, put_label
from tailmerge.folders import Folders
from tailmerge.journal import Journal
from tailmerge.lines import end_line
from tailmerge.packed import open_any
from tailmerge.position import MARKER, Position, ReadAt, digest
from tailmerge.source import Source
from tailmerge.state import Entry, Reach, Record, State
from tailmerge.system import System

LISTINGS = 2
"""How often a folder is listed for one file: once more where it is nowhere to be seen."""


TRIES = 3
"""How often a batch is looked for whose file is cut while it is read."""


def _hold(record: Record, read: ReadAt) -> ReadAt | None:
    """How to read the bytes that a batch has, whatever happens to its files from now on.

    None where they are not the ones that were announced. Of a longer batch, which is a single
    line, each byte is read when it is asked for.
    """
    edge, length = min(EDGE, record.length), record.length
    if length > LONGEST:
        return read if digest(read(edge, 0)) == record.first else None
    data = read(length, 0)
    whole = len(data) == length and digest(data[:edge]) == record.first
    if not whole or digest(data[length - edge :]) != record.last:
        return None
    return lambda n, at: data[at : at + n]


def _label(record: Record, read: ReadAt) -> ReadAt:
    """The bytes of a batch as they went out, with the label before each line."""
    size = sum(reach.end - reach.start for reach in record.reaches)
    data = bytes(put_label(record.label, end_line(read(size, 0)))) if size else b""
    return lambda length, offset: data[offset : offset + length]


class Again:
    """Finds batches' bytes where a state tells of them."""

    def __init__(self, journal: Journal, named: Folders, system: System) -> None:
        """`named` are the folders that were named: inputs may have been moved there."""
        self._journal = journal
        self._named = named
        self._system = system
        self._folders: Folders | None = None

    @contextmanager
    def open_batch(self, state: State, record: Record) -> Iterator[ReadAt | None]:
        """How to read the batch's bytes; None where nobody has them."""
        if record.kept:
            with self._kept(record) as read:
                whole = read and digest(read(min(EDGE, record.length), 0)) == record.first
                yield read if whole else None
            return
        for left in range(TRIES, 0, -1):
            with self._sent(state, record) as read:
                held = read and _hold(record, read)
                if held or read is None or left == 1:
                    yield held
                    return
            self._folders = None  # what it was found in was cut meanwhile: it has a copy

    @contextmanager
    def open_part(self, state: State, part: Record) -> Iterator[tuple[Record, ReadAt | None]]:
        """A part of a batch with edges of its own, and how to read it; None: its source is gone."""
        with self._sent(state, part) as read:
            if read is None:
                yield part, None
                return
            edge = min(EDGE, part.length)
            first, last = digest(read(edge, 0)), digest(read(edge, part.length - edge))
            yield part._replace(first=first, last=last), read

    @contextmanager
    def _kept(self, record: Record) -> Iterator[ReadAt | None]:
        with self._journal.kept.read() as kept:
            edge, skip = min(EDGE, record.length), record.skip
            whole = kept and digest(kept(edge, skip + record.length - edge)) == record.last
            yield (lambda n, at: kept(n, skip + at)) if kept and whole else None

    @contextmanager
    def _sent(self, state: State, record: Record) -> Iterator[ReadAt | None]:
        """From the inputs that a batch comes from which is not kept: one behind the other."""
        with ExitStack() as stack:
            parts: list[tuple[Source, Reach]] = []
            for reach in record.reaches:
                entry = state.entries.get(reach.source)
                source = entry and self.find_source(state, entry, reach.end, reach.marker)
                if not source:
                    yield None
                    return
                stack.callback(source.close)
                parts.append((source, reach))

            def read(length: int, offset: int) -> bytes:
                data, at = b"", 0
                for source, reach in parts:
                    size = reach.end - reach.start
                    skip = max(0, offset - at)
                    want = min(size - skip, length - len(data))
                    if want > 0:
                        data += source.read_at(want, reach.start + skip)
                    at += size
                if offset + length > at and record.length > at:
                    data += b"\n"  # the newline that was added to an unfinished last line
                return data

            yield (_label(record, read) if record.label else read) if parts else None

    def find_source(
        self, state: State, entry: Entry, end: int, marker: str | None = None
    ) -> Source | None:
        """The file that an entry tells of and that has `end` bytes, by content, under any name.

        `marker` is a digest of the last bytes before `end`: of a file that was just begun
        little is known, and that fits several.
        """
        folders = self._look_through(state)
        folders.links.remember(entry.series, entry.position.path)
        for _ in range(LISTINGS):
            forms = folders.find_forms(entry.series, entry.series, 0.0)
            paths = [entry.position.path, entry.series, *(form.path for form in forms)]
            for path in dict.fromkeys(paths):
                source = self._open_fitting(path, entry.position, end, marker)
                if source:
                    return source
            # Names may have moved while they were listed.
            folders.forget(entry.series, entry.series)
        return None

    def _look_through(self, state: State) -> Folders:
        """The folders that were named, and those where the files were seen; listed once."""
        if self._folders is None:
            places = (os.path.dirname(e.position.path) for e in state.entries.values())
            self._folders = Folders(self._system)
            self._folders.name((place, place) for place in (*self._named.named, *places))
        return self._folders

    def _open_fitting(
        self, path: str, position: Position, end: int, marker: str | None
    ) -> Source | None:
        try:
            source = open_any(self._system, path)
        except OSError:
            return None  # not this one
        if source.size() >= end and source.fits(position):
            length = min(MARKER, end)
            if marker is None or digest(source.read_at(length, end - length)) == marker:
                return source
        source.close()
        return None
