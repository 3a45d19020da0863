"""The output while a run writes to it: moved, deleted, cut, shared, full, or no file at all."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from helpers import eventually

if TYPE_CHECKING:
    from processes import Live, Place

pytest_plugins = ["processes"]


@pytest.fixture
def live(place: Place) -> Live:
    """A run that follows a.log, whose first line is merged."""
    place.write("a.log", b"1\n")
    return place.follow("a.log", expected=b"1\n")


# its name


def test_a_moved_output_is_opened_anew_and_said(place: Place, live: Live):
    (place / "merged.log").rename(place / "merged.log.1")
    place.append("a.log", b"2\n")
    place.sees(b"2\n")
    assert place.read("merged.log.1") == b"1\n"
    live.says("tailmerge: merged.log: moved or deleted, opened anew")
    assert live.stop() == 0


def test_a_deleted_output_is_opened_anew(place: Place, live: Live):
    (place / "merged.log").unlink()
    place.append("a.log", b"2\n")
    place.sees(b"2\n")
    live.says("opened anew")


def test_an_output_that_others_made_anew_is_appended_to(place: Place, live: Live):
    (place / "merged.log").rename(place / "merged.log.1")
    place.write("merged.log", b"torn")
    place.append("a.log", b"2\n")
    place.sees(b"torn\n2\n")


def test_a_moved_output_that_comes_back_is_appended_to(place: Place, live: Live):
    (place / "merged.log").rename(place / "elsewhere")
    place.append("a.log", b"2\n")
    place.sees(b"2\n")
    (place / "elsewhere").rename(place / "merged.log")
    place.append("a.log", b"3\n")
    place.sees(b"1\n3\n")


def test_a_truncated_output_is_appended_to_from_there_and_said(place: Place, live: Live):
    os.truncate(place / "merged.log", 0)
    place.append("a.log", b"2\n")
    place.sees(b"2\n")
    live.says("tailmerge: merged.log: truncated by someone else, appended to")


def test_an_output_that_is_a_link_is_what_the_link_leads_to(place: Place):
    (place / "one").mkdir()
    (place / "merged.log").symlink_to("one/real.log")
    place.write("a.log", b"1\n")
    place.follow("a.log", expected=b"1\n")
    assert (place / "merged.log").is_symlink()
    (place / "next").symlink_to("two.log")
    (place / "next").rename(place / "merged.log")
    place.append("a.log", b"2\n")
    place.sees(b"2\n", "two.log")
    assert place.read("one/real.log") == b"1\n"


def test_an_output_whose_folder_is_away_waits_for_it(place: Place):
    """Nothing is skipped; it is said once, and said when it is over."""
    (place / "out").mkdir()
    place.write("a.log", b"1\n")
    live = place.start("a.log", "-o", "out/merged.log")
    place.sees(b"1\n", "out/merged.log")
    (place / "out").rename(place / "away")
    place.append("a.log", b"2\n")
    live.says("out/merged.log: no such file, waiting; nothing is skipped")
    place.append("a.log", b"3\n")
    (place / "out").mkdir()
    place.sees(b"2\n3\n", "out/merged.log")
    live.says("out/merged.log: can be written again")
    assert live.err.count("waiting") == 1, live.err
    assert place.read("away/merged.log") == b"1\n"
    assert live.stop() == 0


def test_a_busy_output_that_is_moved_again_and_again_loses_nothing(place: Place):
    lines = [b"line %06d of many that come all at once" % i for i in range(150_000)]
    place.write("a.log", b"".join(line + b"\n" for line in lines))
    live = place.start("a.log", "-o", "merged.log")
    moved: list[str] = []
    deadline = time.monotonic() + 10
    while (
        sum(len(place.read(name)) for name in [*moved, "merged.log"])
        < (place / "a.log").stat().st_size
    ):
        assert time.monotonic() < deadline, place.said()
        if (place / "merged.log").exists():
            moved.append(f"merged.{len(moved)}")
            (place / "merged.log").rename(place / moved[-1])
    got = b"".join(place.read(name) for name in [*moved, "merged.log"])
    assert got == place.read("a.log")
    for name in moved:
        assert place.read(name)[-1:] in (b"", b"\n"), f"{name} ends inside a line"
    assert live.stop() == 0


# what others write


def test_a_torn_last_line_that_was_there_before_does_not_join_ours(place: Place):
    place.write("a.log", b"1\n")
    place.write("merged.log", b"whole\ntorn")
    done = place.run("--once", "a.log", "-o", "merged.log")
    assert (done.code, done.err, place.read()) == (0, "", b"whole\ntorn\n1\n")


def test_a_torn_last_line_in_standard_output_does_not_join_ours(place: Place):
    place.write("a.log", b"1\n")
    place.write("merged.log", b"torn")
    done = place.shell("$tailmerge --once a.log >> merged.log")
    assert (done.code, done.err, place.read()) == (0, "", b"torn\n1\n")


def test_an_output_is_not_touched_where_there_is_nothing_to_append(place: Place):
    place.write("a.log", b"")
    place.write("merged.log", b"torn")
    assert place.run("--once", "a.log", "-o", "merged.log").code == 0
    assert place.read() == b"torn"


def test_what_others_append_stays_and_costs_none_of_our_lines(place: Place, live: Live):
    expected = b"1\n"
    for i in range(5):
        place.append("merged.log", b"theirs %d\n" % i)
        place.append("a.log", b"ours %d\n" % i)
        expected += b"theirs %d\nours %d\n" % (i, i)
        place.sees(expected)


def test_a_line_that_others_left_torn_is_ended_before_ours(place: Place, live: Live):
    place.append("merged.log", b"theirs, torn")
    place.append("a.log", b"ours\n")
    place.sees(b"1\ntheirs, torn\nours\n")


def test_two_programs_append_at_once(place: Place, live: Live):
    ours = [b"ours %d" % i for i in range(2000)]
    theirs = [b"theirs %d" % i for i in range(2000)]
    with open(place / "merged.log", "ab", buffering=0) as other:
        for mine, their in zip(ours, theirs, strict=True):
            place.append("a.log", mine + b"\n")
            other.write(their + b"\n")
    place.sees_mixed([b"1", *ours], theirs)


# no file


def test_the_null_device_is_an_output(place: Place):
    place.write("a.log", b"1\n")
    done = place.run("--once", "a.log", "-o", "/dev/null")
    assert (done.code, done.out, done.err) == (0, b"", "")
    live = place.start("a.log", "b.log", "-o", "/dev/null")
    live.says("b.log")
    assert live.stop() == 0


def test_standard_output_by_its_device_s_name(place: Place):
    place.write("a.log", b"1\n")
    done = place.run("--once", "a.log", "-o", "/dev/stdout")
    assert (done.code, done.out, done.err) == (0, b"1\n", "")
    done = place.shell("$tailmerge --once --no-state a.log -o /dev/stdout > merged.log")
    assert (done.code, done.err, place.read()) == (0, "", b"1\n")


def test_no_state_is_left_in_the_folder_of_a_device(place: Place):
    """/dev/stdout may lead to a regular file; its name is a device's all the same."""
    place.write("a.log", b"1\n")
    state = Path("/dev/stdout.tailmerge")
    try:
        place.shell("$tailmerge --once a.log -o /dev/stdout > merged.log")
        assert not state.exists()
    finally:
        state.unlink(missing_ok=True)


