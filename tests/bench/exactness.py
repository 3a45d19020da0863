"""What is lost, doubled and broken under half lines, rotation and kill -9, by each program."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from harness import Bench, Outcome, Table, Unmeasured, eventually, in_turn, say, settle, size_of
from peers import BOOK, FOLLOWERS, WATCHING, Peer, following, start, stop

sys.path.insert(0, str(Path(__file__).parents[1]))

from stress import writers
from stress.verify import Verdict, verify

Scenario = Callable[[Bench, Peer], Verdict]


def measure(bench: Bench) -> Outcome:
    scenarios: dict[str, Scenario] = {
        "half lines": halves,
        "rename and create": renames,
        "copy and truncate": copies,
        "20 times kill -9": kills,
    }
    outcome = Outcome(figures={"exactness": {}})
    peers = [peer for peer in FOLLOWERS if not peer.missing and peer is not BOOK]
    outcome.skipped.append("the book's code: it knows neither rotation nor a restart")
    rows = [[peer.name] for peer in peers]
    for title, scenario in scenarios.items():
        say(f"  {title}")
        found = in_turn(1, {peer.name: partial(scenario, bench, peer) for peer in peers})
        for row in rows:
            verdicts = found[row[0]]
            row.append(_words(verdicts[0]) if verdicts else "did not run")
    table = Table("Lines lost, doubled and broken", ["", *scenarios], rows)
    table.note = "Of some ten thousand lines each. Reordered lines are named where there are any."
    outcome.tables.append(table)
    ours = [row for row in rows if row[0] in (WATCHING.name, "tailmerge, polling")]
    outcome.figures["exact"] = all(cell == "exact" for row in ours for cell in row[1:])
    return outcome


def _words(verdict: Verdict) -> str:
    if verdict.is_exact:
        return "exact"
    counts = {
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "broken": verdict.broken,
        "reordered": verdict.reordered,
    }
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)


def halves(bench: Bench, peer: Peer) -> Verdict:
    """Two writers, two write calls a line."""
    lines = bench.pick(50_000, 20_000, 500)
    with bench.place() as folder:
        paths = writers.halves_paths(folder, 2)
        for path in paths:
            path.touch()
        merged = folder / "merged"
        merged.touch()
        with following(peer, folder, paths, merged):
            time.sleep(0.7)
            subprocess.run(_writer("halves", folder, "2", str(lines)), check=True)
            _wait_for_rest(merged, paths)
        return verify(merged, {0: lines, 1: lines})


def renames(bench: Bench, peer: Peer) -> Verdict:
    """Twice a second, and the writers are late to know."""
    seconds = bench.pick(4, 3, 1)
    with bench.place() as folder:
        merged = folder / "merged"
        merged.touch()
        words = _writer("rotate", folder, str(seconds), "0.5", "10000", "shift")
        with subprocess.Popen(words, stdin=subprocess.PIPE) as writer:
            path = folder / "app.log"
            eventually(path.exists, 10, "the writer begins")
            with following(peer, folder, [path], merged):
                eventually(lambda: size_of(merged) > 0, 10, "the first line is merged")
                time.sleep(0.5)
                assert writer.stdin
                writer.stdin.close()
                writer.wait(60)
                _wait_for_rest(merged, [])
        counts = json.loads((folder / "counts.json").read_text())
        return verify(merged, {int(number): count for number, count in counts.items()})


def copies(bench: Bench, peer: Peer) -> Verdict:
    """logrotate's copytruncate, twice a second; the writer waits while it is done."""
    rounds, burst, bursts = bench.pick(8, 6, 2), 500, 10
    with bench.place() as folder:
        path, merged = folder / "app.log", folder / "merged"
        path.touch()
        merged.touch()
        sequence = 0
        with following(peer, folder, [path], merged), path.open("ab", buffering=0) as file:
            time.sleep(0.7)
            for number in range(rounds):
                for _ in range(bursts):
                    lines = range(sequence, sequence + burst)
                    file.write(b"".join(writers.make_line(0, n) for n in lines))
                    sequence += burst
                    time.sleep(0.05)
                copy = folder / f"app.log-20261123-{1795450000 + number}"
                copy.write_bytes(path.read_bytes())
                os.truncate(path, 0)
            _wait_for_rest(merged, [])
        return verify(merged, {0: sequence})


def kills(bench: Bench, peer: Peer) -> Verdict:
    """Two writers; the program is killed at random and started again at once."""
    times, rate = bench.pick(20, 20, 2), 20_000
    with bench.place() as folder:
        paths = writers.halves_paths(folder, 2)
        for path in paths:
            path.touch()
        merged = folder / "merged"
        merged.touch()
        process = start(peer, folder, paths, merged)
        counts = [0, 0]
        try:
            files = [path.open("ab", buffering=0) for path in paths]
            for kill in range(times):
                until = time.monotonic() + bench.pick(0.4, 0.3, 0.3) + kill % 7 * 0.02
                while time.monotonic() < until:
                    for writer, file in enumerate(files):
                        lines = range(counts[writer], counts[writer] + rate // 100)
                        file.write(b"".join(writers.make_line(writer, n) for n in lines))
                        counts[writer] = lines.stop
                    time.sleep(0.02)
                stop(process, signal.SIGKILL)
                process = start(peer, folder, paths, merged, again=True)
            time.sleep(1)
            _wait_for_rest(merged, paths)
            for file in files:
                file.close()
            if process.poll() is not None:
                raise Unmeasured(f"ended with {process.returncode} after a kill")
        finally:
            stop(process)
        return verify(merged, dict(enumerate(counts)))


def _wait_for_rest(merged: Path, paths: list[Path]) -> None:
    expected = sum(path.stat().st_size for path in paths) if paths else sys.maxsize
    settle(merged, expected, 20, quiet=1.5)


def _writer(*words: str | Path) -> list[str]:
    return [sys.executable, writers.__file__, *map(str, words)]
