"""Rotation of every kind under a running command: each line once, whole, in order."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from helpers import eventually, hide_inotify

if TYPE_CHECKING:
    from processes import Live, Place

pytest_plugins = ["processes"]

SOON = ("--rotate-wait", "0.3")
"""A renamed or deleted file is let go of after 0.3 s of silence."""


class Log:
    """A log file with a writer that keeps it open, and all lines that it wrote."""

    def __init__(self, place: Place, name: str, flags: int = os.O_APPEND) -> None:
        self.place = place
        self.name = name
        self.lines: list[bytes] = []
        self._flags = flags | os.O_CREAT | os.O_WRONLY
        self._fd = os.open(place / name, self._flags, 0o644)

    @property
    def data(self) -> bytes:
        return b"".join(self.lines)

    def write(self, count: int = 1) -> None:
        """Write the next numbered lines, each in a write of its own."""
        for _ in range(count):
            self.lines.append(b"%s %d\n" % (self.name.encode(), len(self.lines)))
            os.write(self._fd, self.lines[-1])

    def write_half(self) -> bytes:
        """Write the first half of the next line and return the second."""
        line = b"%s %d in two halves\n" % (self.name.encode(), len(self.lines))
        os.write(self._fd, line[:-10])
        return line[-10:]

    def finish(self, half: bytes) -> None:
        os.write(self._fd, half)
        self.lines.append(b"%s %d in two halves\n" % (self.name.encode(), len(self.lines)))

    def reopen(self) -> None:
        os.close(self._fd)
        self._fd = os.open(self.place / self.name, self._flags, 0o644)

    def rename(self, *names: str) -> None:
        """a.log -> a.log.1 -> a.log.2, as logrotate does; the writer keeps its file."""
        for old, new in reversed(list(zip([self.name, *names], names, strict=False))):
            if (self.place / old).exists():
                (self.place / old).rename(self.place / new)

    def copy_and_truncate(self, *names: str) -> None:
        """copytruncate, while the writer pauses."""
        self.rename(*names)
        (self.place / names[0]).rename(self.place / self.name)
        shutil.copy(self.place / self.name, self.place / names[0])
        os.truncate(self.place / self.name, 0)

    def close(self) -> None:
        os.close(self._fd)


@pytest.fixture(autouse=True, params=["inotify", "polling"])
def _way_of_watching(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every story is told in both ways; without the extra they are the same."""
    if request.param == "polling":
        hide_inotify(tmp_path_factory.mktemp("modules"), monkeypatch)


@pytest.fixture
def log(place: Place) -> Iterator[Log]:
    log = Log(place, "a.log")
    log.write(3)
    yield log
    log.close()


def follow(place: Place, log: Log, *args: str) -> Live:
    """Follow a log, and wait until it was looked at more than once."""
    live = place.follow(log.name, *args, expected=log.data)
    log.write()
    place.sees(log.data)
    return live


# rename and create


def test_rename_and_create(place: Place, log: Log):
    live = place.follow("a.log", expected=log.data)
    for _ in range(3):
        log.rename("a.log.1", "a.log.2", "a.log.3", "a.log.4", "a.log.5")
        log.write()  # late, into the renamed file
        log.reopen()
        log.write(2)
        place.sees(log.data)
    assert live.stop() == 0
    assert "lines may be missing" not in live.err


def test_several_rotations_between_two_looks(place: Place, log: Log):
    live = place.follow("a.log", "-i", "0.5", expected=log.data)
    for _ in range(4):
        log.write(2)
        log.rename("a.log.1", "a.log.2", "a.log.3", "a.log.4")
        log.reopen()
        log.write(2)
    place.sees(log.data)
    assert live.stop() == 0


@pytest.mark.parametrize(
    "new",
    [
        "a.log-20261123",
        "a.log-20261123-1795450000",
        "a.log.2026-11-23",
        "a.1.log",
        "a-20261123.log",
    ],
)
def test_every_form_of_a_rotated_name(place: Place, log: Log, new: str):
    place.follow("a.log", "-i", "0.5", expected=log.data)
    log.write()
    (place / "a.log").rename(place / new)
    log.write()
    log.reopen()
    log.write()
    place.sees(log.data)


