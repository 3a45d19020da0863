"""Where each input stands: `--status`, which only looks.

The state is read without a lock, and its positions are matched with the files that are
there as the next run would match them. One row a file, a series' files under each other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from tailmerge.candidates import Candidates
from tailmerge.folders import Folders
from tailmerge.links import find_lead
from tailmerge.match import Seen, match
from tailmerge.peek import read_state
from tailmerge.position import Position
from tailmerge.recovery import edges_fit
from tailmerge.report import others_state
from tailmerge.resend import STANDARD_OUTPUT
from tailmerge.standing import GONE, Standing, lay_out
from tailmerge.state import Entry, State
from tailmerge.system import System, identity, is_regular
from tailmerge.wording import show


@dataclass(frozen=True, slots=True)
class Status:
    """What a state tells, matched with what is there."""

    state: str
    """The state's own name."""
    output: str
    """The absolute name of the output; empty where the state does not tell."""
    output_size: int | None
    """Bytes; None where it is gone, or no file."""
    files: tuple[Standing, ...]
    """A series' files under each other, oldest first."""

    @property
    def behind(self) -> int:
        """Bytes of all files that are not merged."""
        return sum(file.behind for file in self.files)


def describe(status: Status) -> str:
    """The table that is shown, with a newline behind each line."""
    rows = [file.row() for file in status.files]
    if status.output == STANDARD_OUTPUT:
        rows.append(("standard output", "", "", ""))
    else:
        size = GONE if status.output_size is None else str(status.output_size)
        rows.append((f"output {show(status.output)}", "", size, ""))
    return "".join(lay_out(rows))


def describe_for_programs(status: Status) -> str:
    """One JSON document; bytes of names that are not UTF-8 are lone surrogates."""
    import json  # not for the runs that merge

    inputs = [
        {
            "input": file.series,
            "path": file.path,
            "offset": file.offset,
            "size": file.size,
            "behind": file.behind,
        }
        for file in status.files
    ]
    document = {
        "output": status.output,
        "output_size": status.output_size,
        "state": status.state,
        "behind": status.behind,
        "inputs": inputs,
    }
    return json.dumps(document, indent=2) + "\n"


def read_status(state_path: str, output_path: str | None, system: System) -> Status:
    """Where each input stands, without a lock.

    `output_path` is the output that the state is expected to belong to, where one was named.

    Raises:
        StateError: there is no state, or it is damaged.
        UsageProblem: it belongs to another output.
    """
    state = read_state(state_path, system)
    output = state.mark.path if state.mark else ""
    if output_path is not None and output and output != system.absolute(output_path):
        raise others_state(state_path, output)
    _settle(state, output, system)
    series: dict[str, list[Entry]] = {}
    for entry in state.entries.values():
        series.setdefault(entry.series, []).append(entry)
    folders = Folders(system)
    places = (os.path.dirname(entry.position.path) for entry in state.entries.values())
    folders.name((place, place) for place in places)
    for name, entries in series.items():
        folders.claim(name, find_lead(name, system))
        for entry in entries:
            folders.links.remember(name, entry.position.path)
    files = [
        file._replace(series=name)
        for name, entries in series.items()
        for file in _find_standing(name, entries, folders, system)
    ]
    size = None if output == STANDARD_OUTPUT else _output_size(output, system)
    return Status(system.absolute(state_path), output, size, tuple(files))


def _settle(state: State, output: str, system: System) -> None:
    """The last batch counts where it is whole in the output."""
    if not state.records:
        return
    record = state.records[-1]
    try:
        fd = system.open(output, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        whole = _is_out(state)  # nothing to be seen: what the state says
    else:
        try:
            whole = _is_out(state) or edges_fit(record, lambda n, at: system.read_at(fd, n, at))
        finally:
            system.close(fd)
    if whole:
        state.advance(record)


def _is_out(state: State) -> bool:
    """Whether the last batch needs no proof: it was said to be out, or has no bytes."""
    return state.settled or state.records[-1].length == 0


def _output_size(output: str, system: System) -> int | None:
    try:
        return system.stat(output).st_size
    except OSError:
        return None


def _find_standing(
    name: str, entries: list[Entry], folders: Folders, system: System
) -> Iterator[Standing]:
    """The files of one series, oldest first; what is gone before what is there."""
    there = list(_find_files(name, folders, system))
    positions: list[tuple[Entry, Position]] = [(entry, entry.position) for entry in entries]
    with Candidates(system, ()) as candidates:
        matching = match(positions, there, [], candidates.fits, candidates.is_copy)
    matched = {file.path: entry for entry, file in matching.pairs}
    met = {entry.position.number for entry in matched.values()}
    for entry in entries:
        if entry.position.number not in met:
            position = entry.position
            same = _see(position.path, system, False)  # a compressed one stays where it was read
            stays = same and same.identity == position.identity and same.path not in matched
            size = same.size if same and stays else None
            yield Standing(position.path, position.offset, size, entry.size)
    new = {file.path for file in matching.new}
    for file in there:
        if file.path in matched or file.path in new:
            entry_of = matched.get(file.path)
            offset = entry_of.position.offset if entry_of else 0
            yield Standing(file.path, offset, file.size, file.size)


def _find_files(name: str, folders: Folders, system: System) -> Iterator[Seen]:
    """The plain files of a series, oldest first, the live one last."""
    live, files = _see(name, system, True), []
    for form in folders.find_forms(name, name, 0.0):
        seen = None if form.rotated.compressed else _see(form.path, system, False)
        if seen and not (live and seen.identity == live.identity):  # by a link it is both
            files.append((form.age_order(seen.modified), seen))
    yield from (seen for _, seen in sorted(files, key=lambda pair: pair[0]))
    if live:
        yield live


def _see(path: str, system: System, live: bool) -> Seen | None:
    try:
        status = system.stat(path)
    except OSError:
        return None  # gone, or closed to us: its row says so
    if not is_regular(status):
        return None
    return Seen(path, identity(status), status.st_size, status.st_mtime, live=live)
