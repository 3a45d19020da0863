"""Which lines regular expressions pick; pure.

A pattern is Python's, searched for in a line as text: UTF-8, other bytes as surrogateescape
has them, without the newline. Most of what people type needs a fixed text in the line, or one
of a few: that is found by the search for bytes, many lines at a time, and the expression
decides only where it is there, or not at all where the pattern is nothing but that text.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence

from tailmerge.lines import Window

DENSE = 5
"""With more than one line of so many that has the text, all are looked at, which is quicker."""

SAMPLE = 8192
"""Bytes from which it is told how many lines have it."""

SPECIAL = frozenset("\\.^$*+?{}[]()|")
QUANTIFIER = re.compile(r"(?:[*+?]|\{\d*,?\d*\})[?+]?")
BLANK_CLASS = "dDwWsSbBAZ"
"""Escapes that stand for a class of characters, or for a place."""


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return the regular expression that this is.

    Raises:
        ValueError: it is none; the words point at the place.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what another version of Python may read otherwise
            return re.compile(pattern)
    except re.error as error:
        place = ""
        if error.pos is not None:
            marked = f"{pattern[: error.pos]} >>> {pattern[error.pos :]}".strip()
            place = f" at character {error.pos + 1}: {marked}"
        raise ValueError(f"no regular expression, {error.msg}{place}") from None
    except (OverflowError, RecursionError) as error:
        raise ValueError(f"no regular expression that can be used: {error}") from None


def find_literals(pattern: str) -> tuple[list[str], bool] | None:
    """Texts of which every match has at least one, and whether that alone makes a match.

    None where no such text is known; then the expression has to look at each line.
    """
    literals = []
    exact = True
    for branch in _split_branches(pattern):
        runs = None if branch is None else _find_runs(branch)
        if not runs or not max(map(len, runs[0]), default=0):
            return None
        literals.append(max(runs[0], key=len))
        exact = exact and runs[1]
    return literals, exact


def _split_branches(pattern: str) -> Iterator[str | None]:
    """The alternatives of a pattern; None where it has what is not understood here."""
    depth, start, at = 0, 0, 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            at += 1
        elif char == "[":
            at = _find_class_end(pattern, at)
        elif char == "(":
            if re.compile(r"\(\?[a-zA-Z-]*[aiLmsux-]+[):]|\(\?#").match(pattern, at):
                yield None  # flags change what letters mean, and remarks are no text
                return
            depth += 1
        elif char == ")":
            depth -= 1
        elif char == "|" and depth == 0:
            yield pattern[start:at]
            start = at + 1
        at += 1
    yield pattern[start:]


def _find_class_end(pattern: str, at: int) -> int:
    """Where the brackets that open at `at` close."""
    at += 1
    if pattern[at : at + 1] == "^":
        at += 1
    at += 1  # a bracket that comes first is one of the characters
    if pattern[at - 1 : at] == "\\":
        at += 1
    while pattern[at : at + 1] not in ("]", ""):
        at += 2 if pattern[at] == "\\" else 1
    return at


def _find_runs(branch: str) -> tuple[list[str], bool] | None:
    """The fixed texts of one alternative, and whether it is nothing else; None: unknown."""
    runs, exact, at = [""], True, 0
    while at < len(branch):
        char = branch[at]
        escaped = char == "\\"
        if escaped:
            at += 1
            char = branch[at : at + 1]
        if escaped and char.isalnum() and char not in BLANK_CLASS:
            return None  # numbers of characters, of groups, control characters
        if char == "(" and not escaped:
            at = _find_group_end(branch, at)
        elif char == "[" and not escaped:
            at = _find_class_end(branch, at)
        elif (escaped and not char.isalnum()) or (not escaped and char not in SPECIAL):
            runs[-1] += char
            at += 1
            if branch[at : at + 1] in ("*", "+", "?", "{"):
                exact = False
                runs[-1] = runs[-1] if branch[at] == "+" else runs[-1][:-1]
                at = _skip_quantifier(branch, at)
                runs.append("")
            continue
        exact = False
        at = _skip_quantifier(branch, at + 1)
        runs.append("")
    return runs, exact


def _find_group_end(branch: str, at: int) -> int:
    depth = 0
    while at < len(branch):
        char = branch[at]
        if char == "\\":
            at += 1
        elif char == "[":
            at = _find_class_end(branch, at)
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth == 0:
                break
        at += 1
    return at


def _skip_quantifier(branch: str, at: int) -> int:
    found = QUANTIFIER.match(branch, at)
    return found.end() if found else at


class Patterns:
    """Several regular expressions of which one at least must be found in a line."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Without any pattern no line is picked.

        Raises:
            ValueError: one is no regular expression.
        """
        self._searches = [compile_pattern(pattern).search for pattern in patterns]
        self._literals: tuple[bytes, ...] | None = None
        self._is_exact = False
        found = [find_literals(pattern) for pattern in patterns]
        texts = [text for each in found if each for text in each[0]]
        if patterns and all(found) and not any("\n" in text for text in texts):
            try:
                self._literals = tuple({text.encode(): None for text in texts})
            except UnicodeEncodeError:
                return  # a byte that is no text: as text it can be found, as bytes it cannot
            self._is_exact = all(each[1] for each in found if each)
            self._find_any = re.compile(b"|".join(map(re.escape, self._literals))).search

    def picks(self, record: bytes) -> bool:
        """Whether one of them is found in a record (a line) without its last newline."""
        if self._literals is not None:
            if not any(literal in record for literal in self._literals):
                return False
            if self._is_exact:
                return True
        text = record.decode("utf-8", "surrogateescape")
        return any(search(text) for search in self._searches)

    def may_pick(self, data: bytes) -> bool:
        """Whether anything in these bytes can be picked; False is certain."""
        return self._literals is None or any(literal in data for literal in self._literals)

    def keep(self, data: bytes | bytearray, begin: int = 0, end: int | None = None) -> bytes:
        """The whole lines in `data`, or in a part of it, that are picked."""
        end = len(data) if end is None else end
        if not self._is_searched(data, begin, end):
            return self._sift(Window(data, begin, end).copy(), True)
        view = memoryview(data)
        return b"".join([view[start:stop] for start, stop in self.find_runs(data, begin, end)])

    def drop(self, data: bytes | bytearray, begin: int = 0, end: int | None = None) -> bytes:
        """The whole lines in `data`, or in a part of it, that are not picked."""
        end = len(data) if end is None else end
        if not self._is_searched(data, begin, end):
            return self._sift(Window(data, begin, end).copy(), False)
        view = memoryview(data)
        kept, at = [], begin
        for start, stop in self.find_runs(data, begin, end):
            kept.append(view[at:start])
            at = stop
        kept.append(view[at:end])
        return b"".join(kept)

    def _is_searched(self, data: bytes | bytearray, begin: int, end: int) -> bool:
        """Whether lines are found by what they must have, not looked at one by one.

        One text that is all of the pattern is searched for however many lines have it.
        """
        if self._literals is None:
            return False
        return (self._is_exact and len(self._literals) == 1) or self._is_sparse(data, begin, end)

    def _is_sparse(self, data: bytes | bytearray, begin: int, end: int) -> bool:
        """Whether few lines have what every picked line must have."""
        if self._literals is None:
            return False
        end = min(end, begin + SAMPLE)
        most = data.count(b"\n", begin, end) // DENSE
        return sum(data.count(literal, begin, end) for literal in self._literals) <= most

    def _sift(self, data: bytes, wanted: bool) -> bytes:
        """The lines of which it is `wanted` that they are picked, or that they are not."""
        if self._is_exact and self._literals:
            lines = data.split(b"\n")
            lines.pop()
            find = self._find_any
            kept = [line for line in lines if (find(line) is not None) is wanted]
            return b"\n".join([*kept, b""])
        texts = data.decode("utf-8", "surrogateescape").split("\n")
        texts.pop()
        if len(self._searches) == 1:
            search = self._searches[0]
            left = [text for text in texts if (search(text) is not None) is wanted]
        else:
            searches = self._searches
            left = [text for text in texts if any(find(text) for find in searches) is wanted]
        return "\n".join([*left, ""]).encode("utf-8", "surrogateescape")

    def find_runs(
        self, data: bytes | bytearray, begin: int = 0, end: int | None = None
    ) -> list[tuple[int, int]]:
        """Where lines that are picked begin, and where they end behind their newlines.

        Lines that follow each other are one run.
        """
        end = len(data) if end is None else end
        if self._literals is not None and len(self._literals) == 1:
            return self._search_one(data, self._literals[0], begin, end)
        return _join_runs(self.find_lines(data, begin, end))

    def _search_one(
        self, data: bytes | bytearray, literal: bytes, begin: int, end: int
    ) -> list[tuple[int, int]]:
        find, rfind, exact = data.find, data.rfind, self._is_exact
        runs: list[tuple[int, int]] = []
        first = behind = stop = begin  # of the run, and of the last line that was found
        at = find(literal, begin, end)
        while at >= 0:
            start = rfind(b"\n", stop, at) + 1 or stop
            stop = find(b"\n", at) + 1
            if exact or self.picks(bytes(data[start : stop - 1])):
                if start != behind:
                    runs.append((first, behind))
                    first = start
                behind = stop
            at = find(literal, stop, end)
        runs.append((first, behind))
        return [run for run in runs if run[0] < run[1]]

    def find_lines(
        self, data: bytes | bytearray, begin: int = 0, end: int | None = None
    ) -> Iterator[tuple[int, int]]:
        """Where the lines that are picked begin, and where they end behind their newlines."""
        end = len(data) if end is None else end
        if self._literals is None:
            yield from self._try_lines(data, begin, end)
            return
        places = {literal: data.find(literal, begin, end) for literal in self._literals}
        while hits := [place for place in places.values() if place >= 0]:
            at = min(hits)
            start = data.rfind(b"\n", begin, at) + 1 or begin
            stop = data.find(b"\n", at) + 1
            if self._is_exact or self.picks(bytes(data[start : stop - 1])):
                yield start, stop
            for literal, place in places.items():
                if 0 <= place < stop:
                    places[literal] = data.find(literal, stop, end)

    def _try_lines(
        self, data: bytes | bytearray, begin: int, end: int
    ) -> Iterator[tuple[int, int]]:
        start = begin
        while stop := data.find(b"\n", start, end) + 1:
            if self.picks(bytes(data[start : stop - 1])):
                yield start, stop
            start = stop


def _join_runs(lines: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for start, end in lines:
        if runs and runs[-1][1] == start:
            runs[-1] = runs[-1][0], end
        else:
            runs.append((start, end))
    return runs
