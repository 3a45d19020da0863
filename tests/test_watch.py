"""Who has news: what the kernel tells, where it does not, and how that is made up for."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from helpers import append, eventually, hide_inotify, on_lane, said, start_tailmerge

from tailmerge import run_fully_async
from tailmerge.errand import Errand
from tailmerge.feed import Feed, Progress
from tailmerge.generation import News
from tailmerge.mounts import find_type, tells
from tailmerge.notices import DELETE_SELF, IGNORED, OVERFLOW, PACE_SECONDS, Notices
from tailmerge.source import Source, open_source
from tailmerge.sweep import Sweep
from tailmerge.system import System

NEVER = "600"
"""An interval after which nothing in a test is found: the kernel told of it, or nobody."""

needs_inotify = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


def merged() -> bytes:
    return Path("m.log").read_bytes() if os.path.exists("m.log") else b""


@pytest.fixture
def _without_inotify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide_inotify(tmp_path, monkeypatch)


# which file systems tell

MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:25 / /home rw - nfs4 server:/home rw
31 30 0:26 / /home/me/my\\040logs rw - xfs /dev/vdb rw
32 22 0:27 / /mnt rw shared:1 - ext4 /dev/vdc rw
33 32 0:28 / /mnt rw - fuse.sshfs me@host: rw
"""


def test_the_longest_mount_point_and_the_latest_of_one_decides() -> None:
    paths = ("/var/log", "/home/x", "/homes", "/mnt/a")
    kinds = [find_type(MOUNTS, path) for path in paths]
    assert kinds == ["ext4", "nfs4", "ext4", "fuse.sshfs"]
    assert find_type(MOUNTS, "/home/me/my logs/app") == "xfs"


def test_a_network_or_an_unknown_file_system_tells_nothing() -> None:
    assert tells(MOUNTS, "/var/log")
    assert not tells(MOUNTS, "/home/x")
    assert not tells(MOUNTS, "/mnt/a")
    assert not tells("", "/var/log")


# what is told


@needs_inotify
def test_a_line_is_seen_without_an_interval_and_so_is_a_rotation() -> None:
    append("a.log", b"one\n")
    with start_tailmerge("-v", "-i", NEVER, "a.log", "-o", "m.log") as process:
        eventually(lambda: merged() == b"one\n")
        assert process.stderr
        assert process.stderr.readline() == b"tailmerge: inotify: 1 folder watched\n"
        append("a.log", b"two\n")
        eventually(lambda: merged() == b"one\ntwo\n")
        os.rename("a.log", "a.log.1")
        append("a.log", b"four\n")
        eventually(lambda: merged().endswith(b"four\n"))
        append("a.log.1", b"three\n")
        eventually(lambda: merged() == b"one\ntwo\nfour\nthree\n")
        process.terminate()


@needs_inotify
def test_each_link_of_a_chain_is_watched() -> None:
    for folder in ("links", "old", "new"):
        os.mkdir(folder)
    append("old/a.log", b"one\n")
    append("new/a.log", b"three\n")
    os.symlink("../old/a.log", "links/middle")
    os.symlink("links/middle", "a.log")
    with start_tailmerge("-i", NEVER, "a.log", "-o", "m.log") as process:
        eventually(lambda: merged() == b"one\n")
        append("old/a.log", b"two\n")
        eventually(lambda: merged() == b"one\ntwo\n")
        os.symlink("../new/a.log", "links/other")
        os.rename("links/other", "links/middle")
        eventually(lambda: merged() == b"one\ntwo\nthree\n")
        process.terminate()


@needs_inotify
def test_a_folder_that_is_replaced_is_polled_and_then_watched_again() -> None:
    os.mkdir("logs")
    append("logs/a.log", b"one\n")
    with start_tailmerge("-i", "0.1", "logs/a.log", "-o", "m.log") as process:
        eventually(lambda: merged() == b"one\n")
        os.rename("logs", "gone")
        os.mkdir("logs")
        append("logs/a.log", b"two\n")
        eventually(lambda: merged() == b"one\ntwo\n")
        append("logs/a.log", b"three\n")
        append("gone/a.log", b"late\n")
        eventually(lambda: sorted(merged().split()) == [b"late", b"one", b"three", b"two"])
        process.terminate()


