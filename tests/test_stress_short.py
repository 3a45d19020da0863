"""The stress scenarios in small, with every run of the tests; in full: `pytest -m slow`."""

from __future__ import annotations

from pathlib import Path

from stress.halves import merge_halves
from stress.long_line import merge_long_line
from stress.rotation import merge_rotating

MIB = 1 << 20


def test_lines_written_in_halves_by_eight_writers_come_out_exactly(tmp_path: Path) -> None:
    verdict = merge_halves(tmp_path, 400_000).verdict
    assert verdict.is_exact, verdict


def test_renaming_and_creating_under_load_loses_and_doubles_nothing(tmp_path: Path) -> None:
    result = merge_rotating(tmp_path, 1.2, 0.3, 20_000, "shift", beside_tail=False)
    assert result.generations >= 4
    assert result.merged.is_exact, result.merged


def test_a_long_line_passes_whole_between_short_lines_of_others(tmp_path: Path) -> None:
    result = merge_long_line(tmp_path, 30 * MIB, live=True)
    assert result.is_whole
    assert result.others.is_exact, result.others
    assert result.peak < 60
