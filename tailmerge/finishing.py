"""The last batch before a kill, once it is known how much of it is in the output.

It is made whole where it was begun, or its inputs go on behind what is there of it, and its
other lines come again. A kill at any step here leaves what the next run finds as it was.
"""

from __future__ import annotations

from tailmerge.again import Again
from tailmerge.batch import EDGE, take_label
from tailmerge.journal import Journal
from tailmerge.lines import BLOCK
from tailmerge.position import MARKER, ReadAt, digest
from tailmerge.recovery import Finding, Verdict, examine, whole_lines
from tailmerge.report import Report
from tailmerge.state import Record, State
from tailmerge.there import There


class Finishing:
    """Brings the state and the end of the output together."""

    def __init__(self, again: Again, journal: Journal, report: Report, output_path: str) -> None:
        self._again = again
        self._journal = journal
        self._report = report
        self._output_path = output_path
        self.is_kept_loose = False
        """What is kept of the batch may be damaged unless some of it is in the output."""

    def act(
        self,
        state: State,
        record: Record,
        finding: Finding,
        there: There,
        read_batch: ReadAt | None,
    ) -> None:
        """Make the batch whole where it was begun, or have its lines forwarded again."""
        written = finding.written
        if finding.verdict is Verdict.UNKNOWN:
            if len(record.reaches) > 1 and not record.kept and there.read:
                self._prove_parts(state, record, there, there.read)
            else:
                self._leave_torn(state, record, there)
            return
        if finding.verdict is Verdict.ABSENT and self.is_kept_loose:
            return  # its inputs begin where they began with it
        if read_batch is None:
            if finding.verdict is Verdict.SETTLED:
                state.advance(record)
            return
        if finding.verdict is Verdict.FINISH:
            written = _finish_line(record, written, there, read_batch)
        if record.kept and written < record.length:
            self._write_kept(record, written, there, read_batch)
            written = record.length
        if written == record.length:
            state.advance(record)
        elif not record.kept:
            _advance_to(state, record, whole_lines(written, read_batch), read_batch)

    def _write_kept(self, record: Record, written: int, there: There, read_batch: ReadAt) -> None:
        """Write what is missing of a batch that no source has any more.

        Where others wrote behind its beginning, whole lines are not written again.
        """
        if there.is_torn:
            there.append(b"\n")
        at = whole_lines(written, read_batch)
        if at or written:
            self._announce_rest(record, at, there.size, read_batch)
        while at < record.length:
            block = read_batch(min(BLOCK, record.length - at), at)
            if not block:
                break
            there.append(block)
            at += len(block)

    def _announce_rest(self, record: Record, done: int, size: int, read_batch: ReadAt) -> None:
        """Or a kill in the middle of it would leave lines that stand behind nothing of theirs."""
        length = record.length - done
        first = digest(read_batch(min(EDGE, length), done))
        last = digest(read_batch(min(EDGE, length), record.length - min(EDGE, length)))
        self._journal.announce_rest(
            record._replace(at=size, length=length, first=first, last=last, skip=record.skip + done)
        )

    def _prove_parts(self, state: State, record: Record, there: There, read: ReadAt) -> None:
        """A source of the batch is gone: what is there of each other one is proven by itself."""
        size = there.size
        for part in record.split():
            with self._again.open_part(state, part) as (known, read_part):
                if read_part:
                    finding = examine(known, size, read, read_part)
                    if finding.verdict is not Verdict.TRUNCATED:
                        self.act(state, known, finding, there, read_part)
                elif size > part.at:  # taken for its own, as far as it is there
                    _advance_to_there(state, part, min(part.length, size - part.at), read)
        self._report.batch_unproven(self._output_path)

    def _leave_torn(self, state: State, record: Record, there: There) -> None:
        """The bytes cannot be had again: what is there of them stands, and that is said."""
        length = min(record.length, there.size - record.at)
        read = None if record.kept else there.read
        if read and digest(read(min(EDGE, length), record.at)) == record.first:
            _advance_to_there(state, record, length, read)
        self._report.batch_unproven(self._output_path)


def _finish_line(record: Record, written: int, there: There, read_batch: ReadAt) -> int:
    """Append the rest of the line that was cut short; return the bytes there are now.

    Without that line where others appended to its beginning meanwhile: it comes again.
    """
    begun = written
    is_whole = written > 0 and read_batch(1, written - 1) == b"\n"
    while written < record.length and not is_whole:
        block = read_batch(min(BLOCK, record.length - written), written)
        rest = block[: block.find(b"\n") + 1] or block
        if not rest:
            break
        is_whole = rest.endswith(b"\n")
        at, edge = there.append(rest), min(EDGE, written)
        if edge and there.read and there.read(edge, at - edge) != read_batch(edge, written - edge):
            return whole_lines(begun, read_batch)
        written += len(rest)
    return written


def _advance_to(state: State, record: Record, whole: int, read_batch: ReadAt) -> None:
    """The first bytes of the batch are in the output: its sources go on behind them."""
    if record.label:
        lines = take_label(record.label, read_batch(whole, 0))
        whole, read_batch = len(lines), lambda n, at: lines[at : at + n]
    at = 0
    for reach in record.reaches:
        size = min(reach.end - reach.start, whole - at)
        if size <= 0:
            return
        at += size
        length = min(MARKER, size)
        marker = digest(read_batch(length, at - length))
        _set_offset(state, reach.source, reach.start + size, length, marker)


def _advance_to_there(state: State, record: Record, there: int, read: ReadAt) -> None:
    """So many bytes of a batch that nobody has any more stand in the output."""

    def read_there(length: int, offset: int) -> bytes:
        return read(min(length, there - offset), record.at + offset)

    _advance_to(state, record, whole_lines(there, read_there), read_there)


def _set_offset(state: State, source: int, offset: int, length: int, marker: str) -> None:
    entry = state.entries.get(source)
    if entry:
        position = entry.position._replace(offset=offset, marker_length=length, marker=marker)
        state.entries[source] = entry._replace(position=position)
