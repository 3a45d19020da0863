"""Every sentence that is said to a person, help and usage errors apart.

One method an event: subject, what happened, what tailmerge does now; said once a change
of state. A `Report` decides what is said at which level (the contract's table) and knows
what is still owed, which decides the exit code of a run that ends by itself. Where the
words go is its caller's: `say` gets one line without its newline.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping

from tailmerge.wording import explain, plural, show


class TailmergeError(Exception):
    """What ends a run, in one line that says what to do; `exit_code` is the contract's."""

    exit_code = 3


class UsageProblem(TailmergeError):
    """What was asked for cannot be meant; exit code 2."""

    exit_code = 2


class OutputError(TailmergeError):
    """The output could not be opened or written; exit code 3."""


class StateError(TailmergeError):
    """The state cannot be used as it is; exit code 3."""


class Busy(TailmergeError):
    """Another tailmerge has this output; exit code 4."""

    exit_code = 4

    def __init__(self, text: str, pid: int | None) -> None:
        super().__init__(text)
        self.pid = pid
        """Which one, where that is known."""


class OutputOwes(OutputError):
    """The run ended while the output did not take what was read."""


class ReaderGone(TailmergeError):
    """Nobody reads the standard output any more."""


def choose_error(group: BaseExceptionGroup[TailmergeError]) -> TailmergeError:
    """Of all that went wrong at once, what is said: the reader's leaving before the rest."""
    errors: list[TailmergeError] = []
    pending: list[BaseException] = [group]
    while pending:
        error = pending.pop(0)
        if isinstance(error, BaseExceptionGroup):
            pending.extend(error.exceptions)
        elif isinstance(error, TailmergeError):
            errors.append(error)
    return next((e for e in errors if isinstance(e, ReaderGone)), errors[0])


