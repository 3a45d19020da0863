"""A backlog: how long it takes to merge what is there, beside cat and the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from harness import (
    GIB,
    HERE,
    MIB,
    TAILMERGE,
    Aim,
    Bench,
    Outcome,
    Table,
    Unmeasured,
    eventually,
    in_turn,
    median,
    run,
    say,
    settle,
    size_of,
)
from load import check_merged, make_backlog, throughput
from peers import PYGTAIL, RSYSLOG, SYSLOG_NG, TAIL, Peer, find, following, options

FILES = 4

OPTIONS = {
    "--no-state": ("--no-state",),
    "--fsync": ("--fsync",),
    "--label": ("--label", "{name}: "),
    "--match (1 line in 100)": ("--match", "00 INFO"),
    "--match (1 line in 10)": ("--match", "0 INFO"),
    "--match (every line)": ("--match", "INFO"),
    "--exclude (1 line in 10)": ("--exclude", "0 INFO"),
    "--record-start": ("--record-start", "^f"),
    "--format json": ("--format", "json"),
    "--sort": ("--sort",),
}
"""What is measured where `tailmerge --help` knows it, and the words that ask for it."""

FILTERS: dict[str, tuple[bytes, bool]] = {
    "--match (1 line in 100)": (b"00 INFO", True),
    "--match (1 line in 10)": (b"0 INFO", True),
    "--exclude (1 line in 10)": (b"0 INFO", False),
}
"""Those that leave lines out: a text, and whether the lines that have it are kept."""

SHAPED = ("--label", *FILTERS)
"""Those that are measured on the whole backlog, but not so often."""

MEMORY = Path("/dev/shm")
"""A file system that no disk slows down."""

SLOW = ("--match (every line)", "--record-start", "--format json", "--sort")
"""Those that are measured on a smaller backlog."""

RESTORE: dict[str, Callable[[bytes], bytes]] = {
    "--label": lambda line: line.partition(b": ")[2],
    "--format json": lambda line: json.loads(line)["line"].encode() + b"\n",
}
"""How a line as it was is had from a line of the output, where that is another."""


class Backlog:
    """The inputs, and what is run on them; each output is proven once, then only its size."""

    def __init__(self, folder: Path, inputs: list[Path]) -> None:
        self.folder = folder
        self.inputs = inputs
        self.size = sum(path.stat().st_size for path in inputs)
        self.output = folder / "merged.log"
        self._proven: set[str] = set()

    def _checked(self, name: str, act: Callable[[], float], option: str = "") -> float:
        os.sync()  # what ran before has nothing left for the disk to do
        try:
            seconds = act()
            if name not in self._proven:
                self._restore(option)
                with self._expected(option) as inputs:
                    check_merged(self.output, inputs)
                self._proven.add(name)
            elif option not in RESTORE | FILTERS and self.output.stat().st_size != self.size:
                raise Unmeasured("the output has the wrong size")
            return seconds
        finally:
            for path in self.folder.glob("merged.log*"):
                path.unlink()

    def _restore(self, option: str) -> None:
        """The output's lines as they were, where the option changes them."""
        if restore := RESTORE.get(option):
            plain = self.folder / "merged.log.plain"
            with self.output.open("rb") as lines, plain.open("wb") as out:
                out.writelines(restore(line) for line in lines)
            plain.replace(self.output)

    @contextmanager
    def _expected(self, option: str) -> Iterator[list[Path]]:
        """The inputs as they are to come out."""
        if option not in FILTERS:
            yield self.inputs
            return
        text, wanted = FILTERS[option]
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            kept = [Path(name, path.name) for path in self.inputs]
            for path, copy in zip(self.inputs, kept, strict=True):
                with path.open("rb") as lines, copy.open("wb") as out:
                    out.writelines(line for line in lines if (text in line) is wanted)
            yield kept

    def command(self, *words: str, option: str = "") -> float:
        """The whole command, seconds."""
        command = [*TAILMERGE, "--once", *self.inputs, "-o", self.output, *words]
        name = " ".join(("command", *words))
        return self._checked(name, lambda: run(command).seconds, option)

    def inside(self, *, state: bool) -> float:
        """From the first read to the last write, seconds."""
        state_path = f"{self.output}.tailmerge" if state else "-"
        words = [HERE / "timed_merge.py", self.output, state_path, *self.inputs]

        def act() -> float:
            done = subprocess.run(
                [sys.executable, *words], capture_output=True, text=True, timeout=300, check=True
            )
            return float(done.stdout)

        return self._checked(f"inside {state}", act)

    def shell(self, script: str) -> float:
        """`script`, with the inputs as its words and the output as its standard output."""

        def act() -> float:
            with self.output.open("wb") as out:
                words = ["/bin/sh", "-c", script, "sh", *self.inputs]
                return run(words, stdout=out).seconds

        return self._checked(script, act)

    def program(self, *command: str | Path) -> float:
        """A command that writes the output itself and ends."""
        return self._checked(str(command[1]), lambda: run([*command]).seconds)

    def follow(self, peer: Peer) -> float:
        """A program that never ends, from its start until the output is complete."""

        def act() -> float:
            begin = time.perf_counter()
            with (
                tempfile.TemporaryDirectory(dir=self.folder) as own,  # it forgets the last round
                following(peer, Path(own), self.inputs, self.output),
            ):
                eventually(lambda: size_of(self.output) > 0, 60, "anything is merged")
                settle(self.output, self.size, 120, quiet=5)
                return time.perf_counter() - begin

        return self._checked(peer.name, act)


