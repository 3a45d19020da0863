"""A disk under a run: what a power cut could leave of it, at every operation.

`Disk` is a System that notes every write, cut, rename and sync. From these it builds what a
power cut behind the n-th of them may leave: of each file what was synced, and of the pages
written since any, each as it was at any moment since; a length that it had since; holes of
NULs where a page is missing. Of names what the folder's last sync made sure of, and the
first few changes since, in their order.
"""

from __future__ import annotations

import os
import random
import threading
from dataclasses import dataclass, field
from typing import Any

from tailmerge.system import System

PAGE = 512
"""Bytes that reach the disk together: smaller than a real page, so that more can go wrong."""


SLOW_SECONDS = 0.01
"""How long a sync may wait for more to be written meanwhile."""


@dataclass
class File:
    """One inode: its changes, and which of them a sync has made sure of."""

    changes: list[tuple[int, int, bytes | None]] = field(default_factory=list)
    """(when, where, what); None cuts it to that length."""
    synced: list[tuple[int, int]] = field(default_factory=list)
    """(when a sync was over, up to which change's time it covers)."""

    def content(self, until: int) -> bytearray:
        data = bytearray()
        for when, where, what in self.changes:
            if when > until:
                break
            if what is None:
                del data[where:]
                data.extend(bytes(where - len(data)))
            else:
                data.extend(bytes(max(0, where - len(data))))
                data[where : where + len(what)] = what
        return data

    def sure(self, until: int) -> int:
        return max((covers for over, covers in self.synced if over <= until), default=-1)

    def after_cut(self, until: int, chance: random.Random) -> bytes:
        """One state that a power cut at this time may leave."""
        sure = self.sure(until)
        times = [when for when, _, _ in self.changes if sure < when <= until]
        base = self.content(sure)
        if not times:
            return bytes(base)
        if chance.random() < 0.3:  # in order, as most file systems do most of the time
            return bytes(self.content(chance.choice([sure, *times])))
        data = bytearray(self.content(chance.choice([sure, *times])))  # for its length
        versions = {when: self.content(when) for when in chance.sample(times, min(4, len(times)))}
        versions |= {until: self.content(until), sure: base}
        for start in range(0, len(data), PAGE):
            end = min(start + PAGE, len(data))
            page = versions[chance.choice(list(versions))][start:end]
            data[start:end] = page + bytes(end - start - len(page))
        return bytes(data)


class Disk(System):
    """A System that notes what it does to the files of one folder."""

    def __init__(self) -> None:
        self.time = 0
        self.files: dict[int, File] = {}
        self.renames: list[tuple[int, str, File | None]] = []
        """(when, name, which file has it from then on; None: nobody)."""
        self.folder_synced: list[tuple[int, int]] = []
        self.foreign: list[tuple[int, bytes]] = []
        """What others append to the output: (before its n-th write, the bytes)."""
        self.output = ""
        self._writes = 0
        self._gate = threading.RLock()
        self._grown = threading.Event()
        """Something was written."""

    # what a run does

    def _tick(self) -> int:
        self.time += 1
        return self.time

    def _file(self, fd: int) -> File:
        return self.files.setdefault(os.fstat(fd).st_ino, File())

    def _named(self, path: str) -> None:
        with self._gate:
            there = os.path.exists(path)
            file = self.files.setdefault(os.stat(path).st_ino, File()) if there else None
            self.renames.append((self._tick(), os.path.basename(path), file))

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        there = os.path.exists(path)
        fd = super().open(path, flags, mode)
        if not there:
            self.files[os.fstat(fd).st_ino] = File()  # the number may have been another's
            self._named(path)
        return fd

    def write(self, fd: int, data: Any) -> int:
        with self._gate:
            if self.output and os.fstat(fd).st_ino == os.stat(self.output).st_ino:
                self._writes += 1
                while self.foreign and self.foreign[0][0] <= self._writes:
                    self._write(fd, self.foreign.pop(0)[1])
            return self._write(fd, data)

    def _write(self, fd: int, data: Any) -> int:
        written = super().write(fd, data)
        end = os.lseek(fd, 0, os.SEEK_CUR)
        self._file(fd).changes.append((self._tick(), end - written, bytes(data[:written])))
        self._grown.set()
        return written

    def write_at(self, fd: int, data: Any, offset: int) -> int:
        with self._gate:
            written = super().write_at(fd, data, offset)
            self._file(fd).changes.append((self._tick(), offset, bytes(data[:written])))
            return written

    def truncate(self, fd: int, length: int) -> None:
        with self._gate:
            super().truncate(fd, length)
            self._file(fd).changes.append((self._tick(), length, None))

    def sync(self, fd: int) -> None:
        begun = self._tick()
        super().sync(fd)
        self._file(fd).synced.append((self._tick(), begun))

    def sync_data(self, fd: int) -> None:
        begun = self._tick()
        self._grown.clear()
        self._grown.wait(SLOW_SECONDS)  # a slow disk: meanwhile more is written
        super().sync_data(fd)
        self._file(fd).synced.append((self._tick(), begun))

    def sync_folder(self, path: str) -> None:
        begun = self._tick()
        super().sync_folder(path)
        self.folder_synced.append((self._tick(), begun))

    def rename(self, path: str, name: str) -> None:
        with self._gate:
            super().rename(path, name)
            self._named(name)
            self._named(path)

    def link(self, path: str, name: str) -> None:
        with self._gate:
            super().link(path, name)
            self._named(name)

    def unlink(self, path: str) -> None:
        with self._gate:
            super().unlink(path)
            self._named(path)

    # what a power cut leaves

    def after_cut(self, until: int, chance: random.Random) -> dict[str, bytes]:
        """The files there are then, by name, and what is in them."""
        sure = max((covers for over, covers in self.folder_synced if over <= until), default=-1)
        loose = [when for when, _, _ in self.renames if sure < when <= until]
        seen = chance.choice([sure, *loose])
        names: dict[str, File] = {}
        for when, name, file in self.renames:
            if when <= seen:
                names.pop(name, None)
                if file is not None:
                    names[name] = file
        return {name: file.after_cut(until, chance) for name, file in names.items()}
