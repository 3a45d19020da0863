"""Killed at every operation, with half of its bytes written or none: the next run mends it.

killing.py does it, each scenario in a process of its own that forks for each kill.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("killing.py")


pytestmark = pytest.mark.timeout(150)

ALIKE = ("killed", "stretched_late", "kept_shortened")
"""What takes long and is much like another one: at every second operation always."""

EVEN = ("together", "rotated", "ordered")
"""Where the output is written to at an operation of an even number: half of that is a case."""


def kill_everywhere(scenario: str, after: str) -> set[str]:
    """Kill with half of the bytes written, and with none; return the verdicts.

    Where something is done after the kill they take turns: each at every second operation.
    """
    step = "2" if scenario in ALIKE or after != "nothing" else "1"
    parts = ("0.0", "0.5") if scenario in EVEN else ("0.5", "0.0")
    run = subprocess.run(
        [sys.executable, PROGRAM, scenario, after, step, *parts],
        capture_output=True,
        text=True,
        timeout=140,
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["problems"] == []
    assert report["kills"] > 30 / int(step), "hardly a kill fired"
    return set(report["verdicts"])


@pytest.mark.parametrize(
    "scenario",
    [
        "plain",
        "resumed",
        "together",
        "full_together",
        "rotated",
        "moved",
        "cut_and_packed",
        "full",
        "full_long",
        "killed",
        "overwritten",
        "long_line",
        "synced",
        "ordered",
        "shaped",
        "labelled",
        "full_labelled",
        "behind",
        "kept_behind",
        "stretched",
        "stretched_late",
        "shortened",
        "kept_shortened",
        "labelled_hole",
        "as_json",
    ],
)
def test_a_kill_at_any_operation_costs_and_doubles_nothing(scenario: str) -> None:
    verdicts = kill_everywhere(scenario, "nothing")
    assert {"ABSENT", "SETTLED", "FINISH"} <= verdicts


def test_a_kill_costs_nothing_on_its_way_to_standard_output() -> None:
    kill_everywhere("streamed", "nothing")


@pytest.mark.parametrize("after", ["one-gone", "one-gone-foreign"])
@pytest.mark.parametrize("scenario", ["together", "full_together"])
def test_of_a_batch_of_several_inputs_one_is_gone_after_a_kill(scenario: str, after: str) -> None:
    verdicts = kill_everywhere(scenario, after)
    assert any("UNKNOWN" in verdict for verdict in verdicts)


@pytest.mark.parametrize("foreign", ["foreign", "torn-foreign"])
@pytest.mark.parametrize(
    "scenario",
    [
        "resumed",
        "together",
        "rotated",
        "long_line",
        "ordered",
        "shaped",
        "labelled",
        "stretched",
        "shortened",
    ],
)
def test_what_others_append_after_a_kill_costs_nothing_and_stays(
    scenario: str, foreign: str
) -> None:
    verdicts = kill_everywhere(scenario, foreign)
    assert {"SETTLED", "AGAIN"} <= verdicts


@pytest.mark.parametrize("scenario", ["resumed", "together", "long_line", "labelled"])
def test_an_output_that_is_rotated_after_a_kill_is_settled_where_it_went(scenario: str) -> None:
    verdicts = kill_everywhere(scenario, "output-rotation")
    assert {"SETTLED", "FINISH"} <= verdicts


@pytest.mark.parametrize("scenario", ["resumed", "together", "labelled"])
def test_inputs_that_are_rotated_after_a_kill_go_on_where_they_were(scenario: str) -> None:
    kill_everywhere(scenario, "input-rotation")


def test_one_shot_runs_in_a_row_cost_and_double_nothing() -> None:
    kill_everywhere("twice", "nothing")


@pytest.mark.parametrize("after", ["foreign", "output-rotation"])
@pytest.mark.parametrize("scenario", ["full", "full_long", "full_together", "full_labelled"])
def test_an_output_that_others_wrote_to_or_moved_while_the_disk_was_full(
    scenario: str, after: str
) -> None:
    verdicts = kill_everywhere(scenario, after)
    assert "SETTLED" in verdicts
    assert {"AGAIN", "FINISH"} & set(verdicts)


def test_an_output_that_was_copied_and_cut_after_a_kill_is_settled_in_its_copy() -> None:
    verdicts = kill_everywhere("resumed", "output-copytruncate")
    assert {"TRUNCATED SETTLED", "TRUNCATED FINISH"} <= verdicts


@pytest.mark.parametrize("scenario", ["resumed", "together"])
def test_what_cannot_be_had_again_is_left_as_it_is_and_comes_no_second_time(
    scenario: str,
) -> None:
    verdicts = kill_everywhere(scenario, "inputs-gone")
    assert any("UNKNOWN" in verdict for verdict in verdicts)
