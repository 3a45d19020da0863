"""The first look at an input of which there is one file: few calls, and nothing overlooked."""

from __future__ import annotations

import collections
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Faulty, append, before, fault

from tailmerge.folders import Folders
from tailmerge.generation import Look, News
from tailmerge.registry import Registry
from tailmerge.series import Series, begin_looks, confirm
from tailmerge.state import Entry
from tailmerge.system import System

Calls = collections.Counter[str]


class Counting(System):
    """Counts the calls that open, ask and read."""

    def __init__(self) -> None:
        self.calls: Calls = collections.Counter()


for _name in ("open", "stat", "fstat", "read_at"):

    def _count(self: Counting, *args: Any, _name: str = _name) -> Any:
        if args != (".",):  # a folder is asked for once for all inputs
            self.calls[_name] += 1
        return getattr(System, _name)(self, *args)

    setattr(Counting, _name, _count)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    made.clear()
    yield
    for series in made:
        series.close()


made: list[Series] = []


def make(system: System, entries: tuple[Entry, ...] = (), **how: Any) -> Series:
    made.append(Series("a.log", system, Registry(), Folders(system), entries=entries, **how))
    return made[-1]


def leave(data: bytes, size: int | None = None) -> tuple[Entry, ...]:
    """What an earlier run leaves that forwarded so many bytes of a file that holds these."""
    append("a.log", data)
    series = make(System())
    [(source, _)] = series.look(0.0).reads
    source.start_at(len(data) if size is None else size)
    return tuple(series.keeping.entries())


def paths(look: Look) -> list[str]:
    return [source.path for source, _ in look.reads]


def test_a_new_file_takes_few_calls() -> None:
    append("a.log", b"1\n" * 9000)
    system = Counting()
    series = make(system)
    look = series.look(0.0)
    assert look.is_plain
    assert paths(look) == ["a.log"]
    assert system.calls == {"stat": 1, "open": 1, "fstat": 2, "read_at": 1}
    assert series.stands()
    assert series.probe(0.0) is News.NONE


def test_what_its_name_was_found_to_lead_to_is_not_asked_for_again() -> None:
    append("a.log", b"1\n")
    system = Counting()
    assert make(system, status=os.stat("a.log")).look(0.0).is_plain
    assert system.calls == {"open": 1, "fstat": 2, "read_at": 1}


@pytest.mark.parametrize(("lines", "reads"), [(3, 1), (9000, 2)])
def test_a_file_that_was_left_as_it_is_takes_no_more(lines: int, reads: int) -> None:
    entries, system = leave(b"1\n" * lines), Counting()
    series = make(system, entries)
    look = series.look(0.0)
    assert look.is_plain
    assert look.is_read
    assert system.calls == {"stat": 1, "open": 1, "fstat": 1, "read_at": reads}
    [(source, _)] = look.reads
    assert (source.offset, source.number) == (2 * lines, entries[0].position.number)
    assert source.is_unchanged()
    assert next(iter(series.keeping.entries())).position == entries[0].position


@pytest.mark.parametrize("data", [b"1\n" * 3000, b"x\n" + b"1\n" * 5000, b"1\n" * 4999 + b"x\n"])
def test_what_does_not_hold_what_was_left_is_new(data: bytes) -> None:
    entries = leave(b"1\n" * 5000)
    Path("a.log").write_bytes(data)
    [(source, size)] = make(System(), entries).look(0.0).reads
    assert (source.offset, size) == (0, len(data))


@pytest.mark.parametrize("data", [b"", b"\xff\xfe1\0", b"BZh9" + b"0" * 50])
def test_what_is_not_read_like_most_files_is_left_to_the_look(data: bytes) -> None:
    append("a.log", data)
    look = make(System()).look(0.0)
    assert (look.error is not None) == data.startswith(b"BZ")
    assert bool(look.reads) == data.startswith(b"\xff")


