"""Counts what is wrong with an output: lines lost, doubled, torn, out of order.

How a line of the output is turned into the writer's line again is a function, a reader: for
plain text it is the line itself; a label is taken off; a JSON object is opened.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
from array import array
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from torture_writers import LINE, Writer

LineReader = Callable[[bytes], bytes | None]
"""A line of the output, with its newline, to the writer's own; None where it is no such."""

BEGINNING = re.compile(rb"(\d{4}-\S*)?|(\d{4}-\S+ )?w(\d*( (g(\d*( (\d{0,6}( x*)?)?)?)?)?)?)?")
FOREIGN = re.compile(rb"(.*?)foreign (\d+)\n", re.DOTALL)


def plain(line: bytes) -> bytes | None:
    return line


def json_line(line: bytes) -> bytes | None:
    """The line in an object of `--format json`; None where it is no whole object."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    text = found.get("line") if isinstance(found, dict) and "source" in found else None
    return text.encode("utf-8", "surrogateescape") + b"\n" if isinstance(text, str) else None


def unlabelled(template: str, logs: Sequence[Path]) -> LineReader:
    """Takes the label of the line's own writer off; None where it has none, or another's."""
    labels = {
        number: os.fsencode(
            template.replace("{path}", str(log))
            .replace("{name}", log.name)
            .replace("{stem}", log.stem)
            .replace("{host}", socket.gethostname())
        )
        for number, log in enumerate(logs)
    }

    def read(line: bytes) -> bytes | None:
        for number, label in labels.items():
            found = LINE.fullmatch(line[len(label) :]) if line.startswith(label) else None
            if found and int(found[2]) == number:
                return line[len(label) :]
        return None

    return read


def choose_reader(options: Sequence[str], logs: Sequence[Path]) -> LineReader:
    """The reader for what these options of tailmerge make of a line."""
    words = list(itertools.chain.from_iterable(option.split("=", 1) for option in options))
    pairs = dict(itertools.pairwise(words))
    if pairs.get("--format") == "json":
        return json_line
    template = pairs.get("--label", pairs.get("-l"))
    return unlabelled(template, logs) if template is not None else plain


class Count:
    """What an output holds, compared with what was written."""

    def __init__(self, writers: Sequence[Writer], read: LineReader) -> None:
        self.lengths = {w.number: w.lengths for w in writers}
        self.read = read
        self.places = {
            (number, generation): array("q", [-1]) * len(lengths)
            for number, files in self.lengths.items()
            for generation, lengths in files.items()
        }
        self.foreign: set[int] = set()
        self.wrong = {"lost": 0, "doubled": 0, "torn": 0, "reordered": 0}
        self.fragments = self.untimely = self.index = 0
        self.last_time = b""
        self.examples: list[str] = []

    def add(self, files: Iterable[Path]) -> None:
        """Count what these files hold, the oldest first."""
        for path in files:
            if path.exists():
                with open(path, "rb") as file:
                    for raw in file:
                        self.index += 1
                        self._add(raw)

    def _add(self, raw: bytes) -> None:
        line = self.read(raw)
        match = LINE.fullmatch(line) if line else None
        if match and self._length(match) == len(match[5]):
            self._place(match)
        elif foreign := FOREIGN.fullmatch(raw):
            self.foreign.add(int(foreign[2]))
            if foreign[1]:
                self._add_torn(foreign[1] + b"\n")
        else:
            self._add_torn(raw)

    def _length(self, match: re.Match[bytes]) -> int:
        """How many x the line of these numbers has; -1: there is none."""
        writer, generation, number = map(int, match.group(2, 3, 4))
        lengths = self.lengths.get(writer, {}).get(generation, array("H"))
        return lengths[number] if number < len(lengths) else -1

    def _place(self, match: re.Match[bytes]) -> None:
        writer, generation, number = map(int, match.group(2, 3, 4))
        places = self.places[writer, generation]
        if places[number] >= 0:
            self._note("doubled", b"w%d g%d %06d" % (writer, generation, number))
        else:
            places[number] = self.index
        if match[1]:
            self.untimely += match[1] < self.last_time
            self.last_time = max(self.last_time, match[1])

    def _add_torn(self, raw: bytes) -> None:
        whole = LINE.fullmatch(raw)
        is_shorter = whole is None or len(whole[5]) < self._length(whole)
        if is_shorter and BEGINNING.fullmatch(raw.rstrip(b"\n")):
            self.fragments += 1
            self.examples.append(f"fragment {raw[:30]!r} in line {self.index}")
        else:
            self._note("torn", raw)

    def _note(self, what: str, raw: bytes) -> None:
        self.wrong[what] += 1
        self.examples.append(f"{what} {raw[:30]!r}...{raw[-20:]!r} in line {self.index}")

    def result(self, foreign: int) -> dict[str, Any]:
        """All that is wrong; `foreign` is how many lines somebody else wrote."""
        for (writer, generation), places in self.places.items():
            for number, place in enumerate(places):
                if place < 0:
                    self._note("lost", b"w%d g%d %06d" % (writer, generation, number))
            there = [place for place in places if place >= 0]
            self.wrong["reordered"] += sum(a > b for a, b in itertools.pairwise(there))
        return {
            "lines": sum(map(len, self.places.values())),
            **self.wrong,
            "fragments": self.fragments,
            "untimely": self.untimely,
            "foreign_lost": foreign - len(self.foreign),
            "examples": self.examples[:20],
        }
