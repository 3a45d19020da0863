"""The one file that everything goes to: appended to, reopened, waited for."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import select
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Faulty, append, before, fault, on_lane, open_files, said, short

from tailmerge.batch import lines_batch
from tailmerge.named import NamedFile
from tailmerge.output import (
    HURRY_SECONDS,
    RETRY_SECONDS,
    Audience,
    Output,
    find_audience,
)
from tailmerge.piped import Stream
from tailmerge.report import OutputError, OutputOwes, ReaderGone
from tailmerge.system import System


class Merged:
    """An output file, what was said of it, and what it holds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.words, self.report = said()
        self.outputs: list[Output] = []

    def open(
        self,
        system: System | None = None,
        *,
        patience: float | None = None,
        audience: Audience | None = None,
        overwrite: bool = False,
    ) -> NamedFile:
        output = NamedFile(
            str(self.path),
            system or System(),
            self.report,
            patience,
            audience or Audience(),
        )
        self.outputs.append(output)
        output.open()
        if overwrite:
            output.empty()
        return output

    @property
    def content(self) -> bytes:
        return self.path.read_bytes()

    @property
    def mode(self) -> int:
        return stat.S_IMODE(self.path.stat().st_mode)


@pytest.fixture
def merged(tmp_path: Path) -> Iterator[Merged]:
    merged = Merged(tmp_path / "m.log")
    yield merged
    for output in merged.outputs:
        output.close()


async def write(output: Output, *pieces: bytes) -> None:
    await output.append(lines_batch(b"".join(pieces), ()))


def write_all(output: Output, *batches: bytes) -> None:
    async def run() -> None:
        for batch in batches:
            await write(output, batch)

    on_lane(run())


def later(seconds: float, action: Callable[[], Any]) -> None:
    asyncio.get_running_loop().call_later(seconds, action)


def now() -> float:
    return asyncio.get_running_loop().time()


# appended to


def test_what_was_there_stays_and_we_append(merged: Merged) -> None:
    append(merged.path, b"old\n")
    write_all(merged.open(), b"a\n", b"b\n")
    assert merged.content == b"old\na\nb\n"


def test_the_pieces_of_a_batch_follow_each_other(merged: Merged) -> None:
    on_lane(write(merged.open(), b"lab", b"el: ", b"line\n"))
    assert merged.content == b"label: line\n"


def test_a_torn_line_that_was_there_does_not_join_ours(merged: Merged) -> None:
    append(merged.path, b"torn")
    write_all(merged.open(), b"a\n", b"b\n")
    assert merged.content == b"torn\na\nb\n"


def test_a_torn_line_that_is_not_followed_stays_as_it_is(merged: Merged) -> None:
    append(merged.path, b"torn")
    merged.open()
    assert merged.content == b"torn"


def test_what_others_append_between_ours_stays(merged: Merged) -> None:
    output = merged.open()
    write_all(output, b"a\n")
    append(merged.path, b"foreign\n")
    write_all(output, b"b\n")
    assert merged.content == b"a\nforeign\nb\n"
    assert merged.words == []


def test_a_line_that_others_tore_between_ours_is_ended_first(merged: Merged) -> None:
    output = merged.open()
    write_all(output, b"a\n")
    append(merged.path, b"foreign")
    write_all(output, b"b\n")
    assert merged.content == b"a\nforeign\nb\n"
    write_all(output, b"c\n")
    assert merged.content == b"a\nforeign\nb\nc\n"
    assert merged.words == []


def test_an_output_that_we_can_only_write_is_appended_to(merged: Merged) -> None:
    append(merged.path, b"old\n")
    system = Faulty(open=[fault(errno.EACCES)])
    write_all(merged.open(system), b"a\n")
    assert system.spent
    assert merged.content == b"old\na\n"


def test_overwrite_empties_the_output_that_is_there(merged: Merged) -> None:
    append(merged.path, b"old")
    output = merged.open(overwrite=True)
    assert merged.content == b""
    write_all(output, b"a\n")
    assert merged.content == b"a\n"


# its name


def rename(merged: Merged) -> Path:
    moved = merged.path.with_suffix(".1")
    merged.path.rename(moved)
    return moved


