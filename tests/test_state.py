"""The state's text: what a hand or a bad disk made of it is an error, never a traceback."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailmerge.position import Position, digest
from tailmerge.report import StateError
from tailmerge.state import (
    Entry,
    Mark,
    State,
    format_entry,
    format_head,
    format_mark,
    format_missing,
    format_record,
    parse_state,
)

POSITION = Position("/logs/a", (1, 2), 6, 6, digest(b"1\n2\n3\n"), 6, digest(b"1\n2\n3\n"), 7)


def checkpoint(state: State) -> str:
    entries = state.entries.values()
    return format_head(state, 1, len(entries)) + "".join(map(format_entry, entries))


def whole() -> str:
    state = State(mark=Mark("/logs/m", POSITION), boot="boot")
    state.entries[7] = Entry("/logs/a", POSITION, 6, 1.0)
    state.missing["/logs/missing"] = 2.0
    return checkpoint(state)


def test_a_state_that_was_written_is_read_as_it_was() -> None:
    state = parse_state(whole().encode(), "m.tailmerge", "boot")
    assert state.entries == {7: Entry("/logs/a", POSITION, 6, 1.0)}
    assert state.missing == {"/logs/missing": 2.0}
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


LINES = (
    '{"from":[[7,6,12,"m"]],"at":6,"length":6,"edges":["f","l"]}',
    '{"from":[[7,6,12,"m"]],"at":6,"length":6,"edges":["f","l"],"kept":1}',
    '{"settled":true}',
    '{"synced": [0, 6]}',
    format_entry(Entry("/logs/b", POSITION._replace(number=8), 6, 1.0)).strip(),
    format_mark(Mark("/logs/m", POSITION), [POSITION]).strip(),
    format_missing("/logs/missing", 1.0).strip(),
)
"""Each kind of line that a journal has."""

STRANGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@st.composite
def damaged_lines(draw: st.DrawFn) -> list[str]:
    """A state with every kind of line, one of which a hand has changed."""
    lines = [*whole().splitlines(), *LINES]
    index = draw(st.integers(0, len(lines) - 1))
    data = json.loads(lines[index])
    key = draw(st.sampled_from(sorted(data)))
    how = draw(st.sampled_from(["take away", "replace", "inside", "cut", "byte"]))
    if how == "take away":
        del data[key]
    elif how == "replace" or not isinstance(data[key], list | dict) or not data[key]:
        data[key] = draw(STRANGE)
    elif isinstance(data[key], list):
        data[key][draw(st.integers(0, len(data[key]) - 1))] = draw(STRANGE)
    else:
        data[key][draw(st.sampled_from(sorted(data[key])))] = draw(STRANGE)
    lines[index] = json.dumps(data)
    if how in ("cut", "byte"):
        at = draw(st.integers(0, len(lines[index]) - 1))
        rest = lines[index][at + 1 :] if how == "byte" else ""
        lines[index] = lines[index][:at] + draw(st.characters(codec="utf-8")) * (how == "byte")
        lines[index] += rest
    return lines


@pytest.mark.parametrize(
    "line",
    [
        '{"from":[[7,6,12,"m"]],"at":-6,"length":6,"edges":["f","l"]}',
        '{"from":[[7,6,12,"m"]],"at":6,"length":-1,"edges":["f","l"]}',
        '{"from":[[7,12,6,"m"]],"at":6,"length":6,"edges":["f","l"]}',
        '{"from":[[7,6,1e300,"m"]],"at":6,"length":6,"edges":["f","l"]}',
        '{"from":[[7,6,12]],"at":6,"length":6,"edges":["f","l"]}',
        '{"synced": [3, 6]}',
        '{"synced": 5}',
        LINES[4].replace("1}", "NaN}"),
        LINES[4].replace('"size": 6', '"size": -6'),
        "[]",
        "{}",
        "",
    ],
)
def test_a_line_that_cannot_be_is_damage_and_says_where(line: str) -> None:
    text = f"{whole()}{LINES[0]}\n{line}\n{LINES[2]}\n"
    with pytest.raises(StateError, match="is damaged in line 4; start over with --overwrite, or"):
        parse_state(text.encode(), "m.tailmerge", "boot")


@settings(max_examples=400, deadline=None)
@given(damaged_lines())
def test_whatever_a_hand_changes_is_read_or_is_damage(lines: list[str]) -> None:
    """Never a traceback, neither where it is read nor where it is used or written again."""
    text = "\n".join(lines) + "\n"
    try:
        state = parse_state(text.encode(errors="surrogatepass"), "m.tailmerge", "boot")
    except StateError as error:
        named = "m.tailmerge: the state " in str(error)
        ways = "--overwrite, or remove it" in str(error)
    else:
        named = ways = True
        use(state)
    assert named
    assert ways


def use(state: State) -> None:
    """What the next run does with it."""
    for record in state.records:
        state.advance(record)
    state.go_back(len(state.records))
    again = checkpoint(state).encode("ascii")
    parse_state(again, "m.tailmerge", "boot")


def test_a_state_without_a_hand_on_it_is_read() -> None:
    text = whole() + "".join(line + "\n" for line in LINES)
    assert len(parse_state(text.encode(), "m.tailmerge", "boot").entries) == 2


def test_a_file_that_is_told_of_again_keeps_the_place_that_its_batches_gave_it() -> None:
    """It got another input's name, or more of its head became known; what the batch behind
    that announces may not be in the output."""
    record = format_record([(7, 6, 9, "m")], 0, 3, "f", "l", kept=False)
    later = POSITION._replace(path="/logs/b", offset=9, head_length=9, head="more")
    behind = format_record([(7, 9, 12, "n")], 3, 3, "f", "l", kept=False)
    text = whole() + record + format_entry(Entry("/logs/b", later, 9, 2.0)) + behind
    state = parse_state(text.encode(), "m.tailmerge", "boot")
    entry = state.entries[7]
    assert (entry.series, entry.size) == ("/logs/b", 9)
    assert (entry.position.path, entry.position.head) == ("/logs/b", "more")
    assert (entry.position.offset, entry.position.marker) == (9, "m")
    text = whole() + format_entry(Entry("/logs/b", later, 9, 2.0)) + record
    state = parse_state(text.encode(), "m.tailmerge", "boot")
    assert state.entries[7].position.offset == 6
    assert state.origins[7].position.offset == 6


def test_the_rest_of_a_batch_that_is_announced_anew_takes_its_file_back() -> None:
    """It was begun, and what others did to the output has parted it."""
    batch = format_record([(7, 6, 12, "m")], 0, 6, "f", "l", kept=False)
    rest = format_record([(7, 9, 12, "m")], 20, 3, "f", "l", kept=False)
    state = parse_state((whole() + batch + rest).encode(), "m.tailmerge", "boot")
    position = state.entries[7].position
    assert (position.offset, position.marker_length) == (9, 0)
    state.advance(state.records[-1])
    assert (state.entries[7].position.offset, state.entries[7].position.marker) == (12, "m")
