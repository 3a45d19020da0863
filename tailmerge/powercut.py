"""What a run with --fsync takes over after a power cut.

The journal tells up to where the output was on the disk. Behind that the disk may have kept
anything, in the journal as in the output; walk.py finds out which lines of the inputs are
there. Where all that is damaged is ours and can be had again it is cut off; what others
appended, and what came from pipes, is left, and lost lines come again behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from tailmerge.again import Again
from tailmerge.hands import Hands
from tailmerge.lines import BLOCK
from tailmerge.position import MARKER, ReadAt, digest
from tailmerge.report import Report
from tailmerge.source import Rewritten, Source
from tailmerge.state import Record, State
from tailmerge.system import System
from tailmerge.walk import Growth, Trail, Walk


class PowerCut:
    """Brings a state and its output together again."""

    def __init__(self, again: Again, system: System, report: Report) -> None:
        self._again = again
        self._system = system
        self._report = report

    def settle(self, state: State, fd: int, name: str) -> Record | None:
        """Bring positions and output up to each other.

        Returns the last batch where the bytes of it are kept beside the state and all before
        it is whole: what became of it is then found out as after a kill.
        """
        assert state.synced is not None
        count, start = state.synced
        state.go_back(count)
        last = state.records[-1] if state.records[count:] else None
        if last and last.kept and last.reaches and len(state.records) == count + 1:
            self._cut_kept(state, last, fd, name)
            return last
        with ExitStack() as stack:
            sources = dict(self._open_sources(state, stack))
            growths = [Growth(n, s.offset, s.read_at) for n, s in sources.items()]
            size = self._system.fstat(fd).st_size
            trail = Walk(self._reader(fd), start, size, growths, state.records[count:]).go()
            offsets = self._mend(trail, sources, fd, size, name)
            for number, offset in offsets.items():
                self._set_offset(state, number, offset, sources[number])
        self._system.sync(fd)
        return None

    def _reader(self, fd: int) -> ReadAt:
        return lambda length, offset: self._system.read_all_at(fd, length, offset)

    def _open_sources(self, state: State, stack: ExitStack) -> Iterator[tuple[int, Source]]:
        """The inputs that are there, each at its synced position."""
        hands = Hands(self._system.descriptor_limit())
        for number, entry in state.entries.items():
            position = entry.position
            if position.packed:
                continue  # read to its end
            source = self._again.find_source(state, entry, position.offset)
            if source:
                stack.callback(source.close)
                try:
                    source.resume_at(position)
                except Rewritten:
                    continue  # cut this moment
                source.hands = hands
                hands.hold(source)
                yield number, source

    def _mend(
        self, trail: Trail, sources: dict[int, Source], fd: int, size: int, name: str
    ) -> dict[int, int]:
        """Cut or complete a damaged output; return up to where each input is in it."""
        if not trail.damaged:
            return trail.offsets
        if not trail.foreign:
            self._cut(fd, trail.end, size, name)
            return trail.offsets
        if trail.gaps:
            self._end_line(fd, size)
        for number, start, end in trail.gaps:
            for at in range(start, end, BLOCK):
                block = sources[number].read_at(min(BLOCK, end - at), at)
                self._system.write_all(fd, block)
        return trail.offsets_behind

    def _cut(self, fd: int, end: int, size: int, name: str) -> None:
        """Cut off what is damaged, unless somebody appends at this moment."""
        if self._system.fstat(fd).st_size == size > end:
            self._system.truncate(fd, end)
            self._report.output_cut_back(name, size - end)

    def _end_line(self, fd: int, size: int) -> None:
        if size and self._system.read_at(fd, 1, size - 1) != b"\n":
            self._system.write_all(fd, b"\n")

    def _cut_kept(self, state: State, record: Record, fd: int, name: str) -> None:
        """Where nothing but the batch and holes in it stands at the end, keep its beginning."""
        size = self._system.fstat(fd).st_size
        read = self._reader(fd)
        with self._again.open_batch(state, record) as kept:
            if kept is None or not record.at < size <= record.at + record.length:
                return
            whole = None
            for at in range(record.at, size, BLOCK):
                theirs = read(min(BLOCK, size - at), at)
                ours = kept(len(theirs), at - record.at)
                wrong = [i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b]
                if any(theirs[i] for i in wrong):
                    return  # others wrote here
                if wrong and whole is None:
                    whole = at + wrong[0]
        if whole is not None:
            self._cut(fd, whole, size, name)

    @staticmethod
    def _set_offset(state: State, number: int, offset: int, source: Source) -> None:
        entry = state.entries[number]
        length = min(MARKER, offset)
        marker = digest(source.read_at(length, offset - length))
        position = entry.position._replace(offset=offset, marker_length=length, marker=marker)
        size = max(entry.size, offset)
        state.entries[number] = entry._replace(position=position, size=size)
