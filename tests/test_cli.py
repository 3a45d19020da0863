"""Words and environment in, exit code out: what a user types, and what answers."""

from __future__ import annotations

import importlib.metadata
import os
import stat
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from tailmerge.cli import command

if TYPE_CHECKING:
    from processes import Place

pytest_plugins = ["processes"]


PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8"))[
    "project"
]


def help_text() -> str:
    return CliRunner().invoke(command, ["--help"], prog_name="tailmerge").output


# help and version


def test_help_is_whole_at_any_width():
    for columns in (20, 80, 200):
        result = CliRunner().invoke(command, ["--help"], terminal_width=columns)
        assert result.exit_code == 0
        assert "--rotate-wait" in result.output


def test_every_option_says_what_it_does():
    silent = [p.name for p in command.params if p.param_type_name == "option" and not p.help]
    assert not silent


def test_every_option_that_takes_a_value_uses_a_word_for_it():
    nameless = [
        p.name
        for p in command.params
        if p.param_type_name == "option" and not p.is_flag and not p.metavar
    ]
    assert not nameless


def test_help_shows_an_example_for_following_and_one_for_cron():
    text = help_text()
    assert "tailmerge a.log b.log -o merged.log" in text
    assert "tailmerge --once '/var/log/app/*.log' -o m.log" in text


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_go_to_standard_output_and_exit_with_0(place: Place, option: str):
    done = place.run(option)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith((b"Usage: tailmerge", b"tailmerge "))


def test_version_is_the_package_s(place: Place):
    version = importlib.metadata.version("tailmerge")
    assert place.run("--version").out.decode() == f"tailmerge {version}\n"


def test_the_installed_script_is_the_same_command(place: Place):
    [script] = importlib.metadata.entry_points(group="console_scripts", name="tailmerge")
    assert script.load().__name__ == "main"
    assert PROJECT["scripts"] == {"tailmerge": "tailmerge.__main__:main"}


def test_help_whose_reader_has_gone_ends_quietly(place: Place):
    done = place.shell("$tailmerge --help | true; echo ${PIPESTATUS[0]}")
    assert done.err == ""
    assert done.out in (b"0\n", b"141\n"), done


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_that_cannot_be_written_is_one_line_and_exit_3(place: Place, option: str):
    done = place.shell(f"$tailmerge {option} > /dev/full")
    assert (done.code, done.err.count("\n")) == (3, 1), done.err


# the shell's completion


def complete(place: Place, *words: str) -> list[bytes]:
    """What bash is offered for the last word."""
    env = {
        "_TAILMERGE_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("tailmerge", *words)),
        "COMP_CWORD": str(len(words)),
    }
    done = place.run(env=env)
    assert (done.code, done.err) == (0, "")
    return done.out.splitlines()


def test_the_shell_completes_options(place: Place):
    assert complete(place, "--sta") == [b"plain,--state", b"plain,--status"]


