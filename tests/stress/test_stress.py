"""The stress tests in full: `pytest -n 0 -s -m slow tests/stress`. They print their figures.

Each calls one scenario with its size; test_stress_short.py calls them with small ones.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from stress.halves import merge_halves, tail_halves
from stress.long_line import merge_long_line
from stress.many_inputs import merge_many
from stress.programs import TAIL
from stress.rotation import merge_rotating
from stress.verify import verify

from tailmerge import run_fully_async
from tailmerge.system import System

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

HERE = Path(__file__).parent
MIB = 1 << 20

needs_tail = pytest.mark.skipif(not TAIL, reason="GNU tail is not installed")
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    def say(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n    {text}")

    return say


@pytest.mark.parametrize("lines", [3_000_000])
def test_eight_writers_of_half_lines_come_out_exactly(
    tmp_path: Path, show: Callable[[str], None], lines: int
) -> None:
    result = merge_halves(tmp_path, lines, "--until-idle", "2")
    show(f"tailmerge, {lines} lines in halves: {result.verdict} ({result.seconds:.1f} s)")
    assert result.verdict.is_exact


@needs_tail
@pytest.mark.parametrize("lines", [3_000_000])
def test_tail_breaks_lines_under_the_same_load(
    tmp_path: Path, show: Callable[[str], None], lines: int
) -> None:
    """Why tailmerge is there: the comparison that the README makes."""
    result = tail_halves(tmp_path, lines)
    show(f"tail -q -F, {lines} lines in halves: {result.verdict} ({result.seconds:.1f} s)")
    assert result.verdict.broken > 0


@pytest.mark.parametrize("scheme", ["shift", "dated", "single"])
def test_rotation_twice_a_second_loses_and_doubles_nothing(
    tmp_path: Path, show: Callable[[str], None], scheme: str
) -> None:
    result = merge_rotating(tmp_path, 30, 0.5, 20_000, scheme, beside_tail=bool(TAIL))
    show(f"{scheme}: {result.lines} lines in {result.generations} files")
    show(f"tailmerge: {result.merged}")
    show(f"tail -F  : {result.tail}")
    assert result.generations >= 58
    assert result.lines >= 590_000
    assert result.merged.is_exact


@pytest.mark.parametrize("period", [0.002, 0.01, 0.03])
def test_several_rotations_between_two_looks_lose_nothing(
    tmp_path: Path, show: Callable[[str], None], period: float
) -> None:
    result = merge_rotating(tmp_path, 4, period, 20_000, "dated", beside_tail=False)
    show(f"every {period} s: {result.generations} files, {result.merged}")
    assert result.merged.is_exact


class SlowDisk(System):
    """Reads take time, and the watched process rotates its log just before it is gone.

    The name is looked at every second, a batch of 4 MiB takes 0.8 s, the file has nearly
    three: so the rotation falls between the last look and the end of the last batch.
    """

    SIZE = 44 * 256 * 1024

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked = 0

    def read_into(self, fd: int, view: memoryview, offset: int) -> int:
        time.sleep(0.05)
        return super().read_into(fd, view, offset)

    def is_running(self, pid: int) -> bool:
        self.asked += 1
        if self.asked == 2:
            self.path.rename(f"{self.path}.1")
            self.path.write_bytes(b"the last line\n")
        return self.asked < 2


def test_a_rotation_just_before_the_end_of_the_process_is_merged(tmp_path: Path) -> None:
    """With news pending the last reading used what was known before: the new file was lost."""
    path, merged = tmp_path / "app.log", tmp_path / "merged"
    path.write_bytes(b"line\n" * (SlowDisk.SIZE // 5))
    asyncio.run(run_fully_async([path], 1.0, merged, pid=1, system=SlowDisk(path)))
    assert merged.read_bytes().endswith(b"the last line\n")


@needs_proc
@pytest.mark.parametrize("live", [False, True], ids=["there-before", "live"])
def test_a_line_of_300_mb_passes_whole_in_bounded_memory(
    tmp_path: Path, show: Callable[[str], None], live: bool
) -> None:
    result = merge_long_line(tmp_path, 300 * MIB, live=live)
    show(f"300 MiB line, live={live}: whole={result.is_whole}, peak {result.peak:.0f} MiB")
    show(f"short lines: {result.others}")
    assert result.is_whole
    assert result.others.is_exact
    assert 0 < result.peak < 100


@needs_proc
@pytest.mark.parametrize("inputs", [1000])
def test_a_thousand_inputs_cost_little_and_miss_nothing(
    tmp_path: Path, show: Callable[[str], None], inputs: int
) -> None:
    result = merge_many(tmp_path, inputs, measured=10, late=20)
    show(f"{inputs} inputs: idle {result.idle:.1%} of a core, new match after {result.new:.2f} s")
    show(f"line 20 s after the rename merged after {result.late:.2f} s; {result.merged}")
    assert result.merged.is_exact
    assert result.idle <= 0.10


@pytest.mark.parametrize("lines", [20_000])
def test_a_program_in_the_style_of_the_book_merges_every_line(tmp_path: Path, lines: int) -> None:
    reported = _run("book_driver.py", tmp_path, str(lines))
    assert reported == "", "debug mode found a slow callback, or worse"
    assert verify(tmp_path / "merged", dict.fromkeys(range(5), lines)).is_exact


def test_a_coroutine_that_sleeps_on_the_loop_is_named_in_debug_mode(tmp_path: Path) -> None:
    reported = _run("book_driver.py", tmp_path, "1000", "--blocked")
    _assert_named(reported, "book_driver.py")
    assert verify(tmp_path / "merged", dict.fromkeys(range(5), 1000)).is_exact


def test_the_debug_option_names_what_blocks_the_loop(tmp_path: Path) -> None:
    a, merged = tmp_path / "a.log", tmp_path / "merged"
    a.write_bytes(b"a line\n")
    words = ("blocked_command.py", str(a), "-o", str(merged), "--until-idle", "1")
    assert _run(*words) == ""
    _assert_named(_run(*words, "--debug", "--overwrite"), "blocked_command.py")
    assert merged.read_bytes() == b"a line\n"


def _run(script: str, *words: str | Path) -> str:
    """Run a script beside this file; return what it said."""
    command = [sys.executable, HERE / script, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def _assert_named(reported: str, script: str) -> None:
    """asyncio's report of one blocking coroutine: its task, file, line, and how long."""
    slow = [line for line in reported.splitlines() if line.startswith("Executing")]
    assert len(slow) == 1, reported
    assert "block_the_loop() done" in slow[0] or "block_the_loop() running" in slow[0]
    assert f"{script}:" in slow[0]
    assert "took 0.5" in slow[0]
