"""The files of one input: every kind of rotation, told as a story.

Each story runs the real tails, series, watch and writer on one loop whose clock jumps: the
files are real, the seconds are not, and what happens when is exact.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import errno
import gzip
import io
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from helpers import Faulty, append, before, fault, is_open, on_lane, open_files, said
from hypothesis import given, settings
from hypothesis import strategies as st

from tailmerge.ending import Ending
from tailmerge.folders import Folders
from tailmerge.follow import SeriesTail
from tailmerge.generation import News
from tailmerge.registry import Registry
from tailmerge.series import Series
from tailmerge.state import Entry
from tailmerge.surroundings import Surroundings, Tail
from tailmerge.system import System
from tailmerge.watch import Watch
from tailmerge.writer import WriteThread

T = TypeVar("T")

ROTATE_WAIT = 5.0


class HereThread(WriteThread):
    """A writer whose work is done on the caller's loop: the clock is one."""

    async def send(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        return await function(*args)


class Run:
    """Inputs that are followed into m.log, and what was said."""

    def __init__(self, *names: str, system: System | None = None, **how: Any) -> None:
        self.once = how.pop("once", False)
        entries = how.pop("entries", ())
        self.words, self.report = said()
        self.system = system or System()
        self.registry = Registry()
        self.thread = HereThread("m.log", report=self.report, system=self.system)
        self.ending = Ending()
        self.watch = Watch(self.thread, 0.1)
        self.around = Surroundings(
            self.thread, self.watch, self.report, self.ending, once=self.once, start=self.start
        )
        self.tasks: list[asyncio.Task[None]] = []
        folders = Folders(self.system)
        self.series = [
            Series(
                name,
                self.system,
                self.registry,
                folders,
                entries=[entry for entry in entries if entry.series == name],
                **{"rotate_wait": ROTATE_WAIT} | how,
            )
            for name in names
        ]
        self.tails = [SeriesTail(series, self.around, named=True) for series in self.series]

    @property
    def merged(self) -> bytes:
        return Path("m.log").read_bytes()

    async def seconds(self, count: float) -> None:
        await asyncio.sleep(count)

    async def follow(self, story: Callable[[Run], Awaitable[None]]) -> None:
        async with asyncio.TaskGroup() as group:
            await self.thread._open_output()
            for tail in self.tails:
                await tail.prepare()
            sweeps = group.create_task(self.watch.run())
            self.group = group
            for tail in self.tails:
                self.start(tail)
            if not self.once:
                await self.seconds(0.2)
            await story(self)
            if not self.once and not self.ending.has_come:
                self.stop()
            await asyncio.wait(self.tasks)
            assert not any(tail.asleep for tail in self.tails)
            sweeps.cancel()
        for series in self.series:
            series.close()
        assert self.thread.output
        self.thread.output.close()
        await asyncio.sleep(0)

    def start(self, tail: Tail) -> None:
        self.tasks.append(self.group.create_task(tail.run()))

    def stop(self) -> None:
        self.ending.stop()
        self.watch.end()

    def finish(self) -> None:
        self.ending.finish()
        self.watch.end()


def write_at(name: str, offset: int, data: bytes) -> None:
    """As a writer does that goes on where it was, whatever became of the file."""
    with open(name, "r+b") as file:
        file.seek(offset)
        file.write(data)


Story = Callable[[Run], Awaitable[None]]


def follow(story: Story, *names: str, **how: Any) -> Run:
    before = collections.Counter(open_files())
    run = Run(*(names or ("a.log",)), **how)
    try:
        on_lane(run.follow(story))
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    assert collections.Counter(open_files()) - before == {}
    return run


async def nothing(run: Run) -> None:
    """All there is to it has happened before."""


def rotate(name: str = "a.log", old: str = "a.log.1") -> None:
    os.rename(name, old)


def copy(old: str = "a.log.1") -> None:
    Path(old).write_bytes(Path("a.log").read_bytes())


def copytruncate(old: str = "a.log.1") -> None:
    copy(old)
    os.truncate("a.log", 0)


def compress(name: str) -> None:
    Path(name + ".gz").write_bytes(gzip.compress(Path(name).read_bytes()))
    os.unlink(name)


def open_to_append(name: str) -> io.FileIO:
    return io.FileIO(name, "ab")


# growing


def test_lines_are_forwarded_as_they_come() -> None:
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        assert run.merged == b"1\n"
        append("a.log", b"2\n")
        await run.seconds(0.2)
        assert run.merged == b"1\n2\n"

    assert follow(story).words == []


def test_a_line_in_two_halves_comes_whole() -> None:
    append("a.log", b"1\nha")

    async def story(run: Run) -> None:
        await run.seconds(60)
        assert run.merged == b"1\n"
        append("a.log", b"lf\n")
        await run.seconds(0.2)
        assert run.merged == b"1\nhalf\n"

    follow(story)


def test_a_run_that_is_stopped_leaves_an_unfinished_line_out_and_says_so() -> None:
    append("a.log", b"1\nhalf")
    run = follow(nothing)
    assert run.merged == b"1\n"
    assert run.words == ["a.log: unfinished last line left out"]


def test_a_run_that_ends_by_itself_writes_an_unfinished_line() -> None:
    append("a.log", b"1\nhalf")

    async def story(run: Run) -> None:
        run.finish()

    assert follow(story).merged == b"1\nhalf\n"


def test_a_file_that_is_missing_is_said_once_and_when_it_appears() -> None:
    async def story(run: Run) -> None:
        await run.seconds(60)
        append("a.log", b"1\n")
        await run.seconds(0.2)
        assert run.merged == b"1\n"

    run = follow(story)
    assert [text.split(",")[0] for text in run.words] == [
        "a.log: no such file yet",
        "a.log: can be read now",
    ]


# renamed and created anew


def test_the_old_file_is_drained_and_the_new_one_forwarded_at_once() -> None:
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        append("a.log", b"2\n")
        rotate()
        append("a.log", b"3\n")
        await run.seconds(0.2)
        assert run.merged == b"1\n2\n3\n"

    assert follow(story).words == ["a.log: rotated, 2 files followed"]


def test_late_lines_of_the_old_file_come_while_it_is_held() -> None:
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        rotate()
        append("a.log", b"2\n")
        await run.seconds(ROTATE_WAIT - 1)
        append("a.log.1", b"late\n")
        await run.seconds(ROTATE_WAIT - 1)
        append("a.log.1", b"later\n")
        await run.seconds(0.2)
        assert run.merged == b"1\n2\nlate\nlater\n"

    follow(story)


def test_a_quiet_old_file_is_let_go_and_its_late_lines_come_nevertheless() -> None:
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        rotate()
        append("a.log", b"2\n")
        await run.seconds(ROTATE_WAIT + 1)
        assert not is_open("a.log.1")
        await run.seconds(600)
        append("a.log.1", b"late\n")
        await run.seconds(1.2)
        assert run.merged == b"1\n2\nlate\n"

    follow(story)


def test_several_rotations_between_two_looks_come_in_order() -> None:
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        append("a.log", b"2\n")
        for line in (b"3\n", b"4\n", b"5\n"):
            for number in (2, 1):
                if f"a.log.{number}" in os.listdir():
                    rotate(f"a.log.{number}", f"a.log.{number + 1}")
            rotate()
            append("a.log", line)
        await run.seconds(0.5)
        assert run.merged == b"1\n2\n3\n4\n5\n"

    follow(story)


def test_a_generation_that_holds_only_the_header_of_all_is_not_left_out() -> None:
    append("a.log", b"#Fields\n1\n")

    async def story(run: Run) -> None:
        rotate(old="a.log.2")
        append("a.log.1", b"#Fields\n")
        append("a.log", b"#Fields\n2\n")
        await run.seconds(5)
        assert sorted(run.merged.splitlines()) == [b"#Fields"] * 3 + [b"1", b"2"]

    follow(story)


def test_a_file_that_is_renamed_back_goes_on() -> None:
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        rotate()
        await run.seconds(1)
        rotate("a.log.1", "a.log")
        append("a.log", b"2\n")
        await run.seconds(1)
        assert run.merged == b"1\n2\n"

    follow(story)


def test_a_file_moved_out_of_sight_is_read_while_it_is_held() -> None:
    append("a.log", b"1\n")
    os.mkdir("old")

    async def story(run: Run) -> None:
        rotate(old="old/a.log")
        append("a.log", b"2\n")
        append("old/a.log", b"late\n")
        await run.seconds(1)
        assert sorted(run.merged.split()) == [b"1", b"2", b"late"]

    follow(story)


def test_a_file_renamed_between_stat_and_open_costs_nothing() -> None:
    def swap() -> None:
        rotate()
        append("a.log", b"2\n")

    append("a.log", b"1\n")
    system = Faulty(open=[None, before(swap)])  # the first one is the output

    async def story(run: Run) -> None:
        await run.seconds(ROTATE_WAIT + 2)

    run = follow(story, system=system, passed_before=0)
    assert system.spent
    assert run.merged == b"2\n1\n" or run.merged == b"1\n2\n"


def test_a_listing_that_missed_a_name_is_made_again() -> None:
    append("a.log", b"1\n")

    def empty(names: Any, folder: str) -> Any:
        return iter(())

    system = Faulty(names=[None, empty])

    async def story(run: Run) -> None:
        rotate(old="a.log.2")
        append("a.log.1", b"2\n")
        append("a.log", b"3\n")
        await run.seconds(1)
        assert sorted(run.merged.split()) == [b"1", b"2", b"3"]

    follow(story, system=system)
    assert system.spent


def leave_half_read(name: str) -> list[Entry]:
    """What a run tells the next one that did not read the last five bytes of a rotated file."""
    append("a.log", b"1\n")
    run = follow(nothing, once=True)
    os.rename("m.log", "before.log")
    append("a.log", b"late\n")
    rotate(old=name)
    append("a.log", b"2\n")
    (entry,) = run.series[0].keeping.entries()
    return [entry._replace(size=7)]


def hide(names: Any, folder: str) -> Any:
    """As a listing that is read while names move may miss one."""
    return iter(())


@pytest.mark.parametrize("listings", [1, 2, 4])
@pytest.mark.parametrize("once", [False, True])
def test_a_file_whose_name_moves_is_looked_for_again_before_it_is_given_up(
    once: bool, listings: int
) -> None:
    """Old symptom: "lines may be missing" about a file that was read a moment later."""
    entries = leave_half_read("a.log.1")
    system = Faulty(names=[hide] * listings)

    async def story(run: Run) -> None:
        await run.seconds(0 if once else 3)

    run = follow(story, system=system, once=once, entries=entries)
    assert system.spent
    assert sorted(run.merged.split()) == [b"2", b"late"]
    assert "may be missing" not in "".join(run.words)


@pytest.mark.parametrize("end", ["once", "followed", "finished at once"])
def test_a_file_that_is_gone_with_unread_lines_is_said_once(end: str) -> None:
    entries = leave_half_read("a.log.1")
    os.unlink("a.log.1")

    async def story(run: Run) -> None:
        await run.seconds(60 if end == "followed" else 0)
        if end == "finished at once":
            run.finish()

    run = follow(story, once=end == "once", entries=entries)
    assert "".join(run.words).count("a.log: lines may be missing, 5 bytes were gone") == 1
    entries = list(run.series[0].keeping.entries())
    again = follow(story, once=end == "once", entries=entries)
    assert "may be missing" not in "".join(again.words)


# missing at first


def create_and_rotate() -> None:
    append("a.log", b"1\n")
    rotate()
    append("a.log", b"2\n")


@pytest.mark.parametrize("rotations", [1, 2])
def test_a_missing_file_that_comes_and_is_rotated_between_two_sweeps_is_read(
    rotations: int,
) -> None:
    async def story(run: Run) -> None:
        await run.seconds(0.5)
        create_and_rotate()
        if rotations == 2:
            rotate("a.log.1", "a.log.2")
            rotate()
        await run.seconds(2)
        assert run.merged == b"1\n2\n"  # also where there is no file of the name

    follow(story)


def test_a_missing_file_that_comes_and_is_rotated_within_the_first_look_is_read() -> None:
    append("a.log.7", b"older\n")
    os.utime("a.log.7", (0, time.time() - 60))
    system = Faulty(names=[before(create_and_rotate)])

    async def story(run: Run) -> None:
        await run.seconds(1)
        assert run.merged == b"1\n2\n"

    follow(story, system=system, passed_before=time.time() - 1)
    assert system.spent


# copied and truncated


def test_copytruncate_neither_loses_nor_doubles() -> None:
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        copytruncate()
        append("a.log", b"2\n")
        await run.seconds(60)
        assert run.merged == b"1\n2\n"

    follow(story)


def test_what_was_not_read_before_the_cut_is_taken_from_the_copy() -> None:
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        append("a.log", b"2\n")
        copytruncate()
        append("a.log", b"3\n")
        await run.seconds(60)
        assert run.merged == b"1\n2\n3\n"

    follow(story)


def test_a_copy_is_not_read_while_its_original_stands() -> None:
    """However often it is looked at, and however much the original has grown since."""
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        append("a.log.1", b"1\n")
        for line in (b"2\n", b"3\n"):
            run.watch.tell(run.series[0], News.CHANGED)
            await run.seconds(3)
            append("a.log", line)
        run.watch.tell(run.series[0], News.CHANGED)
        await run.seconds(3)
        assert run.merged == b"1\n2\n3\n"

    follow(story)


def test_lines_that_came_between_the_copy_and_the_cut_do_not_double_the_copy() -> None:
    """The writer goes on while logrotate copies, and what it writes is forwarded at once: the
    position is then behind the copy's end, and the whole copy was taken for a new file."""
    append("a.log", b"1\n2\n")

    async def story(run: Run) -> None:
        append("a.log.1", b"1\n2\n")
        append("a.log", b"in between\n")
        await run.seconds(0.5)
        os.truncate("a.log", 0)
        append("a.log", b"3\n")
        await run.seconds(3)
        assert run.merged == b"1\n2\nin between\n3\n"

    follow(story)


@pytest.mark.parametrize("after", [b"", b"2\n"], ids=["empty", "grown again"])
def test_what_an_empty_file_got_and_lost_between_two_looks_is_in_the_copy(after: bytes) -> None:
    """Nothing was known of the file that could have changed: the copy was not looked for."""
    append("a.log", b"")

    async def story(run: Run) -> None:
        append("a.log", b"1\n")
        copytruncate()
        if after:
            append("a.log", after)
        await run.seconds(3)
        assert run.merged == b"1\n" + after

    follow(story)


def test_a_file_cut_and_grown_to_its_old_size_is_known_by_any_look() -> None:
    """The name a.log.1 matched a pattern, so the look came before the read that would have
    found the file cut; the copy was then taken for a new file."""
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        copytruncate()
        append("a.log", b"2\n")
        run.watch.tell(run.series[0], News.CHANGED)
        await run.seconds(3)
        assert run.merged == b"1\n2\n"

    follow(story)


def test_a_copy_of_a_file_that_was_not_opened_yet_is_not_read_too() -> None:
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        rotate(old="a.log.2")
        append("a.log", b"2\n")
        append("a.log.1", b"2\n")
        await run.seconds(3)
        assert run.merged == b"1\n2\n"

    follow(story)


def test_a_second_copy_whose_original_still_stands_is_not_read() -> None:
    """Two copies between two looks, the file not yet cut behind the second."""
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        copytruncate("a.log.2")
        append("a.log", b"a longer line\n")
        append("a.log.1", b"a longer line\n")
        await run.seconds(3)
        assert run.merged == b"1\na longer line\n"

    follow(story)


def test_a_file_that_was_cut_and_has_grown_past_its_position_is_read_from_its_start() -> None:
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        os.truncate("a.log", 0)
        append("a.log", b"a much longer line\n")
        await run.seconds(1)
        assert run.merged == b"1\na much longer line\n"

    follow(story)


def test_an_unfinished_line_that_was_cut_without_a_copy_is_ended() -> None:
    append("a.log", b"1\nhalf")

    async def story(run: Run) -> None:
        os.truncate("a.log", 0)
        append("a.log", b"2\n")
        await run.seconds(1)
        assert run.merged == b"1\nhalf\n2\n"

    follow(story)


def test_a_file_of_which_nothing_was_wanted_is_read_after_a_cut() -> None:
    """`-n 0`, cut before anything new came: its new lines were not seen before the file was
    as long as the old one, and the first of them then came torn."""
    append("a.log", b"one\ntwo\n")

    async def story(run: Run) -> None:
        os.truncate("a.log", 0)
        await run.seconds(1)
        append("a.log", b"new\n")
        await run.seconds(1)
        assert run.merged == b"new\n"
        append("a.log", b"and so on\n")
        await run.seconds(1)
        assert run.merged == b"new\nand so on\n"

    follow(story, lines=0)


def test_a_file_of_which_nothing_was_wanted_is_known_when_written_anew_and_longer() -> None:
    append("a.log", b"one\ntwo\n")

    async def story(run: Run) -> None:
        os.truncate("a.log", 0)
        append("a.log", b"a much longer line\n")
        await run.seconds(1)
        assert run.merged == b"a much longer line\n"

    follow(story, lines=0)


def test_a_hole_that_a_writer_leaves_behind_a_cut_is_skipped_and_said() -> None:
    append("a.log", b"x" * 9_999 + b"\n")

    async def story(run: Run) -> None:
        copytruncate()
        write_at("a.log", 10_000, b"2\n")
        await run.seconds(1)
        assert run.merged == b"x" * 9_999 + b"\n2\n"

    run = follow(story)
    assert "skipped a hole of 10000 NUL bytes" in "".join(run.words)


def test_bytes_that_were_seen_and_cut_before_they_were_read_are_said() -> None:
    append("a.log", b"1\n")

    class CutAfterProbe(System):
        """The file grows, the sweep sees it, and it is cut before it is read."""

        armed = False

        def stat(self, path: str) -> os.stat_result:
            status = super().stat(path)
            if self.armed and path == "a.log" and status.st_size > 2:
                self.armed = False
                os.truncate(path, 0)
            return status

    system = CutAfterProbe()

    async def story(run: Run) -> None:
        system.armed = True
        append("a.log", b"lost\n")
        await run.seconds(1)
        append("a.log", b"2\n")
        await run.seconds(1)
        assert run.merged == b"1\n2\n"

    run = follow(story, system=system)
    assert not system.armed
    assert "a.log: lines may be missing, 5 bytes were gone" in "".join(run.words)


def test_what_came_into_an_empty_file_after_the_look_is_read_by_the_next_one() -> None:
    """Between the look and the read it was filled, copied, cut and filled again."""

    class Busy(System):
        armed = False

        def read_into(self, fd: int, view: memoryview, offset: int) -> int:
            if self.armed:
                self.armed = False
                append("a.log", b"3\n")
                rotate("a.log.1", "a.log.2")
                copytruncate()
                append("a.log", b"4\n")
            return super().read_into(fd, view, offset)

    append("a.log", b"1\n")
    system = Busy()

    async def story(run: Run) -> None:
        append("a.log", b"2\n")
        copytruncate()
        system.armed = True
        await run.seconds(5)
        assert not system.armed
        assert run.merged == b"1\n2\n3\n4\n"

    run = follow(story, system=system)
    assert not any("missing" in words for words in run.words)


def test_the_unfinished_line_of_what_was_cut_comes_out_though_nothing_follows() -> None:
    append("a.log", b"1\nhalf")

    async def story(run: Run) -> None:
        os.truncate("a.log", 0)
        await run.seconds(5)
        assert run.merged == b"1\nhalf\n"

    follow(story)


# deleted


def test_a_deleted_file_is_read_to_its_end_and_the_new_one_too() -> None:
    append("a.log", b"1\n")
    writer = open("a.log", "ab", buffering=0)  # noqa: SIM115

    async def story(run: Run) -> None:
        os.unlink("a.log")
        writer.write(b"2\n")
        await run.seconds(1)
        writer.write(b"3\n")
        await run.seconds(1)
        writer.close()
        append("a.log", b"4\n")
        await run.seconds(1)
        assert run.merged == b"1\n2\n3\n4\n"

    run = follow(story)
    assert "gone, waiting for it to come back" in run.words[0]


def test_the_unfinished_line_of_a_deleted_file_is_ended_once_it_is_quiet() -> None:
    append("a.log", b"1\nhalf")

    async def story(run: Run) -> None:
        os.unlink("a.log")
        append("a.log", b"2\n")
        await run.seconds(ROTATE_WAIT - 1)
        assert run.merged == b"1\n2\n"
        await run.seconds(2)
        assert run.merged == b"1\n2\nhalf\n"

    follow(story)


def test_a_file_created_again_with_the_same_first_lines_is_read_in_full() -> None:
    append("a.log", b"banner\n1\n")

    async def story(run: Run) -> None:
        os.unlink("a.log")
        append("a.log", b"banner\n1\n2\n")
        await run.seconds(1)
        assert run.merged == b"banner\n1\nbanner\n1\n2\n"

    follow(story)


# unfinished lines of rotated files


def test_the_unfinished_line_of_the_newest_rotated_file_waits_for_its_end() -> None:
    append("a.log", b"1\nhalf")

    async def story(run: Run) -> None:
        rotate()
        append("a.log", b"2\n")
        await run.seconds(600)
        assert run.merged == b"1\n2\n"
        append("a.log.1", b" done\n")
        await run.seconds(1.2)
        assert run.merged == b"1\n2\nhalf done\n"

    follow(story)


def test_the_unfinished_line_of_a_rotated_file_is_ended_when_a_newer_one_follows() -> None:
    append("a.log", b"1\nhalf")

    async def story(run: Run) -> None:
        rotate(old="a.log.2")
        append("a.log", b"2\n")
        await run.seconds(60)
        rotate(old="a.log.1")
        append("a.log", b"3\n")
        await run.seconds(60)
        assert run.merged == b"1\n2\n3\nhalf\n"

    follow(story)


def test_a_rotated_file_that_vanishes_at_the_end_of_the_run_does_no_harm() -> None:
    append("a.log", b"1\nhalf")

    async def story(run: Run) -> None:
        rotate()
        append("a.log", b"2\n")
        await run.seconds(60)
        os.unlink("a.log.1")
        run.finish()

    assert follow(story).merged.startswith(b"1\n2\n")


# what was there before


def test_rotated_files_from_before_are_passed_over() -> None:
    append("a.log.2", b"0\n")
    append("a.log.1", b"1\n")
    append("a.log", b"2\n")
    assert follow(nothing).merged == b"2\n"


def test_rotated_files_that_were_named_are_read_oldest_first() -> None:
    append("a.log.2", b"0\n")
    append("a.log.1", b"1\n")
    append("a.log", b"2\n")
    run = follow(nothing, named=frozenset({"a.log.1", "a.log.2"}))
    assert run.merged == b"0\n1\n2\n"


def test_the_last_lines_are_asked_of_each_file_that_was_named() -> None:
    append("a.log.1", b"1\n2\n")
    append("a.log", b"3\n4\n")
    assert follow(nothing, named=frozenset({"a.log.1"}), lines=1).merged == b"2\n4\n"


def test_late_lines_of_an_older_file_that_was_named_are_merged() -> None:
    append("a.log.2", b"0\n")
    append("a.log.1", b"1\n")
    append("a.log", b"2\n")

    async def story(run: Run) -> None:
        await run.seconds(60)
        append("a.log.2", b"late\n")
        await run.seconds(1.2)
        assert run.merged == b"0\n1\n2\nlate\n"

    follow(story, named=frozenset({"a.log.1", "a.log.2"}))


def test_late_lines_of_a_file_that_was_passed_over_are_merged() -> None:
    append("a.log.1", b"before\n")
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        append("a.log.1", b"late\n")
        await run.seconds(1.2)
        assert run.merged == b"1\nlate\n"

    follow(story)


def test_a_line_that_was_unfinished_when_its_file_was_passed_over_comes_whole_or_not() -> None:
    """Its second half came alone, as if it were a line."""
    append("a.log.1", b"before\nfirst half")
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        append("a.log.1", b", second half\nlate\n")
        await run.seconds(1.2)
        assert run.merged == b"1\nfirst half, second half\nlate\n"

    follow(story)


def test_files_that_were_passed_over_stay_so_when_they_are_renamed() -> None:
    append("a.log.1", b"before\n")
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        rotate("a.log.1", "a.log.2")
        rotate()
        append("a.log", b"2\n")
        await run.seconds(60)
        assert run.merged == b"1\n2\n"

    follow(story)


@pytest.mark.parametrize(("lines", "expected"), [(0, b""), (1, b"3\n"), (2, b"2\n3\n")])
def test_the_last_lines_are_what_it_begins_with(lines: int, expected: bytes) -> None:
    append("a.log", b"1\n2\n3\n")

    async def story(run: Run) -> None:
        assert run.merged == expected
        append("a.log", b"4\n")
        await run.seconds(0.2)
        assert run.merged == expected + b"4\n"

    follow(story, lines=lines)


def test_the_last_lines_are_not_asked_of_what_appears_later() -> None:
    append("a.log", b"1\n2\n")

    async def story(run: Run) -> None:
        rotate()
        append("a.log", b"3\n4\n")
        await run.seconds(1)
        assert run.merged == b"3\n4\n"

    follow(story, lines=0)


def test_the_last_lines_of_what_is_not_made_of_bytes_are_refused_too() -> None:
    append("a.log", "\ufeffone\ntwo\n".encode("utf-16-le"))
    run = follow(nothing, lines=1)
    assert run.merged == b""
    assert "is UTF-16LE" in "".join(run.words)


# one file, several names


def test_two_names_of_one_file_are_followed_once() -> None:
    append("a.log", b"1\n")
    os.link("a.log", "hard.log")
    os.symlink("a.log", "soft.log")

    async def story(run: Run) -> None:
        append("hard.log", b"2\n")
        await run.seconds(0.5)
        assert run.merged == b"1\n2\n"

    run = follow(story, "a.log", "hard.log", "soft.log")
    assert run.words == [
        "hard.log: is the same file as a.log, followed once",
        "soft.log: is the same file as a.log, followed once",
    ]


def test_two_files_with_the_same_content_are_two_inputs() -> None:
    append("a.log", b"1\n")
    append("b.log", b"1\n")
    assert follow(nothing, "a.log", "b.log").merged == b"1\n1\n"


def test_a_file_renamed_from_one_input_to_another_goes_on_there() -> None:
    append("a.log", b"1\n")
    append("b.log", b"2\n")

    async def story(run: Run) -> None:
        os.rename("a.log", "b.log")
        append("b.log", b"3\n")
        await run.seconds(1)
        assert run.merged == b"1\n2\n3\n"

    follow(story, "a.log", "b.log")


def test_two_inputs_that_swap_their_names_go_on() -> None:
    append("a.log", b"1\n")
    append("b.log", b"2\n")

    async def story(run: Run) -> None:
        os.rename("a.log", "t")
        os.rename("b.log", "a.log")
        os.rename("t", "b.log")
        append("a.log", b"3\n")
        append("b.log", b"4\n")
        await run.seconds(1)
        assert sorted(run.merged.split()) == [b"1", b"2", b"3", b"4"]

    follow(story, "a.log", "b.log")


def test_a_rotated_file_with_two_rotated_names_is_read_once() -> None:
    """`a.log.1 -> a.log-20261123`, or a hard link."""
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        rotate(old="a.log.9")
        append("a.log-20261123", b"2\n")
        os.symlink("a.log-20261123", "a.log.1")
        append("a.log", b"3\n")
        await run.seconds(2)
        assert sorted(run.merged.split()) == [b"1", b"2", b"3"]

    follow(story)


def test_a_symlink_that_leads_to_the_next_file_is_a_rotation() -> None:
    append("one", b"1\n")
    append("two", b"2\n")
    os.symlink("one", "a.log")

    async def story(run: Run) -> None:
        os.symlink("two", "next")
        os.rename("next", "a.log")
        append("one", b"late\n")
        await run.seconds(1)
        assert sorted(run.merged.split()) == [b"1", b"2", b"late"]

    follow(story)


# what cannot be read


@pytest.mark.parametrize("call", ["open", "stat"])
def test_a_file_that_cannot_be_read_is_said_once_and_read_when_it_can(call: str) -> None:
    append("a.log", b"1\n")

    class Closed(System):
        closed = True

        def open(self, path: str, flags: int, mode: int = 0o600) -> int:
            if self.closed and call == "open" and path == "a.log":
                raise fault(errno.EACCES)
            return super().open(path, flags, mode)

        def stat(self, path: str) -> os.stat_result:
            if self.closed and call == "stat" and path == "a.log":
                raise fault(errno.EACCES)
            return super().stat(path)

    system = Closed()

    async def story(run: Run) -> None:
        await run.seconds(60)
        assert run.words == ["a.log: permission denied, tried again"]
        assert run.report.owes
        system.closed = False
        await run.seconds(2)
        assert run.merged == b"1\n"
        assert not run.report.owes

    assert len(follow(story, system=system).words) == 2


def test_a_read_error_is_said_and_the_file_is_tried_again() -> None:
    append("a.log", b"1\n")
    system = Faulty()

    async def story(run: Run) -> None:
        system.scripts["read_into"] = [fault(errno.EIO)]
        append("a.log", b"2\n")
        await run.seconds(5)
        assert system.spent
        assert run.merged == b"1\n2\n"

    run = follow(story, system=system)
    assert run.words[0] == "a.log: input/output error, tried again"


def test_a_read_error_that_is_over_is_said_and_no_longer_owed() -> None:
    append("a.log", b"1\n")
    system = Faulty()

    async def story(run: Run) -> None:
        system.scripts["read_into"] = [fault(errno.EIO)]
        append("a.log", b"2\n")
        await run.seconds(5)
        append("a.log", b"3\n")
        await run.seconds(5)
        assert run.merged == b"1\n2\n3\n"
        assert not run.report.owes
        assert len(run.words) == 2

    follow(story, system=system)
    assert system.spent


def test_a_generation_that_cannot_be_read_is_said_and_fetched_when_it_can() -> None:
    append("a.log", b"1\n")

    class Closed(System):
        closed = True

        def open(self, path: str, flags: int, mode: int = 0o600) -> int:
            if self.closed and path == "a.log.1":
                raise fault(errno.EACCES)
            return super().open(path, flags, mode)

    system = Closed()

    async def story(run: Run) -> None:
        rotate(old="a.log.2")
        append("a.log.1", b"2\n")
        append("a.log", b"3\n")
        await run.seconds(60)
        assert run.report.owes
        (said,) = [text for text in run.words if "permission denied" in text]
        assert said.startswith("a.log.1: ")
        system.closed = False
        await run.seconds(2)
        assert sorted(run.merged.split()) == [b"1", b"2", b"3"]
        assert not run.report.owes

    follow(story, system=system)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_file_that_cannot_be_asked_for_its_size_does_not_end_the_run(number: int) -> None:
    """A network file system gives ESTALE for a file that its server forgot."""
    append("a.log", b"1\n")
    append("b.log", b"2\n")

    class Stale(System):
        stale: tuple[int, int] | None = None
        fired = 0

        def fstat(self, fd: int) -> os.stat_result:
            status = super().fstat(fd)
            if self.stale == (status.st_dev, status.st_ino):
                self.fired += 1
                raise fault(number)
            return status

    system = Stale()

    async def story(run: Run) -> None:
        status = os.stat("a.log")
        rotate()
        append("a.log", b"3\n")
        await run.seconds(0.5)
        system.stale = (status.st_dev, status.st_ino)
        await run.seconds(2)
        append("b.log", b"4\n")
        await run.seconds(1)
        assert run.merged == b"1\n2\n3\n4\n"

    follow(story, "a.log", "b.log", system=system)
    assert system.fired


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_took_the_files_name_is_said_and_not_read(make: Callable[[str], None]) -> None:
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        rotate()
        make("a.log")
        await run.seconds(3)
        (said,) = run.words
        assert said.startswith("a.log: is no longer a regular file")
        os.rename("a.log", "other")
        append("a.log", b"2\n")
        await run.seconds(3)
        assert run.merged == b"1\n2\n"

    follow(story)


def test_the_output_that_took_an_inputs_name_is_not_read() -> None:
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        run.registry.outputs = run.thread.output.identities if run.thread.output else set()
        rotate()
        os.link("m.log", "a.log")
        await run.seconds(3)
        assert run.merged == b"1\n"

    follow(story)


# one-shot


def test_a_one_shot_run_reads_what_was_there_when_it_looked() -> None:
    append("a.log", b"1\n2\n")
    grow = before(lambda: append("a.log", b"later\n"))
    system = Faulty(write=[grow])
    run = follow(nothing, once=True, system=system)
    assert system.spent
    assert run.merged == b"1\n2\n"


def test_a_one_shot_run_does_not_run_after_a_file_that_keeps_growing() -> None:
    append("a.log", b"1\nhalf")
    grow = before(lambda: append("a.log", b"x\nmore"))
    system = Faulty(write=[grow] * 20)
    run = follow(nothing, once=True, system=system)
    assert len(system.fired) < 20
    assert run.merged.count(b"\n") <= 3


def test_a_one_shot_run_ends_an_unfinished_line() -> None:
    append("a.log", b"1\nhalf")
    assert follow(nothing, once=True).merged == b"1\nhalf\n"


def test_a_one_shot_run_reads_a_file_that_was_cut_meanwhile_from_its_start() -> None:
    append("a.log", b"1\n" * 10)

    def cut() -> None:
        os.truncate("a.log", 0)
        append("a.log", b"2\n")

    system = Faulty(read_into=[before(cut)])
    run = follow(nothing, once=True, system=system)
    assert system.spent
    assert run.merged == b"2\n"


# how much is done for it


def test_a_file_that_is_held_on_to_is_not_looked_at_twenty_times_a_second() -> None:
    """Moved out of sight with an unfinished line, it is held until its end comes."""
    append("a.log", b"1\nhalf")
    os.mkdir("old")

    class Counting(System):
        listings = 0

        def names(self, folder: str) -> Any:
            self.listings += 1
            return super().names(folder)

    system = Counting()

    async def story(run: Run) -> None:
        rotate(old="old/a.log")
        append("a.log", b"2\n")
        await run.seconds(60)
        before = system.listings
        await run.seconds(60)
        assert system.listings - before <= 60

    follow(story, system=system)


# the promise, over random stories

OPERATIONS = {
    "renamed": ["line", "line", "half", "wait", "rename", "late", "delete"],
    "copied": ["line", "line", "half", "wait", "copy", "copy slowly", "delete"],
}
WAITS = [0.03, 0.11, 0.3, 1.1, 2.5, 7.0]


class LogWriter:
    """Who writes a.log, and turns it over; `lines` is what must come out."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.late: list[bytes] = []
        self.half = b""
        self.open()

    def open(self) -> None:
        self.fd = os.open("a.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.old: int | None = None

    def write_line(self) -> None:
        end = b"line %d" % len(self.lines)
        os.write(self.fd, end + b"\n")
        self.lines.append(self.half + end)
        self.half = b""

    def write_half(self) -> None:
        if not self.half:
            self.half = b"half of "
            os.write(self.fd, self.half)

    def shift_names(self) -> None:
        rotated = [name for name in os.listdir() if name.startswith("a.log.")]
        for number in sorted((int(name[6:]) for name in rotated), reverse=True):
            rotate(f"a.log.{number}", f"a.log.{number + 1}")

    async def do(self, run: Run, operation: str, wait: float) -> None:
        if operation == "line":
            self.write_line()
        elif operation == "half":
            self.write_half()
        elif operation == "wait":
            await run.seconds(wait)
        elif operation == "late" and self.old is not None:
            self.late.append(b"late %d" % len(self.late))
            os.write(self.old, self.late[-1] + b"\n")
        elif operation in ("rename", "copy", "copy slowly", "delete"):
            if self.half:
                self.write_line()
            await self.turn_over(run, operation, wait)

    async def turn_over(self, run: Run, operation: str, wait: float) -> None:
        if operation == "delete":
            await run.seconds(0.3)  # what no look could see is the contract's limit
            os.unlink("a.log")
            os.close(self.fd)
            self.open()
            return
        self.shift_names()
        if operation == "rename":
            rotate()
            if self.old is not None:
                os.close(self.old)
            old = self.fd
            self.open()
            self.old = old
            return
        copy()
        if operation == "copy slowly":
            await run.seconds(wait)
        os.truncate("a.log", 0)

    def close(self) -> None:
        for fd in (self.fd, self.old):
            if fd is not None:
                os.close(fd)


STEPS = st.sampled_from(sorted(OPERATIONS)).flatmap(
    lambda scheme: st.lists(
        st.tuples(st.sampled_from(OPERATIONS[scheme]), st.sampled_from(WAITS)), max_size=14
    )
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(STEPS)
def test_every_line_comes_out_once_whole_and_in_order(steps: list[tuple[str, float]]) -> None:
    async def story(run: Run) -> None:
        for operation, wait in steps:
            await writer.do(run, operation, wait)
        if writer.half:
            writer.write_line()
        await run.seconds(2 * ROTATE_WAIT)

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        writer = LogWriter()
        run = Run("a.log")
        try:
            on_lane(run.follow(story))
        finally:
            writer.close()
        got = run.merged.split(b"\n")[:-1]
    late = [line for line in got if line.startswith(b"late")]
    assert [line for line in got if line not in late] == writer.lines
    assert sorted(late) == sorted(writer.late)


@pytest.mark.parametrize("wait", [0.3, 8.0])
def test_late_lines_in_a_file_that_was_compressed_and_deleted(wait: float) -> None:
    """Its compressed form lacks them, and is known all the same once the file is let go of."""
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        with open_to_append("a.log") as writer:
            rotate()
            append("a.log", b"")
            compress("a.log.1")
            await run.seconds(0.3)
            writer.write(b"2\n")
            await run.seconds(wait)
        append("a.log", b"3\n")
        await run.seconds(1)
        rotate("a.log.1.gz", "a.log.2.gz")
        rotate()
        append("a.log", b"4\n")
        await run.seconds(20)
        assert run.merged == b"1\n2\n3\n4\n"

    run = follow(story)
    keeping = run.series[0].keeping
    entries = list(keeping.entries())

    def again() -> Run:
        os.rename("m.log", "before.log")
        return follow(nothing, once=True, entries=entries)

    assert again().merged == b""


def test_a_compressed_file_that_is_as_large_as_the_file_was() -> None:
    """The size of what it was is no size of the compressed file: what is new in it was lost."""
    first = b"".join(b"first %d\n" % number for number in range(40))
    append("a.log", first)
    run = follow(nothing, once=True)
    entries = list(run.series[0].keeping.entries())
    os.rename("m.log", "before.log")
    append("a.log", b"second\n")
    whole = Path("a.log").read_bytes()
    for padding in range(len(first)):
        with open("a.log.1.gz", "wb") as raw, gzip.GzipFile("x" * padding, "wb", 9, raw) as packed:
            packed.write(whole)
        if os.stat("a.log.1.gz").st_size == len(first):
            break
    os.unlink("a.log")
    append("a.log", b"third\n")
    assert os.stat("a.log.1.gz").st_size == len(first)
    assert follow(nothing, once=True, entries=entries).merged == b"second\nthird\n"


# lines between copytruncate's copy and its cut


BANNER = b"".join(b"# banner %04d, which all generations begin with\n" % n for n in range(48))
"""More than 2 KiB."""


@pytest.mark.parametrize("gap", [1, 40, 600])
@pytest.mark.parametrize("body", [1, 10, 3000])
@pytest.mark.parametrize("packed", [False, True])
def test_a_copy_that_lacks_the_last_lines_is_not_read_again(
    gap: int, body: int, packed: bool
) -> None:
    append("a.log", BANNER + b"".join(b"line %d\n" % number for number in range(body)))
    late = b"".join(b"late %d\n" % number for number in range(gap))

    async def story(run: Run) -> None:
        copy()
        append("a.log", late)
        await run.seconds(1)
        before = run.merged
        os.truncate("a.log", 0)
        if packed:
            compress("a.log.1")
        append("a.log", BANNER + b"new\n")
        await run.seconds(30)
        assert run.merged == before + BANNER + b"new\n"

    follow(story)


@pytest.mark.parametrize("body", [1, 10, 3000])
def test_a_generation_that_begins_alike_is_not_taken_for_the_copy(body: int) -> None:
    """The copy is gone (rotate 0); what comes up beside the cut file is another generation."""
    append("a.log", BANNER + b"".join(b"line %d\n" % number for number in range(body + 300)))
    other = BANNER + b"".join(b"other %d\n" % number for number in range(body))

    async def story(run: Run) -> None:
        await run.seconds(1)
        before = run.merged
        os.truncate("a.log", 0)
        append("a.log.1", other)
        append("a.log", BANNER + b"new\n")
        await run.seconds(30)
        assert run.merged == before + other + BANNER + b"new\n"

    follow(story)


def test_what_the_first_look_found_is_no_news_to_the_first_probe() -> None:
    """Each of ten thousand inputs was looked at and read twice at the start."""
    append("a.log", b"one\n")
    series = Series("a.log", System(), Registry(), Folders(System()))
    series.look(0.0)
    assert series.probe(0.0) is News.NONE
    append("a.log", b"two\n")
    assert series.probe(0.1) is News.GREW


def test_what_happened_after_the_first_look_is_news_to_the_first_probe() -> None:
    append("a.log", b"one\n")
    series = Series("a.log", System(), Registry(), Folders(System()))
    series.look(0.0)
    os.rename("a.log", "a.log.1")
    assert series.probe(0.0) is News.CHANGED
