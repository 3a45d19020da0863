"""Who may see what: a new output is for those who may read every input, and no others."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from helpers import eventually

from tailmerge import run_fully_async
from tailmerge.system import System

if TYPE_CHECKING:
    from processes import Place

pytest_plugins = ["processes"]

OTHER_GROUP = 54321
"""A group that nobody is in; only root can give files to it."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other groups")


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


def given(place: Place, **modes: int) -> list[str]:
    """Inputs with these modes, of our own group."""
    for name, bits in modes.items():
        path = place.write(name, name.encode() + b"\n")
        os.chown(path, -1, os.getegid())
        path.chmod(bits)
    return list(modes)


def merge(place: Place, inputs: Sequence[str], umask: int = 0) -> str:
    """Merge into a new output and return its mode."""
    done = place.run("--once", *inputs, "-o", "merged.log", umask=umask)
    assert done.code == 0, done.err
    return mode(place / "merged.log")


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        ([0o600, 0o600], "0600"),
        ([0o640, 0o640], "0640"),
        ([0o644, 0o644], "0644"),
        ([0o644, 0o640], "0640"),
        ([0o644, 0o600], "0600"),
        ([0o640, 0o600], "0600"),
        ([0o604, 0o644], "0604"),
        ([0o666, 0o777], "0644"),
        ([0o400], "0600"),
    ],
    ids=lambda value: "+".join(f"{m:o}" for m in value) if isinstance(value, list) else value,
)
def test_a_new_output_lets_read_who_may_read_every_input(
    place: Place, modes: list[int], expected: str
):
    assert merge(place, given(place, **{f"log{i}": m for i, m in enumerate(modes)})) == expected


@pytest.mark.parametrize(
    ("umask", "expected"),
    [(0o022, "0644"), (0o027, "0640"), (0o077, "0600")],
    ids=["022", "027", "077"],
)
def test_a_new_output_is_within_the_umask(place: Place, umask: int, expected: str):
    assert merge(place, given(place, a=0o644), umask=umask) == expected


@pytest.mark.parametrize("name", ["missing.log", "*.none"])
def test_a_new_output_is_for_its_owner_where_no_input_is_there_yet(place: Place, name: str):
    place.start(name, "-o", "merged.log", umask=0)
    eventually(lambda: (place / "merged.log").exists())
    assert mode(place / "merged.log") == "0600"


def test_a_new_output_behind_a_link_is_for_those_who_may_read_every_input(place: Place):
    (place / "merged.log").symlink_to("real.log")
    assert merge(place, given(place, a=0o640)) == "0640"
    assert mode(place / "real.log") == "0640"


def test_what_may_be_read_through_a_link_is_what_its_file_allows(place: Place):
    given(place, a=0o600)
    (place / "link.log").symlink_to("a")
    assert merge(place, ["link.log"]) == "0600"


@as_root
def test_another_group_s_inputs_are_not_for_the_output_s_group(place: Place):
    inputs = given(place, a=0o640)
    os.chown(place / "a", -1, OTHER_GROUP)
    assert merge(place, inputs) == "0600"


@as_root
def test_inputs_of_several_groups_are_for_none_of_them(place: Place):
    inputs = given(place, a=0o640, b=0o640)
    os.chown(place / "a", -1, OTHER_GROUP)
    assert merge(place, inputs) == "0600"


def test_a_group_that_may_not_read_one_input_is_left_out_where_others_may_read_all(place: Place):
    """A file of mode 0604 shuts its group out, and so must the output."""
    inputs = given(place, a=0o604, b=0o644)
    assert merge(place, inputs) == "0604"


@as_root
def test_an_output_in_a_folder_of_the_inputs_group_is_for_that_group(place: Place):
    inputs = given(place, a=0o640, b=0o644)
    for name in inputs:
        os.chown(place / name, -1, OTHER_GROUP)
    os.chown(place.folder, -1, OTHER_GROUP)
    place.folder.chmod(0o2770)
    assert merge(place, inputs) == "0640"
    assert (place / "merged.log").stat().st_gid == OTHER_GROUP


def test_a_named_pipe_counts_among_the_inputs(place: Place):
    inputs = given(place, a=0o644)
    os.mkfifo(place / "pipe")
    (place / "pipe").chmod(0o600)
    assert merge(place, [*inputs, "pipe"]) == "0600"


def test_standard_input_counts_among_the_inputs(place: Place):
    """Who may read what comes through a pipe nobody knows: the owner alone."""
    given(place, a=0o644)
    done = place.run("--once", "a", "-", "-o", "merged.log", umask=0, input=b"secret\n")
    assert (done.code, mode(place / "merged.log")) == (0, "0600"), done.err


def test_the_rotated_files_that_are_read_count_among_the_inputs(place: Place):
    given(place, **{"app.log": 0o644, "app.log.1": 0o600})
    assert merge(place, ["app.log*"]) == "0600"


@pytest.mark.parametrize("bits", [0o600, 0o666, 0o755, 0o200])
def test_an_existing_output_keeps_its_mode(place: Place, bits: int):
    place.write("merged.log", b"").chmod(bits)
    assert merge(place, given(place, a=0o644), umask=0o022) == f"{bits:04o}"


