"""Rotated names: which file could be an older form of which, and how old."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import Faulty, append, before, fault

from tailmerge.folders import Folders
from tailmerge.rotation import COMPRESSED, age_order, rotated_forms
from tailmerge.system import System

CONTRACT = {
    "NAME.1": "NAME",
    "NAME-20261123": "NAME",
    "NAME-20261123-1795450000": "NAME",
    "NAME.2026-11-23": "NAME",
    "app.1.log": "app.log",
    "app-20261123.log": "app.log",
}
"""The contract's own list of rotated names."""


def bases(name: str) -> list[str]:
    return [form.base for form in rotated_forms(name)]


@pytest.mark.parametrize(("name", "base"), CONTRACT.items())
@pytest.mark.parametrize("suffix", ["", *COMPRESSED])
def test_every_form_of_the_contract_is_rotated(name: str, base: str, suffix: str) -> None:
    assert base in bases(name + suffix)


def test_the_compressions_are_the_contracts() -> None:
    assert set(COMPRESSED) == {".gz", ".bz2", ".xz", ".zst"}


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("app.log.10", "app.log"),
        ("app.log.2026-11-23_10", "app.log"),  # Python's handlers, by the hour
        ("app.log.2026-11-23_10-30-59", "app.log"),
        ("app.log-2026112310", "app.log"),
        ("app.log_2026-11-23", "app.log"),
        ("app.log.20261123T101112", "app.log"),
        ("app-2026-11-23.log", "app.log"),
        ("app.2026-11-23.log", "app.log"),
        ("messages-20261123", "messages"),
        ("my app.log.1", "my app.log"),
        ("new\nline.log.1", "new\nline.log"),
    ],
)
def test_what_other_rotators_write_is_rotated_too(name: str, base: str) -> None:
    assert base in bases(name)


@pytest.mark.parametrize(
    "name",
    [
        "NAME",
        "app.log",
        "app.log.bak",
        "app.log.old",
        "app.log.err",
        "app.log.gz",
        "app.log.1.bak",
        "app.log~",
        "app-server.log",
        "app.log.swp",
        ".1",
        "1",
        "20261123",
        "app.log.123456",
        "app.log-19991399",
    ],
)
def test_other_names_are_no_rotated_forms(name: str) -> None:
    assert not {"NAME", "app.log", "app"} & set(bases(name))


def test_a_compressed_form_and_its_original_are_one_generation() -> None:
    (plain,), (packed,) = list(rotated_forms("a.log.1")), list(rotated_forms("a.log.1.gz"))
    assert plain.generation == packed.generation == "a.log.1"
    assert (plain.compressed, packed.compressed) == (False, True)


def by_age(*names: str) -> list[str]:
    forms = [next(rotated_forms(name)) for name in names]
    return [form.name for form in sorted(forms, key=lambda form: age_order(form, 0.0))]


def test_a_larger_number_is_older() -> None:
    assert by_age("a.log.2", "a.log.10", "a.log.1") == ["a.log.10", "a.log.2", "a.log.1"]


def test_a_later_date_is_newer() -> None:
    expected = ["a-20251231", "a-20261123", "a-20261123-1795450000", "a-20261124"]
    assert by_age(*reversed(expected)) == expected


def test_a_compressed_form_comes_before_its_original() -> None:
    assert by_age("a.log.1", "a.log.1.gz", "a.log.2") == ["a.log.2", "a.log.1.gz", "a.log.1"]


def test_where_names_say_nothing_the_time_of_the_last_write_decides() -> None:
    (form,) = rotated_forms("a.log.1")
    assert age_order(form, 1.0) < age_order(form, 2.0)


def test_a_folder_is_listed_by_what_rotated_from_what(tmp_path: Path) -> None:
    for name in ("a.log", "a.log.1", "a.log.2.gz", "a.log.bak", "b.log.1"):
        append(tmp_path / name, b"x\n")
    folders = Folders(System())
    found = folders.find_rotated(str(tmp_path / "a.log"), 1.0)
    assert {form.name for form in found} == {"a.log.1", "a.log.2.gz"}
    assert [form.name for form in folders.find_rotated(str(tmp_path / "b.log"), 1.0)] == ["b.log.1"]


def test_one_listing_serves_all_who_ask_for_the_same_moment(tmp_path: Path) -> None:
    counted = before(lambda: None)
    system = Faulty(names=[counted, counted])
    folders = Folders(system)
    for name in ("a.log", "b.log", "c.log"):
        folders.find_rotated(str(tmp_path / name), 1.0)
    folders.find_rotated(str(tmp_path / "a.log"), 0.5)
    assert system.fired == ["names"]


def test_one_listing_serves_all_who_asked_before_it_was_made(tmp_path: Path) -> None:
    """Each of n inputs listed all n names: 1,500 files took four seconds to begin with."""
    counted = before(lambda: None)
    system = Faulty(names=[counted, counted])
    now = 5.0
    folders = Folders(system, lambda: now)
    for asked in (1.0, 2.0, 5.0):
        folders.find_rotated(str(tmp_path / "a.log"), asked)
    assert system.fired == ["names"]
    append(tmp_path / "a.log.1", b"x\n")
    now = 7.0
    assert [f.name for f in folders.find_rotated(str(tmp_path / "a.log"), 6.0)] == ["a.log.1"]


def test_a_listing_from_before_is_not_used(tmp_path: Path) -> None:
    folders = Folders(System())
    assert folders.find_rotated(str(tmp_path / "a.log"), 1.0) == []
    append(tmp_path / "a.log.1", b"x\n")
    assert [f.name for f in folders.find_rotated(str(tmp_path / "a.log"), 2.0)] == ["a.log.1"]


def test_a_relative_name_is_looked_for_in_the_current_folder() -> None:
    append("a.log.1", b"x\n")
    assert [f.name for f in Folders(System()).find_rotated("a.log", 1.0)] == ["a.log.1"]


def test_a_folder_that_is_closed_to_us_has_nothing_in_it(tmp_path: Path) -> None:
    append(tmp_path / "a.log.1", b"x\n")
    system = Faulty(names=[fault(13)])
    assert Folders(system).find_rotated(str(tmp_path / "a.log"), 1.0) == []
    assert system.spent