# where it does not tell


@pytest.mark.usefixtures("_without_inotify")
def test_without_the_extra_the_inputs_are_polled() -> None:
    append("a.log", b"one\n")
    with start_tailmerge("-v", "a.log", "-o", "m.log") as process:
        assert process.stderr
        assert b"polling every 0.1 s: no inotify here" in process.stderr.readline()
        eventually(lambda: merged() == b"one\n")
        append("a.log", b"two\n")
        eventually(lambda: merged() == b"one\ntwo\n")
        process.terminate()


class OnTheNetwork(System):
    """Everything is on a network file system: nothing is told."""

    def mounts(self) -> str:
        return "30 22 0:25 / / rw - nfs4 server:/home rw\n"


@needs_inotify
async def test_what_is_on_a_network_file_system_is_polled() -> None:
    append("a.log", b"one\n")
    words, report = said()
    stop = asyncio.Event()
    run = asyncio.create_task(
        run_fully_async(["a.log"], 0.05, "m.log", report=report, stop=stop, system=OnTheNetwork())
    )
    while merged() != b"one\n":
        await asyncio.sleep(0.01)
    append("a.log", b"two\n")
    while merged() != b"one\ntwo\n":
        await asyncio.sleep(0.01)
    stop.set()
    await run
    assert "polling every 0.05 s: the kernel tells of no changes there" in words


LIMITED = """
echo {watches} > /proc/sys/user/max_inotify_watches &&
echo {instances} > /proc/sys/user/max_inotify_instances &&
exec "$@"
"""


def start_limited(watches: int, instances: int, *args: str) -> subprocess.Popen[bytes]:
    """The command in a user namespace of its own, whose limits are these."""
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "-Ur", "true"], check=False).returncode:
        pytest.skip("no user namespaces here")
    script = LIMITED.format(watches=watches, instances=instances)
    command = [unshare, "-Ur", "sh", "-c", script, "sh", sys.executable, "-m", "tailmerge", *args]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


@needs_inotify
@pytest.mark.parametrize(
    ("watches", "instances", "message"),
    [
        (1, 10, b"inotify: 1 folder watched, 1 input polled every 0.1 s"),
        (0, 10, b"polling every 0.1 s: the kernel tells of no changes there"),
        (10, 0, b"polling every 0.1 s: no inotify here"),
    ],
)
def test_what_a_limit_keeps_from_being_told_is_polled(
    watches: int, instances: int, message: bytes
) -> None:
    for name in ("one", "two"):
        os.mkdir(name)
        append(f"{name}/a.log", b"line\n")
    process = start_limited(
        watches, instances, "-v", "one/a.log", "two/a.log", "-o", os.path.abspath("m.log")
    )
    try:
        assert process.stderr
        assert message in process.stderr.readline()
        append("one/a.log", b"more\n")
        append("two/a.log", b"more\n")
        eventually(lambda: sorted(merged().split()) == [b"line", b"line", b"more", b"more"])
    finally:
        process.kill()
        process.communicate()


