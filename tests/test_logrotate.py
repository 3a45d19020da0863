"""The real logrotate against a live writer: every line exactly once, in order."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from helpers import eventually

if TYPE_CHECKING:
    from processes import Place

pytest_plugins = ["processes"]

LOGROTATE = shutil.which("logrotate") or shutil.which("logrotate", path="/usr/sbin:/sbin")

pytestmark = pytest.mark.skipif(LOGROTATE is None, reason="logrotate is not installed")

ROTATIONS = 3


class Writer:
    """A program that logs without a pause, except where it is asked for one."""

    def __init__(self, place: Place, name: str, *, flags: int = os.O_APPEND) -> None:
        self.lines: list[bytes] = []
        self.pause = threading.Lock()
        self._path = place / name
        self._flags = os.O_WRONLY | os.O_CREAT | flags
        self._reopen = place / f"{name}.reopen"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"writer of {name}")
        self._thread.start()

    def _run(self) -> None:
        fd = os.open(self._path, self._flags, 0o644)
        while not self._over.wait(0.0005):
            with self.pause:
                line = b"%s %06d" % (os.fsencode(self._path.name), len(self.lines))
                os.write(fd, line + b"\n")
                self.lines.append(line)
                if len(self.lines) % 50 == 0 and self._reopen.exists():
                    self._reopen.unlink()
                    os.close(fd)
                    fd = os.open(self._path, self._flags, 0o644)
        os.close(fd)

    def wait_for(self, count: int) -> None:
        """Let it write so many more lines."""
        goal = len(self.lines) + count
        eventually(lambda: len(self.lines) >= goal)

    def stop(self) -> list[bytes]:
        self._over.set()
        self._thread.join()
        return self.lines


@pytest.fixture
def write(place: Place) -> Iterator[Callable[..., Writer]]:
    """Starts writers; the test's end stops them."""
    writers: list[Writer] = []

    def start(name: str, **kw: int) -> Writer:
        writers.append(Writer(place, name, **kw))
        return writers[-1]

    yield start
    for writer in writers:
        writer.stop()


