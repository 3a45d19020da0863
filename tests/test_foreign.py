"""Somebody else appends to the output between runs that are killed at any byte.

Random programs of {lines to an input, a run, a run killed behind its n-th byte, somebody's
line, half of one}, with the real writer and the real recovery, each run a process of its
own. At the end every line of ours is there once, whole and in order, every byte of the
others', and at most one beginning of a line for each kill.
"""

from __future__ import annotations

import os
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from killing import fresh_folder, run

from tailmerge.system import System


class Mortal(System):
    """Ends its process when so many bytes were written to files that are appended to."""

    def __init__(self, left: int) -> None:
        self.left = left

    def write(self, fd: int, data: bytes | bytearray | memoryview) -> int:
        if len(data) > self.left:
            super().write(fd, bytes(data)[: self.left])
            os._exit(9)
        self.left -= len(data)
        return super().write(fd, data)


class Program:
    """What was written by whom, and how often a run was killed."""

    def __init__(self) -> None:
        self.ours: dict[str, list[bytes]] = {"a": [], "b": []}
        self.theirs: list[bytes] = []
        self.kills = 0
        for name in self.ours:
            Path(name).touch()

    def do(self, step: tuple[str, Any]) -> None:
        what, value = step
        if what == "theirs":
            data = b"<%d>" % len(self.theirs) + value
            self.theirs.append(data.rstrip(b"\n"))
            append_to("m", data)
        elif what == "run":
            self.run(value)
        else:
            lines = [
                b"%s%04d%s\n" % (what.encode(), self.count() + n, b"." * value) for n in (0, 1)
            ]
            self.ours[what] += lines
            append_to(what, b"".join(lines))

    def count(self) -> int:
        return sum(map(len, self.ours.values()))

    def run(self, left: int | None) -> None:
        child = os.fork()
        if child == 0:
            try:
                run(System() if left is None else Mortal(left))
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in ((0,) if left is None else (0, 9))
        self.kills += code == 9

    def check(self) -> None:
        output = Path("m").read_bytes()
        lines = output.splitlines(keepends=True)
        there = Counter(lines)
        for name, wanted in self.ours.items():
            assert {line: there[line] for line in wanted} == dict.fromkeys(wanted, 1)
            assert [line for line in lines if line in set(wanted)] == wanted, name
        whole = {line for wanted in self.ours.values() for line in wanted}
        rest = b"".join(line for line in lines if line not in whole)
        at = 0
        for data in self.theirs:
            at = rest.index(data, at) + len(data)
        for data in self.theirs:
            rest = rest.replace(data, b"\n", 1)
        fragments = [part for part in rest.split(b"\n") if part]
        assert len(fragments) <= self.kills, fragments
        starts = tuple(whole)
        assert all(any(line.startswith(part) for line in starts) for part in fragments)


def append_to(name: str, data: bytes) -> None:
    with open(name, "ab", buffering=0) as file:
        file.write(data)


LENGTHS = st.sampled_from([0, 1, 30, 63, 64, 65, 200, 3000])
STEPS = st.one_of(
    st.tuples(st.just("a"), LENGTHS),
    st.tuples(st.just("b"), LENGTHS),
    st.tuples(st.just("theirs"), st.sampled_from([b"\n", b" a line\n", b" half", b""])),
    st.tuples(st.just("run"), st.none() | st.integers(0, 8000) | st.integers(0, 200)),
)


@pytest.mark.timeout(120)
@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=14))
def test_whoever_appends_and_whenever_we_die_every_line_is_there_once(
    steps: list[tuple[str, Any]],
) -> None:
    with fresh_folder():
        program = Program()
        for step in [*steps, ("run", None), ("run", None)]:
            program.do(step)
        program.check()
