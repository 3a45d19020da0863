"""One look at all inputs, whatever their number: cheap, and on the thread that owns the files.

What is held open is asked for its end, by its descriptor. Names are asked in turns when
there are many of them: a file that is held open loses nothing by being found renamed a
little later. Where the kernel tells (notices.py) a slow sweep stays, for what it may miss.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from asyncio import get_running_loop
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from tailmerge.eager import start_at_once
from tailmerge.errand import Errand, ForwardAll, run_all
from tailmerge.feed import TURN_SECONDS
from tailmerge.generation import News
from tailmerge.notices import Notices, Told
from tailmerge.source import Source
from tailmerge.stillness import Stillness
from tailmerge.system import System

LEAST_SECONDS = 0.01
"""The shortest pause between two sweeps: a read per file per 10 ms is enough."""

BUSY_PART = 0.1
"""Of the interval: how soon inputs that had news are looked at again."""

ERRANDS = 50
"""So many errands are run together before others on the thread have their turn."""

NAMES_A_SWEEP = 500
"""So many names are looked at in every sweep; of more, each at least once in NAME_SECONDS."""

NAME_SECONDS = 1.0
"""How late another file of a name may be noticed where there are many inputs."""

STILL_SECONDS = 10.0
"""The same while no name in their folders was made, moved or removed."""

SAFETY_SECONDS = 2.0
"""How often even that is looked at of which the kernel tells: a mapped file is silent."""

SAFETY_ENDS = 1250
"""So many inputs the kernel tells of are looked at in one safety sweep, by their ends."""

SAFETY_NAMES = 125
"""The same by their names."""

BUSY_SECONDS = 1.0
"""How long after its last news an input counts as busy."""

MOST_BUSY = 200
"""Inputs that are looked at more often than the others; of more, each has its interval."""

WAITED_SECONDS = 0.001
"""A look that waited so long for its turn is beside a backlog."""

ERRAND_SECONDS = 0.05
"""How long a sweep waits for the errands that it found to be done: an output may be stuck."""


class Probed(Protocol):
    """What can be asked, on the thread that owns the files, whether it has news."""

    hand: Source | None
    """What is held open under its name; None: only `probe` can tell."""
    seen: int
    """The size of that when it was probed last, bytes."""

    @property
    def is_unsettled(self) -> bool:
        """Whether more than its name and its end must be watched."""

    def stands(self) -> bool:
        """Whether `probe` would find no news: asked first of names whose turn it is."""
        ...

    def probe(self, now: float, *, told: bool = False) -> News: ...

    def note_growth(self, end: int) -> None:
        """Its file was seen to end there, bytes, and is not probed for that."""
        ...

    def places(self) -> Iterator[tuple[str, str]]:
        """The folders, and the names in them, by which it is reached."""
        ...


Found = list[tuple[Probed, News]]


class Sweep:
    """Looks at all that is watched."""

    def __init__(
        self,
        system: System,
        interval: float,
        forward_all: ForwardAll,
        deliver: Callable[[Found], None],
    ) -> None:
        """`forward_all` is how errands are run; `deliver` is given, on this thread, what has
        news that no sweep returns."""
        self._system = system
        self._interval = interval
        self._forward_all = forward_all
        self._deliver = deliver
        self.errands: dict[Probed, Errand] = {}
        """What is done about growth without waking anybody; left by the main loop."""
        self._running: set[asyncio.Future[Found]] = set()
        self._watched: dict[Probed, None] = {}
        self._polled: list[Probed] = []
        self._told: list[Probed] = []
        """What the kernel tells of."""
        self._unsettled: dict[Probed, None] = {}
        self._busy: dict[Probed, float] = {}
        """What had news lately, and when."""
        self._notices: Notices | None = None
        self._stillness = Stillness(system)
        self._next = {"polled": 0, "told": 0, "told ends": 0}
        """Whose turn is next: of the names, and of the ends."""
        self._swept = self._safe = float("-inf")
        """When all was looked at last, and what the kernel tells of."""
        self.was_quick = False
        """The last sweep was of busy inputs only."""
        self.is_called = False
        """Whoever sweeps has something else for us to do. Set by another thread."""
        self._waited = 4 * WAITED_SECONDS
        """How long looks waited for their turn lately, seconds: at the start there may be a
        backlog that no look has met yet."""

    @property
    def is_listening(self) -> bool:
        return self._notices is not None

    @property
    def is_calm(self) -> bool:
        """Whether the kernel tells of all that may happen."""
        return self.is_listening and not (self._polled or self._unsettled)

    @property
    def is_busy(self) -> bool:
        return 0 < len(self._busy) <= MOST_BUSY

    @property
    def busy_pause(self) -> float:
        """Seconds between two sweeps while inputs are busy."""
        return max(LEAST_SECONDS, self._interval * BUSY_PART)

    @property
    def margin(self) -> float:
        """How much sooner than the interval says all is looked at, seconds.

        Beside a backlog the look, and the forward behind it, each wait for their turn; and what
        was due may have waited for the end of a quick sweep's pause, which is as long.
        """
        beside = self._waited >= WAITED_SECONDS
        return min(3 * TURN_SECONDS, self._interval / 2) if beside else 0.0

    def listen(self, notices: Notices) -> None:
        """The kernel tells from now on, of what was watched before too."""
        self._notices = notices
        notices.start(self._hear)
        self._sort(self._watched)

    async def close(self) -> None:
        if self._notices:
            self._notices.close()
            self._notices = None

    def describe(self) -> tuple[int, int]:
        """How many folders the kernel tells of, and how many inputs are polled."""
        return (self._notices.folders if self._notices else 0), len(self._polled)

    async def look(self, now: float, fresh: list[Probed], gone: list[Probed]) -> Found:
        """Sweep, and run the errands of what grew; what has other news."""
        self._waited = max(get_running_loop().time() - now, self._waited / 2)
        return await self._settle(self.sweep(now, fresh, gone))

    async def keep_looking(self, now: float, fresh: list[Probed], gone: list[Probed]) -> Found:
        """`look`, and again at what is busy, until somebody is to be woken or all is due again.

        Each time the other thread had to be woken for it, only to ask for the next one.
        """
        found = await self.look(now, fresh, gone)
        clock, pause = get_running_loop().time, self.busy_pause
        due = self._swept + self._interval - self.margin
        while self.is_busy and not (found or self.is_called) and clock() + 2 * pause < due:
            now = clock() + pause
            await asyncio.sleep(pause)
            found = await self.look(now, [], [])
        return found

    async def run_errands(self, watched: Iterable[Probed]) -> Found:
        """The same as if all of these had grown."""
        return await self._settle([(probed, News.GREW) for probed in watched])

    async def _settle(self, found: Found) -> Found:
        rest, errands = self._split(found)
        if errands:
            running = self._start(errands)
            if not running.done():
                await asyncio.wait([running], timeout=ERRAND_SECONDS)
            if running.done():
                return rest + running.result()
            running.add_done_callback(self._deliver_rest)
        return rest

    def sweep(self, now: float, fresh: list[Probed], gone: list[Probed]) -> Found:
        """What has news; `fresh` is watched from now on, `gone` no longer."""
        self._take(fresh, gone)
        found: Found = []
        due = now - self._swept >= self._interval - self.margin
        asked = dict.fromkeys(p for p in fresh if not p.stands())
        self.was_quick = self.is_busy and not due
        if not self.was_quick:
            self._swept = now
            self._check_notices(asked)
            asked |= self._unsettled
            asked |= dict.fromkeys(self._system.find_changed(self._polled))
            names = self._names_a_sweep(now)
            turn = self._take_turn(self._polled, "polled", names)
            asked |= dict.fromkeys(p for p in turn if p not in asked and not p.stands())
            if now - self._safe >= SAFETY_SECONDS:
                self._safe = now
                ends = self._take_turn(self._told, "told ends", SAFETY_ENDS)
                asked |= dict.fromkeys(self._system.find_changed(ends))
                turn = self._take_turn(self._told, "told", SAFETY_NAMES)
                asked |= dict.fromkeys(p for p in turn if p not in asked and not p.stands())
        else:
            asked |= dict.fromkeys(self._system.find_changed(self._busy))
        for probed in asked:
            if probed in self._watched:
                self._probe(probed, now, found)
        self._forget_idle(now)
        if self._notices:  # what appeared may have a folder now
            self._sort(p for p, news in found if news > News.GREW and not self._is_told_of(p))
        return found

    def _names_a_sweep(self, now: float) -> int:
        polled = len(self._polled)
        if polled <= NAMES_A_SWEEP:
            return polled
        if self._stillness.is_still(now):
            return int(polled * self._interval / STILL_SECONDS) + 1
        return max(NAMES_A_SWEEP, int(polled * self._interval / NAME_SECONDS) + 1)

    def _take_turn(self, group: list[Probed], turn: str, most: int) -> list[Probed]:
        """The ones of a group whose turn it is, at most so many."""
        begin = self._next[turn] % max(1, len(group))
        end = begin + min(most, len(group))
        self._next[turn] = end
        return group[begin:end] + group[: max(0, end - len(group))]

    def _probe(self, probed: Probed, now: float, found: Found, *, told: bool = False) -> None:
        if news := probed.probe(now, told=told):
            found.append((probed, news))
            if not self._is_told_of(probed):
                self._busy[probed] = now
        if probed.is_unsettled:
            self._unsettled[probed] = None
        else:
            self._unsettled.pop(probed, None)

    def _forget_idle(self, now: float) -> None:
        for probed in [p for p, when in self._busy.items() if now - when >= BUSY_SECONDS]:
            del self._busy[probed]

    # errands

    def _split(self, found: Found) -> tuple[Found, dict[Probed, Errand]]:
        """What somebody is to be woken for, and what is done here."""
        rest: Found = []
        errands: dict[Probed, Errand] = {}
        for probed, news in found:
            errand = self.errands.get(probed) if news is News.GREW else None
            if errand is not None and errand.is_left:
                errands[probed] = errand
            else:
                rest.append((probed, news))
        return rest, errands

    def _start(self, errands: dict[Probed, Errand]) -> asyncio.Future[Found]:
        running = start_at_once(self._run_errands(errands))
        if not running.done():
            self._running.add(running)
            running.add_done_callback(self._running.discard)
        return running

    async def _run_errands(self, errands: dict[Probed, Errand]) -> Found:
        """Run them, many at a time; those of which something is left to be met."""
        left: Found = []
        those = iter(errands.items())
        while some := dict(itertools.islice(those, ERRANDS)):
            await run_all(some.values(), self._forward_all)
            left += [(probed, News.GREW) for probed, errand in some.items() if errand.is_over]
            if len(some) == ERRANDS:
                await asyncio.sleep(0)  # whoever else has something to do here is next
        return left

    # what the kernel tells

    def _take(self, fresh: Iterable[Probed], gone: Iterable[Probed]) -> None:
        fresh = [probed for probed in fresh if probed not in self._watched]
        self._watched |= dict.fromkeys(fresh)
        for probed in gone:
            self._watched.pop(probed, None)
            self._unsettled.pop(probed, None)
            self._busy.pop(probed, None)
            if self._notices:
                self._notices.forget(probed)
        if gone:
            self._stillness.forget(gone)
            self._polled = [p for p in self._polled if p in self._watched]
            self._told = [p for p in self._told if p in self._watched]
        if fresh:
            self._sort(fresh)

    def _sort(self, fresh: Iterable[Probed]) -> None:
        """Into what the kernel tells of and what is polled."""
        notices = self._notices
        again = dict.fromkeys(fresh)
        if not again:
            return
        self._polled = [p for p in self._polled if p not in again]
        self._told = [p for p in self._told if p not in again]
        for probed in again:
            if notices is not None and notices.follow(probed):
                self._told.append(probed)
            else:
                self._polled.append(probed)
        self._stillness.add(probed for probed in again if not self._is_told_of(probed))

    def _is_told_of(self, probed: Probed) -> bool:
        return self._notices is not None and self._notices.tells_of(probed)

    def _check_notices(self, asked: dict[Probed, None]) -> None:
        """What the kernel no longer tells of is polled, and looked at now."""
        if self._notices and (lost := self._notices.check()):
            lost = [probed for probed in lost if probed in self._watched]
            self._sort(lost)
            asked |= dict.fromkeys(lost)

    def _hear(self, told: Told) -> None:
        """The kernel told of these."""
        now = get_running_loop().time()
        found: Found = []
        for probed, written in told.items():
            if written and self._merely_grew(probed):
                found.append((probed, News.GREW))
            elif probed in self._watched:
                self._probe(probed, now, found, told=True)
        rest, errands = self._split(found)
        if errands:
            running = self._start(errands)
            if running.done():
                self._deliver_rest(running)
            else:
                running.add_done_callback(self._deliver_rest)
        if rest or self._unsettled:  # then to be looked at more often
            self._deliver(rest)

    def _merely_grew(self, probed: Probed) -> bool:
        """Whether the errand for it is all that is to be done: by its end, its name untouched.

        What a cut and as much again hides from that, the read finds.
        """
        errand, hand = self.errands.get(probed), probed.hand
        if errand is None or not errand.is_left or errand.source is not hand or hand.fd < 0:
            return False
        try:
            end = self._system.seek(hand.fd, 0, os.SEEK_END)
        except OSError:
            return False  # the probe tells what is wrong
        if not end > probed.seen > 0:
            return False
        probed.note_growth(end)
        return True

    def _deliver_rest(self, running: asyncio.Future[Found]) -> None:
        if not running.cancelled() and (left := running.result()):
            self._deliver(left)
