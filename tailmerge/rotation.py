"""Rotated names: which file in a folder is an older form of which, and how old.

logrotate, the logging handlers of many languages and people write `app.log.1`,
`app.log-20261123`, `app.log-20261123-1795450000`, `app.log.2026-11-23`, `app.1.log` and
`app-20261123.log`, each also compressed. A name alone proves nothing: what a file is, its
content decides (match.py). Pure functions, and one cache of folder listings.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tailmerge.system import System

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")

_DATE = r"(?:19|20)\d\d-?[01]\d-?[0-3]\d(?:[-_.T]?\d{2,10}){0,4}"
_AFTER = re.compile(rf"(?P<base>.+?)(?:\.(?P<number>\d{{1,5}})|[-._](?P<date>{_DATE}))", re.DOTALL)
_INSIDE = re.compile(
    rf"(?P<stem>.+?)(?:\.(?P<number>\d{{1,5}})|[-._](?P<date>{_DATE}))(?P<suffix>\.[^.\d][^.]*)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Rotated:
    """A name that could be a rotated form of `base`."""

    base: str
    name: str
    number: int | None
    """The 1 of app.log.1; the larger, the older."""
    date: str
    """The digits of app.log-20261123; the larger, the newer."""
    compressed: bool

    @property
    def generation(self) -> str:
        """The name without its compression: app.log.1 and app.log.1.gz are one."""
        return os.path.splitext(self.name)[0] if self.compressed else self.name


def rotated_forms(name: str) -> Iterator[Rotated]:
    """Of which names this one could be a rotated form; none for most."""
    plain, suffix = os.path.splitext(name)
    compressed = suffix in COMPRESSED
    if not compressed:
        plain = name
    if found := _AFTER.fullmatch(plain):
        yield _rotated(found["base"], name, found, compressed)
    if found := _INSIDE.fullmatch(plain):
        yield _rotated(found["stem"] + found["suffix"], name, found, compressed)


def find_roots(path: str) -> Iterator[str]:
    """The paths of which the file of this one could be a rotated form."""
    folder, base = os.path.split(path)
    return (os.path.join(folder, form.base) for form in rotated_forms(base))


def _rotated(base: str, name: str, found: re.Match[str], compressed: bool) -> Rotated:
    number = found["number"]
    date = re.sub(r"\D", "", found["date"] or "")
    return Rotated(base, name, int(number) if number else None, date, compressed)


def age_order(rotated: Rotated, modified: float) -> tuple[float, str, float, bool]:
    """A sort key, oldest first.

    Numbered before dated ones only where both kinds stand side by side, which is when
    somebody changed the scheme; a compressed form before its original.
    """
    number = float("inf") if rotated.number is None else -float(rotated.number)
    return (number, rotated.date, modified, not rotated.compressed)


class Folders:
    """Listings of folders, grouped by what rotated from what; one listing serves many looks."""

    def __init__(self, system: System, clock: Callable[[], float] | None = None) -> None:
        """`clock` tells when a listing is made; None: at the time it was asked for."""
        self._system = system
        self._clock = clock
        self._listings: dict[str, tuple[float, dict[str, list[Rotated]]]] = {}

    def find_rotated(self, path: str, since: float) -> list[Rotated]:
        """The rotated names beside `path`, in no order, listed not before the time `since`.

        A listing that was begun after a look was asked for shows all that the look is for.
        """
        folder, base = os.path.split(path)
        listed = self._listings.get(folder)
        if listed is None or listed[0] < since:
            begun = self._clock() if self._clock else since
            listed = self._listings[folder] = (begun, self._list(folder))
        return listed[1].get(base, [])

    def forget(self, path: str) -> None:
        """What was listed beside `path` is older than what was seen since."""
        self._listings.pop(os.path.split(path)[0], None)

    def _list(self, folder: str) -> dict[str, list[Rotated]]:
        groups: dict[str, list[Rotated]] = {}
        try:
            names = self._system.names(folder or ".")
        except OSError:
            return groups  # the folder is gone, or closed to us: nothing is beside the file
        for name in names:
            for rotated in rotated_forms(name):
                groups.setdefault(rotated.base, []).append(rotated)
        return groups