class Asked:
    """An input that remembers when it was asked."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.hand: Source | None = None
        self.seen = -1
        self.is_unsettled = False
        self.asked = 0

    def stands(self) -> bool:
        return False

    def probe(self, now: float, *, told: bool = False) -> News:
        self.asked += 1
        return News.GREW

    def places(self) -> Iterator[tuple[str, str]]:
        yield os.path.split(os.path.abspath(self.path))


def make_notices() -> Notices:
    if not System().has_notifier():
        pytest.skip("no asyncinotify here")
    return Notices(System().make_notifier(), System())


def read_until(stream: IO[bytes], words: bytes) -> None:
    """Read lines until one has these words."""
    while words not in (line := stream.readline()):
        assert line, f"nobody said {words!r}"


def waits_for_pipe(reader: int) -> bool:
    """Whether as much stands in a pipe as it holds."""
    held = bytearray(4)
    fcntl.ioctl(reader, termios.FIONREAD, held)
    return int.from_bytes(held, sys.byteorder) >= 60_000


def drain(reader: int, count: int) -> None:
    """Read so many bytes of what comes."""
    got = 0

    def read() -> bool:
        nonlocal got
        try:
            got += len(os.read(reader, 1 << 20))
        except BlockingIOError:
            pass
        return got >= count

    eventually(read)


async def hear(notices: Notices, *inputs: Asked) -> tuple[list[set[Any]], asyncio.Event]:
    told: list[set[Any]] = []
    came = asyncio.Event()

    def tell(probed: Iterable[Any]) -> None:
        told.append(set(probed))
        came.set()

    notices.start(tell)
    assert all([notices.follow(each) for each in inputs])
    return told, came


@needs_inotify
def test_a_flooded_queue_makes_all_be_asked() -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    busy = [Asked("a.log"), Asked("b.log")]
    quiet = Asked("quiet.log")
    notices = make_notices()

    async def flood() -> list[set[Any]]:
        told, came = await hear(notices, *busy, quiet)
        files = [os.open(each.path, os.O_WRONLY | os.O_CREAT) for each in busy]
        for _ in range(limit // 2 + 2):
            for file in files:  # in turn: the kernel keeps one of equal events in a row
                os.write(file, b"x")
        for file in files:
            os.close(file)
        while not any(quiet in each for each in told):
            came.clear()
            await came.wait()
        notices.close()
        return told

    assert set(on_lane(flood())[-1]) == {*busy, quiet}


@needs_inotify
def test_only_the_input_that_a_name_belongs_to_is_asked() -> None:
    one, two = Asked("a.log"), Asked("b.log")
    notices = make_notices()

    async def live() -> list[set[Any]]:
        told, came = await hear(notices, one, two)
        append("other.txt", b"of nobody\n")
        append("b.log.1", b"a rotated form\n")
        await came.wait()
        notices.close()
        return told

    assert set().union(*on_lane(live())) == {two}


@needs_inotify
def test_it_is_told_whether_a_file_was_merely_written_to() -> None:
    """A name that was moved in the same reading was more than that, before it or behind it."""
    append("a.log", b"one\n")
    append("b.log", b"one\n")
    one, two = Asked("a.log"), Asked("b.log")
    notices = make_notices()

    async def live() -> list[dict[Any, bool]]:
        told: list[dict[Any, bool]] = []
        came = asyncio.Event()

        def tell(news: dict[Any, bool]) -> None:
            told.append(dict(news))
            came.set()

        notices.start(tell)
        assert notices.follow(one)
        assert notices.follow(two)
        for act in (
            lambda: append("a.log", b"two\n"),
            lambda: append("a.log", b"three\n"),
            lambda: (append("b.log", b"two\n"), os.rename("b.log", "b.log.1")),
            lambda: append("b.log.1", b"three\n"),
            lambda: (append("a.log", b"four\n"), os.chmod("a.log", 0o600)),
        ):
            await asyncio.sleep(2 * PACE_SECONDS)
            came.clear()
            act()
            await came.wait()
        notices.close()
        return told

    told = on_lane(live())
    assert told == [{one: True}, {one: True}, {two: False}, {two: False}, {one: False}]


@needs_inotify
@pytest.mark.parametrize("mask", [OVERFLOW, IGNORED, DELETE_SELF])
def test_where_events_are_lost_or_a_folder_goes_more_may_have_happened(mask: int) -> None:
    one = Asked("a.log")
    notices = make_notices()

    async def ask() -> dict[Any, bool]:
        notices.start(lambda told: None)
        assert notices.follow(one)
        [number] = notices._by_number
        told = notices._sort_out(struct.pack("iIII", number, mask, 0, 0))
        notices.close()
        return told

    assert on_lane(ask()) == {one: False}


@needs_inotify
def test_what_is_cut_before_it_was_read_is_said() -> None:
    """The output takes nothing meanwhile; that the file grew nobody but the kernel told."""
    append("a.log", b"first\n")
    os.mkfifo("p")
    process = start_tailmerge("-v", "a.log", "-o", "p", stderr=subprocess.PIPE)
    reader = os.open("p", os.O_RDONLY)
    try:
        assert process.stderr
        read_until(process.stderr, b"inotify")
        assert os.read(reader, 100) == b"first\n"
        append("a.log", b"second\n")  # its tail sleeps, or is about to: this is an errand's
        assert os.read(reader, 100) == b"second\n"
        append("a.log", b"x" * 99 + b"\n")
        assert os.read(reader, 100) == b"x" * 99 + b"\n"
        append("a.log", 2000 * (b"x" * 99 + b"\n"))  # more than a pipe holds
        eventually(lambda: os.stat("a.log").st_size and waits_for_pipe(reader))
        append("a.log", 5000 * (b"x" * 99 + b"\n"))
        time.sleep(0.1)  # nobody tells that the kernel was heard
        os.truncate("a.log", 0)
        os.set_blocking(reader, False)
        drain(reader, 2000 * 100)
        read_until(process.stderr, b"500000 bytes were gone before they could be read")
    finally:
        process.kill()
        process.communicate()
        os.close(reader)


@needs_inotify
def test_what_the_last_events_meant_is_forgotten_with_another_input_of_their_name() -> None:
    append("a.log", b"one\n")
    one, same = Asked("a.log"), Asked("a.log")
    notices = make_notices()

    async def live() -> list[set[Any]]:
        told, came = await hear(notices, one)
        for act in (
            lambda: None,
            lambda: notices.follow(same),
            lambda: notices.forget(one),
        ):
            await asyncio.sleep(2 * PACE_SECONDS)
            came.clear()
            act()
            append("a.log", b"more\n")
            await came.wait()
        notices.close()
        return told

    assert on_lane(live()) == [{one}, {one, same}, {same}]


class Grown(Asked):
    """An input whose errand waits for growth of the file that it holds."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        append(path, b"one\n")
        self.hand = open_source(System(), path)
        self.seen = 4
        self.errand = Errand(Feed(path), self.hand)

    def note_growth(self, end: int) -> None:
        self.seen = end


