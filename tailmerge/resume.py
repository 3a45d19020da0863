"""What a run takes over from the one before: positions, proven against the output.

Locks and reads the state, settles the last batch (recovery.py says what became of it) and
leaves a state without a journal, so that a kill at any step here is recovered by the same
steps: the last record stays the last until its batch is whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tailmerge.batch import EDGE
from tailmerge.folders import Folders
from tailmerge.journal import Journal
from tailmerge.lines import BLOCK
from tailmerge.named import NamedFile
from tailmerge.packed import open_any
from tailmerge.position import MARKER, Position, digest, fits, skip_numbers
from tailmerge.recovery import Finding, ReadAt, Verdict, edges_fit, examine
from tailmerge.report import Report, others_state
from tailmerge.rotation import age_order
from tailmerge.source import Source
from tailmerge.state import Mark, Record, State
from tailmerge.system import System, identity


class Resume:
    """The steps between opening the output and reading the first input."""

    def __init__(
        self,
        journal: Journal,
        output: NamedFile,
        folders: Folders,
        system: System,
        report: Report,
    ) -> None:
        self._journal = journal
        self._output = output
        self._folders = folders
        self._system = system
        self._report = report
        self.verdict: Verdict | None = None
        """What became of the last batch, where that had to be found out."""

    def take_over(self, *, overwrite: bool) -> State:
        """Return what is known from earlier runs; the journal is ready for ours.

        Raises:
            StateError: the state cannot be used.
            Busy: another tailmerge has it.
            UsageProblem: it belongs to another output.
            OSError: it cannot be written.
        """
        journal, output = self._journal, self._output
        path = self._system.absolute(output.path)
        owner = self._system.fstat(output.fd).st_uid
        there = journal.open(owner, overwrite=overwrite)
        state = journal.state
        if there and not overwrite and state.mark and state.mark.path != path:
            raise others_state(journal.path, state.mark.path)
        if overwrite or state.starting_over:
            # A kill between these three leaves "starting over", which the next run finishes.
            state = State(mark=Mark(path, output.position()), starting_over=True)
            journal.checkpoint(state)
            output.empty()
            state.starting_over = False
        elif there:
            skip_numbers(max((*state.entries, 0)))
            if not self._settle(state) and state.boot == self._system.boot():
                journal.state = state
                return state  # as it was left: nothing is written
        state.mark = Mark(path, output.position())
        state.records.clear()
        journal.checkpoint(state)
        journal.state = state
        return state

    def _settle(self, state: State) -> bool:
        """Bring the state up to the end of its last batch; whether it changed."""
        mark = state.mark
        if mark is None:
            return True
        same = not self._output.is_new and self._is_ours(self._output.fd, mark, state)
        if not same and not self._is_new_name_only(mark):
            self._report.output_is_new(self._output.path)
            state.past.append(mark.position)
            del state.past[:-20]
        if not state.records:
            return not same
        record = state.records[-1]
        if state.settled:
            state.advance(record)
        elif same:
            self._examine(state, record, self._output.fd)
        else:
            self._examine_rotated(state, record, mark)
        return True

    def _is_new_name_only(self, mark: Mark) -> bool:
        """Nothing was ever written to the output that the state tells of."""
        return mark.position.offset == 0 and not self._journal.state.records

    def _is_ours(self, fd: int, mark: Mark, state: State) -> bool:
        """Whether this file is the output that the state tells of."""
        status = self._system.fstat(fd)
        if identity(status) == mark.position.identity:
            # Shorter than it was: truncated. As long, with other bytes: its inode was reused.
            if status.st_size < mark.position.offset or mark.position.head_length == 0:
                return True
            return fits(self._system, fd, mark.position)
        if mark.position.offset:
            return fits(self._system, fd, mark.position)
        read = self._reader(fd)
        return bool(state.records) and edges_fit(state.records[0], read)

    def _reader(self, fd: int) -> ReadAt:
        return lambda length, offset: self._system.read_at(fd, length, offset)

    # the last batch

    def _examine(self, state: State, record: Record, fd: int) -> None:
        size = self._system.fstat(fd).st_size
        if size < record.at and state.boot != self._system.boot() and self._roll_back(state, fd):
            return
        with self._batch_bytes(state, record) as read_batch:
            finding = examine(record, size, self._reader(fd), read_batch)
            if finding.verdict is Verdict.TRUNCATED:
                mark = state.mark
                assert mark is not None
                self._examine_rotated(state, record, mark)
                return
            self._act(state, record, finding, fd, read_batch)

    def _roll_back(self, state: State, fd: int) -> bool:
        """After a power cut the output may end before what the journal tells.

        Back to the last batch that is whole in it; False where none is.
        """
        size = self._system.fstat(fd).st_size
        read = self._reader(fd)
        for index in range(len(state.records) - 1, -1, -1):
            record = state.records[index]
            if record.at + record.length <= size and edges_fit(record, read):
                for later in state.records[index + 1 :]:
                    self._rewind(state, later)
                state.advance(record)
                return True
        return False

    @staticmethod
    def _rewind(state: State, record: Record) -> None:
        """The sources of a batch that is not there begin where they began with it."""
        for reach in record.reaches:
            entry = state.entries.get(reach.source)
            if entry and entry.position.offset > reach.start:
                position = replace(
                    entry.position, offset=reach.start, marker_length=0, marker=digest(b"")
                )
                state.entries[reach.source] = replace(entry, position=position)

    def _examine_rotated(self, state: State, record: Record, mark: Mark) -> None:
        """The output was moved, or cut after a copy was made of it: look for the batch there."""
        folder = os.path.dirname(self._output.path)
        forms = []
        for form in Folders(self._system).find_rotated(self._output.path, 0.0):
            path = os.path.join(folder, form.name)
            try:
                status = self._system.stat(path)
            except OSError:
                continue  # renamed this moment: what is not found is written again
            if not form.compressed:
                forms.append((age_order(form, status.st_mtime), path))
        for _, path in reversed(sorted(forms)):
            try:
                fd = self._system.open(path, os.O_RDWR | os.O_APPEND)
            except OSError:
                continue  # not ours to settle: what is not found is written again
            try:
                if self._is_ours(fd, mark, state):
                    with self._batch_bytes(state, record) as read_batch:
                        size = self._system.fstat(fd).st_size
                        finding = examine(record, size, self._reader(fd), read_batch)
                        self._act(state, record, finding, fd, read_batch)
                    return
            finally:
                self._system.close(fd)
        with self._batch_bytes(state, record) as read_batch:
            self._act(state, record, Finding(Verdict.ABSENT), self._output.fd, read_batch)

    def _act(
        self,
        state: State,
        record: Record,
        finding: Finding,
        fd: int,
        read_batch: ReadAt | None,
    ) -> None:
        """Make the batch whole where it was begun, or have its lines forwarded again."""
        self.verdict = finding.verdict
        written = finding.written
        if finding.verdict is Verdict.UNKNOWN:
            self._leave_torn(state, record, fd)
            return
        if read_batch is None:
            if finding.verdict is Verdict.SETTLED:
                state.advance(record)
            return
        if finding.verdict is Verdict.FINISH:
            written = self._finish(record, written, fd, read_batch)
        if record.kept and written < record.length:
            self._write_kept(record, written, read_batch)
            written = record.length
        if written == record.length:
            state.advance(record)
        elif not record.kept:
            self._advance_to(state, record, self._whole(written, read_batch), read_batch)

    def _finish(self, record: Record, written: int, fd: int, read_batch: ReadAt) -> int:
        """Append the rest of the line that was cut short; return the bytes there are now."""
        while written < record.length:
            block = read_batch(min(BLOCK, record.length - written), written)
            end = block.find(b"\n") + 1
            self._append(fd, block[:end] if end else block)
            written += end or len(block)
            if end or not block:
                break
        return written

    def _append(self, fd: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._system.write(fd, view) :]

    @staticmethod
    def _whole(written: int, read_batch: ReadAt) -> int:
        """Of so many bytes of a batch, how many are whole lines."""
        while written > 0:
            start = max(0, written - BLOCK)
            cut = read_batch(written - start, start).rfind(b"\n")
            if cut >= 0:
                return start + cut + 1
            written = start
        return 0

    def _write_kept(self, record: Record, written: int, read_batch: ReadAt) -> None:
        """Write what is missing of a batch that no source has any more.

        Where others wrote behind its beginning, whole lines are not written again.
        """
        fd = self._output.fd
        size = self._system.fstat(fd).st_size
        if size and self._system.read_at(fd, 1, size - 1) != b"\n":
            self._append(fd, b"\n")
        at = self._whole(written, read_batch)
        while at < record.length:
            block = read_batch(min(BLOCK, record.length - at), at)
            if not block:
                break
            self._append(fd, block)
            at += len(block)

    def _advance_to(self, state: State, record: Record, whole: int, read_batch: ReadAt) -> None:
        """The first bytes of the batch are in the output: its one source goes on behind them."""
        if not whole:
            return
        (reach,) = record.reaches
        length = min(MARKER, whole)
        marker = digest(read_batch(length, whole - length))
        self._set_offset(state, reach.source, reach.start + whole, length, marker)

    @staticmethod
    def _set_offset(state: State, source: int, offset: int, length: int, marker: str) -> None:
        entry = state.entries.get(source)
        if entry:
            position = replace(entry.position, offset=offset, marker_length=length, marker=marker)
            state.entries[source] = replace(entry, position=position)

    def _leave_torn(self, state: State, record: Record, fd: int) -> None:
        """The bytes cannot be had again: what is there of them stands, and that is said."""
        there = min(record.length, self._system.fstat(fd).st_size - record.at)
        read = self._reader(fd)
        begun = digest(read(min(EDGE, there), record.at)) == record.first

        def read_there(length: int, offset: int) -> bytes:
            return read(min(length, there - offset), record.at + offset)

        if begun and len(record.reaches) == 1:
            self._advance_to(state, record, self._whole(there, read_there), read_there)
        self._report.batch_unproven(self._output.path)

    # a batch's bytes, once more

    @contextmanager
    def _batch_bytes(self, state: State, record: Record) -> Iterator[ReadAt | None]:
        """How to read the batch's bytes; None where nobody has them."""
        if record.kept:
            kept = self._journal.kept()[: record.length]
            whole = len(kept) == record.length and digest(kept[:EDGE]) == record.first
            yield (lambda length, offset: kept[offset : offset + length]) if whole else None
            return
        source = self._find_source(state, record)
        if source is None:
            yield None
            return
        (reach,) = record.reaches
        size = reach.end - reach.start

        def read(length: int, offset: int) -> bytes:
            data = source.read_at(min(length, max(0, size - offset)), reach.start + offset)
            if offset + length > size and record.length > size:
                data += b"\n"  # the newline that was added to an unfinished last line
            return data

        try:
            yield read if digest(read(min(EDGE, record.length), 0)) == record.first else None
        finally:
            source.close()

    def _find_source(self, state: State, record: Record) -> Source | None:
        """The file that holds the batch's lines, by content, under any name it may have."""
        if len(record.reaches) != 1:
            return None
        (reach,) = record.reaches
        entry = state.entries.get(reach.source)
        if entry is None:
            return None
        places = (os.path.dirname(e.position.path) for e in state.entries.values())
        folders = Folders(self._system)
        folders.name((place, place) for place in (*self._folders.named, *places))
        forms = folders.find_forms(entry.series, entry.series, 0.0)
        paths = [entry.position.path, entry.series, *(form.path for form in forms)]
        for path in dict.fromkeys(paths):
            source = self._open_fitting(path, entry.position, reach.end)
            if source:
                return source
        return None

    def _open_fitting(self, path: str, position: Position, end: int) -> Source | None:
        try:
            source = open_any(self._system, path)
        except OSError:
            return None  # not this one
        if source.size() >= end and source.fits(position):
            return source
        source.close()
        return None
