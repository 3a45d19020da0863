"""One tailmerge for an output: two that race for its state, a rename in between."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from helpers import Faulty, append, before, eventually, run_tailmerge, start_tailmerge

from tailmerge.journal import Journal
from tailmerge.position import Position, digest
from tailmerge.report import Busy
from tailmerge.state import Entry, State
from tailmerge.system import System

STATE = "m.tailmerge"


@dataclass
class Race:
    """The runs of a race, each by its hold on the state."""

    runs: list[Journal] = field(default_factory=list)

    def enter(self, system: System | None = None) -> Journal:
        journal = Journal(STATE, system or System())
        self.runs.append(journal)
        return journal

    def holder(self, system: System | None = None) -> Journal:
        """A run that has the state."""
        journal = self.enter(system)
        if not journal.open(None, overwrite=False):
            journal.checkpoint(State())
        return journal


@pytest.fixture
def race() -> Iterator[Race]:
    race = Race()
    yield race
    for run in race.runs:
        run.close()


def newer(number: int) -> State:
    """A state that can be told from the empty one that a race begins with."""
    position = Position("/a", (1, number), 0, 0, digest(b""), 0, digest(b""), number)
    return State(entries={number: Entry("/a", position, 0, 1.0)})


def names() -> list[str]:
    return sorted(os.listdir("."))


def test_a_checkpoint_between_anothers_open_and_lock_keeps_it_out(race: Race) -> None:
    """The second one has opened, and then locks, a file that no longer has the name."""
    first = race.holder()
    system = Faulty(lock=[before(lambda: first.checkpoint(newer(1)))])
    second = race.enter(system)
    with pytest.raises(Busy) as busy:
        second.open(None, overwrite=False)
    assert system.spent
    assert busy.value.pid == os.getpid()


def test_another_that_comes_right_before_the_rename_is_kept_out(race: Race) -> None:
    kept_out: list[Busy] = []

    def come() -> None:
        with pytest.raises(Busy) as busy:
            race.enter().open(None, overwrite=False)
        kept_out.append(busy.value)

    race.holder().close()
    system = Faulty(rename=[before(come)])
    first = race.holder(system)
    first.checkpoint(newer(1))
    assert system.spent
    assert kept_out
    with pytest.raises(Busy):  # and right behind it
        race.enter().open(None, overwrite=False)


def test_one_that_waited_for_the_name_gets_the_newest_state(race: Race) -> None:
    """The first one replaces its state and ends between the second one's open and lock."""
    first = race.holder()

    def end() -> None:
        first.checkpoint(newer(3))
        first.close()

    system = Faulty(lock=[before(end)])
    second = race.enter(system)
    assert second.open(None, overwrite=False)
    assert system.spent
    assert list(second.state.entries) == [3]


def make_state_elsewhere() -> None:
    """Another process that makes the first checkpoint, and ends."""
    child = os.fork()
    if child == 0:
        journal = Journal(STATE, System())
        there = journal.open(None, overwrite=False)
        journal.checkpoint(newer(2))
        os._exit(int(there))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("moment", ["link", "open"])
def test_of_two_that_find_no_state_one_makes_it(race: Race, moment: str) -> None:
    """The other one is quicker: between our look for a state and our checkpoint's name, or
    before we begin that checkpoint."""
    system = Faulty()
    first = race.enter(system)
    assert not first.open(None, overwrite=False)
    system.scripts[moment] = [before(make_state_elsewhere)]
    with pytest.raises(Busy):
        first.checkpoint(newer(1))
    assert system.fired == [moment]
    assert names() == [STATE], "an unfinished checkpoint was left"
    last = race.enter()
    assert last.open(None, overwrite=False)
    assert list(last.state.entries) == [2]


def test_an_output_that_was_moved_is_no_second_door() -> None:
    """Its lock went with it, and the new file has none: the state's own lock decides."""
    append("a.log", b"1\n")
    with start_tailmerge("-o", "m", "-i", "60", "a.log") as running:
        eventually(lambda: Path("m").exists() and Path("m").read_bytes() == b"1\n")
        os.rename("m", "m.1")
        second = run_tailmerge("--once", "-o", "m", "a.log")
        assert second.returncode == 4, second.stderr
        assert str(running.pid).encode() in second.stderr
        running.terminate()
        assert running.wait(10) == 0
    assert run_tailmerge("--once", "-o", "m", "a.log").returncode == 0
    assert Path("m").read_bytes() == b""