@pytest.mark.parametrize("words", [["a"], ["-o", "a"], ["--state", "a"]], ids=" ".join)
def test_the_shell_completes_files_where_a_file_is_meant(place: Place, words: list[str]):
    assert complete(place, *words) == [b"file,a"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_is_what_this_shell_reads(place: Place, shell: str):
    done = place.run(env={"_TAILMERGE_COMPLETE": f"{shell}_source"})
    assert (done.code, done.err) == (0, "")
    assert b"_TAILMERGE_COMPLETE=%s_complete" % shell.encode() in done.out


# usage errors

MISUSES = {
    "no inputs": ([], "no inputs"),
    "an empty input": ([""], "an empty input"),
    "an unknown option": (["--nope", "a.log"], "--nope"),
    "a misspelt option": (["--onc", "a.log"], "--onc"),
    "a negative interval": (["-i", "-1", "a.log"], "seconds, 0 or more"),
    "an interval that is no number": (["-i", "soon", "a.log"], "soon"),
    "an interval that is not a number": (["-i", "nan", "a.log"], "seconds, 0 or more"),
    "an endless interval": (["-i", "inf", "a.log"], "seconds, 0 or more"),
    "a negative rotate wait": (["--rotate-wait", "-1", "a.log"], "seconds, 0 or more"),
    "a negative idle time": (["--until-idle", "-0.5", "a.log"], "seconds, 0 or more"),
    "a negative number of lines": (["-n", "-1", "a.log"], "-1"),
    "half a line": (["-n", "1.5", "a.log"], "1.5"),
    "no process": (["--pid", "0", "a.log"], "0"),
    "a process by name": (["--pid", "cron", "a.log"], "cron"),
    "an option without its value": (["a.log", "-o"], "-o"),
    "a switch with a value": (["--once=1", "a.log"], "--once"),
    "nothing to overwrite": (["--overwrite", "a.log"], "-o"),
    "quiet and verbose": (["-q", "-v", "a.log"], "-q and -v"),
    "a state and none": (["--state", "s", "--no-state", "-o", "m", "a.log"], "--no-state"),
    "a state without a name": (["--state", "", "-o", "m", "a.log"], "--state"),
    "a status of nothing": (["--status"], "--status needs"),
    "a status without a state": (["--status", "--no-state", "-o", "m"], "--no-state"),
    "a status and a new start": (["--status", "--overwrite", "-o", "m"], "--overwrite"),
}


@pytest.mark.parametrize(("words", "named"), MISUSES.values(), ids=MISUSES)
def test_a_misuse_is_one_line_that_names_it_and_the_help(
    place: Place, words: list[str], named: str
):
    place.write("a.log", b"a\n")
    done = place.run(*words)
    assert (done.code, done.out) == (2, b""), done.err
    assert done.err.startswith("tailmerge: ")
    assert done.err.count("\n") == 1, done.err
    assert named in done.err
    assert "tailmerge --help" in done.err
    assert os.listdir(place.folder) == ["a.log"]


def test_a_misspelt_option_is_answered_with_the_right_one(place: Place):
    assert "--once" in place.run("--onec", "a.log").err


@pytest.mark.parametrize("word", ["-once", "-state=s", "-sort", "-output"])
def test_a_long_option_with_one_dash_is_no_heap_of_short_ones(place: Place, word: str):
    done = place.run(word, "a.log", "-o", "merged.log")
    assert (done.code, os.listdir(place.folder)) == (2, [])
    assert f"did you mean -{word}?" in done.err


def test_one_dash_and_a_letter_is_a_short_option(place: Place):
    place.write("-once", b"a\n")
    assert place.run("--once", "--", "-once").out == b"a\n"
    assert place.run("--once", "-n1", "./-once").out == b"a\n"


def test_a_misuse_touches_no_file(place: Place):
    place.write("merged.log", b"kept\n")
    place.run("--overwrite", "-q", "-v", "a.log", "-o", "merged.log")
    assert place.read() == b"kept\n"


@pytest.mark.parametrize("word", ["--\x1b[31mred", "--two\nlines"], ids=["escape", "newline"])
def test_control_characters_of_a_word_do_not_reach_the_terminal(place: Place, word: str):
    done = place.run(word, "a.log")
    assert done.code == 2
    assert "\x1b" not in done.err
    assert done.err.count("\n") == 1, done.err


# words


def test_options_may_stand_behind_the_inputs(place: Place):
    place.write("a.log", b"a\n")
    done = place.run("a.log", "-o", "merged.log", "--once")
    assert (done.code, done.err, place.read()) == (0, "", b"a\n")


def test_a_name_behind_two_dashes_is_a_file(place: Place):
    place.write("-o", b"a\n")
    done = place.run("--once", "--", "-o")
    assert (done.code, done.out, done.err) == (0, b"a\n", "")


def test_standard_output_is_where_lines_go_by_default(place: Place):
    place.write("a.log", b"a\n")
    assert place.run("--once", "a.log").out == b"a\n"
    assert place.run("--once", "a.log", "-o", "-").out == b"a\n"
    assert not (place / "-").exists()


def test_inputs_come_in_the_order_given_and_matches_by_name(place: Place):
    for name in ("z", "b2", "b1", "a"):
        place.write(f"{name}.log", f"{name}\n".encode())
    assert place.run("--once", "z.log", "b*.log", "a.log").out == b"z\nb1\nb2\na\n"


def test_a_quoted_pattern_looks_into_folders_below(place: Place):
    place.write("logs/one/a.log", b"a\n")
    place.write("logs/one/two/b.log", b"b\n")
    assert place.run("--once", "logs/**/*.log").out == b"a\nb\n"


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(place: Place):
    place.write("a[1].log", b"itself\n")
    place.write("a1.log", b"matched\n")
    assert place.run("--once", "a[1].log").out == b"itself\n"


def test_a_file_named_twice_is_merged_once(place: Place):
    place.write("a.log", b"a\n")
    done = place.run("--once", "a.log", "./a.log", "*.log")
    assert (done.code, done.out, done.err) == (0, b"a\n", "")


def test_bytes_pass_as_they_are(place: Place):
    data = b"crlf\r\nnul\0nul\n\xff\xfeno utf-8 \xc3\n\n\xef\xbb\xbfbom\n"
    place.write("a.log", b"first\n" + data)
    assert place.run("--once", "a.log").out == b"first\n" + data


def test_a_second_run_without_a_state_begins_anew_and_appends(place: Place):
    place.write("a.log", b"a\n")
    for expected in (b"a\n", b"a\na\n"):
        place.run("--once", "a.log", "-o", "merged.log", "--no-state")
        assert place.read() == expected


def test_overwrite_empties_the_output_first(place: Place):
    place.write("a.log", b"a\n")
    place.write("merged.log", b"long gone\n")
    done = place.run("--once", "a.log", "-o", "merged.log", "--overwrite")
    assert (done.code, done.err, place.read()) == (0, "", b"a\n")


@pytest.mark.parametrize(
    ("count", "expected"),
    [("0", b"half\n"), ("1", b"3\nhalf\n"), ("2", b"2\n3\nhalf\n"), ("9", b"1\n2\n3\nhalf\n")],
)
def test_lines_begins_with_the_last_whole_ones(place: Place, count: str, expected: bytes):
    place.write("a.log", b"1\n2\n3\nhalf")
    done = place.run("--once", "-n", count, "a.log")
    assert (done.code, done.out) == (0, expected), done.err


def test_lines_counts_in_each_file(place: Place):
    place.write("a.log", b"1\n2\n")
    place.write("b.log", b"3\n4\n")
    assert place.run("--once", "-n1", "a.log", "b.log").out == b"2\n4\n"


def test_debug_says_nothing_where_nothing_blocks(place: Place):
    place.write("a.log", b"a\n")
    done = place.run("--debug", "--once", "a.log")
    assert (done.code, done.out, done.err) == (0, b"a\n", "")


# the state


def test_a_state_is_kept_beside_the_output_for_its_owner_alone(place: Place):
    place.write("a.log", b"a\n").chmod(0o644)
    place.run("--once", "a.log", "-o", "merged.log")
    assert stat.S_IMODE((place / "merged.log.tailmerge").stat().st_mode) == 0o600
    assert stat.S_IMODE((place / "merged.log").stat().st_mode) & 0o044


def test_a_second_run_goes_on_where_the_first_one_ended(place: Place):
    place.write("a.log", b"a\nhalf")
    for rest, expected in ((b"", b"a\n"), (b"", b"a\n"), (b" done\n", b"a\nhalf done\n")):
        place.append("a.log", rest)
        done = place.run("--once", "a.log", "-o", "merged.log")
        assert (done.code, done.err, place.read()) == (0, "", expected)


def test_a_state_can_be_kept_elsewhere(place: Place):
    place.write("a.log", b"a\n")
    for _ in range(2):
        done = place.run("--once", "a.log", "-o", "merged.log", "--state", "positions")
        assert (done.code, done.err, place.read()) == (0, "", b"a\n")
    assert sorted(os.listdir(place.folder)) == ["a.log", "merged.log", "positions"]


def test_without_a_state_nothing_is_left_and_all_comes_again(place: Place):
    place.write("a.log", b"a\n")
    for expected in (b"a\n", b"a\na\n"):
        done = place.run("--once", "a.log", "-o", "merged.log", "--no-state")
        assert (done.code, done.err, place.read()) == (0, "", expected)
    assert sorted(os.listdir(place.folder)) == ["a.log", "merged.log"]


def test_a_device_has_no_state(place: Place):
    place.write("a.log", b"a\n")
    done = place.run("--once", "a.log", "-o", "/dev/null")
    assert (done.code, done.err) == (0, "")
    assert not os.path.exists("/dev/null.tailmerge")


def test_lines_are_counted_at_the_very_first_run_only(place: Place):
    place.write("a.log", b"1\n2\n")
    run = ("--once", "-n", "1", "*.log", "-o", "merged")
    place.run(*run)
    place.append("a.log", b"3\n4\n")
    place.write("b.log", b"5\n6\n")
    assert place.run(*run).err == ""
    assert place.read("merged") == b"2\n3\n4\n5\n6\n"


def test_lines_are_not_counted_where_the_first_run_found_nothing(place: Place):
    run = ("--once", "-q", "-n", "1", "a.log", "-o", "merged.log")
    assert place.run(*run).code == 1
    place.write("a.log", b"1\n2\n")
    assert place.run(*run).code == 0
    assert place.read() == b"1\n2\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"no state\n", "is damaged"),
        (b'{"tailmerge": 1', "is cut off"),
        (b'{"tailmerge": 99}\n', "newer tailmerge"),
    ],
    ids=["empty", "damaged", "cut off", "newer"],
)
def test_a_state_that_cannot_be_used_is_never_a_silent_new_start(
    place: Place, content: bytes, said: str
):
    place.write("a.log", b"a\n")
    place.write("merged.log", b"kept\n")
    place.write("merged.log.tailmerge", content)
    done = place.run("--once", "a.log", "-o", "merged.log")
    assert (done.code, done.err.count("\n"), place.read()) == (3, 1, b"kept\n"), done.err
    for words in ("merged.log.tailmerge", said, "--overwrite", "remove it"):
        assert words in done.err
    assert place.run("--status", "-o", "merged.log").code == 3
    done = place.run("--once", "a.log", "-o", "merged.log", "--overwrite")
    assert (done.code, done.err, place.read()) == (0, "", b"a\n")


