"""What a run takes over after a kill, a reboot, and hands that moved, cut or edited things."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
from helpers import append, run_tailmerge

from tailmerge import ledger, run_fully_async
from tailmerge.system import System

STATE = Path("m.tailmerge")


def once(*inputs: str, code: int = 0) -> str:
    """Merge what is new into m; return what was said."""
    done = run_tailmerge("--once", "-o", "m", *(inputs or ("a.log",)))
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr
    return done.stderr.decode()


def edit(change: Callable[[dict[str, object]], object], line: int = 0) -> None:
    """Change one line of the state by hand."""
    lines = STATE.read_text().splitlines()
    data = json.loads(lines[line])
    change(data)
    lines[line] = json.dumps(data)
    STATE.write_text("\n".join(lines) + "\n")


def merged() -> list[str]:
    return Path("m").read_text().split()


@pytest.fixture
def half_written() -> None:
    """A run that was killed inside its second batch: "3" is whole in m, of "4" half a line."""
    append("a.log", b"1111\n2222\n")
    once()
    before = STATE.read_bytes()
    append("a.log", b"3333\n4444\n")
    # What announces the batch is what the run writes itself, seen by a copy of the state.
    record = announce_rest()
    STATE.write_bytes(before + record)
    append("m", b"3333\n44")


def announce_rest() -> bytes:
    """The record of the batch that the next run would write."""
    from tailmerge.position import digest
    from tailmerge.state import format_record

    number = json.loads(STATE.read_text().splitlines()[1])["file"]
    data = b"3333\n4444\n"
    marker = digest(b"1111\n2222\n" + data)
    reaches = [(number, 10, 20, marker)]
    return format_record(reaches, 10, 10, digest(data), digest(data), False).encode()


# an input that an earlier run found missing


@pytest.mark.parametrize("runs", [1, 2])
def test_what_came_and_was_rotated_after_a_run_that_found_no_file_is_read(runs: int) -> None:
    """Old symptom: the rotated file counted as one from before the first run."""
    for _ in range(runs):
        assert once(code=1) == "tailmerge: a.log: no such file\n"
    append("a.log", b"first\n")
    os.rename("a.log", "a.log.1")
    append("a.log", b"second\n")
    assert once() == ""
    assert merged() == ["first", "second"]
    assert once() == ""
    assert "missing" not in STATE.read_text()
    assert merged() == ["first", "second"]


def test_what_was_rotated_before_the_first_run_is_passed_over_where_the_file_is_missing() -> None:
    append("a.log.1", b"old\n")
    os.utime("a.log.1", (0, time.time() - 60))
    once(code=1)
    os.rename("a.log.1", "a.log.2")
    append("a.log.1", b"first\n")
    append("a.log", b"second\n")
    assert once() == ""
    assert merged() == ["first", "second"]


def test_a_file_that_comes_and_is_rotated_while_a_run_begins_is_read() -> None:
    class Born(System):
        """Once somebody was told that there is no a.log, there is one, and it is rotated."""

        def stat(self, path: str) -> os.stat_result:
            try:
                return super().stat(path)
            except FileNotFoundError:
                if os.path.basename(path) == "a.log" and not os.path.exists("a.log.1"):
                    append("a.log", b"first\n")
                    os.rename("a.log", "a.log.1")
                    append("a.log", b"second\n")
                raise

    run = run_fully_async(["a.log"], output_path="m", once=True, system=Born())
    asyncio.run(run)
    assert merged() == ["first", "second"]


# the output moved after a kill


@pytest.mark.parametrize("place", ["m.old", "old.log", "archive/m", "m.1", "m-20261124"])
def test_an_output_that_was_moved_after_a_kill_is_finished_where_it_is(
    half_written: None, place: str
) -> None:
    os.makedirs("archive")
    os.rename("m", place)
    append("a.log", b"5555\n")
    assert "is a new file, what follows goes there" in once()
    assert Path(place).read_bytes() == b"1111\n2222\n3333\n4444\n"
    assert merged() == ["5555"]


def test_where_the_output_was_deleted_after_a_kill_its_last_batch_comes_again(
    half_written: None,
) -> None:
    os.rename("m", "gone")
    os.unlink("gone")
    once()
    assert merged() == ["3333", "4444"]


def test_a_file_that_has_the_moved_outputs_name_is_not_taken_for_it(half_written: None) -> None:
    shutil.move("m", "m.old")
    os.truncate("m.old", 0)
    append("m.old", b"something else\n")
    once()
    assert Path("m.old").read_bytes() == b"something else\n"


# reboots and restored disks


def test_after_a_power_cut_without_fsync_it_goes_back_to_what_is_whole(half_written: None) -> None:
    edit(lambda head: head.update(boot="another"))
    os.truncate("m", 8)
    once()
    counts = Counter(merged())
    assert {"3333", "4444"} <= set(counts)
    assert counts["3333"] == counts["4444"] == 1


def test_new_device_numbers_change_nothing() -> None:
    append("a.log", b"1\n2\n")
    once()
    edit(lambda head: head["output"].update(dev=12345))  # type: ignore[attr-defined]
    edit(lambda entry: entry.update(dev=12345), 1)
    append("a.log", b"3\n")
    assert once() == ""
    assert merged() == ["1", "2", "3"]


def test_a_restored_copy_of_everything_goes_on() -> None:
    append("a.log", b"1\n2\n")
    once()
    for name in ("a.log", "m", "m.tailmerge"):
        shutil.copy(name, f"{name}.copy")
        os.replace(f"{name}.copy", name)
    append("a.log", b"3\n")
    assert once() == ""
    assert merged() == ["1", "2", "3"]


# deleted things


def test_a_deleted_output_is_begun_anew_and_the_inputs_go_on() -> None:
    append("a.log", b"1\n")
    once()
    os.unlink("m")
    append("a.log", b"2\n")
    assert "is a new file, what follows goes there" in once()
    assert merged() == ["2"]


def test_a_deleted_state_merges_everything_again() -> None:
    append("a.log", b"1\n")
    once()
    STATE.unlink()
    assert once() == ""
    assert merged() == ["1", "1"]


# hands on the state


@pytest.mark.parametrize("line", [0, 1])
@pytest.mark.parametrize("damage", ["text", "empty object", "cut", "no such thing"])
def test_a_state_that_was_edited_is_an_error_that_names_the_ways_on(line: int, damage: str) -> None:
    append("a.log", b"1\n")
    once()
    lines = STATE.read_text().splitlines()
    lines[line] = {
        "text": "hello",
        "empty object": "{}",
        "cut": lines[line][:40],
        "no such thing": lines[line].replace('"path"', '"paht"'),
    }[damage]
    STATE.write_text("\n".join(lines) + "\n")
    append("a.log", b"2\n")
    words = once(code=3)
    assert words.count("\n") == 1
    assert "m.tailmerge: the state is damaged" in words
    assert "start over with --overwrite, or remove it to merge everything again" in words
    assert merged() == ["1"], "nothing is begun"
    status = run_tailmerge("--status", "-o", "m")
    assert (status.returncode, b"is damaged" in status.stderr) == (3, True)


def test_an_empty_state_and_one_of_a_newer_version_are_errors() -> None:
    append("a.log", b"1\n")
    once()
    edit(lambda head: head.update(tailmerge=2))
    assert "written by a newer tailmerge" in once(code=3)
    STATE.write_bytes(b"")
    assert "the state is empty" in once(code=3)


# what a killed run left beside the state


def test_the_unfinished_checkpoint_of_a_killed_run_is_removed() -> None:
    append("a.log", b"1\n")
    once()
    left = Path("m.tailmerge.99999.tmp")
    left.write_bytes(b"half")
    strangers = [Path("m.tailmerge.tmp"), Path("m.tailmerge.x.tmp"), Path("other.99999.tmp")]
    for stranger in strangers:
        stranger.write_bytes(b"not ours")
    append("a.log", b"2\n")
    once()
    assert not left.exists()
    assert all(stranger.exists() for stranger in strangers)


# a run that wrote much leaves its checkpoint to the next one


class Syncs(System):
    """Counts what it waits for the disk for."""

    count = 0

    def sync(self, fd: int) -> None:
        self.count += 1
        super().sync(fd)


@pytest.fixture
def much(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run with much to write leaves: a journal behind its first checkpoint."""
    append("a.log", b"".join(b"%05d\n" % n for n in range(20_000)))
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "MUCH", 100_000)
        asyncio.run(merge_again())
    assert journal_lines() > 1