def test_a_named_pipe_is_an_output(place: Place):
    os.mkfifo(place / "pipe")
    place.write("a.log", b"1\n")
    live = place.start("a.log", "-o", "pipe")
    with open(place / "pipe", "rb") as reader:
        assert reader.readline() == b"1\n"
        place.append("a.log", b"2\n")
        assert reader.readline() == b"2\n"
        assert live.stop() == 0, live.err
        assert reader.read() == b""


def test_a_named_pipe_that_nobody_reads_yet_is_waited_for(place: Place):
    os.mkfifo(place / "pipe")
    lines = b"".join(b"line %05d\n" % i for i in range(50_000))
    place.write("a.log", lines)
    live = place.start("--once", "a.log", "missing.log", "-o", "pipe")
    reader = place.start_other(["cat", "pipe"], stdout=-1)
    assert reader.communicate(timeout=10)[0] == lines
    assert live.ends() == 1, live.err


def test_a_stop_does_not_wait_for_a_named_pipe_that_nobody_reads(place: Place):
    os.mkfifo(place / "pipe")
    place.write("a.log", b"1\n")
    live = place.start("a.log", "missing.log", "-o", "pipe")
    live.says("missing.log")
    code = live.stop(seconds=3)  # 0 where the stop came before the line was read
    assert code == (3 if "not all that was read is written" in live.err else 0), live.err


# a disk that is full


def test_a_full_disk_is_said_and_a_stop_does_not_wait_for_it(place: Place):
    place.write("a.log", b"1\n")
    live = place.start("a.log", "-o", "/dev/full")
    live.says("tailmerge: /dev/full: no space left on the disk, waiting; nothing is skipped")
    assert live.stop(signal.SIGTERM, seconds=3) == 3
    assert live.err.count("waiting") == 1, live.err


def test_inputs_go_on_being_found_and_held_open_while_the_disk_is_full(place: Place):
    place.write("a.log", b"1\n")
    live = place.start("*.log", "-o", "/dev/full")
    live.says("waiting")
    place.append("new.log", b"new\n")
    live.says("new.log: appeared")
    files = f"/proc/{live.pid}/fd"
    eventually(
        lambda: any(
            os.path.realpath(f"{files}/{fd}") == str(place / "new.log") for fd in os.listdir(files)
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize("way", ["-o /dev/full", "> /dev/full"])
def test_once_gives_a_full_disk_ten_seconds(place: Place, way: str):
    place.write("a.log", b"1\n")
    began = time.monotonic()
    done = place.shell(f"$tailmerge --once a.log {way}")
    assert 9 <= time.monotonic() - began <= 15
    assert done.code == 3, done.err
    assert "no space left" in done.err


needs_mount = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="makes a small disk"
)


@needs_mount
def test_a_disk_that_is_full_for_a_while_costs_nothing(place: Place):
    """A small disk in a mount name space of its own; what fills it is removed."""
    (place / "small").mkdir()
    lines = b"".join(b"line %06d\n" % i for i in range(10_000))
    place.write("a.log", lines)
    mount = "mount -t tmpfs -o size=256k none small && head -c 229376 /dev/zero > small/filler"
    live = place.start(
        *("a.log", "-o", "small/merged.log"),
        under=["unshare", "--mount", "bash", "-c", f'{mount} && exec "$@"', "bash"],
    )
    live.says("small/merged.log: no space left on the disk, waiting")
    small = f"/proc/{live.pid}/root{place / 'small'}"
    os.unlink(f"{small}/filler")
    live.says("small/merged.log: can be written again")
    place.append("a.log", b"last\n")
    place.sees(lines + b"last\n", f"{small}/merged.log")
    assert live.stop() == 0
