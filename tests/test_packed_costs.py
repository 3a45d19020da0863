"""What compressed files cost: none is decompressed more often than its lines need."""

from __future__ import annotations

import asyncio
import gzip
import os
import random
import time
from pathlib import Path

import pytest
from helpers import append
from test_series import Run, follow

from tailmerge import run_fully_async
from tailmerge.lines import BLOCK
from tailmerge.packed import PackedSource
from tailmerge.system import System

LINES = b"".join(b"%020x\n" % random.Random(n).getrandbits(80) for n in range(60_000))
"""More than a megabyte that gzip makes no much shorter."""


class Reading(System):
    """Counts the bytes that are read at the descriptor's offset, as decompressing does."""

    def __init__(self) -> None:
        self.bytes = 0

    def read_into(self, fd: int, view: memoryview, offset: int) -> int:
        got = super().read_into(fd, view, offset)
        self.bytes += got
        return got


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def merge(*names: str) -> int:
    """One run; the bytes that it read in blocks."""
    system = Reading()
    run = run_fully_async(
        names or ("a.log",), output_path="m.log", once=True, state_path="m.state", system=system
    )
    asyncio.run(run)
    return system.bytes


def compress(name: str, age: float = 0) -> int:
    """As gzip does it; the file was written so many seconds ago. Its size."""
    packed = gzip.compress(Path(name).read_bytes(), 1)
    Path(f"{name}.gz").write_bytes(packed)
    if age:
        os.utime(f"{name}.gz", (time.time() - age,) * 2)
    os.unlink(name)
    return len(packed)


def test_what_was_compressed_since_it_was_read_is_decompressed_once_and_never_again() -> None:
    append("a.log", LINES)
    merge()
    os.rename("a.log", "a.log.1")
    append("a.log", b"new\n")
    size = compress("a.log.1")
    assert size < merge() < size + BLOCK + 1000  # all of it, and its beginning once more
    os.rename("a.log.1.gz", "a.log.2.gz")
    append("a.log", b"newer\n")
    assert merge() < 1000
    assert Path("m.log").read_bytes() == LINES + b"new\nnewer\n"


def test_what_is_passed_over_is_not_decompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    append("a.log.1", LINES)
    append("a.log", b"new\n")
    compress("a.log.1", age=100)
    monkeypatch.setattr(PackedSource, "size", lambda self: pytest.fail("decompressed"))
    assert merge() < 1000
    assert merge() < 1000
    assert Path("m.log").read_bytes() == b"new\n"


def test_half_a_file_is_not_passed_over_as_if_it_were_whole() -> None:
    append("a.log.1", LINES)
    append("a.log", b"new\n")
    packed = gzip.compress(LINES)
    Path("a.log.1.gz").write_bytes(packed[:-100])
    merge()
    os.unlink("a.log.1")
    append("a.log.1.gz", packed[-100:])
    append("a.log", b"newer\n")
    merge()
    assert Path("m.log").read_bytes() == b"new\nnewer\n"


def test_what_is_being_compressed_is_not_decompressed_at_each_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a large file the thread that owns the files did nothing else meanwhile."""
    append("a.log", LINES)
    opened: list[str] = []
    size = PackedSource.size

    def note(self: PackedSource) -> int:
        opened.append(self.path)
        return size(self)

    monkeypatch.setattr(PackedSource, "size", note)
    packed = gzip.compress(LINES, 1)

    async def story(run: Run) -> None:
        os.rename("a.log", "a.log.1")
        append("a.log", b"new\n")
        for begin in range(0, len(packed), 50_000):
            append("a.log.1.gz", packed[begin : begin + 50_000])
            await run.seconds(0.5)
        assert not opened
        os.unlink("a.log.1")
        await run.seconds(3)
        assert opened

    assert follow(story).merged == LINES + b"new\n"


def test_a_file_that_is_compressed_and_gone_before_it_is_opened_is_read_in_its_place() -> None:
    append("a.log", b"")
    merge()
    append("a.log", LINES)
    os.rename("a.log", "a.log.1")
    append("a.log", b"new\n")
    Path("a.log.1.gz").write_bytes(gzip.compress(LINES))

    class Quick(System):
        def open(self, path: str, flags: int, mode: int = 0o600) -> int:
            if path == "a.log.1" and os.path.exists(path):
                os.unlink(path)
            return super().open(path, flags, mode)

    run = run_fully_async(
        ["a.log"], output_path="m.log", once=True, state_path="m.state", system=Quick()
    )
    asyncio.run(run)
    assert not os.path.exists("a.log.1")
    assert Path("m.log").read_bytes() == LINES + b"new\n"