class Logrotate:
    """Real rotations, as one configuration says."""

    def __init__(self, place: Place, name: str, *words: str) -> None:
        self._place = place
        self._config = place.write(
            "logrotate.conf",
            f'"{place / name}" {{\n'.encode()
            + b"".join(word.encode() + b"\n" for word in ("rotate 20", "missingok", *words))
            + b"}\n",
        )
        self._config.chmod(0o644)

    def run(self) -> None:
        done = subprocess.run(
            [LOGROTATE, "-f", "-s", self._place / "logrotate.state", self._config],
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()


def reopened_by_a_script(place: Place, name: str) -> tuple[str, ...]:
    """What logrotate runs to have a program reopen its log."""
    return ("postrotate", f"touch '{place / name}.reopen'", "endscript")


@pytest.mark.parametrize("names", ["nodateext", "dateext"])
def test_create(place: Place, write: Callable[..., Writer], names: str):
    """The writer goes on in the renamed file until it is told to reopen: late lines."""
    dated = ("dateext", "dateformat -%Y%m%d-%s") if names == "dateext" else ("nodateext",)
    logrotate = Logrotate(
        place, "app.log", "create 0644", *dated, *reopened_by_a_script(place, "app.log")
    )
    writer = write("app.log")
    live = place.start("app.log", "-i", "0.1", "-o", "merged.log", "--rotate-wait", "0.3")
    eventually(lambda: place.read())
    for _ in range(1 if dated[0] == "dateext" else ROTATIONS):
        writer.wait_for(100)
        logrotate.run()
        writer.wait_for(100)
        eventually(lambda: not (place / "app.log.reopen").exists())
    place.sees_lines(writer.stop())
    assert live.stop() == 0
    assert "lines may be missing" not in live.err


def test_create_where_the_writer_reopens_long_after(place: Place, write: Callable[..., Writer]):
    """Its renamed file is let go of meanwhile, and read on when late lines come."""
    logrotate = Logrotate(place, "app.log", "create 0644", "nodateext")
    writer = write("app.log")
    live = place.start("app.log", "-i", "0.1", "-o", "merged.log", "--rotate-wait", "0.1", "-v")
    eventually(lambda: place.read())
    writer.wait_for(100)
    with writer.pause:
        logrotate.run()
        live.says("no longer held open")
    writer.wait_for(100)
    late = len(writer.lines)
    eventually(lambda: place.read().count(b"\n") >= late)
    (place / "app.log.reopen").touch()
    eventually(lambda: not (place / "app.log.reopen").exists())
    writer.wait_for(100)
    place.sees_lines(writer.stop())
    assert live.stop() == 0


def test_copytruncate(place: Place, write: Callable[..., Writer]):
    """The writer pauses over the cut: what it wrote into the gap would be lost for anyone."""
    logrotate = Logrotate(place, "app.log", "copytruncate", "nodateext")
    writer = write("app.log")
    live = place.start("app.log", "-i", "0.1", "-o", "merged.log", "--rotate-wait", "0.3")
    eventually(lambda: place.read())
    for _ in range(ROTATIONS):
        writer.wait_for(100)
        with writer.pause:
            logrotate.run()
        writer.wait_for(20)
    place.sees_lines(writer.stop())
    assert live.stop() == 0
    assert "lines may be missing" not in live.err


def test_copytruncate_under_a_writer_that_does_not_append(
    place: Place, write: Callable[..., Writer]
):
    """It goes on at its old offset, behind a hole of NULs."""
    logrotate = Logrotate(place, "app.log", "copytruncate", "nodateext")
    writer = write("app.log", flags=0)
    live = place.start("app.log", "-i", "0.1", "-o", "merged.log")
    eventually(lambda: place.read())
    for _ in range(ROTATIONS):
        writer.wait_for(300)
        with writer.pause:
            logrotate.run()
        writer.wait_for(20)
    place.sees_lines(writer.stop())
    live.says("hole")
    assert live.stop() == 0


def test_several_logs_of_one_pattern(place: Place, write: Callable[..., Writer]):
    logrotate = Logrotate(
        place,
        "app*.log",
        *("create 0644", "nodateext", "sharedscripts", "postrotate"),
        *(f"touch '{place / name}.reopen'" for name in ("app1.log", "app2.log")),
        "endscript",
    )
    writers = [write("app1.log"), write("app2.log")]
    live = place.start("app*.log*", "-i", "0.1", "-o", "merged")
    eventually(lambda: place.read("merged"))
    for _ in range(ROTATIONS):
        for writer in writers:
            writer.wait_for(50)
        logrotate.run()
    place.sees_mixed(*[writer.stop() for writer in writers], name="merged")
    assert live.stop() == 0


@pytest.mark.parametrize("way", ["create 0644", "copytruncate"])
@pytest.mark.parametrize("more", ["nodateext", "compress", "delaycompress"])
def test_an_olddir(place: Place, write: Callable[..., Writer], way: str, more: str):
    """The rotated files go to another folder, which is named too; a run is missed as well.

    But where they are compressed at once: what a writer adds to a file that is deleted then,
    and held by nobody, is nowhere.
    """
    (place / "old").mkdir(mode=0o755)
    compress = ("compress",) if more == "delaycompress" else ()
    logrotate = Logrotate(
        place,
        "app.log",
        *(way, "nodateext", more, *compress, f"olddir {place / 'old'}"),
        *reopened_by_a_script(place, "app.log"),
    )
    writer = write("app.log")
    arguments = ("app*.log", "old/*", "-i", "0.1", "-o", "merged", "--rotate-wait", "0.3")
    live = place.start(*arguments)
    eventually(lambda: place.read("merged"))
    for rotation in range(ROTATIONS):
        writer.wait_for(100)
        with writer.pause:  # what is written between the copying and the cutting nobody has
            missed = rotation == 1 and (way, more) != ("create 0644", "compress")
            if missed:
                assert live.stop() == 0
            logrotate.run()
            if missed:
                live = place.start(*arguments)
        writer.wait_for(100)
        eventually(lambda: way == "copytruncate" or not (place / "app.log.reopen").exists())
    place.sees_lines(writer.stop(), "merged")
    assert live.stop() == 0
    assert "lines may be missing" not in live.err


@pytest.mark.parametrize("way", ["create 0640", "nocreate", "copytruncate"])
def test_logrotate_on_the_output(place: Place, write: Callable[..., Writer], way: str):
    """No signal is needed; the rotated outputs and the last one hold every line."""
    logrotate = Logrotate(place, "merged.log", way, "nodateext")
    writer = write("app.log")
    live = place.start("app.log", "-i", "0.1", "-o", "merged.log")
    eventually(lambda: place.read())
    for _ in range(ROTATIONS):
        writer.wait_for(100)
        with writer.pause:  # copytruncate loses what comes between its copy and its cut
            total = len(writer.lines)
            eventually(lambda total=total: merged_lines(place) >= total)
            logrotate.run()
        writer.wait_for(20)
    lines = writer.stop()
    eventually(lambda: merged_lines(place) >= len(lines))
    got = b"".join(place.read(name) for name in outputs(place))
    assert got.splitlines() == lines, live.err
    assert live.stop() == 0


def outputs(place: Place) -> list[str]:
    """merged.log.4, ... merged.log.1, merged.log: the oldest first."""
    suffixes = [p.name.rpartition(".")[2] for p in place.folder.glob("merged.log.*")]
    numbers = [int(suffix) for suffix in suffixes if suffix.isdigit()]
    return [*(f"merged.log.{n}" for n in sorted(numbers, reverse=True)), "merged.log"]


def merged_lines(place: Place) -> int:
    return sum(place.read(name).count(b"\n") for name in outputs(place))