class Report:
    """What a run says, and what it still owes."""

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        once: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> None:
        self._say = say
        self._once = once
        self._quiet = quiet
        self._verbose = verbose
        self._owed: dict[str, str] = {}
        self._skipped: dict[str, str] = {}
        self._silent: set[str] = set()
        """Patterns of which nothing can be told."""
        self.given: dict[str, str] = {}
        """How an absolute name was given, so that it is shown as it was typed."""

    @property
    def owes(self) -> bool:
        """Whether some input, or a part of one, could not be read so far."""
        return bool(self._owed)

    @property
    def is_verbose(self) -> bool:
        """Whether details are said at all."""
        return self._verbose

    @property
    def left_out(self) -> dict[str, str]:
        """The names of which something was not merged so far, and why."""
        return self._skipped | self._owed

    # levels

    def _news(self, text: str) -> None:
        if self._verbose or not (self._once or self._quiet):
            self._say(text)

    def _notice(self, text: str) -> None:
        if not self._quiet:
            self._say(text)

    def _detail(self, text: str) -> None:
        if self._verbose:
            self._say(text)

    def _problem(self, name: str, text: str) -> None:
        """Owed from now on: it makes the exit code 1 unless it is over before the end."""
        if self._owed.get(name) != text:
            self._owed[name] = text
            self._say(f"{show(name)}: {text}")

    # inputs

    def input_missing(self, name: str) -> None:
        self._problem(name, "no such file" if self._once else "no such file yet, waiting for it")

    def input_unreadable(self, name: str, error: OSError) -> None:
        self._problem(name, explain(error) + ("" if self._once else ", tried again"))

    def input_refused(self, name: str, encoding: str) -> None:
        # Left to find the byte order by its mark, iconv takes the mark away.
        family = encoding.removesuffix("LE").removesuffix("BE")
        self._problem(
            name, f"is {encoding}, not read; convert it: iconv -f {family} -t UTF-8 {show(name)}"
        )

    def input_special(self, name: str, kind: str) -> None:
        self._problem(name, f"is {kind}, not read")

    def input_works(self, name: str) -> bool:
        """An input can be read; whether that is news because it was missing or unreadable."""
        if self._owed.pop(name, None) is None:
            return False
        more = "" if name.endswith("/") else ", followed from its first line"  # a folder
        self._notice(f"{show(name)}: can be read now{more}")
        return True

    def input_appeared(self, name: str) -> None:
        self._news(f"{show(name)}: appeared, followed from its first line")

    def input_gone(self, name: str) -> None:
        self._news(f"{show(name)}: gone, waiting for it to come back")

    def input_rotated(self, name: str, held: int) -> None:
        self._news(f"{show(name)}: rotated, {plural(held, 'file')} followed")

    def input_rewritten(self, name: str) -> None:
        self._news(f"{show(name)}: truncated, followed from its first line")

    def hole_skipped(self, name: str, size: int) -> None:
        self._notice(
            f"{show(name)}: skipped a hole of {plural(size, 'NUL byte')} at its start"
            " (its writer does not append: open the log with O_APPEND)"
        )

    def lines_missing(self, name: str, size: int) -> None:
        self._notice(
            f"{show(name)}: lines may be missing, {plural(size, 'byte')} were gone"
            " before they could be read"
        )

    def no_times(self, name: str, *, relative: bool = False) -> None:
        """`relative`: they have seconds since the start of a machine or a process."""
        what = "its times count from a start, not from a date" if relative else "no time recognised"
        self._notice(
            f"{show(name)}: {what}{'' if relative else ' in its lines'}, merged as they come"
            " (--time-format FORMAT says what they look like)"
        )

    def lines_late(self, count: int) -> None:
        lines, it = ("1 line", "it") if count == 1 else (f"{count} lines", "they")
        self._notice(
            f"{lines} came later than --window waits, written as {it} came; give a longer --window"
        )

    def line_torn(self, name: str) -> None:
        self._notice(f"{show(name)}: was cut while a line was copied, that line is incomplete")

    def line_left_out(self, name: str) -> None:
        self._notice(f"{show(name)}: unfinished last line left out")

    def input_finished(self, name: str) -> None:
        if name not in self._owed:
            self._detail(f"{show(name)}: read to its end")

    def input_let_go(self, name: str) -> None:
        self._detail(f"{show(name)}: quiet since its rotation, no longer held open")

    def kernel_tells(self, folders: int) -> None:
        self._detail(f"inotify: {plural(folders, 'folder')} watched")

    def kernel_tells_of_some(self, folders: int, polled: int, interval: float) -> None:
        self._detail(
            f"inotify: {plural(folders, 'folder')} watched,"
            f" {plural(polled, 'input')} polled every {interval:g} s"
        )

    def polls_without_inotify(self, interval: float) -> None:
        self._detail(
            f"polling every {interval:g} s: no inotify here"
            " (on Linux: pip install 'tailmerge[inotify]')"
        )

    def polls(self, interval: float) -> None:
        self._detail(f"polling every {interval:g} s: the kernel tells of no changes there")

    def patterns_asked(self, failed: Mapping[str, OSError]) -> None:
        """Patterns were looked at; of which of them nothing can be told, and why."""
        for pattern in self._silent - failed.keys():
            self.input_works(pattern)
        for pattern, error in failed.items():
            self.input_unreadable(pattern, error)
        self._silent = set(failed)

    def pattern_unmatched(self, pattern: str) -> None:
        self._news(f"{show(pattern)}: matches no file" + ("" if self._once else " yet"))

    def directory_skipped(self, name: str) -> None:
        self._skip(name, "is a directory")

    def output_skipped(self, name: str) -> None:
        self._skip(name, "is the output")

    def _skip(self, name: str, why: str) -> None:
        self._skipped[name] = why
        self._news(f"{show(name)}: {why}, skipped")

    def duplicate_skipped(self, name: str, other: str) -> None:
        other = show(self.given.get(other, other))
        self._detail(f"{show(name)}: is the same file as {other}, followed once")

    # at the end

    def input_merged(self, name: str, lines: int, size: int) -> None:
        self._detail(f"{show(name)}: merged {plural(lines, 'line')}, {plural(size, 'byte')}")

    def input_unfinished(self, name: str, size: int) -> None:
        self._detail(f"{show(name)}: not merged: {plural(size, 'byte')} of an unfinished last line")

    def input_behind(self, name: str, size: int) -> None:
        self._detail(f"{show(name)}: not merged: {plural(size, 'byte')}, the run ended before")

    def input_left_out(self, name: str, why: str) -> None:
        self._detail(f"{show(name)}: not merged: {why}")

    def run_ended(self, inputs: int, lines: int, size: int) -> None:
        parts = (plural(lines, "line"), plural(size, "byte"), plural(inputs, "input"))
        self._detail("merged {}, {} from {}".format(*parts))

    # output

    def output_reopened(self, name: str) -> None:
        self._news(f"{show(name)}: moved or deleted, opened anew")

    def output_truncated(self, name: str) -> None:
        self._news(f"{show(name)}: truncated by someone else, appended to")

    def output_is_new(self, name: str) -> None:
        self._notice(
            f"{show(name)}: is a new file, what follows goes there"
            " (the inputs go on where they were; --overwrite starts over)"
        )

    def batch_unproven(self, name: str) -> None:
        self._notice(
            f"{show(name)}: lines may be missing, a batch was cut short and its input is gone"
        )

    def output_cut_back(self, name: str, size: int) -> None:
        self._notice(
            f"{show(name)}: its last {plural(size, 'byte')} were damaged by a power cut,"
            " written again"
        )

    def output_waits(self, name: str, error: OSError) -> None:
        self._notice(f"{show(name)}: {explain(error)}, waiting; nothing is skipped")

    def output_works(self, name: str) -> None:
        self._notice(f"{show(name)}: can be written again")


