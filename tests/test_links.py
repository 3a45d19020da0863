"""Names that are links: to a dated file beside them, or into another folder."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from helpers import append

from tailmerge import run_fully_async
from tailmerge.links import MOST, Links, read_lead
from tailmerge.match import Seen, leave_strangers
from tailmerge.system import System, identity

if TYPE_CHECKING:
    from processes import Live, Place

pytest_plugins = ["processes"]

Link = Callable[[str, str], None]

EARLIER = time.time() - 3600


@pytest.fixture(params=["symlink", "link"])
def point(place: Place, request: pytest.FixtureRequest) -> Link:
    """Makes one name lead to the file of another one, as `ln -f` or `ln -sf` does."""
    make = getattr(os, request.param)

    def link(name: str, file: str) -> None:
        target = file if request.param == "symlink" else place / file
        make(target, place / "next")
        os.replace(place / "next", place / name)

    return link


def lead(place: Place, name: str, file: str) -> None:
    """Point a symbolic link elsewhere, as `ln -sfn` does."""
    os.symlink(file, place / "next")
    os.replace(place / "next", place / name)


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
    lead(place, "containers/web.log", "../pods/0.log")
    assert merge(place, "containers/*.log") == b"1\n"
    place.append("pods/0.log", b"2\n")
    os.rename(place / "pods/0.log", place / "pods/0.log.20261201-120000")
    place.write("pods/0.log", b"3\n")
    assert merge(place, "containers/*.log") == b"1\n2\n3\n"
    place.append("pods/0.log.20261201-120000", b"late\n")
    assert merge(place, "containers/*.log") == b"1\n2\n3\nlate\n"
    place.append("pods/0.log", b"4\n")
    place.write("pods/1.log", b"5\n")
    lead(place, "containers/web.log", "../pods/1.log")  # it started again
    assert merge(place, "containers/*.log") == b"1\n2\n3\nlate\n4\n5\n"


def test_what_rotated_beside_a_link_s_file_before_the_first_run_is_passed_over(place: Place):
    place.write("pods/0.log.20261130-120000", b"old\n")
    place.write("pods/0.log", b"1\n")
    lead(place, "web.log", "pods/0.log")
    assert merge(place, "web.log") == b"1\n"
    assert merge(place, "web.log") == b"1\n"


def test_what_rotated_beside_it_is_the_others_where_that_is_an_input_too(place: Place):
    place.write("pods/0.log.20261130-120000", b"old\n")
    place.write("pods/0.log", b"1\n")
    lead(place, "web.log", "pods/0.log")
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
    lead(place, "web.log", "one/web.log")
    assert merge(place, "web.log") == b"1\n"
    place.append("one/web.log", b"2\n")
    os.rename(place / "one/web.log", place / "one/web.log.1")
    place.append("one/web.log", b"3\n")
    place.append("two/web.log", b"4\n")
    lead(place, "web.log", "two/web.log")
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


def test_a_link_that_leads_to_the_newest_of_dated_files(place: Place):
    """`current.log -> app-20261201.log`: what it led to before is read to its end."""
    place.write("app.log", b"another log\n")
    place.write("app-20261130.log", b"1\n")
    lead(place, "current.log", "app-20261130.log")
    assert merge(place, "current.log") == b"1\n"
    place.append("app-20261130.log", b"2\n")
    place.write("app-20261201.log", b"3\n")
    lead(place, "current.log", "app-20261201.log")
    assert merge(place, "current.log") == b"1\n2\n3\n"
    os.rename(place / "app-20261201.log", place / "app-20261201.log.1")
    place.append("app-20261201.log.1", b"4\n")
    place.write("app-20261201.log", b"5\n")
    assert merge(place, "current.log") == b"1\n2\n3\n4\n5\n"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("worker.1.log", "worker.2.log"),
        ("app-20261201.log", "app-20261130.log"),
        ("app.log", "app.1.log"),
        ("app.log", "app.log.1"),
    ],
)
def test_two_links_to_files_of_which_one_could_be_rotated(place: Place, first: str, second: str):
    place.write(f"d/{first}", b"1\n")
    place.write(f"d/{second}", b"2\n")
    os.symlink(f"d/{first}", place / "a.log")
    os.symlink(f"d/{second}", place / "b.log")
    assert sorted(merge(place, "a.log", "b.log").splitlines()) == [b"1", b"2"]
    shown = place.run("--status", "-o", "merged.log").out.decode()
    assert [line.split()[1:] for line in shown.splitlines()[1:-1]] == [["2", "2", "0"]] * 2
    place.append(f"d/{first}", b"3\n")
    place.append(f"d/{second}", b"4\n")
    merge(place, "b.log", "a.log")
    assert sorted(place.read().splitlines()) == [b"1", b"2", b"3", b"4"]


def test_a_link_to_a_file_that_another_one_s_could_have_become(place: Place):
    place.write("d/app.log", b"1\n")
    lead(place, "a.log", "d/app.log")
    assert merge(place, "a.log") == b"1\n"
    place.write("d/app.log.1", b"2\n")
    lead(place, "b.log", "d/app.log.1")
    assert sorted(merge(place, "a.log", "b.log").splitlines()) == [b"1", b"2"]


def test_a_link_to_a_dated_file_of_its_name_in_another_folder(place: Place):
    place.write("d/a.20261130.log", b"1\n")
    lead(place, "a.log", "d/a.20261130.log")
    assert merge(place, "a.log") == b"1\n"
    place.append("d/a.20261130.log", b"2\n")
    place.write("d/a.20261201.log", b"3\n")
    lead(place, "a.log", "d/a.20261201.log")
    for names in (("a.log",), ("a.log", "d/*.gz")):
        assert place.run("--once", *names, "-o", "merged.log").code == 0
        assert place.read() == b"1\n2\n3\n"


def test_a_link_to_another_input_s_newest_rotated_file(place: Place):
    place.write("app.log.1", b"1\n")
    place.write("app.log", b"2\n")
    lead(place, "prev.log", "app.log.1")
    assert merge(place, "app.log", "prev.log") == b"2\n1\n"
    place.append("app.log", b"3\n")
    os.rename(place / "app.log.1", place / "app.log.2")
    os.rename(place / "app.log", place / "app.log.1")
    place.write("app.log", b"4\n")
    for names in (("app.log", "prev.log"), ("prev.log", "app.log")):
        merge(place, *names)
        assert sorted(place.read().splitlines()) == [b"1", b"2", b"3", b"4"]


def test_what_stood_there_before_the_link_led_there_is_not_read(place: Place):
    place.write("x/0.log", b"1\n")
    lead(place, "a.log", "x/0.log")
    assert merge(place, "a.log") == b"1\n"
    os.utime(place.write("y/sys.log.1", b"old\n"), (EARLIER, EARLIER))
    place.write("y/sys.log", b"2\n")
    lead(place, "a.log", "y/sys.log")
    for _ in range(2):
        assert merge(place, "a.log") == b"1\n2\n"
    for number in (2, 1):
        os.rename(
            place / f"y/sys.log.{number - 1}".removesuffix(".0"), place / f"y/sys.log.{number}"
        )
    place.append("y/sys.log.1", b"3\n")
    place.write("y/sys.log", b"4\n")
    assert merge(place, "a.log") == b"1\n2\n3\n4\n"


def test_what_rotated_since_the_link_led_there_is_read(place: Place):
    place.write("x/0.log", b"1\n")
    lead(place, "a.log", "x/0.log")
    assert merge(place, "a.log") == b"1\n"
    place.write("y/0.log.1", b"2\n")
    place.write("y/0.log", b"3\n")
    lead(place, "a.log", "y/0.log")
    assert merge(place, "a.log") == b"1\n2\n3\n"


def test_a_file_that_is_rotated_and_becomes_a_link_into_another_folder(place: Place):
    place.write("a.log", b"1\n")
    assert merge(place, "a.log") == b"1\n"
    place.append("a.log", b"2\n")
    os.rename(place / "a.log", place / "a.log.1")
    os.utime(place.write("p/0.log.1", b"old\n"), (EARLIER, EARLIER))
    place.write("p/0.log", b"3\n")
    lead(place, "a.log", "p/0.log")
    assert merge(place, "a.log") == b"1\n2\n3\n"
    os.remove(place / "a.log")
    place.append("p/0.log", b"4\n")
    place.write("a.log", b"5\n")
    assert merge(place, "a.log") == b"1\n2\n3\n4\n5\n"


def test_a_file_that_is_an_input_of_its_own_is_no_link_s(place: Place):
    place.write("app-20261130.log", b"1\n")
    place.write("app-20261201.log", b"2\n")
    lead(place, "current.log", "app-20261201.log")
    names = ("-q", "current.log", "app-*.log")
    for _ in range(2):
        assert place.run("--once", *names, "-o", "merged.log").code == 0
        assert sorted(place.read().splitlines()) == [b"1", b"2"]
    place.write("app-20261202.log", b"3\n")
    lead(place, "current.log", "app-20261202.log")
    for _ in range(2):
        assert place.run("--once", *names, "-o", "merged.log").code == 0
        assert sorted(place.read().splitlines()) == [b"1", b"2", b"3"]


def test_a_killed_run_of_a_linked_log_goes_on_where_it_is_rotated(place: Place):
    place.write("pods/0.log", b"1\n")
    lead(place, "web.log", "pods/0.log")
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
    lead(place, "web.log", "pods/1.log")
    assert sorted(merge(place, "web.log").splitlines()) == [b"1", b"2", b"3", b"4", b"late"]
    shown = place.run("--status", "-o", "merged.log").out.decode()
    assert {line.split()[-1] for line in shown.splitlines()[1:-1]} == {"0"}


def test_a_loop_of_links_is_said(place: Place):
    lead(place, "a.log", "b.log")
    lead(place, "b.log", "a.log")
    place.write("c.log", b"1\n")
    done = place.run("--once", "a.log", "c.log", "-o", "merged.log")
    assert place.read() == b"1\n"
    assert "a.log: " in done.err


def test_a_killed_run_that_saw_a_link_move_knows_where_it_led(place: Place):
    place.write("x/0.log", b"1\n")
    lead(place, "a.log", "x/0.log")
    live: Live = place.follow("a.log", "--rotate-wait", "0.1", expected=b"1\n")
    place.write("y/0.log", b"2\n")
    lead(place, "a.log", "y/0.log")
    place.sees(b"1\n2\n")
    live.kill()
    place.append("x/0.log", b"late\n")
    os.rename(place / "x/0.log", place / "x/0.log.1")
    assert sorted(merge(place, "a.log").splitlines()) == [b"1", b"2", b"late"]


class Sick(System):
    """A file system does not list a folder."""

    def names(self, folder: str) -> Iterator[str]:
        if os.path.basename(folder) == "x":
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return super().names(folder)


def test_where_a_link_led_before_cannot_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is decided by half of what there is, and nothing is lost."""
    monkeypatch.chdir(tmp_path)

    def merge(system: System | None = None) -> bytes:
        how: dict[str, Any] = {"output_path": "m", "once": True, "state_path": "m.state"}
        asyncio.run(run_fully_async(["a.log"], system=system, **how))
        return Path("m").read_bytes()

    for number, folder in enumerate("xy"):
        os.mkdir(folder)
        Path(folder, "0.log").write_bytes(b"%d\n" % number)
        os.symlink(f"{folder}/0.log", "next")
        os.replace("next", "a.log")
        assert merge() == b"0\n1\n"[: 2 * number + 2]
    append("x/0.log", b"2\n")
    append("y/0.log", b"3\n")
    assert merge(Sick()) == b"0\n1\n"
    assert merge() == b"0\n1\n2\n3\n"


