"""A run that is killed at its n-th operation, and what the next run makes of it.

`python killing.py SCENARIO AFTER STEP PART...` forks a process for every STEP-th operation of the
scenario's run and ends it right there, with PART of the operation's bytes written; then AFTER
happens, and it starts the run again and compares the output with what was put in. It prints
one line of JSON: how many kills there were, the verdicts of the recoveries, every difference.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import errno
import functools
import gc
import gzip
import hashlib
import importlib
import json
import os
import pkgutil
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import tailmerge
from tailmerge import finishing, journal, ledger, resume, run_fully_async, shortening, stretch
from tailmerge import plain as plain_way
from tailmerge import shaped as shaped_way
from tailmerge.recovery import Verdict
from tailmerge.report import Report
from tailmerge.system import System

for _module in pkgutil.iter_modules(tailmerge.__path__, "tailmerge."):
    if _module.name != "tailmerge.__main__":
        importlib.import_module(_module.name)  # here, once: every process forked below has it

CHANGES = (
    "write",
    "write_at",
    "truncate",
    "rename",
    "link",
    "unlink",
    "sync",
    "sync_data",
    "sync_folder",
    "lock",
    "change_mode",
    "open",
)
"""The operations between which a kill can leave something different behind."""


class Killing(System):
    """Ends the process at its n-th change, with a part of its bytes written or none."""

    def __init__(self, at: int, part: float, full: range = range(0)) -> None:
        """`full`: the writes, counted from 0, for which the disk has no room."""
        self.left = at
        self.part = part
        self.full = full
        self.writes = 0

    def __getattribute__(self, name: str) -> Any:
        method = super().__getattribute__(name)
        if name not in CHANGES:
            return method

        def change(*args: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                if name.startswith("write") and self.part:
                    fd, data, *rest = args
                    method(fd, bytes(data)[: max(1, int(len(data) * self.part))], *rest)
                os._exit(9)
            return self.write_or_fail(method, *args) if name == "write" else method(*args)

        return change

    def write_or_fail(self, write: Callable[[int, bytes], int], fd: int, data: Any) -> int:
        """The disk fills up inside the first write that it has no room for."""
        number, self.writes = self.writes, self.writes + 1
        if number not in self.full:
            return write(fd, data)
        if number == self.full.start:
            return write(fd, bytes(data)[: len(data) // 3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def no_stamp(n: int) -> bytes:
    return b""


def time_stamp(n: int) -> bytes:
    return b"2026-11-24 12:%02d:%02d " % (n // 60 % 60, n % 60)


class Scene:
    """A folder with inputs; `lines` is what must come out, in order within each input."""

    def __init__(self) -> None:
        self.files: dict[str, list[bytes]] = {}
        self.foreign: list[bytes] = []
        self.records: list[list[bytes]] = []
        """Lines that must stand together, as they must come out."""
        self.gone: tuple[bytes, ...] = ()
        """What lines of inputs that are gone begin with."""
        self.count = 0
        self.is_lossy = False
        """Lines may be missing."""
        self.is_labelled = False
        """Lines are expected with the label "NAME: " before them."""
        self.stamp = no_stamp
        """What the n-th line that is appended begins with."""

    def append(self, name: str, count: int, series: str = "") -> None:
        lines = make_lines((series or name).encode(), self.count, count, self.stamp)
        self.count += count
        label = f"{name}: ".encode() if self.is_labelled else b""
        expected = [label + line for line in lines] if label else lines
        self.files.setdefault(series or name, []).extend(expected)
        with open(name, "ab") as file:
            file.write(b"".join(lines))


@functools.lru_cache(maxsize=20)
def make_lines(
    name: bytes, first: int, count: int, stamp: Callable[[int], bytes]
) -> tuple[bytes, ...]:
    """Numbered lines of all lengths; each kill of a scenario begins with the same ones."""
    return tuple(
        b"%s%s %06d %s\n" % (stamp(n), name, first + n, b"x" * (n % 90)) for n in range(count)
    )


STREAM = False
"""Whether "m" is standard output, redirected: nobody can prove what reached it."""


def run(system: System | None = None, inputs: tuple[str, ...] = ("a", "b"), **how: Any) -> None:
    """Once, or until nothing more comes."""
    how["once"] = "until_idle" not in how
    report = Report(lambda text: None, once=how["once"])
    if STREAM:
        with redirected():
            merge("-", inputs, report, system, how)
    else:
        merge("m", inputs, report, system, how)


def merge(
    output: str, inputs: tuple[str, ...], report: Report, system: System | None, how: dict[str, Any]
) -> None:
    asyncio.run(
        run_fully_async(
            inputs, 0.01, output, state_path="m.tailmerge", report=report, system=system, **how
        )
    )


@contextlib.contextmanager
def redirected() -> Iterator[None]:
    """Standard output is "m", as a shell opens it."""
    before, shell = os.dup(1), os.open("m", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(shell, 1)
    try:
        yield
    finally:
        os.dup2(before, 1)
        os.close(before)
        os.close(shell)


def plain(scene: Scene) -> dict[str, Any]:
    scene.append("a", 9000)
    scene.append("b", 3000)
    return {}


def resumed(scene: Scene) -> dict[str, Any]:
    scene.append("a", 50)
    scene.append("b", 50)
    run()
    scene.append("a", 6000)
    scene.append("b", 20)
    return {}


def together(scene: Scene) -> dict[str, Any]:
    """Each of several inputs grew by a little: one batch for all of them."""
    for name in "abc":
        scene.append(name, 50)
    run(inputs=("a", "b", "c"))
    for name in "abc":
        scene.append(name, 200)
    return {"inputs": ("a", "b", "c"), "until_idle": 0.05}


def full_together(scene: Scene) -> dict[str, Any]:
    """No room in the middle of such a batch."""
    return together(scene) | {"full": range(3)}


def rotated(scene: Scene) -> dict[str, Any]:
    scene.append("a", 50)
    scene.append("b", 50)
    run()
    scene.append("a", 5000)
    os.rename("a", "a.1")
    scene.append("a", 30)
    scene.append("b", 20)
    shutil.copy("b", "b.1")
    os.truncate("b", 0)
    scene.append("b", 25)
    return {}


def moved(scene: Scene) -> dict[str, Any]:
    """One input's file gets the other one's name."""
    scene.append("a", 50)
    scene.append("b", 50)
    run()
    os.unlink("b")
    os.rename("a", "b")
    scene.append("b", 3000, "a")
    scene.append("a", 20, "a anew")
    return {}


def cut_and_packed(scene: Scene) -> dict[str, Any]:
    """Copied and truncated with unread lines, then compressed; and that once more."""
    scene.append("a", 50)
    scene.append("b", 50)
    run()
    for number in (1, 2):
        scene.append("a", 3000, f"a {number}")
        if os.path.exists("a.1"):
            with open("a.1", "rb") as plain, gzip.open("a.2.gz", "wb") as packed:
                shutil.copyfileobj(plain, packed)
            os.unlink("a.1")
        shutil.copy("a", "a.1")
        os.truncate("a", 0)
    scene.append("a", 30, "a 3")
    return {}


def twice(scene: Scene) -> dict[str, Any]:
    """Two one-shot runs in a row, the second with more to read."""
    run()
    scene.append("a", 3000)
    run()
    scene.append("a", 3000)
    scene.append("b", 10)
    return {}


def overwritten(scene: Scene) -> dict[str, Any]:
    scene.append("a", 50)
    scene.append("b", 50)
    run()
    scene.append("a", 3000)
    return {"overwrite": True}


def long_line(scene: Scene) -> dict[str, Any]:
    scene.append("a", 10)
    with open("a", "ab") as file:
        line = b"a long " + b"y" * 700_000 + b"\n"
        file.write(line)
    scene.files["a"].append(line)
    scene.append("a", 10)
    scene.append("b", 10)
    return {}


def synced(scene: Scene) -> dict[str, Any]:
    scene.append("a", 6000)
    scene.append("b", 3000)
    return {"fsync": True}


def ordered(scene: Scene) -> dict[str, Any]:
    """Batches of lines from several inputs, which no input has again as they are."""
    scene.stamp = time_stamp
    for name in "ab":
        scene.append(name, 1500)
    run(sort=True)
    for name in "ab":
        scene.append(name, 2500)
    os.rename("a", "a.1")
    scene.append("a", 100)
    shutil.copy("b", "b.1")
    os.truncate("b", 0)
    scene.append("b", 50)
    return {"sort": True}


def add_records(scene: Scene, name: str, count: int, *, as_json: bool = False) -> None:
    """Records of up to four lines, every third one of which is left out."""
    offset = os.path.getsize(name) if os.path.exists(name) else 0
    with open(name, "ab") as file:
        for n in range(count):
            number = scene.count + n
            kind = b"skip" if n % 3 == 0 else b"keep"
            lines = [b"%s %05d %s" % (name.encode(), number, kind)]
            lines += [b"  %05d.%d %s" % (number, i, b"x" * (n % 70)) for i in range(n % 4)]
            shaped = [b"%s: %s\n" % (name.encode(), line) for line in lines]
            if as_json:
                places = [offset + sum(len(line) + 1 for line in lines[:i]) for i in range(4)]
                rows = zip(places, lines, strict=False)
                objects = [{"source": name, "offset": at, "line": ln.decode()} for at, ln in rows]
                shaped = [json.dumps(each).encode() + b"\n" for each in objects]
            offset += file.write(b"".join(line + b"\n" for line in lines))
            if kind == b"keep":
                scene.files.setdefault(name, []).extend(shaped)
                scene.records.append(shaped)
    scene.count += count


SHAPE = {"record_start": r"^\S", "window": 0, "exclude": ("skip",)}


def shaped(scene: Scene) -> dict[str, Any]:
    """Records with a label, some left out; the last run begins in the middle."""
    how = SHAPE | {"label": "{name}: "}
    for name in "ab":
        add_records(scene, name, 60)
    run(**how)
    add_records(scene, "a", 5000)
    add_records(scene, "b", 300)
    return how


def labelled(scene: Scene) -> dict[str, Any]:
    """Lines of inputs that have them again; their labels the state tells."""
    scene.is_labelled = True
    resumed_with = {"label": "{name}: "}
    for name in "ab":
        scene.append(name, 50)
    run(**resumed_with)
    scene.append("a", 6000)
    scene.append("b", 20)
    return resumed_with


def full_labelled(scene: Scene) -> dict[str, Any]:
    return labelled(scene) | {"full": range(1, 4)}


def behind(scene: Scene) -> dict[str, Any]:
    """Blocks of which each is written while the next one is read."""
    scene.is_labelled = True
    scene.append("a", 24_000)
    scene.append("b", 20)
    return {"label": "{name}: "}


def kept_behind(scene: Scene) -> dict[str, Any]:
    """The same where they are kept beside the state."""
    return behind(scene) | {"exclude": ("nothing has it",)}


def stretched(scene: Scene) -> dict[str, Any]:
    """Much of one file, which goes out in one batch."""
    stretch.SPARE, stretch.LEAST, stretch.SECONDS = stretch.BLOCK, 2 * stretch.BLOCK, 60
    scene.append("a", 45_000)
    scene.append("b", 20)
    return {}


def stretched_late(scene: Scene) -> dict[str, Any]:
    """The same where each block takes too long."""
    how = stretched(scene)
    stretch.SECONDS = 0
    return how


class _AtOnce:
    """A thread that is done when it is started."""

    def __init__(self, target: Callable[..., None], args: tuple[Any, ...], **_: Any) -> None:
        self.start = lambda: target(*args)


def shortened(scene: Scene) -> dict[str, Any]:
    """A journal that is replaced again and again; each time one batch is told to the old one."""
    journal.JOURNAL_BYTES, ledger.ENTRY_BYTES = 1, 0
    shortening.Thread = _AtOnce  # type: ignore[assignment,misc]
    plain_way.BUFFER = plain_way.HOP = 1024
    shaped_way.BLOCK = shaped_way.MOST = 1024
    scene.append("a", 300)
    scene.append("b", 200)
    return {}


def kept_shortened(scene: Scene) -> dict[str, Any]:
    """The same where batches are kept beside the state."""
    return shortened(scene) | {"exclude": ("nothing has it",)}


def labelled_hole(scene: Scene) -> dict[str, Any]:
    """Copied and cut under a writer that does not append: a hole is in front of its lines."""
    scene.is_labelled = True
    with open("a", "wb") as file:
        file.truncate(65536)
    scene.append("a", 4000)
    scene.append("b", 20)
    return {"label": "{name}: "}


def as_json(scene: Scene) -> dict[str, Any]:
    how = SHAPE | {"format": "json"}
    for name in "ab":
        add_records(scene, name, 10, as_json=True)
    run(**how)
    for name in "ab":
        add_records(scene, name, 300, as_json=True)
    return how


LASTING = ("inputs", "sort", "record_start", "window", "exclude", "label", "format")
"""Options that the run after the kill has, too."""


def streamed(scene: Scene) -> dict[str, Any]:
    global STREAM
    STREAM = True
    scene.append("a", 9000)
    scene.append("b", 3000)
    return {}


def killed(scene: Scene) -> dict[str, Any]:
    """Runs that were killed already, each a little later: what recovers is killed, too."""
    how = resumed(scene)
    for at in range(6, 14):
        kill_at(at, 0.5, how)
    return how


def full(scene: Scene) -> dict[str, Any]:
    """No room in the middle of a batch, for a while."""
    return resumed(scene) | {"full": range(1, 4)}


def full_long(scene: Scene) -> dict[str, Any]:
    """No room in the middle of a long line."""
    return long_line(scene) | {"full": range(3, 6)}


SCENARIOS: dict[str, Callable[[Scene], dict[str, Any]]] = {
    "plain": plain,
    "resumed": resumed,
    "together": together,
    "full_together": full_together,
    "rotated": rotated,
    "moved": moved,
    "cut_and_packed": cut_and_packed,
    "twice": twice,
    "killed": killed,
    "full": full,
    "full_long": full_long,
    "overwritten": overwritten,
    "long_line": long_line,
    "synced": synced,
    "streamed": streamed,
    "ordered": ordered,
    "shaped": shaped,
    "labelled": labelled,
    "full_labelled": full_labelled,
    "behind": behind,
    "kept_behind": kept_behind,
    "stretched": stretched,
    "stretched_late": stretched_late,
    "shortened": shortened,
    "kept_shortened": kept_shortened,
    "labelled_hole": labelled_hole,
    "as_json": as_json,
}


def after_nothing(scene: Scene) -> None:
    """The next run follows at once."""


def after_foreign(scene: Scene) -> None:
    """Somebody else appends between the kill and the next run."""
    line = b"foreign line\n"
    scene.foreign.append(line)
    with open("m", "ab") as file:
        file.write(line)


def after_torn_foreign(scene: Scene) -> None:
    """Somebody else appends half a line."""
    scene.foreign.append(b"half of a foreign line")
    with open("m", "ab") as file:
        file.write(b"half of a foreign line")


def after_output_rotation(scene: Scene) -> None:
    """The output is rotated between the kill and the next run."""
    if os.path.exists("m"):
        os.rename("m", "m.1")


def after_input_rotation(scene: Scene) -> None:
    """The inputs, which an earlier run knows, are rotated before the next run, and written to."""
    for name in ("a", "b"):
        for number in (2, 1):
            if os.path.exists(f"{name}.{number}"):
                os.rename(f"{name}.{number}", f"{name}.{number + 1}")
        os.rename(name, f"{name}.1")
        scene.append(name, 7)


def after_output_copytruncate(scene: Scene) -> None:
    """The output is copied and cut between the kill and the next run."""
    if os.path.exists("m"):
        shutil.copy("m", "m.1")
        os.truncate("m", 0)


def after_inputs_gone(scene: Scene) -> None:
    """The inputs are deleted, and somebody else appends: nothing can be had again."""
    after_foreign(scene)
    for name in ("a", "b"):
        os.unlink(name)
    scene.is_lossy = True


def after_one_gone(scene: Scene) -> None:
    """One input of several is deleted: the others are there, and only they are asked for."""
    os.unlink("b")
    scene.files.pop("b")
    scene.gone += (b"b ",)


def after_one_gone_and_foreign(scene: Scene) -> None:
    """The same, and somebody else appends."""
    after_one_gone(scene)
    after_foreign(scene)


AFTER: dict[str, Callable[[Scene], None]] = {
    "nothing": after_nothing,
    "foreign": after_foreign,
    "torn-foreign": after_torn_foreign,
    "output-rotation": after_output_rotation,
    "input-rotation": after_input_rotation,
    "output-copytruncate": after_output_copytruncate,
    "inputs-gone": after_inputs_gone,
    "one-gone": after_one_gone,
    "one-gone-foreign": after_one_gone_and_foreign,
}


@contextlib.contextmanager
def fresh_folder() -> Iterator[None]:
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(here)


def kill_at(at: int, part: float, how: dict[str, Any]) -> bool:
    """Whether the run came so far as to be killed."""
    child = os.fork()
    if child == 0:
        try:
            how = dict(how)
            run(Killing(at, part, how.pop("full", range(0))), **how)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9), f"the run failed with {status} before its operation {at}"
    return status == 9


def recover(how: dict[str, Any]) -> str:
    """Run again; return the verdict of its recovery."""
    verdicts = []
    act, examine = finishing.Finishing.act, resume.examine

    def noting(self: Any, state: Any, record: Any, finding: Any, *rest: Any) -> None:
        verdicts.append(finding.verdict.name)
        act(self, state, record, finding, *rest)

    def examining(*args: Any) -> Any:
        finding = examine(*args)
        if finding.verdict is Verdict.TRUNCATED:
            verdicts.append("TRUNCATED")
        return finding

    with (
        mock.patch.object(resume, "examine", examining),
        mock.patch.object(finishing.Finishing, "act", noting),
    ):
        run(**{name: how[name] for name in LASTING if name in how})
    return " ".join(verdicts) or "none"


RIGHT: set[tuple[bytes, tuple[int, ...]]] = set()
"""Outputs that were compared and are right: most kills come to the same one."""


def differences(scene: Scene, torn_allowed: bool) -> list[str]:
    """What is wrong with the output."""
    got = b"".join(Path(name).read_bytes() for name in ("m.1", "m") if os.path.exists(name))
    counts = tuple(map(len, (*scene.files.values(), scene.foreign)))  # of lines always the same
    proof = (hashlib.blake2b(got).digest(), counts)
    if proof not in RIGHT:
        if problems := compare(got, scene, torn_allowed):
            return problems
        RIGHT.add(proof)
    return []


def compare(got: bytes, scene: Scene, torn_allowed: bool) -> list[str]:
    """What is wrong with these bytes."""
    lines = got.splitlines(keepends=True)
    counts = collections.Counter(lines)
    problems = []
    expected: set[bytes] = set()
    place = {line: index for index, line in enumerate(lines)}
    for name, wanted in scene.files.items():
        expected.update(wanted)
        missing = [line for line in wanted if counts[line] == 0]
        doubled = [line for line in wanted if counts[line] > 1]
        if missing and not scene.is_lossy:
            problems.append(f"{name}: {len(missing)} missing, first {missing[0][:30]!r}")
        if doubled and not STREAM:
            problems.append(f"{name}: {len(doubled)} doubled, first {doubled[0][:30]!r}")
        places = [place[line] for line in wanted if line in place]
        if places != sorted(places) and not STREAM:
            problems.append(f"{name}: out of order")
    starts = [(record, place.get(record[0], 0)) for record in scene.records]
    split = [record for record, at in starts if lines[at : at + len(record)] != record]
    if split and not torn_allowed:  # what others appended may stand inside of one
        problems.append(f"{len(split)} records split, first {split[0][0][:40]!r}")
    for line in scene.foreign:
        if line not in got:
            problems.append("a foreign line is gone")
    others = (b"foreign", b"half of", *scene.gone)
    strange = [line for line in lines if line not in expected and not line.startswith(others)]
    if len(strange) > (1 if torn_allowed else 0):
        problems.append(f"{len(strange)} strange lines, first {strange[0][:40]!r}")
    return problems


def main(scenario: str, after: str, step: int, *parts: float) -> dict[str, Any]:
    """Kill at each `step`-th operation; of several parts each begins one behind the one before."""
    gc.freeze()  # a fork copies what the collector touches
    kills, problems = 0, []
    verdicts: collections.Counter[str] = collections.Counter()
    for number, part in enumerate(parts):
        at, going = 1 + number % step, True
        while going:
            with fresh_folder():
                scene = Scene()
                how = SCENARIOS[scenario](scene)
                going = kill_at(at, part, how)
                kills += going
                AFTER[after](scene)
                try:
                    verdicts[recover(how)] += 1
                    found = differences(scene, torn_allowed=STREAM or after != "nothing")
                except AssertionError as error:
                    found = [str(error)]
                problems += [f"at {at} ({part}): {problem}" for problem in found]
            at += step
    return {"kills": kills, "verdicts": verdicts, "problems": problems}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:3], int(sys.argv[3]), *map(float, sys.argv[4:]))))  # noqa: T201
