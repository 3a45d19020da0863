"""Which lines patterns pick, whatever short cut finds them."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailmerge.patterns import Patterns, compile_pattern, find_literals

LINES = st.lists(
    st.one_of(
        st.text("abAB.|é(\\[ 1", max_size=8).map(str.encode),
        st.binary(max_size=6).map(lambda b: b.replace(b"\n", b"")),
    ),
    max_size=12,
)
PIECES = st.lists(
    st.sampled_from(
        [
            "a",
            "b",
            "A",
            "é",
            "1",
            "ab",
            ".",
            ".*",
            "a+",
            "b?",
            "a{2}",
            "a{0,1}",
            "a*",
            "\\.",
            "\\(",
            "\\[",
            "\\\\",
            "\\d",
            "\\w",
            "\\b",
            "^",
            "$",
            "|",
            "(a|b)",
            "(?:ab)?",
            "(a)",
            "[ab]",
            "[^a]",
            "[]a]",
            "[\\]b]",
            "(?i:b)",
            "(?i)",
            "(?=a)",
            "(?!b)",
            "(?<=a)",
            "{",
            "{x}",
            "\\x61",
            "(?P<n>a)",
            "a+?",
            "b*+",
            "(?#ab)",
            "\\t",
            "(a(b|c))",
        ]
    ),
    min_size=1,
    max_size=5,
).map("".join)


def is_pattern(text: str) -> bool:
    try:
        compile_pattern(text)
    except ValueError:
        return False
    return True


PATTERNS = PIECES.filter(is_pattern)


def plainly(patterns: list[str], line: bytes) -> bool:
    text = line.decode("utf-8", "surrogateescape")
    return any(re.search(pattern, text) for pattern in patterns)


@given(st.lists(PATTERNS, min_size=1, max_size=3), LINES)
@example(["a"], [b"a", b"", b"b", b"b", b"b", b"b", b"b"])
@example(["\udcff"], [b"\xff", b"a"])
@example(["é"], [b"\xc3\xc3\xa9", b"\xc3", b"\xa9"])
@example(["a{,2}b"], [b"b"])
@example(["a{x}"], [b"a{x}", b"a"])
def test_all_ways_pick_the_lines_that_the_expressions_find(
    patterns: list[str], lines: list[bytes]
) -> None:
    data = b"".join(line + b"\n" for line in lines)
    picked = [line for line in lines if plainly(patterns, line)]
    others = [line for line in lines if not plainly(patterns, line)]
    found = Patterns(patterns)
    assert found.keep(data) == b"".join(line + b"\n" for line in picked)
    assert found.drop(data) == b"".join(line + b"\n" for line in others)
    assert [data[start : end - 1] for start, end in found.find_lines(data)] == picked
    runs = found.find_runs(data)
    assert b"".join(data[start:end] for start, end in runs) == found.keep(data)
    assert all(end < start for (_, end), (start, _) in itertools.pairwise(runs))
    assert [found.picks(line) for line in lines] == [plainly(patterns, line) for line in lines]
    assert found.may_pick(data) or not picked
    around = bytearray(b"".join(picked[:1] + others[:1]) + b"\n" + data + b"a" + data)
    begin = around.find(b"\n") + 1
    part = around, begin, begin + len(data)
    assert (found.keep(*part), found.drop(*part)) == (found.keep(data), found.drop(data))


@pytest.mark.parametrize(
    ("pattern", "literals"),
    [
        ("ERROR", (["ERROR"], True)),
        ("ERROR|WARN", (["ERROR", "WARN"], True)),
        (r"a\.log", (["a.log"], True)),
        (r"user=\d+ failed", ([" failed"], False)),
        (r"status [45]\d\d", (["status "], False)),
        ("(GET|POST) /index", ([" /index"], False)),
        ("^Traceback", (["Traceback"], False)),
        ("colou?r", (["colo"], False)),
        ("(?i)error", None),
        ("a|", None),
        (r"\d+", None),
        ("", None),
        (r"\x41bc", None),
    ],
)
def test_the_text_that_every_match_has(
    pattern: str, literals: tuple[list[str], bool] | None
) -> None:
    assert find_literals(pattern) == literals


def test_without_any_pattern_nothing_is_picked() -> None:
    assert not Patterns([]).picks(b"a")
    assert Patterns([]).keep(b"a\n") == b""
    assert Patterns([]).drop(b"a\n") == b"a\n"


def test_what_is_no_pattern_is_said_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"missing \), .* at character 4: foo >>> \(bar"):
        compile_pattern("foo(bar")
    with pytest.raises(ValueError, match="no regular expression"):
        compile_pattern("a{99999999999999999999}")


def test_python_has_no_say_about_what_a_pattern_may_mean_one_day() -> None:
    assert compile_pattern("[[a]").search("[")
