"""The torture program, short here; the long run is behind the marker `slow`."""

from __future__ import annotations

import os
from typing import Any

import pytest
from torture import torture

NOTHING = {"lost": 0, "doubled": 0, "torn": 0, "reordered": 0, "foreign_lost": 0}


def wrongs(result: dict[str, Any]) -> dict[str, int]:
    return {name: result[name] for name in NOTHING}


@pytest.mark.timeout(150)
@pytest.mark.parametrize("seed", [1, 2])
def test_kills_and_rotations_cost_and_double_nothing(seed: int) -> None:
    result = torture(12, seed, 4, False, [])
    assert wrongs(result) == NOTHING, result["examples"]
    assert result["kills"] >= 4
    assert result["rotations"] >= 20


@pytest.mark.timeout(150)
def test_somebody_else_who_appends_all_the_while_costs_nothing() -> None:
    result = torture(12, 3, 4, True, [])
    torn = result["torn"]
    assert wrongs(result) | {"torn": 0} == NOTHING, result["examples"]
    assert torn <= result["kills"], "more than the beginning of one line a kill"


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("foreign", [False, True], ids=["alone", "with others"])
def test_a_long_run_costs_and_doubles_nothing(foreign: bool) -> None:
    seconds = float(os.environ.get("TAILMERGE_TORTURE_SECONDS", "600"))
    result = torture(seconds, 4, 6, foreign, [])
    assert wrongs(result) | {"torn": 0} == NOTHING, result["examples"]
    assert result["torn"] <= (result["kills"] if foreign else 0), result["examples"]
