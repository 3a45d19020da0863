"""Names and patterns to inputs: what there is to follow, each thing once."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from helpers import Faulty, append, fault, said

from tailmerge import run, run_fully_async
from tailmerge.discover import (
    MOST_PASSED,
    PASSED_SHARE,
    STDIN,
    Discovery,
    Kind,
    Unchanged,
    discover,
    group_rotated,
    is_pattern,
)
from tailmerge.system import System


def look(*names: str, system: System | None = None) -> Discovery:
    return discover(names, system or System())


def kinds(discovery: Discovery) -> dict[str, Kind]:
    return {found.name: found.kind for found in discovery.found}


def make(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        append(name, b"x\n")


def test_inputs_are_found_in_the_order_in_which_they_were_given() -> None:
    make("b.log", "a.log")
    assert list(kinds(look("b.log", "a.log"))) == ["b.log", "a.log"]


def test_a_patterns_matches_come_by_name_where_the_pattern_stands() -> None:
    make("z.log", "2.txt", "1.txt", "a.log")
    assert list(kinds(look("z.log", "*.txt", "a.log"))) == ["z.log", "1.txt", "2.txt", "a.log"]


def test_what_is_matched_and_named_is_found_once_where_it_came_first() -> None:
    make("a.log", "b.log")
    found = look("b.log", "*.log", "?.log").found
    assert [(f.name, f.matched) for f in found] == [("b.log", False), ("a.log", True)]


def test_two_stars_match_folders_below() -> None:
    make("a.log", "one/b.log", "one/two/c.log")
    assert set(kinds(look("**/*.log"))) == {"a.log", "one/b.log", "one/two/c.log"}


def test_a_pattern_without_a_match_is_told_and_is_no_input() -> None:
    discovery = look("*.log")
    assert (discovery.found, discovery.unmatched) == ((), ("*.log",))


@pytest.mark.parametrize("name", ["a[1].log", "what?.log", "*.log"])
def test_a_file_whose_name_looks_like_a_pattern_is_that_file(name: str) -> None:
    make(name, "a1.log")
    (found,) = look(name).found
    assert (found.name, found.kind, found.matched) == (name, Kind.FILE, False)


def test_a_name_without_magic_is_no_pattern() -> None:
    assert not is_pattern("a.log")
    assert not is_pattern(STDIN)
    assert is_pattern("[ab].log")


def test_every_kind_of_thing_is_told() -> None:
    make("a.log")
    os.mkfifo("pipe")
    os.mkdir("folder")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert kinds(look("a.log", "pipe", "folder", "socket", "/dev/null", "-", "none")) == {
            "a.log": Kind.FILE,
            "pipe": Kind.PIPE,
            "folder": Kind.DIRECTORY,
            "socket": Kind.SOCKET,
            "/dev/null": Kind.STREAM,
            "-": Kind.STDIN,
            "none": Kind.MISSING,
        }


def test_an_unnamed_pipe_is_a_stream_that_has_no_next_writer() -> None:
    """`tailmerge <(command)`."""
    reading, writing = os.pipe()
    (found,) = look(f"/proc/self/fd/{reading}").found
    os.close(reading)
    os.close(writing)
    assert found.kind is Kind.STREAM


def test_a_file_where_a_folder_is_needed_is_missing() -> None:
    make("a.log")
    assert kinds(look("a.log/b.log")) == {"a.log/b.log": Kind.MISSING}


def test_a_symlink_that_leads_nowhere_is_missing() -> None:
    os.symlink("none", "link.log")
    assert kinds(look("*.log")) == {"link.log": Kind.MISSING}


def test_what_cannot_be_looked_at_is_unreadable_and_says_why() -> None:
    make("a.log")
    system = Faulty(stat=[fault(13)])
    (found,) = look("a.log", system=system).found
    assert system.spent
    assert found.kind is Kind.UNREADABLE
    assert isinstance(found.error, PermissionError)
    assert found.identity is None


def test_two_names_of_one_file_have_one_identity() -> None:
    make("a.log")
    os.link("a.log", "hard.log")
    os.symlink("a.log", "soft.log")
    assert len({found.identity for found in look("a.log", "hard.log", "soft.log").found}) == 1


def test_known_names_are_not_looked_at_again() -> None:
    make("a.log", "b.log")
    found = discover(["*.log"], System(), frozenset({"a.log"})).found
    assert [f.name for f in found] == ["b.log"]


def test_a_pattern_whose_matches_are_all_known_is_not_unmatched() -> None:
    make("a.log")
    discovery = discover(["*.log"], System(), frozenset({"a.log"}))
    assert (discovery.found, discovery.unmatched) == ((), ())


# rotated forms among the inputs


def groups_of(names: Sequence[str]) -> dict[str, list[str]]:
    return group_rotated({name: os.path.abspath(name) for name in names})


@pytest.mark.parametrize("spelling", ["./a.log", "{here}/a.log", "../{name}/a.log"])
def test_rotated_forms_belong_however_their_folder_is_spelled(spelling: str) -> None:
    """`tailmerge ./a.log a.log.1`: a.log.1 was an input of its own."""
    here = Path.cwd()
    live = spelling.format(here=here, name=here.name)
    rotated = os.path.join(os.path.dirname(live), "a.log.1")
    assert groups_of(["a.log.1", live]) == {live: [rotated]}


def test_a_name_given_in_two_spellings_is_an_input_of_its_own_in_both() -> None:
    assert set(groups_of(["a.log", "./a.log"])) == {"a.log", "./a.log"}


def test_rotated_forms_belong_to_the_input_they_came_from() -> None:
    assert groups_of(["a.log.1", "a.log", "a.log.2.gz", "b.log"]) == {
        "a.log": ["a.log.1", "a.log.2.gz"],
        "b.log": [],
    }


def test_a_rotated_form_without_its_input_is_an_input() -> None:
    assert groups_of(["a.log.1", "b.log"]) == {"a.log.1": [], "b.log": []}


def test_rotated_forms_in_another_folder_that_was_named_belong_to_the_input() -> None:
    """logrotate's olddir: they were inputs of their own, and came twice."""
    (belonging,) = groups_of(["one/a.log", "two/a.log.1"]).values()
    assert [os.path.abspath(name) for name in belonging] == [os.path.abspath("two/a.log.1")]


