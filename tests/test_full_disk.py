"""A real disk of 2 MiB under the output: it fills, it drains, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import append, eventually, run_tailmerge, start_tailmerge

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mount") is None, reason="makes a small disk"
)

MERGED = Path("disk/m")
FULL = b"disk/m: no space left on the disk, waiting; nothing is skipped"
OVER = b"disk/m: can be written again"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """2 MiB, of which a ballast takes the half."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        (folder / "ballast").write_bytes(bytes(1024 * 1024))
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def lines(name: str, count: int) -> bytes:
    return b"".join(b"%s %06d %s\n" % (name.encode(), n, b"x" * 80) for n in range(count))


@pytest.mark.timeout(120)
def test_a_one_shot_run_gives_up_after_10_seconds_and_the_next_one_goes_on(disk: Path) -> None:
    log = lines("a", 16_000)  # 1.4 MiB
    append("a.log", log)
    done = run_tailmerge("--once", "-o", MERGED, "a.log")
    assert done.returncode == 3
    said = done.stderr.splitlines()
    assert [line for line in said if b"waiting" in line] == [b"tailmerge: " + FULL]
    assert OVER not in done.stderr
    assert len(said) == 2, said
    begun = MERGED.read_bytes()
    assert 0 < len(begun) < len(log)
    assert log.startswith(begun)
    (disk / "ballast").unlink()
    done = run_tailmerge("--once", "-o", MERGED, "a.log")
    assert (done.returncode, done.stderr) == (0, b"")
    assert MERGED.read_bytes() == log


@pytest.mark.timeout(120)
def test_inputs_that_rotate_and_are_deleted_during_the_wait_are_held(
    disk: Path, tmp_path: Path
) -> None:
    generations = [lines(f"g{n}", 2_000) for n in range(4)]  # 0.17 MiB each
    filling = lines("f", 12_000)
    with (
        (tmp_path / "said").open("wb") as said,
        start_tailmerge("-o", MERGED, "-i", "0.02", "a.log", stderr=said) as running,
    ):
        append("a.log", filling)
        eventually(lambda: FULL in Path("said").read_bytes())
        for generation in generations:
            os.rename("a.log", "a.log.1")
            append("a.log", generation)
            eventually(lambda: holds(running.pid, "a.log"))
            os.unlink("a.log.1")
        (disk / "ballast").unlink()
        expected = filling + b"".join(generations)

        eventually(lambda: MERGED.read_bytes() == expected[: MERGED.stat().st_size])
        eventually(lambda: MERGED.stat().st_size == len(expected), 30)
        running.terminate()
        assert running.wait(20) == 0
    assert MERGED.read_bytes() == expected
    words = Path("said").read_bytes()
    assert words.count(FULL) == 1
    assert words.count(OVER) == 1
    assert b"lines may be missing" not in words


def holds(pid: int, path: str) -> bool:
    """Whether the process has this very file open."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            if os.path.samefile(f"/proc/{pid}/fd/{fd}", path):
                return True
        except OSError:
            pass  # closed meanwhile, or a pipe
    return False