def merge_again(**how: object) -> Coroutine[None, None, None]:
    return run_fully_async(["a.log"], 0.01, "m", once=True, state_path="m.tailmerge", **how)  # type: ignore[arg-type]


def journal_lines() -> int:
    lines = STATE.read_text().splitlines()
    return len(lines) - 1 - int(json.loads(lines[0])["files"])


@pytest.mark.usefixtures("much")
def test_what_a_run_with_much_to_write_left_is_shortened_once_by_the_next_one() -> None:
    for syncs in (2, 0):
        system = Syncs()
        asyncio.run(merge_again(system=system))
        assert system.count == syncs
        assert journal_lines() == 0
    append("a.log", b"more\n")
    assert once() == ""
    assert merged() == [*(f"{n:05d}" for n in range(20_000)), "more"]


@pytest.mark.usefixtures("much")
@pytest.mark.parametrize("part", [0, 50_000])
def test_all_that_it_wrote_is_settled_where_the_output_is_taken_away(part: int) -> None:
    """Nothing of it comes again, wherever the output went and whatever is left of it."""
    if part:
        os.truncate("m", part)
        Path("m").write_bytes(Path("m").read_bytes()[:part] + b"\n")
    else:
        os.unlink("m")
    append("a.log", b"more\n")
    once()
    assert merged()[-1:] == ["more"]
    assert merged().count("19999") == 0


