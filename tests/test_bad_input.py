"""What bad input gets: one clear line, the right exit code, and the rest goes on.

The lines of the issue, and the contract's table of messages: what is said with --once,
while following, and what it does to the exit code.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest
from helpers import eventually

if TYPE_CHECKING:
    from processes import Ended, Place

pytest_plugins = ["processes"]

UTF_16 = "line\n".encode("utf-16")


def one_line(done: Ended, *words: str) -> None:
    """Exactly one message, with these words in it."""
    assert done.err.startswith("tailmerge: "), done.err
    assert done.err.count("\n") == 1, done.err
    for word in words:
        assert word in done.err


# a missing file


def test_a_missing_file_is_said_and_the_rest_is_merged(place: Place):
    place.write("a.log", b"a\n")
    done = place.run("--once", "nope.log", "a.log", "-o", "merged.log")
    assert (done.code, place.read()) == (1, b"a\n")
    one_line(done, "nope.log: no such file")


def test_a_file_in_a_missing_folder_is_a_missing_file(place: Place):
    place.write("a.log", b"a\n")
    done = place.run("--once", "nowhere/a.log", "a.log/below", "a.log")
    assert (done.code, done.out) == (1, b"a\n")
    assert done.err.splitlines() == [
        "tailmerge: nowhere/a.log: no such file",
        "tailmerge: a.log/below: no such file",
    ]


def test_a_link_to_a_missing_file_is_a_missing_file(place: Place):
    (place / "link.log").symlink_to("nope.log")
    done = place.run("--once", "link.log")
    assert done.code == 1
    one_line(done, "link.log: no such file")


def test_a_missing_file_is_waited_for_said_once_and_said_when_it_appears(place: Place):
    place.write("a.log", b"a\n")
    live = place.follow("a.log", "late.log", expected=b"a\n")
    live.says("tailmerge: late.log: no such file yet, waiting for it\n")
    place.append("late.log", b"first\n")
    live.says("tailmerge: late.log: can be read now")
    place.sees(b"a\nfirst\n")
    assert live.err.count("no such file") == 1, live.err


def test_a_missing_file_is_said_even_when_quiet(place: Place):
    done = place.run("--once", "-q", "nope.log")
    assert done.code == 1
    one_line(done, "nope.log")


@pytest.mark.parametrize(
    "name",
    [
        "two\nlines.log",
        "red\x1bc.log",
        "bell\a.log",
        os.fsdecode(b"latin\xe9.log"),
        "\u202e.log",
    ],
    ids=["newline", "escape", "bell", "not UTF-8", "right to left"],
)
def test_an_odd_name_is_quoted_in_one_printable_line(place: Place, name: str):
    done = place.run("--once", name)
    assert done.code == 1
    one_line(done, "no such file", "$'")
    assert done.err[:-1].isprintable()


def test_a_name_with_a_space_is_quoted(place: Place):
    one_line(place.run("--once", "my app.log"), "'my app.log': no such file")


# a directory


def test_a_directory_among_inputs_is_skipped(place: Place):
    place.write("a.log", b"a\n")
    place.write("old.log/b.log", b"b\n")
    done = place.run("--once", "a.log", "old.log")
    assert (done.code, done.out, done.err) == (0, b"a\n", "")
    done = place.run("--once", "-v", "*.log")
    assert (done.code, done.out) == (0, b"a\n")
    assert "old.log: is a directory, skipped" in done.err


def test_a_directory_among_inputs_is_said_while_following(place: Place):
    place.write("a.log", b"a\n")
    (place / "old").mkdir()
    live = place.follow("a.log", "old", expected=b"a\n")
    live.says("old: is a directory, skipped")


@pytest.mark.parametrize("mode", [["--once"], []], ids=["once", "following"])
def test_nothing_but_a_directory_is_a_usage_error(place: Place, mode: list[str]):
    done = place.run(*mode, "-q", ".", "-o", "merged.log")
    assert done.code == 2
    assert not (place / "merged.log").exists()
    assert done.err.splitlines()[-1].startswith("tailmerge: nothing left to read")


# an unreadable file


def test_an_unreadable_file_is_said_and_the_rest_is_merged(
    place: Place, without_privileges: Sequence[str]
):
    place.write("a.log", b"a\n")
    place.write("secret.log", b"secret\n").chmod(0)
    done = place.run("--once", "secret.log", "a.log", under=without_privileges)
    assert (done.code, done.out) == (1, b"a\n")
    one_line(done, "secret.log: permission denied")


def test_an_unreadable_match_of_a_pattern_is_said_too(
    place: Place, without_privileges: Sequence[str]
):
    place.write("a.log", b"a\n")
    place.write("secret.log", b"secret\n").chmod(0)
    done = place.run("--once", "-q", "*.log", under=without_privileges)
    assert (done.code, done.out) == (1, b"a\n")
    one_line(done, "secret.log: permission denied")


def test_a_file_in_a_closed_folder_is_unreadable(place: Place, without_privileges: Sequence[str]):
    place.write("closed/a.log", b"a\n")
    (place / "closed").chmod(0)
    done = place.run("--once", "closed/a.log", under=without_privileges)
    (place / "closed").chmod(0o700)
    assert done.code == 1
    one_line(done, "closed/a.log: permission denied")


def test_an_unreadable_file_is_followed_once_it_can_be_read(
    place: Place, without_privileges: Sequence[str]
):
    place.write("a.log", b"a\n")
    secret = place.write("secret.log", b"secret\n")
    secret.chmod(0)
    live = place.follow("a.log", "secret.log", expected=b"a\n", under=without_privileges)
    live.says("secret.log: permission denied")
    secret.chmod(0o600)
    place.sees(b"a\nsecret\n")
    live.says("secret.log: can be read now")
    assert live.err.count("denied") == 1, live.err


def test_a_socket_is_said(place: Place):
    place.write("a.log", b"a\n")
    with socket.socket(socket.AF_UNIX) as listener, contextlib.chdir(place.folder):
        listener.bind("app.sock")  # a whole path may be too long for a socket
        done = place.run("--once", "app.sock", "a.log")
    assert (done.code, done.out) == (1, b"a\n")
    one_line(done, "app.sock: is a socket, not read")


# an output that cannot be


def test_an_output_in_a_missing_folder_is_named_with_the_folder(place: Place):
    place.write("a.log", b"a\n")
    done = place.run("--once", "a.log", "-o", "nowhere/merged.log")
    assert done.code == 3
    one_line(done, "nowhere/merged.log", "no folder nowhere", "-o")


def test_an_output_that_is_a_directory_is_named(place: Place):
    place.write("a.log", b"a\n")
    done = place.run("--once", "a.log", "-o", ".")
    assert done.code == 3
    one_line(done, ".: is a directory", "-o")


def test_an_output_below_a_file_is_named(place: Place):
    place.write("a.log", b"a\n")
    done = place.run("--once", "a.log", "-o", "a.log/merged.log")
    assert done.code == 3
    one_line(done, "a.log/merged.log: not a directory")


def test_an_output_that_may_not_be_written_is_named(
    place: Place, without_privileges: Sequence[str]
):
    place.write("a.log", b"a\n")
    place.write("merged.log", b"").chmod(0o400)
    done = place.run("--once", "a.log", "-o", "merged.log", under=without_privileges)
    assert done.code == 3
    one_line(done, "merged.log: permission denied")


# an output that is also an input


def given_an_output(place: Place) -> None:
    place.write("a.log", b"a\n")
    place.write("merged.log", b"old\n")


@pytest.mark.parametrize("name", ["merged.log", "./merged.log", "*.log"])
def test_an_output_that_is_an_input_by_name_is_skipped(place: Place, name: str):
    given_an_output(place)
    done = place.run("--once", "a.log", name, "-o", "merged.log")
    assert (done.code, done.err, place.read()) == (0, "", b"old\na\n")


def test_an_output_that_is_an_input_by_a_symbolic_link_is_skipped(place: Place):
    given_an_output(place)
    (place / "link.log").symlink_to("merged.log")
    done = place.run("--once", "-v", "a.log", "link.log", "-o", "merged.log")
    assert (done.code, place.read()) == (0, b"old\na\n")
    assert "tailmerge: link.log: is the output, skipped" in done.err


def test_an_output_given_by_a_symbolic_link_to_an_input_skips_that_input(place: Place):
    given_an_output(place)
    (place / "out").symlink_to("merged.log")
    done = place.run("--once", "*.log", "-o", "out")
    assert (done.code, done.err, place.read()) == (0, "", b"old\na\n")


def test_an_output_that_is_an_input_by_a_hard_link_is_skipped(place: Place):
    given_an_output(place)
    (place / "hard.log").hardlink_to(place / "merged.log")
    done = place.run("--once", "a.log", "hard.log", "-o", "merged.log")
    assert (done.code, done.err, place.read()) == (0, "", b"old\na\n")


def test_standard_output_redirected_into_an_input_skips_it(place: Place):
    given_an_output(place)
    done = place.shell("$tailmerge --once *.log > all.log", timeout=10)
    assert (done.code, done.err, place.read("all.log")) == (0, "", b"a\nold\n")
    done = place.shell("$tailmerge --once *.log >> all.log", timeout=10)
    assert (done.code, done.err, place.read("all.log")) == (0, "", b"a\nold\na\nold\n")


def test_standard_output_redirected_into_an_input_skips_it_while_following(place: Place):
    place.write("a.log", b"a\n")
    with open(place / "all.log", "ab") as out:
        live = place.start("a.log", "all.log", stdout=out)
    place.sees(b"a\n", "all.log")
    live.says("all.log: is the output, skipped")
    for mark in (b"b\n", b"c\n"):
        place.append("a.log", mark)
    place.sees(b"a\nb\nc\n", "all.log")


@pytest.mark.parametrize("options", [["--once"], ["--until-idle", "0.3"]], ids=str)
def test_an_output_that_is_not_there_yet_and_an_input_is_skipped(place: Place, options: list[str]):
    place.write("a.log", b"a\n")
    done = place.run(*options, "-v", "a.log", "merged.log", "-o", "merged.log")
    assert (done.code, place.read()) == (0, b"a\n"), done.err
    assert "merged.log: is the output, skipped" in done.err


def test_a_pattern_that_comes_to_match_the_output_skips_it(place: Place):
    place.write("a.log", b"a\n")
    live = place.follow("*.log", expected=b"a\n")
    live.says("merged.log: is the output, skipped")
    place.append("a.log", b"b\n")
    place.sees(b"a\nb\n")


def test_a_named_pipe_is_never_both_input_and_output(place: Place):
    place.write("a.log", b"a\n")
    os.mkfifo(place / "pipe")
    reader = place.start_other(["cat", "pipe"], stdout=-1)
    done = place.run("--once", "a.log", "pipe", "-o", "pipe", timeout=4)
    assert (done.code, done.err) == (0, "")
    assert reader.communicate(timeout=10)[0] == b"a\n"


@pytest.mark.parametrize("there", [True, False], ids=["there", "not there yet"])
@pytest.mark.parametrize("mode", [["--once"], []], ids=["once", "following"])
def test_nothing_but_the_output_is_a_usage_error_that_touches_nothing(
    place: Place, mode: list[str], there: bool
):
    if there:
        place.write("merged.log", b"kept\n")
    done = place.run(*mode, "-q", "--overwrite", "merged.log", "-o", "merged.log", timeout=4)
    assert done.code == 2, done.err
    one_line(done, "nothing left to read")
    assert place.read() == (b"kept\n" if there else b"")


# the state, and a rotated copy of the output


def test_a_pattern_that_matches_the_state_skips_it(place: Place):
    """Old symptom: what was written ahead was merged, which was written ahead, and so on."""
    place.write("a.log", b"a\n")
    live = place.follow("*.log*", expected=b"a\n")
    place.append("b.log", b"b\n")
    eventually(lambda: b"b\n" in place.read())
    place.settles("a.log")
    assert place.without_marks() == b"a\nb\n", live.err


@pytest.mark.parametrize("state", [[], ["--no-state"]], ids=["with a state", "without"])
@pytest.mark.parametrize("way", ["create", "copytruncate"])
def test_a_rotated_output_is_not_an_input(place: Place, way: str, state: list[str]):
    place.write("a.log", b"a\n")
    live = place.follow("*.log", "merged.log*", *state, expected=b"a\n")
    if way == "create":
        (place / "merged.log").rename(place / "merged.log.1")
    else:
        place.write("merged.log.1", place.read())
        os.truncate(place / "merged.log", 0)
    place.append("a.log", b"b\n")
    place.sees(b"b\n")
    # A file that appears behind it by name shows that the pattern was looked at again.
    place.append("new.log", b"new\n")
    place.sees(b"b\nnew\n")
    place.settles("a.log")
    assert place.without_marks() == b"b\nnew\n", live.err


# UTF-16


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_utf_16_file_is_refused_and_the_way_out_is_named(place: Place, encoding: str):
    place.write("a.log", b"a\n")
    place.write("wide.log", "\ufeffwide\n".encode(encoding))
    done = place.run("--once", "wide.log", "a.log")
    assert (done.code, done.out) == (1, b"a\n")
    one_line(done, f"wide.log: is {encoding.upper()[:6]}", "iconv -f", "-t UTF-8 wide.log")


def test_a_utf_16_file_is_said_once_while_following(place: Place):
    place.write("a.log", b"a\n")
    place.write("wide.log", UTF_16)
    live = place.follow("a.log", "wide.log", expected=b"a\n")
    live.says("iconv")
    place.append("wide.log", "more\n".encode("utf-16-le"))
    place.settles("a.log")
    assert live.err.count("iconv") == 1, live.err
    assert place.without_marks() == b"a\n"


def test_a_utf_16_file_that_was_converted_is_said_and_no_longer_owed(place: Place):
    other = place.start_other(["sleep", "60"])
    place.write("a.log", b"a\n")
    place.write("wide.log", UTF_16)
    live = place.follow("a.log", "wide.log", "--pid", str(other.pid), expected=b"a\n")
    live.says("iconv")
    place.write("wide.log", b"line\n")
    place.sees(b"a\nline\n")
    live.says("wide.log: can be read now")
    other.kill()
    assert live.ends() == 0, live.err


# patterns, and nothing


def test_a_pattern_that_matches_nothing_is_no_failure(place: Place):
    place.write("a.log", b"a\n")
    done = place.run("--once", "none/*.log", "a.log")
    assert (done.code, done.out, done.err) == (0, b"a\n", "")
    done = place.run("--once", "-v", "none/*.log", "a.log")
    assert (done.code, done.out) == (0, b"a\n")
    assert "none/*.log: matches no file" in done.err


def test_nothing_but_a_pattern_that_matches_nothing_is_no_failure(place: Place):
    done = place.run("--once", "*.log", "-o", "merged.log")
    assert (done.code, done.out, done.err) == (0, b"", "")


def test_a_pattern_that_matches_nothing_is_said_while_following_and_waited_for(place: Place):
    live = place.start("*.txt", "-o", "merged.log")
    live.says("*.txt: matches no file yet")
    place.append("new.txt", b"new\n")
    place.sees(b"new\n")
    live.says("new.txt: appeared")


def test_no_inputs_at_all_is_a_usage_error(place: Place):
    done = place.run("--once", "-o", "merged.log")
    assert done.code == 2
    one_line(done, "no inputs")
    assert not (place / "merged.log").exists()


def test_a_negative_interval_is_a_usage_error(place: Place):
    done = place.run("-i", "-0.1", "a.log", "-o", "merged.log")
    assert done.code == 2
    one_line(done, "-0.1", "--interval")
    assert not (place / "merged.log").exists()


# closed standard streams


@pytest.mark.parametrize("closed", [">&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("mode", ["--once", ""], ids=["once", "following"])
def test_a_closed_standard_output_is_exit_3_at_once(place: Place, closed: str, mode: str):
    place.write("a.log", b"a\n")
    done = place.shell(f"exec $tailmerge {mode} a.log {closed}", timeout=4)
    assert done.code == 3, done.err
    if "2>" not in closed:
        one_line(done)


def test_closed_streams_do_not_matter_where_they_are_not_used(place: Place):
    place.write("a.log", b"a\n")
    done = place.shell("exec $tailmerge --once a.log -o merged.log <&- >&-")
    assert (done.code, done.err, place.read()) == (0, "", b"a\n")


def test_a_message_never_goes_into_a_file_when_standard_error_is_closed(place: Place):
    place.write("a.log", b"a\n")
    done = place.shell("exec $tailmerge --once -v nope a.log . -o merged.log <&- >&- 2>&-")
    assert (done.code, place.read(), place.read("a.log")) == (1, b"a\n", b"a\n")


def test_a_closed_standard_input_that_is_an_input_is_said(place: Place):
    place.write("a.log", b"a\n")
    done = place.shell("exec $tailmerge --once - a.log <&-")
    assert (done.code, done.out) == (1, b"a\n"), done.err
    one_line(done, "-: ")


# what is said when


@pytest.fixture
def rotated_while_following(place: Place) -> Place:
    place.write("a.log", b"a\n")
    return place


def rotate(place: Place) -> None:
    (place / "a.log").rename(place / "a.log.1")
    place.append("a.log", b"b\n")
    place.sees(b"a\nb\n")


def test_news_are_said_while_following(rotated_while_following: Place):
    live = rotated_while_following.follow("a.log", expected=b"a\n")
    rotate(rotated_while_following)
    live.says("tailmerge: a.log: rotated, 2 files followed")


def test_news_are_not_said_when_quiet(rotated_while_following: Place):
    place = rotated_while_following
    live = place.follow("a.log", "x*", ".", "-q", expected=b"a\n")
    rotate(place)
    assert live.stop() == 0
    assert live.err == ""


def test_verbose_says_more(rotated_while_following: Place):
    place = rotated_while_following
    (place / "twin.log").symlink_to("a.log")
    done = place.run("--once", "-v", "a.log", "twin.log")
    assert "twin.log: is the same file as a.log, followed once" in done.err
    assert place.run("--once", "a.log", "twin.log").err == ""


def test_a_message_nobody_takes_does_not_hold_up_the_run(place: Place):
    """Standard error is a pipe that is full and that nobody reads."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writing, b"x" * 4096):
            pass
    os.set_blocking(writing, True)
    place.write("a.log", b"a\n")
    try:
        live = place.start("nope.log", "a.log", "-o", "merged.log", stderr=writing)
        place.sees(b"a\n")
        place.append("a.log", b"b\n")
        place.sees(b"a\nb\n")
        assert live.stop(seconds=5) == 0
    finally:
        os.close(reading)
        os.close(writing)