@pytest.mark.parametrize("new", ["a.log.1", "a-20261123.log", "a.1.log"])
def test_a_rotated_file_that_the_pattern_matches_too_is_not_merged_again(
    place: Place, log: Log, new: str
):
    live = place.follow("a*log*", expected=log.data)
    (place / "a.log").rename(place / new)
    log.write()
    log.reopen()
    log.write()
    place.sees(log.data)
    place.append("a_other.log", b"a pattern's new match\n")
    place.sees(log.data + b"a pattern's new match\n")
    log.write()
    place.sees(log.data[: -len(log.lines[-1])] + b"a pattern's new match\n" + log.lines[-1])
    assert live.stop() == 0, live.err


def test_a_rotated_file_from_before_is_passed_over_unless_it_is_named(place: Place, log: Log):
    place.write("a.log.1", b"before\n")
    assert place.run("--once", "a.log").out == log.data
    assert place.run("--once", "a.log", "a.log.1").out == b"before\n" + log.data
    place.write("a.log.2", b"long before\n")
    assert place.run("--once", "a.log*").out == b"long before\nbefore\n" + log.data


def test_late_lines_within_the_rotate_wait(place: Place, log: Log):
    place.follow("a.log", "--rotate-wait", "60", expected=log.data)
    log.rename("a.log.1")
    place.append("a.log", b"new\n")
    place.sees(log.data + b"new\n")
    before = log.data
    log.write()
    place.sees(before + b"new\n" + log.lines[-1])


def test_late_lines_after_the_rotate_wait(place: Place, log: Log):
    """The file was let go of: its late lines are merged from where it was left."""
    live = follow(place, log, *SOON, "-v")
    log.rename("a.log.1")
    live.says("a.log: quiet since its rotation, no longer held open")
    place.append("a.log", b"new\n")
    place.sees(log.data + b"new\n")
    before = log.data
    log.write()
    place.sees(before + b"new\n" + log.lines[-1])


def test_a_line_s_second_half_after_the_rotate_wait(place: Place, log: Log):
    live = follow(place, log, *SOON, "-v")
    half = log.write_half()
    before = log.data
    log.rename("a.log.1")
    live.says("no longer held open")
    log.finish(half)
    place.sees(before + log.lines[-1])


def test_a_half_line_in_a_rotated_file_is_written_by_a_run_that_ends_by_itself(
    place: Place, log: Log
):
    other = place.start_other(["sleep", "60"])
    live = follow(place, log, *SOON, "-v", "--no-state", "--pid", str(other.pid))
    half = log.write_half()
    log.rename("a.log.1")
    live.says("no longer held open")
    other.kill()
    assert live.ends() == 0, live.err
    log.finish(half)
    assert place.read() == log.data[:-10] + b"\n"


def test_a_half_line_in_a_rotated_file_is_said_at_a_signal(place: Place, log: Log):
    live = follow(place, log, *SOON, "-v", "--no-state")
    log.write_half()
    log.rename("a.log.1")
    live.says("no longer held open")
    assert live.stop() == 0
    assert "a.log: unfinished last line left out" in live.err


def test_a_quiet_half_line_of_an_older_rotated_file_is_ended(place: Place, log: Log):
    follow(place, log, *SOON)
    place.append("a.log", b"half")
    log.rename("a.log.1")
    place.append("a.log", b"second\n")
    place.sees(log.data + b"second\n")
    log.rename("a.log.1", "a.log.2")
    place.append("a.log", b"third\n")
    got = {log.data + b"second\nthird\nhalf\n", log.data + b"second\nhalf\nthird\n"}
    eventually(lambda: place.read() in got)


def test_a_renamed_file_that_comes_back_is_the_same_file(place: Place, log: Log):
    follow(place, log, *SOON, "-v")
    (place / "a.log").rename(place / "a.log.1")
    log.write()
    place.sees(log.data)
    (place / "a.log.1").rename(place / "a.log")
    log.write()
    place.sees(log.data)