def hear_of(each: Grown, *, written: bool) -> tuple[int, int]:
    """What a sweep does that is told of an input: how often it is asked, and forwarded."""
    forwarded: list[Any] = []

    async def forward_all(grown: Any) -> list[Progress]:
        forwarded.extend(grown)
        return [Progress(1, False, 0) for _ in grown]

    async def story() -> None:
        sweep = Sweep(System(), 0.1, forward_all, lambda found: None)
        sweep.sweep(0.0, [each], [])  # type: ignore[list-item]
        each.asked = 0
        sweep.errands[each] = each.errand  # type: ignore[index]
        sweep._hear({each: written})  # type: ignore[dict-item]
        await asyncio.gather(*sweep._running)

    on_lane(story())
    return each.asked, len(forwarded)


def test_of_a_file_that_merely_grew_the_name_is_not_asked() -> None:
    grown = Grown("a.log")
    append("a.log", b"two\n")
    assert hear_of(grown, written=True) == (0, 1)
    assert grown.seen == 8


@pytest.mark.parametrize(
    "what",
    ["told of more", "as long", "shorter", "empty", "other", "closed", "taken back", "unreadable"],
)
def test_of_any_other_file_the_name_is_asked(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    each = Grown("a.log")
    append("a.log", b"two\n")
    if what == "as long":
        each.seen = 8
    elif what == "shorter":
        each.seen = 9
    elif what == "empty":
        each.seen = 0
    elif what == "other":
        each.hand = open_source(System(), "a.log")
    elif what == "closed":
        assert each.hand
        each.hand.park()
    elif what == "taken back":
        each.errand.take_back()
    elif what == "unreadable":
        monkeypatch.setattr(System, "seek", lambda *args: exec("raise OSError"))
    asked, _ = hear_of(each, written=what != "told of more")
    assert asked == 1


async def no_forward(feed: Feed, source: Source) -> Progress:
    raise AssertionError("nobody left an errand")


def test_busy_inputs_are_looked_at_more_often_and_idle_ones_at_the_interval() -> None:
    append("a.log", b"one\n")
    system = System()
    idle = [Asked(f"{number}.log") for number in range(3)]
    for each in idle:
        each.probe = lambda now, *, told=False: News.NONE  # type: ignore[method-assign]
    busy = Asked("a.log")
    sweep = Sweep(system, 0.1, no_forward, lambda found: None)
    sweep.sweep(0.0, [busy, *idle], [])
    assert sweep.is_busy
    asked = busy.asked
    sweep.sweep(0.01, [], [])
    assert busy.asked == asked + 1
    sweep.sweep(0.02, [], [busy])
    assert not sweep.is_busy


def keep_looking(interval: float, *, until: Callable[[Sweep, Grown], None]) -> tuple[int, float]:
    """How often a busy input is asked before the sweep is over, and how long that took."""
    each = Grown("a.log")

    def probe(now: float, *, told: bool = False) -> News:
        each.asked += 1
        append("a.log", b"two\n")  # there is always more
        until(sweep, each)
        return News.GREW

    async def forward_all(grown: Any) -> list[Progress]:
        return [Progress(1, False, 0) for _ in grown]

    each.probe = probe  # type: ignore[method-assign]
    sweep = Sweep(System(), interval, forward_all, lambda found: None)

    async def story() -> tuple[int, float]:
        now = asyncio.get_running_loop().time
        for _ in range(10):
            await sweep.look(now(), [], [])  # there is no backlog
        sweep.errands[each] = each.errand  # type: ignore[index]
        await sweep.keep_looking(now(), [each], [])  # type: ignore[list-item]
        return each.asked, now()

    return on_lane(story())


def test_a_busy_input_is_looked_at_again_and_nobody_is_woken_for_that() -> None:
    asked, took = keep_looking(0.1, until=lambda sweep, each: None)
    assert asked == 9
    assert took == pytest.approx(0.08)  # the next one is of all


def test_who_has_news_for_somebody_is_not_kept_back() -> None:
    def take_back(sweep: Sweep, each: Grown) -> None:
        if each.asked == 3:
            each.errand.take_back()

    asked, took = keep_looking(0.1, until=take_back)
    assert (asked, took) == (3, pytest.approx(0.02))


def test_who_is_called_for_something_else_looks_no_more() -> None:
    def call(sweep: Sweep, each: Grown) -> None:
        sweep.is_called = each.asked == 4

    asked, took = keep_looking(0.1, until=call)
    assert (asked, took) == (4, pytest.approx(0.03))


def test_where_the_interval_is_short_each_sweep_is_of_all() -> None:
    assert keep_looking(0.01, until=lambda sweep, each: None) == (1, 0)


def test_beside_a_backlog_all_are_looked_at_a_little_sooner() -> None:
    """A look, and the forward behind it, wait there for their turn."""

    async def story() -> None:
        sweep = Sweep(System(), 0.1, no_forward, lambda found: None)  # type: ignore[arg-type]
        now = asyncio.get_running_loop().time
        for _ in range(10):
            await sweep.look(now(), [], [])
        assert sweep.margin == 0
        await sweep.look(now() - 0.008, [], [])
        assert 0 < sweep.margin <= 0.05
        for _ in range(10):
            await sweep.look(now(), [], [])
        assert sweep.margin == 0

    asyncio.run(story())


class Holding:
    """An input that holds a file open, or has its name, or neither."""

    def __init__(self, hand: Source | None, seen: int) -> None:
        self.hand = hand
        self.seen = seen


def test_only_those_whose_files_end_elsewhere_are_found_changed(tmp_path: Path) -> None:
    held = []
    for number in range(8):
        path = str(tmp_path / f"{number}.log")
        append(path, b"1\n")
        held.append(Holding(open_source(System(), path), 2))
    system = System()
    assert system.find_changed(held) == []
    append(str(tmp_path / "3.log"), b"2\n")
    os.truncate(tmp_path / "5.log", 0)
    assert system.find_changed(held) == [held[3], held[5]]
    held[3].seen, held[5].seen = 4, 0
    for number in (1, 2):
        hand = held[number].hand
        assert hand
        hand.park()
    append(str(tmp_path / "2.log"), b"2\n")
    append(str(tmp_path / "7.log"), b"2\n")
    held[6].hand = None
    found = system.find_changed(held)
    assert sorted(map(held.index, found)) == [2, 6, 7]
    closed = held[0].hand
    assert closed
    os.close(closed.fd)
    assert sorted(map(held.index, system.find_changed(held))) == [0, 2, 6, 7]
