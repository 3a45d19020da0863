"""What the kernel tells of changes: inotify, one watch a folder.

It lives on the thread that owns the files: what is told there is looked at there.

It only says which inputs to ask; what happened to one its probe finds out. So nothing is
built on the order or the number of events, and where they may be incomplete (the queue
overflowed, a folder went away) all that is concerned is asked and, where need be, polled
from then on. News that come after a silence are told at once, others once in `PACE_SECONDS`.

asyncinotify opens and closes the descriptor and adds the watches; the events are read here
as bytes, since at a hundred thousand a second an object for each would cost more than all
the rest.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Callable, Iterable
from itertools import chain
from sys import intern
from typing import TYPE_CHECKING, Any

from tailmerge.mounts import tells
from tailmerge.rotation import rotated_forms
from tailmerge.system import Identity, System, identity

if TYPE_CHECKING:
    from tailmerge.sweep import Probed

MODIFY, ATTRIBUTES, MOVED_FROM, MOVED_TO = 0x2, 0x4, 0x40, 0x80
CREATE, DELETE, DELETE_SELF, MOVE_SELF = 0x100, 0x200, 0x400, 0x800
ONLY_FOLDER = 0x1000000
UNMOUNTED, OVERFLOW, IGNORED = 0x2000, 0x4000, 0x8000
"""The bits of inotify(7)."""

WATCHED = (
    MODIFY | ATTRIBUTES | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF
) | ONLY_FOLDER

OVER = UNMOUNTED | IGNORED | DELETE_SELF | MOVE_SELF
"""The folder is no longer there, or no longer of this name."""

PACE_SECONDS = 0.01
"""The shortest time between two readings of events."""

EVENTS = 256 * 1024
"""Bytes of events that are read in one go, at a pace."""

FIRST_EVENTS = 4096
"""The same after a silence, where it is mostly one: room for many takes long to be had."""

HEADER = 16
"""Bytes of an event in front of its name."""

FOLDERS_A_CHECK = 100
"""Folders whose names are looked at in each check: they may lead elsewhere now."""

NAMES_KEPT = 1000
"""Names in a folder, of no input, whose meaning is remembered."""


Told = dict["Probed", bool]
"""The inputs there is news of, and whether all of it is that their own file was written to."""


class _Folder:
    """One folder that is watched."""

    __slots__ = ("identity", "names", "others", "path", "watch")

    def __init__(self, path: str, watch: Any, file: Identity) -> None:
        self.path = path
        self.watch = watch
        self.identity = file
        self.names: dict[str, tuple[Probed, ...]] = {}
        """The inputs that a name in it leads to."""
        self.others: dict[str, tuple[Probed, ...]] = {}
        """The inputs that another name could be a rotated form of."""

    def find(self, name: str) -> Iterable[Probed]:
        """The inputs that news of this name are for."""
        if own := self.names.get(name):
            return own
        if (known := self.others.get(name)) is None:
            forms = (self.names.get(form.base, ()) for form in rotated_forms(name))
            known = tuple(probed for form in forms for probed in form)
            if len(self.others) < NAMES_KEPT:
                self.others[name] = known
        return known


class Notices:
    """The folders that are watched, and the events of them."""

    def __init__(self, notifier: Any, system: System) -> None:
        """`notifier` is an open `asyncinotify.Inotify`."""
        self._notifier = notifier
        self._fd: int = notifier.fd
        self._system = system
        self._mounts = ""
        self._folders: dict[str, _Folder] = {}
        self._by_number: dict[int, _Folder] = {}
        self._places: dict[Probed, tuple[Any, ...]] = {}
        """Where an input is told of: a folder, its name in it, and so on; there are many."""
        self._lost: dict[Probed, None] = {}
        """What was told of and is no longer."""
        self._last: tuple[bytes, Told] = b"", {}
        """What was read last, and whom it was for: lines that come one by one tell the same."""
        self._tell: Callable[[Told], None] = lambda told: None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._paced_until = float("-inf")
        """When what comes is read at once again, seconds of the loop's clock."""
        self._next = 0

    @property
    def folders(self) -> int:
        """How many folders are watched."""
        return len(self._by_number)

    def start(self, tell: Callable[[Told], None]) -> None:
        """Begin to listen, on the running loop; `tell` is given the inputs there is news of."""
        self._tell = tell
        self._mounts = self._system.mounts()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._wake)

    def close(self) -> None:
        if self._loop:
            self._loop.remove_reader(self._fd)
            self._loop = None
        if self._pause:
            self._pause.cancel()
        self._notifier.close()

    # what is watched

    def follow(self, probed: Probed) -> bool:
        """Watch the folders of an input; False where the kernel cannot tell of all of it."""
        places: list[tuple[_Folder, str]] = []
        for path, name in probed.places():
            if (folder := self._watch(path)) is None:
                for other in places:
                    self._leave(probed, *other)
                return False
            name = intern(name)  # others keep it, too
            folder.names[name] = (*folder.names.get(name, ()), probed)
            self._forget_others(folder)
            places.append((folder, name))
        self._places[probed] = tuple(chain.from_iterable(places))
        return True

    def _watch(self, path: str) -> _Folder | None:
        if folder := self._folders.get(path):
            return folder
        try:
            if not tells(self._mounts, self._system.real(path)):
                return None
            file = identity(self._system.stat(path))
            watch = self._notifier.add_watch(path, WATCHED)
        except OSError:
            return None  # the limit of watches, a folder that is not there: polled
        folder = self._by_number.get(watch.wd)
        if folder is not None and folder.path in self._folders:
            self._folders[path] = folder  # another name of the same folder
            return folder
        folder = self._folders[path] = self._by_number[watch.wd] = _Folder(path, watch, file)
        return folder

    def tells_of(self, probed: Probed) -> bool:
        return probed in self._places

    def forget(self, probed: Probed) -> None:
        """The input is watched no longer."""
        places = self._places.pop(probed, ())
        for folder, name in zip(places[::2], places[1::2], strict=True):
            self._leave(probed, folder, name)
        self._lost.pop(probed, None)

    def _leave(self, probed: Probed, folder: _Folder, name: str) -> None:
        if left := tuple(each for each in folder.names.get(name, ()) if each is not probed):
            folder.names[name] = left
        else:
            folder.names.pop(name, None)
        self._forget_others(folder)

    def _forget_others(self, folder: _Folder) -> None:
        """Other inputs are in this folder now."""
        folder.others.clear()
        self._last = b"", {}

    def check(self) -> list[Probed]:
        """What is to be followed anew, or polled: its folder's name leads elsewhere now."""
        folders = list(self._folders.items())
        begin = self._next % max(1, len(folders))
        self._next = begin + FOLDERS_A_CHECK
        for path, folder in folders[begin : self._next]:
            if not self._system.leads_to(path, folder.identity):
                self._drop(folder)
        lost, self._lost = list(self._lost), {}
        return lost

    def _drop(self, folder: _Folder) -> None:
        """Nothing more is told of this folder; its inputs are asked at the next check."""
        if self._by_number.pop(folder.watch.wd, None) is None:
            return
        for path in [path for path, other in self._folders.items() if other is folder]:
            del self._folders[path]
        for inputs in list(folder.names.values()):
            for probed in inputs:
                self.forget(probed)
                self._lost[probed] = None
        try:
            self._notifier.rm_watch(folder.watch)
        except OSError:
            pass  # it ended by itself

    # what is told

    def _wake(self) -> None:
        """There are events: after a silence they are read at once, else at a pace."""
        loop = self._loop
        assert loop
        early = self._paced_until - loop.time()
        if early > 0:
            loop.remove_reader(self._fd)
            self._pause = loop.call_later(early, self._read_on)
            return
        self._paced_until = loop.time() + PACE_SECONDS
        self._read(FIRST_EVENTS)

    def _read_on(self) -> None:
        """Read at a pace, until there is nothing more to read."""
        assert self._loop
        self._pause = self._loop.call_later(PACE_SECONDS, self._read_on)
        if not self._read(EVENTS):
            self._pause.cancel()
            self._pause = None
            self._loop.add_reader(self._fd, self._wake)

    def _read(self, most: int) -> bool:
        """Tell what there is to be told, if anything; `most` bytes of events."""
        try:
            data = self._system.read(self._fd, most)
        except BlockingIOError:
            return False
        before, told = self._last
        if data != before:
            told = self._sort_out(data)
        self._tell(told)
        return True

    def _sort_out(self, data: bytes) -> Told:
        """The inputs that these events are for."""
        told: Told = {}
        events = _split(data)
        for event in events:
            number, mask = struct.unpack_from("iI", event)
            folder = self._by_number.get(number)
            if mask & OVERFLOW:  # events were lost: everything may have happened
                told |= dict.fromkeys(self._places, False)
            elif folder and mask & OVER:
                for inputs in folder.names.values():
                    told |= dict.fromkeys(inputs, False)
                self._drop(folder)
            elif folder:
                name = os.fsdecode(event[HEADER:].rstrip(b"\0"))
                written = mask == MODIFY and name in folder.names
                for probed in folder.find(name):
                    told[probed] = written and told.get(probed, True)
                if len(events) == 1:
                    self._last = data, told
        return told


def _split(data: bytes) -> set[bytes]:
    """The events that differ: a busy file tells the same a hundred times in one reading."""
    if not data:
        return set()
    size = HEADER + _name_size(data, 0)
    events = {data[at : at + size] for at in range(0, len(data), size)}
    if all(len(event) == size == HEADER + _name_size(event, 0) for event in events):
        return events  # as it mostly is: all names take the same room
    events = set()
    at = 0
    while at < len(data):
        end = at + HEADER + _name_size(data, at)
        if end > len(data):
            break
        events.add(data[at:end])
        at = end
    return events


def _name_size(data: bytes, at: int) -> int:
    """Bytes that an event's name takes, NULs behind it included."""
    return data[at + 12] + 256 * data[at + 13]