def test_a_moved_output_is_opened_anew_before_the_next_batch(merged: Merged) -> None:
    output = merged.open()
    write_all(output, b"a\n")
    moved = rename(merged)
    write_all(output, b"b\n", b"c\n")
    assert (moved.read_bytes(), merged.content) == (b"a\n", b"b\nc\n")
    assert len(merged.words) == 1
    assert "opened anew" in merged.words[0]


def test_a_deleted_output_is_opened_anew(merged: Merged) -> None:
    output = merged.open()
    write_all(output, b"a\n")
    merged.path.unlink()
    write_all(output, b"b\n")
    assert merged.content == b"b\n"


def test_an_output_that_was_opened_anew_is_open_once(merged: Merged) -> None:
    output = merged.open()
    for _ in range(3):
        rename(merged)
        write_all(output, b"a\n")
    assert [name for name in open_files() if name.startswith(str(merged.path.parent))] == [
        str(merged.path)
    ]


def test_an_output_that_was_moved_and_made_anew_is_appended_to(merged: Merged) -> None:
    output = merged.open()
    write_all(output, b"a\n")
    rename(merged)
    append(merged.path, b"torn")
    write_all(output, b"b\n")
    assert merged.content == b"torn\nb\n"


def test_an_output_that_moves_within_a_batch_gets_the_whole_batch(merged: Merged) -> None:
    moved: list[Path] = []

    def rotate_and_write_a_little(write: Any, fd: int, data: bytes) -> int:
        moved.append(rename(merged))
        return int(write(fd, bytes(data)[:2]))

    system = Faulty(write=[rotate_and_write_a_little])
    output = merged.open(system)
    write_all(output, b"one\ntwo\n", b"three\n")
    assert system.spent
    assert moved[0].read_bytes() == b"one\ntwo\n"
    assert merged.content == b"three\n"


def test_a_symlink_that_leads_elsewhere_is_a_moved_output(merged: Merged, tmp_path: Path) -> None:
    merged.path.symlink_to(tmp_path / "one")
    output = merged.open()
    write_all(output, b"a\n")
    merged.path.unlink()
    merged.path.symlink_to(tmp_path / "two")
    write_all(output, b"b\n")
    assert (tmp_path / "one").read_bytes() == b"a\n"
    assert (tmp_path / "two").read_bytes() == b"b\n"


def test_every_file_that_was_the_output_is_known(merged: Merged) -> None:
    output = merged.open()
    first = merged.path.stat().st_ino
    rename(merged)
    write_all(output, b"a\n")
    assert {inode for _, inode in output.identities} == {first, merged.path.stat().st_ino}


def test_a_truncated_output_is_appended_to_from_there(merged: Merged) -> None:
    output = merged.open()
    write_all(output, b"a\nb\n")
    os.truncate(merged.path, 0)
    write_all(output, b"c\n", b"d\n")
    assert merged.content == b"c\nd\n"
    assert len(merged.words) == 1
    assert "truncated" in merged.words[0]


def test_an_output_truncated_within_a_line_gets_that_line_ended(merged: Merged) -> None:
    output = merged.open()
    write_all(output, b"one\ntwo\n")
    os.truncate(merged.path, 5)
    write_all(output, b"three\n")
    assert merged.content == b"one\nt\nthree\n"


def test_a_folder_that_was_moved_away_is_waited_for(merged: Merged, tmp_path: Path) -> None:
    merged.path = tmp_path / "folder" / "m.log"
    merged.path.parent.mkdir()
    output = merged.open()

    async def run() -> None:
        await write(output, b"a\n")
        shutil.move(merged.path.parent, tmp_path / "moved")
        later(3, merged.path.parent.mkdir)
        await write(output, b"b\n")

    on_lane(run())
    assert (tmp_path / "moved" / "m.log").read_bytes() == b"a\n"
    assert merged.content == b"b\n"
    assert [text for text in merged.words if "waiting" in text] == merged.words[:1]


def test_a_name_that_cannot_be_looked_at_for_now_is_waited_for(merged: Merged) -> None:
    system = Faulty(stat=[fault(errno.EACCES), fault(errno.EACCES)])
    write_all(merged.open(system), b"a\n")
    assert system.spent
    assert merged.content == b"a\n"
    assert len(merged.words) == 2


# waited for