def test_a_state_of_another_output_is_a_usage_error_that_touches_nothing(place: Place):
    place.write("a.log", b"a\n")
    place.run("--once", "a.log", "-o", "merged.log")
    for words in (["--once", "a.log"], ["--status"]):
        state = ["-o", "other.log", "--state", "merged.log.tailmerge"]
        done = place.run(*words, *state)
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert f"belongs to the output {place / 'merged.log'}" in done.err
    assert not (place / "other.log").exists()


def test_a_state_that_is_a_symbolic_link_is_refused(place: Place):
    place.write("a.log", b"a\n")
    (place / "merged.log.tailmerge").symlink_to("victim")
    done = place.run("--once", "a.log", "-o", "merged.log")
    assert (done.code, done.err.count("\n")) == (3, 1), done.err
    assert "symbolic link" in done.err
    assert "--state" in done.err
    assert not (place / "victim").exists()


@pytest.mark.parametrize("more", [[], ["--no-state"], ["--state", "other"]], ids=str)
def test_a_second_run_on_one_output_exits_with_4_and_names_the_first(place: Place, more: list[str]):
    place.write("a.log", b"a\n")
    live = place.follow("a.log", expected=b"a\n")
    (place / "link").symlink_to("merged.log")
    for name in ("merged.log", "link"):
        done = place.run("--once", "a.log", "-o", name, "--overwrite", *more)
        assert (done.code, done.err.count("\n"), place.read()) == (4, 1, b"a\n"), done.err
        assert f"pid {live.pid}" in done.err
    assert live.stop() == 0
    assert place.run("--once", "a.log", "-o", "merged.log").code == 0


