"""The state's text: what a run leaves for the next one, as lines that a person can read.

A checkpoint (a line about the run and its output, then one a file), then the journal: one line
for each batch, written before its bytes, and one for each file that became known since. Every
line is a JSON object. Pure functions; journal.py writes and locks the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple

from tailmerge.position import EMPTY, HEAD, MARKER, Position
from tailmerge.report import StateError, damaged_state, newer_state

FORMAT = 1
"""The version of the format; a state of a newer one is refused."""

FORGET_SECONDS = 30 * 24 * 3600.0
"""How long a position is kept after its file was last seen, where its folder is there."""

DAMAGE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading a line raises that no tailmerge wrote."""

TOGETHER = 200
"""So many lines are read, or written, in one go: one by one they take longer, all take memory."""

PID_WIDTH = 10
"""The pid's field in the first line: as wide as any, so that it is written in place."""


class Entry(NamedTuple):
    """One file of an input, and up to where it was forwarded."""

    series: str
    """The input's own name, absolute."""
    position: Position
    size: int
    """The file's size when it was last seen, bytes."""
    seen: float
    """When it was last seen, seconds since the epoch."""


class Mark(NamedTuple):
    """The output as it was when the checkpoint was written or it was opened anew, absolute."""

    path: str
    position: Position
    """Identity, length, head and marker, as of an input read to its end."""


class Reach(NamedTuple):
    """Up to where a batch carries one source."""

    source: int
    start: int
    end: int
    marker: str


class Record(NamedTuple):
    """A batch that was announced."""

    reaches: tuple[Reach, ...]
    at: int
    """The output's true length before the batch, bytes."""
    length: int
    first: str
    """A digest of the batch's first bytes."""
    last: str
    """A digest of its last bytes."""
    kept: bool = False
    """Its bytes are in the file beside the state."""
    skip: int = 0
    """From which byte on; before it is what was written whole, of the same batch."""
    label: bytes = b""
    """What stands before each line in the output."""

    def split(self) -> Iterator[Record]:
        """The parts of its sources, where its bytes are theirs as they are."""
        if self.kept or len(self.reaches) < 2:
            yield self
            return
        at = self.at
        for reach in self.reaches:
            length = reach.end - reach.start
            yield self._replace(reaches=(reach,), at=at, length=length)
            at += length


class State:
    """All that the last run left."""

    def __init__(
        self,
        mark: Mark | None = None,
        boot: str = "",
        entries: dict[int, Entry] | None = None,
        starting_over: bool = False,
    ) -> None:
        self.mark = mark
        self.boot = boot
        self.entries = entries or {}
        self.records: list[Record] = []
        """Since the checkpoint, or since the output was opened anew; all but the last settled."""
        self.settled = True
        """The last record, too, is known to be whole in the output."""
        self.has_journal = False
        """There was more than a checkpoint where it was read from."""
        self.starting_over = starting_over
        """An --overwrite was begun and not finished."""
        self.synced: tuple[int, int] | None = None
        """With --fsync: how many of the records are on the disk with their bytes, and how long
        the output was then, bytes. None: nobody saw to that."""
        self.past: list[Position] = []
        """Files that were the output before: never inputs."""
        self.missing: dict[str, float] = {}
        """Inputs of which there was no file yet, by their absolute names, and when that was
        seen last, seconds since the epoch: what is rotated once they are there is new."""
        self.origins: dict[int, Entry] = {}
        """The entries as they were before the first of the records."""

    def go_back(self, count: int) -> None:
        """To where the inputs were behind so many of the records."""
        self.entries = dict(self.origins)
        for record in self.records[:count]:
            self.advance(record)

    def announce(self, record: Record) -> None:
        """The next batch: all before it are whole, but for what this one begins with again.

        That was begun and is written elsewhere: behind what others appended, or in a new file.
        """
        if self.records:
            self.advance(self.records[-1])
        for known in (self.entries,) if self.records else (self.entries, self.origins):
            for reach in record.reaches:
                entry = known.get(reach.source)
                if entry and entry.position.offset > reach.start:
                    position = entry.position._replace(
                        offset=reach.start, marker=EMPTY, marker_length=0
                    )
                    known[reach.source] = entry._replace(position=position)
        self.records.append(record)
        self.settled = False

    def advance(self, record: Record) -> None:
        """The batch is in the output: its sources are read up to its ends."""
        for reach in record.reaches:
            entry = self.entries.get(reach.source)
            if entry:
                position = entry.position._replace(
                    offset=reach.end,
                    marker=reach.marker,
                    marker_length=min(MARKER, reach.end),
                )
                size = max(entry.size, reach.end)
                self.entries[reach.source] = entry._replace(position=position, size=size)


