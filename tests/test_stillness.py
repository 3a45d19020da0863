"""Folders that are as they were spare looks at names; any change of a name brings them back."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import append

from tailmerge import stillness
from tailmerge.stillness import MOST_FOLDERS, STIRRED_SECONDS, Stillness
from tailmerge.system import System

LATER = 1000.0
"""Seconds after which a folder's time is not of just now."""


class Place:
    def __init__(self, path: str) -> None:
        self.path = path

    def places(self) -> Iterator[tuple[str, str]]:
        yield os.path.split(self.path)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def make(*paths: str) -> Stillness:
    still = Stillness(System(), lambda: time.time() + LATER)
    still.add([Place(os.path.abspath(path)) for path in paths])
    return still


def test_what_was_just_met_is_looked_at_for_a_while() -> None:
    still = make("a.log")
    assert [still.is_still(now) for now in (0.0, 1.0, STIRRED_SECONDS)] == [False, False, True]


@pytest.mark.parametrize(
    "change",
    [
        lambda: os.rename("a.log", "a.log.1"),
        lambda: os.unlink("a.log"),
        lambda: append("new.log", b""),
        lambda: os.rename(os.getcwd(), os.getcwd() + ".old"),
    ],
)
def test_a_change_of_any_name_is_seen_at_once(change: Callable[[], None]) -> None:
    append("a.log", b"1\n")
    still = make("a.log")
    assert [still.is_still(now) for now in (0.0, 10.0)] == [False, True]
    time.sleep(0.02)  # a tick of the clock that folders have
    change()
    assert not still.is_still(20.0)
    assert not still.is_still(20.0 + STIRRED_SECONDS / 2)


def test_what_changed_just_now_may_change_again_in_the_same_tick() -> None:
    still = Stillness(System())
    still.add([Place(os.path.abspath("a.log"))])
    append("a.log", b"1\n")
    assert not any(still.is_still(now) for now in (0.0, 10.0, 20.0))


def test_before_it_is_known_where_all_are_nothing_is_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stillness, "LEARNED", 1)
    still = make("a.log", "b.log", "c.log")
    assert [still.is_still(now) for now in (0.0, 10.0, 20.0)] == [False, False, True]
    still.add([other := Place(os.path.abspath("d.log"))])
    still.forget([other])
    assert still.is_still(30.0)


def test_too_many_folders_are_not_asked() -> None:
    still = make(*(f"{number}/a.log" for number in range(MOST_FOLDERS + 1)))
    assert not any(still.is_still(now) for now in (0.0, 10.0, 20.0))
