"""Lines in the order of their times: the real command, live and from a backlog."""

from __future__ import annotations

import asyncio
import datetime
import errno
import itertools
import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from helpers import eventually, fault, said

from tailmerge import run_fully_async
from tailmerge.system import System

if TYPE_CHECKING:
    from processes import Place

pytest_plugins = ["processes"]

START = datetime.datetime(2026, 11, 23, 12, 0, 0)


def stamp(seconds: float) -> str:
    return (START + datetime.timedelta(seconds=seconds)).isoformat(sep=" ", timespec="milliseconds")


def lines(name: str, *seconds: float) -> bytes:
    return "".join(f"{stamp(s)} {name} {s}\n" for s in seconds).encode()


def order(data: bytes) -> list[str]:
    """The last word of each line."""
    return [line.split()[-1].decode() for line in data.splitlines()]


def test_a_backlog_is_merged_by_time(place: Place) -> None:
    place.write("a.log", lines("a", 1, 4, 9))
    place.write("b.log", lines("b", 2, 3, 10))
    place.run("--once", "--sort", "a.log", "b.log", "-o", "merged.log")
    assert order(place.read()) == ["1", "2", "3", "4", "9", "10"]


def test_formats_may_differ_from_file_to_file(place: Place) -> None:
    place.write("a.log", b"2026-11-23T12:00:01Z a 1\n2026-11-23T12:00:04Z a 4\n")
    place.write("b.log", b'1.2.3.4 - - [23/Nov/2026:12:00:02 +0000] "GET /" b 2\n')
    place.write("c.log", b"Nov 23 12:00:03 host c 3\n")
    place.write("d.log", b'{"ts": 1795435200.5, "n": "d 0"}\n')
    names = [f"{name}.log" for name in "abcd"]
    ended = place.run("--once", "--sort", "--utc", *names, "-o", "x")
    assert ended.code == 0
    assert [line[-2:] for line in place.read("x").splitlines()] == [
        b'"}',
        b" 1",
        b" 2",
        b" 3",
        b" 4",
    ]


def test_lines_of_equal_times_keep_the_order_of_the_inputs(place: Place) -> None:
    place.write("a.log", lines("a", 1, 1, 2))
    place.write("b.log", lines("b", 1, 1, 2))
    place.run("--once", "-s", "b.log", "a.log", "-o", "merged.log")
    assert [line.split()[2] for line in place.read().splitlines()] == [*b"b b a a b a".split()]


def test_a_stack_trace_stays_with_its_line(place: Place) -> None:
    trace = b"Traceback (most recent call last):\n  File x\nValueError\n"
    place.write("a.log", lines("a", 1) + trace + lines("a", 3))
    place.write("b.log", lines("b", 0, 2))
    place.run("--once", "--sort", "a.log", "b.log", "-o", "merged.log")
    assert place.read() == lines("b", 0) + lines("a", 1) + trace + lines("b", 2) + lines("a", 3)


def test_a_step_back_within_a_file_changes_nothing_in_its_order(place: Place) -> None:
    place.write("a.log", lines("a", 5, 1, 6))
    place.write("b.log", lines("b", 2, 5.5))
    place.run("--once", "--sort", "a.log", "b.log", "-o", "merged.log")
    assert order(place.read()) == ["2", "5", "1", "5.5", "6"]


def test_seconds_since_the_boot_are_said_to_be_no_times(place: Place) -> None:
    place.write("a.log", b"[   12.345678] usb\n[   12.345679] usb\n")
    ended = place.run("--once", "--sort", "a.log", "-o", "merged.log")
    assert ended.err == (
        "tailmerge: a.log: its times count from a start, not from a date, merged as they come"
        " (--time-format FORMAT says what they look like)\n"
    )


def test_a_file_without_times_is_said_once_and_passes(place: Place) -> None:
    place.write("a.log", b"no\ntimes\n")
    place.write("b.log", lines("b", 1))
    ended = place.run("--once", "--sort", "a.log", "b.log", "-o", "merged.log")
    assert ended.err == (
        "tailmerge: a.log: no time recognised in its lines, merged as they come"
        " (--time-format FORMAT says what they look like)\n"
    )
    assert (ended.code, place.read()) == (0, b"no\ntimes\n" + lines("b", 1))


