"""The status line on the terminal: drawn, erased, and left out where it would do harm.

It stands in the row of the cursor, which stays at its beginning. So whatever the terminal
does to the row when it is made narrower, "from here to the end of the screen" is the
whole line. It lives on the thread that speaks: a terminal that was stopped stops that one.
"""

from __future__ import annotations

import stat
from collections.abc import Callable

from tailmerge.system import System

Compose = Callable[[int], str]
"""The status line for so many columns."""

ERASE = "\r\x1b[J"
"""To the beginning of the row, and empty from there to the end of the screen."""

TERMINAL = 2
"""Standard error."""


class Painter:
    """Draws one line at the end of what is on the terminal."""

    def __init__(self, system: System, *, beside: bool = False) -> None:
        """`beside`: other programs may print on this terminal meanwhile; look, and then leave."""
        self._system = system
        self._beside = beside
        self._shown = ""
        self._columns = 0
        self._allowed: bool | None = None

    def draw(self, compose: Compose) -> None:
        """Draw the line anew; where it is the one that is there nothing is written."""
        columns = self._system.columns(TERMINAL)
        if not columns or not self._may_draw():
            return
        line = compose(columns)
        if line and (line, columns) != (self._shown, self._columns):
            self._write(f"{ERASE}{line}\r")
            self._shown, self._columns = line, columns

    def clear(self) -> None:
        """Take the line away before anything else is written."""
        if self._shown:
            self._shown = ""
            if self._system.in_foreground(TERMINAL):
                self._write(ERASE)

    def _may_draw(self) -> bool:
        if self._allowed is None:  # not before the first line: then a pipeline is complete
            self._allowed = not (self._beside and self._system.prints_beside(TERMINAL))
        return self._allowed and self._system.in_foreground(TERMINAL)

    def _write(self, text: str) -> None:
        try:
            self._system.write(TERMINAL, text.encode("ascii", "replace"))
        except OSError:
            self._allowed = False  # the terminal has gone: there is nothing to draw on


def find_painter(output_path: str, term: str, system: System | None = None) -> Painter | None:
    """Who draws the status line; None where there is none.

    There is one where standard error is a terminal of the kind `term` that can erase, and
    the output is somewhere else. A pipe's reader may print on the same terminal.
    """
    system = system or System()
    if not system.is_terminal(TERMINAL) or term in ("", "dumb"):
        return None
    try:
        status = system.fstat(1) if output_path == "-" else system.stat(output_path)
    except OSError:
        return Painter(system)  # a file that is not there yet
    if stat.S_ISCHR(status.st_mode):
        ours = {system.fstat(TERMINAL).st_rdev, system.terminal_device()}
        return None if status.st_rdev in ours else Painter(system)
    if stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode):
        return Painter(system, beside=True) if output_path == "-" else None
    return Painter(system)
