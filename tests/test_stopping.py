"""How a run ends: by a signal, by itself, and when nobody reads any more.

Each way when idle and when busy, within a moment, with the contract's exit code.
"""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
from helpers import eventually

if TYPE_CHECKING:
    from processes import Live, Place

pytest_plugins = ["processes"]

AT_ONCE = 3
"""Seconds: "within a second" on a loaded machine."""

STOPS = {signal.SIGTERM: 0, signal.SIGHUP: 0, signal.SIGINT: -signal.SIGINT}

BACKLOG = b"".join(b"line %07d of a backlog that takes a while\n" % i for i in range(200_000))


def caught(pid: int) -> set[int]:
    """The signals that this process has handlers for."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    [mask] = [int(line.split()[1], 16) for line in status.splitlines() if "SigCgt" in line]
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


def ends_at_once(live: Live, which: int) -> int:
    """Send a signal; its end must come within a moment."""
    return live.stop(which, AT_ONCE)


def open_both_ends(path: Path) -> IO[bytes]:
    """A writer of a named pipe that need not wait for its reader."""
    return open(os.open(path, os.O_RDWR), "wb", buffering=0)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe; both ends are closed when the test is over."""
    reading, writing = os.pipe()
    with open(reading, "rb"), open(writing, "wb"):
        yield reading, writing


# signals


@pytest.mark.parametrize("which", STOPS, ids=lambda s: s.name)
def test_a_signal_ends_an_idle_run(place: Place, which: signal.Signals):
    place.write("a.log", b"a\n")
    live = place.follow("a.log", expected=b"a\n")
    assert ends_at_once(live, which) == STOPS[which]
    assert live.err == ""


@pytest.mark.parametrize("which", STOPS, ids=lambda s: s.name)
def test_a_signal_ends_a_busy_run_between_two_lines(place: Place, which: signal.Signals):
    place.write("a.log", BACKLOG)
    live = place.start("a.log", "-o", "merged.log")
    eventually(lambda: place.read() != b"")
    assert ends_at_once(live, which) == STOPS[which]
    got = place.read()
    assert BACKLOG.startswith(got)
    assert got.endswith(b"\n")
    assert live.err == ""


@pytest.mark.parametrize("which", STOPS, ids=lambda s: s.name)
def test_a_signal_ends_a_one_shot_run_that_waits_for_its_pipe(place: Place, which: signal.Signals):
    os.mkfifo(place / "pipe")
    place.write("a.log", b"a\n")
    with open_both_ends(place / "pipe"):  # a writer that never writes
        live = place.start("--once", "a.log", "pipe", "-o", "merged.log")
        place.sees(b"a\n")
        assert ends_at_once(live, which) == STOPS[which]


@pytest.mark.parametrize("inputs", [["-"], ["pipe"], ["missing.log"], ["*.none"]], ids=str)
def test_a_signal_ends_a_run_that_waits_for_its_input(place: Place, inputs: list[str]):
    os.mkfifo(place / "pipe")
    place.write("a.log", b"a\n")
    reading, writing = os.pipe()
    with open(reading, "rb"), open(writing, "wb"):
        live = place.follow("a.log", *inputs, expected=b"a\n", stdin=reading)
        assert ends_at_once(live, signal.SIGTERM) == 0, live.err


def test_what_was_written_before_a_signal_is_merged(place: Place):
    """The interval is long: the signal must not wait for the next look, nor skip it."""
    place.write("a.log", b"a\n")
    live = place.follow("a.log", expected=b"a\n")
    for i in range(5):
        place.append("a.log", b"%d\n" % i)
        place.sees(b"a\n" + b"".join(b"%d\n" % j for j in range(i + 1)))
    assert ends_at_once(live, signal.SIGTERM) == 0
    place.sees(b"a\n0\n1\n2\n3\n4\n")


def stuck(place: Place, pipe: tuple[int, int]) -> Live:
    """A run that has more to write than its pipe takes, and whose reader has stopped."""
    reading, writing = pipe
    place.write("a.log", BACKLOG)
    live = place.start("a.log", stdout=writing)
    assert os.read(reading, 10) == BACKLOG[:10]
    return live


def test_a_second_signal_ends_it_at_once(place: Place, pipe: tuple[int, int]):
    """The first one waits a moment for a reader that does not read."""
    live = stuck(place, pipe)
    live.process.send_signal(signal.SIGTERM)
    eventually(lambda: live.process.poll() is not None or signal.SIGTERM not in caught(live.pid))
    assert ends_at_once(live, signal.SIGTERM) == -signal.SIGTERM