# --status


def rows(out: bytes) -> list[list[str]]:
    return [line.split() for line in out.decode().splitlines()]


def test_status_says_where_each_input_stands(place: Place):
    place.write("a.log", b"a\n")
    place.write("b.log", b"b\n")
    place.run("--once", "a.log", "b.log", "-o", "merged.log")
    place.append("b.log", b"more\n")
    for named in (["-o", "merged.log"], ["--state", "merged.log.tailmerge"]):
        done = place.run("--status", *named)
        assert (done.code, done.err) == (0, "")
        assert rows(done.out) == [
            ["input", "offset", "size", "behind"],
            [str(place / "a.log"), "2", "2", "0"],
            [str(place / "b.log"), "2", "7", "5"],
            ["output", str(place / "merged.log"), "4"],
        ]


def test_status_finds_rotated_files_as_the_next_run_would(place: Place):
    place.write("a.log", b"one\n")
    place.run("--once", "a.log", "-o", "merged.log")
    place.append("a.log", b"late\n")
    (place / "a.log").rename(place / "a.log.1")
    place.write("a.log", b"new\n")
    assert rows(place.run("--status", "-o", "merged.log").out)[1:3] == [
        [str(place / "a.log.1"), "4", "9", "5"],
        [str(place / "a.log"), "0", "4", "4"],
    ]


