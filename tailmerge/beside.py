"""What rotated from an input's file, beside it or in an olddir, as a look finds it.

Names only propose. What belongs to another input, or is the output, is left out; a link to
a file that is there already is the same file once more; and of what looks like a copy it is
remembered since when it has not grown.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Sequence

from tailmerge.folders import Folders
from tailmerge.generation import Generation
from tailmerge.keeping import Keeping
from tailmerge.match import Seen
from tailmerge.position import Position, fits
from tailmerge.registry import Registry
from tailmerge.rotation import find_roots
from tailmerge.system import Identity, System, identity, is_regular

QUIET_SECONDS = 2.0
"""How long a file of a few bytes that looks like a copy must not grow to be none: between
copying and cutting that little a copytruncate takes no time."""

LISTINGS = 3
"""How often a folder is listed in one look while names in it move; a symbolic link that leads
nowhere is no longer waited for then."""


NOTHING: frozenset[Identity] = frozenset()
"""One for all inputs."""


class Beside:
    """The rotated forms of one series."""

    __slots__ = (
        "_folders",
        "_keeping",
        "_registry",
        "_sizes",
        "_system",
        "_unlisted",
        "apart",
        "came_up_together",
        "failed",
    )

    def __init__(
        self, keeping: Keeping, system: System, registry: Registry, folders: Folders
    ) -> None:
        self._keeping = keeping
        self._system = system
        self._registry = registry
        self._folders = folders
        self._sizes: dict[Identity, tuple[int, float]] | None = None
        """Of files that may be copies: their size, and since when it is so."""
        self.failed: Sequence[tuple[str, OSError]] = ()
        """Files whose status could not be asked for at the last look."""
        self.apart: Sequence[tuple[str, OSError]] = ()
        """Folders elsewhere, named for this run, that could not be listed at the last look."""
        self._unlisted: Collection[str] = ()
        """Those of them that no look could list so far."""
        self.came_up_together: frozenset[Identity] = NOTHING
        """Files that look like copies of the live one and were first seen with it."""

    def find_rotated(self, now: float) -> list[Seen]:
        """The rotated forms of the file, oldest first.

        Raises:
            OSError: its own folder could not be listed.
        """
        keeping = self._keeping
        if keeping.has_cut():
            # The copy was made before the cut was seen.
            self._folders.forget(keeping.path, keeping.name)
        for _ in range(LISTINGS):
            found, moved = self._registry.hands.attempt(lambda: self._stat_forms(now))
            if not moved:
                break
            # A name moved on since: it has another one.
            self._folders.forget(keeping.path, keeping.name)
        return found

    def is_owed(self, rotated: Iterable[Seen], live: Seen | None) -> bool:
        """Whether something of which lines were forwarded is none of these: it may stand where
        nothing could be listed, and what is new waits until it is known."""
        keeping = self._keeping
        if keeping.has_cut():
            return True  # its copy may stand there
        seen = {file.identity: file.path for file in (*rotated, *([live] if live else ()))}
        held = keeping.held()
        known = [p for g in keeping.rotated if (p := g.remembered) and p.identity not in held]
        return not all(self._holds(seen.get(p.identity), p) for p in known)

    def _holds(self, path: str | None, position: Position) -> bool:
        """Whether the file of this name is the one of a position, and not another on its inode."""
        if path is None or position.packed:
            return path is not None
        try:
            fd = self._system.open(path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                return fits(self._system, fd, position)
            finally:
                self._system.close(fd)
        except OSError:
            return False

    def find_logs(self, generations: Iterable[Generation]) -> set[str]:
        """Where the name is a link: the logs at which these stood when they were seen last."""
        keeping, links = self._keeping, self._folders.links
        logs = {log for _, log in links.find_logs(keeping.name)}
        positions = map(keeping.remembered, generations)
        names = {position.path for position in positions if position}
        return {log for name in names for log in (name, *find_roots(name)) if log in logs}

    def is_first_sight(self, path: str) -> bool:
        """Whether it stands in a folder that could not be listed before."""
        return os.path.dirname(path) in self._unlisted

    def note_listed(self, *, first: bool) -> None:
        """What is in the folders that could be listed was met."""
        failed = {os.path.dirname(folder) for folder, _ in self.apart}
        self._unlisted = tuple(failed if first else failed.intersection(self._unlisted))

    def _stat_forms(self, now: float) -> tuple[list[Seen], bool]:
        """The forms that are listed, oldest first, and whether one was renamed meanwhile."""
        keeping = self._keeping
        live = keeping.live and keeping.live.source
        files, moved = {}, False
        failed: list[tuple[str, OSError]] = []
        apart: list[tuple[str, OSError]] = []
        for form in self._folders.find_forms(keeping.path, keeping.name, now, apart):
            path, rotated = form.path, form.rotated
            try:
                status = self._system.stat(path)
            except (FileNotFoundError, NotADirectoryError):
                moved = True
                continue
            except OSError as error:
                failed.append((path, error))
                continue
            file = identity(status)
            if not is_regular(status) or (live and live.identity == file):
                continue
            if file in self._registry.outputs or self._is_others(file):
                continue
            quiet = self._is_quiet(file, status, now)
            seen = Seen(
                path,
                file,
                status.st_size,
                status.st_mtime,
                live=False,
                compressed=rotated.compressed,
                quiet=quiet,
                apart=form.apart,
                log=form.log,
            )
            # By device and inode: a link beside a file is the same file once more. With two
            # names here and one link it was renamed between the two questions.
            moved = moved or (file in files and status.st_nlink == 1)
            files[file] = (form.age_order(status.st_mtime), seen)
        self.failed = tuple(failed)
        self.apart = tuple((os.path.join(folder, ""), error) for folder, error in apart)
        return [seen for _, seen in sorted(files.values(), key=lambda pair: pair[0])], moved

    def _is_quiet(self, file: Identity, status: os.stat_result, now: float) -> bool:
        """Whether a file that came up with the live one has not grown for a while.

        By our clock or by its own. Beside a live file that was known before it is a copy,
        however long that stands.
        """
        if self._keeping.live and file not in self.came_up_together:
            return False
        if self._sizes is None:
            self._sizes = {}
        size, since = self._sizes.get(file, (-1, now))
        if size != status.st_size:
            self._sizes[file] = (status.st_size, now)
            since = now
        age = max(now - since, time.time() - status.st_mtime)
        return age >= QUIET_SECONDS

    def _is_others(self, file: Identity) -> bool:
        owner = self._registry.owner(file)
        if owner is None or owner[0] is self._keeping or not owner[1].source:
            return False
        source = owner[1].source  # while it is parked its number may be given to another file
        return source.parked is None or self._system.leads_to(source.path, file)