# what is known of links


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Links:
    monkeypatch.chdir(tmp_path)
    for folder in ("x", "y"):
        os.mkdir(folder)
        for name in ("0.log", "1.log"):
            append(f"{folder}/{name}", b"")
    return Links(System())


def led(links: Links, name: str) -> list[tuple[int, str]]:
    here = os.getcwd()
    return [(ago, os.path.relpath(log, here)) for ago, log in links.find_logs(name)]


def follow(links: Links, name: str) -> None:
    links.follow(name, identity(os.stat(name)))


def test_where_a_link_leads_and_led(links: Links) -> None:
    follow(links, "x/0.log")
    assert led(links, "x/0.log") == []
    for file, logs in (
        ("x/0.log", [(0, "x/0.log")]),
        ("y/0.log", [(0, "y/0.log"), (1, "x/0.log")]),
        ("x/0.log", [(0, "x/0.log"), (1, "y/0.log")]),
    ):
        os.symlink(file, "next")
        os.replace("next", "a.log")
        follow(links, "a.log")
        assert led(links, "a.log") == logs
        assert links.find("a.log") == os.path.realpath(file)
    os.remove("a.log")
    links.follow("a.log", None)  # on the move
    assert links.find("a.log") == os.path.realpath("x/0.log")
    append("a.log", b"")
    follow(links, "a.log")
    assert links.find("a.log") is None
    assert led(links, "a.log") == [(1, "x/0.log"), (2, "y/0.log")]