def test_a_rotated_form_of_a_rotated_form_belongs_to_the_input() -> None:
    groups = groups_of(["a.log", "a.log.1", "a.log.1.1"])
    assert set(groups) in ({"a.log"}, {"a.log", "a.log.1.1"})
    assert sorted(name for names in groups.values() for name in names) == sorted(
        {"a.log.1", "a.log.1.1"} - set(groups)
    )


def test_a_dated_form_before_the_suffix_belongs_too() -> None:
    assert groups_of(["app.log", "app-20261123.log", "app.1.log"]) == {
        "app.log": ["app-20261123.log", "app.1.log"]
    }


def test_every_name_is_in_exactly_one_group() -> None:
    names = ["a.log", "a.log.1", "a.1.log", "a.log-20261123", "a.log.bak", "a", "a.1"]
    groups = groups_of(names)
    assert sorted([*groups, *(name for rotated in groups.values() for name in rotated)]) == sorted(
        names
    )


def test_a_folder_that_did_not_change_is_not_listed_again_but_now_and_then() -> None:
    Path("a.log").write_bytes(b"")
    later = [time.time() + 10]
    unchanged = Unchanged(System(), lambda: later[0])
    ask = partial(discover, ["*.log"], System(), frozenset(), unchanged)
    found = [len(ask().found) for _ in range(MOST_PASSED + 3)]
    assert found == [1, *[0] * MOST_PASSED, 1, 0]
    Path("b.log").write_bytes(b"")
    os.utime(".", (1, 1))  # whatever its time is: it is another one
    assert [file.name for file in ask().found] == ["a.log", "b.log"]


def test_the_longer_a_look_takes_the_seldomer_it_is_taken() -> None:
    """What it takes to pass over known names counts, too."""

    class Slow(frozenset[str]):
        def __contains__(self, name: object) -> bool:
            begun = time.thread_time()
            while time.thread_time() - begun < 3 * MOST_PASSED / PASSED_SHARE:
                pass
            return True

    Path("a.log").write_bytes(b"")
    folders = []
    unchanged = Unchanged(System(), lambda: time.time() + 10)
    for _ in range(3 * MOST_PASSED):
        folders += discover(["*.log"], System(), Slow(), unchanged).folders
    assert len(folders) == 1, "it was listed again"