def test_overwrite_keeps_the_mode(place: Place):
    place.write("merged.log", b"old\n").chmod(0o664)
    done = place.run("--once", *given(place, a=0o600), "-o", "merged.log", "--overwrite")
    assert (done.code, mode(place / "merged.log")) == (0, "0664"), done.err


def test_an_output_that_may_only_be_written_is_appended_to(
    place: Place, without_privileges: Sequence[str]
):
    place.write("merged.log", b"old\n").chmod(0o200)
    place.write("a.log", b"a\n")
    done = place.run("--once", "a.log", "-o", "merged.log", under=without_privileges)
    (place / "merged.log").chmod(0o600)
    assert (done.code, done.err, place.read()) == (0, "", b"old\na\n")


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o664, 0o666])
@pytest.mark.parametrize("way", ["moved", "deleted"])
def test_after_a_rotation_the_output_is_as_the_one_before(place: Place, bits: int, way: str):
    place.write("a.log", b"a\n").chmod(0o644)
    place.follow("a.log", expected=b"a\n", umask=0o077)
    (place / "merged.log").chmod(bits)
    if way == "moved":
        (place / "merged.log").rename(place / "merged.log.1")
    else:
        (place / "merged.log").unlink()
    place.append("a.log", b"b\n")
    place.sees(b"b\n")
    assert mode(place / "merged.log") == f"{bits:04o}"


@as_root
def test_after_a_rotation_the_output_has_the_group_of_the_one_before(place: Place):
    place.write("a.log", b"a\n")
    place.follow("a.log", expected=b"a\n")
    os.chown(place / "merged.log", -1, OTHER_GROUP)
    (place / "merged.log").chmod(0o640)
    (place / "merged.log").rename(place / "merged.log.1")
    place.append("a.log", b"b\n")
    place.sees(b"b\n")
    assert (place / "merged.log").stat().st_gid == OTHER_GROUP
    assert mode(place / "merged.log") == "0640"


def test_an_output_that_others_made_anew_keeps_the_mode_they_gave_it(place: Place):
    """logrotate's `create 0660` is the last word."""
    place.write("a.log", b"a\n")
    place.follow("a.log", expected=b"a\n")
    (place / "merged.log").rename(place / "merged.log.1")
    place.write("merged.log", b"").chmod(0o660)
    place.append("a.log", b"b\n")
    place.sees(b"b\n")
    assert mode(place / "merged.log") == "0660"


def test_what_waits_of_a_pipe_is_in_a_file_without_a_name(place: Place):
    """A long unfinished line is on the disk, where nobody else can open it."""
    (place / "tmp").mkdir()
    os.mkfifo(place / "pipe")
    line = b"x" * 1_000_000
    live = place.start("pipe", "-o", "merged.log", env={"TMPDIR": str(place / "tmp")})
    with open(os.open(place / "pipe", os.O_RDWR), "wb", buffering=0) as writer:
        view = memoryview(line)
        while view:
            view = view[writer.write(view) :]
        eventually(lambda: spooled(live.pid, str(place / "tmp")))
        assert os.listdir(place / "tmp") == []
        writer.write(b"\n")
        place.sees(line + b"\n")


def spooled(pid: int, folder: str) -> bool:
    """Whether a process holds a file open that was made in this folder."""
    links = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()]
    return any(link.startswith(folder) for link in links)


class WriteOnly(System):
    """The output can only be written; the n-th write to it is the last of the process."""

    def __init__(self, at: int = 0, part: float = 0) -> None:
        self.left = at
        self.part = part
        self.outputs: set[int] = set()

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        if os.path.basename(path) != "m":
            return super().open(path, flags, mode)
        if flags & os.O_ACCMODE == os.O_RDWR and not flags & os.O_CREAT:
            raise PermissionError
        fd = super().open(path, flags, mode)
        self.outputs.add(fd)
        return fd

    def write(self, fd: int, data: Any) -> int:
        if fd in self.outputs:
            self.left -= 1
            if self.left == 0:
                os.write(fd, bytes(data)[: int(len(data) * self.part)])
                os._exit(9)
        return super().write(fd, data)


@pytest.mark.parametrize("part", [0, 0.4, 1])
@pytest.mark.parametrize("how", [{}, {"exclude": ("none has it",)}, {"label": "{name}: "}])
def test_a_kill_inside_of_an_output_that_can_only_be_written(
    place: Place, how: dict[str, Any], part: float
) -> None:
    """Old symptom: every later run ended with an error that blamed the state."""
    lines = [b"%05d\n" % n for n in range(5000)]
    place.write("a.log", b"".join(lines[:10]))
    place.write("m", b"")
    files = [str(place / "a.log")], 0.01, str(place / "m")
    how = {"once": True, "state_path": str(place / "m.tailmerge"), **how}
    asyncio.run(run_fully_async(*files, system=WriteOnly(), **how))
    place.write("a.log", b"".join(lines))
    pid = os.fork()
    if pid == 0:
        try:
            asyncio.run(run_fully_async(*files, system=WriteOnly(1, part), **how))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    asyncio.run(run_fully_async(*files, system=WriteOnly(), **how))
    label = b"a.log: " if "label" in how else b""
    merged = (place / "m").read_bytes().splitlines(keepends=True)
    assert [line.rpartition(b"/")[2] for line in merged] == [label + line for line in lines]