def cannot_open(name: str, error: OSError) -> OutputError:
    if error.errno == errno.ENOENT:
        folder = os.path.dirname(name) or "."
        return OutputError(f"{show(name)}: no folder {show(folder)}; make it, or name another -o")
    if error.errno == errno.EISDIR:
        return OutputError(f"{show(name)}: is a directory; name a file in it with -o")
    return OutputError(f"{show(name)}: {explain(error)}; name another output with -o")


def closed_output() -> OutputError:
    return OutputError("standard output: is closed; name an output with -o")


def cannot_print(error: OSError) -> OutputError:
    return OutputError(f"standard output: {explain(error)}")


def still_owes(name: str, reason: str) -> OutputOwes:
    return OutputOwes(f"{show(name)}: {reason}; not all that was read is written")


def cannot_sync(name: str, error: OSError) -> OutputError:
    return OutputError(
        f"{show(name)}: cannot be synced: {explain(error)}; what was written last may be lost"
    )


def nothing_to_read() -> UsageProblem:
    ways = "name files, or a pattern in quotes: 'FOLDER/*.log'"
    return UsageProblem(f"nothing left to read: every input is the output or a directory; {ways}")


def stopped_reading() -> ReaderGone:
    return ReaderGone("standard output: its reader has gone")


WAYS_ON = "start over with --overwrite, or remove it to merge everything again"


def damaged_state(name: str, what: str) -> StateError:
    return StateError(f"{show(name)}: the state {what}; {WAYS_ON}")


def newer_state(name: str) -> StateError:
    return StateError(
        f"{show(name)}: the state was written by a newer tailmerge; use that one, or {WAYS_ON}"
    )


def unusable_state(name: str, what: str) -> StateError:
    return StateError(f"{show(name)}: the state {what}; name another one with --state")


def others_state(name: str, output: str) -> UsageProblem:
    return UsageProblem(
        f"{show(name)}: this state belongs to the output {show(output)};"
        " name another one with --state"
    )


def output_busy(name: str, pid: int | None) -> Busy:
    who = f"another tailmerge (pid {pid})" if pid else "another tailmerge"
    return Busy(f"{show(name)}: {who} has this output; wait for it, or stop it", pid)


def cannot_write_state(name: str, error: OSError) -> StateError:
    return StateError(
        f"{show(name)}: the state cannot be written: {explain(error)};"
        " name another place with --state, or keep none with --no-state"
    )
