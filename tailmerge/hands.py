"""Which inputs' files are held open: no more of them than the process may have.

Beyond a share of its limit those are closed that were idle the longest, and opened again
when they have news. Nothing asks the system how many are open: what is held is counted here,
and where an open fails all the same some more are closed and it is tried again.
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable
from typing import Protocol, TypeVar

OTHERS = 64
"""Descriptors that are left for all else: loops, the output, the state, folders, copies that
are compared."""

LEAST = 16
"""Files that are held open, however low the limit is."""

SOME = 8
"""So many are closed where an open failed for want of a descriptor."""

TOO_MANY = (errno.EMFILE, errno.ENFILE)

T = TypeVar("T")


class Parkable(Protocol):
    """An open file that can be closed for a while."""

    def can_park(self, *, forced: bool = False) -> bool:
        """Whether it can be found again; unless `forced`, whether that costs little, too."""

    def park(self) -> None: ...


class Hands:
    """The files that are held open; on the thread that owns them."""

    def __init__(self, limit: int | None = None) -> None:
        """`limit` is how many descriptors the process may have; None or
        negative: as many as it likes."""
        self._most = float("inf") if limit is None or limit < 0 else max(LEAST, limit - OTHERS)
        self._held: dict[Parkable, None] = {}
        """The one that was idle the longest first."""

    @property
    def held(self) -> int:
        """How many there are."""
        return len(self._held)

    def hold(self, file: Parkable) -> None:
        """It was opened: others may have to be closed for it."""
        self.forget(file)
        self._held[file] = None
        over = len(self._held) - self._most
        if over > 0:
            self._park(int(over), forced=False)

    def touch(self, file: Parkable) -> None:
        """It is in use."""
        if file in self._held:
            del self._held[file]
            self._held[file] = None

    def forget(self, file: Parkable) -> None:
        """It was closed."""
        self._held.pop(file, None)

    def attempt(self, call: Callable[[], T]) -> T:
        """Make a call that opens something, again where others could be closed for it.

        Raises:
            OSError: as the call does.
        """
        while True:
            try:
                return call()
            except OSError as error:
                if error.errno not in TOO_MANY or not self._give_up_some():
                    raise

    def _give_up_some(self) -> bool:
        self._most = max(1, min(self._most, len(self._held)) - SOME)
        return self._park(SOME, forced=False) or self._park(SOME, forced=True)

    def _park(self, count: int, *, forced: bool) -> bool:
        """Close so many, but for the one in use last; False where none could be."""
        idle = itertools.islice(self._held, max(0, len(self._held) - 1))
        parked = list(itertools.islice((f for f in idle if f.can_park(forced=forced)), count))
        for file in parked:
            file.park()
            del self._held[file]
        return bool(parked)
