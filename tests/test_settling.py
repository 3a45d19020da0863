"""The files of a series in order, and each known for what it is, while their names move."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import append

from tailmerge import run_fully_async
from tailmerge.beside import Beside
from tailmerge.candidates import Candidates
from tailmerge.folders import Folders
from tailmerge.generation import Generation, order_by_age
from tailmerge.keeping import Keeping
from tailmerge.match import Seen
from tailmerge.registry import Registry
from tailmerge.source import open_source
from tailmerge.system import System, identity

OLDER = b"".join(b"older %03d\n" % n for n in range(50))
NEWER = b"".join(b"newer %03d\n" % n for n in range(60))


def make_beside(system: System) -> Beside:
    folders, registry = Folders(system), Registry()
    keeping = Keeping("a.log", os.path.abspath("a.log"), system, registry, folders)
    return Beside(keeping, system, registry, folders)


def see(path: str, *, compressed: bool = False) -> Seen:
    status = os.stat(path)
    file = identity(status)
    return Seen(path, file, status.st_size, status.st_mtime, live=False, compressed=compressed)


def hold(path: str) -> Generation:
    append(path, path.encode())
    return Generation(source=open_source(System(), path), path=path)


def order(held: list[Generation], files: list[Seen], copies: dict[str, str]) -> list[str]:
    """The names that they were held by, in order; `copies` by their originals' names."""
    names = {g: g.source.path for g in held if g.source}
    by_name = {name: g.source.identity for g, name in names.items() if g.source}
    by_name |= {file.path: file.identity for file in files}
    ids = {by_name[original]: by_name[copy] for original, copy in copies.items()}
    return [names[g] for g in order_by_age(held, files, ids)]


def delete(generation: Generation) -> None:
    assert generation.path
    os.unlink(generation.path)
    generation.path = None


def test_what_is_listed_is_in_the_order_of_its_names() -> None:
    held = [hold("a.log.1"), hold("a.log.3"), hold("a.log.2")]
    files = [see(f"a.log.{n}") for n in (3, 2, 1)]
    assert order(held, files, {}) == ["a.log.3", "a.log.2", "a.log.1"]


def test_a_deleted_file_takes_the_place_of_its_copy() -> None:
    held = [hold("a.log.3"), hold("a.log.1"), hold("a.log.2")]
    append("a.log.1.gz", gzip.compress(b"a.log.1"))
    delete(held[1])
    files = [see(f"a.log.{n}") for n in ("3", "2", "1.gz")]
    copies = {"a.log.1": "a.log.1.gz"}
    assert order(held, files, copies) == ["a.log.3", "a.log.2", "a.log.1"]


def test_a_deleted_file_without_a_copy_stays_behind_what_was_before_it() -> None:
    held = [hold("a.log.2"), hold("a.log.1"), hold("a.log.0")]
    delete(held[1])
    assert order(held, [see("a.log.2"), see("a.log.0")], {}) == ["a.log.2", "a.log.1", "a.log.0"]
    delete(held[0])
    assert order(held, [see("a.log.0")], {}) == ["a.log.2", "a.log.1", "a.log.0"]


def test_half_of_another_file_under_its_name_is_no_half_of_this_one() -> None:
    """It was waited for as if somebody wrote it, and newer files were read before it."""
    append("a.log.1.gz", gzip.compress(OLDER))
    seen = see("a.log.1.gz", compressed=True)
    os.rename("a.log.1.gz", "a.log.2.gz")
    append("a.log.1.gz", gzip.compress(NEWER)[:40])
    with Candidates(System(), ()) as candidates, pytest.raises(FileNotFoundError):
        candidates.must_open(seen)


def test_a_folder_tells_that_names_moved_in_it_since_it_was_listed() -> None:
    os.mkdir("old")
    folders = Folders(System())
    folders.name([("", os.getcwd()), ("old", os.path.abspath("old"))])
    here = os.path.abspath("a.log")
    for path in ("a.log.1", "old/a.log.1"):
        append(path, OLDER)
        for folder in (".", "old"):
            os.utime(folder, (1, 1))
        list(folders.find_forms("a.log", here, 0.0))
        assert not folders.has_changed("a.log", here)
        append(path + "0", OLDER)
        assert folders.has_changed("a.log", here)
        folders.forget("a.log", "a.log")


def test_of_many_folders_only_those_are_asked_that_have_something_of_it() -> None:
    folders = Folders(System())
    for name in ("old", "other"):
        os.mkdir(name)
        append(f"{name}/{name}.log.1", OLDER)
    folders.name((name, os.path.abspath(name)) for name in ("old", "other"))
    here = os.path.abspath("old.log")
    for name in ("old", "other"):
        os.utime(name, (1, 1))
    list(folders.find_forms("old.log", here, 0.0))
    os.utime("other", (2, 2))
    assert not folders.has_changed("old.log", here)
    os.utime("old", (2, 2))
    assert folders.has_changed("old.log", here)


def test_a_file_that_is_seen_by_two_names_moved_between_them() -> None:
    """And what has the first one by now was not seen at all."""

    class Renaming(System):
        seen = 0

        def stat(self, path: str) -> os.stat_result:
            status = super().stat(path)
            if path in ("a.log.1", "a.log.2") and not self.seen:
                self.seen = 1
                other = {"a.log.1": "a.log.2", "a.log.2": "a.log.1"}[path]
                os.rename(other, "kept")
                os.rename(path, other)
                os.rename("kept", "a.log.3")
            return status

    append("a.log.1", NEWER)
    append("a.log.2", OLDER)
    beside = make_beside(Renaming())
    assert {file.size for file in beside.find_rotated(0.0)} == {len(OLDER), len(NEWER)}


class Shifting(System):
    """Rotates right behind its listing of this number, all names of which still lead to files."""

    def __init__(self, number: int) -> None:
        self.left = number

    def names(self, folder: str) -> Iterator[str]:
        names = list(super().names(folder))
        self.left -= 1
        if self.left == 0:
            os.rename("a.log.2", "a.log.3")
            os.rename("a.log.1", "a.log.2")
            append("a.log.1", b"last\n")
        return iter(names)


def merge(system: System | None = None, name: str = "a.log") -> bytes:
    how = {"output_path": "m.log", "once": True, "state_path": "m.state"}
    asyncio.run(run_fully_async([name], system=system, **how))
    return Path("m.log").read_bytes()


@pytest.mark.parametrize("number", [1, 2])
def test_a_file_that_got_a_name_that_was_not_listed_comes_first_all_the_same(number: int) -> None:
    append("a.log", OLDER[:200])
    merge()
    append("a.log", OLDER[200:])
    os.rename("a.log", "a.log.2")
    append("a.log.1", NEWER)
    system = Shifting(number)
    merge(system)
    assert system.left <= 0
    assert merge() == OLDER + NEWER + b"last\n"


@pytest.mark.parametrize("pattern", ["a*.log", "a.log*"])
def test_what_is_left_of_a_file_that_is_rotated_away_comes_by_its_pattern(pattern: str) -> None:
    """Nobody made a new one yet; the older file comes first, and nothing twice afterwards."""
    append("a.log", OLDER[:200])
    merge(name=pattern)
    append("a.log", OLDER[200:])
    os.rename("a.log", "a.log.2")
    append("a.log.1", NEWER)
    assert merge(name=pattern) == OLDER + NEWER
    append("a.log", b"last\n")
    assert merge(name=pattern) == OLDER + NEWER + b"last\n"
