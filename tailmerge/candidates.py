"""Rotated files that may be known ones: each opened once, compared by content.

Within a run, what is held open is known by its descriptor. All other files of a series are
candidates: their bytes are compared with what a position recorded, or with another file.
The ones that are not taken are closed again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from tailmerge.examiner import Examiner
from tailmerge.hands import Hands
from tailmerge.match import Seen
from tailmerge.packed import PackedSource, open_any
from tailmerge.position import Position, holds
from tailmerge.source import Source, open_source
from tailmerge.system import Identity, System


class Unclear(Exception):
    """A file could not be compared: nothing is decided about it, and it is tried again."""

    def __init__(self, file: Seen, error: OSError) -> None:
        super().__init__(file, error)
        self.file = file
        self.error = error


class Candidates:
    """The unknown files of one look, open as long as it lasts."""

    def __init__(
        self,
        system: System,
        known: Iterable[Source],
        hands: Hands | None = None,
        examiner: Examiner | None = None,
    ) -> None:
        """`known` are the series' files that are held open, by these `hands`; what the
        `examiner` decompressed is not decompressed here."""
        self._hands = hands
        self._examiner = examiner
        self._system = system
        self._known: dict[Identity, Source] = {source.identity: source for source in known}
        self._opened: dict[str, Source | None] = {}
        self._failed: dict[str, OSError] = {}
        """Why a file could not be opened: one answer for the whole look."""

    def open(self, file: Seen) -> Source | None:
        """The open file; None where it cannot be opened, or is no longer the one seen."""
        if file.identity in self._known:
            return self._known[file.identity]
        if file.path not in self._opened:
            self._opened[file.path] = self._open(file)
        return self._opened[file.path]

    def must_open(self, file: Seen) -> Source:
        """The open file.

        Raises:
            FileNotFoundError: there is no such file, or another one has its name now.
            OSError: it cannot be opened.
        """
        if source := self.open(file):
            return source
        raise self._failed[file.path]

    def _open(self, file: Seen) -> Source | None:
        answer = self._examiner.answer(file) if self._examiner else None
        try:
            if isinstance(answer, OSError):
                raise answer
            source = open_any(
                self._system, file.path, self._hands, file=file.identity, check=answer is None
            )
        except OSError as error:  # renamed since it was seen, or closed to us, or damaged
            self._failed[file.path] = error
            return None
        if answer and isinstance(source, PackedSource):
            source.is_whole(*answer)
        return source

    def fits(self, position: Position, file: Seen) -> bool:
        """Whether a file holds what a position recorded.

        Raises:
            Unclear: it could not be read.
        """
        try:
            if position.packed and file.path not in self._opened:
                return self._fits_packed(position, file)
            source = self.open(file)
            return source is not None and source.fits(position)
        except OSError as error:
            raise Unclear(file, error) from error

    def _fits_packed(self, position: Position, file: Seen) -> bool:
        """By its bytes as they are: to decompress all that is kept at each look would take long."""
        if file.size != position.offset:
            return False
        try:
            source = open_source(self._system, file.path, self._hands)
        except OSError:
            return False  # as in `open`
        try:
            return source.identity == file.identity and holds(source.read_at, position)
        finally:
            source.close()

    def is_copy(self, file: Seen, other: Seen) -> bool:
        """Whether `other` begins with all the bytes of `file`.

        Raises:
            Unclear: one of them could not be read.
        """
        copy, original = self.open(file), self.open(other)
        if copy is None or original is None:
            return False
        try:
            return original.begins_with(copy, copy.size())
        except OSError as error:
            raise Unclear(file, error) from error

    def find_shorter_copy(self, files: Iterable[Seen], cut: Source) -> Seen | None:
        """The oldest file that holds the beginning of what `cut` was.

        Lines that came between the copying and the cutting were forwarded and are not in
        the copy (history.py).

        Raises:
            Unclear: one of them could not be read.
        """
        for file in files:
            source = self.open(file)
            if not source or file.live:
                continue
            try:
                size = source.size()
                if 0 < size < cut.offset and cut.history.begins_with(source.read_at, size):
                    return file
            except OSError as error:
                raise Unclear(file, error) from error
        return None

    def take(
        self, file: Seen, position: Position | None = None, held: Source | None = None
    ) -> Source:
        """Keep this file open beyond the look, to be read on from a position.

        None: it is new, and is read from where it is. `held` is the same content, read ahead:
        it is read on from there, and its next read proves that.

        Raises:
            Rewritten: the file was cut since it was compared.
        """
        source = self._opened[file.path]
        assert source is not None, f"{file.path} was not opened"
        if position:
            if held:
                source.go_on_as(held)
            else:
                source.resume_at(position)
            source.number = position.number or source.number
        elif not source.offset:
            source.start_at(0)
        del self._opened[file.path]
        return source

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for source in self._opened.values():
            if source:
                source.close()
