"""Rotated names: which file in a folder is an older form of which, and how old.

logrotate, the logging handlers of many languages and people write `app.log.1`,
`app.log-20261123`, `app.log-20261123-1795450000`, `app.log.2026-11-23`, `app.1.log` and
`app-20261123.log`, each also compressed. A name alone proves nothing: what a file is, its
content decides (match.py). Pure functions.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")

_DATE = r"(?:19|20)\d\d-?[01]\d-?[0-3]\d(?:[-_.T]?\d{2,10}){0,4}"
_AFTER = re.compile(rf"(?P<base>.+?)(?:\.(?P<number>\d{{1,5}})|[-._](?P<date>{_DATE}))", re.DOTALL)
_INSIDE = re.compile(
    rf"(?P<stem>.+?)(?:\.(?P<number>\d{{1,5}})|[-._](?P<date>{_DATE}))(?P<suffix>\.[^.\d][^.]*)",
    re.DOTALL,
)

NEWEST = "~"
"""The date of what is newer than all dated ones."""

_LIKELY = re.compile(r"[-._]\d")
"""What stands in every name that one of the two fits."""


class Rotated(NamedTuple):
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
    plain, dot, suffix = name.rpartition(".")
    compressed = bool(plain) and dot + suffix in COMPRESSED
    if not compressed:
        plain = name
    if not _LIKELY.search(plain):
        return  # ten thousand names are asked for again and again, most of them so
    if found := _AFTER.fullmatch(plain):
        yield _rotated(found["base"], name, found, compressed)
    if found := _INSIDE.fullmatch(plain):
        yield _rotated(found["stem"] + found["suffix"], name, found, compressed)


def find_roots(path: str) -> Iterator[str]:
    """The paths of which the file of this one could be a rotated form."""
    if not _LIKELY.search(path, path.rfind(os.sep) + 1):
        return iter(())
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