def test_a_hangup_that_nohup_ignores_stays_ignored(place: Place):
    place.write("a.log", b"a\n")
    live = place.follow("a.log", expected=b"a\n", under=["nohup"])
    live.process.send_signal(signal.SIGHUP)
    place.append("a.log", b"b\n")
    place.sees(b"a\nb\n")
    assert ends_at_once(live, signal.SIGTERM) == 0


def test_an_interrupt_that_a_script_ignores_stays_ignored(place: Place):
    """`tailmerge a.log &` in a script without job control."""
    place.write("a.log", b"a\n")
    live = place.follow(
        "a.log", expected=b"a\n", under=["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]
    )
    live.process.send_signal(signal.SIGINT)
    place.append("a.log", b"b\n")
    place.sees(b"a\nb\n")
    assert ends_at_once(live, signal.SIGTERM) == 0


def test_a_shell_sees_130_after_an_interrupt(place: Place):
    place.write("a.log", b"a\n")
    done = place.shell(
        "set -m; $tailmerge a.log -o merged.log & "
        "until [ -s merged.log ]; do sleep 0.01; done; kill -INT $!; wait $!; echo $?"
    )
    assert done.out == b"130\n", done


def test_an_unfinished_last_line_is_left_out_at_a_signal_and_said(place: Place):
    place.write("a.log", b"a\nhalf")
    place.write("b.log", b"")
    live = place.start("a.log", "b.log", "-o", "merged.log", "--no-state")
    place.settles("b.log")
    assert ends_at_once(live, signal.SIGTERM) == 0
    assert place.without_marks() == b"a\n"
    assert live.err == "tailmerge: a.log: unfinished last line left out\n"


def test_nothing_is_said_at_a_signal_where_every_line_is_finished(place: Place):
    place.write("a.log", b"a\nhalf")
    live = place.follow("a.log", expected=b"a\n")
    place.append("a.log", b", whole\n")
    place.sees(b"a\nhalf, whole\n")
    assert ends_at_once(live, signal.SIGTERM) == 0
    assert live.err == ""


# --pid


def test_pid_ends_when_the_process_is_gone_and_its_last_lines_are_merged(place: Place):
    place.write("a.log", b"a\n")
    script = "read go; for i in 1 2 3 4 5; do echo $i >> a.log; done; printf half >> a.log"
    other = place.start_other(["bash", "-c", script], stdin=subprocess.PIPE)
    live = place.follow("a.log", "--no-state", "--pid", str(other.pid), expected=b"a\n")
    other.stdin.close()  # it is never waited for: a zombie is gone, too
    assert live.ends(AT_ONCE) == 0, live.err
    assert place.read() == b"a\n1\n2\n3\n4\n5\nhalf\n"
    assert live.err == ""


def test_pid_merges_what_is_there_where_the_process_is_gone_already(place: Place):
    other = place.start_other(["true"])
    other.wait()
    place.write("a.log", b"a\n")
    done = place.run("a.log", "--pid", str(other.pid))
    assert (done.code, done.out, done.err) == (0, b"a\n", "")


def test_pid_follows_the_last_rotation_of_the_process(place: Place):
    """The name changes between the last look and the end: the new file is read, too."""
    place.write("a.log", b"a\n")
    script = "read go; echo old >> a.log; mv a.log a.log.1; echo new > a.log"
    other = place.start_other(["bash", "-c", script], stdin=subprocess.PIPE)
    live = place.follow("a.log", "--pid", str(other.pid), "-i", "0.3", expected=b"a\n")
    other.stdin.close()
    assert live.ends(AT_ONCE) == 0, live.err
    assert place.read() == b"a\nold\nnew\n"


def test_pid_finds_a_new_match_of_a_pattern_before_it_ends(place: Place):
    place.write("a.log", b"a\n")
    script = "read go; echo new > new.log"
    other = place.start_other(["bash", "-c", script], stdin=subprocess.PIPE)
    live = place.start("*.log", "-o", "merged", "--pid", str(other.pid))
    place.sees(b"a\n", "merged")
    other.stdin.close()
    assert live.ends(AT_ONCE) == 0, live.err
    assert place.read("merged") == b"a\nnew\n"


@pytest.mark.parametrize("way", [["--pid"], ["--until-idle", "0"]], ids=lambda way: way[0])
def test_what_is_in_standard_input_is_merged_before_the_end(place: Place, way: list[str]):
    """The process is gone already, its last lines are there to be read."""
    other = place.start_other(["true"])
    other.wait()
    if way == ["--pid"]:
        way = ["--pid", str(other.pid)]
    with open(place.write("lines", BACKLOG), "rb") as lines:
        done = place.run("-", "-o", "merged.log", *way, stdin=lines)
    assert (done.code, done.err) == (0, "")
    assert place.read() == BACKLOG, f"{len(place.read())} of {len(BACKLOG)} bytes came"


def test_pid_takes_what_is_in_the_pipe_of_standard_input(place: Place, pipe: tuple[int, int]):
    """Another writer lives on, so that there is no end of the pipe to wait for."""
    reading, writing = pipe
    lines = BACKLOG[:50_000]
    os.write(writing, lines)
    other = place.start_other(["true"])
    other.wait()
    live = place.start(
        "-", "-o", "merged.log", "--no-state", "--pid", str(other.pid), stdin=reading
    )
    assert live.ends(AT_ONCE) == 0, live.err
    assert place.read() == lines + b"\n", f"{len(place.read())} of {len(lines)} bytes came"


def test_pid_takes_what_is_in_a_named_pipe(place: Place):
    os.mkfifo(place / "pipe")
    other = place.start_other(["true"])
    other.wait()
    with open_both_ends(place / "pipe") as writer:
        writer.write(b"a\nb\n")
        live = place.start("pipe", "-o", "merged.log", "--pid", str(other.pid))
        assert live.ends(AT_ONCE) == 0, live.err
    assert place.read() == b"a\nb\n"


# --until-idle, --once


def test_until_idle_ends_when_nothing_new_came_for_so_long(place: Place):
    place.write("a.log", b"a\nhalf")
    began = time.monotonic()
    done = place.run("a.log", "--until-idle", "0.5")
    assert time.monotonic() - began >= 0.5
    assert (done.code, done.out, done.err) == (0, b"a\nhalf\n", "")


def test_until_idle_begins_again_with_each_new_line(place: Place):
    place.write("a.log", b"a\n")
    live = place.follow("a.log", "--until-idle", "0.5", expected=b"a\n")
    began = time.monotonic()
    expected = b"a\n"
    while time.monotonic() - began < 0.8:
        place.append("a.log", b"more\n")
        expected += b"more\n"
        place.sees(expected)
    assert live.ends(AT_ONCE) == 0, live.err


def test_until_idle_waits_for_no_input(place: Place, pipe: tuple[int, int]):
    os.mkfifo(place / "pipe")
    done = place.run("*.none", "pipe", "-", "--until-idle", "0.1", stdin=pipe[0], timeout=AT_ONCE)
    assert (done.code, done.out) == (0, b""), done.err


def test_once_reads_each_input_up_to_the_size_it_had(place: Place, pipe: tuple[int, int]):
    """A log that grows faster than it is read does not keep a one-shot run."""
    reading, writing = pipe
    place.write("a.log", BACKLOG)
    place.write("b.log", b"b\n")
    live = place.start("--once", "a.log", "b.log", stdout=writing)
    got = os.read(reading, 10)  # it has looked, and is stuck in the full pipe
    place.append("a.log", b"too late\n")
    place.append("b.log", b"too late\n")
    expected = BACKLOG + b"b\n"
    while len(got) < len(expected):
        got += os.read(reading, 1 << 20)
    assert live.ends(AT_ONCE) == 0, live.err
    os.set_blocking(reading, False)
    with pytest.raises(BlockingIOError):
        os.read(reading, 1)
    assert got == expected


def test_once_writes_unfinished_last_lines(place: Place):
    place.write("a.log", b"a\nhalf")
    place.write("b.log", b"b")
    done = place.run("--once", "a.log", "b.log")
    assert (done.code, done.out, done.err) == (0, b"a\nhalf\nb\n", "")


def test_following_ends_by_itself_when_every_input_is_over(place: Place):
    done = place.run("-", input=b"a\nb", timeout=AT_ONCE)
    assert (done.code, done.out, done.err) == (0, b"a\nb\n", "")


# nobody reads


def test_a_reader_that_goes_ends_an_idle_run_quietly(place: Place):
    place.write("a.log", b"a\n")
    live = place.start("a.log", stdout=subprocess.PIPE)
    assert live.process.stdout.readline() == b"a\n"
    live.process.stdout.close()
    assert live.ends(AT_ONCE) == -signal.SIGPIPE, live.err
    assert live.err == ""


@pytest.mark.parametrize("mode", [["--once"], []], ids=["once", "following"])
def test_a_reader_that_goes_ends_a_busy_run_quietly(place: Place, mode: list[str]):
    place.write("a.log", BACKLOG)
    live = place.start(*mode, "a.log", stdout=subprocess.PIPE)
    assert live.process.stdout.read(100) == BACKLOG[:100]
    live.process.stdout.close()
    assert live.ends(AT_ONCE) == -signal.SIGPIPE, live.err
    assert live.err == ""


def test_a_reader_that_goes_ends_a_run_that_waits_for_standard_input(
    place: Place, pipe: tuple[int, int]
):
    reading, writing = pipe
    live = place.start("-", stdin=reading, stdout=subprocess.PIPE)
    os.write(writing, b"a\n")
    assert live.process.stdout.readline() == b"a\n"
    live.process.stdout.close()
    assert live.ends(AT_ONCE) == -signal.SIGPIPE, live.err
    assert live.err == ""


def test_a_reader_that_goes_ends_a_run_into_a_socket(place: Place):
    place.write("a.log", BACKLOG)
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            live = place.start("a.log", stdout=theirs.fileno())
        assert ours.recv(100)
    assert live.ends(AT_ONCE) == -signal.SIGPIPE, live.err
    assert live.err == ""


def test_a_shell_sees_141_after_its_reader_went(place: Place):
    place.write("a.log", BACKLOG)
    done = place.shell("$tailmerge a.log | head -1; echo ${PIPESTATUS[0]}", timeout=AT_ONCE * 2)
    assert (done.out, done.err) == (BACKLOG[: BACKLOG.index(b"\n") + 1] + b"141\n", "")


def test_a_reader_that_had_gone_before_the_first_line_is_no_news(place: Place):
    place.write("a.log", BACKLOG)
    for _ in range(5):  # which of two ways finds it out first is chance
        live = place.start("a.log", "-", stdout=subprocess.PIPE)
        live.process.stdout.close()
        assert live.ends(AT_ONCE) == -signal.SIGPIPE, live.err
        assert live.err == ""


def test_a_reader_that_goes_is_exit_3_where_its_signal_does_not_kill(place: Place):
    """Blocked: one that was ignored cannot be told, Python itself ignores it at its start."""
    place.write("a.log", BACKLOG)
    block = (
        "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPIPE]);"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    under = [sys.executable, "-c", block]
    live = place.start("a.log", stdout=subprocess.PIPE, under=under)
    live.process.stdout.close()
    assert live.ends(AT_ONCE) == 3, live.err
    assert live.err == ""


def test_a_stop_does_not_wait_for_a_reader_that_does_not_read(place: Place, pipe: tuple[int, int]):
    live = stuck(place, pipe)
    assert ends_at_once(live, signal.SIGTERM) == 3, live.err
    assert live.err.count("\n") == 1, live.err


def test_a_stop_does_not_wait_for_a_terminal_that_is_held(place: Place):
    """Ctrl-S, or a terminal program that hangs: a write to it blocks."""
    place.write("a.log", BACKLOG)
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0), open(theirs, "wb", buffering=0):
        live = place.start("a.log", stdout=theirs, start_new_session=True)
        assert os.read(ours, 10)  # less than it wants to write: it is held from now on
        code = ends_at_once(live, signal.SIGTERM)
    assert code in (0, 3), live.err


FULL = """
import asyncio, os, signal
from tailmerge.cli import _listen

async def main():
    stop = asyncio.Event()
    _listen(stop, lambda: None)
    for _ in range(5000):
        asyncio.get_running_loop().call_soon_threadsafe(int)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(stop.wait(), 5)

asyncio.run(main())
"""


def test_a_signal_that_comes_while_many_threads_wake_the_loop_is_not_lost() -> None:
    """Old symptom: the pipe that wakes the loop was full, and the run went on for ever."""
    done = subprocess.run([sys.executable, "-c", FULL], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_interrupt_while_modules_are_imported_says_nothing() -> None:
    program = """
import signal, sys
class Interrupting:
    def find_spec(self, name, path, target=None):
        if name == "tailmerge.cli":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
from tailmerge.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")
