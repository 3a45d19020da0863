"""What is ours: the output, its state and its own rotated copies, which are never inputs.

A name is ours by where it leads, be the file there or not; a file by device and inode; a
copy that rotation made of the output by its content, which the state tells of, and the
output itself before each batch. It blocks: call it on a lane.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Container, Iterable

from tailmerge.batch import Batch
from tailmerge.discover import (
    NOT_PLAIN,
    STDIN,
    Discovery,
    Found,
    Kind,
    Places,
    Unchanged,
    discover,
)
from tailmerge.journal import default_state
from tailmerge.kept import KEPT_SUFFIX
from tailmerge.named import Ahead, NamedFile
from tailmerge.output import Output
from tailmerge.peek import Peek, peek
from tailmerge.position import Position, digest, fits, position_of
from tailmerge.recovery import edges_fit
from tailmerge.registry import Registry
from tailmerge.report import StateError, closed_output, others_state
from tailmerge.resend import output_name
from tailmerge.rotation import rotated_forms
from tailmerge.state import Record, State
from tailmerge.system import Identity, System, identity, is_regular

REMEMBERED = 20
"""Beginnings of outputs that are remembered."""


class Met:
    """Names that are followed, or were skipped and spoken of; a set of all takes more memory."""

    def __init__(self, followed: Container[str]) -> None:
        self.skipped: set[str] = set()
        self._followed = followed

    def __contains__(self, name: object) -> bool:
        return name in self._followed or name in self.skipped


class Own:
    """The files of one run that its inputs must not be."""

    def __init__(
        self,
        output_path: str,
        state_path: str | None,
        registry: Registry,
        system: System,
        inputs: System | None = None,
    ) -> None:
        """Nothing is looked at yet. `inputs` are the calls for inputs (guarded.py): what is ours is
        waited for, and so is what may be."""
        self._output_path = output_path
        self._state_path = state_path
        self._registry = registry
        self._system = system
        self._inputs_system = inputs or system
        self._output = ""
        """Where the output's name leads; empty for standard output."""
        self._unchanged = Unchanged(self._inputs_system)
        self._states: set[str] = set()
        self._files: set[Identity] = set()
        self._contents: list[Position] = []
        """What was in the output before this run."""
        self._inputs: list[Position] = []
        """What earlier runs read, until the registry knows."""
        self._remembered: Collection[str] = ()
        """The inputs they came from, by their absolute names, until the names are looked at."""
        self._beginnings: tuple[Record, ...] = ()
        """Batches that an output began with. Replaced, never changed: two threads have it."""
        self._ahead: Ahead | None = None
        self.resumes = False
        """There is a state."""
        self._peeked: Peek | None = None
        """What it said; for who takes it over."""

    def take_peek(self) -> Peek | None:
        """What the state said, to who takes it over: nobody else keeps it."""
        peeked, self._peeked = self._peeked, None
        return peeked

    def look(self, *, overwrite: bool = False) -> None:
        """Look at the output and the state as they are before the run touches them.

        Raises:
            OutputError: standard output is the output, and closed.
            UsageProblem: the state belongs to another output; neither is touched.
        """
        if self._output_path == STDIN:
            if not self._system.can_write(1):
                raise closed_output()
        else:
            self._output = self._system.real(self._output_path)
            states = {default_state(self._output_path), default_state(self._output)}
            self._states = {self._place(state) for state in states}
        self._look_at_output()
        if self._state_path:
            self._states.add(self._place(self._state_path))
            if state := self._peek(self._state_path):
                path = output_name(self._output_path, self._system)
                if state.mark and state.mark.path != path and not overwrite:
                    raise others_state(self._state_path, state.mark.path)
                self._learn(state)
                if not overwrite:
                    self._remembered = {entry.series for entry in state.entries.values()}
        self._remember_content()

    def _learn(self, state: State) -> None:
        """What was the output, and what was an input, before this run."""
        self.resumes = True
        self._files.update(position.identity for position in state.past)
        self._contents += state.past
        if state.mark:
            self._contents.append(state.mark.position)
        self._inputs = [entry.position for entry in state.entries.values()]
        self._beginnings = tuple(
            record for record in state.records if record.at == 0 and record.length
        )

    def leave_inputs(self) -> None:
        """What earlier runs read the registry knows from now on."""
        self._inputs = []

    def _look_at_output(self) -> None:
        """Remember which file it is, where it could be among the inputs."""
        try:
            if self._output_path == STDIN:
                status = self._system.fstat(1)
            else:
                status = self._system.stat(self._output_path)
        except OSError:
            return  # not there yet, or opening it will say why not
        if is_regular(status) or stat.S_ISFIFO(status.st_mode):
            self._files.add(identity(status))

    def _peek(self, path: str) -> State | None:
        try:
            self._peeked = peek(path, self._system)
        except StateError:
            return None  # there is none yet, or who takes it over says what is wrong with it
        return self._peeked.state

    def _remember_content(self) -> None:
        """What is in the output now: a copy that is made of it is known by that."""
        if not self._output:
            return
        try:
            fd = self._system.open(self._output, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return  # not there, or only to be written: then the state alone tells
        try:
            status = self._system.fstat(fd)
            if is_regular(status):
                position = position_of(self._system, fd, self._output, status.st_size)
                self._contents.append(position)
        finally:
            self._system.close(fd)

    # what the output tells before it acts, on the thread that owns the files

    def listen(self, output: Output | None) -> None:
        """Hear what the output begins with, each time that it is emptied or opened anew."""
        if isinstance(output, NamedFile):
            self._ahead, output.ahead = output.ahead, self

    def announce(self, batch: Batch, at: int) -> None:
        if self._ahead:
            self._ahead.announce(batch, at)
        if at == 0 and batch.length:
            record = Record((), at, batch.length, digest(batch.first), digest(batch.last))
            self._beginnings = (*self._beginnings, record)[-REMEMBERED:]

    def reopened(self, before: Position, now: Position, rest: Batch | None) -> None:
        if self._ahead:
            self._ahead.reopened(before, now, rest)

    # among the names

    def survey(
        self,
        names: Iterable[str],
        known: Container[str] = frozenset(),
        outputs: frozenset[Identity] = frozenset(),
    ) -> tuple[Discovery, set[str]]:
        """What there is behind the names, but for `known` ones, and which of it is ours.

        `known` is only asked for names, and may grow meanwhile. `outputs` are files that are
        or were the output.
        """
        self._files |= outputs
        remembered, self._remembered = self._remembered, ()
        discovery = discover(names, self._inputs_system, known, self._unchanged, remembered)
        found = (file for file in discovery.found if file.kind is not Kind.STDIN)
        files, places = self._files | self._find_states(), Places(self._inputs_system.real)
        return discovery, {file.name for file in found if self._is_ours(file, files, places)}

    def _find_states(self) -> set[Identity]:
        found = set()
        for state in self._states:
            for path in (state, state + KEPT_SUFFIX):
                try:
                    found.add(identity(self._system.stat(path)))
                except OSError:
                    continue  # not there yet
        return found

    def _is_ours(self, found: Found, files: set[Identity], places: Places) -> bool:
        """Whether this is ours: one of the files, or where one of ours will be."""
        if found.identity in files:
            return True
        place = places.find(found.name)
        # A link to a file of ours was one of them.
        stands = found.kind is Kind.FILE or not self._inputs_system.is_link(place)
        plain = stands and os.path.basename(place) not in NOT_PLAIN
        real = place if plain else self._inputs_system.real(found.name)
        if self._output and real == self._output:
            return True
        if self._states and (self._is_state(real) or self._is_state(place)):
            return True
        if not self._output:
            return False
        return found.matched and found.kind is Kind.FILE and self._is_copy(found)

    def _place(self, name: str) -> str:
        """The name itself, a link not followed, in the folder where it really is."""
        return Places(self._system.real).find(name)

    def _is_state(self, name: str) -> bool:
        """Whether it is a state, stands beside one, or is a new one in the making."""
        if name in self._states or name.removesuffix(KEPT_SUFFIX) in self._states:
            return True
        if not name.endswith(".tmp"):
            return False
        front, _, pid = name.removesuffix(".tmp").rpartition(".")
        return pid.isdigit() and front in self._states

    def _is_copy(self, found: Found) -> bool:
        """Whether rotation made this file of the output: by content, where the name allows."""
        forms = {form.base for form in rotated_forms(os.path.basename(found.name))}
        if not forms:
            return False  # most of ten thousand
        if not forms & {os.path.basename(self._output), os.path.basename(self._output_path)}:
            return False
        owner = found.identity and self._registry.owner(found.identity)
        if owner and owner[1].source:
            return False  # an input that is held open
        try:
            fd = self._system.open(found.name, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return False  # as an input it is tried again, and said
        try:
            known = [p for p in self._inputs if p.identity == found.identity]
            known += [owner[1].position] if owner and owner[1].position else []
            is_input = any(fits(self._system, fd, position) for position in known)
            return not is_input and self._has_been_output(fd)
        finally:
            self._system.close(fd)

    def _has_been_output(self, fd: int) -> bool:
        if any(p.offset and fits(self._system, fd, p) for p in self._contents):
            return True
        return any(
            edges_fit(record, lambda length, offset: self._system.read_at(fd, length, offset))
            for record in self._beginnings
        )
