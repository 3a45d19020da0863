"""Killed at every operation, with half of its bytes written or none: the next run mends it.

killing.py does it, each scenario in a process of its own that forks for each kill.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("killing.py")


pytestmark = pytest.mark.timeout(150)

COSTLY = ("shaped", "as_json")
"""What takes long with every line looked at: what others do then, at every second operation."""


def kill_everywhere(scenario: str, after: str) -> dict[str, Any]:
    step = "2" if scenario in COSTLY and after != "nothing" else "1"
    result = subprocess.run(
        [sys.executable, PROGRAM, scenario, after, step],
        capture_output=True,
        text=True,
        timeout=140,
    )
    assert result.returncode == 0, result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    assert report["problems"] == []
    assert report["kills"] > 30, "hardly a kill fired"
    return report


@pytest.mark.parametrize(
    "scenario",
    [
        "plain",
        "resumed",
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
        "as_json",
    ],
)
def test_a_kill_at_any_operation_costs_and_doubles_nothing(scenario: str) -> None:
    verdicts = kill_everywhere(scenario, "nothing")["verdicts"]
    assert {"ABSENT", "SETTLED", "FINISH"} <= set(verdicts)


def test_a_kill_costs_nothing_on_its_way_to_standard_output() -> None:
    kill_everywhere("streamed", "nothing")


@pytest.mark.parametrize("foreign", ["foreign", "torn-foreign"])
@pytest.mark.parametrize("scenario", ["resumed", "rotated", "long_line", "ordered", "shaped"])
def test_what_others_append_after_a_kill_costs_nothing_and_stays(
    scenario: str, foreign: str
) -> None:
    verdicts = kill_everywhere(scenario, foreign)["verdicts"]
    assert {"SETTLED", "AGAIN"} <= set(verdicts)


@pytest.mark.parametrize("scenario", ["resumed", "long_line"])
def test_an_output_that_is_rotated_after_a_kill_is_settled_where_it_went(scenario: str) -> None:
    verdicts = kill_everywhere(scenario, "output-rotation")["verdicts"]
    assert {"SETTLED", "FINISH"} <= set(verdicts)


def test_inputs_that_are_rotated_after_a_kill_go_on_where_they_were() -> None:
    kill_everywhere("resumed", "input-rotation")


def test_one_shot_runs_in_a_row_cost_and_double_nothing() -> None:
    kill_everywhere("twice", "nothing")


@pytest.mark.parametrize("after", ["foreign", "output-rotation"])
@pytest.mark.parametrize("scenario", ["full", "full_long"])
def test_an_output_that_others_wrote_to_or_moved_while_the_disk_was_full(
    scenario: str, after: str
) -> None:
    verdicts = kill_everywhere(scenario, after)["verdicts"]
    assert "SETTLED" in verdicts
    assert {"AGAIN", "FINISH"} & set(verdicts)


def test_an_output_that_was_copied_and_cut_after_a_kill_is_settled_in_its_copy() -> None:
    verdicts = kill_everywhere("resumed", "output-copytruncate")["verdicts"]
    assert {"TRUNCATED SETTLED", "TRUNCATED FINISH"} <= set(verdicts)


def test_what_cannot_be_had_again_is_left_as_it_is_and_comes_no_second_time() -> None:
    verdicts = kill_everywhere("resumed", "inputs-gone")["verdicts"]
    assert "UNKNOWN" in verdicts
