"""More inputs than descriptors: idle ones are closed, and nothing is lost by it."""

from __future__ import annotations

import errno
import gzip
import random
import resource
import shutil
from pathlib import Path

import pytest
from helpers import append, eventually, start_tailmerge

from tailmerge.hands import LEAST, OTHERS, SOME, Hands
from tailmerge.openfile import OpenFile
from tailmerge.source import Rewritten, open_source
from tailmerge.system import System

LIMIT = 64
INPUTS = 300


class Log:
    """One input, what was written to it, and how it rotates."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written: list[bytes] = []
        path.touch()
        self.rotated = 0

    def append(self, clock: int) -> None:
        line = b"2026-11-24T10:00:00.%06d %s\n" % (clock, self.path.name.encode())
        append(self.path, line)
        self.written.append(line)

    def rotate(self, how: str) -> None:
        self.rotated += 1
        old = self.path.with_name(f"{self.path.name}-202601{self.rotated:02}")
        if how == "copy":
            shutil.copyfile(self.path, old)
            self.path.write_bytes(b"")
            return
        self.path.rename(old)
        self.path.touch()
        if how == "compress":
            old.with_name(old.name + ".gz").write_bytes(gzip.compress(old.read_bytes()))
            old.unlink()


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))


def _is_merged(output: Path, logs: list[Log]) -> bool:
    merged: dict[bytes, list[bytes]] = {}
    for line in output.read_bytes().splitlines(keepends=True) if output.exists() else ():
        merged.setdefault(line.split()[1], []).append(line)
    for log in logs:
        theirs = merged.get(log.path.name.encode(), [])
        assert len(set(theirs)) == len(theirs), "doubled"
        assert theirs == log.written[: len(theirs)], "lost or out of order"
    return sum(map(len, merged.values())) == sum(len(log.written) for log in logs)


@pytest.mark.parametrize("sort", [(), ("--sort", "--window", "0.2")], ids=["arrival", "sort"])
def test_more_inputs_than_descriptors_rotate_while_they_are_closed(
    tmp_path: Path, sort: tuple[str, ...]
) -> None:
    choose = random.Random(8)
    output = tmp_path / "merged"
    logs = [Log(tmp_path / f"in{number}.log") for number in range(INPUTS)]
    clock = 0
    names = [log.path for log in logs]
    options = ("-o", output, "--rotate-wait", "0.5", *sort)
    for ending in ("terminate", "kill", "terminate"):
        with start_tailmerge(*options, *names, preexec_fn=_limit) as run:
            for _ in range(2):
                for log in choose.sample(logs, 120):
                    log.append(clock := clock + 1)
                eventually(lambda: _is_merged(output, logs), 60)
                for log in choose.sample([log for log in logs if log.written], 60):
                    log.rotate(choose.choice(("create", "copy", "compress")))
                    log.append(clock := clock + 1)
                eventually(lambda: _is_merged(output, logs), 60)
                assert len(list(Path(f"/proc/{run.pid}/fd").iterdir())) < LIMIT
            getattr(run, ending)()
            run.wait()
        for log in choose.sample(logs, 60):
            log.append(clock := clock + 1)
    with start_tailmerge("--once", *options, *names, preexec_fn=_limit) as run:
        assert run.wait(60) == 0
    assert _is_merged(output, logs)


# one file


class Parking:
    """A file with ten lines, read up to the fifth, and parked."""

    def __init__(self, folder: Path, system: System | None = None) -> None:
        self.path = folder / "a.log"
        self.path.write_bytes(b"line\n" * 10)
        self.source = open_source(system or System(), str(self.path))
        self.source.start_at(25)
        assert self.source.can_park()
        self.source.park()
        assert self.source.fd < 0

    def read(self) -> bytes:
        buffer = bytearray(1 << 17)
        chunk = self.source.read(buffer)
        return bytes(buffer[chunk.begin : chunk.end])


def test_a_parked_file_is_opened_again_by_the_next_read(tmp_path: Path) -> None:
    parking = Parking(tmp_path)
    append(parking.path, b"more\n")
    assert parking.source.size() == 55
    assert parking.source.fd < 0, "its size is asked by its name"
    assert parking.read() == b"line\n" * 5 + b"more\n"
    parking.source.close()


def test_a_parked_file_that_was_replaced_is_lost(tmp_path: Path) -> None:
    parking = Parking(tmp_path)
    parking.path.rename(tmp_path / "a.log.1")
    parking.path.write_bytes(b"line\n" * 10)
    with pytest.raises(Rewritten):
        parking.read()
    assert parking.source.lost
    parking.source.close()


def test_a_parked_file_that_was_cut_shows_it(tmp_path: Path) -> None:
    parking = Parking(tmp_path)
    parking.path.write_bytes(b"other lines\n" * 10)
    with pytest.raises(Rewritten):
        parking.read()
    assert parking.source.cut
    assert not parking.source.lost
    parking.source.close()


def test_a_deleted_file_is_not_parked(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"line\n")
    source = open_source(System(), str(path))
    path.unlink()
    assert not source.can_park(forced=True)
    source.close()


# which are held


def _hold(folder: Path, hands: Hands, count: int) -> list[OpenFile]:
    files: list[OpenFile] = []
    for number in range(count):
        path = folder / f"{number}.log"
        path.touch()
        source = open_source(System(), str(path))
        source.hands = hands
        hands.hold(source)
        files.append(source)
    return files


def test_the_ones_in_use_last_are_held(tmp_path: Path) -> None:
    hands = Hands(OTHERS)
    files = _hold(tmp_path, hands, LEAST)
    hands.touch(files[0])
    more = tmp_path / "more"
    more.mkdir()
    files += _hold(more, hands, 1)
    assert [number for number, file in enumerate(files) if file.fd < 0] == [1]
    assert hands.held == LEAST
    for file in files:
        file.close()
    assert hands.held == 0


def test_where_descriptors_run_out_some_are_closed_and_it_is_tried_again(tmp_path: Path) -> None:
    hands = Hands()
    files = _hold(tmp_path, hands, SOME + 4)
    tries = iter([OSError(errno.EMFILE, "too many"), None])

    def call() -> str:
        if error := next(tries):
            raise error
        return "open"

    assert hands.attempt(call) == "open"
    assert sum(file.fd < 0 for file in files) == SOME
    for file in files:
        file.close()


def test_where_nothing_can_be_closed_the_error_is_raised() -> None:
    def call() -> None:
        raise OSError(errno.ENFILE, "too many")

    with pytest.raises(OSError, match="too many"):
        Hands().attempt(call)
