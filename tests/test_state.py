"""The state's text: what a hand or a bad disk made of it is an error, never a traceback."""

from __future__ import annotations

import json

import pytest

from tailmerge.position import Position, digest
from tailmerge.report import StateError
from tailmerge.state import Entry, Mark, State, format_checkpoint, parse_state

POSITION = Position("/logs/a", (1, 2), 6, 6, digest(b"1\n2\n3\n"), 6, digest(b"1\n2\n3\n"), 7)


def whole() -> str:
    state = State(mark=Mark("/logs/m", POSITION), boot="boot")
    state.entries[7] = Entry("/logs/a", POSITION, 6, 1.0)
    return "".join(format_checkpoint(state, 1))


def test_a_state_that_was_written_is_read_as_it_was() -> None:
    state = parse_state(whole().encode(), "m.tailmerge", "boot")
    assert state.entries == {7: Entry("/logs/a", POSITION, 6, 1.0)}
    assert state.mark
    assert state.mark.path == "/logs/m"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("head", [1e400, "x"]),
        ("head", [-1, "x"]),
        ("path", 5),
        ("input", "\0"),
        ("offset", 10**26),
        ("offset", -6),
        ("offset", 3),
        ("marker", [10**14, "x"]),
    ],
)
def test_what_cannot_be_is_damage(key: str, value: object) -> None:
    first, second = whole().splitlines()
    data = json.loads(second)
    data[key] = value
    text = f"{first}\n{json.dumps(data)}\n"
    with pytest.raises(StateError, match=r"damaged.*--overwrite"):
        parse_state(text.encode(), "m.tailmerge", "boot")


def test_what_is_nested_without_end_is_damage() -> None:
    with pytest.raises(StateError, match="damaged"):
        parse_state(b"[" * 200_000 + b"\n", "m.tailmerge", "boot")


def test_a_torn_last_line_is_a_batch_that_was_never_written() -> None:
    state = parse_state(whole().encode() + b'{"from":[[7,6,', "m.tailmerge", "boot")
    assert not state.records