def _name(text: object) -> str:
    if not isinstance(text, str) or not text or "\0" in text:
        raise ValueError("not a file's name")
    return text


def _offset(number: Any) -> int:
    value = int(number)
    if not 0 <= value < 2**63:
        raise ValueError("not a number of bytes")
    return value


def _time(number: Any) -> float:
    seconds = float(number)
    if not abs(seconds) < float("inf"):
        raise ValueError("not a time")
    return seconds


def _record(data: dict[str, Any]) -> Record:
    reaches = tuple(Reach(int(s), _offset(a), _offset(e), str(m)) for s, a, e, m in data["from"])
    if any(reach.start > reach.end for reach in reaches):
        raise ValueError("not a part of a file")
    first, last = data["edges"]
    at, length = _offset(data["at"]), _offset(data["length"])
    kept, skip = bool(data.get("kept")), _offset(data.get("skip", 0))
    label = str(data.get("label", "")).encode("utf-8", "surrogateescape")
    return Record(reaches, at, length, str(first), str(last), kept, skip, label)


def _position(data: dict[str, Any]) -> Position:
    head, marker = data["head"], data["marker"]
    position = Position(
        _name(data["path"]),
        (int(data["dev"]), int(data["ino"])),
        int(data["offset"]),
        int(head[0]),
        str(head[1]),
        int(marker[0]),
        str(marker[1]),
        int(data.get("file", 0)),
        "packed" in data and bool(data["packed"]),
    )
    if not 0 <= position.marker_length <= min(MARKER, position.offset) < 2**63:
        raise ValueError("not an offset and its marker")
    if not (0 <= position.head_length <= HEAD and position.offset < 2**63):
        raise ValueError("not a head")
    return position


def _position_data(position: Position) -> dict[str, Any]:
    packed = {"packed": True} if position.packed else {}
    return packed | {
        "path": position.path,
        "offset": position.offset,
        "dev": position.identity[0],
        "ino": position.identity[1],
        "head": [position.head_length, position.head],
        "marker": [position.marker_length, position.marker],
    }


def format_entry(entry: Entry) -> str:
    """The line of one file; made by hand, since there may be ten thousand."""
    name, p, size, seen = entry
    quote = encode_basestring_ascii
    packed = '"packed": true, ' if p.packed else ""
    return (
        f'{{"file": {p.number}, "input": {quote(name)}, {packed}"path": {quote(p.path)}, '
        f'"offset": {p.offset}, "dev": {p.identity[0]}, "ino": {p.identity[1]}, '
        f'"head": [{p.head_length}, {quote(p.head)}], '
        f'"marker": [{p.marker_length}, {quote(p.marker)}], '
        f'"size": {size}, "seen": {round(seen)}}}\n'
    )


def format_mark(mark: Mark, past: Iterable[Position]) -> str:
    """The line of an output that was opened anew."""
    output = _position_data(mark.position._replace(path=mark.path))
    return json.dumps({"output": output, "past": [*map(_position_data, past)]}) + "\n"


def format_record(
    reaches: Iterable[tuple[int, int, int, str]],
    at: int,
    length: int,
    first: str,
    last: str,
    kept: bool,
    skip: int = 0,
    label: bytes = b"",
) -> str:
    """The line of a batch; made by hand: there are many."""
    spans = ",".join([f'[{s},{a},{e},"{m}"]' for s, a, e, m in reaches])
    end = ',"kept":1' + (f',"skip":{skip}' if skip else "") if kept else ""
    if label:
        end += f',"label":{encode_basestring_ascii(label.decode("utf-8", "surrogateescape"))}'
    return f'{{"from":[{spans}],"at":{at},"length":{length},"edges":["{first}","{last}"]{end}}}\n'


SETTLED = '{"settled":true}\n'
"""The last batch is whole in the output: the file beside the state may be used again."""


def format_missing(name: str, seen: float) -> str:
    """The line of an input of which there is no file yet."""
    return json.dumps({"missing": name, "seen": round(seen)}) + "\n"


def format_synced(records: int, end: int) -> str:
    """The line that says what is on the disk."""
    return json.dumps({"synced": [records, end]}) + "\n"


