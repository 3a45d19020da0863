"""Names and patterns to inputs: what there is to follow, each thing once.

Looking for files can take long (a pattern with `**`, a slow disk), so it has a lane of its
own and touches nothing that others own: it only asks for names and what they are.
"""

from __future__ import annotations

import enum
import glob
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tailmerge.rotation import find_roots
from tailmerge.system import Identity, System, identity

STDIN = "-"


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


@dataclass(frozen=True, slots=True)
class Found:
    """One name that was given or matched, and what it leads to."""

    name: str
    kind: Kind
    status: os.stat_result | None = None
    error: OSError | None = None
    matched: bool = False
    """By a pattern; False: named."""

    absolute: str = ""
    """The name made absolute, by which the state knows it."""

    @property
    def identity(self) -> Identity | None:
        return identity(self.status) if self.status else None


@dataclass(frozen=True, slots=True)
class Discovery:
    """What one look at the names brought."""

    found: tuple[Found, ...]
    """As given, a pattern's matches by name."""
    unmatched: tuple[str, ...]
    """Patterns that match nothing."""


def is_pattern(name: str) -> bool:
    """Whether a name is a pattern; one that leads to a file is that file."""
    return name != STDIN and glob.has_magic(name)


def discover(
    names: Iterable[str], system: System, known: frozenset[str] = frozenset()
) -> Discovery:
    """Look at names and patterns, `known` names left out; blocks, so call it on a lane."""
    found: list[Found] = []
    unmatched = []
    met = set()
    for name in names:
        if is_pattern(name) and not os.path.lexists(name):
            matches = sorted(glob.glob(name, recursive=True))
            if not matches:
                unmatched.append(name)
        else:
            matches = [name]
        for match in matches:
            if match not in met and match not in known:
                met.add(match)
                found.append(_identify(match, system, matched=match != name))
    return Discovery(tuple(found), tuple(unmatched))


def _identify(name: str, system: System, matched: bool) -> Found:
    if name == STDIN:
        return Found(name, Kind.STDIN)
    absolute = system.absolute(name)
    try:
        status = system.stat(name)
    except (FileNotFoundError, NotADirectoryError):
        return Found(name, Kind.MISSING, matched=matched, absolute=absolute)
    except OSError as error:
        return Found(name, Kind.UNREADABLE, error=error, matched=matched, absolute=absolute)
    return Found(name, _kind(name, status), status, matched=matched, absolute=absolute)


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


def group_rotated(absolute: Mapping[str, str]) -> dict[str, list[str]]:
    """Which names are rotated forms of another one of them, however their folders are spelled.

    `absolute` has, for each name as it was given, the same made absolute. Returns, for each
    name that is an input of its own, its rotated forms in its own spelling of the folder.
    """
    first = {absolute[name]: name for name in reversed(list(absolute))}
    belongs: dict[str, str] = {}
    for path in sorted(first, key=len):
        root = next((r for r in find_roots(path) if r in first and r not in belongs), None)
        if root is not None and root != path:
            belongs[path] = root
    groups: dict[str, list[str]] = {}
    for name, path in absolute.items():
        if path not in belongs:
            groups.setdefault(name, [])
            continue
        root = first[belongs[path]]
        form = os.path.join(os.path.dirname(root), os.path.basename(path))
        groups.setdefault(root, []).append(form)
    return groups
