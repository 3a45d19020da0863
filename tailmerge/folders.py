"""Listings of folders: which rotated forms stand where, those in another named folder too.

logrotate's olddir keeps rotated files apart. So a folder that was named, by an input or by a
pattern, is looked through for the forms of every input, unless a file of the input's own
name stands in it: then what rotated there rotated from that file.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from sys import intern
from typing import NamedTuple

from tailmerge.links import Links
from tailmerge.rotation import NEWEST, Rotated, age_order, find_roots, rotated_forms
from tailmerge.system import System

TICK_SECONDS = 2.0
"""How coarse the time may be at which a folder says that it was changed."""


Stamp = tuple[int, int] | None
"""When a folder was changed, by two clocks of its file system, nanoseconds; None: not there."""


class Form(NamedTuple):
    """A rotated name, and where it was found."""

    path: str
    """In the spelling of the folder that the user chose."""
    rotated: Rotated
    apart: bool
    """In another folder than the input's own."""
    ago: int = 0
    """Where the input's name is a link: so many logs before the one that it leads to now."""
    log: str = ""
    """Where it is: the log that the name leads to, or led, and that this rotated from."""

    def age_order(self, modified: float) -> tuple[int | float | str | bool, ...]:
        """A sort key, oldest first, of one that was modified then (seconds since the epoch)."""
        return -self.ago, *age_order(self.rotated, modified)


class _Apart(NamedTuple):
    """A listing of all folders that were named."""

    begun: float
    stamps: dict[str, Stamp]
    """When each folder, as it is spelled, had been changed last."""
    groups: dict[str, list[tuple[str, Rotated]]]
    """By the last part of what it rotated from: the folder, and the name there."""
    errors: dict[str, OSError]
    """The folders that could not be listed."""