@pytest.mark.parametrize("way", ["renamed", "deleted"])
def test_a_file_that_goes_right_after_it_was_opened(place: Place, log: Log, way: str):
    """Between the first look and the first sweep; the name stays away."""
    live = place.follow("a.log", "-i", "0.5", expected=log.data)
    if way == "renamed":
        log.rename("a.log.1")
    else:
        (place / "a.log").unlink()
    log.write()
    place.sees(log.data)
    live.says("a.log: gone")


# copytruncate


def test_copy_and_truncate(place: Place, log: Log):
    live = place.follow("a.log", expected=log.data)
    for _ in range(3):
        log.write(2)  # perhaps not read yet: then it is taken from the copy
        log.copy_and_truncate("a.log.1", "a.log.2", "a.log.3", "a.log.4", "a.log.5")
        log.write(2)
        place.sees(log.data)
    assert live.stop() == 0
    assert "lines may be missing" not in live.err


def test_copy_and_truncate_several_times_between_two_looks(place: Place, log: Log):
    live = place.follow("a.log", "-i", "0.5", expected=log.data)
    for _ in range(3):
        log.write(2)
        log.copy_and_truncate("a.log.1", "a.log.2", "a.log.3")
        log.write(2)
    place.sees(log.data)
    assert "lines may be missing" not in live.err


def test_a_file_that_was_cut_and_has_grown_past_its_old_end(place: Place, log: Log):
    place.follow("a.log", "-i", "0.5", expected=log.data)
    log.copy_and_truncate("a.log.1")
    log.write(20)
    place.sees(log.data)


def test_a_file_that_was_cut_and_has_grown_past_its_old_end_beside_an_older_one(
    place: Place, log: Log
):
    """Old symptom: the copy was taken for a new file and merged once more.

    The older file's new name made the look come before the read that would have shown
    that the live file was cut; every sweep of this interval asks for the names.
    """
    place.write("a.log.1", b"older\n")
    live = place.follow("a.log", "-i", "1.1", expected=log.data)
    log.write()
    log.copy_and_truncate("a.log.1", "a.log.2")
    log.write(20)
    place.sees(log.data)
    assert "lines may be missing" not in live.err


def test_a_file_that_was_cut_and_has_grown_to_its_old_size(place: Place):
    place.write("a.log", b"one\ntwo\n")
    place.follow("a.log", "-i", "0.5", expected=b"one\ntwo\n")
    os.truncate(place / "a.log", 0)
    place.append("a.log", b"six\nten\n")
    place.sees(b"one\ntwo\nsix\nten\n")


def test_a_truncated_file_is_followed_from_its_first_byte_and_said(place: Place, log: Log):
    live = place.follow("a.log", expected=log.data)
    os.truncate(place / "a.log", 0)
    live.says("tailmerge: a.log: truncated, followed from its first line")
    log.write()
    place.sees(log.data)


def test_a_half_line_is_ended_when_its_file_is_cut(place: Place, log: Log):
    live = place.start("a.log", "b.log", "-o", "merged.log")
    place.append("a.log", b"half")
    place.settles("b.log")
    os.truncate(place / "a.log", 0)
    place.append("a.log", b"new\n")
    eventually(lambda: place.without_marks().endswith(b"new\n"))
    assert place.without_marks() == log.data + b"half\nnew\n", live.err


def test_a_copy_is_not_read_while_its_original_stands(place: Place, log: Log):
    live = place.follow("a.log*", expected=log.data)
    shutil.copy(place / "a.log", place / "a.log.1")
    place.append("a.log_", b"a pattern's new match\n")
    eventually(lambda: b"new match" in place.read())
    log.write()
    os.truncate(place / "a.log", 0)
    log.write()
    eventually(lambda: place.read().endswith(log.lines[-1]))
    lines = place.read().replace(b"a pattern's new match\n", b"").splitlines(keepends=True)
    assert lines in (log.lines, [*log.lines[:-2], log.lines[-1]]), live.err


