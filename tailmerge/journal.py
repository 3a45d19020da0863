"""The state file: locked, read, written ahead.

What is about to be written to the output is appended here first, so that the next run can
prove what reached it (recovery.py). When the journal has grown it is replaced by a new
checkpoint (checkpoint.py).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterable

from tailmerge.batch import Batch
from tailmerge.checkpoint import Checkpoint
from tailmerge.kept import Kept
from tailmerge.leftovers import remove_leftovers
from tailmerge.peek import Peek
from tailmerge.position import Position, digest
from tailmerge.report import output_busy, unusable_state
from tailmerge.state import (
    PID_WIDTH,
    SETTLED,
    Entry,
    Mark,
    Record,
    State,
    format_entry,
    format_mark,
    format_missing,
    format_record,
    format_synced,
    parse_state,
)
from tailmerge.system import System, identity

JOURNAL_BYTES = 512 * 1024
"""A journal of this size is replaced by a checkpoint, unless that is longer itself."""

TAIL = 1024 * 1024
"""So many bytes of it are copied behind a checkpoint in one go."""


def default_state(output_path: str) -> str:
    return output_path + ".tailmerge"


class Journal:
    """One run's hold on its state. It belongs to the thread that owns the files."""

    def __init__(self, path: str, system: System, peek: Peek | None = None) -> None:
        """Nothing is opened yet; `peek` is what the state said without a lock."""
        self.path = path
        self._peek = peek
        self._system = system
        self._fd = -1
        self.kept = Kept(path, system)
        self._size = 0
        self._checkpoint_size = 0
        self._most = JOURNAL_BYTES
        self._notes: list[str] = []
        self._unsettled_kept = False
        self._epoch = 0
        """How often the records began anew: with a checkpoint, or another output."""
        self._records = self._written = 0
        """Batches since then: announced, and written whole."""
        self.news = 0
        """Counts what must be on the disk before a batch is written."""
        self.state = State()

    # opening

    def open(self, owner: int | None, *, overwrite: bool) -> bool:
        """Lock the state and read it; False where there is none yet.

        `owner` is the user id of the output's owner. With `overwrite` what it says does
        not matter, but it is locked all the same.

        Raises:
            StateError: it cannot be used, or is damaged.
            Busy: another tailmerge has it.
        """
        while True:
            try:
                fd = self._system.open(self.path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
            except FileNotFoundError:
                return False
            except OSError as error:
                raise self._cannot_use(error) from error
            try:
                self._check_owner(fd, owner)
                self._lock(fd)
                if self._has_name(fd):
                    self._fd = fd
                    break
            except BaseException:
                self._system.close(fd)
                raise
            self._system.close(fd)  # it was replaced between our open and our lock
        self._read(overwrite)
        remove_leftovers(self._system, self.path)
        return True

    def _cannot_use(self, error: OSError) -> Exception:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            return unusable_state(self.path, "is a symbolic link, which is not followed")
        return unusable_state(self.path, f"cannot be used: {error.strerror or error}".lower())

    def _check_owner(self, fd: int, owner: int | None) -> None:
        status = self._system.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise unusable_state(self.path, "is not a regular file")
        if status.st_uid not in (os.geteuid(), 0, owner):
            raise unusable_state(self.path, f"belongs to another user (id {status.st_uid})")

    def _lock(self, fd: int) -> None:
        try:
            self._system.lock(fd)
        except BlockingIOError:
            raise output_busy(self.path, _pid(self._system.read_at(fd, 200, 0))) from None

    def _has_name(self, fd: int) -> bool:
        try:
            return identity(self._system.stat(self.path)) == identity(self._system.fstat(fd))
        except FileNotFoundError:
            return False

    def _read(self, overwrite: bool) -> None:
        size = self._system.fstat(self._fd).st_size
        text = self._system.read_all_at(self._fd, size, 0)
        self._size = self._checkpoint_size = text.rfind(b"\n") + 1
        self._most = max(JOURNAL_BYTES, self._checkpoint_size)
        if not overwrite:
            peek, self._peek = self._peek, None  # what is made of it is changed from now on
            if peek and peek.text == text:
                self.state = peek.state
            else:
                self.state = parse_state(text, self.path, self._system.boot())
            self._write_pid()

    def _write_pid(self) -> None:
        """In place: whoever finds the state locked can say by whom."""
        start = self._system.read_at(self._fd, 64, 0).find(b'"pid": "')
        if start >= 0:
            self._system.write_at(self._fd, b"%*d" % (PID_WIDTH, os.getpid()), start + 8)

    # writing ahead

    def announce(self, batch: Batch, at: int) -> None:
        """Say what is about to be written behind the output's byte `at`.

        A kill before this is complete leaves a torn line, or none: nothing was written. A
        kill after it leaves a record whose bytes may be in the output, or not, or partly.

        Raises:
            OSError: the journal cannot grow; it is as it was, and this can be tried again.
        """
        if not batch.again and batch.kept_at is None:
            self._keep(batch)
        record = _record_of(batch, at, kept=not batch.again)
        self._append("".join(self._notes) + record if self._notes else record)
        self._records += 1
        self._clear_notes()

    def announce_rest(self, record: Record) -> None:
        """Say anew what is still to be written of a batch that is kept.

        Raises:
            OSError: the journal cannot grow; it is as it was.
        """
        reaches = [(r.source, r.start, r.end, r.marker) for r in record.reaches]
        self._append(
            format_record(
                reaches, record.at, record.length, record.first, record.last, True, record.skip
            )
        )

    def _clear_notes(self) -> None:
        self.news += bool(self._notes)
        self._notes.clear()

    def _begin_records(self) -> None:
        self._epoch += 1
        self._records = self._written = 0

    def _keep(self, batch: Batch) -> None:
        """Keep the bytes of a batch that no later run could have again."""
        if self._unsettled_kept:
            self._append(SETTLED)  # or a kill below leaves a record without its bytes
            self._unsettled_kept = False
        self.kept.write(batch.pieces(0))
        self._unsettled_kept = True

    def took(self, batch: Batch) -> None:
        """A batch is out: said afterwards, of an output that cannot be looked at again."""
        line = SETTLED if self._unsettled_kept else ""
        self._unsettled_kept = False
        if batch.spans:
            line = _record_of(batch, 0, kept=False) + SETTLED
        if line:
            self._notes.append(line)
            self.flush()  # where the disk is full, with the next one: it would come again

    def note(self, entry: Entry) -> None:
        """A file became known: said with the next record, which may be about it."""
        self._notes.append(format_entry(entry))

    def note_missing(self, name: str, seen: float) -> None:
        """There is no file of an input yet: said with the next record."""
        self._notes.append(format_missing(name, seen))

    def reopened(self, mark: Mark, past: Iterable[Position], rest: Batch | None) -> None:
        """The output is another file now; all batches before are whole in the old one.

        But for the `rest` of the last, which goes to the new one: said in the same write,
        or a kill would leave it in neither. Or it is the same file, and all are whole in it:
        the end of a run that makes no checkpoint.
        """
        text = "".join(self._notes) + format_mark(mark, past)
        is_told = rest is not None and bool(rest.length or rest.spans)
        if rest and is_told:
            text += _record_of(rest, mark.position.offset, kept=not rest.again)
        self._append(text)
        self._clear_notes()
        self.news += 1
        self._begin_records()
        self._records = int(is_told)
        self._unsettled_kept = bool(self._records and rest and not rest.again)

    def _append(self, text: str) -> None:
        data = text.encode("ascii")
        try:
            written = self._system.write_at(self._fd, data, self._size)
            if written < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            self._system.truncate(self._fd, self._size)  # no torn line in the middle, ever
            raise
        self._size += len(data)

    def flush(self) -> None:
        """Write down what became known; where the disk is full, with the next batch."""
        if self._notes:
            try:
                self._append("".join(self._notes))
            except OSError:
                return  # announce() tries again, and waits
            self._clear_notes()

    # what is on the disk

    def note_written(self) -> None:
        """Every batch that was announced is whole in the output."""
        self._written = self._records

    def sync_point(self) -> tuple[int, int]:
        """What is written now, for `say_synced` once that is on the disk."""
        return (self._epoch, self._written)

    def say_synced(self, point: tuple[int, int], end: int) -> None:
        """The output was synced as it was at `point`, up to its byte `end`.

        Raises:
            OSError: the journal cannot grow; it is as it was.
        """
        if point[0] == self._epoch:
            self._append(format_synced(point[1], end))

    def duplicate(self) -> list[int]:
        """Descriptors of all that stands for the journal, to be synced and closed."""
        return [self._system.duplicate(fd) for fd in (self.kept.fd, self._fd) if fd >= 0]

    @property
    def has_grown(self) -> bool:
        """There is a journal behind the checkpoint."""
        return self._size > self._checkpoint_size or bool(self._notes)

    def is_long(self, least: int) -> bool:
        """It is time for a checkpoint, which is not made for less than `least` bytes."""
        return self._size - self._checkpoint_size > max(self._most, least)

    def put_off(self) -> None:
        """A checkpoint could not be written: try again when the journal has grown again."""
        self._most += JOURNAL_BYTES

    # checkpoints

    def checkpoint(self, state: State, entries: Collection[str] | None = None) -> None:
        """Replace the state by a new one without a journal, which is synced first.

        `entries` are the lines of its files; None: the ones that it holds itself.

        Raises:
            OSError: it cannot be written; the old one stands.
        """
        new = self._write(state, entries)
        try:
            self._system.sync(new.fd)
            new.give_name(instead=self._fd >= 0)
        except BaseException:
            new.drop()
            raise
        self._use(new, new.size)
        self._notes.clear()
        self._unsettled_kept = False
        self._system.sync_folder(os.path.dirname(self.path) or ".")

    def begin_checkpoint(self, state: State, entries: Collection[str]) -> Checkpoint:
        """The same, but for the sync, which is the caller's, while the old one goes on.

        Raises:
            OSError: it cannot be written.
        """
        self.flush()
        if self._notes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        new = self._write(state, entries)
        new.since = self._size
        return new

    def end_checkpoint(self, new: Checkpoint) -> None:
        """Use what is synced now, with all that was told since it was begun behind it.

        What is told since then is as safe as what is told now. Nor is the folder synced: after
        a power cut the name may lead to the old one.

        Raises:
            OSError: it cannot be done; the old one stands.
        """
        size, at = new.size, new.since
        try:
            while at < self._size:  # behind a disk that hangs it may be long
                part = self._system.read_at(self._fd, min(TAIL, self._size - at), at)
                if not part:
                    raise OSError(errno.EIO, "the state was cut")
                at += new.add(part)
            new.give_name(instead=True)
        except BaseException:
            new.drop()
            raise
        self._use(new, size)

    def _write(self, state: State, entries: Collection[str] | None) -> Checkpoint:
        state.boot = self._system.boot()
        if entries is None:
            entries = [format_entry(entry) for entry in state.entries.values()]
        new = Checkpoint(self.path, self._system)
        try:
            new.write(state, entries)
        except BaseException:
            new.drop()
            raise
        return new

    def _use(self, new: Checkpoint, checkpoint_size: int) -> None:
        if self._fd >= 0:
            self._system.close(self._fd)
        self._fd, self._size, self._checkpoint_size = new.fd, new.size, checkpoint_size
        self._most = max(JOURNAL_BYTES, checkpoint_size)  # of many it takes as long as it is long
        self._begin_records()

    def close(self) -> None:
        """Let go of the state, and of the lock with it."""
        self.kept.close()
        if self._fd >= 0:
            self._system.close(self._fd)
        self._fd = -1


def _record_of(batch: Batch, at: int, *, kept: bool) -> str:
    """The line of a batch that is to be written behind the output's byte `at`."""
    first = digest(batch.first)
    last = first if batch.last == batch.first else digest(batch.last)
    ends = {batch.last: last}  # of one span it is the marker, too
    reaches = [(s, a, e, ends.get(m) or digest(m)) for s, a, e, m in batch.spans]
    skip = batch.kept_at or 0
    return format_record(reaches, at, batch.length, first, last, kept, skip, batch.label)


def _pid(text: bytes) -> int | None:
    _, _, rest = text.partition(b'"pid": "')
    number = rest[:PID_WIDTH].strip()
    return int(number) if number.isdigit() else None
