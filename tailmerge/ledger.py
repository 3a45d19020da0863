"""The state of a run that is under way: what the journal is told, and when.

Between the files that become known (registry), the batches that go out (output) and the
journal. It knows which numbers the journal has met, which positions belong to inputs that
this run leaves out, and when a new checkpoint is due.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from tailmerge.batch import Batch
from tailmerge.checkpoint import Checkpoint
from tailmerge.folders import Folders
from tailmerge.generation import Generation
from tailmerge.journal import Journal
from tailmerge.keeping import Keeping
from tailmerge.named import NamedFile
from tailmerge.output import Output
from tailmerge.piped import Stream
from tailmerge.position import HEAD, Position
from tailmerge.registry import Registry
from tailmerge.report import Report, cannot_write_state
from tailmerge.resend import output_name, renew, take_over_stream
from tailmerge.resume import Resume
from tailmerge.series import Series
from tailmerge.source import Source
from tailmerge.state import FORGET_SECONDS, Entry, Mark, State, format_entry
from tailmerge.system import System

REFRESH_SECONDS = 24 * 3600.0
"""How old the state's word on when a file was seen may become, seconds."""

ENTRY_BYTES = 384
"""A checkpoint has about so many bytes for each file."""

PAST_OUTPUTS = 20
"""Former outputs that are remembered, so that none of them is taken for an input."""


def _has_grown(source: Source, length: int) -> bool:
    """Whether so much more of its head is known that the journal is to know it, too."""
    return len(source.head) >= min(HEAD, max(1, 2 * length)) > length


class _Met(NamedTuple):
    """One file that the journal knows."""

    series: str
    """Its input's name."""
    length: int
    """Bytes of its head that the journal knows."""
    keeping: Keeping | None = None
    growing: Generation | None = None
    """Where it is less than a whole head."""


MUCH = 64 * 1024 * 1024
"""Bytes announced since the last checkpoint with which the run's end leaves one to the next run."""