@pytest.mark.parametrize("lines", [3, 1000], ids=["within a block", "of several blocks"])
def test_a_hole_that_a_writer_without_append_leaves_is_skipped_and_said(place: Place, lines: int):
    """It goes on at its old offset, behind as many NULs."""
    log = Log(place, "a.log", flags=0)
    log.write(lines)
    live = place.follow("a.log", expected=log.data)
    os.truncate(place / "a.log", 0)
    live.says("truncated")
    log.write(2)
    assert place.read("a.log").startswith(b"\0")
    place.sees(log.data)
    live.says("a.log: skipped a hole of ")
    log.write()
    place.sees(log.data)
    assert live.err.count("hole") == 1, live.err
    log.close()


def test_a_hole_that_came_between_two_looks_is_skipped(place: Place):
    log = Log(place, "a.log", flags=0)
    log.write(10)
    live = place.follow("a.log", "-i", "0.5", expected=log.data)
    log.write()
    log.copy_and_truncate("a.log.1")
    log.write(2)
    place.sees(log.data)
    live.says("hole")
    log.close()


def test_nuls_that_are_no_hole_pass_as_they_are(place: Place, log: Log):
    place.write("a.log", b"\0\0\0\0nul\n")
    place.append("a.log", b"\0" * 10_000 + b"\n")
    assert place.run("--once", "a.log").out == b"\0\0\0\0nul\n" + b"\0" * 10_000 + b"\n"


# deleted, replaced, linked


def test_delete_and_create_again(place: Place, log: Log):
    live = place.follow("a.log", expected=log.data)
    for _ in range(3):
        (place / "a.log").unlink()
        log.write()  # late, into the deleted file that is held open
        log.reopen()
        log.write(2)
        place.sees(log.data)
    assert live.stop() == 0


def test_a_deleted_file_is_said_and_waited_for(place: Place, log: Log):
    live = follow(place, log, *SOON, "-v")
    (place / "a.log").unlink()
    live.says("tailmerge: a.log: gone, waiting for it to come back")
    live.says("no longer held open")
    log.reopen()
    log.write()
    place.sees(log.data)
    live.says("a.log: appeared")


def test_a_half_line_of_a_deleted_file_is_ended_after_the_rotate_wait(place: Place, log: Log):
    follow(place, log, *SOON)
    place.append("a.log", b"half")
    (place / "a.log").unlink()
    place.sees(log.data + b"half\n")


def test_a_file_that_another_one_replaces(place: Place, log: Log):
    """An editor's save: the new file is another one, with other content."""
    place.follow("a.log", expected=log.data)
    place.write("new", b"replaced 1\nreplaced 2\n")
    (place / "new").rename(place / "a.log")
    place.sees(log.data + b"replaced 1\nreplaced 2\n")


def test_a_link_that_is_pointed_elsewhere(place: Place):
    first, second = Log(place, "app-1"), Log(place, "app-2")
    first.write(2)
    (place / "current.log").symlink_to("app-1")
    live = place.follow("current.log", expected=first.data)
    second.write(2)
    (place / "next").symlink_to("app-2")
    (place / "next").rename(place / "current.log")
    place.sees(first.data + second.data)
    before = first.data
    first.write()  # late
    place.sees(before + second.data + first.lines[-1])
    assert live.stop() == 0
    first.close()
    second.close()


def test_a_link_that_is_pointed_back_goes_on_where_it_was(place: Place):
    first, second = Log(place, "app-1"), Log(place, "app-2")
    (place / "current.log").symlink_to("app-1")
    (place / "one").symlink_to("app-1")
    (place / "two").symlink_to("app-2")
    first.write()
    second.write()
    expected = first.data
    place.follow("current.log", *SOON, expected=expected)
    for name, log in (("two", second), ("one", first)) * 2:
        os.replace(place / name, place / "current.log")
        (place / name).symlink_to(log.name)
        expected += log.lines[-1] if log.lines[-1] not in expected else b""
        place.sees(expected)
        log.write()
        expected += log.lines[-1]
        place.sees(expected)
    first.close()
    second.close()


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_a_file_with_two_names_is_followed_once(place: Place, log: Log, link: str):
    getattr(place / "b.log", link)(place / "a.log")
    place.follow("a.log", "b.log", expected=log.data)
    log.write()
    place.sees(log.data)
    assert place.run("--once", "a.log", "b.log", "[ab].log").out == log.data


