"""Whether anything happened to an input since it was looked at: cheap, at every interval."""

from __future__ import annotations

from tailmerge.beside import Beside
from tailmerge.generation import News
from tailmerge.keeping import Keeping
from tailmerge.settling import Settling
from tailmerge.system import System

RECHECK_SECONDS = 1.0
"""How often what nobody tells of is looked at: late lines, copies, what was unreadable."""


class Probe:
    """What is asked of one series between its looks."""

    def __init__(
        self,
        keeping: Keeping,
        beside: Beside,
        settling: Settling,
        system: System,
        named: frozenset[str],
    ) -> None:
        """`named` are rotated forms that are inputs themselves."""
        self._keeping = keeping
        self._beside = beside
        self._settling = settling
        self._system = system
        self._named = named
        self._signature: tuple[int, ...] | None = ()
        """What the last probe saw; None: no file. At first nothing, which is neither."""
        self._checked = 0.0
        self.trouble = False
        """The last look met an error."""

    def probe(self, now: float) -> News:
        """Whether anything happened since the last probe: one stat, mostly."""
        try:
            s = self._system.stat(self._keeping.path)
            signature = (s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns)
        except OSError:
            signature = None
        news = News.NONE
        if signature != self._signature:
            live = self._keeping.live
            source = live and live.source
            same = signature is not None and source and signature[:2] == source.identity
            # What did not grow was touched, cut or written over; and of an empty file nothing
            # is known by which a cut could be seen.
            grew = same and live and signature and signature[2] > live.size > 0
            news = News.GREW if grew else News.CHANGED
            self._signature = signature
            if same and live and signature:
                live.size = max(live.size, signature[2])
        for generation in self._keeping.rotated:
            if generation.has_grown(now):
                news = max(news, News.GREW)
        if now - self._checked >= RECHECK_SECONDS:
            self._checked = now
            if self.trouble or self._settling.waits or self._late_has_changed():
                news = News.CHANGED
        return news

    def _late_has_changed(self) -> bool:
        """Late lines in the newest rotated file (or one that was named), or a new name."""
        rotated = self._keeping.rotated
        if newest := self._settling.newest:
            size = max((g.size for g in rotated if g.path == newest.path), default=newest.size)
            if self._beside.differs(newest.path, size, newest.identity):
                return True
        return any(
            self._beside.differs(g.path, g.size, g.position.identity)
            for g in rotated
            if g.path in self._named and g.path and g.position
        )