def format_head(state: State, pid: int, files: int) -> str:
    """The first line of a new state; the ones of so many files follow."""
    head: dict[str, Any] = {
        "tailmerge": FORMAT,
        "pid": f"{pid:>{PID_WIDTH}}",
        "boot": state.boot,
        "files": files,
    }
    if state.starting_over:
        head["starting_over"] = True
    if state.synced is not None:
        head["synced"] = True
    if state.mark:
        head["output"] = _position_data(state.mark.position._replace(path=state.mark.path))
    head["past"] = [*map(_position_data, state.past)]
    if state.missing:
        head["missing"] = {name: round(seen) for name, seen in state.missing.items()}
    return json.dumps(head) + "\n"


def parse_state(text: bytes, name: str, boot: str) -> State:
    """Read a state; `boot` is this boot's id.

    A torn last line is a batch that was never written: it is left out. So is, after a
    power cut, all from the first line on that never reached the disk.

    Raises:
        StateError: it is empty, damaged, or of a newer format.
    """
    lines = text.split(b"\n")
    torn = lines.pop()
    if not lines:
        raise damaged_state(name, "is empty" if not torn else "is cut off in its first line")
    try:
        state, count = _parse_head(json.loads(lines[0]), name)
        files = lines[1 : 1 + count]
        for begin in range(0, len(files), TOGETHER):
            for data in _load(files[begin : begin + TOGETHER]):
                _apply(state, data)
    except StateError:
        raise
    except DAMAGE:
        raise damaged_state(name, "is damaged") from None
    if len(state.entries) != count:
        raise damaged_state(name, "is damaged: not all of its files are there")
    state.has_journal = len(lines) > 1 + count
    for index, line in enumerate(lines[1 + count :], 2 + count):
        try:
            _apply(state, json.loads(line))
        except DAMAGE:
            if state.boot and state.boot != boot:
                break
            raise damaged_state(name, f"is damaged in line {index}") from None
    return state


def _load(lines: list[bytes]) -> list[dict[str, Any]]:
    """What the lines say, each one a JSON object."""
    loaded: list[dict[str, Any]] = json.loads(b"[" + b",".join(lines) + b"]")
    if len(loaded) != len(lines):
        raise ValueError("not one object a line")
    return loaded


def _parse_head(head: dict[str, Any], name: str) -> tuple[State, int]:
    version = head["tailmerge"]
    if version > FORMAT:
        raise newer_state(name)
    if version != FORMAT:
        raise ValueError("not a version")
    state = State(boot=str(head["boot"]), starting_over=bool(head.get("starting_over")))
    state.past = [_position(data) for data in head["past"]]
    for series, seen in head.get("missing", {}).items():
        state.missing[_name(series)] = _time(seen)
    if "output" in head:
        position = _position(head["output"])
        state.mark = Mark(position.path, position)
    if head.get("synced"):
        state.synced = (0, state.mark.position.offset if state.mark else 0)
    return state, int(head["files"])


def _told_again(before: Entry, entry: Entry) -> Entry:
    """A file that is known already: up to where it was forwarded only the batches say."""
    old = before.position
    position = entry.position._replace(
        offset=old.offset, marker_length=old.marker_length, marker=old.marker
    )
    return entry._replace(position=position)


def _apply(state: State, data: dict[str, Any]) -> None:
    """Take one line of the journal into account."""
    if "from" in data:
        state.announce(_record(data))
    elif "settled" in data:
        state.settled = True
    elif "missing" in data:
        state.missing[_name(data["missing"])] = _time(data["seen"])
    elif "synced" in data:
        records, end = map(int, data["synced"])
        if not (0 <= records <= len(state.records) and 0 <= end < 2**63):
            raise ValueError("not what was written")
        state.synced = (records, end)
    elif "output" in data:
        if state.records:
            state.advance(state.records[-1])
        state.records.clear()
        state.origins = dict(state.entries)
        state.settled = True
        position = _position(data["output"])
        state.mark = Mark(position.path, position)
        if state.synced is not None:
            state.synced = (0, position.offset)  # the file before was synced first
        state.past = [_position(past) for past in data["past"]]
    else:
        size, seen = _offset(data["size"]), _time(data["seen"])
        entry = Entry(_name(data["input"]), _position(data), size, seen)
        for known in (state.entries, state.origins):
            before = known.get(entry.position.number)
            known[entry.position.number] = _told_again(before, entry) if before else entry