@pytest.mark.parametrize("gone", ["a.log", "b.log"])
def test_a_file_that_loses_one_of_two_names_is_followed_by_the_other(
    place: Place, log: Log, gone: str
):
    (place / "b.log").hardlink_to(place / "a.log")
    follow(place, log, "b.log", *SOON)
    (place / gone).unlink()
    for _ in range(2):
        log.write()
        place.sees(log.data)


def test_a_file_that_is_renamed_to_another_input_s_name_goes_on(place: Place, log: Log):
    place.write("b.log", b"b\n")
    place.follow("b.log", "a.log", expected=b"b\n" + log.data)
    (place / "a.log").rename(place / "b.log")
    log.write()
    place.sees(b"b\n" + log.data)


def test_two_files_with_equal_content_are_two_inputs(place: Place):
    place.write("a.log", b"same\n")
    place.write("b.log", b"same\n")
    place.follow("a.log", "b.log", expected=b"same\nsame\n")
    place.append("b.log", b"same\n")
    place.sees(b"same\n" * 3)


# new files


def test_a_new_file_under_a_pattern_is_read_from_its_first_byte(place: Place, log: Log):
    live = place.follow("*.log", "-n", "0", expected=b"")
    live.says("merged.log: is the output")
    place.write("new.log", b"1\n2\n3\n")
    place.sees(b"1\n2\n3\n")
    live.says("new.log: appeared, followed from its first line")


def test_a_new_file_that_rotation_could_have_made_is_decided_by_its_content(place: Place, log: Log):
    """worker.1.log may be worker.log's rotated form, or another worker's log."""
    place.follow("a*.log", expected=log.data)
    place.append("a.1.log", b"another worker\n")
    place.sees(log.data + b"another worker\n")
    place.append("a.1.log", b"goes on\n")
    place.sees(log.data + b"another worker\ngoes on\n")


def test_a_new_file_in_a_new_folder_under_a_pattern(place: Place, log: Log):
    live = place.follow("**/*.log", expected=log.data)
    live.says("merged.log: is the output")
    place.write("new/folder/b.log", b"b\n")
    place.sees(log.data + b"b\n")


def test_a_missing_file_is_read_from_its_first_byte(place: Place, log: Log):
    live = place.start("a.log", "b.log", "-n", "0", "-o", "merged.log")
    live.says("b.log: no such file yet")  # a.log was looked at before
    log.write()
    place.sees(log.lines[-1])
    place.write("b.log", b"1\n2\n")
    place.sees(log.lines[-1] + b"1\n2\n")


# halves


def test_half_lines_of_two_files_are_never_inside_each_other(place: Place, log: Log):
    other = Log(place, "b.log")
    other.write()
    place.follow("a.log", "b.log", expected=log.data + other.data)
    expected = log.data + other.data
    for _ in range(3):
        a, b = log.write_half(), other.write_half()
        log.finish(a)
        expected += log.lines[-1]
        place.sees(expected)
        other.finish(b)
        expected += other.lines[-1]
        place.sees(expected)
    other.close()


def test_a_half_line_waits_for_its_end(place: Place, log: Log):
    place.start("a.log", "b.log", "-o", "merged.log")
    half = log.write_half()
    before = b"".join(log.lines)
    place.settles("b.log")
    assert place.without_marks() == before
    log.finish(half)
    eventually(lambda: place.without_marks() == log.data)


def test_a_line_longer_than_a_block_passes_whole(place: Place, log: Log):
    """Its beginning waits for its end while other lines pass."""
    live = place.follow("a.log", "b.log", expected=log.data)
    long = b"x" * 3_000_000
    place.append("b.log", long)
    log.write(2)
    place.sees(log.data)
    place.append("b.log", b"end\n")
    place.sees(log.data + long + b"end\n")
    assert live.stop(signal.SIGTERM) == 0
