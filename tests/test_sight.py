"""The status line, the table on SIGUSR1, the sum at the end: on a real terminal where there is one.

The terminal is a pseudo terminal, and pyte is who looks at it: what is asserted is what a
person would see.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyte
import pytest
from helpers import PROCESS_SECONDS, append, on_lane

from tailmerge import run_fully_async
from tailmerge.report import Report
from tailmerge.sight import Sight

if TYPE_CHECKING:
    from processes import Place

pytest_plugins = ["processes"]

LINE = b"2026-11-23 12:00:01,250 web: a request of a client that wants something\n"
ROWS = 8


class Terminal:
    """A pseudo terminal that a command writes to, and a screen that shows it."""

    def __init__(self, place: Place, columns: int) -> None:
        self._place = place
        self._master, self.slave = pty.openpty()
        self._screen = pyte.Screen(columns, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._processes: list[subprocess.Popen[bytes]] = []
        self.raw = b""
        """All that came."""
        self.resize(columns)

    def resize(self, columns: int) -> None:
        size = struct.pack("HHHH", ROWS, columns, 0, 0)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, size)
        self._screen.resize(ROWS, columns)

    def start(
        self,
        *words: str,
        term: str = "xterm",
        under: tuple[str, ...] = (),
        stdout: int | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start tailmerge with standard error on the terminal, and standard output where said."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tailmerge", *words],
            cwd=self._place.folder,
            env=self._place.environment({"TERM": term, "TAILMERGE_INTERVAL": "0.02"}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if stdout is None else stdout,
            stderr=self.slave,
        )
        self._processes.append(process)
        return process

    @property
    def shown(self) -> list[str]:
        """The rows of the screen from which nothing hangs over."""
        return [row.rstrip() for row in self._screen.display]

    def read(self, seconds: float = 0.0) -> None:
        """Show what comes within so many seconds."""
        while select.select([self._master], [], [], seconds)[0]:
            data = os.read(self._master, 65536)
            self.raw += data
            self._stream.feed(data)

    def sees(self, check: Callable[[list[str]], bool]) -> list[str]:
        """Wait until the screen is so."""
        deadline = time.monotonic() + PROCESS_SECONDS
        while not check(self.shown):
            assert time.monotonic() < deadline, self.shown
            self.read(0.05)
        return self.shown

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        os.close(self._master)
        os.close(self.slave)


@pytest.fixture
def terminal(place: Place) -> Iterator[Terminal]:
    made = Terminal(place, 80)
    try:
        yield made
    finally:
        made.close()


def has(words: str) -> Callable[[list[str]], bool]:
    return lambda rows: any(words in row for row in rows)


def is_empty(rows: list[str]) -> bool:
    return not any(rows)


# the status line


def test_following_shows_inputs_lines_rate_and_how_far_behind(place: Place, terminal: Terminal):
    place.write("a.log", b"1\n2\n")
    place.write("b.log", b"3\nunfinished")
    process = terminal.start("a.log", "b.log", "-o", "merged.log")
    rows = terminal.sees(has("2 inputs, 3 lines"))
    assert rows[0].endswith("10 B behind")
    assert is_empty(rows[1:])
    place.append("a.log", b"4\n" * 996)
    terminal.sees(has("2 inputs, 999 lines"))
    process.terminate()
    assert process.wait(PROCESS_SECONDS) == 0
    terminal.sees(is_empty)


def test_a_message_stands_above_the_status_line(place: Place, terminal: Terminal):
    place.write("a.log", b"1\n")
    process = terminal.start("a.log", "gone.log", "*.txt", "-o", "merged.log")
    terminal.sees(has("2 inputs, 1 line,"))
    place.write("gone.log", b"2\n")
    terminal.sees(has("2 inputs, 2 lines,"))
    process.send_signal(signal.SIGINT)
    assert process.wait(PROCESS_SECONDS) == -signal.SIGINT
    terminal.read(0.1)
    assert [row for row in terminal.shown if row] == [
        "tailmerge: *.txt: matches no file yet",
        "tailmerge: gone.log: no such file yet, waiting for it",
        "tailmerge: gone.log: can be read now, followed from its first line",
    ]


@pytest.mark.parametrize("columns", [1, 2, 20, 33, 80, 200])
def test_the_line_fits_every_width_and_every_change_of_it(
    place: Place, terminal: Terminal, columns: int
):
    place.write("a.log", LINE * 10)
    process = terminal.start("a.log", "-o", "merged.log")
    terminal.sees(has("1 input, 10 lines"))
    terminal.resize(columns)
    place.append("a.log", LINE * 200_000)
    place.append("a.log", b"unfinished")
    if columns >= 20:
        terminal.sees(has("10 B behind"))
    terminal.read(0.5)
    assert is_empty(terminal.shown[1:])
    process.terminate()
    assert process.wait(PROCESS_SECONDS) == 0
    terminal.sees(is_empty)


def test_once_shows_a_progress_bar_with_the_time_left(place: Place, terminal: Terminal):
    """A named pipe stands in the middle, so that the run waits there."""
    place.write("a.log", LINE * 1000)
    place.write("b.log", LINE * 1000)
    os.mkfifo(place / "events")
    process = terminal.start("--once", "a.log", "events", "b.log", "-o", "merged.log")
    with open(place / "events", "wb", buffering=0) as events:
        events.write(b"1\n")
        rows = terminal.sees(has("50%"))
        assert rows[0].startswith("[##########")
        assert " s left, " in rows[0]
        assert "1,001 lines" in rows[0]
        terminal.resize(20)
        events.write(b"2\n")
        terminal.sees(lambda rows: rows[0].startswith("50%") or rows[0].startswith("[##"))
        assert is_empty(terminal.shown[1:])
    assert process.wait(PROCESS_SECONDS) == 0
    terminal.sees(is_empty)
    assert place.read().count(b"\n") == 2002


# where there is none


def test_quiet_has_no_status_line(place: Place, terminal: Terminal):
    place.write("a.log", b"1\n")
    process = terminal.start("-q", "a.log", "-o", "merged.log")
    place.sees(b"1\n")
    terminal.read(0.5)
    process.terminate()
    assert process.wait(PROCESS_SECONDS) == 0
    terminal.read(0.1)
    assert terminal.raw == b""


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_erase_has_no_status_line(
    place: Place, terminal: Terminal, term: str
):
    place.write("a.log", b"1\n")
    terminal.start("a.log", "-o", "merged.log", term=term)
    place.sees(b"1\n")
    terminal.read(0.5)
    assert terminal.raw == b""


def test_output_to_the_same_terminal_is_the_lines_alone(place: Place, terminal: Terminal):
    place.write("a.log", b"1\n2\n")
    terminal.start("a.log", stdout=terminal.slave)
    terminal.sees(has("2"))
    terminal.read(0.5)
    assert terminal.raw == b"1\r\n2\r\n"


def test_output_to_the_terminal_by_its_name_is_the_lines_alone(place: Place, terminal: Terminal):
    place.write("a.log", b"1\n2\n")
    terminal.start("a.log", "-o", os.ttyname(terminal.slave))
    terminal.sees(has("2"))
    terminal.read(0.5)
    assert terminal.raw == b"1\r\n2\r\n"


PIPELINE = 'exec 2>"$1"; $tailmerge --once a.log events | '


@pytest.mark.parametrize(
    ("reader", "shown"), [('cat > "$1"', False), ("cat > out", True)], ids=["terminal", "file"]
)
def test_a_pipes_reader_that_prints_on_the_terminal_is_not_disturbed(
    place: Place, terminal: Terminal, reader: str, shown: bool
):
    place.write("a.log", b"1\n")
    os.mkfifo(place / "events")
    script = PIPELINE + reader
    shell = place.start_other(
        ["bash", "-c", script, "bash", os.ttyname(terminal.slave)],
        env=place.environment({"TERM": "xterm"}),
    )
    with open(place / "events", "wb"):
        if shown:
            terminal.sees(has("100%"))
        else:
            terminal.sees(has("1"))
            terminal.read(0.5)
    assert shell.wait(PROCESS_SECONDS) == 0
    terminal.read(0.1)
    assert terminal.shown[0] == ("" if shown else "1")
    if not shown:
        assert terminal.raw == b"1\r\n"


def test_without_a_terminal_there_is_not_a_byte_of_it(place: Place):
    place.write("a.log", b"1\n")
    live = place.follow("a.log", "-o", "merged.log", expected=b"1\n", env={"TERM": "xterm"})
    place.settles("a.log")
    live.stop()
    assert live.err == ""


def test_a_stopped_terminal_stops_no_run(place: Place, terminal: Terminal):
    """Ctrl-S: the terminal takes nothing any more, the lines go on."""
    place.write("a.log", b"1\n")
    process = terminal.start("a.log", "-o", "merged.log")
    terminal.sees(has("1 line"))
    termios.tcflow(terminal.slave, termios.TCOOFF)
    place.append("a.log", b"2\n" * 5)
    place.sees(b"1\n" + b"2\n" * 5)
    place.settles("a.log")
    process.terminate()
    assert process.wait(PROCESS_SECONDS) == 0
    termios.tcflow(terminal.slave, termios.TCOON)


def test_control_characters_of_a_name_do_not_reach_the_terminal(place: Place, terminal: Terminal):
    name = "evil\x1b[31m\x07.log"
    place.write(name, b"1\n")
    process = terminal.start(name, "gone\x1b]0;x\x07.log", "-o", "merged.log")
    terminal.sees(has("2 inputs, 1 line"))
    process.send_signal(signal.SIGUSR1)
    terminal.sees(has("output merged.log"))
    process.terminate()
    assert process.wait(PROCESS_SECONDS) == 0
    terminal.read(0.1)
    rest = terminal.raw.replace(b"\r\x1b[J", b"")
    assert not [byte for byte in rest if byte < 32 and byte not in b"\r\n"]


# SIGUSR1 and --status


def test_sigusr1_shows_where_each_input_stands(place: Place):
    place.write("a.log", b"1\n2\nunf")
    os.mkfifo(place / "events")
    live = place.start("a.log", "events", "-o", "merged.log")
    with open(place / "events", "wb", buffering=0) as events:
        events.write(b"from a pipe\n")
        place.sees_mixed([b"1", b"2"], [b"from a pipe"])
        live.process.send_signal(signal.SIGUSR1)
        said = live.says("output merged.log")
    rows = [row.split() for row in said.splitlines()]
    assert rows == [
        ["input", "offset", "size", "behind"],
        ["a.log", "4", "7", "3"],
        ["events", "12", "-", "-"],
        ["output", "merged.log", "16"],
    ]
    assert live.stop() == 0


def test_sigusr1_that_was_ignored_stays_ignored(place: Place):
    place.write("a.log", b"1\n")
    under = ("sh", "-c", "trap '' USR1; exec \"$@\"", "sh")
    live = place.follow("a.log", expected=b"1\n", under=under)
    live.process.send_signal(signal.SIGUSR1)
    place.settles("a.log")
    assert live.stop() == 0
    assert live.err == ""


def test_a_status_for_programs_has_these_fields(place: Place):
    place.write("a.log", b"1\n")
    place.run("--once", "a.log", "-o", "merged.log")
    place.append("a.log", b"2\n")
    done = place.run("--status", "--format", "json", "-o", "merged.log")
    assert (done.code, done.err) == (0, "")
    folder = str(place.folder.resolve())
    row = {"path": f"{folder}/a.log", "offset": 2, "size": 4, "behind": 2}
    assert json.loads(done.out) == {
        "output": f"{folder}/merged.log",
        "output_size": 2,
        "state": f"{folder}/merged.log.tailmerge",
        "behind": 2,
        "inputs": [{"input": f"{folder}/a.log"} | row],
    }


def test_a_status_for_programs_keeps_names_that_are_no_text(place: Place):
    name = os.fsdecode(b"bad\xff.log")
    place.write(name, b"1\n")
    place.run("--once", name, "-o", "merged.log")
    (place / name).unlink()
    done = place.run("--status", "--format", "json", "-o", "merged.log")
    [row] = json.loads(done.out)["inputs"]
    assert os.path.basename(row["path"]) == name
    assert row["size"] is None


# the sum at the end


def test_verbose_sums_up_what_was_merged_and_what_was_not(place: Place):
    place.write("a.log", b"1\n2\nunf")
    place.write("b.log", b"3\n")
    (place / "folder").mkdir()
    words = ("a.log", "b.log", "folder", "gone.log", "merged.log", "-o", "merged.log")
    done = place.run("--once", "-v", *words)
    assert done.code == 1
    assert done.err.splitlines()[-7:] == [
        "tailmerge: a.log: merged 2 lines, 4 bytes",
        "tailmerge: a.log: not merged: 3 bytes of an unfinished last line",
        "tailmerge: b.log: merged 1 line, 2 bytes",
        "tailmerge: folder: not merged: is a directory",
        "tailmerge: merged.log: not merged: is the output",
        "tailmerge: gone.log: not merged: no such file",
        "tailmerge: merged 3 lines, 6 bytes from 2 inputs",
    ]


@pytest.mark.parametrize("words", [(), ("--sort",)], ids=["plain", "sorted"])
def test_the_sum_counts_lines_of_every_kind(place: Place, words: tuple[str, ...]):
    """Long ones, an unfinished one that is written, a pipe's, a compressed file's."""
    place.write("long.log", b"x" * 3_000_000 + b"\nshort\n" + b"y" * 300_000)
    done = place.run("--once", "-v", *words, "long.log", "-", input=b"1\n2\nunf")
    assert "long.log: merged 3 lines, 3300007 bytes" in done.err
    assert "-: merged 3 lines, 8 bytes" in done.err
    assert done.out.count(b"\n") == 6


class Behind:
    """A lane on which a look waits for its turn, and then takes some time itself."""

    def __init__(self, wait: float, takes: float) -> None:
        self.wait = wait
        self.takes = takes

    async def call(
        self, look: Callable[..., Any], registry: Any, clock: Callable[[], float]
    ) -> Any:
        await asyncio.sleep(self.wait)
        begin, looks = clock(), iter((0.0, self.takes))
        return look(registry, lambda: begin + next(looks))


@pytest.mark.parametrize(("wait", "takes", "drawn"), [(1.0, 0.001, 16), (0.0, 0.1, 10)])
def test_what_spaces_the_draws_is_what_a_look_costs_not_what_it_waits_for(
    wait: float, takes: float, drawn: int
) -> None:
    draws: list[object] = []
    sight = Sight(show_line=draws.append)
    output: Any = Behind(wait, takes)
    registry: Any = SimpleNamespace(present=[])

    async def run() -> None:
        running = asyncio.create_task(sight.run(output, registry))
        await asyncio.sleep(20)
        running.cancel()

    on_lane(run())
    assert len(draws) == drawn


async def test_the_sum_counts_lines_where_a_program_asks_for_it_too() -> None:
    append("a.log", b"one\ntwo\n")
    words: list[str] = []
    report = Report(words.append, once=True, verbose=True)
    await run_fully_async(["a.log"], 0.01, "m.log", once=True, report=report)
    assert any("merged 2 lines" in each for each in words), words
