"""Names and patterns to inputs: what there is to follow, each thing once.

Looking for files can take long (a pattern with `**`, a slow disk), so it has a lane of its
own and touches nothing that others own: it only asks for names and what they are.
"""

from __future__ import annotations

import enum
import os
import stat
import time
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from tailmerge.folders import folder_stamp
from tailmerge.links import find_lead
from tailmerge.rotation import find_roots
from tailmerge.system import Identity, System, identity

STDIN = "-"

MAGIC = frozenset("*?[")
"""What makes a pattern of a name, for `glob`, which a run without a pattern does not import."""

ANY_FOLDER = "**"
"""As the last part of a pattern it stands for all that is in them, too."""

MOST_PASSED = 9
"""So often in a row a pattern is passed over: a server's clock may tell anything."""

PASSED_SHARE = 1000
"""Or until so many times as long as asking for it took have gone by, at one look a second."""


class Kind(enum.Enum):
    """What a name leads to."""

    FILE = "a file"
    PIPE = "a named pipe"
    STREAM = "a device or an unnamed pipe"
    STDIN = "standard input"
    DIRECTORY = "a directory"
    SOCKET = "a socket"
    MISSING = "missing"
    UNREADABLE = "unreadable"


SERIES_KINDS = (Kind.FILE, Kind.MISSING, Kind.UNREADABLE)
"""What can become, or is, a file that rotates."""


class Found(NamedTuple):
    """One name that was given or matched, and what it leads to."""

    name: str
    kind: Kind
    status: os.stat_result | None = None
    error: OSError | None = None
    matched: bool = False
    """By a pattern; False: named."""

    absolute: str = ""
    """The name made absolute, by which the state knows it."""
    logs: tuple[str, ...] = ()
    """What stands beside it and could be what it rotated from, absolute."""
    leads: str = ""
    """Where it is a symbolic link: to this file, by its real name."""

    @property
    def identity(self) -> Identity | None:
        return identity(self.status) if self.status else None


class Discovery(NamedTuple):
    """What one look at the names brought."""

    found: tuple[Found, ...]
    """As given, a pattern's matches by name."""
    unmatched: tuple[str, ...]
    """Patterns that match nothing."""
    failed: Mapping[str, OSError]
    """Patterns of which nothing can be told, and why."""
    folders: tuple[tuple[str, str], ...]
    """The folders that names and patterns lead to, as they are spelled and absolute."""


def has_magic(path: str) -> bool:
    """Whether `glob` would find more under this than the name that it is."""
    return not MAGIC.isdisjoint(path)


def is_pattern(name: str) -> bool:
    """Whether a name is a pattern; one that leads to a file is that file."""
    return name != STDIN and has_magic(name)


class Unchanged:
    """Folders that are as they were when a pattern was asked for: nothing new matches it.

    To list ten thousand names each second costs more than all else of a run at rest.
    """

    def __init__(self, system: System, clock: Callable[[], float] = time.time) -> None:
        """`clock` tells the seconds since the epoch."""
        self._system = system
        self._clock = clock
        self._stamps: dict[str, tuple[int, ...] | None] = {}
        self._passed: dict[str, int] = {}
        self._took: dict[str, float] = {}

    def finds(self, pattern: str) -> bool:
        """Whether it can be passed over this time; if not it is asked for now.

        Only where the pattern is all in its last part, and so in one folder.
        """
        folder = os.path.dirname(pattern)
        stamp = (
            None if has_magic(folder) else folder_stamp(self._system, folder or ".", self._clock())
        )
        passed = self._passed.get(pattern, 0) + 1
        most = max(MOST_PASSED, PASSED_SHARE * self._took.get(pattern, 0.0))
        if stamp is None or stamp != self._stamps.get(pattern) or passed > most:
            self._stamps[pattern], self._passed[pattern] = stamp, 0
            return False
        self._passed[pattern] = passed
        return True

    def note(self, pattern: str, seconds: float) -> None:
        """It was asked for, known matches were passed over: that took so much of a processor."""
        self._took[pattern] = seconds


