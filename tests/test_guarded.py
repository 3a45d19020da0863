"""A file system that hangs holds up nobody but its own inputs."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fuse import Mounted, can_mount, mounted
from helpers import append, eventually, open_files, said, start_tailmerge

from tailmerge import guarded, run, run_fully_async
from tailmerge.guarded import Guarded, MountThread, guard, release
from tailmerge.mounts import find_hanging
from tailmerge.source import open_source
from tailmerge.system import System

LIMIT = 0.05
"""How long a call may take in these tests, seconds."""

PATIENCE = 10
"""Seconds after which what a test waits for does not come."""


class Share(System):
    """A folder of the test is a share, whose server answers or does not."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.abspath(folder)
        self.answers = threading.Event()
        self.answers.set()
        self.fds: set[int] = set()
        self.asked: list[tuple[str, str]] = []
        """What was asked of it, and by which thread."""

    def mounts(self) -> str:
        return f"1 0 8:1 / / rw - ext4 disk rw\n2 1 0:9 / {self.folder} rw - nfs4 server:/ rw\n"

    def is_there(self, path: str) -> bool:
        return os.path.join(os.path.realpath(path), "").startswith(os.path.join(self.folder, ""))

    def _wait(self, name: str) -> None:
        self.asked.append((name, threading.current_thread().name))
        assert self.answers.wait(PATIENCE)

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        if not self.is_there(path):
            return super().open(path, flags, mode)
        self._wait("open")
        fd = super().open(path, flags, mode)
        self.fds.add(fd)
        return fd

    def close(self, fd: int) -> None:
        if fd in self.fds:
            self._wait("close")
            self.fds.remove(fd)
        super().close(fd)

    def stat(self, path: str) -> os.stat_result:
        if self.is_there(path):
            self._wait("stat")
        return super().stat(path)

    def real(self, path: str) -> str:
        if self.is_there(path):
            self._wait("real")
        return super().real(path)

    def names(self, folder: str) -> Iterator[str]:
        if self.is_there(folder):
            self._wait("names")
        return super().names(folder)

    def fstat(self, fd: int) -> os.stat_result:
        if fd in self.fds:
            self._wait("fstat")
        return super().fstat(fd)

    def seek(self, fd: int, offset: int, whence: int) -> int:
        if fd in self.fds:
            self._wait("seek")
        return super().seek(fd, offset, whence)

    def read_at(self, fd: int, count: int, offset: int) -> bytes:
        if fd in self.fds:
            self._wait("read")
        return super().read_at(fd, count, offset)

    def read_into(self, fd: int, view: memoryview, offset: int) -> int:
        assert fd not in self.fds, "a late read would write over what stands there by then"
        return super().read_into(fd, view, offset)

    def find_changed(self, held: Any) -> Any:
        if any(each.hand and each.hand.fd in self.fds for each in held):
            self._wait("find_changed")
        return super().find_changed(held)


@pytest.fixture
def share(monkeypatch: pytest.MonkeyPatch) -> Iterator[Share]:
    monkeypatch.setattr(guarded, "LIMIT_SECONDS", LIMIT)
    os.mkdir("net")
    append("net/n.log", b"one\n")
    append("l.log", b"local\n")
    share = Share("net")
    yield share
    share.answers.set()
    eventually(lambda: not any("tailmerge-mount" in t.name for t in threading.enumerate()))


@pytest.fixture
def system(share: Share) -> Iterator[Guarded]:
    system = guard(share)
    assert isinstance(system, Guarded)
    yield system
    release(system)


def does_not_answer() -> Any:
    return pytest.raises(OSError, match=os.strerror(errno.ETIMEDOUT))


# what can hang


def test_where_nothing_can_hang_the_calls_are_the_systems_own() -> None:
    class Local(System):
        def mounts(self) -> str:
            return "1 0 8:1 / / rw - ext4 disk rw\n2 1 0:5 / /proc rw - autofs x rw\n"

    class Unknown(System):
        def mounts(self) -> str:
            return ""

    for system in (Local(), Unknown()):
        assert guard(system) is system


