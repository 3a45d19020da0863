"""One file of an input, how far it is merged, and the table in which a person reads it; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tailmerge.wording import show

HEAD = ("input", "offset", "size", "behind")
"""The table's first row."""

GONE = "gone"
"""The size of a file that is not there."""

UNKNOWN = "-"
"""The size of a pipe."""


class Standing(NamedTuple):
    """One file of an input, and how far it is merged."""

    path: str
    offset: int
    """Bytes merged."""
    size: int | None
    """Bytes there are now; None where the file is gone."""
    known: int
    """Its size when it was last seen, bytes."""
    series: str = ""
    """The input that it belongs to."""

    @property
    def behind(self) -> int:
        """Bytes that are not merged; of a file that is gone, those that were seen."""
        return max(0, (self.known if self.size is None else self.size) - self.offset)

    def row(self) -> tuple[str, str, str, str]:
        size = GONE if self.size is None else str(self.size)
        return (show(self.path), str(self.offset), size, str(self.behind))


def lay_out(rows: Iterable[tuple[str, str, str, str]]) -> Iterator[str]:
    """The rows as lines, names to the left and numbers to the right."""
    rows = [HEAD, *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    for row in rows:
        numbers = (f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        yield "  ".join((f"{row[0]:<{widths[0]}}", *numbers)).rstrip() + "\n"
