"""Where the files of inputs stand whose names are symbolic links: what rotates there is theirs.

A folder of links, one a container, is what people name; the files are written, and rotated, in
other folders. So such an input has rotated forms beside its file, too, and where its name led
before a file may stand that has lines still.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from tailmerge.rotation import find_roots
from tailmerge.system import System

MOST = 10
"""Logs of one input at most: those that its name led to last."""

Logs = tuple[str, ...]
"""What one file is, or could be a rotated form of, by real names: mostly one."""


class Links:
    """Where inputs lead whose names are links, by their absolute names; on one thread."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._leads: dict[str, str] = {}
        """The file, of those that are links now."""
        self._logs: dict[str, tuple[Logs, ...]] = {}
        """The logs that they led to, too, the newest first."""
        self._owners: dict[str, str] = {}
        """Which of several inputs led to a log first: what rotates there is its own."""

    def follow(self, name: str) -> None:
        """See where an input's name leads now; for most it is no link."""
        file = self._read(name)
        if file is None:
            self._leads.pop(name, None)
        elif self._leads.get(name) != file:
            self._leads[name] = file
            self._add(name, _find_logs(file))

    def _read(self, name: str) -> str | None:
        """None where it is no link, or leads to what is its own rotated form by its name."""
        try:
            self._system.read_link(name)
        except OSError:
            return None
        folder, base = os.path.split(name)
        file = self._system.real(name)
        beside = os.path.join(self._system.real(folder), base)
        return None if beside in _find_logs(file) else file

    def remember(self, name: str, file: str) -> None:
        """An earlier run found a file of the input under this name, where that may be by a link.

        Of one that is a rotated form by its name that is not so: it may stand in an olddir.
        """
        if file == name:
            return
        logs = _find_logs(file)
        if logs == (file,) or os.path.basename(name) not in map(os.path.basename, logs):
            self._add(name, logs)

    def _add(self, name: str, logs: Logs) -> None:
        before = tuple(other for other in self._logs.get(name, ()) if other != logs)
        if all(self._owners.setdefault(log, name) == name for log in logs):
            self._logs[name] = (logs, *before)[:MOST]

    def find(self, name: str) -> str | None:
        """The real name of an input's file; None: it is its own."""
        return self._leads.get(name)

    def logs(self, name: str) -> Iterator[tuple[int, str]]:
        """The log to which its name leads (0), and those that it led to before, one (1) ago, ..."""
        lead, logs = self._leads.get(name), self._logs.get(name, ())
        is_first = bool(lead and logs[:1] == (_find_logs(lead),))
        for ago, group in enumerate(logs, 0 if is_first else 1):
            for log in group:
                yield ago, log


def _find_logs(file: str) -> Logs:
    return tuple(find_roots(file)) or (file,)
