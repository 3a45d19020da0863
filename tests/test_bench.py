"""The benchmark runs, and its proof of an output finds what is wrong; no figure is a test."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parent / "bench"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("load")


def shuffle(paths: list[Path]) -> list[bytes]:
    """The lines of all files, one of each in turn."""
    files = [path.read_bytes().splitlines(keepends=True) for path in paths]
    return [line for lines in zip(*files, strict=True) for line in lines]


def test_a_shuffle_of_whole_lines_is_right(load: ModuleType, tmp_path: Path) -> None:
    paths = load.make_backlog(tmp_path, 40_000, 2)
    merged = tmp_path / "merged"
    merged.write_bytes(b"".join(shuffle(paths)))
    load.check_merged(merged, paths)


def swap_two(lines: list[bytes]) -> list[bytes]:
    return [*lines[:10], lines[12], lines[11], lines[10], *lines[13:]]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lines: lines[:-1],
        lambda lines: lines[:20] + lines[21:],
        lambda lines: [*lines[:20], lines[19], *lines[20:]],
        lambda lines: [*lines[:20], lines[20][:30], lines[21], lines[20][30:], *lines[22:]],
        swap_two,
    ],
    ids=["the-last-lost", "lost", "doubled", "torn", "reordered"],
)
def test_what_is_wrong_in_an_output_is_found(
    load: ModuleType, tmp_path: Path, spoil: Callable[[list[bytes]], list[bytes]]
) -> None:
    paths = load.make_backlog(tmp_path, 40_000, 2)
    merged = tmp_path / "merged"
    merged.write_bytes(b"".join(spoil(shuffle(paths))))
    harness = importlib.import_module("harness")
    with pytest.raises(harness.Unmeasured):
        load.check_merged(merged, paths)


def measure(folder: Path, *words: str) -> tuple[dict[str, dict[str, object]], str]:
    """Run the benchmark; return what it found by part, and the page."""
    results = folder / "results.json"
    command = [sys.executable, BENCH / "run.py", "--results", results, "--docs", folder]
    done = subprocess.run(
        [*command, "--folder", folder, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(results.read_text())["parts"], (folder / "benchmarks.md").read_text()


def test_a_part_is_measured_and_the_page_is_written(tmp_path: Path) -> None:
    found, page = measure(tmp_path, "--tiny", "--only", "peaks", "--only", "journal_cost")
    assert [part.get("failed") for part in found.values()] == [None, None]
    assert "| peak memory, the worst of all cases |" in page
    assert "| the journal adds |" in page
    measure(tmp_path, "--tiny", "--only", "journal_cost")
    assert "| peak memory" in (tmp_path / "benchmarks.md").read_text(), "it was kept"


@pytest.mark.bench
@pytest.mark.timeout(900)
def test_all_parts_are_measured(tmp_path: Path) -> None:
    found, _ = measure(tmp_path, "--quick")
    assert {name: part["failed"] for name, part in found.items() if "failed" in part} == {}