def test_status_says_what_is_gone(place: Place):
    place.write("a.log", b"one\nhalf")
    place.run("--once", "a.log", "-o", "merged.log")
    (place / "a.log").unlink()
    (place / "merged.log").unlink()
    assert rows(place.run("--status", "-o", "merged.log").out)[1:] == [
        [str(place / "a.log"), "4", "gone", "4"],
        ["output", str(place / "merged.log"), "gone"],
    ]


def test_status_needs_no_lock_and_changes_nothing(place: Place):
    place.write("a.log", b"a\n")
    live = place.follow("a.log", expected=b"a\n")
    before = place.read("merged.log.tailmerge")
    done = place.run("--status", "-o", "merged.log")
    assert (done.code, done.err) == (0, "")
    assert rows(done.out)[1] == [str(place / "a.log"), "2", "2", "0"]
    assert place.read("merged.log.tailmerge") == before
    assert live.stop() == 0


def test_status_without_a_state_is_one_line_and_exit_3(place: Place):
    done = place.run("--status", "-o", "merged.log")
    assert (done.code, done.out, done.err.count("\n")) == (3, b"", 1), done.err
    assert "merged.log.tailmerge" in done.err
    assert os.listdir(place.folder) == []


def test_status_that_cannot_be_written_is_one_line_and_exit_3(place: Place):
    place.write("a.log", b"a\n")
    place.run("--once", "a.log", "-o", "merged.log")
    done = place.shell("$tailmerge --status -o merged.log > /dev/full")
    assert (done.code, done.err.count("\n")) == (3, 1), done.err


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_on_a_closed_standard_output_is_exit_3(place: Place, option: str):
    done = place.shell(f"$tailmerge {option} >&-")
    assert (done.code, done.err.count("\n")) == (3, 1), done.err


# the environment


def test_an_option_can_be_set_in_the_environment(place: Place):
    place.write("a.log", b"1\n2\n")
    place.write("merged.log", b"gone\n")
    env = {
        "TAILMERGE_ONCE": "1",
        "TAILMERGE_OUTPUT": "merged.log",
        "TAILMERGE_LINES": "1",
        "TAILMERGE_OVERWRITE": "1",
        "TAILMERGE_INTERVAL": "0.2",
        "TAILMERGE_ROTATE_WAIT": "1",
        "TAILMERGE_DEBUG": "1",
    }
    done = place.run("a.log", env=env)
    assert (done.code, done.err, place.read()) == (0, "", b"2\n")


