"""What is kept in mind of a series' files, where a kill or a cut came at a bad moment."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path

import pytest
from helpers import append
from test_series import Run, copy, follow, nothing

from tailmerge.folders import Folders
from tailmerge.keeping import CUTS_REMEMBERED, Keeping
from tailmerge.position import EMPTY, Position, position_of
from tailmerge.registry import Registry
from tailmerge.state import Entry
from tailmerge.system import System, identity


class CutWhenCopyIsOpened(System):
    """Cuts a.log at the moment when its copy is opened to be compared with it."""

    fired = False

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        if path == "a.log.1" and not self.fired:
            self.fired = True
            os.truncate("a.log", 0)
            append("a.log", b"5\n")
        return super().open(path, flags, mode)


def test_a_file_that_is_cut_while_its_copy_is_compared_is_not_read_twice() -> None:
    """The copy was no longer like the file that had been cut, and so was read as a new one."""
    append("a.log", b"1\n2\n")
    system = CutWhenCopyIsOpened()

    async def story(run: Run) -> None:
        append("a.log", b"3\n4\n")
        copy()
        await run.seconds(2)
        run.finish()  # with a last look

    assert follow(story, system=system).merged == b"1\n2\n3\n4\n5\n"
    assert system.fired


def test_a_deleted_file_that_was_held_is_kept_in_mind_when_the_run_ends() -> None:
    """It was forgotten at once, and its compressed form merged again by the next run."""
    append("a.log", b"1\n2\n")

    async def story(run: Run) -> None:
        os.unlink("a.log")
        await run.seconds(0.3)

    run = follow(story)
    assert [entry.position.offset for entry in run.series[0].keeping.entries()] == [4]


def test_a_rotated_file_that_is_known_and_was_not_read_is_read() -> None:
    """A kill came between; its size being as it was it counted as read to its end."""
    Path("a.log.1").write_bytes(b"1\n2\n")
    append("a.log", b"3\n")
    with open("a.log.1", "rb") as file:
        position = position_of(System(), file.fileno(), "a.log.1", 0)
    entry = Entry("a.log", position, 4, 0.0)
    assert follow(nothing, once=True, entries=[entry]).merged == b"1\n2\n3\n"


def test_a_copy_that_comes_up_late_is_read_from_where_its_original_was_cut() -> None:
    """It was renamed and compressed while its folder was listed; then it was read in full."""
    append("a.log", b"1\n2\n")

    async def story(run: Run) -> None:
        os.truncate("a.log", 0)
        await run.seconds(1)
        append("a.log", b"4\n")
        await run.seconds(1)
        append("a.log.2.gz", gzip.compress(b"1\n2\n3\n"))
        run.finish()

    assert follow(story).merged == b"1\n2\n4\n3\n"


def test_of_cuts_without_a_copy_only_the_last_few_are_kept_in_mind() -> None:
    append("a.log", b"0\n")

    async def story(run: Run) -> None:
        for number in range(1, 9):
            os.truncate("a.log", 0)
            await run.seconds(1)
            append("a.log", b"%d\n" % number * number)
            await run.seconds(1)

    run = follow(story)
    assert run.merged.split() == [b"%d" % n for n in range(9) for _ in range(max(1, n))]
    entries = list(run.series[0].keeping.entries())
    assert len(entries) == 1 + CUTS_REMEMBERED


def test_what_may_be_in_half_a_compressed_file_is_not_said_to_be_missing() -> None:
    packed = gzip.compress(b"1\n2\n3\n")
    Path("a.log.1").write_bytes(b"1\n2\n3\n")
    with open("a.log.1", "rb") as file:
        position = position_of(System(), file.fileno(), "a.log.1", 2)
    os.unlink("a.log.1")
    Path("a.log.1.gz").write_bytes(packed[:-4])
    append("a.log", b"4\n")

    async def story(run: Run) -> None:
        await run.seconds(2)
        assert not [word for word in run.words if "missing" in word]
        append("a.log.1.gz", packed[-4:])
        await run.seconds(2)

    run = follow(story, entries=[Entry("a.log", position, 6, time.time())])
    assert run.merged == b"4\n2\n3\n"
    assert not [word for word in run.words if "missing" in word]


class RotatesWhenLooked(System):
    """a.log.1 moves on to a.log.2 between the listing of its folder and the look at it."""

    fired = False

    def stat(self, path: str) -> os.stat_result:
        if path == "a.log.1" and not self.fired:
            self.fired = True
            os.rename("a.log.1", "a.log.2")
        return super().stat(path)


def test_a_name_that_moves_between_the_listing_and_the_look_is_found_in_the_same_look() -> None:
    """It was said that lines may be missing, and a one-shot run left them for the next one."""
    Path("a.log.1").write_bytes(b"1\n2\n3\n")
    with open("a.log.1", "rb") as file:
        position = position_of(System(), file.fileno(), "a.log.1", 2)
    append("a.log", b"4\n")
    system = RotatesWhenLooked()
    entry = Entry("a.log", position, 6, time.time())
    run = follow(nothing, once=True, system=system, entries=[entry])
    assert system.fired
    assert run.merged == b"2\n3\n4\n"
    assert not [word for word in run.words if "missing" in word]


def test_a_link_that_leads_nowhere_is_looked_at_a_few_times_and_left() -> None:
    os.symlink("nothing", "a.log.1")
    append("a.log", b"1\n")
    assert follow(nothing, once=True).merged == b"1\n"


def test_a_file_with_the_number_of_another_inputs_empty_one_is_not_taken_for_it() -> None:
    """That input was then without a file, so that a later run passed over what had been
    rotated meanwhile, as at its very first run."""
    append("b.log", b"1\n")
    nothing_known = Position("a.log", identity(os.stat("b.log")), 0, 0, EMPTY, 0, EMPTY, 7)
    entry = Entry("a.log", nothing_known, 0, time.time())

    async def story(run: Run) -> None:
        append("b.log", b"2\n")
        await run.seconds(1)

    run = follow(story, "a.log", "b.log", entries=[entry])
    a, b = run.series
    assert run.merged == b"1\n2\n"
    assert [entry.position.number for entry in a.keeping.entries()] == [7]
    assert 7 not in [entry.position.number for entry in b.keeping.entries()]


@pytest.mark.parametrize(("folder", "kept"), [("", 0), ("away/", 1)])
def test_a_run_that_lives_long_forgets_what_is_gone_for_30_days(folder: str, kept: int) -> None:
    """But not what may be on a disk that is away."""
    append("a.log", b"1\n")
    with open("a.log", "rb") as file:
        position = position_of(System(), file.fileno(), f"{Path.cwd()}/{folder}a.log.7", 2)
    position = position._replace(head="of another content")
    long_ago = time.time() - 31 * 24 * 3600
    system, registry = System(), Registry()
    keeping = Keeping("a.log", "a.log", system, registry, Folders(system))
    keeping.restore([Entry("a.log", position, 2, long_ago)])
    assert len(list(keeping.entries())) == kept
    assert len(keeping.rotated) == kept


def test_a_file_that_had_the_missing_name_only_between_two_sweeps_is_read() -> None:
    """The name was missing before and after, so that nobody looked beside it."""
    append("a.log", b"1\n")

    async def story(run: Run) -> None:
        os.unlink("a.log")
        await run.seconds(0.5)
        append("a.log", b"2\n")
        os.rename("a.log", "a.log.1")
        await run.seconds(2)
        assert run.merged == b"1\n2\n"

    follow(story)