def test_a_link_that_leads_to_another_file_than_was_seen_is_on_the_move(links: Links) -> None:
    os.symlink("x/0.log", "a.log")
    links.follow("a.log", identity(os.stat("x/1.log")))
    assert links.find("a.log") is None


@pytest.mark.parametrize("code", [errno.EIO, errno.ETIMEDOUT, errno.EACCES])
def test_a_link_that_cannot_be_read_leads_where_it_led(links: Links, code: int) -> None:
    os.symlink("x/0.log", "a.log")
    follow(links, "a.log")

    def read_link(path: str) -> str:
        raise OSError(code, os.strerror(code), path)

    links._system.read_link = read_link  # type: ignore[method-assign]
    follow(links, "a.log")
    assert led(links, "a.log") == [(0, "x/0.log")]


@pytest.mark.parametrize("name", ["a.log", "link/a.log"])
def test_a_link_to_its_own_rotated_form_leads_nowhere_else(links: Links, name: str) -> None:
    os.symlink(".", "link")
    append("a.log-20261201", b"")
    os.symlink("a.log-20261201", "a.log")
    assert read_lead(os.path.abspath(name), System()) == ""


def test_of_two_links_to_one_log_the_first_has_what_rotated_there(links: Links) -> None:
    for name in ("a.log", "b.log"):
        links.lead(name, "/x/0.log")
    assert (led(links, "a.log"), led(links, "b.log")) == ([(0, led_to("/x/0.log"))], [])
    assert links.is_of_another("/x/0.log", "b.log")
    assert not links.is_of_another("/x/0.log", "a.log")
    for number in range(1, MOST + 1):
        links.lead("a.log", f"/x/{number}.log")
    assert len(led(links, "a.log")) == MOST
    links.lead("b.log", "/x/0.log")  # nobody has it any more
    assert led(links, "b.log") == [(0, led_to("/x/0.log"))]