def test_what_is_mounted_below_counts_before_what_is_above() -> None:
    mounts = (
        "1 0 8:1 / / rw - ext4 disk rw\n"
        "2 1 0:9 / /srv rw - nfs4 server:/ rw\n"
        "3 2 8:2 / /srv/local\\040disk rw - xfs disk rw\n"
        "4 1 8:3 / /home rw - autofs map rw\n"
        "5 1 8:3 / /home rw - ext4 disk rw\n"
        "6 1 0:8 / /home/faraway rw - fuse.sshfs far rw\n"
        "8 1 0:4 net:[1] /run/docker/netns/a rw - nsfs nsfs rw\n"
        "7 1 0:7 / /dev/share rw - unheard-of x rw\n"
    )
    assert find_hanging(mounts) == {
        "/home/faraway": True,
        "/srv/local disk": False,
        "/srv": True,
    }
    assert list(find_hanging(mounts))[-1] == "/srv"


def test_names_are_followed_to_where_they_lead(share: Share, system: System) -> None:
    os.mkdir("logs")
    os.symlink("../net", "logs/app")
    os.symlink("logs/app/n.log", "link.log")
    os.symlink("link.log", "again.log")
    os.symlink("self", "self")
    names = ("net/n.log", "net/../net/n.log", "logs/app/n.log", "link.log", "again.log")
    for name in names:
        system.stat(name)
    for name in ("l.log", "net2", "self", "/", "logs"):
        try:
            system.stat(name)
        except OSError:
            assert name in ("net2", "self")
    thread = f"tailmerge-mount {share.folder}"
    assert share.asked == [("stat", thread)] * len(names)


# a call that hangs


def test_a_call_that_hangs_fails_and_others_fail_at_once(share: Share, system: Guarded) -> None:
    share.answers.clear()
    with does_not_answer():
        system.stat("net/n.log")
    for thread in system._threads:
        thread._limit = PATIENCE
    began = time.monotonic()
    for call in (system.stat, system.names, system.read_link):
        with does_not_answer():
            call("net")
    assert time.monotonic() - began < PATIENCE
    os.symlink("net", "link")
    assert system.real("link/n.log") == os.path.join(share.folder, "n.log")
    assert not system.is_link("net/n.log")
    assert not system.is_folder("link/.")
    assert share.asked == [("stat", f"tailmerge-mount {share.folder}")]
    assert system.stat("l.log").st_size == 6
    share.answers.set()
    assert eventually(lambda: _size(system, "net/n.log")) == 4


def _size(system: System, name: str) -> int | None:
    try:
        return system.stat(name).st_size
    except TimeoutError:
        return None


def test_a_call_that_waits_behind_one_that_hangs_is_not_made(share: Share, system: System) -> None:
    share.answers.clear()
    failures: list[OSError] = []

    def ask() -> None:
        try:
            system.stat("net/n.log")
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [error.errno for error in failures] == [errno.ETIMEDOUT] * 3
    share.answers.set()
    assert eventually(lambda: _size(system, "net/n.log")) == 4
    assert len(share.asked) <= 3, "what nobody waits for any more was asked all the same"


def test_what_is_opened_too_late_is_closed(share: Share, system: System) -> None:
    before = open_files()
    share.answers.clear()
    with does_not_answer():
        system.open("net/n.log", os.O_RDONLY)
    share.answers.set()
    eventually(lambda: [name for name, _ in share.asked] == ["open", "close"])
    eventually(lambda: open_files() == before)


def test_a_read_that_comes_too_late_writes_nowhere(share: Share, system: System) -> None:
    fd = system.open("net/n.log", os.O_RDONLY)
    buffer = bytearray(b"before")
    share.answers.clear()
    for call in (
        lambda: system.read_into(fd, memoryview(buffer), 0),
        lambda: system.read_at(fd, 3, 0),
        lambda: system.fstat(fd),
        lambda: system.seek(fd, 0, os.SEEK_END),
    ):
        with does_not_answer():
            call()
    share.answers.set()
    eventually(lambda: _size(system, "net/n.log"))
    assert buffer == b"before"
    assert system.read_into(fd, memoryview(buffer), 0) == 4
    assert buffer == b"one\nre"
    system.close(fd)


