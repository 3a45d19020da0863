"""Which file has an input's own name: as a look begins, and whether that was so to its end.

Names move while they are listed. What a look found of them is a picture of one moment only
where the name led to the same file, with the same content, from before the listing until the
file was open; else it is looked once more (series.py).
"""

from __future__ import annotations

from tailmerge.generation import Findings
from tailmerge.keeping import Keeping
from tailmerge.links import Links
from tailmerge.match import Seen
from tailmerge.probe import Probe
from tailmerge.registry import Registry
from tailmerge.system import System, identity, is_regular


class NameHolder:
    """The file of this name; made for one look."""

    def __init__(
        self,
        keeping: Keeping,
        probe: Probe,
        system: System,
        registry: Registry,
        links: Links,
    ) -> None:
        self._keeping = keeping
        self._probe = probe
        self._system = system
        self._registry = registry
        self._links = links

    def find_live(self, found: Findings, now: float) -> Seen | None:
        """The file of this name, where it is not the one we hold already."""
        found.current = None
        try:
            status = self._system.stat(self._keeping.path)
        except OSError as error:
            found.missing = isinstance(error, FileNotFoundError | NotADirectoryError)
            if not found.missing:
                found.error = error
                return None  # it may be there as ever
            current = None
            self._probe.begin(None)
        else:
            self._probe.begin(status)
            current = found.current = identity(status)
            if not is_regular(status):
                found.error = OSError(None, "is no longer a regular file, not read")
                current = None
            elif current in self._registry.outputs:
                found.error = OSError(None, "is the output, not read")
                current = None
        keeping = self._keeping
        live = keeping.live
        parked = live and live.source and live.source.parked is not None
        if live and live.source and not (parked and live.source.identity != current):
            # It may have been cut, and then renamed.
            try:
                live.source.cut = live.source.cut or not live.source.is_unchanged()
            except OSError as error:
                found.error = error
        if live and live.source and live.source.identity == current:
            pass
        elif live and not (live.position and live.position.identity == current):
            if live.source and (stood := self._links.find(keeping.name)):
                live.source.path = stood  # by that a later run finds it
            live.path, live.changed = None, now
            keeping.rotated += (live,)
            keeping.live = None
            found.rotated = found.unsettled = True
        back = [g for g in keeping.rotated if g.source and g.source.identity == current]
        if keeping.live is None and back:  # renamed back, or a symlink swapped back
            keeping.drop(back[0])
            keeping.live = back[0]
            keeping.live.follow(self._keeping.path)
        self._links.follow(keeping.name, current)
        if keeping.live or current is None:
            return None
        return Seen(self._keeping.path, current, status.st_size, status.st_mtime, live=True)

    def has_moved(self, found: Findings) -> bool:
        """Whether it was renamed since it was seen: what is beside it was listed on the move."""
        try:
            status = self._system.stat(self._keeping.path)
        except (FileNotFoundError, NotADirectoryError):
            status = None
        except OSError:
            return False  # the next call meets the same error
        if self._probe.saw(status):
            return False
        found.were_live |= {file for file in (self._probe.identity, found.current) if file}
        self._probe.see(status)
        return True

    def is_as_seen(self, live: Seen) -> bool:
        """Whether it did not change between the last probe and being opened.

        Else it may have grown, or was copied and cut behind the listing. Where something of it
        is known that cannot be.
        """
        held = self._keeping.live
        source = held and held.source
        if not source or source.offset or source.identity != live.identity:
            return True  # with -n, too: what is older than the last lines is not asked for
        try:
            return self._probe.saw_all(source.status())
        except OSError:
            return True  # the read that follows meets the same error
