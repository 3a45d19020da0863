"""A state for standard output and pipes: what they have taken does not come again."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from helpers import Faulty, append, eventually, fault, on_lane, run_tailmerge, said, start_tailmerge

from tailmerge.batch import lines_batch
from tailmerge.folders import Folders
from tailmerge.journal import Journal
from tailmerge.ledger import Ledger
from tailmerge.piped import Stream


def test_a_second_run_goes_on_where_the_first_one_ended() -> None:
    append("a.log", b"1\n2\n")
    assert run_tailmerge("--once", "--state", "s", "a.log").stdout == b"1\n2\n"
    append("a.log", b"3\n")
    done = run_tailmerge("--once", "--state", "s", "a.log")
    assert (done.stdout, done.stderr, done.returncode) == (b"3\n", b"", 0)
    done = run_tailmerge("--once", "--state", "s", "a.log")
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)


def test_an_unfinished_last_line_is_left_for_the_next_run() -> None:
    append("a.log", b"1\nha")
    assert run_tailmerge("--once", "--state", "s", "a.log").stdout == b"1\n"
    append("a.log", b"lf\n")
    assert run_tailmerge("--once", "--state", "s", "a.log").stdout == b"half\n"


def test_its_status_can_be_seen_while_it_runs_and_nobody_else_gets_it() -> None:
    append("a.log", b"1\n2\n")
    with start_tailmerge("--state", "s", "a.log") as process:
        assert process.stdout
        assert process.stdout.readline() == b"1\n"
        eventually(lambda: b" 4 " in run_tailmerge("--status", "--state", "s").stdout)
        shown = run_tailmerge("--status", "--state", "s").stdout
        assert b"standard output\n" in shown
        other = run_tailmerge("--once", "--state", "s", "a.log")
        assert other.returncode == 4
        assert b"pid %d" % process.pid in other.stderr


def test_a_state_belongs_to_one_output() -> None:
    append("a.log", b"1\n")
    run_tailmerge("--once", "--state", "s", "a.log")
    done = run_tailmerge("--once", "--state", "s", "-o", "m", "a.log")
    assert done.returncode == 2
    assert b"this state belongs to the output -" in done.stderr
    assert not os.path.exists("m")


def test_overwrite_forgets_its_positions() -> None:
    append("a.log", b"1\n")
    run_tailmerge("--once", "--state", "s", "a.log")
    assert run_tailmerge("--once", "--overwrite", "--state", "s", "a.log").stdout == b"1\n"


def test_its_own_state_is_no_input() -> None:
    append("a.log", b"1\n")
    run_tailmerge("--once", "--state", "s.log", "*.log")
    append("a.log", b"2\n")
    assert run_tailmerge("--once", "--state", "s.log", "*.log").stdout == b"2\n"


def test_a_named_pipe_has_a_state_where_one_is_named() -> None:
    os.mkfifo("pipe")
    append("a.log", b"1\n")
    for line in (b"1\n", b"2\n"):
        with subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE) as reader:
            run_tailmerge("--once", "-o", "pipe", "--state", "s", "a.log")
            assert reader.communicate()[0] == line
        append("a.log", b"2\n")


def test_what_a_pipe_did_not_take_before_a_kill_comes_again() -> None:
    append("a.log", b"".join(b"%07d\n" % n for n in range(200_000)))
    with start_tailmerge("--once", "--state", "s", "a.log") as process:
        assert process.stdout
        got = process.stdout.read(8 * 50_000)
        process.kill()
        got += process.stdout.read()
    rest = run_tailmerge("--once", "--state", "s", "a.log").stdout
    assert rest, "it was killed too late"
    seen = set(got.splitlines(keepends=True)) | set(rest.splitlines(keepends=True))
    assert set(Path("a.log").read_bytes().splitlines(keepends=True)) <= seen
    assert rest.splitlines() == sorted(rest.splitlines())


class Killed(BaseException):
    """The process ends here."""


def write_twice(system: Faulty) -> None:
    """Two batches of lines that no input has again, to a device; then a kill."""

    async def run() -> None:
        _, report = said()
        output = Stream("out", system, report, 1.0)
        output.open()
        ledger = Ledger(Journal("s", system), Folders(system))
        try:
            ledger.open(output, False, system, report)
            if ledger.owed:
                await output.append(ledger.owed)
                ledger.begin()
            await output.append(lines_batch(b"1\n", (), again=False))
            await output.append(lines_batch(b"2\n", (), again=False))
        finally:
            output.close()
            ledger.close(whole=False)

    on_lane(run())


def test_what_was_taken_from_a_pipe_and_not_written_goes_out_at_the_next_run() -> None:
    append("out", b"")
    with pytest.raises(Killed):
        write_twice(Faulty(write=[None, None, Killed()]))  # the state, the first batch
    assert Path("out").read_bytes() == b"1\n"
    write_twice(Faulty())
    assert Path("out").read_bytes() == b"1\n2\n1\n2\n"


def test_a_state_on_a_full_disk_stops_no_stream_and_costs_no_line() -> None:
    append("out", b"")
    system = Faulty(write_at=[None, None, fault(28)])  # what says that the first batch is out
    write_twice(system)
    assert system.spent
    assert Path("out").read_bytes() == b"1\n2\n"
