"""Named pipes, standard input and process substitution: inputs that are read once."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
from helpers import eventually

if TYPE_CHECKING:
    from processes import Live, Place

pytest_plugins = ["processes"]


@pytest.fixture
def fifo(place: Place) -> Path:
    path = place / "pipe"
    os.mkfifo(path)
    return path


def open_writer(path: Path, live: Live) -> IO[bytes]:
    """A writer of a named pipe, which waits for its reader: it is there when that opens it."""
    opened: list[int] = []
    threading.Thread(target=lambda: opened.append(os.open(path, os.O_WRONLY)), daemon=True).start()

    def connect() -> list[int]:
        assert opened or live.process.poll() is None, live.err
        return opened

    return open(eventually(connect)[0], "wb", buffering=0)


# standard input


def test_standard_input_is_merged_and_over_at_its_end(place: Place):
    done = place.run("-", input=b"a\nb\n")
    assert (done.code, done.out, done.err) == (0, b"a\nb\n", "")


@pytest.mark.parametrize("mode", [["--once"], []], ids=["once", "following"])
def test_the_unfinished_last_line_of_standard_input_is_ended(place: Place, mode: list[str]):
    done = place.run(*mode, "-", input=b"a\nhalf")
    assert (done.code, done.out, done.err) == (0, b"a\nhalf\n", "")


def test_standard_input_that_is_a_file_is_read_to_its_end(place: Place):
    with open(place.write("a.log", b"a\nb"), "rb") as file:
        done = place.run("-", stdin=file)
    assert (done.code, done.out, done.err) == (0, b"a\nb\n", "")


def test_empty_standard_input_is_no_failure(place: Place):
    done = place.run("-", "-o", "merged.log", stdin=subprocess.DEVNULL)
    assert (done.code, done.out, done.err) == (0, b"", "")


def test_standard_input_named_twice_is_merged_once(place: Place):
    done = place.run("-", "-", input=b"a\n")
    assert (done.code, done.out) == (0, b"a\n"), done.err


def test_standard_input_by_its_device_s_name(place: Place):
    done = place.run("--once", "/dev/stdin", input=b"a\nhalf")
    assert (done.code, done.out, done.err) == (0, b"a\nhalf\n", "")


def test_standard_input_is_merged_with_files_as_it_comes(place: Place):
    place.write("a.log", b"a\n")
    live = place.start("-", "a.log", "-o", "merged.log", stdin=subprocess.PIPE)
    place.sees(b"a\n")
    stdin = live.process.stdin
    stdin.write(b"from the pipe\nhalf")
    stdin.flush()
    place.sees(b"a\nfrom the pipe\n")
    place.append("a.log", b"from the file\n")
    place.sees(b"a\nfrom the pipe\nfrom the file\n")
    stdin.close()
    place.sees(b"a\nfrom the pipe\nfrom the file\nhalf\n")
    place.append("a.log", b"still followed\n")
    place.sees(b"a\nfrom the pipe\nfrom the file\nhalf\nstill followed\n")
    assert live.stop() == 0


def test_once_reads_standard_input_to_its_end_in_the_order_given(place: Place):
    place.write("a.log", b"a\n")
    place.write("b.log", b"b\n")
    done = place.run("--once", "a.log", "-", "b.log", input=b"pipe\n")
    assert (done.code, done.out, done.err) == (0, b"a\npipe\nb\n", "")


def test_a_long_line_of_standard_input_passes_whole(place: Place):
    line = b"x" * 3_000_000
    done = place.run("-", input=b"short\n" + line + b"\n" + line)
    assert done.code == 0, done.err
    assert done.out == b"short\n" + line + b"\n" + line + b"\n"


def test_an_unfinished_line_of_standard_input_is_left_out_at_a_signal_and_said(place: Place):
    live = place.start("-", "-o", "merged.log", stdin=subprocess.PIPE)
    live.process.stdin.write(b"a\nhalf")
    live.process.stdin.flush()
    place.sees(b"a\n")
    assert live.stop() == 0
    assert place.read() == b"a\n"
    assert live.err == "tailmerge: -: unfinished last line left out\n"


def test_the_flags_of_standard_streams_are_left_alone(place: Place):
    """They are shared with the shell, whose next command would fail."""
    in_reading, in_writing = os.pipe()
    out_reading, out_writing = os.pipe()
    ends = (in_reading, in_writing, out_reading, out_writing)
    try:
        live = place.start("-", stdin=in_reading, stdout=out_writing)
        os.write(in_writing, b"a\n")
        assert os.read(out_reading, 10) == b"a\n"
        flags = [fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK for fd in ends]
        assert flags == [0, 0, 0, 0]
        live.stop()
        flags = [fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK for fd in ends]
        assert flags == [0, 0, 0, 0]
    finally:
        for fd in ends:
            os.close(fd)


def test_a_pipeline_of_two_tailmerges(place: Place):
    done = place.shell("printf 'a\\nb\\n' | $tailmerge - | $tailmerge - -o merged.log")
    assert (done.code, done.err, place.read()) == (0, "", b"a\nb\n")


# named pipes


def test_a_named_pipe_stays_open_for_its_next_writer(place: Place, fifo: Path):
    live = place.start("pipe", "-o", "merged.log")
    expected = b""
    for line in (b"first\n", b"second\n", b"third\n"):
        with open_writer(fifo, live) as writer:
            writer.write(line)
        expected += line
        place.sees(expected)
    assert live.stop() == 0, live.err


def test_a_named_pipe_with_several_writers_is_read_until_the_last_closes(place: Place, fifo: Path):
    live = place.start("pipe", "-o", "merged.log")
    with open_writer(fifo, live) as one:
        with open_writer(fifo, live) as two:
            two.write(b"two\n")
        one.write(b"one, not yet")
        place.sees(b"two\n")
        one.write(b" whole\n")
    place.sees(b"two\none, not yet whole\n")


def test_a_writer_s_unfinished_last_line_is_ended_when_it_closes(place: Place, fifo: Path):
    live = place.start("pipe", "-o", "merged.log")
    with open_writer(fifo, live) as writer:
        writer.write(b"a\nhalf")
        place.sees(b"a\n")
    place.sees(b"a\nhalf\n")
    with open_writer(fifo, live) as writer:
        writer.write(b"next\n")
    place.sees(b"a\nhalf\nnext\n")


def test_halves_from_two_named_pipes_are_never_inside_each_other(place: Place, fifo: Path):
    os.mkfifo(place / "other")
    live = place.start("pipe", "other", "-o", "merged.log")
    with open_writer(fifo, live) as one, open_writer(place / "other", live) as two:
        one.write(b"one's first half, ")
        two.write(b"two's first half, ")
        one.write(b"one's second\n")
        place.sees(b"one's first half, one's second\n")
        two.write(b"two's second\n")
        place.sees(b"one's first half, one's second\ntwo's first half, two's second\n")


def test_a_long_line_of_a_named_pipe_passes_whole(place: Place, fifo: Path):
    place.write("a.log", b"a\n")
    live = place.follow("pipe", "a.log", expected=b"a\n")
    line = b"x" * 1_000_000
    with open_writer(fifo, live) as writer:
        view = memoryview(line)
        while view:
            view = view[writer.write(view) :]
        place.append("a.log", b"b\n")
        place.sees(b"a\nb\n")
        writer.write(b"\n")
        place.sees(b"a\nb\n" + line + b"\n")


def test_a_busy_named_pipe_is_merged_in_order(place: Place, fifo: Path):
    lines = b"".join(b"line %06d\n" % i for i in range(100_000))
    place.write("lines", lines)
    live = place.start("pipe", "-o", "merged.log")
    place.start_other(["bash", "-c", "cat lines > pipe"])
    place.sees(lines)
    assert live.stop() == 0


def test_once_reads_a_named_pipe_until_its_present_writers_close(place: Place, fifo: Path):
    live = place.start("--once", "pipe", "-o", "merged.log")
    with open_writer(fifo, live) as writer:
        writer.write(b"a\n")
        place.sees(b"a\n")
        writer.write(b"b\nhalf")
    assert live.ends() == 0, live.err
    assert place.read() == b"a\nb\nhalf\n"


def test_once_takes_a_writer_that_waited_for_a_reader(place: Place, fifo: Path):
    writer = place.start_other(["bash", "-c", "echo waited > pipe"])
    eventually(lambda: "fifo" in Path(f"/proc/{writer.pid}/wchan").read_text() or "0", 1)
    done = place.run("--once", "pipe")
    if done.out == b"":  # the shell had not come to its open yet
        done = place.run("--once", "pipe")
    assert (done.code, done.out, done.err) == (0, b"waited\n", "")


def test_once_does_not_wait_for_a_writer_that_never_comes(place: Place, fifo: Path):
    place.write("a.log", b"a\n")
    done = place.run("--once", "pipe", "a.log", timeout=5)
    assert (done.code, done.out, done.err) == (0, b"a\n", "")


def test_a_named_pipe_with_two_names_is_read_once(place: Place, fifo: Path):
    (place / "link").symlink_to("pipe")
    live = place.start("pipe", "link", "-o", "merged.log")
    lines = b"".join(b"%d\n" % i for i in range(1000))
    with open_writer(fifo, live) as writer:
        writer.write(lines)
    place.sees(lines)


def test_a_named_pipe_is_found_by_a_pattern_and_when_it_appears(place: Place, fifo: Path):
    live = place.start("pip*", "-o", "merged.log")
    with open_writer(fifo, live) as writer:
        writer.write(b"a\n")
    place.sees(b"a\n")
    os.mkfifo(place / "pipe.new")
    with open_writer(place / "pipe.new", live) as writer:
        writer.write(b"b\n")
    place.sees(b"a\nb\n")


def test_an_unfinished_line_of_a_named_pipe_is_left_out_at_a_signal(place: Place, fifo: Path):
    live = place.start("pipe", "-o", "merged.log")
    with open_writer(fifo, live) as writer:
        writer.write(b"a\nhalf")
        place.sees(b"a\n")
        assert live.stop(signal.SIGTERM) == 0
    assert place.read() == b"a\n"
    assert live.err == "tailmerge: pipe: unfinished last line left out\n"


# process substitution


@pytest.mark.parametrize("mode", ["--once", ""], ids=["once", "following"])
def test_process_substitution_is_read_to_its_end(place: Place, mode: str):
    done = place.shell(f"$tailmerge {mode} <(printf 'a\\nhalf') <(sleep 0.1; echo b)", timeout=10)
    assert (done.code, done.err) == (0, "")
    assert sorted(done.out.splitlines()) == [b"a", b"b", b"half"]


def test_process_substitutions_that_stall_do_not_hold_up_each_other(place: Place):
    os.mkfifo(place / "go")
    script = "exec $tailmerge -o merged.log <(read < go; echo late) <(echo early) <(echo soon)"
    shell = place.start_other(["bash", "-c", script], env=place.environment())
    eventually(lambda: sorted(place.read().splitlines()) == [b"early", b"soon"])
    (place / "go").write_bytes(b"\n")
    assert shell.wait(10) == 0
    assert sorted(place.read().splitlines()) == [b"early", b"late", b"soon"]


def test_a_decompressed_log_and_a_live_one(place: Place):
    """The README's way with what is not a log file: any command's output is an input."""
    place.write("a.log", b"a\n")
    done = place.shell("$tailmerge --once <(printf 'old\\n' | gzip | zcat) a.log")
    assert (done.code, done.out, done.err) == (0, b"old\na\n", "")
