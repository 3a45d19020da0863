"""Records: lines that belong together, each record begun by a line that matches; pure.

A line that does not match continues the record above it. Where there is none above, at the
start of what was read, it stands for itself.
"""

from __future__ import annotations

from tailmerge.patterns import Patterns


class Records:
    """Where records begin in whole lines."""

    def __init__(self, pattern: str) -> None:
        """`pattern` is found in the first line of each record.

        Raises:
            ValueError: it is no regular expression.
        """
        self._begins = Patterns([pattern])

    def find_last_start(self, data: bytes, begin: int = 0) -> int | None:
        """Where the last record begins in whole lines, looked for back to `begin`.

        None where no line behind `begin` begins one.
        """
        end = len(data)
        while end > begin:
            start = data.rfind(b"\n", begin, end - 1) + 1 or begin
            if self._begins.picks(data[start : end - 1]):
                return start
            end = start
        return None

    def split(self, data: bytes) -> list[bytes]:
        """The records of whole lines, each with its newlines."""
        starts = [start for start, _ in self._begins.find_lines(data)]
        records = _split_lines(data[: starts[0]] if starts else data)
        ends = [*starts[1:], len(data)][: len(starts)]
        records += [data[start:end] for start, end in zip(starts, ends, strict=True)]
        return records


def _split_lines(data: bytes) -> list[bytes]:
    """The lines of whole lines, each with its newline."""
    lines = data.split(b"\n")
    lines.pop()
    return [line + b"\n" for line in lines]