@pytest.mark.usefixtures("much")
def test_it_is_no_input_under_another_name_later() -> None:
    os.rename("m", "m.log")
    append("a.log", b"more\n")
    assert "m.log: is the output, not read" in once("*.log", code=1)
    assert merged() == ["more"]


@pytest.mark.usefixtures("much")
def test_status_says_that_nothing_is_behind_after_it() -> None:
    done = run_tailmerge("--status", "--format", "json", "-o", "m", "a.log")
    rows = json.loads(done.stdout)
    assert [row["behind"] for row in rows["inputs"]] == [0]


def test_runs_that_all_write_much_keep_a_short_state_that_says_when_files_were_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Old symptom: after 30 days all was merged again, and the state grew with each run."""
    monkeypatch.setattr(ledger, "MUCH", 100_000)
    append("b.log", b"never written to again\n")
    expected, sizes, now = ["never", "written", "to", "again"], list[int](), time.time()
    for day in (0, 0.1, 0.2, 10, 20, 31, 45, 45.1):
        lines = [f"{day}-{n:05d}" for n in range(20_000)]
        append("a.log", "".join(line + "\n" for line in lines).encode())
        expected += lines
        at = now + day * 24 * 3600
        monkeypatch.setattr(time, "time", lambda at=at: at)
        asyncio.run(run_fully_async(["a.log", "b.log"], 0.01, "m", once=True, state_path=STATE))
        sizes.append(STATE.stat().st_size)
    assert sorted(merged()) == sorted(expected)
    assert max(sizes) < 5000


def test_a_run_whose_output_is_synced_makes_its_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MUCH", 100_000)
    append("a.log", b"".join(b"%05d\n" % n for n in range(20_000)))
    asyncio.run(merge_again(fsync=True))
    assert journal_lines() == 0