def discover(
    names: Iterable[str],
    system: System,
    known: Container[str] = frozenset(),
    unchanged: Unchanged | None = None,
    remembered: Collection[str] = (),
) -> Discovery:
    """Look at names and patterns, `known` names left out; blocks, so call it on a lane.

    `unchanged` knows what need not be asked for again. `remembered` are the absolute names of
    files that an earlier run read.
    """
    found: list[Found] = []
    unmatched = []
    failed: dict[str, OSError] = {}
    met = set()
    folders: dict[str, None] = {}
    looked_into: dict[str, list[str]] = {}
    places = Places(system.absolute)
    for name in names:
        if is_pattern(name) and (error := _find_silence(name, system)):
            failed[name] = error
            continue
        asked = is_pattern(name) and not _is_there(name, system)
        if asked:
            if unchanged and unchanged.finds(name):
                continue
            begun = time.thread_time()
            matches = _find_matches(name)
            if not matches:
                unmatched.append(name)
            front, last = os.path.split(name)
            inside = _find_folders(name) if last == ANY_FOLDER else []
            looked_into[name] = list(dict.fromkeys(_find_folders(front) + inside))
            folders.update(dict.fromkeys(looked_into[name]))
        else:
            matches = [name]
        folders.update((os.path.dirname(match), None) for match in matches if match != STDIN)
        fresh = [
            match for match in dict.fromkeys(matches) if match not in met and match not in known
        ]
        met.update(fresh)
        if unchanged and asked:
            unchanged.note(name, time.thread_time() - begun)
        found += [_identify(match, system, places, matched=match != name) for match in fresh]
    rotated = dict.fromkeys(_recall(looked_into, found, remembered, system))
    found += [_identify(name, system, places, matched=True) for name in rotated]
    named = tuple((folder, system.absolute(folder or ".")) for folder in folders)
    return Discovery(tuple(found), tuple(unmatched), failed, named)


def _find_silence(pattern: str, system: System) -> TimeoutError | None:
    """Why a pattern cannot be asked for: where it begins hangs, and so would whoever lists it."""
    folder = pattern
    while has_magic(folder):
        folder = os.path.dirname(folder)
    try:
        system.stat(folder or ".")
    except TimeoutError as error:
        return error
    except OSError:
        return None  # it matches nothing
    return None


def _is_there(path: str, system: System) -> bool:
    """Whether there is such a name, be it a link that leads nowhere."""
    try:
        system.stat(path)
    except OSError:
        return system.is_link(path)
    return True


def _find_matches(pattern: str) -> list[str]:
    import glob

    return sorted(glob.glob(pattern, recursive=True))


def _find_folders(pattern: str) -> list[str]:
    """The folders that a pattern looks into: one of them may be empty so far."""
    if not has_magic(pattern):
        return [pattern]
    folders = _find_matches(os.path.join(pattern, ""))
    return [folder.rstrip(os.sep) or os.sep for folder in folders]


def _recall(
    looked_into: Mapping[str, Iterable[str]],
    found: Iterable[Found],
    remembered: Collection[str],
    system: System,
) -> Iterator[str]:
    """Files that match one of the patterns, were read by an earlier run, and were rotated away.

    What rotated from them is theirs, and not an input of its own, until they come up again.
    """
    there = {file.absolute for file in found}
    missing: dict[str, list[str]] = {}
    for path in remembered:
        if path not in there:
            missing.setdefault(os.path.dirname(path), []).append(os.path.basename(path))
    if not missing:
        return
    roots = {root for path in there for root in find_roots(path)}
    forms = {os.path.basename(root) for root in roots - there}
    for pattern, folders in looked_into.items():
        last = os.path.basename(pattern)
        for folder in folders:
            bases = missing.get(system.absolute(folder or "."), ())
            matching = [base for base in bases if _fits(base, last)]
            if matching:
                beside = forms | _list_roots(folder, system)
                yield from (os.path.join(folder, base) for base in matching if base in beside)


def _fits(name: str, pattern: str) -> bool:
    """Whether `glob` finds a file of this name by this last part of a pattern."""
    from fnmatch import fnmatchcase

    is_hidden = name.startswith(".") and not pattern.startswith(".")
    return not is_hidden and fnmatchcase(name, pattern)


def _list_roots(folder: str, system: System) -> set[str]:
    """Of which names the files of a folder could be rotated forms."""
    try:
        names = system.names(folder or ".")
        return {root for name in names for root in find_roots(name)}
    except OSError:
        return set()  # closed to us


class Places:
    """Names in their folders, of which each is asked for once: ten thousand may be in one."""

    def __init__(self, ask: Callable[[str], str]) -> None:
        """`ask` tells where a folder is."""
        self._ask = ask
        self._folders: dict[str, str] = {}

    def find(self, name: str) -> str:
        """The name itself, a link not followed, in its folder as that was told."""
        cut = name.rfind(os.sep) + 1
        front = name[:cut]
        folder = self._folders.get(front)
        if folder is None:
            folder = self._folders[front] = os.path.join(self._ask(front or os.curdir), "")
        return folder + name[cut:]