def measure(bench: Bench) -> Outcome:
    outcome = Outcome()
    size = bench.pick(GIB, 128 * MIB, 2 * MIB)
    if not bench.has_room(3 * size):
        raise Unmeasured("there is not enough room on the disk")
    with bench.place() as folder:
        backlog = Backlog(folder, make_backlog(folder, size, FILES))
        beside = _beside_cat(bench, backlog, outcome)
        cat = median(beside["cat a b c d > out"])
        _line_by_line(bench, backlog, SHAPED, outcome)
    with bench.place() as folder:
        sample = make_backlog(folder, bench.pick(256, 32, 1) * MIB, FILES)
        _line_by_line(bench, Backlog(folder, sample), SLOW, outcome)
    _small_samples(bench, cat / size, outcome)
    _four_gib(bench, outcome)
    return outcome


def _beside_cat(bench: Bench, backlog: Backlog, outcome: Outcome) -> dict[str, list[float]]:
    runs: dict[str, Callable[[], float]] = {
        "cat a b c d > out": partial(backlog.shell, 'exec cat "$@"'),
        "cat a b c d \\| cat > out": partial(backlog.shell, 'cat "$@" | cat'),
        "tailmerge, first read to last write": partial(backlog.inside, state=True),
        "tailmerge, the same without a state": partial(backlog.inside, state=False),
        "tailmerge --once, the whole command": backlog.command,
    }
    for name in OPTIONS:
        if not _is_known(name):
            outcome.skipped.append(f"{name}: this tailmerge does not have it")
        elif name not in SHAPED + SLOW:
            runs[f"tailmerge --once {name}"] = _with_option(backlog, name)
    size = backlog.size
    say(f"  {size / MIB:.0f} MiB in {FILES} files")
    results = in_turn(bench.pick(5, 5, 1), runs)
    cat, piped, inside, free, whole = (median(results[name]) for name in list(runs)[:5])
    outcome.tables.append(_table(f"{size / MIB:.0f} MiB in {FILES} files", size, results))
    outcome.aims += [
        Aim("backlog, first read to last write / cat", inside / cat, 1.15),
        Aim("backlog, with a state / without", inside / free, 1.1),
    ]
    if size >= GIB:  # of less than this the start is the most
        outcome.aims += [
            Aim("backlog, whole command / cat", whole / cat, 1.5),
            Aim("backlog, whole command / (cat piped to cat)", whole / piped, 0.8),
        ]
    outcome.figures |= {
        "backlog": {name: throughput(size, median(took)) for name, took in results.items() if took}
    }
    return results


def _is_known(name: str) -> bool:
    return f"{OPTIONS[name][0]} " in options()


def _with_option(backlog: Backlog, name: str) -> Callable[[], float]:
    return partial(backlog.command, *OPTIONS[name], option=name)


def _table(title: str, size: int, results: dict[str, list[float]]) -> Table:
    """Seconds, speed, and the ratio to the first one's."""
    cat = median(next(iter(results.values())))
    rows = [
        [name, f"{s:.3f}", f"{throughput(size, s):.0f}", f"{s / cat:.2f}"]
        for name, s in ((name, median(took)) for name, took in results.items() if took)
    ]
    return Table(title, ["", "s", "MiB/s", "time / cat"], rows)


