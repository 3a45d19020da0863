"""One input whose backlog does not end, another that gets a lone line each 100 ms."""

from __future__ import annotations

import bisect
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from harness import (
    GIB,
    HERE,
    MIB,
    Aim,
    Bench,
    Outcome,
    Table,
    Unmeasured,
    eventually,
    in_turn,
    say,
    share,
    size_of,
)
from peers import FOLLOWERS, OURS, Peer, following

PAUSE = 0.1
LOOK = 0.001


def measure(bench: Bench) -> Outcome:
    outcome = Outcome()
    most = bench.pick(3 * GIB, 2 * GIB, 4 * MIB)
    if not bench.has_room(2 * most):
        raise Unmeasured("there is not enough room on the disk")
    seconds = bench.pick(5.0, 3.0, 0.4)
    say(f"  a backlog without an end for {seconds:g} s")
    peers = [peer for peer in FOLLOWERS if not peer.missing]
    runs = {peer.name: partial(_delays, bench, peer, most, seconds) for peer in peers}
    results = {
        name: [delay for delays, _ in found for delay in delays]
        for name, found in in_turn(bench.pick(2, 1, 1), runs).items()
    }
    rows = []
    for name, found in results.items():
        if not found:
            outcome.skipped.append(f"{name}: none of the lone lines came while the backlog lasted")
            continue
        p50, p99, worst = (share(found, part) * 1000 for part in (0.5, 0.99, 1.0))
        rows.append([name, f"{p50:.1f}", f"{p99:.1f}", f"{worst:.1f}", str(len(found))])
    outcome.tables.append(
        Table(
            "A lone line beside an endless backlog",
            ["", "p50 ms", "p99 ms", "max ms", "lines"],
            rows,
            "A line that was not there when the backlog ended counts with its wait until then.",
        )
    )
    for peer in OURS:
        if found := results.get(peer.name):
            aim = Aim(
                f"{peer.name}, a lone line beside a backlog, p99",
                share(found, 0.99) * 1000,
                100,
                "ms",
            )
            outcome.aims.append(aim)
    return outcome


def _delays(bench: Bench, peer: Peer, most: int, seconds: float) -> tuple[list[float], int]:
    with bench.place() as folder:
        busy, quiet, output = folder / "busy.log", folder / "quiet.log", folder / "merged.txt"
        output.touch()
        ahead = min(most // 4, 256 * MIB)
        words = [HERE / "endless.py", busy, output, ahead, most, seconds + 1]
        with subprocess.Popen([sys.executable, *map(str, words)]) as writer:
            while size_of(busy) < ahead // 2:
                time.sleep(0.01)
            quiet.write_bytes(b"")
            with following(peer, folder, [busy, quiet], output):
                sent, looks = _send(quiet, output, writer, seconds)
            writer.kill()
        return _waits(output, sent, looks), len(looks)


def _send(
    quiet: Path, output: Path, writer: subprocess.Popen[bytes], seconds: float
) -> tuple[list[float], list[tuple[float, int]]]:
    """When each lone line was written, and how long the output was when."""
    eventually(lambda: size_of(output) > 0, 10, "the backlog is being merged")
    looks: list[tuple[float, int]] = [(time.monotonic(), 0)]
    sent: list[float] = []
    begin = time.monotonic()
    with quiet.open("ab", buffering=0) as file:
        while (now := time.monotonic()) < begin + seconds and writer.poll() is None:
            if now >= begin + len(sent) * PAUSE:
                sent.append(now)
                file.write(b"lone %06d\n" % (len(sent) - 1))
            looks.append((time.monotonic(), size_of(output)))
            time.sleep(LOOK)
    return sent, looks


def _waits(output: Path, sent: list[float], looks: list[tuple[float, int]]) -> list[float]:
    sizes, end = [size for _, size in looks], looks[-1][0]
    waits = [end - at for at in sent]
    place, carried = 0, b""
    with output.open("rb") as file:
        while block := file.read(MIB):
            block = carried + block
            at = -1
            while (at := block.find(b"lone ", at + 1)) >= 0 and at + 12 <= len(block):
                number, behind = int(block[at + 5 : at + 11]), place + at + 12
                if number < len(sent) and behind <= sizes[-1]:
                    waits[number] = looks[bisect.bisect_left(sizes, behind)][0] - sent[number]
            carried = block[-11:]
            place += len(block) - len(carried)
    return waits