def test_a_long_beginning_without_times_does_not_spoil_the_order(place: Place) -> None:
    banner = b"a word of welcome, without any time in it\n" * 5_000
    place.write("a.log", banner + lines("a", 1, 3))
    place.write("b.log", lines("b", *range(2, 4_000, 2)))
    ended = place.run("--once", "--sort", "-q", "a.log", "b.log", "-o", "merged.log")
    wanted = banner + lines("a", 1) + lines("b", 2) + lines("a", 3)
    assert (ended.code, ended.err) == (0, "")
    assert place.read() == wanted + lines("b", *range(4, 4_000, 2))


def test_a_format_can_be_given(place: Place) -> None:
    place.write("a.log", b"at 23~11~2026 12h00m02 a 2\n")
    place.write("b.log", b"at 23~11~2026 12h00m01 b 1\n")
    given = ("--time-format", "%d~%m~%Y %Hh%Mm%S")
    place.run("--once", "--sort", *given, "a.log", "b.log", "-o", "merged.log")
    assert order(place.read()) == ["1", "2"]


def test_a_format_that_cannot_be_is_a_usage_error(place: Place) -> None:
    ended = place.run("--sort", "--time-format", "%", "a.log")
    assert ended.code == 2
    assert ended.err.startswith("tailmerge: ")
    assert "--time-format" in ended.err


def test_a_second_run_sorts_what_is_new(place: Place) -> None:
    place.write("a.log", lines("a", 1, 4))
    place.write("b.log", lines("b", 2))
    place.run("--once", "--sort", "a.log", "b.log", "-o", "merged.log")
    place.append("a.log", lines("a", 6))
    place.append("b.log", lines("b", 5))
    place.run("--once", "--sort", "a.log", "b.log", "-o", "merged.log")
    place.run("--once", "--sort", "a.log", "b.log", "-o", "merged.log")
    assert order(place.read()) == ["1", "2", "4", "5", "6"]


def test_rotated_generations_are_one_input(place: Place) -> None:
    place.write("a.log", lines("a", 1))
    place.run("--once", "--sort", "a.log", "b.log", "-o", "merged.log")
    place.append("a.log", lines("a", 2))
    (place / "a.log").rename(place / "a.log.1")
    place.write("a.log", lines("a", 4))
    place.write("b.log", lines("b", 3))
    place.run("--once", "--sort", "a.log", "b.log", "-o", "merged.log")
    assert order(place.read()) == ["1", "2", "3", "4"]


def test_standard_input_is_one_of_the_inputs(place: Place) -> None:
    place.write("a.log", lines("a", 1, 3))
    ended = place.run("--once", "--sort", "a.log", "-", input=lines("in", 2, 4))
    assert order(ended.out) == ["1", "2", "3", "4"]


def test_live_lines_wait_for_earlier_ones(place: Place) -> None:
    place.write("a.log", lines("a", 1))
    place.write("b.log", lines("b", 1))
    place.start("--sort", "--window", "3", "a.log", "b.log", "-o", "merged.log")
    place.append("a.log", lines("a", 7, 8))
    time.sleep(0.3)  # what a writer with a delay does
    place.append("b.log", lines("b", 5, 6, 9))
    place.append("a.log", lines("a", 10))
    eventually(lambda: len(place.read().splitlines()) == 8)
    assert order(place.read()) == ["1", "1", "5", "6", "7", "8", "9", "10"]


def test_what_waits_is_written_when_the_run_is_stopped(place: Place) -> None:
    place.write("a.log", lines("a", 2, 4, 5))
    place.write("b.log", lines("b", 3))
    place.write("c.log", b"no time: passes at once\n")
    names = ("a.log", "b.log", "c.log")
    live = place.start("--sort", "--window", "60", *names, "-o", "merged.log")
    place.settles("c.log")  # the others are read, and wait
    assert b"b 3" not in place.read()
    assert live.stop(signal.SIGTERM) == 0
    assert [word for word in order(place.read()) if word.isdigit()][-4:] == ["2", "3", "4", "5"]


