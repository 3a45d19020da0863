"""Names that are links: to a dated file beside them, or into another folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from processes import Live, Place

pytest_plugins = ["processes"]

Link = Callable[[str, str], None]


@pytest.fixture(params=["symlink", "link"])
def point(place: Place, request: pytest.FixtureRequest) -> Link:
    """Makes one name lead to the file of another one, as `ln -f` or `ln -sf` does."""
    make = getattr(os, request.param)

    def link(name: str, file: str) -> None:
        target = file if request.param == "symlink" else place / file
        make(target, place / "next")
        os.replace(place / "next", place / name)

    return link


def merge(place: Place, *names: str) -> bytes:
    done = place.run("--once", *names, "-o", "merged.log")
    assert (done.code, done.err) == (0, ""), done
    return place.read()


@pytest.mark.parametrize("name", ["a.log", "a.log*"])
def test_a_link_to_a_dated_file(place: Place, point: Link, name: str):
    """cronolog --symlink, rotatelogs -L: nobody renames a file."""
    place.write("a.log-20261130", b"1\n")
    point("a.log", "a.log-20261130")
    assert merge(place, name) == b"1\n"
    place.append("a.log-20261130", b"2\n")
    place.write("a.log-20261201", b"3\n")
    place.write("a.log-20261202", b"4\n")
    point("a.log", "a.log-20261202")
    assert merge(place, name) == b"1\n2\n3\n4\n"
    place.append("a.log-20261202", b"5\n")
    assert merge(place, name) == b"1\n2\n3\n4\n5\n"


def test_a_file_that_is_renamed_and_linked_to(place: Place, point: Link):
    place.write("a.log", b"1\n")
    assert merge(place, "a.log") == b"1\n"
    os.rename(place / "a.log", place / "a.log.1")
    point("a.log", "a.log.1")
    place.append("a.log", b"2\n")
    assert merge(place, "a.log") == b"1\n2\n"


def test_a_link_to_a_dated_file_while_it_is_followed(place: Place, point: Link):
    place.write("a.log-20261130", b"1\n")
    point("a.log", "a.log-20261130")
    live: Live = place.follow("a.log", expected=b"1\n")
    place.write("a.log-20261201", b"2\n")
    point("a.log", "a.log-20261201")
    place.sees(b"1\n2\n")
    place.append("a.log-20261130", b"late\n")
    place.sees(b"1\n2\nlate\n")
    assert live.stop() == 0
    assert merge(place, "a.log") == b"1\n2\nlate\n"


def test_the_status_shows_a_file_with_two_names_once(place: Place, point: Link):
    place.write("a.log-20261201", b"1\n")
    point("a.log", "a.log-20261201")
    merge(place, "a.log")
    shown = place.run("--status", "-o", "merged.log").out.decode()
    assert [line.split()[1:] for line in shown.splitlines()[1:-1]] == [["2", "2", "0"]]
