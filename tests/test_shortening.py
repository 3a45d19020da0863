"""A journal that is replaced while lines go on: what waits for the disk holds up no line."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from glob import glob
from pathlib import Path
from typing import Any, ClassVar

import pytest
from helpers import append, fault, is_open, open_files, said

from tailmerge import journal, ledger, run_fully_async, shortening
from tailmerge.journal import Journal
from tailmerge.state import State
from tailmerge.system import System

STATE = "m.tailmerge"
ASIDE = "tailmerge-checkpoint"


class Slow(System):
    """Waits at a gate before a sync that is done beside the lines."""

    made: ClassVar[list[Slow]] = []

    def __init__(self) -> None:
        self.made.append(self)
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.threads: list[str] = []
        self.error: OSError | None = None

    def sync(self, fd: int) -> None:
        name = threading.current_thread().name
        self.threads.append(name)
        if name == ASIDE:
            self.begun.set()
            assert self.gate.wait(20)
            if self.error:
                raise self.error
        super().sync(fd)


@pytest.fixture(autouse=True)
def _short_journals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(journal, "JOURNAL_BYTES", 1)
    monkeypatch.setattr(ledger, "ENTRY_BYTES", 0)
    yield
    while Slow.made:
        Slow.made.pop().gate.set()
    for thread in threading.enumerate():
        if thread.name == ASIDE:
            thread.join()


class Followed:
    """A run that is under way, and the lines that it has to merge."""

    def __init__(self) -> None:
        self.wanted: list[bytes] = []
        self.stop = asyncio.Event()

    async def merge(self, count: int = 1) -> None:
        """So many lines more, one by one."""
        for _ in range(count):
            self.wanted.append(b"%06d\n" % len(self.wanted))
            append("a.log", self.wanted[-1])
            await eventually(lambda: self.merged == self.wanted)

    @property
    def merged(self) -> list[bytes]:
        return Path("m").read_bytes().splitlines(True) if os.path.exists("m") else []


async def eventually(predicate: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not predicate():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def following(system: System, **how: Any) -> AsyncIterator[Followed]:
    followed = Followed()
    append("a.log", b"")
    _, report = said()
    run = asyncio.create_task(
        run_fully_async(
            ["a.log"],
            0.01,
            "m",
            state_path=STATE,
            system=system,
            report=report,
            stop=followed.stop,
            **how,
        )
    )
    try:
        yield followed
    finally:
        followed.stop.set()
        await run


def count_batches() -> int:
    return Path(STATE).read_bytes().count(b'"at":')


def merge_the_rest() -> list[bytes]:
    asyncio.run(run_fully_async(["a.log"], 0.01, "m", state_path=STATE, once=True))
    return Path("m").read_bytes().splitlines(True)


@pytest.mark.parametrize("how", [{}, {"exclude": ("nothing has it",)}])
def test_lines_go_on_while_a_checkpoint_is_synced(how: dict[str, Any]) -> None:
    system = Slow()

    async def live() -> list[bytes]:
        async with following(system, **how) as run:
            while not system.begun.is_set():
                await run.merge()
            before = os.stat(STATE)
            assert glob(STATE + ".*.tmp")
            await run.merge(20)
            assert os.path.samestat(os.stat(STATE), before)
            assert os.stat(STATE).st_size > before.st_size + 20 * 100
            system.gate.set()
            while os.path.samestat(os.stat(STATE), before):
                await run.merge()
            assert count_batches() > 20, "what was told meanwhile is not there"
            system.gate.clear()
            system.begun.clear()
            while not system.begun.is_set():
                await run.merge()
            before = os.stat(STATE)
            await run.merge(5)
            assert os.path.samestat(os.stat(STATE), before), "it was not synced yet"
        return run.wanted

    wanted = asyncio.run(live())
    assert ASIDE in system.threads
    assert glob(STATE + ".*.tmp") == []
    assert merge_the_rest() == wanted


def test_a_run_does_not_wait_for_it_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MUCH", 0)  # nor is one made at the end, which would clear up
    system = Slow()

    async def live() -> list[bytes]:
        async with following(system) as run:
            while not system.begun.is_set():
                await run.merge()
            await run.merge(3)
        return run.wanted

    wanted = asyncio.run(live())
    assert not system.gate.is_set()
    assert glob(STATE + ".*.tmp") == []
    system.gate.set()
    assert merge_the_rest() == wanted


def test_one_that_cannot_be_synced_is_not_used() -> None:
    system = Slow()
    system.error = fault(errno.EIO)
    system.gate.set()

    async def live() -> list[bytes]:
        async with following(system) as run:
            await run.merge()
            before = os.stat(STATE)
            await run.merge(40)
            assert os.path.samestat(os.stat(STATE), before)
            assert system.threads.count(ASIDE) > 1, "it was not tried again"
            assert sum(".tmp" in name for name in open_files()) <= 5
            system.error = None
            while os.path.samestat(os.stat(STATE), before):
                await run.merge()
        return run.wanted

    wanted = asyncio.run(live())
    assert merge_the_rest() == wanted


def test_one_that_cannot_be_removed_at_the_end_is_removed_by_the_next_run() -> None:
    class Closed(Slow):
        def unlink(self, path: str) -> None:
            if self.begun.is_set():
                raise fault(errno.EACCES)
            super().unlink(path)

    system = Closed()

    async def live() -> list[bytes]:
        async with following(system) as run:
            while not system.begun.is_set():
                await run.merge()
        return run.wanted

    wanted = asyncio.run(live())
    assert glob(STATE + ".*.tmp")
    assert not is_open(STATE)
    system.gate.set()
    assert merge_the_rest() == wanted
    assert glob(STATE + ".*.tmp") == []


@pytest.mark.parametrize("call", ["write", "rename", "read_at", "close", "unlink"])
def test_an_error_on_its_way_costs_nothing(call: str) -> None:
    """A call that a checkpoint takes fails, as often as it is made."""

    class Failing(Slow):
        failed = 0
        files: dict[int, str]

        def play(self, *args: Any) -> Any:
            about = args[0] if isinstance(args[0], str) else self.files.get(args[0], "")
            if about.endswith(".tmp") or (call == "read_at" and args[1] > 1 and about == STATE):
                if call == "close":
                    os.close(args[0])
                self.failed += 1
                raise fault(errno.EIO)
            return getattr(super(), call)(*args)

        def open(self, path: str, flags: int, mode: int = 0o600) -> int:
            fd = super().open(path, flags, mode)
            self.files[fd] = path
            return fd

        def duplicate(self, fd: int) -> int:
            new = super().duplicate(fd)
            self.files[new] = self.files.get(fd, "")
            return new

    system = Failing()
    system.files = {}
    system.gate.set()

    async def live() -> list[bytes]:
        async with following(system) as run:
            await run.merge(3)
            setattr(system, call, system.play)
            before = os.stat(STATE)
            await run.merge(40)
            tried = system.failed
            assert tried > 1
            assert os.path.samestat(os.stat(STATE), before)
            assert sum(".tmp" in name for name in open_files()) <= 5
            delattr(system, call)
        return run.wanted

    wanted = asyncio.run(live())
    assert merge_the_rest() == wanted
    assert glob(STATE + ".*.tmp") == []


@pytest.mark.parametrize("missing", ["threads", "descriptors"])
def test_where_something_cannot_be_had_lines_go_on(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoThread(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    class Scarce(Slow):
        asked = 0

        def duplicate(self, fd: int) -> int:
            self.asked += 1
            raise fault(errno.EMFILE)

    if missing == "threads":
        monkeypatch.setattr(shortening, "Thread", NoThread)
    system = Scarce() if missing == "descriptors" else Slow()

    async def live() -> list[bytes]:
        async with following(system) as run:
            await run.merge()
            before = os.stat(STATE)
            await run.merge(40)
            kept = os.path.samestat(os.stat(STATE), before)
            assert kept == (missing == "descriptors")
        return run.wanted

    wanted = asyncio.run(live())
    assert ASIDE not in system.threads
    assert not isinstance(system, Scarce) or system.asked > 1, "it was not tried again"
    assert glob(STATE + ".*.tmp") == []
    assert merge_the_rest() == wanted


def test_what_became_known_and_is_not_written_yet_is_written_first() -> None:
    """It is not in the checkpoint as it is told later, and a kill leaves the old one."""
    one = Journal("s", System())
    one.checkpoint(State())
    one.note_missing("/a.log", 1.0)
    new = one.begin_checkpoint(State(), ())
    assert b"/a.log" in Path("s").read_bytes()
    one.note_missing("/b.log", 1.0)
    one.flush()
    one.end_checkpoint(new)
    assert one.has_grown
    one.note_missing("/c.log", 1.0)
    one.flush()
    text = Path("s").read_bytes()
    assert [name in text for name in (b"/a.log", b"/b.log", b"/c.log")] == [False, True, True]
    assert len([json.loads(line) for line in text.splitlines()]) == 3
    one.close()


def test_a_state_that_was_cut_meanwhile_is_not_waited_for() -> None:
    one = Journal("s", System())
    one.checkpoint(State())
    new = one.begin_checkpoint(State(), ())
    one.note_missing("/a.log", 1.0)
    one.flush()
    os.truncate("s", new.since)
    with pytest.raises(OSError, match="cut"):
        one.end_checkpoint(new)
    assert glob("s.*.tmp") == []
    one.close()


def test_with_fsync_it_is_waited_for() -> None:
    system = Slow()

    async def live() -> list[bytes]:
        async with following(system, fsync=True) as run:
            await run.merge()
            before = os.stat(STATE)
            async with asyncio.timeout(20):
                while os.path.samestat(os.stat(STATE), before):
                    await run.merge()
        return run.wanted

    wanted = asyncio.run(live())
    assert ASIDE not in system.threads
    assert merge_the_rest() == wanted