def test_short_writes_are_carried_on(merged: Merged) -> None:
    system = Faulty(write=[short(1), short(2), short(3)])
    write_all(merged.open(system), b"one\ntwo\n", b"three\n")
    assert system.spent
    assert merged.content == b"one\ntwo\nthree\n"
    assert merged.words == []


def test_a_disk_that_was_full_once_costs_nothing(merged: Merged) -> None:
    system = Faulty(write=[None, fault(errno.ENOSPC)])
    write_all(merged.open(system), b"a\n", b"b\n", b"c\n")
    assert system.spent
    assert merged.content == b"a\nb\nc\n"


def test_a_disk_that_is_full_after_half_a_line_goes_on_there(merged: Merged) -> None:
    system = Faulty(write=[short(2), fault(errno.ENOSPC), fault(errno.ENOSPC)])
    write_all(merged.open(system), b"line\n")
    assert system.spent
    assert merged.content == b"line\n"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_trouble_is_said_once_and_that_it_is_over(merged: Merged, number: int) -> None:
    system = Faulty(write=[fault(number)] * 5)
    write_all(merged.open(system), b"a\n", b"b\n")
    assert system.spent
    assert merged.content == b"a\nb\n"
    assert len(merged.words) == 2
    assert "waiting; nothing is skipped" in merged.words[0]
    assert "can be written again" in merged.words[1]


def test_other_trouble_is_said_too(merged: Merged) -> None:
    system = Faulty(write=[fault(errno.ENOSPC), fault(errno.ENOSPC), fault(errno.EIO)])
    write_all(merged.open(system), b"a\n")
    assert system.spent
    assert ["no space" in text for text in merged.words] == [True, False, False]


def test_a_full_disk_is_waited_for_as_long_as_it_takes(merged: Merged) -> None:
    rounds = 6000
    system = Faulty(write=[fault(errno.ENOSPC)] * rounds)
    output = merged.open(system)

    async def run() -> None:
        await write(output, b"a\n")
        assert now() == pytest.approx(rounds * RETRY_SECONDS)

    on_lane(run())
    assert merged.content == b"a\n"


def test_a_one_shot_run_waits_as_long_as_its_patience(merged: Merged) -> None:
    system = Faulty(write=[fault(errno.ENOSPC)] * 1000)
    output = merged.open(system, patience=10)

    async def run() -> None:
        with pytest.raises(OutputOwes, match="no space"):
            await write(output, b"a\n")
        assert now() == pytest.approx(10, abs=2 * RETRY_SECONDS)

    on_lane(run())
    assert merged.content == b""


def test_patience_begins_anew_when_something_was_written(merged: Merged) -> None:
    full = [fault(errno.ENOSPC)] * 60
    system = Faulty(write=[*full, short(1), *full])
    write_all(merged.open(system, patience=10), b"ab\n")
    assert system.spent
    assert merged.content == b"ab\n"


def test_a_run_that_is_told_to_stop_waits_only_a_moment(merged: Merged) -> None:
    system = Faulty(write=[fault(errno.ENOSPC)] * 10_000)
    output = merged.open(system)

    async def run() -> None:
        later(5, output.hurry)
        with pytest.raises(OutputOwes):
            await write(output, b"a\n")
        assert now() == pytest.approx(5 + HURRY_SECONDS, abs=2 * RETRY_SECONDS)

    on_lane(run())
    assert "write" in system.fired


def test_a_run_in_a_hurry_tries_again_before_it_gives_up(merged: Merged) -> None:
    """It waited for half a second and then gave up without another look."""
    system = Faulty(write=[fault(errno.ENOSPC)])
    output = merged.open(system)
    output.hurry()
    write_all(output, b"a\n")
    assert system.spent
    assert merged.content == b"a\n"


# who may see it


def status(mode: int, group: int = 100) -> os.stat_result:
    return os.stat_result((stat.S_IFREG | mode, 1, 1, 1, 0, group, 0, 0, 0, 0))


def test_who_may_read_the_output_is_who_may_read_every_input() -> None:
    assert find_audience([]) == Audience(None, False)
    assert find_audience([status(0o600)]) == Audience(None, False)
    assert find_audience([status(0o640), status(0o640)]) == Audience(100, False)
    assert find_audience([status(0o640), status(0o600)]) == Audience(None, False)
    assert find_audience([status(0o640, 100), status(0o640, 101)]) == Audience(None, False)
    assert find_audience([status(0o644), status(0o644)]) == Audience(100, True)
    assert find_audience([status(0o644), status(0o640)]) == Audience(100, False)
    assert find_audience([status(0o644, 100), status(0o604, 101)]) == Audience(None, True)