def test_nobody_waits_for_a_close(share: Share, system: Guarded) -> None:
    fd = system.open("net/n.log", os.O_RDONLY)
    share.answers.clear()
    system.close(fd)
    assert fd not in system._opened, "the number may be given to a file of this machine"
    assert fd in share.fds
    share.answers.set()
    eventually(lambda: not share.fds)


def test_an_error_of_the_call_is_raised_as_it_is(system: System) -> None:
    with pytest.raises(FileNotFoundError):
        system.stat("net/nothing")
    with pytest.raises(FileNotFoundError):
        system.open("net/nothing", os.O_RDONLY)


def test_that_a_share_hangs_is_news_once_and_the_others_have_theirs(
    share: Share, system: System
) -> None:
    class Hand:
        def __init__(self, path: str) -> None:
            self.path = path
            self.fd = system.open(path, os.O_RDONLY)

    class Input:
        def __init__(self, path: str) -> None:
            self.hand = Hand(path)
            self.seen = 0

    inputs = [Input("net/n.log"), Input("l.log")]
    assert set(system.find_changed(inputs)) == set(inputs)
    share.answers.clear()
    assert set(system.find_changed(inputs)) == set(inputs)
    inputs[0].seen = 4
    for _ in range(2):
        assert system.find_changed(inputs) == inputs[1:]
    share.answers.set()
    eventually(lambda: _size(system, "net/n.log"))
    assert system.find_changed(inputs) == inputs[1:]
    share.answers.clear()
    assert set(system.find_changed(inputs)) == set(inputs)
    share.answers.set()
    eventually(lambda: _size(system, "net/n.log"))
    inputs[0].seen = 0
    system.close(inputs[0].hand.fd)
    inputs[0].hand.fd = -1
    assert set(system.find_changed(inputs)) == set(inputs)  # asked for by its name
    system.close(inputs[1].hand.fd)


class Slow:
    """An input on a share, each question about which takes its time."""

    def __init__(self, path: str, system: System) -> None:
        self.hand = self
        self.path = path
        self.fd = system.open(path, os.O_RDONLY)
        self.seen = 0