def test_the_command_line_wins_over_the_environment(place: Place):
    place.write("a.log", b"1\n2\n")
    assert place.run("-n", "2", "--once", "a.log", env={"TAILMERGE_LINES": "1"}).out == b"1\n2\n"


def test_until_idle_and_pid_can_be_set_in_the_environment(place: Place):
    place.write("a.log", b"a\n")
    assert place.run("a.log", env={"TAILMERGE_UNTIL_IDLE": "0"}).out == b"a\n"
    other = place.start_other(["true"])
    other.wait()
    assert place.run("a.log", env={"TAILMERGE_PID": str(other.pid)}).out == b"a\n"


def test_quiet_and_verbose_can_be_set_in_the_environment(place: Place):
    place.write("a.log", b"a\n")
    assert place.run("--once", "a.log", "x*", env={"TAILMERGE_VERBOSE": "1"}).err
    idle = ("--until-idle", "0", "a.log", "x*")
    assert place.run(*idle, env={"TAILMERGE_QUIET": "1"}).err == ""
    assert place.run(*idle).err


def test_a_switch_that_is_0_in_the_environment_is_off(place: Place):
    place.write("a.log", b"a\n")
    place.write("merged.log", b"kept\n")
    env = {"TAILMERGE_OVERWRITE": "0", "TAILMERGE_QUIET": "0"}
    place.run("--once", "a.log", "-o", "merged.log", env=env)
    assert place.read() == b"kept\na\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TAILMERGE_INTERVAL", "-1"),
        ("TAILMERGE_ONCE", "perhaps"),
        ("TAILMERGE_LINES", "all"),
        ("TAILMERGE_PID", "0"),
    ],
)
def test_a_wrong_value_in_the_environment_is_a_usage_error(place: Place, name: str, value: str):
    place.write("a.log", b"a\n")
    done = place.run("a.log", "--until-idle", "0", env={name: value})
    assert (done.code, done.out, done.err.count("\n")) == (2, b"", 1), done.err


# exit codes


def test_0_when_everything_was_merged(place: Place):
    place.write("a.log", b"a\n")
    done = place.run("--once", "a.log")
    assert (done.code, done.err) == (0, "")


def test_1_when_an_input_could_not_be_read_and_the_rest_was_merged(place: Place):
    place.write("a.log", b"a\n")
    done = place.run("--once", "missing.log", "a.log")
    assert (done.code, done.out) == (1, b"a\n")
    assert done.err == "tailmerge: missing.log: no such file\n"


def test_2_when_nothing_is_left_to_read(place: Place):
    done = place.run("--once", ".")
    assert (done.code, done.out) == (2, b"")
    assert done.err.count("\n") == 1, done.err


def test_3_when_the_output_cannot_be_opened(place: Place):
    place.write("a.log", b"a\n")
    done = place.run("--once", "a.log", "-o", "nowhere/merged.log")
    assert done.code == 3
    assert done.err.count("\n") == 1, done.err


def test_0_when_stopped_although_an_input_is_missing(place: Place):
    place.write("a.log", b"a\n")
    live = place.follow("a.log", "missing.log", expected=b"a\n")
    assert live.stop() == 0, live.err


def test_following_that_ends_by_itself_exits_with_1_while_an_input_is_missing(place: Place):
    place.write("a.log", b"a\n")
    done = place.run("a.log", "missing.log", "--until-idle", "0.1")
    assert (done.code, done.out) == (1, b"a\n"), done.err


def test_following_that_ends_by_itself_exits_with_0_once_the_input_came(place: Place):
    other = place.start_other(["sleep", "60"])
    place.write("a.log", b"a\n")
    live = place.follow("a.log", "late.log", "--pid", str(other.pid), expected=b"a\n")
    live.says("late.log: no such file yet, waiting for it")
    place.append("late.log", b"late\n")
    live.says("late.log: can be read now")
    place.sees(b"a\nlate\n")
    other.kill()
    assert live.ends() == 0, live.err
