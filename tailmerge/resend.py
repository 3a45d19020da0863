"""What a run takes over for an output that cannot be looked at again: a pipe, a terminal.

Nobody can prove what reached it, so a state gives at-least-once: positions are written down
when the output has taken the bytes, and what was not written down goes out once more.
"""

from __future__ import annotations

from collections.abc import Iterator

from tailmerge.batch import EDGE, Batch
from tailmerge.journal import Journal
from tailmerge.lines import BLOCK
from tailmerge.position import EMPTY, Position, digest, skip_numbers
from tailmerge.report import others_state
from tailmerge.state import Mark, Record, State
from tailmerge.system import System

STANDARD_OUTPUT = "-"


def output_name(path: str, system: System) -> str:
    """The output's name in a state: absolute, "-" for standard output."""
    return path if path == STANDARD_OUTPUT else system.absolute(path)


def stream_mark(name: str) -> Mark:
    """The mark of an output that has no length, head or marker."""
    return Mark(name, Position(name, (0, 0), 0, 0, EMPTY, 0, EMPTY))


def take_over_stream(journal: Journal, name: str, *, overwrite: bool) -> tuple[State, Batch | None]:
    """Return what is known from earlier runs, and what of a pipe's lines is to go out again.

    The journal is ready for ours once those are written.

    Raises:
        StateError: the state cannot be used.
        Busy: another tailmerge has it.
        UsageProblem: it belongs to another output.
        OSError: it cannot be written.
    """
    there = journal.open(None, overwrite=overwrite)
    state = journal.state
    if there and not overwrite and state.mark and state.mark.path != name:
        raise others_state(journal.path, state.mark.path)
    owed = None
    if overwrite or not there:
        state = journal.state = State()
    else:
        skip_numbers(max((*state.entries, 0)))
        record = state.records[-1] if state.records else None
        if record and state.settled:
            state.advance(record)
        elif record and record.kept:
            owed = _find_kept(journal, record)
    state.mark = stream_mark(name)
    if owed is None:
        renew(journal, state)
    return state, owed


def renew(journal: Journal, state: State) -> None:
    """A checkpoint in place of what the run before has left."""
    state.records.clear()
    journal.checkpoint(state)


def _find_kept(journal: Journal, record: Record) -> Batch | None:
    """The batch that is kept beside the state; None where its bytes are not there."""
    edge = min(EDGE, record.length)
    with journal.kept.read() as read:
        if read is None or digest(read(edge, record.length - edge)) != record.last:
            return None
        if digest(read(edge, 0)) != record.first:
            return None

    def pieces(skip: int) -> Iterator[bytes]:
        with journal.kept.read() as read:
            for at in range(skip, record.length, BLOCK):
                yield read(min(BLOCK, record.length - at), at) if read else b""

    return Batch((), record.length, b"", b"", pieces, lambda count: count)
