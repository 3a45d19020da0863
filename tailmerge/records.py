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

    def begins(self, line: bytes) -> bool:
        """Whether this line, without its newline, is the first one of a record."""
        return self._begins.picks(line)

    def cut(self, buffer: bytes | bytearray, begin: int, end: int) -> int:
        """Where the last closed record of `buffer[begin:end]` ends: `begin` where none does.

        What is behind the last line that begins a record may still go on. Where no line
        begins one, none of them has a record above, and each stands for itself.
        """
        whole = behind = buffer.rfind(b"\n", begin, end) + 1
        while behind > begin:
            start = buffer.rfind(b"\n", begin, behind - 1) + 1 or begin
            if self.begins(bytes(memoryview(buffer)[start : behind - 1])):
                return start
            behind = start
        return whole or begin

    def find_first(self, lines: bytes) -> int | None:
        """Where the first record begins among whole lines; None: all of them go on."""
        return next((start for start, _ in self._begins.find_lines(lines)), None)

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


class OpenEnd:
    """The end of a stream that may go on: an open record, which no file can be asked for again."""

    def __init__(self, records: Records | None) -> None:
        """Without `records` every line is whole."""
        self._records = records
        self._open = b""

    def add(self, lines: bytes) -> bytes:
        """Take more whole lines; return the ones whose records are closed."""
        if self._records is None:
            return lines
        lines = self._open + lines
        cut = self._records.cut(lines, 0, len(lines))
        self._open = lines[cut:]
        return lines[:cut]

    def close(self) -> bytes:
        """What was open is whole."""
        lines, self._open = self._open, b""
        return lines
