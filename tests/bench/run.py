"""tailmerge measured beside what else merges growing files; writes docs/benchmarks.md.

    python tests/bench/run.py [--quick] [--only PART]... [--folder FOLDER]

Each part is a module beside this file and runs in a process of its own: one that fails, or
takes too long, does not end the run. What they found is kept in a file between, so that
single parts can be measured again with --only.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import page
from harness import Bench, Unmeasured, say

ROOT = Path(__file__).resolve().parents[2]

PARTS = tuple(page.TITLES)

MOST_SECONDS = 900
"""How long one part may take."""


def main() -> None:
    words = _parse()
    with tempfile.TemporaryDirectory(prefix="tailmerge-bench.", dir=words.folder) as name:
        if words.part:
            bench = Bench(Path(name), quick=words.quick, tiny=words.tiny)
            _measure(words.part, bench, words.results)
            return
        results = _load(words)
        results["machine"] = page.describe_machine(Path(name))
    results["quick"] = words.quick
    for part in words.only or PARTS:
        begin = time.monotonic()
        say(f"{part}")
        results["parts"][part] = _run_part(part, words)
        _keep(results, words.results)
        say(f"  {time.monotonic() - begin:.0f} s")
    results["parts"] = {part: results["parts"][part] for part in PARTS if part in results["parts"]}
    page.write(results, words.docs)
    say(f"written: {words.docs / 'benchmarks.md'}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this part again")
    parser.add_argument(
        "--folder", type=Path, default=Path(os.environ.get("TMPDIR", "/var/tmp")),
        help="where the files are made: on a real disk",
    )  # fmt: skip
    parser.add_argument(
        "--results", type=Path, default=ROOT / ".bench-results.json", help="what is kept between"
    )
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where the page goes")
    parser.add_argument("--tiny", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    return parser.parse_args()


def _load(words: argparse.Namespace) -> dict[str, Any]:
    """What earlier runs found, where only a part of it is measured again."""
    if words.only and words.results.exists():
        kept: dict[str, Any] = json.loads(words.results.read_text())
        return kept
    return {"parts": {}}


def _keep(results: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(results, indent=1))


def _run_part(part: str, words: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tailmerge-bench.") as name:
        found = Path(name) / "found.json"
        command = [sys.executable, __file__, "--part", part, "--results", found]
        command += ["--folder", words.folder]
        command += ["--quick"] * words.quick + ["--tiny"] * words.tiny
        process = subprocess.Popen([str(word) for word in command], start_new_session=True)
        try:
            code = process.wait(MOST_SECONDS)
        except subprocess.TimeoutExpired:
            return {"failed": f"it took longer than {MOST_SECONDS} s"}
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
        if code or not found.exists():
            return {"failed": f"the measurement ended with {code}"}
        outcome: dict[str, Any] = json.loads(found.read_text())
        return outcome


def _measure(part: str, bench: Bench, found: Path) -> None:
    """In the part's own process; whatever ends it leaves the programs it started ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        outcome = importlib.import_module(part).measure(bench).as_json()
    except Unmeasured as why:
        outcome = {"failed": str(why)}
    found.write_text(json.dumps(outcome))


if __name__ == "__main__":
    main()
