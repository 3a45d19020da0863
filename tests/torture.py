"""Several writers, every kind of rotation, random kills: nothing lost, doubled, torn or reordered.

    python tests/torture.py [--seconds 60] [--seed 1] [--writers 8] [--kills N] [--foreign]
        [--short] [--still] [--times] [--keep FOLDER] [-- OPTIONS]

Each writer (torture_writers.py) fills a log of its own and turns it over in its own way.
Meanwhile tailmerge is killed with SIGKILL at random instants, or stopped with SIGTERM, and
started again, to follow or with `--once`; the output is rotated, too (not with --still). With
--foreign somebody else appends to the output all the while, with --times each line begins
with its time, with --short the lives of tailmerge are short. OPTIONS are tailmerge's own. At
the end one `--once` run merges the rest and every line is counted (torture_count.py). Same
seed, same decisions; the instants are the machine's. With --keep all files stay where
anything is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torture_count import Count, choose_reader
from torture_writers import Foreigner, Reached, Rotator, Writer

SHORT = (0.05, 0.1, 0.15, 0.2, 0.3)
"""Seconds that a run lives, from the moment when it has begun to merge, at most doubled."""

MIXED = (0.02, 0.1, 0.2, 0.5, 1.0, 3.0)


@dataclass(kw_only=True)
class Torture:
    """One run of it; the fields are what is asked for."""

    seconds: float = 60
    seed: int = 1
    writers: int = 8
    kills: int | None = None
    foreign: bool = False
    short: bool = False
    still: bool = False
    times: bool = False
    keep: Path | None = None
    options: Sequence[str] = ()
    done: Counter[str] = field(default_factory=Counter)
    """What was done to tailmerge, and how it ended."""

    def run(self) -> dict[str, Any]:
        """Do it and return what was counted."""
        self.chance = random.Random(self.seed)
        with self._folder() as self.folder:
            self.output = self.folder / "merged"
            self.stop, self.alive = threading.Event(), threading.Lock()
            logs = [self.folder / f"{number}.log" for number in range(self.writers)]
            self.inputs = [str(log) for log in logs]
            read = choose_reader(self.options, logs)
            reached = Reached(self.output, read, self.stop)
            writers = [
                Writer(
                    self.folder,
                    number,
                    self.seed,
                    reached,
                    self.alive,
                    self.stop,
                    times=self.times,
                )
                for number in range(self.writers)
            ]
            foreigner = Foreigner(self.output, self.stop)
            rotator = Rotator(self.output, self.seed, reached, self.stop)
            self._run_whole("first")  # from here on all is known
            helpers: list[Any] = [reached, *writers]
            helpers += [foreigner] * self.foreign + [rotator] * (not self.still)
            self._torment(helpers, writers)
            self._run_whole("last")
            self._run_whole("nothing new")
            count = Count(writers, read)
            count.add(rotator.files())
            result = self._result(count, writers, foreigner.count) | {"outputs": rotator.count + 1}
            if self.keep and any(result[name] for name in count.wrong) | bool(self.wrong_ends()):
                shutil.copytree(self.folder, self.keep, dirs_exist_ok=True)
            return result

    @contextlib.contextmanager
    def _folder(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as name:
            yield Path(name)

    def _torment(self, helpers: Sequence[Any], writers: Sequence[Writer]) -> None:
        for helper in helpers:
            helper.start()
        end = time.monotonic() + self.seconds
        try:
            while time.monotonic() < end and self.done["killed"] < (self.kills or 1 << 30):
                self._live_once()
                for writer in writers:
                    if writer.failure:
                        raise writer.failure
        finally:
            self.stop.set()
            for helper in helpers:
                helper.join()

    def _live_once(self) -> None:
        """One run of tailmerge, from its start to its end."""
        once = self.chance.random() < 0.25
        life = self.chance.choice(SHORT if self.short else MIXED) * (0.5 + self.chance.random())
        stopped = self.chance.random() < 0.1
        with self.alive:
            process = self._start("--once") if once else self._start()
            (self.folder / "pid").write_text("" if once else str(process.pid))
        if self.chance.random() < 0.8:
            life += 0.12  # until it has begun: else many would die before they did anything
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(life)
        with self.alive:
            (self.folder / "pid").write_text("")
            process.send_signal(signal.SIGTERM if stopped else signal.SIGKILL)
            code = process.wait(60)
        if code == -signal.SIGKILL:
            self.done["killed"] += 1
        else:
            self.done[f"{'once' if once else 'followed'}: {code}"] += 1

    def _start(self, *options: str) -> subprocess.Popen[bytes]:
        inputs = self.inputs if self.chance.random() < 0.5 else [str(self.folder / "?.log")]
        command = [sys.executable, "-m", "tailmerge", "-o", str(self.output), "-i", "0.01"]
        command += ["--rotate-wait", "0.5", *self.options, *options, *inputs]
        with open(self.folder / "messages", "ab") as messages:
            messages.write(b"-- %r\n" % time.time())
            return subprocess.Popen(command, stderr=messages, stdin=subprocess.DEVNULL)

    def _run_whole(self, what: str) -> None:
        code = self._start("--once").wait(180)
        self.done[f"{what}: {code}"] += 1

    def wrong_ends(self) -> list[str]:
        """Ends of runs that were neither killed nor 0."""
        good = ("killed", ": 0", ": -15")  # -15: before it had its handlers
        return [end for end in self.done if not end.endswith(good)]

    def _result(self, count: Count, writers: Sequence[Writer], foreign: int) -> dict[str, Any]:
        messages = (self.folder / "messages").read_bytes()
        return {
            "seed": self.seed,
            "kills": self.done["killed"],
            "runs": dict(self.done),
            "wrong_ends": self.wrong_ends(),
            "rotations": {w.way + f" {w.number}": w.rotations for w in writers},
            "said_missing": messages.count(b"lines may be missing"),
            "tracebacks": messages.count(b"Traceback"),
            **count.result(foreign),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--foreign", action="store_true")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--still", action="store_true")
    parser.add_argument("--times", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("options", nargs="*")
    result = Torture(**vars(parser.parse_args())).run()
    print(json.dumps(result, indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