NOT_PLAIN = ("", os.curdir, os.pardir)
"""Last parts of a name that are no name in the folder before them."""


def _identify(name: str, system: System, places: Places, matched: bool) -> Found:
    if name == STDIN:
        return Found(name, Kind.STDIN)
    is_plain = name[name.rfind(os.sep) + 1 :] not in NOT_PLAIN
    absolute = places.find(name) if is_plain else system.absolute(name)
    absolute = name if absolute == name else absolute  # one string of both
    try:
        status = system.stat(name)
    except (FileNotFoundError, NotADirectoryError):
        return Found(name, Kind.MISSING, matched=matched, absolute=absolute)
    except OSError as error:
        return Found(name, Kind.UNREADABLE, error=error, matched=matched, absolute=absolute)
    kind = _kind(name, status)
    logs = tuple([root for root in find_roots(absolute) if _is_there(root, system)])
    return Found(name, kind, status, None, matched, absolute, logs, find_lead(name, system))


def _kind(name: str, status: os.stat_result) -> Kind:
    if stat.S_ISREG(status.st_mode):
        return Kind.FILE
    if stat.S_ISDIR(status.st_mode):
        return Kind.DIRECTORY
    if stat.S_ISFIFO(status.st_mode):
        unnamed = os.path.basename(os.path.realpath(name)).startswith("pipe:")
        return Kind.STREAM if unnamed else Kind.PIPE  # <(command) has no next writer
    if stat.S_ISSOCK(status.st_mode):
        return Kind.SOCKET
    return Kind.STREAM


def find_statuses(
    found: Iterable[Found], fds: Iterable[int], system: System
) -> list[os.stat_result]:
    """What the inputs are that are read, open ones too, for who may read them all to be known."""
    read = [file for file in found if file.kind not in (Kind.DIRECTORY, Kind.SOCKET)]
    opened = [*fds, *(0 for file in read if file.kind is Kind.STDIN and system.can_read(0))]
    return [f.status for f in read if f.status] + [system.fstat(fd) for fd in opened]


def group_found(found: Iterable[Found], spelled: Mapping[str, str]) -> dict[str, list[str]]:
    """Which of the files that were found are inputs, and their rotated forms among them."""
    files = [file for file in found if file.kind in SERIES_KINDS]
    logs = {log for file in files for log in file.logs}
    return group_rotated({file.name: file.absolute for file in files}, logs, spelled)


def group_rotated(
    absolute: Mapping[str, str],
    logs: Collection[str] = (),
    spelled: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, list[str]]:
    """Which names are rotated forms of other ones of them, however their folders are spelled.

    `absolute` has, for each name as it was given, the same made absolute. A file in another
    folder than the input's belongs to it unless what it rotated from, one of `logs`, stands
    in that folder; where several inputs have the same last part it may belong to any.
    Returns, for each name that is an input of its own, its rotated forms: the ones beside it
    in its own spelling of the folder, others in the one that `spelled` has.
    """
    first = {absolute[name]: name for name in reversed(list(absolute))}
    belongs: dict[str, list[str]] = {}
    inputs: dict[str, list[str]] = {}
    roots_of = {path: [root for root in find_roots(path) if root != path] for path in first}
    for path in sorted(path for path, roots in roots_of.items() if not roots):
        inputs.setdefault(os.path.basename(path), []).append(path)
    rotated = (path for path, roots in roots_of.items() if roots)
    for path in sorted(rotated, key=lambda path: (len(os.path.basename(path)), path)):
        if roots := _find_inputs(roots_of[path], inputs, logs):
            belongs[path] = roots
        else:
            inputs.setdefault(os.path.basename(path), []).append(path)
    groups: dict[str, list[str]] = {}
    for name, path in absolute.items():
        if path not in belongs:
            groups.setdefault(name, [])
            continue
        folder, base = os.path.split(path)
        for root in belongs[path]:
            beside = os.path.dirname(root) == folder
            spelling = os.path.dirname(first[root] if beside else name)
            spelling = spelling if beside else spelled.get(folder, spelling)
            groups.setdefault(first[root], []).append(os.path.join(spelling, base))
    return groups


def _find_inputs(
    roots: Collection[str], inputs: Mapping[str, list[str]], logs: Collection[str]
) -> list[str]:
    """Of the inputs, by their last part, the ones that a file with these roots rotated from."""
    beside = [root for root in roots if root in inputs.get(os.path.basename(root), ())]
    if beside or any(root in logs for root in roots):
        return beside[:1]
    return [name for root in roots for name in inputs.get(os.path.basename(root), ())]