class Folders:
    """Listings, grouped by what rotated from what; one listing serves many looks."""

    def __init__(self, system: System, clock: Callable[[], float] | None = None) -> None:
        """`clock` tells when a listing is made; None: at the time it was asked for."""
        self._system = system
        self._clock = clock
        self._listings: dict[str, tuple[float, Stamp, dict[str, list[Rotated]]]] = {}
        self._apart: _Apart | None = None
        self.named: dict[str, str] = {}
        """How each folder that was named is spelled, by its absolute name. Replaced, never
        changed: the main loop names folders while the thread looks through them."""
        self._inputs: dict[str, tuple[str, ...]] = {}
        """The inputs' absolute names, by their last part."""
        self.links = Links(system)
        self._logs: set[str] = set()
        """Files that stood beside what looks like rotated forms of them, once at least."""

    def name(self, folders: Iterable[tuple[str, str]]) -> None:
        """These folders were named: as they are spelled, and absolute."""
        fresh = {absolute: spelled for spelled, absolute in reversed(list(folders))}
        self.named = {**fresh, **self.named}

    def claim(self, path: str, leads: str = "") -> None:
        """An input has this absolute name: the forms beside it are its own.

        `leads` is where it leads, by a symbolic link.
        """
        if leads:
            self.links.lead(path, leads)
        base = intern(os.path.basename(path))
        self._inputs[base] = tuple({*self._inputs.get(base, ()), path})

    def find_inputs(self, path: str, logs: Collection[str]) -> set[str]:
        """The inputs of which the file of this absolute name could be a rotated form.

        `logs`: what stands beside it and could be what it rotated from.
        """
        roots = [root for root in find_roots(path) if root != path]
        beside = {root for root in roots if root in self._of_base(root)}
        if beside or logs:
            return beside
        return {name for root in roots for name in self._of_base(root)}

    def _of_base(self, path: str) -> tuple[str, ...]:
        return self._inputs.get(os.path.basename(path), ())

    def absolute(self, folder: str) -> str | None:
        """The absolute name of a folder that was named; None: it was not."""
        return next((a for a, spelled in self.named.items() if spelled == folder), None)

    def find_rotated(self, path: str, since: float) -> list[Rotated]:
        """The rotated names beside `path`, in no order, listed not before the time `since`.

        A listing that was begun after a look was asked for shows all that the look is for.

        Raises:
            OSError: the folder is there and could not be listed.
        """
        folder, base = os.path.split(path)
        listed = self._listings.get(folder)
        if listed is None or listed[0] < since:
            begun, stamp = self._begin(since), self._stamp(folder)
            listed = self._listings[folder] = (begun, stamp, self._list(folder, folder))
        return listed[2].get(base, [])

    def has_changed(self, path: str, absolute: str) -> bool:
        """Whether names may have moved since the listings were made that show its forms.

        Of the other folders only those are asked in which there were some: ten thousand may be
        named.
        """
        folder = os.path.dirname(path)
        stamps = {folder: self._listings[folder][1]} if folder in self._listings else {}
        if self._apart:
            holding = {self.named[other] for other, _ in self._find_others(absolute, self._apart)}
            stamps |= {other: self._apart.stamps[other] for other in holding}
        stamps |= {
            other: self._listings[other][1]
            for _, log in self.links.find_logs(absolute)
            if (other := os.path.dirname(log)) in self._listings
        }
        return any(self._stamp(folder) != stamp for folder, stamp in stamps.items())

    def _stamp(self, folder: str) -> Stamp:
        try:
            status = self._system.stat(folder or ".")
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ctime_ns

    def find_forms(
        self,
        path: str,
        absolute: str,
        since: float,
        failed: list[tuple[str, OSError]] | None = None,
    ) -> Iterator[Form]:
        """The rotated forms of an input, beside it and in the other folders that were named.

        `failed` takes which of the others could not be listed, and why.

        Raises:
            OSError: a folder could not be listed; without `failed` one of the others, too.
        """
        folder, own = os.path.dirname(path), os.path.dirname(absolute)
        for rotated in self.find_rotated(path, since):
            if not self.links.is_of_another(os.path.join(own, rotated.name), absolute):
                yield Form(os.path.join(folder, rotated.name), rotated, False)
        met = set()
        for form in self._find_linked(absolute, since, failed):
            met.add(form.path)
            yield form
        if self.named.keys() <= {own}:
            return
        apart = self._find_apart(since)
        for other, error in apart.errors.items():
            if other != own and failed is None:
                raise error
            if other != own and failed is not None:
                failed.append((self.named[other], error))
        for other, rotated in self._find_others(absolute, apart):
            if os.path.join(other, rotated.name) in met:
                continue
            yield Form(os.path.join(self.named[other], rotated.name), rotated, True)

    def _find_linked(
        self, name: str, since: float, failed: list[tuple[str, OSError]] | None
    ) -> Iterator[Form]:
        """What rotated where the input's name leads, or led, and what stands there still."""
        for ago, log in self.links.find_logs(name):
            if self._is_named(log):
                continue  # it is that input's
            folder, base = os.path.split(log)
            try:
                forms = list(self.find_rotated(log, since))
            except OSError as error:
                if not ago or failed is None:
                    raise
                failed.append((folder, error))
                continue
            if ago and self._is_there(log):
                forms.append(Rotated(base, base, None, NEWEST, False))
            for rotated in forms:
                place = os.path.join(folder, rotated.name)
                if not (self.links.is_of_another(place, name) or self._is_named(place)):
                    yield Form(place, rotated, False, ago, log)

    def _is_named(self, name: str) -> bool:
        """Whether this absolute name is an input's."""
        return name in self._of_base(name)

    def _is_there(self, path: str) -> bool:
        try:
            self._system.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True  # who reads it meets the same error
        return True

    def _find_others(self, absolute: str, apart: _Apart) -> Iterator[tuple[str, Rotated]]:
        """The forms of an input in folders that are not its own, and are not another one's."""
        own, base = os.path.split(absolute)
        for other, rotated in apart.groups.get(base, ()):
            log = os.path.join(other, base)
            if other != own and log not in self._logs and log not in self._of_base(log):
                yield other, rotated

    def _find_apart(self, since: float) -> _Apart:
        """What stands in all named folders."""
        if self._apart is None or self._apart.begun < since:
            apart = _Apart(self._begin(since), {}, {}, {})
            for folder, spelled in self.named.items():
                apart.stamps[spelled] = self._stamp(spelled)
                try:
                    listed = self._list(spelled, folder)
                except OSError as error:
                    apart.errors[folder] = error
                    continue
                for base, forms in listed.items():
                    apart.groups.setdefault(base, []).extend((folder, form) for form in forms)
            self._apart = apart
        return self._apart

    def is_folder(self, path: str) -> bool:
        """Whether there is such a folder."""
        return self._system.is_folder(path)

    def _begin(self, since: float) -> float:
        return self._clock() if self._clock else since

    def later(self, since: float) -> float:
        """A time before which all listings were made that were asked for at `since`."""
        return self._clock() if self._clock else math.nextafter(since, math.inf)

    def forget(self, path: str, absolute: str) -> None:
        """What was listed beside an input, and elsewhere, is older than what was seen since."""
        self._listings.pop(os.path.dirname(path), None)
        for _, log in self.links.find_logs(absolute):
            self._listings.pop(os.path.dirname(log), None)
        self._apart = None

    def _list(self, folder: str, absolute: str) -> dict[str, list[Rotated]]:
        groups: dict[str, list[Rotated]] = {}
        try:
            names = set(self._system.names(folder or "."))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return groups  # the folder is gone, or closed to us: nothing is beside the file
        for name in names:
            for rotated in rotated_forms(name):
                groups.setdefault(rotated.base, []).append(rotated)
        if absolute in self.named:
            self._logs.update(os.path.join(absolute, base) for base in groups.keys() & names)
        return groups


def folder_stamp(system: System, folder: str, now: float) -> tuple[int, ...] | None:
    """What tells that a folder was changed; None: it was just now, and may be again in the
    same tick of its clock. `now` is in seconds since the epoch."""
    try:
        status = system.stat(folder)
    except OSError:
        return None
    if abs(now - status.st_mtime) < TICK_SECONDS:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns
