"""Who has news: what the kernel tells at once, and one batched sweep for all the rest.

The looking is done on the thread that owns the files (sweep.py, notices.py); here is who
waits for it. No input has a timer of its own, and news that come while nobody waits are
kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from tailmerge.errand import Errand
from tailmerge.feed import Progress
from tailmerge.generation import News
from tailmerge.notices import Notices
from tailmerge.report import Report
from tailmerge.route import Growth
from tailmerge.sweep import LEAST_SECONDS, Probed, Sweep
from tailmerge.system import System
from tailmerge.writer import WriteThread

CALM_SECONDS = 1.0
"""The longest pause where the kernel tells of all inputs, and none is looked after."""

MOVE_SECONDS = 0.1
"""How long a change of names is left alone before it is looked at."""


class Sleeper(Protocol):
    """Who follows an input of which there is no news."""

    def wake(self) -> None:
        """There is, or the run is to end."""
        ...


class Watch:
    """Sweeps at the interval, listens to the kernel, and wakes who waits for what was found."""

    def __init__(
        self,
        lane: WriteThread,
        interval: float,
        report: Report | None = None,
        system: System | None = None,
    ) -> None:
        """With a `report`, which is told how, the kernel is listened to, where it tells.

        `system` are the calls for inputs; None: the lane's.
        """
        self._lane = lane
        self._system = system or lane.system
        self.interval = max(interval, LEAST_SECONDS)
        """Seconds between two sweeps where nothing is busy."""
        self._report = report
        self._listens = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sweep = Sweep(self._system, self.interval, self._forward_all, self._deliver)
        self._watched: dict[Probed, None] = {}
        self._fresh: list[Probed] = []
        self._gone: list[Probed] = []
        self._news: dict[Probed, News] = {}
        self._waiting: dict[Probed, asyncio.Future[None]] = {}
        self._asleep: dict[Probed, Sleeper] = {}
        """The same without a task: of ten thousand inputs at rest 25 MB."""
        self._called = asyncio.Event()
        """There is something to look after that no sweep has seen."""
        self._added = asyncio.Event()
        """There is something new."""
        self._moves = min(self.interval, MOVE_SECONDS)
        self._moving: dict[Probed, asyncio.TimerHandle] = {}
        """What has news of its names that are told in a moment."""
        self._ended = False
        self.last_news = float("-inf")
        """When something was forwarded last, seconds of the loops' clock."""

    def add(self, probed: Probed) -> None:
        if probed in self._watched:
            return
        self._watched[probed] = None
        self._fresh.append(probed)
        self._call()
        self._added.set()

    def remove(self, probed: Probed) -> None:
        del self._watched[probed]
        self._sweep.errands.pop(probed, None)
        self._news.pop(probed, None)
        self._gone.append(probed)
        self._call()
        if moving := self._moving.pop(probed, None):
            moving.cancel()

    def _call(self) -> None:
        self._called.set()
        self._sweep.is_called = True

    async def run(self) -> None:
        """Look for ever."""
        self._loop = asyncio.get_running_loop()
        now = self._loop.time
        try:
            if self._report:
                await self._listen()
            while True:
                fresh, gone = self._fresh, self._gone
                self._fresh, self._gone = [], []
                self._sweep.is_called = False
                look = self._sweep.look if fresh or self.interval > 1 else self._sweep.keep_looking
                found = await self._lane.send(look, now(), fresh, gone)
                self.tell_all(found, at_once=not self._sweep.was_quick)
                if fresh and self._report:
                    await self._say_how(self._report)
                    self._report = None
                await self._rest()
        finally:
            self._sweep.is_called = True
            self._asleep.clear()
            if self._listens:
                self._lane.post(self._sweep.close)

    async def _rest(self) -> None:
        """Until the next sweep; where the kernel tells of all, longer, but for what is new."""
        self._called.clear()
        calm = CALM_SECONDS - self.interval
        if calm > 0 and self._sweep.is_calm and not (self._fresh or self._gone):
            await _wait_for(self._called, calm)
        pause = self._pause()
        if pause <= MOVE_SECONDS:
            await asyncio.sleep(pause)
            return
        if not self._fresh:  # of what no sweep has seen nobody tells
            self._added.clear()
            await _wait_for(self._added, pause)
        if self._fresh:
            await asyncio.sleep(LEAST_SECONDS)  # where one is, there are more

    def _pause(self) -> float:
        """Seconds until the next sweep; inputs that are busy are looked at sooner."""
        if self._sweep.is_busy:
            return self._sweep.busy_pause
        return max(LEAST_SECONDS, self.interval - self._sweep.margin)

    async def _listen(self) -> None:
        """From now on the kernel tells, where it can."""
        loop = asyncio.get_running_loop()
        system = self._system
        if not await loop.run_in_executor(None, system.has_notifier):  # it may take a while
            return

        async def start() -> None:
            if notifier := system.make_notifier():
                self._sweep.listen(Notices(notifier, system))

        self._listens = True  # from now on there may be something to close
        await self._lane.send(start)
        self._listens = self._sweep.is_listening

    def note(self, progress: Progress) -> None:
        """Something was forwarded, or nothing."""
        if progress.moved:
            self.last_news = asyncio.get_running_loop().time()

    async def _forward_all(self, grown: Sequence[Growth]) -> Sequence[Progress | Exception]:
        """On the thread that owns the files: errands."""
        outcomes = await self._lane.forward_all(grown)
        for outcome in outcomes:
            if isinstance(outcome, Progress):
                self.note(outcome)
        return outcomes

    def _deliver(self, found: list[tuple[Probed, News]]) -> None:
        """On the thread that owns the files: there is news between two sweeps."""
        assert self._loop
        try:
            self._loop.call_soon_threadsafe(self._hear, found)
        except RuntimeError:
            pass  # the run is over and its loop closed

    def _hear(self, found: list[tuple[Probed, News]]) -> None:
        """The kernel told of something: what comes of it may have to be looked after."""
        if not self._sweep.is_calm:
            self._called.set()
        self.tell_all(found)

    async def _say_how(self, report: Report) -> None:
        folders, polled = await self._lane.call(self._sweep.describe)
        if folders and not polled:
            report.kernel_tells(folders)
        elif folders:
            report.kernel_tells_of_some(folders, polled, self.interval)
        elif self._listens:
            report.polls(self.interval)
        else:
            report.polls_without_inotify(self.interval)

    def tell_all(self, found: Iterable[tuple[Probed, News]], *, at_once: bool = False) -> None:
        """Tell what was found; a change of names, unless `at_once`, a little later.

        A rotation takes several steps. Who looks at the first one sees names that move.
        """
        for probed, news in found:
            if probed not in self._watched:
                continue
            if at_once or news is News.GREW:
                self.tell(probed, news)
            elif probed not in self._moving:
                later = asyncio.get_running_loop().call_later
                self._moving[probed] = later(self._moves, self._tell_moved, probed)

    def _tell_moved(self, probed: Probed) -> None:
        del self._moving[probed]
        if probed in self._watched:
            self.tell(probed, News.CHANGED)

    def tell(self, probed: Probed, news: News) -> None:
        """There is news for whoever follows this."""
        self._news[probed] = max(news, self._news.get(probed, News.NONE))
        self._wake(probed)

    def _wake(self, probed: Probed) -> None:
        waiting = self._waiting.get(probed)
        if waiting and not waiting.done():
            waiting.set_result(None)
        elif sleeper := self._asleep.pop(probed, None):
            sleeper.wake()

    def end(self) -> list[Errand]:
        """Nobody waits any more, or sleeps: the run is to end.

        Returns the errands that are under way, or of which something is to be met.
        """
        self._ended = True
        unsettled = [errand for errand in self._sweep.errands.values() if errand.take_back()]
        for probed in (*self._waiting, *self._asleep):
            self._wake(probed)
        return unsettled

    def leave(self, probed: Probed, errand: Errand) -> None:
        """Of mere growth nobody is told any more: this is done about it."""
        self._sweep.errands[probed] = errand

    async def run_errands(self, watched: list[Probed]) -> None:
        """Have the errands of these run now, as if all of them had grown."""
        self.tell_all(await self._lane.send(self._sweep.run_errands, watched))

    def take_errand(self, probed: Probed) -> None:
        """Of growth, too, there is news again."""
        self._sweep.errands.pop(probed, None)

    def sleep(self, probed: Probed, sleeper: Sleeper) -> bool:
        """Wake it once there is news; False where there is some, or the run is over."""
        if self._ended or probed in self._news:
            return False
        self._asleep[probed] = sleeper
        return True

    def take_sleepers(self) -> list[Sleeper]:
        """Who sleeps, and is not woken any more."""
        sleepers = list(self._asleep.values())
        self._asleep.clear()
        return sleepers

    def take(self, probed: Probed) -> News:
        """The news there are of it."""
        return self._news.pop(probed, News.NONE)

    def take_change(self, probed: Probed) -> bool:
        """Whether its name changed, without waiting; news of growth are left to be met."""
        if self._news.get(probed) is not News.CHANGED:
            return False
        del self._news[probed]
        return True

    async def attend(self, probed: Probed, work: asyncio.Future[Any]) -> None:
        """Wait until work for an input is done; no longer than until its name changes."""
        work.add_done_callback(lambda _: self._wake(probed))
        while not work.done() and self._news.get(probed) is not News.CHANGED:
            self._waiting[probed] = asyncio.get_running_loop().create_future()
            try:
                await self._waiting[probed]
            finally:
                del self._waiting[probed]

    async def wait(self, probed: Probed, seconds: float | None = None) -> News:
        """Wait for news, at most so long; `NONE` when the time, or the run, is over."""
        if not self._ended and probed not in self._news:
            loop = asyncio.get_running_loop()
            future = self._waiting[probed] = loop.create_future()
            timer = None if seconds is None else loop.call_later(seconds, self._wake, probed)
            try:
                await future
            finally:
                del self._waiting[probed]
                if timer:
                    timer.cancel()
        return self.take(probed)


async def _wait_for(event: asyncio.Event, seconds: float) -> None:
    """Wait until an event is set, and set it after so long."""
    timer = asyncio.get_running_loop().call_later(seconds, event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()
