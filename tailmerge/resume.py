"""What a run takes over from the one before: positions, proven against the output.

Locks and reads the state, settles the last batch (recovery.py says what became of it) and
leaves a state without a journal, so that a kill at any step here is recovered by the same
steps: the last record stays the last until its batch is whole (finishing.py).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from tailmerge.again import Again
from tailmerge.finishing import Finishing
from tailmerge.folders import Folders
from tailmerge.journal import Journal
from tailmerge.named import NamedFile
from tailmerge.position import ReadAt, fits, skip_numbers
from tailmerge.recovery import Finding, Verdict, edges_fit, examine
from tailmerge.report import Report, others_state
from tailmerge.rotation import age_order
from tailmerge.state import Mark, Record, State
from tailmerge.system import System, identity, is_regular
from tailmerge.there import There


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
        self._finishing = Finishing(self._again, journal, report, output.path)

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
        there = There(self._system, self._output.fd)
        same = not self._output.is_new and self._is_ours(there, mark, state)
        if not same and not self._is_new_name_only(mark):
            self._report.output_is_new(self._output.path)
            state.past.append(mark.position)
            del state.past[:-20]
        if state.synced is not None and state.boot != self._system.boot():
            self._settle_after_power_cut(state, mark, there if same else None)
            return True
        if not state.records:
            return not same
        record = state.records[-1]
        if state.settled or (record.length == 0 and not same):
            state.advance(record)
        elif same:
            self._examine(state, record, there)
        else:
            self._examine_rotated(state, record, mark)
        return True

    def _is_new_name_only(self, mark: Mark) -> bool:
        """Nothing was ever written to the output that the state tells of."""
        return mark.position.offset == 0 and not self._journal.state.records

    def _is_ours(self, there: There, mark: Mark, state: State) -> bool:
        """Whether this file is the output that the state tells of."""
        status = self._system.fstat(there.fd)
        is_same = identity(status) == mark.position.identity
        if there.read is None:
            return is_same
        if is_same:
            # Shorter than it was: truncated. As long, with other bytes: its inode was reused.
            if status.st_size < mark.position.offset or mark.position.head_length == 0:
                return True
            return fits(self._system, there.fd, mark.position)
        if mark.position.offset:
            return fits(self._system, there.fd, mark.position)
        if state.synced is not None and status.st_ino == mark.position.identity[1]:
            return True  # its first lines may not have reached the disk
        return bool(state.records) and edges_fit(state.records[0], there.read)

    # the last batch

    def _examine(self, state: State, record: Record, there: There) -> None:
        size = there.size
        is_cut = size < record.at and state.boot != self._system.boot()
        if is_cut and there.read and _roll_back(state, size, there.read):
            return
        if record.length == 0:
            state.advance(record)
            return
        with self._again.open_batch(state, record) as read_batch:
            finding = examine(record, size, there.read, read_batch)
            if finding.verdict is Verdict.TRUNCATED:
                mark = state.mark
                assert mark is not None
                self._examine_rotated(state, record, mark)
                return
            self._finishing.act(state, record, finding, there, read_batch)

    def _settle_after_power_cut(self, state: State, mark: Mark, same: There | None) -> None:
        """With --fsync: the journal tells what was on the disk, in the output or where it went."""
        with nullcontext(same) if same else self._former(mark, state) as there:
            assert state.synced is not None
            count, end = state.synced
            if there is None or there.size < end:
                state.go_back(count)  # gone, or cut by somebody: what was synced was there
                return
            if there.read is None:
                size = there.size
                whole = (record.at + record.length <= size for record in state.records[count:])
                state.go_back(count + sum(itertools.takewhile(bool, whole)))
                return
            from tailmerge.powercut import PowerCut

            cut = PowerCut(self._again, self._system, self._report)
            if record := cut.settle(state, there.fd, self._output.path):
                self._finishing.is_kept_loose = True
                self._examine(state, record, there)

    def _examine_rotated(self, state: State, record: Record, mark: Mark) -> None:
        """The output was moved, or cut after a copy was made of it: look for the batch there."""
        with (
            self._former(mark, state) as former,
            self._again.open_batch(state, record) as read_batch,
        ):
            there = former or There(self._system, self._output.fd)
            finding = Finding(Verdict.ABSENT)
            if former:
                finding = examine(record, former.size, former.read, read_batch)
            self._finishing.act(state, record, finding, there, read_batch)

    @contextmanager
    def _former(self, mark: Mark, state: State) -> Iterator[There | None]:
        """The file that was the output, open, where it is now; None: nowhere to be found."""
        for path in self._former_names(mark):
            try:
                fd = self._system.open(path, os.O_RDWR | os.O_APPEND | os.O_NONBLOCK)
            except OSError:
                continue  # not ours to settle: what is not found is written again
            try:
                there = There(self._system, fd)
                if is_regular(self._system.fstat(fd)) and self._is_ours(there, mark, state):
                    yield there
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


def _roll_back(state: State, size: int, read: ReadAt) -> bool:
    """After a power cut the output, of `size` bytes, may end before what the journal tells.

    Back to the last batch that is whole in it; False where none is.
    """
    for index in range(len(state.records) - 1, -1, -1):
        record = state.records[index]
        if record.at + record.length <= size and edges_fit(record, read):
            state.go_back(index + 1)
            return True
    return False