class Ledger:
    """One run's bookkeeping; on the thread that owns the files."""

    def __init__(self, journal: Journal, folders: Folders) -> None:
        """`folders` are the ones that were named: what rotated may be in any of them."""
        self._journal = journal
        self._folders = folders
        self._state = State()
        self._output: NamedFile | None = None
        """None: it is a stream."""
        self._is_open = False
        self.owed: Batch | None = None
        """What is to go out to a stream before anything else, then `begin`."""
        self._met: dict[int, _Met] = {}
        """What the journal knows, by its numbers."""
        self._read: set[int] | None = None
        """Files that were read since the last sync, by their numbers; None: nobody syncs."""
        self._synced_news = 0
        self._announced = 0
        """Bytes of batches since the last checkpoint."""
        self._gathered = 0, 0.0
        """Those of them that the checkpoint tells of that is being synced, and its `_oldest`."""
        self._said: tuple[tuple[int, int], int] | None = None
        """The last word on what is on the disk."""
        self.is_marked = False
        """The journal says what is on the disk."""
        self._series: Iterable[Series] = ()
        self._oldest = time.time()
        """When the file was seen whose last sight the state tells of is the oldest, seconds
        since the epoch."""

    def open(
        self,
        output: Output,
        overwrite: bool,
        system: System,
        report: Report,
        *,
        fsync: bool = False,
    ) -> None:
        """Take over what earlier runs left; the output is open and locked."""
        self._path = output_name(output.path, system)
        try:
            if isinstance(output, NamedFile):
                resume = Resume(self._journal, output, self._folders, system, report, fsync=fsync)
                self._state = resume.take_over(overwrite=overwrite)
                self._output = output
                output.ahead = self
                output.identities.update(position.identity for position in self._state.past)
            elif isinstance(output, Stream):
                self._state, self.owed = take_over_stream(
                    self._journal, self._path, overwrite=overwrite
                )
                output.behind = self
            self._is_open = True
            self._read = set() if fsync else None
        except OSError as error:
            raise cannot_write_state(self._journal.path, error) from error
        for entry in self._state.entries.values():
            self._met[entry.position.number] = _Met(entry.series, entry.position.head_length)
            self._oldest = min(self._oldest, entry.seen)

    def begin(self) -> None:
        """What was owed to a stream has gone out."""
        try:
            renew(self._journal, self._state)
        except OSError as error:
            raise cannot_write_state(self._journal.path, error) from error
        self.owed = None

    def attach(self, registry: Registry, series: Iterable[Series]) -> dict[str, list[Entry]]:
        """Listen to what becomes known; return what is known by the input's name."""
        registry.tell = self._learn
        registry.missing, registry.tell_missing = self._state.missing, self._miss
        self._series = series
        known: dict[str, list[Entry]] = {}
        for entry in self._state.entries.values():
            known.setdefault(entry.series, []).append(entry)
        return known

    def leave_to_series(self) -> None:
        """What belongs to a series of this run that series alone tells from now on."""
        present = {series.keeping.name for series in tuple(self._series)}
        entries = self._state.entries
        self._state.entries = {n: e for n, e in entries.items() if e.series not in present}
        self._state.origins.clear()

    def _miss(self, name: str) -> None:
        """What is rotated once there is a file of it is new for a later run, too."""
        missing, now = self._state.missing, time.time()
        if now - missing.get(name, 0.0) > REFRESH_SECONDS:
            missing[name] = now
            self._journal.note_missing(name, now)

    def _forget_missing(self, found: set[str]) -> None:
        missing, now = self._state.missing, time.time()
        for name in [n for n in missing if n in found or now - missing[n] > FORGET_SECONDS]:
            del missing[name]

    def _learn(self, keeping: Keeping, generation: Generation) -> None:
        source = generation.source
        number = source.number if source else generation.position and generation.position.number
        met = self._met.get(number or 0)
        known = met is not None and met.series == keeping.name
        if not known or (source and met and _has_grown(source, met.length)):
            self._note(keeping, generation)

    def _note(self, keeping: Keeping, generation: Generation) -> None:
        """Tell the journal of a file, or more of one that it knows."""
        position = keeping.remembered(generation)
        if position is None:
            return
        growing = generation if position.head_length < HEAD else None
        self._met[position.number] = _Met(keeping.name, position.head_length, keeping, growing)
        self._journal.note(Entry(keeping.name, position, generation.size, time.time()))

    # what the output tells before it acts

    def announce(self, batch: Batch, at: int) -> None:
        for span in batch.spans:
            met = self._met.get(span.source)
            if met and met.keeping and met.growing:
                source = met.growing.source
                # What a file begins with tells it from all others: its last lines may be alike.
                if source and source.number == span.source and _has_grown(source, met.length):
                    self._note(met.keeping, met.growing)
        self._journal.announce(batch, at)
        self._announced += batch.length
        if self._read is not None:
            self._read.update(span.source for span in batch.spans)

    def prepare(self, batch: Batch) -> None:
        """A stream is about to get a batch: what cannot be had again is kept."""
        if not (batch.again or batch.spans):
            self._journal.announce(batch, 0)

    def took(self, batch: Batch) -> None:
        """A stream has taken a batch: its positions are written down."""
        self._journal.took(batch)

    def reopened(self, before: Position, now: Position, rest: Batch | None) -> None:
        assert self._output
        self._state.past.append(before)
        del self._state.past[:-PAST_OUTPUTS]
        self._journal.reopened(Mark(self._path, now), self._state.past, rest)

    # what is on the disk, with --fsync

    @property
    def news(self) -> int:
        """Counts what must be on the disk before a batch is written."""
        return self._journal.news

    @property
    def has_loose_news(self) -> bool:
        return self._journal.news != self._synced_news

    def note_synced(self, news: int) -> None:
        """The journal is on the disk as it was when `news` were counted."""
        self._synced_news = news

    def note_written(self) -> None:
        self._journal.note_written()

    def sync_point(self) -> tuple[int, int]:
        return self._journal.sync_point()

    def say_synced(self, point: tuple[int, int] | None, end: int) -> None:
        """Say what is on the disk; without a `point`, that nothing was written yet."""
        point = point or self._journal.sync_point()
        if (point, end) == self._said:
            return
        self._journal.say_synced(point, end)
        self._said = (point, end)
        self._state.synced = (0, end)  # a new checkpoint says it too
        self.is_marked = True

    def duplicate_journal(self) -> list[int]:
        return self._journal.duplicate()

    def duplicate_inputs(self) -> list[int]:
        """Descriptors of the files that were read from since this was asked last."""
        numbers, self._read = self._read or (), set()
        sources = (g.source for series in self._series for g in series.keeping)
        found = []
        for source in sources:
            if source and source.number in numbers:
                try:
                    source.hold()
                    if source.fd < 0:
                        continue  # it was closed
                    found.append(source.system.duplicate(source.fd))
                except OSError:
                    self._read.add(source.number)  # too many are open: with the next group
        return found

    # checkpoints

    def flush(self) -> None:
        """What became known is written down."""
        self._journal.flush()

    @property
    def is_long(self) -> bool:
        """It is time to shorten the journal, and would make it shorter."""
        return self._journal.is_long(ENTRY_BYTES * len(self._met))

    def shorten(self) -> None:
        """Between two batches: a journal that has grown is replaced by a checkpoint."""
        try:
            self._checkpoint()
        except OSError:
            self._journal.put_off()  # a full disk: it goes on growing until there is room

    def begin_shortening(self) -> Checkpoint | None:
        """The same, but for the sync, which is the caller's; None where it cannot be yet."""
        try:
            lines, oldest = self._gather()
            self._gathered = self._announced, oldest
            return self._journal.begin_checkpoint(self._state, lines)
        except OSError:
            self._journal.put_off()
            return None

    def end_shortening(self, new: Checkpoint, *, is_synced: bool) -> None:
        """Between two batches: use it, if it is on the disk."""
        if not is_synced:
            new.drop()
            self._journal.put_off()
            return
        try:
            self._journal.end_checkpoint(new)
        except OSError:
            self._journal.put_off()
            return
        announced, self._oldest = self._gathered
        self._announced -= announced

    def _checkpoint(self) -> None:
        lines, oldest = self._gather()
        self._journal.checkpoint(self._state, lines)
        self._announced, self._oldest = 0, oldest

    def _gather(self) -> tuple[Collection[str], float]:
        """The lines of a checkpoint, and when the file was seen that was not seen for longest.

        The state is brought up to date for its first line, and what it no longer tells is
        forgotten: where there will be no such checkpoint, that is told once more.
        """
        lines: dict[int, str] = {}
        names, oldest = set(), time.time()
        for entry in self._entries():  # ten thousand of them would take 10 MB
            lines[entry.position.number] = format_entry(entry)
            names.add(entry.series)
            oldest = min(oldest, entry.seen)
        state = self._state
        self._forget_missing(names)
        if self._output:
            state.mark = Mark(self._path, self._output.position())
        self._met = {number: self._met[number] for number in lines if number in self._met}
        self.leave_to_series()
        return lines.values(), oldest

    def _entries(self) -> Iterator[Entry]:
        present = {series.keeping.name for series in tuple(self._series)}
        for entry in self._state.entries.values():
            if entry.series not in present and not self._is_forgotten(entry):
                yield entry
        for series in tuple(self._series):  # the main loop may add one meanwhile
            yield from series.keeping.entries()

    def close(self, *, whole: bool) -> None:
        """The end of the run; `whole`: every batch that was begun was written.

        Where nothing happened nothing is written. A checkpoint is synced, which on ext4 takes as
        long as what was just written to any file takes to reach the disk. Where that is much the
        next run makes the checkpoint.
        """
        stale = time.time() - self._oldest > REFRESH_SECONDS
        if self._is_open and whole and not self.owed and (self._journal.has_grown or stale):
            self._state.synced = None
            try:
                much = self._announced > MUCH and not stale  # when files were seen is only there
                if self._output and self._read is None and much:
                    mark = Mark(self._path, self._output.position())
                    self._journal.reopened(mark, self._state.past, None)  # all before is whole
                else:
                    self._checkpoint()
            except OSError:
                pass  # the journal says the same at greater length
        self._journal.close()

    def _is_forgotten(self, entry: Entry) -> bool:
        """Not seen for so long, though its folder is there."""
        if time.time() - entry.seen < FORGET_SECONDS:
            return False
        folders = {os.path.dirname(entry.series), os.path.dirname(entry.position.path)}
        return all(map(self._folders.is_folder, folders))
