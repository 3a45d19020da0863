"""Where the files of inputs stand whose names are symbolic links: what rotates there is theirs.

A folder of links, one a container, is what people name; the files are written, and rotated, in
other folders. So such an input has the rotated forms of the file that its name leads to, and
where its name led before a file may stand that has lines still.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from tailmerge.rotation import find_roots
from tailmerge.system import Identity, System, identity

MOST = 10
"""Logs of one input at most: those that its name led to last."""


def read_lead(name: str, system: System) -> str:
    """The real name of the file that a symbolic link leads to; empty where `name` is none.

    Empty, too, for a link to what is its own rotated form by its name, as cronolog makes it: a
    listing of its own folder shows that, and its like.

    Raises:
        OSError: it cannot be told.
    """
    try:
        system.read_link(name)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return ""
        raise
    folder, base = os.path.split(name)
    file = system.real(name)
    is_form = base in map(os.path.basename, find_roots(file))
    beside = is_form and os.path.join(system.real(folder), base) in find_roots(file)
    return "" if beside else file


def find_lead(name: str, system: System) -> str:
    """The same; empty, too, where it cannot be told."""
    try:
        return read_lead(name, system)
    except OSError:
        return ""


class Links:
    """What inputs lead to whose names are links, by their absolute names.

    Told by the main loop of what is found, and asked by the thread that owns the files: what is
    kept is replaced, never changed.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self._leads: dict[str, str] = {}
        """What each link leads to now, by its real name."""
        self._logs: dict[str, tuple[str, ...]] = {}
        """The same and what it led to before, the newest first."""
        self._owners: dict[str, str] = {}
        """Of several inputs that lead to one log the first: what rotates there is its own."""

    def lead(self, name: str, file: str) -> None:
        """An input's name leads to this file now."""
        self._leads[name] = file
        self._add(name, file)

    def follow(self, name: str, current: Identity | None) -> None:
        """See where an input's name leads now, which is to the file `current`.

        Where it is on the move, or that cannot be told, what is known stays.
        """
        try:
            file = read_lead(name, self._system)
            if not file:
                self._leads.pop(name, None)
            elif file != self._leads.get(name) and identity(self._system.stat(file)) == current:
                self.lead(name, file)
        except OSError:
            return  # the name leads nowhere, or does not answer: the look meets the same

    def remember(self, name: str, file: str) -> None:
        """An earlier run found a file of the input under this name, where that may be by a link.

        What is a rotated form by its name may stand in an olddir instead; but where the link
        leads now there are links' files.
        """
        if file == name:
            return
        is_form = os.path.basename(name) in map(os.path.basename, find_roots(file))
        if not is_form or os.path.dirname(file) == os.path.dirname(self._leads.get(name, "")):
            self._add(name, file)

    def _add(self, name: str, log: str) -> None:
        if self._owners.setdefault(log, name) != name:
            return
        others = [other for other in self._logs.get(name, ()) if other != log]
        for other in others[MOST - 1 :]:
            del self._owners[other]
        self._logs[name] = (log, *others[: MOST - 1])

    def find(self, name: str) -> str | None:
        """The file that an input's name leads to; None: it is no link, as far as is known."""
        return self._leads.get(name)

    def is_of_another(self, file: str, name: str) -> bool:
        """Whether the name of another input leads, or led, to this very file."""
        return self._owners.get(file, name) != name

    def find_logs(self, name: str) -> Iterator[tuple[int, str]]:
        """What an input's name leads to (0), and what it led to before: one (1), two, ... ago.

        What was found as a rotated form of one of them is none.
        """
        lead, known = self._leads.get(name), self._logs.get(name, ())
        if lead in known:
            yield 0, lead
        others = (log for log in known if log != lead and not {*find_roots(log)} & {*known})
        yield from enumerate(others, 1)
