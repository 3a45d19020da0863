"""Whether anything happened to an input since it was looked at: cheap, at every interval."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

from tailmerge.generation import News
from tailmerge.keeping import Keeping
from tailmerge.settling import Settling
from tailmerge.source import Source
from tailmerge.system import Identity, System, identity

RECHECK_SECONDS = 1.0
"""How often what nobody tells of is looked at: late lines, copies, what was unreadable."""

TOLD_SECONDS = 0.05
"""The same where the kernel tells of it: a file that is being compressed tells without end."""

LONGEST_CHAIN = 40
"""Symbolic links that are followed one behind the other, as the kernel does."""


class Probe:
    """What is asked of one series between its looks."""

    __slots__ = (
        "_checked",
        "_keeping",
        "_named",
        "_signature",
        "_system",
        "hand",
        "seen",
        "settling",
        "trouble",
    )

    def __init__(self, keeping: Keeping, system: System, named: frozenset[str]) -> None:
        """`named` are rotated forms that are inputs themselves."""
        self._keeping = keeping
        self.settling: Settling | None = None
        """None: at no look there was anything to settle."""
        self._system = system
        self._named = named
        self._signature: bytes | None = b""
        """What the last probe saw; None: no file. At first nothing, which is neither."""
        self.hand: Source | None = None
        """The file that is held open under the name."""
        self.seen = -1
        """Its size at the last probe, bytes."""
        self._checked = 0.0
        self.trouble = False
        """The last look met an error."""

    @property
    def is_unsettled(self) -> bool:
        """Whether more than the name and its end must be watched at each interval."""
        if self.trouble or self._waits:
            return True
        rotated = self._keeping.rotated  # mostly there is none: asked of a thousand at a time
        return bool(rotated) and any(generation.source for generation in rotated)

    @property
    def _waits(self) -> bool:
        return self.settling is not None and self.settling.waits

    def places(self) -> Iterator[tuple[str, str]]:
        """The folders, and the names in them, by which it is reached: each link of a chain."""
        path = self._system.absolute(self._keeping.path)
        for _ in range(LONGEST_CHAIN):
            folder, name = os.path.split(path)
            yield folder, name
            try:
                path = self._system.absolute(os.path.join(folder, self._system.read_link(path)))
            except OSError:
                return  # no link

    def begin(self, status: os.stat_result | None) -> None:
        """What was found under the name at first: what is as it was then is no news."""
        if not self.has_begun:
            self._signature = _sign(status) if status else None

    @property
    def has_begun(self) -> bool:
        return self._signature != b""

    @property
    def identity(self) -> Identity | None:
        """The file that the name led to when it was asked for last."""
        if not self._signature:
            return None
        device, inode, _, _ = _PACKED.unpack(self._signature)
        return device, inode

    def see(self, status: os.stat_result | None) -> None:
        """A look found another file under the name, or none: that is no news any more."""
        self._signature = _sign(status) if status else None

    def saw(self, status: os.stat_result | None) -> bool:
        """Whether the name led to this file, or to none, when it was asked for last."""
        if self._signature is None or status is None:
            return self._signature is None and status is None
        return self._signature[:16] == _sign(status)[:16]

    def saw_all(self, status: os.stat_result) -> bool:
        """The same, and that it did not change since."""
        return self._signature == _sign(status)

    def meet(self, source: Source, status: os.stat_result) -> None:
        """The first look holds this file open: that it has grown since `begin` is no news."""
        signature = _sign(status)
        before = self._signature
        if signature == before or (before and status.st_size > _PACKED.unpack(before)[2]):
            self._signature = signature
            self.hand, self.seen = source, status.st_size

    def stands(self) -> bool:
        """Whether the name leads where the last probe saw it, and nothing else is to be asked.

        By one call, for ten thousand names a second; all else `probe` sees.
        """
        keeping, settling = self._keeping, self.settling
        live = keeping.live
        if live is None or live.source is not self.hand or keeping.rotated:
            return False
        if self.trouble or (settling and (settling.newest or settling.waits)):
            return False
        try:
            return _sign(self._system.stat(keeping.path)) == self._signature
        except OSError:
            return False

    def probe(self, now: float, *, told: bool = False) -> News:
        """Whether anything happened since the last probe: one stat, mostly.

        `told`: the kernel said that something did, maybe beside the file.
        """
        status = None
        try:
            status = self._system.stat(self._keeping.path)
        except OSError:
            signature = None
        else:
            signature = _sign(status)
        news = News.NONE
        if signature != self._signature:
            live = self._keeping.live
            source = live and live.source
            same = status and source and identity(status) == source.identity
            # What did not grow was touched, cut or written over; and of an empty file nothing
            # is known by which a cut could be seen.
            grew = same and live and status and status.st_size > live.size > 0
            news = News.GREW if grew else News.CHANGED
            self._signature = signature
            if same and live and status:
                live.size = max(live.size, status.st_size)
        held = self._keeping.live
        self.hand = held.source if held else None
        self.seen = status.st_size if status else -1
        for generation in self._keeping.rotated:
            if generation.has_grown(now):
                news = max(news, News.GREW)
        if now - self._checked >= (TOLD_SECONDS if told else RECHECK_SECONDS):
            self._checked = now
            # Where the name is missing a file may have had it, and been rotated, in between.
            if signature is None or self.trouble or self._waits or self._late_has_changed():
                news = News.CHANGED
        return news

    def _late_has_changed(self) -> bool:
        """Late lines in the newest rotated file (or one that was named), or a new name."""
        rotated = self._keeping.rotated
        if newest := self.settling and self.settling.newest:
            size = max((g.size for g in rotated if g.path == newest.path), default=newest.size)
            if self._differs(newest.path, size, newest.identity):
                return True
        return any(
            self._differs(g.path, g.size, g.position.identity)
            for g in rotated
            if g.path in self._named and g.path and g.position
        )

    def _differs(self, path: str, size: int, file: Identity) -> bool:
        """Whether this name no longer leads to this file of this size."""
        try:
            status = self._system.stat(path)
        except OSError:
            return True
        return status.st_size != size or identity(status) != file


_PACKED = struct.Struct("QQqq")
"""A third of what a tuple takes."""


def _sign(status: os.stat_result) -> bytes:
    return _PACKED.pack(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