def test_a_group_lets_read_only_where_the_output_is_of_that_group() -> None:
    assert Audience(100).mode(100) == 0o640
    assert Audience(100).mode(101) == 0o600
    assert Audience(None, True).mode(100) == 0o604


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    old = os.umask(0)
    os.umask(old)
    yield os.umask
    os.umask(old)


@pytest.mark.parametrize(
    ("audience", "mask", "mode"),
    [
        (Audience(), 0, 0o600),
        (Audience(os.getgid()), 0, 0o640),
        (Audience(os.getgid() + 1), 0, 0o600),
        (Audience(os.getgid(), True), 0, 0o644),
        (Audience(os.getgid(), True), 0o027, 0o640),
        (Audience(os.getgid(), True), 0o077, 0o600),
    ],
)
def test_a_new_output_is_for_who_may_read_every_input_within_the_umask(
    merged: Merged, umask: Callable[[int], int], audience: Audience, mask: int, mode: int
) -> None:
    umask(mask)
    merged.open(audience=audience)
    assert oct(merged.mode) == oct(mode)


def test_a_new_output_is_never_wider_than_its_final_mode(merged: Merged) -> None:
    """Between open and chmod it is its owner's alone."""
    modes = []
    system = Faulty(change_mode=[before(lambda: modes.append(merged.mode))])
    merged.open(system, audience=Audience(os.getgid(), True))
    assert [oct(mode) for mode in modes] == ["0o600"]


def test_an_existing_output_keeps_its_mode(merged: Merged) -> None:
    append(merged.path, b"")
    merged.path.chmod(0o664)
    merged.open(audience=Audience())
    assert oct(merged.mode) == "0o664"


def test_after_a_rotation_the_output_is_as_the_one_before(merged: Merged) -> None:
    output = merged.open()
    merged.path.chmod(0o664)
    rename(merged)
    write_all(output, b"a\n")
    assert oct(merged.mode) == "0o664"


def test_after_a_rotation_a_group_that_cannot_be_given_sees_nothing(merged: Merged) -> None:
    append(merged.path, b"")
    merged.path.chmod(0o660)
    first = merged.path.stat().st_ino

    class OthersGroup(Faulty):
        """The output was of a group that the new one is not made with."""

        def fstat(self, fd: int) -> os.stat_result:
            status = super().fstat(fd)
            if status.st_ino != first:
                return status
            return os.stat_result((*status[:5], os.getgid() + 1, *status[6:]))

    system = OthersGroup(change_group=[fault(errno.EPERM)])
    output = merged.open(system)
    rename(merged)
    write_all(output, b"a\n")
    assert system.spent
    assert oct(merged.mode) == "0o600"


# opened


def test_an_output_in_no_folder_names_the_folder(merged: Merged, tmp_path: Path) -> None:
    merged.path = tmp_path / "none" / "m.log"
    with pytest.raises(OutputError, match="no folder"):
        merged.open()


def test_a_folder_is_no_output(merged: Merged) -> None:
    merged.path.mkdir()
    with pytest.raises(OutputError, match="is a directory"):
        merged.open()


@pytest.mark.parametrize("call", ["open", "fstat", "lock", "change_mode"])
def test_an_output_that_cannot_be_opened_is_said_and_not_left_open(
    merged: Merged, call: str
) -> None:
    append(merged.path, b"")
    if call == "change_mode":
        merged.path.unlink()
    system = Faulty(**{call: [fault(errno.EIO)]})
    with pytest.raises(OutputError, match="input/output error; name another output with -o"):
        merged.open(system)
    assert system.spent
    assert merged.outputs[0].fd == -1


def test_a_symlink_to_what_is_not_there_yet_is_followed(merged: Merged, tmp_path: Path) -> None:
    merged.path.symlink_to(tmp_path / "real.log")
    write_all(merged.open(), b"a\n")
    assert (tmp_path / "real.log").read_bytes() == b"a\n"
    assert merged.path.is_symlink()


# a pipe, a terminal, a device


