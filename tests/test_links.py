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


def test_a_container_s_log_is_rotated_where_it_stands(place: Place):
    """/var/log/containers/web.log leads into a pod's folder, where the kubelet renames it."""
    place.write("pods/0.log", b"1\n")
    (place / "containers").mkdir()
    os.symlink("../pods/0.log", place / "containers/web.log")
    assert merge(place, "containers/*.log") == b"1\n"
    place.append("pods/0.log", b"2\n")
    os.rename(place / "pods/0.log", place / "pods/0.log.20261201-120000")
    place.write("pods/0.log", b"3\n")
    assert merge(place, "containers/*.log") == b"1\n2\n3\n"
    place.append("pods/0.log.20261201-120000", b"late\n")
    assert merge(place, "containers/*.log") == b"1\n2\n3\nlate\n"
    place.append("pods/0.log", b"4\n")
    place.write("pods/1.log", b"5\n")
    os.symlink("../pods/1.log", place / "next")
    os.replace(place / "next", place / "containers/web.log")  # it started again
    assert merge(place, "containers/*.log") == b"1\n2\n3\nlate\n4\n5\n"


def test_what_rotated_beside_a_link_s_file_before_the_first_run_is_passed_over(place: Place):
    place.write("pods/0.log.20261130-120000", b"old\n")
    place.write("pods/0.log", b"1\n")
    os.symlink("pods/0.log", place / "web.log")
    assert merge(place, "web.log") == b"1\n"
    assert merge(place, "web.log") == b"1\n"


def test_what_rotated_beside_it_is_the_others_where_that_is_an_input_too(place: Place):
    place.write("pods/0.log.20261130-120000", b"old\n")
    place.write("pods/0.log", b"1\n")
    os.symlink("pods/0.log", place / "web.log")
    names = ("-q", "web.log", "pods/0.log*")
    assert place.run("--once", *names, "-o", "merged.log").code == 0
    assert sorted(place.read().splitlines()) == [b"1", b"old"]
    os.rename(place / "pods/0.log", place / "pods/0.log.20261201-120000")
    place.append("pods/0.log.20261201-120000", b"2\n")
    place.write("pods/0.log", b"3\n")
    for _ in range(2):
        assert place.run("--once", *names, "-o", "merged.log").code == 0
        assert sorted(place.read().splitlines()) == [b"1", b"2", b"3", b"old"]


def test_a_link_of_the_same_name_that_led_into_another_folder(place: Place):
    place.write("one/web.log", b"1\n")
    place.write("two/web.log", b"")
    os.symlink("one/web.log", place / "web.log")
    assert merge(place, "web.log") == b"1\n"
    place.append("one/web.log", b"2\n")
    os.rename(place / "one/web.log", place / "one/web.log.1")
    place.append("one/web.log", b"3\n")
    place.append("two/web.log", b"4\n")
    os.symlink("two/web.log", place / "next")
    os.replace(place / "next", place / "web.log")
    assert merge(place, "web.log") == b"1\n2\n3\n4\n"


def test_two_links_to_one_file_that_is_rotated(place: Place):
    place.write("pods/0.log", b"1\n")
    for name in ("a.log", "b.log"):
        os.symlink("pods/0.log", place / name)
    for names in (("-q", "a.log", "b.log"), ("-q", "b.log", "a.log")):
        place.run("--once", *names, "-o", "merged.log")
        assert place.read() == b"1\n"
    os.rename(place / "pods/0.log", place / "pods/0.log.1")
    place.append("pods/0.log.1", b"2\n")
    place.write("pods/0.log", b"3\n")
    for names in (("-q", "b.log", "a.log"), ("-q", "a.log", "b.log")):
        place.run("--once", *names, "-o", "merged.log")
        assert place.read() == b"1\n2\n3\n"


def test_the_newest_of_dated_files_by_a_link_of_another_name(place: Place):
    """`current.log -> app-20261201.log`: the days between two runs are not left out."""
    place.write("app-20261130.log", b"1\n")
    os.symlink("app-20261130.log", place / "current.log")
    assert merge(place, "current.log") == b"1\n"
    place.append("app-20261130.log", b"2\n")
    place.write("app-20261201.log", b"3\n")
    place.write("app-20261202.log", b"4\n")
    os.remove(place / "current.log")
    os.symlink("app-20261202.log", place / "current.log")
    assert merge(place, "current.log") == b"1\n2\n3\n4\n"


def test_a_file_that_is_an_input_of_its_own_is_no_link_s(place: Place):
    place.write("app-20261130.log", b"1\n")
    place.write("app-20261201.log", b"2\n")
    os.symlink("app-20261201.log", place / "current.log")
    names = ("-q", "current.log", "app-*.log")
    for _ in range(2):
        assert place.run("--once", *names, "-o", "merged.log").code == 0
        assert sorted(place.read().splitlines()) == [b"1", b"2"]
    place.write("app-20261202.log", b"3\n")
    os.remove(place / "current.log")
    os.symlink("app-20261202.log", place / "current.log")
    for _ in range(2):
        assert place.run("--once", *names, "-o", "merged.log").code == 0
        assert sorted(place.read().splitlines()) == [b"1", b"2", b"3"]


def test_a_killed_run_of_a_linked_log_goes_on_where_it_is_rotated(place: Place):
    place.write("pods/0.log", b"1\n")
    os.symlink("pods/0.log", place / "web.log")
    live: Live = place.follow("web.log", expected=b"1\n")
    os.rename(place / "pods/0.log", place / "pods/0.log.1")
    place.write("pods/0.log", b"2\n")
    place.sees(b"1\n2\n")
    live.kill()
    place.append("pods/0.log.1", b"late\n")
    os.rename(place / "pods/0.log", place / "pods/0.log.2")
    os.rename(place / "pods/0.log.1", place / "pods/0.log.3")
    place.append("pods/0.log.2", b"3\n")
    os.unlink(place / "web.log")
    place.write("pods/1.log", b"4\n")
    os.symlink("pods/1.log", place / "web.log")
    assert sorted(merge(place, "web.log").splitlines()) == [b"1", b"2", b"3", b"4", b"late"]
    shown = place.run("--status", "-o", "merged.log").out.decode()
    assert {line.split()[-1] for line in shown.splitlines()[1:-1]} == {"0"}


def test_a_loop_of_links_is_said(place: Place):
    os.symlink("b.log", place / "a.log")
    os.symlink("a.log", place / "b.log")
    place.write("c.log", b"1\n")
    done = place.run("--once", "a.log", "c.log", "-o", "merged.log")
    assert place.read() == b"1\n"
    assert "a.log: " in done.err
