"""Every sentence said to a person: what, when, and how a name is shown."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailmerge.report import (
    OutputError,
    OutputOwes,
    ReaderGone,
    Report,
    TailmergeError,
    UsageProblem,
    cannot_open,
    explain,
    nothing_to_read,
    plural,
    show,
    still_owes,
    stopped_reading,
)

Event = Callable[[Report], object]

NEWS: list[Event] = [
    lambda report: report.input_rotated("a.log", 2),
    lambda report: report.input_appeared("a.log"),
    lambda report: report.input_gone("a.log"),
    lambda report: report.input_rewritten("a.log"),
    lambda report: report.output_skipped("a.log"),
    lambda report: report.directory_skipped("a"),
    lambda report: report.pattern_unmatched("*.log"),
    lambda report: report.output_reopened("m.log"),
    lambda report: report.output_truncated("m.log"),
]
"""With --once only with -v; following they are said."""

NOTICES: list[Event] = [
    lambda report: report.hole_skipped("a.log", 4096),
    lambda report: report.lines_missing("a.log", 10),
    lambda report: report.line_torn("a.log"),
    lambda report: report.line_left_out("a.log"),
    lambda report: report.output_waits("m.log", OSError(errno.ENOSPC, "no space")),
    lambda report: report.output_works("m.log"),
]
"""Said unless -q."""

DETAILS: list[Event] = [
    lambda report: report.input_finished("a.log"),
    lambda report: report.input_let_go("a.log"),
    lambda report: report.duplicate_skipped("a.log", "b.log"),
]
"""Only with -v."""

PROBLEMS: list[Event] = [
    lambda report: report.input_missing("a.log"),
    lambda report: report.input_unreadable("a.log", OSError(errno.EACCES, "denied")),
    lambda report: report.input_refused("a.log", "UTF-16LE"),
    lambda report: report.input_special("a.sock", "a socket"),
]
"""Always said: they make the exit code 1."""


def words(event: Event, **how: bool) -> list[str]:
    said: list[str] = []
    event(Report(said.append, **how))
    return said


@pytest.mark.parametrize("event", NEWS)
def test_news_is_said_while_following_and_with_once_only_when_asked(event: Event) -> None:
    assert len(words(event)) == 1
    assert words(event, once=True) == []
    assert len(words(event, once=True, verbose=True)) == 1


@pytest.mark.parametrize("event", NOTICES + PROBLEMS)
@pytest.mark.parametrize("once", [True, False])
def test_what_matters_is_said_in_both_ways_of_running(event: Event, once: bool) -> None:
    assert len(words(event, once=once)) == 1


@pytest.mark.parametrize("event", DETAILS)
def test_details_are_said_only_when_asked(event: Event) -> None:
    assert words(event) == []
    assert len(words(event, verbose=True)) == 1


@pytest.mark.parametrize("event", NEWS + NOTICES + DETAILS)
def test_quiet_leaves_out_what_does_not_decide_the_exit_code(event: Event) -> None:
    assert words(event, quiet=True) == []


@pytest.mark.parametrize("event", PROBLEMS)
def test_quiet_leaves_what_decides_the_exit_code(event: Event) -> None:
    assert len(words(event, quiet=True)) == 1


@pytest.mark.parametrize("event", NEWS + NOTICES + DETAILS + PROBLEMS)
def test_every_message_is_one_line_that_begins_with_a_name(event: Event) -> None:
    (said,) = words(event, verbose=True)
    assert said.startswith(("a.log: ", "a: ", "a.sock: ", "'*.log': ", "*.log: ", "m.log: "))
    assert "\n" not in said
    assert not said.endswith(".")


def test_a_rotation_is_said_in_the_contracts_words() -> None:
    assert words(lambda report: report.input_rotated("a.log", 2)) == [
        "a.log: rotated, 2 files followed"
    ]


def test_a_refused_encoding_names_the_way_out() -> None:
    (said,) = words(lambda report: report.input_refused("a b.log", "UTF-16LE"))
    assert "iconv -f UTF-16 -t UTF-8 'a b.log'" in said


@pytest.mark.parametrize("event", PROBLEMS)
def test_a_problem_is_said_once_and_owed(event: Event) -> None:
    said: list[str] = []
    report = Report(said.append)
    assert not report.owes
    event(report)
    event(report)
    assert len(said) == 1
    assert report.owes


def test_a_problem_that_is_over_is_said_and_no_longer_owed() -> None:
    said: list[str] = []
    report = Report(said.append)
    report.input_missing("a.log")
    assert report.input_works("a.log")
    assert len(said) == 2
    assert not report.owes
    assert not report.input_works("a.log")
    assert len(said) == 2


def test_a_problem_that_comes_back_is_said_again() -> None:
    said: list[str] = []
    report = Report(said.append)
    for _ in range(2):
        report.input_missing("a.log")
        report.input_works("a.log")
    assert len(said) == 4


def test_another_problem_of_the_same_input_is_said() -> None:
    said: list[str] = []
    report = Report(said.append)
    report.input_missing("a.log")
    report.input_unreadable("a.log", OSError(errno.EACCES, "x"))
    assert len(said) == 2


def test_one_input_that_works_does_not_settle_another() -> None:
    report = Report(lambda text: None)
    report.input_missing("a.log")
    report.input_missing("b.log")
    report.input_works("a.log")
    assert report.owes


def test_a_missing_file_is_waited_for_only_while_following() -> None:
    def missing(report: Report) -> None:
        report.input_missing("a.log")

    assert words(missing) == ["a.log: no such file yet, waiting for it"]
    assert words(missing, once=True) == ["a.log: no such file"]


# names


@pytest.mark.parametrize(
    "name", ["a.log", "/var/log/app-1_2.log", "übung.log", "日誌.log", "a:b,c=d@e%+~.log"]
)
def test_a_plain_name_is_shown_as_it_is(name: str) -> None:
    assert show(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", "''"),
        ("a b.log", "'a b.log'"),
        ("~", "'~'"),
        ("a'b", "'a'\"'\"'b'"),
        ("$(rm).log", "'$(rm).log'"),
        ("a\nb", "$'a\\nb'"),
        ("\x1b[31mred", "$'\\x1b[31mred'"),
        ("bad \udcff", "$'bad \\xff'"),
        ("it's\x07", "$'it\\'s\\x07'"),
        ("\u202egol.a", "$'\\xe2\\x80\\xaegol.a'"),
        ("back\\slash\n", "$'back\\\\slash\\n'"),
    ],
)
def test_an_odd_name_is_quoted(name: str, shown: str) -> None:
    assert show(name) == shown


bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


@bash
@given(st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name))
@settings(max_examples=60, deadline=None)
def test_a_shell_reads_a_shown_name_as_the_name(name: bytes) -> None:
    shown = show(os.fsdecode(name))
    assert shown.isprintable()
    command = ["bash", "-c", f"printf %s {shown}"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == name


@bash
@pytest.mark.parametrize(
    "name", [b"\xff", b"a\xffb", b"\xe9t\xe9 1", b"\xff'\\\n\x1b", "ü\x07".encode()]
)
def test_a_shell_reads_a_name_that_is_no_text(name: bytes) -> None:
    shown = show(os.fsdecode(name))
    command = ["bash", "-c", f"printf %s {shown}"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == name


def test_no_control_character_of_a_name_reaches_a_message() -> None:
    said: list[str] = []
    report = Report(said.append, verbose=True)
    report.input_missing("\x1b]0;owned\x07\n.log")
    report.duplicate_skipped("\x1b", "\x9b")
    report.pattern_unmatched("*\r")
    report.input_refused("\x1b\n", "UTF-16LE")
    assert len(said) == 4
    assert all(text.isprintable() for text in said)


# errors


def test_errors_are_explained_in_lower_case_words() -> None:
    assert explain(OSError(errno.EACCES, "Permission denied")) == "permission denied"
    assert explain(OSError(errno.EIO, "Input/output error")) == "input/output error"


def test_an_error_of_our_own_is_shown_as_it_was_written() -> None:
    """`mv a.log b; mkfifo a.log`: "[Errno None] is no longer a regular file" was said."""
    assert explain(OSError(None, "is no longer a regular file")) == "is no longer a regular file"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (nothing_to_read(), 2),
        (still_owes("m.log", "no space left"), 3),
        (cannot_open("m.log", OSError(errno.EACCES, "x")), 3),
    ],
)
def test_an_error_carries_the_contracts_exit_code(error: TailmergeError, code: int) -> None:
    assert error.exit_code == code
    assert "\n" not in str(error)


def test_errors_can_be_told_apart() -> None:
    assert isinstance(nothing_to_read(), UsageProblem)
    assert isinstance(still_owes("m.log", "full"), OutputOwes)
    assert isinstance(stopped_reading(), ReaderGone)
    assert issubclass(OutputOwes, OutputError)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EISDIR, errno.EACCES, errno.EROFS])
def test_an_output_that_cannot_be_opened_names_the_option(number: int) -> None:
    error = cannot_open("some where/m.log", OSError(number, "x"))
    assert "'some where/m.log'" in str(error)
    assert "-o" in str(error)


def test_a_missing_folder_is_named() -> None:
    error = cannot_open("/no/such/m.log", OSError(errno.ENOENT, "x"))
    assert "/no/such;" in str(error)


def test_counts_have_a_plural() -> None:
    assert [plural(n, "file") for n in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