def test_many_files_of_a_slow_share_have_their_turns(
    share: Share, system: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All at once they would take longer than any one call may."""
    monkeypatch.setattr(guarded, "HELD_A_CALL", 4)
    inputs = []
    for number in range(30):
        append(f"net/{number}.log", b"one\n")
        inputs.append(Slow(f"net/{number}.log", system))

    def ask(held: Any) -> Any:
        threading.Event().wait(len(held) * LIMIT / 10)
        return System.find_changed(share, held)

    monkeypatch.setattr(share, "find_changed", ask)
    rounds = [system.find_changed(inputs) for _ in range(3)]
    assert all(0 < len(some) < 30 for some in rounds)
    assert rounds[1][0] is inputs[len(rounds[0])]
    found: set[Slow] = set()
    eventually(lambda: found.update(system.find_changed(inputs)) or len(found) == 30)
    for each in inputs:
        system.close(each.fd)


def test_a_slow_mount_has_more_time_but_never_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "LIMIT_SECONDS", LIMIT)
    monkeypatch.setattr(guarded, "MOST_SECONDS", 6 * LIMIT)
    thread = MountThread("/net")

    def be_slow(seconds: float) -> bool:
        """Whether a call that takes so long is answered in time."""
        over = threading.Event()

        def call() -> None:
            threading.Event().wait(seconds)
            over.set()

        try:
            thread.call(call)
        except TimeoutError:
            assert over.wait(PATIENCE)
            eventually(lambda: not thread._hangs)
            return False
        return True

    slow = 3 * LIMIT
    assert [be_slow(slow) for _ in range(5)] == [False, False, True, True, True]
    for _ in range(guarded.QUICK_CALLS - 1):
        assert be_slow(0)
    assert be_slow(slow), "a mount that is slow is quick at times"
    for _ in range(guarded.QUICK_CALLS):
        assert be_slow(0)
    assert not be_slow(slow), "it had as much time as before"
    assert [be_slow(10 * LIMIT) for _ in range(4)] == [False] * 4
    thread.end()


def test_who_waits_behind_a_slow_call_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "LIMIT_SECONDS", 4 * LIMIT)
    thread, answers = MountThread("/net"), []

    def ask() -> None:
        answers.append(thread.call(lambda: threading.Event().wait(3 * LIMIT)))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert answers == [False] * 3
    thread.end()


def test_without_another_thread_the_call_is_made_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    thread = MountThread("/net")
    asked = []
    thread.post(lambda: asked.append(threading.current_thread()))
    assert [thread.call(threading.current_thread)] == asked == [threading.current_thread()]


# a run


@asynccontextmanager
async def running(*names: str, system: System, **how: Any) -> Any:
    """A run of these inputs into `m.log`, stopped at the end; what it said."""
    words, report = said()
    stop = asyncio.Event()
    merging = asyncio.create_task(
        run_fully_async(names, 0.01, "m.log", stop=stop, report=report, system=system, **how)
    )
    try:
        yield words
    finally:
        stop.set()
        await asyncio.wait_for(merging, PATIENCE)


async def soon(predicate: Callable[[], Any]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(PATIENCE):
        while not predicate():
            await asyncio.sleep(0.01)


def lines(name: str = "m.log") -> list[str]:
    return Path(name).read_text().splitlines() if os.path.exists(name) else []


async def test_lines_of_other_inputs_go_on_and_the_shares_come_later(share: Share) -> None:
    async with running("net/n.log", "l.log", system=share, state_path="m.state") as words:
        await soon(lambda: lines() == ["one", "local"])
        share.answers.clear()
        append("net/n.log", b"two\n")
        for n in range(3):
            append("l.log", b"%d\n" % n)
            await soon(lambda n=n: lines()[-1] == str(n))
        await soon(lambda: any("net/n.log: the file system does not answer" in w for w in words))
        os.rename("l.log", "l.log.1")
        append("l.log.1", b"last\n")
        append("l.log", b"turned over\n")
        await soon(lambda: lines()[-2:] == ["last", "turned over"])
        share.answers.set()
        await soon(lambda: lines()[-1] == "two")
        assert lines() == ["one", "local", "0", "1", "2", "last", "turned over", "two"]
        await soon(lambda: any("net/n.log: can be read now" in word for word in words))
        assert not any("missing" in word for word in words)


@pytest.mark.parametrize("how", ["cut", "cut while it runs", "another on its inode"])
async def test_what_was_copied_to_the_share_comes_before_what_is_new(
    share: Share, how: str
) -> None:
    names = ("l.log", "net/n.log")
    async with running(*names, system=share, state_path="m.state") as words:
        await soon(lambda: lines() == ["local", "one"])
        if how == "cut while it runs":
            share.answers.clear()
            copy_and_cut(b"unread\n", b"new\n")
            await soon(lambda: any(word.startswith("l.log: the file") for word in words))
            share.answers.set()
            await soon(lambda: lines()[-1] == "new")
    if how != "cut while it runs":
        copy_and_cut(b"unread\n", b"new\n" if how == "cut" else b"other lines, and more\nnew\n")
        share.answers.clear()
        async with running(*names, system=share, state_path="m.state") as words:
            await soon(lambda: any(word.startswith("l.log: the file") for word in words))
            share.answers.set()
            await soon(lambda: lines()[-1] == "new")
    assert lines()[:3] == ["local", "one", "unread"]


def copy_and_cut(unread: bytes, new: bytes) -> None:
    """Into the share, as logrotate's copytruncate with an olddir."""
    append("l.log", unread)
    append("net/l.log.1", Path("l.log").read_bytes())
    os.truncate("l.log", 0)
    append("l.log", new)


async def test_a_share_that_hangs_from_the_start_is_said_and_waited_for(share: Share) -> None:
    append("net/l.log.1", b"older\n")  # as from an olddir that is there, too
    share.answers.clear()
    async with running("net/n.log", "l.log", system=share, state_path="m.state") as words:
        await soon(lambda: lines() == ["local"])
        await soon(lambda: any("net/n.log: the file system does not answer" in w for w in words))
        os.rename("l.log", "l.log.1")
        append("l.log", b"turned over\n")
        await soon(lambda: lines() == ["local", "turned over"])
        share.answers.set()
        await soon(lambda: "one" in lines())
        os.rename("l.log", "l.log.2")
        append("l.log", b"again\n")
        await soon(lambda: "again" in lines())
        assert lines() == ["local", "turned over", "one", "again"], "what was before came, too"


async def test_with_no_lines_asked_for_what_was_there_before_does_not_come_later(
    share: Share,
) -> None:
    share.answers.clear()
    async with running("net/n.log", "l.log", system=share, state_path="m.state", lines=0) as words:
        await soon(lambda: any("net/n.log: the file system does not answer" in w for w in words))
        share.answers.set()
        await soon(lambda: any("net/n.log: can be read now" in word for word in words))
        append("net/n.log", b"two\n")
        await soon(lambda: lines() == ["two"])


async def test_what_is_ours_on_a_share_is_waited_for(
    share: Share, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old symptom: one slow answer ended the run, or made a copy of the output an input."""
    slow = False

    class Late(Share):
        def _wait(self, name: str) -> None:
            if slow and threading.current_thread().name == "tailmerge-discover":
                threading.Event().wait(3 * LIMIT)
            super()._wait(name)

    late, stop = Late("net"), asyncio.Event()
    monkeypatch.setattr(run, "DISCOVER_SECONDS", 0.01)
    merging = asyncio.create_task(
        run_fully_async(["net/*"], 0.01, "net/m.log", stop=stop, report=said()[1], system=late)
    )
    await soon(lambda: lines("net/m.log") == ["one"])
    slow = True
    append("c", b"one\n")
    os.rename("c", "net/m.log.1")
    asked = len(late.asked)
    await soon(lambda: ("read", "tailmerge-discover") in late.asked[asked:])
    append("net/n.log", b"two\n")
    await soon(lambda: lines("net/m.log")[-1] == "two")
    stop.set()
    await asyncio.wait_for(merging, PATIENCE)
    assert lines("net/m.log") == ["one", "two"]


def test_a_file_whose_status_is_not_told_does_not_count_as_deleted(
    share: Share, system: System
) -> None:
    source = open_source(system, "net/n.log")
    share.answers.clear()
    assert not source.is_deleted()
    share.answers.set()
    eventually(lambda: _size(system, "net/n.log"))
    os.unlink("net/n.log")
    assert source.is_deleted()
    source.close()


def test_a_parked_file_is_not_lost_where_its_name_is_not_told(share: Share, system: System) -> None:
    source = open_source(system, "net/n.log")
    source.park()
    share.answers.clear()
    with does_not_answer():
        source.hold()
    assert not source.lost
    share.answers.set()
    eventually(lambda: _size(system, "net/n.log"))
    assert source.read_at(4, 0) == b"one\n"
    source.close()


def test_nobody_has_a_second_descriptor_of_what_can_hang(system: System) -> None:
    fd = system.open("net/n.log", os.O_RDONLY)
    with pytest.raises(OSError, match=os.strerror(errno.EOPNOTSUPP)):
        system.duplicate(fd)
    system.close(fd)
    local = system.open("l.log", os.O_RDONLY)
    system.close(system.duplicate(local))
    system.close(local)


async def test_what_comes_to_a_share_that_hangs_is_read_later(share: Share) -> None:
    async with running("net/n.log", "l.log", system=share, state_path="m.state") as words:
        await soon(lambda: lines() == ["one", "local"])
        share.answers.clear()
        append("net/l.log.1", b"between\n")
        os.rename("l.log", "l.log.2")
        append("l.log", b"turned over\n")
        await soon(lambda: lines() == ["one", "local", "turned over"])
        await soon(lambda: any("net/: the file system does not answer" in w for w in words))
        share.answers.set()
        await soon(lambda: "between" in lines())
        await soon(lambda: any("net/: can be read now" in word for word in words))


async def test_what_may_be_on_the_share_is_waited_for(share: Share) -> None:
    """What is new waits while the file read before is nowhere: it may have gone there."""
    async with running("l.log", "net/n.log", system=share, state_path="m.state"):
        await soon(lambda: lines() == ["local", "one"])
    append("l.log", b"unread\n")
    os.rename("l.log", "net/l.log.1")
    append("l.log", b"new\n")
    share.answers.clear()
    async with running("l.log", "net/n.log", system=share, state_path="m.state") as words:
        await soon(lambda: any("does not answer" in word for word in words))
        append("l.log", b"newer\n")
        await soon(lambda: any(w.startswith("net/n.log: the file") for w in words))
        assert lines() == ["local", "one"]
        share.answers.set()
        await soon(lambda: lines() == ["local", "one", "unread", "new", "newer"])


@pytest.mark.parametrize("pattern", ["net/*.log", "net/**/*.log"])
async def test_a_pattern_that_leads_to_a_share_is_asked_for_once_that_answers(
    share: Share, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "DISCOVER_SECONDS", 0.01)
    share.answers.clear()
    async with running(pattern, "*.log", system=share, state_path="m.state") as words:
        await soon(lambda: lines() == ["local"])
        append("new.log", b"appeared\n")
        await soon(lambda: lines() == ["local", "appeared"])
        share.answers.set()
        await soon(lambda: lines() == ["local", "appeared", "one"])
        share.answers.clear()
        append("newer.log", b"more\n")
        await soon(lambda: lines()[-1] == "more")
        share.answers.set()
    about = [word for word in words if pattern in word]
    assert about[0] == f"{pattern}: the file system does not answer, tried again"
    assert about[1].startswith(f"{pattern}: can be read now")


async def test_a_one_shot_run_ends_while_a_share_hangs(share: Share) -> None:
    share.answers.clear()
    words, report = said()
    await asyncio.wait_for(
        run_fully_async(
            ["net/n.log", "l.log"], 0.01, "m.log", once=True, report=report, system=share
        ),
        PATIENCE,
    )
    assert lines() == ["local"]
    assert any("net/n.log: the file system does not answer" in word for word in words)
    assert report.owes


# for real


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mounted]:
    if not can_mount():
        pytest.skip("needs root and /dev/fuse")
    for name in ("there", "net"):
        (tmp_path / name).mkdir()
    append("there/n.log", b"one\n")
    append("l.log", b"local\n")
    with mounted(tmp_path / "there", tmp_path / "net") as mount:
        if mount is None:
            pytest.skip("no file system can be mounted here")
        Path("net/n.log").read_bytes()  # that flushes are not known is known from now on
        yield mount


def test_a_mount_that_hangs_holds_up_nobody_else(mount: Mounted) -> None:
    with (
        open("errors", "wb") as errors,
        start_tailmerge("net/n.log", "l.log", "-o", "m.log", stderr=errors) as process,
    ):
        eventually(lambda: lines() == ["one", "local"])
        mount.hang()
        append("there/n.log", b"two\n")
        for n in range(3):
            append("l.log", b"%d\n" % n)
            eventually(lambda n=n: lines()[-1] == str(n))
        eventually(lambda: Path("errors").read_text().endswith("does not answer, tried again\n"))
        mount.go()
        eventually(lambda: lines()[-1] == "two")
        mount.hang()
        append("there/n.log", b"three\n")
        append("l.log", b"end\n")
        eventually(lambda: lines()[-1] == "end")
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert lines() == ["one", "local", "0", "1", "2", "two", "end"]
    mount.go()
    with start_tailmerge("--once", "net/n.log", "l.log", "-o", "m.log") as process:
        assert process.wait(PATIENCE) == 0
    assert lines()[-1] == "three"