def _line_by_line(bench: Bench, backlog: Backlog, names: tuple[str, ...], outcome: Outcome) -> None:
    """What handles each line."""
    runs: dict[str, Callable[[], float]] = {"cat": partial(backlog.shell, 'exec cat "$@"')}
    for name in filter(_is_known, names):
        runs[f"tailmerge --once {name}"] = _with_option(backlog, name)
    size = backlog.size
    say(f"  {size / MIB:.0f} MiB, {', '.join(names)}")
    results = in_turn(bench.pick(3, 1, 1), runs)
    outcome.tables.append(_table(f"{size / MIB:.0f} MiB, line by line", size, results))
    cat = median(results.pop("cat"))
    took = {name: median(found) for name, found in results.items() if found}
    outcome.figures["backlog"] |= {name: throughput(size, s) for name, s in took.items()}
    if size >= GIB:
        outcome.aims += [Aim(f"backlog, {name} / cat", s / cat, 2.2) for name, s in took.items()]


def _small_samples(bench: Bench, cat: float, outcome: Outcome) -> None:
    """Who is too slow for all of it; `cat` is its seconds a byte."""
    samples = {
        "tail -F": (bench.pick(256, 64, 2), lambda b: b.follow(TAIL), TAIL.missing),
        "syslog-ng": (bench.pick(64, 8, 1), lambda b: b.follow(SYSLOG_NG), SYSLOG_NG.missing),
        "rsyslog": (bench.pick(64, 8, 1), lambda b: b.follow(RSYSLOG), RSYSLOG.missing),
        "logtail2": (bench.pick(256, 64, 1), _logtail, "" if find("logtail2") else "not installed"),
        "pygtail": (bench.pick(16, 4, 1), partial(_script, "pygtail_loop.py"), PYGTAIL.missing),
        "lnav -n": (bench.pick(16, 8, 1), _lnav, "" if find("lnav") else "not installed"),
        "the book's code": (bench.pick(2, 1, 1), partial(_script, "book.py"), ""),
    }
    rows = []
    for name, (mib, act, missing) in samples.items():
        if missing:
            outcome.skipped.append(f"{name}: {missing}")
            continue
        with bench.place() as folder:
            sample = Backlog(folder, make_backlog(folder, mib * MIB, FILES))
            took = in_turn(bench.pick(3, 1, 1), {name: partial(act, sample)})[name]
            if not took:
                outcome.skipped.append(f"{name}: did not merge the backlog exactly")
                continue
            ratio = median(took) / sample.size / cat
            speed = throughput(sample.size, median(took))
            rows.append([name, str(mib), f"{median(took):.2f}", f"{speed:.1f}", f"{ratio:.1f}"])
            outcome.figures["backlog"][name] = speed
    outcome.tables.append(
        Table(
            "The others, on smaller samples",
            ["", "MiB", "s", "MiB/s", "time / cat, scaled"],
            rows,
            "Scaled: seconds a byte, over cat's on the large backlog. What follows for ever is"
            " timed until its output is complete.",
        )
    )
    speeds = outcome.figures["backlog"]
    if "the book's code" in speeds:
        ours = speeds["tailmerge, first read to last write"]
        aim = Aim("backlog, speed / the book's code", ours / speeds["the book's code"], 1000)
        aim.at_least = True
        outcome.aims.append(aim)


def _script(name: str, backlog: Backlog) -> float:
    words = (HERE / name, backlog.output, "0.1", "--once", *backlog.inputs)
    return backlog.program(sys.executable, *words)


def _lnav(backlog: Backlog) -> float:
    """It merges by time; every line here has the same one."""
    return backlog.shell('exec lnav -n "$@"')


def _logtail(backlog: Backlog) -> float:
    return backlog.shell('for f; do logtail2 -f "$f" -o "$f.offset" || exit; rm "$f.offset"; done')


def _four_gib(bench: Bench, outcome: Outcome) -> None:
    """On the disk, where the kernel holds up who writes more than it wants to keep unwritten,
    and in memory, where it does not."""
    size = bench.pick(4 * GIB, 0, 4 * MIB)
    if not size:
        outcome.skipped.append("the backlog of 4 GiB: not with --quick")
        return
    title = f"{size / GIB:.0f} GiB, the whole command"
    for where, place in {"on the disk": bench.folder, "in memory": MEMORY}.items():
        if not place.is_dir() or not bench.has_room(2 * size, place):
            outcome.skipped.append(f"the backlog of 4 GiB {where}: there is not enough room")
            continue
        with bench.place(place) as folder:
            backlog = Backlog(folder, make_backlog(folder, size, FILES))
            say(f"  {size / MIB:.0f} MiB in {FILES} files, {where}")
            runs = {"cat": partial(backlog.shell, 'exec cat "$@"'), "tailmerge": backlog.command}
            results = in_turn(bench.pick(5, 1, 1), runs)
        outcome.tables.append(_table(f"{title}, {where}", size, results))
        ratio = median(results["tailmerge"]) / median(results["cat"])
        outcome.aims.append(Aim(f"backlog of 4 GiB, {where}, whole command / cat", ratio, 1.25))
