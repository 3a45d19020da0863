"""What the status line says, as wide as there is room for; pure.

Plain ASCII without a file name in it: nothing that an input is called or holds gets here.
"""

from __future__ import annotations

from typing import NamedTuple

GOOD_BAR = 20
"""Columns of a progress bar for which words are left out."""

LEAST_BAR = 8
"""Columns of a progress bar; where there are fewer it is left out."""

MOST_BAR = 40


class Glance(NamedTuple):
    """A run at one moment."""

    inputs: int
    lines: int
    """Lines that were read so far."""
    moved: int
    """Bytes that were read so far."""
    behind: int
    """Bytes that are there and not read."""
    rate: float
    """Bytes a second, lately."""
    is_backlog: bool = False
    """All there is to be read is known: it gets a progress bar."""


def write_line(glance: Glance, columns: int) -> str:
    """The status line for a terminal of so many columns, the last one left free."""
    room = max(0, columns - 1)
    if glance.is_backlog and glance.moved + glance.behind:
        return _write_progress(glance, room)
    return _choose(_tell_following(glance), room)


def _choose(texts: list[str], room: int) -> str:
    """The first text that fits; of the last one what fits."""
    return next((text for text in texts if len(text) <= room), texts[-1][:room])


def _tell_following(glance: Glance) -> list[str]:
    inputs, lines = _count(glance.inputs, "input"), _count(glance.lines, "line")
    rate, behind = f"{write_size(glance.rate)}/s", f"{write_size(glance.behind)} behind"
    return [
        f"{inputs}, {lines}, {rate}, {behind}",
        f"{lines}, {rate}, {behind}",
        f"{lines}, {behind}",
        behind,
    ]


def _write_progress(glance: Glance, room: int) -> str:
    done = glance.moved / (glance.moved + glance.behind)
    texts = _tell_progress(glance, done)
    for least in (GOOD_BAR, LEAST_BAR):
        for text in texts:
            width = min(MOST_BAR, room - len(text) - 3)
            if width >= least:
                full = int(done * width)
                return f"[{'#' * full}{' ' * (width - full)}] {text}"
    return _choose(texts, room)


def _tell_progress(glance: Glance, done: float) -> list[str]:
    percent = f"{int(done * 100)}%"
    left = f"{percent}, {write_time(glance.behind / glance.rate)} left" if glance.rate else percent
    lines, rate = _count(glance.lines, "line"), f"{write_size(glance.rate)}/s"
    inputs = _count(glance.inputs, "input")
    return [
        f"{left}, {inputs}, {lines}, {rate}, {write_size(glance.behind)} behind",
        f"{left}, {lines}, {rate}",
        f"{left}, {lines}",
        left,
        percent,
    ]


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def write_size(size: float) -> str:
    """Bytes as a person reads them: three digits and a decimal unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 99.5 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def write_time(seconds: float) -> str:
    """Seconds as a person reads them."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
