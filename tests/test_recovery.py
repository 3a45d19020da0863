"""What reached the output of a batch that cannot be had again, told by its edges."""

from __future__ import annotations

import pytest

from tailmerge.batch import EDGE
from tailmerge.position import digest
from tailmerge.recovery import MOST_SHIFT, Finding, Verdict, examine
from tailmerge.state import Record

BATCH = b"".join(b"line %d of the batch\n" % number for number in range(20))
THEIRS = b"somebody else's line\n"


def settle(behind: bytes, batch: bytes = BATCH) -> Verdict:
    """The verdict on an output that held 7 bytes when the batch was announced."""
    output = b"before\n" + behind
    record = Record((), 7, len(batch), digest(batch[:EDGE]), digest(batch[-EDGE:]))
    return examine(record, len(output), lambda n, at: output[at : at + n], None).verdict


@pytest.mark.parametrize("first", [b"", THEIRS, 40 * THEIRS, b"\n" * 500])
@pytest.mark.parametrize("last", [THEIRS, 3000 * THEIRS, b"a beginning"])
def test_a_whole_batch_is_told_among_what_others_wrote(first: bytes, last: bytes) -> None:
    """Old symptom: "lines may be missing, a batch was cut short" where nothing was."""
    assert settle(first + BATCH + last) is Verdict.SETTLED


@pytest.mark.parametrize("first", [b"", THEIRS])
@pytest.mark.parametrize("written", [1, EDGE, len(BATCH) // 2, len(BATCH) - 1])
@pytest.mark.parametrize("last", [b"", b"\n", 50 * THEIRS])
def test_a_batch_that_was_cut_short_is_not_taken_for_whole(
    first: bytes, written: int, last: bytes
) -> None:
    whole = (BATCH[:written] + last).startswith(BATCH)  # somebody's newline is as good as ours
    verdict = Verdict.SETTLED if whole else Verdict.UNKNOWN
    assert settle(first + BATCH[:written] + last) is verdict


@pytest.mark.parametrize("written", range(19))
def test_lines_that_are_all_alike_prove_nothing_where_one_is_missing(written: int) -> None:
    line = b"tick\n" * 14
    assert settle(line * written + THEIRS * 100, line * 19) is Verdict.UNKNOWN


def test_what_is_far_behind_is_not_looked_for() -> None:
    assert settle(b"x" * MOST_SHIFT + b"\n" + BATCH + THEIRS) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("behind", "is_had", "finding"),
    [
        (0, True, Finding(Verdict.ABSENT)),
        (5, True, Finding(Verdict.FINISH, 5)),
        (5, False, Finding(Verdict.UNKNOWN)),
        (len(BATCH), True, Finding(Verdict.SETTLED, len(BATCH))),
        (len(BATCH), False, Finding(Verdict.SETTLED, len(BATCH))),
        (len(BATCH) + 9, True, Finding(Verdict.SETTLED, len(BATCH))),
        (-1, True, Finding(Verdict.TRUNCATED)),
    ],
)
def test_of_an_output_that_cannot_be_read_the_length_has_to_do(
    behind: int, is_had: bool, finding: Finding
) -> None:
    record = Record((), 7, len(BATCH), digest(BATCH[:EDGE]), digest(BATCH[-EDGE:]))
    read = (lambda n, at: BATCH[at : at + n]) if is_had else None
    assert examine(record, 7 + behind, None, read) == finding