def test_a_folder_that_was_changed_just_now_is_listed_again() -> None:
    """A name that comes in the same tick of its clock leaves no other time."""
    Path("a.log").write_bytes(b"")
    unchanged = Unchanged(System())
    assert [len(discover(["*.log"], System(), frozenset(), unchanged).found) for _ in "abc"] == [
        *[1] * 3
    ]


def test_a_pattern_over_several_folders_is_asked_for_each_time() -> None:
    os.makedirs("one")
    Path("one/a.log").write_bytes(b"")
    unchanged = Unchanged(System(), lambda: time.time() + 10)
    ask = partial(discover, ["*/*.log"], System(), frozenset(), unchanged)
    assert [len(ask().found) for _ in "abc"] == [1, 1, 1]


def test_what_is_not_read_is_said_once_however_often_the_pattern_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "DISCOVER_SECONDS", 0.01)
    Path("d.log").mkdir()
    Path("a.log").write_bytes(b"a line\n")
    Path("b.log").write_bytes(b"of the output\n")
    os.mkfifo("p.log")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.log")
        words, report = said()
        merged = run_fully_async(["*.log"], 0.01, "b.log", report=report, until_idle=0.5)
        asyncio.run(merged)
    assert len(set(words)) == len(words)
    assert {"b.log: is the output, skipped", "s.log: is a socket, not read"} <= set(words), words
    assert Path("b.log").read_bytes() == b"of the output\na line\n"


def recall(*names: str, remembered: tuple[str, ...]) -> list[tuple[str, Kind]]:
    absolute = [os.path.abspath(name) for name in remembered]
    found = discover(names, System(), remembered=absolute).found
    return [(file.name, file.kind) for file in found]


def test_a_file_that_was_read_and_is_rotated_away_is_found_by_its_pattern() -> None:
    """Or what rotated from it would be an input of its own, the newest file before the older."""
    append("a.log.1", b"1\n")
    assert recall("a.log*", remembered=("a.log",)) == [
        ("a.log.1", Kind.FILE),
        ("a.log", Kind.MISSING),
    ]
    assert recall("a*.log", remembered=("a.log",)) == [("a.log", Kind.MISSING)]
    assert recall("./?.log", remembered=("a.log",)) == [("./a.log", Kind.MISSING)]
    assert recall("a.log.*", remembered=("a.log",)) == [("a.log.1", Kind.FILE)]
    assert recall("**", remembered=("a.log",)) == recall("a.log*", remembered=("a.log",))
    assert recall("*.log", remembered=()) == []
    assert recall("a.log.1", remembered=("a.log",)) == [("a.log.1", Kind.FILE)]


def test_a_file_that_was_read_and_left_no_rotated_form_is_gone() -> None:
    """Ten thousand containers may have come and gone."""
    append("b.log", b"1\n")
    assert recall("*.log", remembered=("a.log",)) == [("b.log", Kind.FILE)]


def test_a_form_in_a_folder_that_is_named_too_tells_of_the_file_that_was_read() -> None:
    os.mkdir("old")
    append("old/a.log.1", b"1\n")
    assert recall("*.log", "old/*", remembered=("a.log",)) == [
        ("old/a.log.1", Kind.FILE),
        ("a.log", Kind.MISSING),
    ]


def test_a_form_beside_its_own_file_tells_of_no_file_in_another_folder() -> None:
    """As of pods, whose logs all have the same name."""
    for name in "12":
        os.mkdir(name)
    append("1/0.log", b"1\n")
    append("1/0.log.1", b"1\n")
    assert ("2/0.log", Kind.MISSING) not in recall("?/0.log*", remembered=("2/0.log",))


def test_a_hidden_file_that_was_read_is_found_by_a_pattern_of_hidden_ones_alone() -> None:
    append(".a.log.1", b"1\n")
    assert recall("*.log", remembered=(".a.log",)) == []
    assert recall(".*.log", remembered=(".a.log",)) == [(".a.log", Kind.MISSING)]
