"""What a run takes over from the one before: positions, proven against the output.

Locks and reads the state, settles the last batch (recovery.py says what became of it) and
leaves a state without a journal, so that a kill at any step here is recovered by the same
steps: the last record stays the last until its batch is whole.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from tailmerge.again import Again
from tailmerge.batch import EDGE, take_label
from tailmerge.folders import Folders
from tailmerge.journal import Journal
from tailmerge.lines import BLOCK
from tailmerge.named import NamedFile
from tailmerge.position import MARKER, ReadAt, digest, fits, skip_numbers
from tailmerge.recovery import Finding, Verdict, edges_fit, examine, whole_lines
from tailmerge.report import Report, others_state
from tailmerge.rotation import age_order
from tailmerge.state import Mark, Record, State
from tailmerge.system import System, identity, is_regular


class Resume:
    """The steps between opening the output and reading the first input."""

    def __init__(
        self,
        journal: Journal,
        output: NamedFile,
        folders: Folders,
        system: System,
        report: Report,
        *,
        fsync: bool = False,
    ) -> None:
        """`fsync`: what the new state tells of is to survive a power cut."""
        self._fsync = fsync
        self._journal = journal
        self._output = output
        self._again = Again(journal, folders, system)
        self._system = system
        self._report = report
        self._is_kept_loose = False
        """What is kept of the last batch may be damaged unless some of it is in the output."""
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
            changed = self._settle(state) or state.has_journal
            if not changed and state.boot == self._system.boot():
                journal.state = state
                return state  # as it was left: nothing is written
        state.mark = Mark(path, output.position())
        state.records.clear()
        state.origins.clear()
        state.synced = None  # said anew before the first batch
        if self._fsync:
            self._system.sync(output.fd)
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
        if state.synced is not None and state.boot != self._system.boot():
            self._settle_after_power_cut(state, mark, same)
            return True
        if not state.records:
            return not same
        record = state.records[-1]
        if state.settled or (record.length == 0 and not same):
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
        is_same = identity(status) == mark.position.identity
        if not self._system.can_read(fd):
            return is_same
        if is_same:
            # Shorter than it was: truncated. As long, with other bytes: its inode was reused.
            if status.st_size < mark.position.offset or mark.position.head_length == 0:
                return True
            return fits(self._system, fd, mark.position)
        if mark.position.offset:
            return fits(self._system, fd, mark.position)
        if state.synced is not None and status.st_ino == mark.position.identity[1]:
            return True  # its first lines may not have reached the disk
        read = self._reader(fd)
        return bool(state.records) and edges_fit(state.records[0], read)

    def _reader(self, fd: int) -> ReadAt:
        return lambda length, offset: self._system.read_at(fd, length, offset)

    # the last batch

    def _examine(self, state: State, record: Record, fd: int) -> None:
        size = self._system.fstat(fd).st_size
        can_read = self._system.can_read(fd)
        is_cut = size < record.at and state.boot != self._system.boot()
        if is_cut and can_read and self._roll_back(state, fd):
            return
        if record.length == 0:
            state.advance(record)
            return
        with self._again.open_batch(state, record) as read_batch:
            read = self._reader(fd) if can_read else None
            finding = examine(record, size, read, read_batch)
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
                state.go_back(index + 1)
                return True
        return False

    def _settle_after_power_cut(self, state: State, mark: Mark, same: bool) -> None:
        """With --fsync: the journal tells what was on the disk, in the output or where it went."""
        with self._former(mark, state) if not same else nullcontext(self._output.fd) as fd:
            assert state.synced is not None
            count, end = state.synced
            if fd is None or self._system.fstat(fd).st_size < end:
                state.go_back(count)  # gone, or cut by somebody: what was synced was there
                return
            if not self._system.can_read(fd):
                size = self._system.fstat(fd).st_size
                there = (record.at + record.length <= size for record in state.records[count:])
                state.go_back(count + sum(itertools.takewhile(bool, there)))
                return
            from tailmerge.powercut import PowerCut

            cut = PowerCut(self._again, self._system, self._report)
            if record := cut.settle(state, fd, self._output.path):
                self._is_kept_loose = True
                self._examine(state, record, fd)

    def _examine_rotated(self, state: State, record: Record, mark: Mark) -> None:
        """The output was moved, or cut after a copy was made of it: look for the batch there."""
        with (
            self._former(mark, state) as fd,
            self._again.open_batch(state, record) as read_batch,
        ):
            if fd is None:
                self._act(state, record, Finding(Verdict.ABSENT), self._output.fd, read_batch)
                return
            size = self._system.fstat(fd).st_size
            finding = examine(record, size, self._reader(fd), read_batch)
            self._act(state, record, finding, fd, read_batch)

    @contextmanager
    def _former(self, mark: Mark, state: State) -> Iterator[int | None]:
        """The file that was the output, open, where it is now; None: nowhere to be found."""
        for path in self._former_names(mark):
            try:
                fd = self._system.open(path, os.O_RDWR | os.O_APPEND | os.O_NONBLOCK)
            except OSError:
                continue  # not ours to settle: what is not found is written again
            try:
                if is_regular(self._system.fstat(fd)) and self._is_ours(fd, mark, state):
                    yield fd
                    return
            finally:
                self._system.close(fd)
        yield None

    def _former_names(self, mark: Mark) -> Iterator[str]:
        """Where it may have gone: first the very file, by any name, then what looks rotated."""
        folder = os.path.dirname(self._output.path)
        found = Folders(self._system).find_rotated(self._output.path, 0.0)
        forms = {form.name: form for form in found}
        named = []
        for name in sorted(self._names(folder)):
            path = os.path.join(folder, name)
            try:
                status = self._system.stat(path)
            except OSError:
                continue  # renamed this moment
            if identity(status) == self._output.identity:
                continue
            if identity(status) == mark.position.identity:
                yield path
            elif name in forms and not forms[name].compressed:
                named.append((age_order(forms[name], status.st_mtime), path))
            elif self._system.is_folder(path):
                yield from self._find_inside(path, mark)
        yield from (path for _, path in reversed(sorted(named)))

    def _find_inside(self, folder: str, mark: Mark) -> Iterator[str]:
        for name in self._names(folder):
            path = os.path.join(folder, name)
            if self._system.leads_to(path, mark.position.identity):
                yield path

    def _names(self, folder: str) -> Iterator[str]:
        try:
            return self._system.names(folder or ".")
        except OSError:
            return iter(())  # closed to us

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
            if len(record.reaches) > 1 and not record.kept and self._system.can_read(fd):
                self._prove_parts(state, record, fd)
            else:
                self._leave_torn(state, record, fd)
            return
        if finding.verdict is Verdict.ABSENT and self._is_kept_loose:
            return  # its inputs begin where they began with it
        if read_batch is None:
            if finding.verdict is Verdict.SETTLED:
                state.advance(record)
            return
        if finding.verdict is Verdict.FINISH:
            written = self._finish(record, written, fd, read_batch)
        if record.kept and written < record.length:
            self._write_kept(record, written, fd, read_batch)
            written = record.length
        if written == record.length:
            state.advance(record)
        elif not record.kept:
            self._advance_to(state, record, whole_lines(written, read_batch), read_batch)

    def _finish(self, record: Record, written: int, fd: int, read_batch: ReadAt) -> int:
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
            self._system.write_all(fd, rest)
            edge = min(EDGE, written) if self._system.can_read(fd) else 0
            before = self._system.seek(fd, 0, os.SEEK_CUR) - len(rest) - edge
            if edge and self._system.read_at(fd, edge, before) != read_batch(edge, written - edge):
                return whole_lines(begun, read_batch)
            written += len(rest)
        return written

    def _write_kept(self, record: Record, written: int, fd: int, read_batch: ReadAt) -> None:
        """Write what is missing of a batch that no source has any more.

        Where others wrote behind its beginning, whole lines are not written again.
        """
        size = self._system.fstat(fd).st_size
        can_read = self._system.can_read(fd)  # else what was cut short is finished
        if size and can_read and self._system.read_at(fd, 1, size - 1) != b"\n":
            self._system.write_all(fd, b"\n")
            size += 1
        at = whole_lines(written, read_batch)
        if at or written:
            self._announce_rest(record, at, size, read_batch)
        while at < record.length:
            block = read_batch(min(BLOCK, record.length - at), at)
            if not block:
                break
            self._system.write_all(fd, block)
            at += len(block)

    def _announce_rest(self, record: Record, done: int, size: int, read_batch: ReadAt) -> None:
        """Or a kill in the middle of it would leave lines that stand behind nothing of theirs."""
        length = record.length - done
        first = digest(read_batch(min(EDGE, length), done))
        last = digest(read_batch(min(EDGE, length), record.length - min(EDGE, length)))
        self._journal.announce_rest(
            record._replace(at=size, length=length, first=first, last=last, skip=record.skip + done)
        )

    def _advance_to(self, state: State, record: Record, whole: int, read_batch: ReadAt) -> None:
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
            self._set_offset(state, reach.source, reach.start + size, length, marker)

    @staticmethod
    def _set_offset(state: State, source: int, offset: int, length: int, marker: str) -> None:
        entry = state.entries.get(source)
        if entry:
            position = entry.position._replace(offset=offset, marker_length=length, marker=marker)
            state.entries[source] = entry._replace(position=position)

    def _prove_parts(self, state: State, record: Record, fd: int) -> None:
        """A source of the batch is gone: what is there of each other one is proven by itself."""
        size, read = self._system.fstat(fd).st_size, self._reader(fd)
        for part in record.split():
            with self._again.open_part(state, part) as (known, read_part):
                if read_part:
                    finding = examine(known, size, read, read_part)
                    if finding.verdict is not Verdict.TRUNCATED:
                        self._act(state, known, finding, fd, read_part)
                elif size > part.at:  # taken for its own, as far as it is there
                    self._advance_to_there(state, part, min(part.length, size - part.at), read)
        self.verdict = Verdict.UNKNOWN
        self._report.batch_unproven(self._output.path)

    def _advance_to_there(self, state: State, record: Record, there: int, read: ReadAt) -> None:
        """So many bytes of a batch that nobody has any more stand in the output."""

        def read_there(length: int, offset: int) -> bytes:
            return read(min(length, there - offset), record.at + offset)

        self._advance_to(state, record, whole_lines(there, read_there), read_there)

    def _leave_torn(self, state: State, record: Record, fd: int) -> None:
        """The bytes cannot be had again: what is there of them stands, and that is said."""
        there = min(record.length, self._system.fstat(fd).st_size - record.at)
        if self._system.can_read(fd) and not record.kept:
            read = self._reader(fd)
            if digest(read(min(EDGE, there), record.at)) == record.first:
                self._advance_to_there(state, record, there, read)
        self._report.batch_unproven(self._output.path)