def led_to(path: str) -> str:
    return os.path.relpath(path, os.getcwd())


def test_what_an_earlier_run_found(links: Links) -> None:
    for file in ("/d/a.log", "/old/a.log.1", "/x/0.log", "/x/0.log.1", "/x/b-20261130.log"):
        links.remember("/d/a.log", file)
    logs = [log for _, log in links.find_logs("/d/a.log")]
    assert logs == ["/x/b-20261130.log", "/x/0.log"]  # an olddir is no link's


def test_what_is_left_of_a_log_that_a_link_leads_to_only_now() -> None:
    def seen(path: str, number: int, modified: float, log: str = "/x/0.log") -> Seen:
        return Seen(path, (1, number), 1, modified, live=False, log=log)

    old, new = seen("old", 1, 10.0), seen("new", 2, 30.0)
    live = Seen("a.log", (1, 3), 1, 30.0, live=True)
    own = seen("own", 4, 10.0, log="")
    files = [own, old, new, live]
    assert leave_strangers(files, files[:3], (), (), 20.0) == [own, new, live]
    assert leave_strangers(files, files[:3], (), ("/x/0.log",), 20.0) == files
    assert leave_strangers([new], [old, seen("new", 2, 15.0)], {(1, 1)}, (), 20.0) == [new]
    assert leave_strangers([old], [old, new], {(1, 2)}, (), 20.0) == []