def test_a_rotated_form_beside_it_is_passed_over_as_ever() -> None:
    append("a.log.1", b"0\n")
    append("a.log", b"1\n")
    series = make(System())
    assert paths(series.look(0.0)) == ["a.log"]
    assert len(series.keeping.rotated) == 1


def rename() -> None:
    os.rename("a.log", "a.log.1")
    append("a.log", b"new\n")


def rename_only() -> None:
    os.rename("a.log", "a.log.1")


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("rotate", [rename, rename_only])
def test_a_rotation_in_the_middle_is_followed_the_older_file_first(
    known: bool, rotate: Callable[[], None]
) -> None:
    """The folder was listed a moment before."""
    entries = leave(b"1\n2\n", 2) if known else ()
    if not known:
        append("a.log", b"1\n2\n")
    system = Faulty(open=[before(rotate)])
    series = make(system, entries)
    found = paths(series.look(0.0)) or paths(series.look(0.1))
    assert system.spent
    assert found == ["a.log.1", "a.log"][: 2 if rotate is rename else 1]
    assert series.keeping.rotated[0].source
    assert series.keeping.rotated[0].source.offset == (2 if known else 0)


def test_a_rotation_since_its_name_was_found_is_followed_too() -> None:
    """Ten thousand are looked at one after the other, and the folder is listed once."""
    append("a.log", b"1\n")
    status = os.stat("a.log")
    system = System()
    folders = Folders(system)
    assert list(folders.find_forms("a.log", os.path.abspath("a.log"), 0.0)) == []
    rename()
    made.append(Series("a.log", system, Registry(), folders, status=status))
    assert paths(made[-1].look(0.0)) == ["a.log.1", "a.log"]


@pytest.mark.parametrize("call", ["open", "fstat", "read_at"])
def test_a_copytruncate_in_the_middle_is_followed_the_older_content_first(call: str) -> None:
    def rotate() -> None:
        shutil.copyfile("a.log", "a.log.1")
        os.truncate("a.log", 0)
        append("a.log", b"3\n")

    append("a.log", b"1\n2\n")
    system = Faulty(**{call: [before(rotate)]})
    series = make(system)
    assert paths(series.look(0.0)) == ["a.log.1", "a.log"]
    assert system.spent


def test_what_was_met_and_then_renamed_to_another_input_is_looked_at_once_more() -> None:
    """It was taken over by that one, and the look at what it had been failed."""
    append("a.log", b"1\n")
    append("b.log", b"")
    system, registry = System(), Registry()
    folders = Folders(system)
    a, b = (
        Series(name, system, registry, folders, status=os.stat(name)) for name in ("a.log", "b.log")
    )
    made.extend((a, b))
    append("a.log", b"2\n")
    first = begin_looks([a], 0.0)
    assert first == [None]
    os.rename("a.log", "b.log")
    assert paths(b.look(0.0)) == ["b.log"]
    [look] = confirm([a], 0.0)
    assert look.reads == ()
    assert look.missing


def test_what_grew_since_it_was_found_is_no_news() -> None:
    append("a.log", b"1\n")
    status = os.stat("a.log")
    append("a.log", b"2\n")
    series = make(System(), status=status)
    assert series.look(0.0).reads[0][1] == 4
    assert series.stands()


@pytest.mark.parametrize("call", ["stat", "names", "open", "fstat", "read_at"])
@pytest.mark.parametrize("known", [False, True])
def test_an_error_leaves_it_to_the_look_and_nothing_open(call: str, known: bool) -> None:
    entries = leave(b"1\n") if known else ()
    if not known:
        append("a.log", b"1\n")
    made[0].close() if known else None
    made.clear()
    count = len(os.listdir("/proc/self/fd"))
    system = Faulty(**{call: [fault(5)]})
    series = make(system, entries)
    assert paths(series.look(0.0)) == ["a.log"]
    assert system.spent
    assert len(os.listdir("/proc/self/fd")) == count + 1
