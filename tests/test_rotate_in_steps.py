"""Rotations whose every step falls between any two system calls of a run, at random.

test_rotate_at_each_call.py turns a log over in one go. A real rotation takes its time: names
move one after the other, a copy is made and the log is cut, a file is compressed and then
deleted, and the program goes on writing all the while. Same seed, same rotations; what a call
meets depends on the machine a little.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import random
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers import append
from test_rotate_at_each_call import CALLS

from tailmerge import run_fully_async
from tailmerge.system import System

MOST_ROTATIONS = 5
KEPT = 7
"""No file is rotated out of sight: nobody has what was in it."""

Step = Callable[[], None]


class Log:
    """A program's log and whoever rotates it."""

    def __init__(self, chance: random.Random, way: str, compress: str, folder: str) -> None:
        """`way`: "copytruncate" or "create". `compress`: "no", "now" or "later". `folder`: where
        the rotated files go."""
        self.written: list[bytes] = []
        self.rotations = 0
        self.file = "a.log"
        """What the program writes to."""
        self.creates = False
        """The file is made anew at once: nothing else is known of where a link leads."""
        self.is_unseen = False
        """The name leads to a file now that a run must have met before it leads elsewhere."""
        self._chance = chance
        self._way = way
        self._compress = compress
        self._front = os.path.join(folder, "a.log.")

    def write(self) -> None:
        count = self._chance.choice((0, 1, 2, 3, 20, 100))
        first = len(self.written)
        lines = [b"line %06d %s\n" % (n, b"x" * (n % 40)) for n in range(first, first + count)]
        self.written += lines
        if lines:
            append(self.file, b"".join(lines))

    def rotate(self) -> Iterator[Step]:
        """The steps of one rotation; the program writes between them.

        But not between the copying and the cutting: what comes then nobody has.
        """
        self.rotations += 1
        if self._compress == "later" and os.path.exists(self._front + "1"):
            yield from self._pack()
        yield self._shift
        if self._way == "copytruncate":
            yield self._copy
            yield lambda: os.truncate(self.file, 0)
        else:
            yield self._rename
            if not self.creates and self._chance.random() < 0.7:
                yield lambda: append(self.file, b"")
        if self._chance.random() < 0.5:
            yield self.write
        if self._compress == "now":
            yield from self._pack()

    def _shift(self) -> None:
        for number in range(KEPT, 0, -1):
            for suffix in (".gz", ""):
                if os.path.exists(name := f"{self._front}{number}{suffix}"):
                    os.rename(name, f"{self._front}{number + 1}{suffix}")

    def _copy(self) -> None:
        append(self.file, b"")
        shutil.copyfile(self.file, self._front + "1")

    def _rename(self) -> None:
        append(self.file, b"")
        os.rename(self.file, self._front + "1")
        if self.creates:
            append(self.file, b"")

    def _pack(self) -> Iterator[Step]:
        yield from self._pack_file(self._front + "1")

    def _pack_file(self, original: str) -> Iterator[Step]:
        packed = original + ".gz"
        data = gzip.compress(Path(original).read_bytes())
        yield lambda: append(packed, data[: len(data) // 2])
        if self._chance.random() < 0.3:
            yield self.write
        yield lambda: append(packed, data[len(data) // 2 :])
        yield lambda: shutil.copystat(original, packed)
        yield lambda: os.unlink(original)


class LinkedLog(Log):
    """A program that writes to a dated file, to which the log's name is a link.

    Of cronolog's or rotatelogs' kind: nobody renames a file.
    """

    def __init__(self, chance: random.Random, link: str, compress: str) -> None:
        """`link`: "symlink" or "link"."""
        super().__init__(chance, "", compress, "")
        self._link = link
        self.file = self._dated(0)
        append(self.file, b"")
        getattr(os, link)(self.file, "a.log")

    @staticmethod
    def _dated(number: int) -> str:
        return f"a.log-202611{number + 1:02}"

    def rotate(self) -> Iterator[Step]:
        before, after = self.file, self._dated(self.rotations + 1)
        self.rotations += 1
        if self._compress == "later" and self.rotations > 1:
            yield from self._pack_file(self._dated(self.rotations - 2))
        yield lambda: append(after, b"")
        if self._chance.random() < 0.5:
            yield lambda: getattr(os, self._link)(after, "a.log.next")
            yield lambda: os.rename("a.log.next", "a.log")
        else:
            yield lambda: os.unlink("a.log")
            yield lambda: getattr(os, self._link)(after, "a.log")
        yield self.write  # to the one before, as long as nothing is in the new one
        self.file = after
        yield self.write
        if self._compress == "now":
            yield from self._pack_file(before)


class LogElsewhere(Log):
    """A log in another folder, where it is rotated; the name is a symbolic link to it.

    As a container's is, which is pointed to another log when the container starts again.
    """

    def __init__(self, chance: random.Random, way: str, compress: str) -> None:
        super().__init__(chance, way, compress, "")
        self.creates = True
        self._starts = 0
        self._begin()
        os.symlink(self.file, "a.log")

    def _begin(self) -> None:
        self.file = f"old/{self._starts}.log"
        self._front = f"{self.file}."
        while not self.written or not os.path.exists(self.file):
            self.write()  # of an empty file nothing is known by which it is found again

    def rotate(self) -> Iterator[Step]:
        if self.is_unseen or self._chance.random() < 0.7:
            yield from super().rotate()
            return
        self.is_unseen = True
        self.rotations += 1
        self._starts += 1
        yield self.write
        yield self._begin
        yield self._point
        yield self.write

    def _point(self) -> None:
        os.symlink(self.file, "next")
        os.rename("next", "a.log")


class Interleaved(System):
    """Does the next of these steps before its call of this number, the others soon after."""

    def __init__(self, steps: Iterator[Step], first: int, gaps: Iterator[int]) -> None:
        self.left = first
        self.steps = steps
        self.gaps = gaps

    def pass_call(self) -> None:
        self.left -= 1
        while self.left == 0 and (step := next(self.steps, None)):
            step()
            self.left += next(self.gaps)


def _interleaved(name: str) -> Callable[..., Any]:
    def call(self: Interleaved, *args: Any) -> Any:
        self.pass_call()
        return getattr(System, name)(self, *args)

    return call


for _name in CALLS:
    setattr(Interleaved, _name, _interleaved(_name))


def merge(names: tuple[str, ...], system: System | None = None) -> None:
    how: dict[str, Any] = {"output_path": "m.log", "once": True, "state_path": "m.state"}
    asyncio.run(run_fully_async(names, system=system, **how))


def rotate_and_merge(seed: int) -> None:
    chance = random.Random(seed)
    os.mkdir("old")
    folder = chance.choice(("", "old"))
    names: tuple[str, ...] = (chance.choice(("a.log", "a.log*", "a*.log")),)
    names += ("old/*",) if folder else ()
    way = chance.choice(("copytruncate", "create"))
    log = Log(chance, way, chance.choice(("no", "now", "later")), folder)
    append("a.log", b"")
    _rotate_and_merge(log, names, chance, (seed, names, way))


def link_and_merge(seed: int) -> None:
    chance = random.Random(seed)
    names = (chance.choice(("a.log", "a.log*", "a*.log")),)
    link = chance.choice(("symlink", "link"))
    log = LinkedLog(chance, link, chance.choice(("no", "now", "later")))
    _rotate_and_merge(log, names, chance, (seed, names, link))


def merge_elsewhere(seed: int) -> None:
    chance = random.Random(seed)
    os.mkdir("old")
    names = (chance.choice(("a.log", "a.log*", "a*.log")),)
    way = chance.choice(("copytruncate", "create"))
    log = LogElsewhere(chance, way, chance.choice(("no", "now", "later")))
    _rotate_and_merge(log, names, chance, (seed, names, way))


def _rotate_and_merge(
    log: Log, names: tuple[str, ...], chance: random.Random, told: tuple[Any, ...]
) -> None:
    log.write()
    merge(names)
    for _ in range(chance.randint(1, 4)):
        count = min(chance.choice((0, 1, 1, 2)), MOST_ROTATIONS - log.rotations)
        steps = (step for _ in range(count) for step in log.rotate())
        gap = chance.choice((0, 1, 3, 8, 13, 30))
        gaps = iter(lambda gap=gap: gap if chance.random() < 0.8 else chance.randint(0, 20), -1)
        if chance.random() < 0.4 and log.rotations < MOST_ROTATIONS:
            for step in log.rotate():
                step()
        log.write()
        merge(names, Interleaved(steps, chance.randint(1, 120), gaps))
        for step in steps:
            step()
        if log.is_unseen:
            merge(names)
            log.is_unseen = False
    merge(names)
    append("a.log", b"last\n")
    merge(names)
    assert Path("m.log").read_bytes() == b"".join([*log.written, b"last\n"]), told


def in_folders_of_their_own(
    story: Callable[[int], None],
    seeds: Iterable[int],
    tmp_path: Path,
    patch: pytest.MonkeyPatch,
) -> None:
    for seed in seeds:
        folder = tmp_path / str(seed)
        folder.mkdir()
        patch.chdir(folder)
        story(seed)
        shutil.rmtree(folder)


TELLING = (
    *(53, 135, 170, 181, 194, 237, 392, 440, 485, 505, 573, 574, 625, 665, 692, 698, 747, 778),
    *(
        857,
        2066,
        2084,
        2154,
        2233,
        2302,
        2306,
        2324,
        2410,
        2412,
        2413,
        2528,
        2606,
        2643,
        2734,
        2772,
    ),
)
"""What went wrong once, each with most of the faults that were found so."""


ELSEWHERE = (726, 11246)
"""The same of logs in another folder."""

STORIES = (rotate_and_merge, link_and_merge, merge_elsewhere)


@pytest.mark.parametrize(
    ("story", "seeds"),
    [
        *((story, range(1, 41)) for story in STORIES),
        (rotate_and_merge, TELLING),
        (merge_elsewhere, ELSEWHERE),
    ],
)
def test_every_line_comes_once_and_in_order_whatever_a_call_meets(
    story: Callable[[int], None],
    seeds: Sequence[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_folders_of_their_own(story, seeds, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("story", STORIES)
def test_the_same_a_thousand_times(
    story: Callable[[int], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_folders_of_their_own(story, range(1000, 2000), tmp_path, monkeypatch)