def test_a_late_line_is_written_at_once_and_counted(place: Place) -> None:
    place.write("a.log", lines("a", 1))
    place.write("b.log", lines("b", 1))
    live = place.start("--sort", "--window", "0.1", "a.log", "b.log", "-o", "merged.log")
    place.append("a.log", lines("a", 9))
    eventually(lambda: place.read().endswith(lines("a", 9)))
    place.append("b.log", lines("b", 2, 3))
    eventually(lambda: place.read().endswith(lines("b", 2, 3)))
    assert live.stop(signal.SIGTERM) == 0
    assert "2 lines came later than --window waits" in live.err


async def see_merged(
    place: Place, handles: list[Any], wanted: bytes, system: System | None = None
) -> str:
    """Follow, by time, until this is merged; what was said."""
    stop, (words, report) = asyncio.Event(), said()
    options = {"sort": True, "window": 0.1, "stop": stop, "report": report, "system": system}
    merge = run_fully_async(handles, 0.01, place / "merged.log", **options)
    run = asyncio.create_task(merge)
    try:
        await asyncio.to_thread(place.sees, wanted)
    finally:
        stop.set()
        await run
    return "".join(words)


async def test_a_pipe_without_a_writer_holds_up_nobody(place: Place) -> None:
    """Only one that had a writer who said nothing was ever taken for read to its end."""
    os.mkfifo(place / "p")
    path = place.write("a.log", lines("a", 1))
    await see_merged(place, [path, place / "p"], lines("a", 1))


async def test_a_pipe_that_cannot_be_opened_holds_up_nobody(place: Place) -> None:
    class Bad(System):
        def open(self, path: str, *how: int) -> int:
            if path.endswith("/p"):
                raise fault(errno.EACCES)
            return super().open(path, *how)

    os.mkfifo(place / "p")
    path = place.write("a.log", lines("a", 1))
    words = await see_merged(place, [path, place / "p"], lines("a", 1), Bad())
    assert "permission denied" in words


async def test_a_handle_that_cannot_be_read_holds_up_nobody(place: Place) -> None:
    """A disk that fails: all others waited until it worked again."""
    path, other = place.write("bad.log", lines("bad", 1)), place.write("a.log", lines("a", 2))
    bad = os.stat(path)

    class Bad(System):
        def read_into(self, fd: int, view: memoryview, offset: int) -> int:
            if os.path.samestat(self.fstat(fd), bad):
                raise fault(errno.EIO)
            return super().read_into(fd, view, offset)

    with await asyncio.to_thread(open, path, "rb") as handle:
        words = await see_merged(place, [handle, other], lines("a", 2), Bad())
    assert "bad.log: input/output error" in words


class Writer(threading.Thread):
    """Appends lines whose times are theirs, each up to `jitter` seconds late."""

    def __init__(self, path: Path, number: int, seconds: float, jitter: float) -> None:
        super().__init__()
        self.path, self.number, self.seconds, self.jitter = path, number, seconds, jitter

    def run(self) -> None:
        chance = random.Random(self.number)
        end = time.time() + self.seconds
        count = 0
        with open(self.path, "ab", buffering=0) as file:
            while (now := time.time()) < end:
                text = datetime.datetime.fromtimestamp(now).isoformat(timespec="microseconds")
                time.sleep(chance.random() * self.jitter)
                file.write(f"{text} w{self.number} {count}\n".encode())
                count += 1


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_eight_late_writers_come_out_in_order(place: Place, kill: bool) -> None:
    names = [f"{number}.log" for number in range(8)]
    for name in names:
        place.write(name, b"")
    words = ("--sort", "--window", "3", *names, "-o", "merged.log")  # a disk may be busy for one
    live = place.start(*words)
    writers = [Writer(place / name, n, 3, 0.3) for n, name in enumerate(names)]
    for writer in writers:
        writer.start()
    if kill:
        time.sleep(1.5)
        live.kill()
        live = place.start(*words)
    for writer in writers:
        writer.join()
    total = sum(place.read(name).count(b"\n") for name in names)
    eventually(lambda: place.read().count(b"\n") >= total)
    live.stop(signal.SIGTERM)
    got = place.read().splitlines()
    assert sorted(got) == sorted(line for name in names for line in place.read(name).splitlines())
    times = [line.split()[0] for line in got]
    steps = sum(a > b for a, b in itertools.pairwise(times))
    assert steps <= (8 if kill else 0)  # a new run begins a new order
    assert os.path.getsize(place / "merged.log") == sum(len(line) + 1 for line in got)