class StandardOutput(Faulty):
    """A System whose standard output is a descriptor of the test's."""

    def __init__(self, fd: int, **scripts: Any) -> None:
        super().__init__(**scripts)
        self.stdout = fd

    def fstat(self, fd: int) -> os.stat_result:
        return super().fstat(self.stdout if fd == 1 else fd)

    def duplicate(self, fd: int) -> int:
        return super().duplicate(self.stdout if fd == 1 else fd)

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        path = path.replace("/proc/self/fd/1", f"/proc/self/fd/{self.stdout}")
        return super().open(path, flags, mode)


class Pipe:
    """A pipe as our standard output, and its reading end."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        self.words, self.report = said()
        self.got = b""

    def stream(self, **scripts: Any) -> Stream:
        return Stream("-", StandardOutput(self.writing, **scripts), self.report, None)

    def read(self, most: int = 1 << 20) -> None:
        try:
            self.got += os.read(self.reading, most)
        except BlockingIOError:
            pass

    def close_reading(self) -> None:
        os.close(self.reading)
        self.reading = -1

    def close(self) -> None:
        os.close(self.writing)
        if self.reading >= 0:
            os.close(self.reading)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


NO_PROC = {"open": [fault(errno.EACCES)]}
"""Another user's pipe, or no /proc: the descriptor itself is written to."""


@pytest.mark.parametrize("scripts", [{}, NO_PROC], ids=["reopened", "as it is"])
def test_lines_go_to_standard_output(pipe: Pipe, scripts: dict[str, Any]) -> None:
    async def run() -> None:
        stream = pipe.stream(**scripts_of(scripts))
        stream.open()
        await write(stream, b"a\n", b"b\n")
        stream.close()

    on_lane(run())
    pipe.read()
    assert pipe.got == b"a\nb\n"


def scripts_of(scripts: dict[str, Any]) -> dict[str, Any]:
    return {name: list(script) for name, script in scripts.items()}


@pytest.mark.parametrize("scripts", [{}, NO_PROC], ids=["reopened", "as it is"])
def test_the_flags_of_the_shells_descriptor_are_left_alone(
    pipe: Pipe, scripts: dict[str, Any]
) -> None:
    async def run() -> None:
        stream = pipe.stream(**scripts_of(scripts))
        stream.open()
        await write(stream, b"a\n")
        assert os.get_blocking(pipe.writing)
        stream.close()

    on_lane(run())
    assert os.get_blocking(pipe.writing)


@pytest.mark.parametrize("scripts", [{}, NO_PROC], ids=["reopened", "as it is"])
def test_a_slow_reader_gets_every_byte(pipe: Pipe, scripts: dict[str, Any]) -> None:
    data = os.urandom(300_000)

    async def run() -> None:
        stream = pipe.stream(**scripts_of(scripts))
        stream.open()

        def read() -> None:
            pipe.read(10_000)
            later(0.05, read)

        read()
        await write(stream, data)
        stream.close()

    on_lane(run())
    while len(pipe.got) < len(data):
        pipe.read()
    assert pipe.got == data
    assert pipe.words == []


@pytest.mark.parametrize("scripts", [{}, NO_PROC], ids=["reopened", "as it is"])
def test_a_reader_that_does_not_read_is_left_in_a_hurry(
    pipe: Pipe, scripts: dict[str, Any]
) -> None:
    async def run() -> None:
        stream = pipe.stream(**scripts_of(scripts))
        stream.open()
        later(5, stream.hurry)
        with pytest.raises(OutputOwes, match="does not read"):
            await write(stream, b"x" * 1_000_000)
        assert now() == pytest.approx(5 + HURRY_SECONDS, abs=0.2)
        stream.close()

    on_lane(run())


def test_a_reader_that_has_gone_is_told_by_the_next_write(pipe: Pipe) -> None:
    async def run() -> None:
        stream = pipe.stream()
        stream.open()
        pipe.close_reading()
        with pytest.raises(ReaderGone):
            await write(stream, b"a\n")
        stream.close()

    on_lane(run())


def test_a_reader_that_goes_is_noticed_when_nothing_is_written(pipe: Pipe) -> None:
    async def run() -> None:
        stream = pipe.stream()
        stream.open()
        later(30, pipe.close_reading)
        await stream.reader_gone.wait()
        assert now() == pytest.approx(30, abs=1)
        stream.close()

    on_lane(run())


def test_a_socket_is_written_to_a_little_at_a_time() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        system = StandardOutput(ours.fileno())
        sizes: list[int] = []
        system.scripts["write"] = [
            lambda write, fd, data: sizes.append(len(data)) or write(fd, data)
        ] * 100

        async def run() -> None:
            stream = Stream("-", system, said()[1], None)
            stream.open()
            await write(stream, b"x" * 20_000)
            stream.close()

        on_lane(run())
        assert max(sizes) <= select.PIPE_BUF
        assert sum(sizes) == 20_000


def test_a_descriptor_with_a_high_number_can_be_written_to(pipe: Pipe) -> None:
    """select() knows no descriptor above 1023; a program with many files open has them."""

    class High(StandardOutput):
        def duplicate(self, fd: int) -> int:
            return fcntl.fcntl(self.stdout, fcntl.F_DUPFD_CLOEXEC, 1500)

    async def run() -> None:
        stream = Stream("-", High(pipe.writing, open=[fault(errno.EACCES)]), pipe.report, None)
        stream.open()
        await write(stream, b"a\n")
        stream.close()

    on_lane(run())
    pipe.read()
    assert pipe.got == b"a\n"


def test_standard_output_that_is_a_file_is_appended_to(tmp_path: Path) -> None:
    append(tmp_path / "all.log", b"old\n")
    with open(tmp_path / "all.log", "ab") as file:

        async def run() -> None:
            stream = Stream("-", StandardOutput(file.fileno()), said()[1], None)
            stream.open()
            await write(stream, b"a\n")
            stream.close()

        on_lane(run())
    assert (tmp_path / "all.log").read_bytes() == b"old\na\n"


def test_a_torn_line_in_the_file_that_is_standard_output_does_not_join_ours(
    tmp_path: Path,
) -> None:
    append(tmp_path / "all.log", b"torn")
    with open(tmp_path / "all.log", "ab") as file:

        async def run() -> None:
            stream = Stream("-", StandardOutput(file.fileno()), said()[1], None)
            stream.open()
            await write(stream, b"a\n")
            assert {inode for _, inode in stream.identities} == {os.fstat(file.fileno()).st_ino}
            stream.close()

        on_lane(run())
    assert (tmp_path / "all.log").read_bytes() == b"torn\na\n"
    assert str(tmp_path / "all.log") not in open_files()


def test_a_device_takes_what_is_written() -> None:
    async def run() -> None:
        stream = Stream("/dev/null", System(), said()[1], None)
        stream.open()
        await write(stream, b"a\n")
        stream.close()

    on_lane(run())


def test_a_full_device_is_waited_for(tmp_path: Path) -> None:
    words, report = said()

    async def run() -> None:
        stream = Stream("/dev/full", System(), report, 10)
        stream.open()
        with pytest.raises(OutputOwes, match="no space"):
            await write(stream, b"a\n")
        stream.close()

    on_lane(run())
    assert len(words) == 1


def test_a_named_pipe_is_written_to_when_a_reader_comes(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = []

    async def run() -> None:
        stream = Stream(str(path), System(), said()[1], None)
        stream.open()
        later(7, lambda: reading.append(os.open(path, os.O_RDONLY | os.O_NONBLOCK)))
        await write(stream, b"a\n")
        assert now() == pytest.approx(7, abs=2 * RETRY_SECONDS)
        stream.close()

    on_lane(run())
    assert os.read(reading[0], 100) == b"a\n"
    os.close(reading[0])


def test_a_named_pipe_without_a_reader_is_said_once(tmp_path: Path) -> None:
    """The run waited for ever without a word."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    words, report = said()

    async def run() -> None:
        stream = Stream(str(path), System(), report, None)
        stream.open()
        later(60, stream.hurry)
        with pytest.raises(OutputOwes):
            await write(stream, b"a\n")
        stream.close()

    on_lane(run())
    assert len(words) == 1


def test_a_one_shot_run_does_not_wait_for_ever_for_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    async def run() -> None:
        stream = Stream(str(path), System(), said()[1], 10)
        stream.open()
        later(100, stream.hurry)
        with pytest.raises(OutputOwes):
            await write(stream, b"a\n")
        assert now() == pytest.approx(10, abs=1)
        stream.close()

    on_lane(run())
