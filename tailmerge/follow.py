"""The life of one input: absent, growing, rotated, drained; what is forwarded when.

One `tail_async` task an input that has news, on the main loop. It decides; every system call it
needs is sent to the thread that owns the files. Three kinds of input have a life each: a series
(a name and its rotated forms), a stream (streaming.py), a handle that the caller opened
and will close (handles.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from tailmerge.closing import LINES, OpenRecords
from tailmerge.errand import Errand
from tailmerge.feed import Feed, Progress
from tailmerge.generation import Look, News, is_read, plain_look
from tailmerge.lane import look_at
from tailmerge.packed import PackedSource
from tailmerge.probe import RECHECK_SECONDS
from tailmerge.series import Series
from tailmerge.source import Refused, Rewritten, Source
from tailmerge.surroundings import Surroundings

HOLD_SECONDS = 0.1
"""How long one hop may take before the input is looked after meanwhile."""


NOTHING: frozenset[Any] = frozenset()
"""One for all inputs."""


class SeriesTail:
    """A name and its rotated forms: the old file is drained, then the new one forwarded."""

    __slots__ = (
        "_around",
        "_errand",
        "_failing",
        "_look",
        "_met",
        "_named",
        "_open",
        "_paused",
        "_refused",
        "_twin",
        "asleep",
        "feed",
        "series",
    )

    def __init__(self, series: Series, around: Surroundings, *, named: bool) -> None:
        """`named`: it was given by its name, so that a missing one is said."""
        self.series = series
        self.feed = Feed(series.path)
        self._around = around
        self._named = named
        self._look: Look | None = None
        """What there is to read; None: nothing was looked at, or an errand has it."""
        self._met = series.is_known
        self._failing: frozenset[Source] = NOTHING
        """Files of which a read failed: they are tried again, without news."""
        self._refused = False
        """What was there last is not made of lines of bytes."""
        self._twin: str | None = None
        self._open = LINES if around.window is None else OpenRecords(around.window)
        self._errand: Errand | None = None
        """What is done meanwhile without us."""
        self._paused = False
        """It was read to its end once."""
        self.asleep = False
        """There is no news, so there is no task either: `run` goes on where it was."""

    def wake(self) -> None:
        """There is news, or the run is to end."""
        if self._around.start:
            self._around.start(self)

    async def prepare(self) -> None:
        """Look for the first time: what is there now is what a one-shot run reads."""
        await self._look_again()
        if self._around.once:
            await self.await_gone()

    async def await_gone(self) -> None:
        """Look again until it is sure what is gone, for a second at most: names may move."""
        while self._look and self._look.gone and not self._around.ending.stopped:
            await asyncio.sleep(self._look.again or 0)
            await self._look_again()

    async def run(self) -> None:
        around = self._around
        woken, self.asleep = self.asleep, False
        if not woken and self._look is None and not around.ending.stopped:
            await self._look_again()
        if not woken:
            around.watch.add(self.series)
        try:
            if woken:
                await self._heed(around.watch.take(self.series))
            while True:
                ended = around.ending.has_come or around.once
                if ended and not (around.once or around.ending.stopped):
                    await self._look_again()  # what was done last, a rotation included
                if not around.ending.stopped:
                    await self._drain()
                if around.ending.stopped:
                    await self._leave_out()
                    return
                if ended or (self._look and self._look.over):
                    await self._finish()
                    return
                await self._wait()
                if self.asleep:
                    return
        finally:
            if not self.asleep:
                if self._errand:
                    self._errand.take_back()
                around.watch.remove(self.series)

    async def _wait(self) -> None:
        """Wait for news, or fall asleep where only they can wake."""
        assert self._look
        again = self._look.again
        if (self._look.error or self._look.unreadable or self._failing) and again is None:
            again = RECHECK_SECONDS
        if self._around.sorted and not self._paused:
            self._paused = True
            await self._around.output.pause(self.feed)
        due = self._open.find_wait(asyncio.get_running_loop().time())
        if due is not None and (again is None or due < again):
            news = await self._around.watch.wait(self.series, due)
            if news is News.NONE and not self._around.ending.has_come:
                await self._close_records()
                return
        else:
            self._leave_errand()
            if again is None and self._around.start and self._around.watch.sleep(self.series, self):
                self.asleep = True
                return
            news = await self._around.watch.wait(self.series, again)
        await self._heed(news)

    async def _heed(self, news: News) -> None:
        if not await self._take_errand_back(news):
            news = News.CHANGED
        # The name changed, or the time is over; at the end of the run `run` looks again.
        if news is not News.GREW and not self._around.ending.has_come:
            await self._look_again()

    def _leave_errand(self) -> None:
        if errand := self._make_errand():
            self._errand = errand
            self._around.watch.leave(self.series, errand)
            if self._look and self._look.is_plain:
                self._look = None

    def _make_errand(self) -> Errand | None:
        """What can be done without us, as long as nothing happens but growth."""
        around, look = self._around, self._look
        if around.sorted or around.window is not None or self._failing or self._refused:
            return None
        if look is None or len(look.reads) != 1 or isinstance(look.reads[0][0], PackedSource):
            return None
        return Errand(self.feed, look.reads[0][0])

    async def _take_errand_back(self, news: News) -> bool:
        """Meet what it left to us; False where the file was rewritten."""
        errand, self._errand = self._errand, None
        if errand is None:
            return True
        self._around.watch.take_errand(self.series)
        self._look = self._look or plain_look(errand.source)
        if errand.take_back():
            if news is News.CHANGED:  # it may take hours, and its file be rotated once more
                await self._look_again(hold=True)
            try:
                await self._meet(errand.source, self._around.output.send(errand.settle))
            except Rewritten:
                return False
        return True

    async def _close_records(self) -> None:
        """What was quiet for the window is whole."""
        for source, until in self._open.take_due(asyncio.get_running_loop().time()):
            await self._forward(source, until, close=True)

    async def _look_again(self, *, hold: bool = False) -> None:
        now = asyncio.get_running_loop().time()
        await self.take_in(await self._around.output.look(self.series, now, hold=hold))

    def rest(self, look: Look) -> bool:
        """Fall asleep, what a plain look found left as an errand; False where there is news."""
        if not self._around.watch.sleep(self.series, self):
            return False
        self.asleep = self._met = True
        self._look = look
        self._leave_errand()
        return True

    async def take_in(self, look: Look) -> None:
        """Act upon a look."""
        if look.pending:  # what is held open stays so
            self._look = (self._look or look)._replace(pending=True, again=look.again)
            return
        self._look = look
        self._open.forget({source for source, _ in look.reads})
        self._tell(look)
        for source in look.finish:
            if await self._forward(source, None, last=True):
                await self._around.output.call(self.series.keeping.let_go, source)

    def _tell(self, look: Look) -> None:
        """Say what changed."""
        report, name = self._around.report, self.series.path
        if look.error:
            report.input_unreadable(name, look.error)
        elif look.twin:
            if look.twin != self._twin:
                report.duplicate_skipped(name, look.twin)
        elif look.missing:
            if not self._met and self._named:
                report.input_missing(name)
            elif look.rotated:
                report.input_gone(name)
        else:
            self._met = True
            if self._failing:
                self._failing &= {source for source, _ in look.reads}
            if self._refused or self._failing or not report.input_works(name):
                if look.rotated:
                    report.input_rotated(name, look.held)
                elif look.appeared:
                    report.input_appeared(name)
        self._twin = look.twin
        for path, error in look.unreadable:
            report.input_unreadable(path, error)
        for path in look.readable:
            report.input_works(path)
        if look.rewritten and not look.rotated:
            report.input_rewritten(name)
        if look.lost:
            report.lines_missing(name, look.lost)
        if look.let_go:
            report.input_let_go(name)

    async def _drain(self) -> None:
        """Forward all that is there, the oldest file first."""
        done = False
        while not done:
            assert self._look
            look = self._look
            if look.pending and not self._around.ending.stopped:
                await asyncio.sleep(look.again or 0)
                await self._look_again()
                continue
            for source, size in look.reads:
                until = size if self._around.once else None
                if until is not None and self._around.window is None and is_read(source, until):
                    continue
                last = isinstance(source, PackedSource)  # it will not grow
                done = await self._forward(source, until, last=last)
                if done and source is not look.reads[-1][0]:
                    done = await self._close_older(source, until)
                if not done:
                    await self._look_again()
                    break
            done = look is self._look

    async def _close_older(self, source: Source, until: int | None) -> bool:
        """The last record of an older file comes before what the next file holds.

        It is waited for like any other; False where the file was rewritten.
        """
        now, around = asyncio.get_running_loop().time, self._around
        while (wait := self._open.find_wait_of(source, now())) is not None:
            if around.ending.stopped:
                return True
            modified = await around.output.call(source.modified)
            if wait == 0 or (modified and time.time() - modified >= (around.window or 0)):
                return await self._forward(source, until, close=True)
            await asyncio.sleep(min(wait, HOLD_SECONDS))
            if not await self._forward(source, until):
                return False
        return True

    async def _forward(
        self, source: Source, until: int | None, *, last: bool = False, close: bool = False
    ) -> bool:
        """Forward from one file to its end; False where it was rewritten: look again."""
        more = True
        while more and not self._around.ending.stopped:
            sent = self._around.output.forward(
                source, until, last=last, close=close, feed=self.feed
            )
            try:
                more = await self._meet(source, sent, closed=close)
            except Rewritten:
                return False
        return True

    async def _meet(
        self, source: Source, sent: Coroutine[Any, Any, Progress], *, closed: bool = False
    ) -> bool:
        """What a forward did, or failed to do; whether there is more to forward.

        Raises:
            Rewritten: look again.
        """
        around, name = self._around, self.series.path
        try:
            progress = await self._await_forward(sent)
        except Refused as refused:
            around.report.input_refused(name, refused.encoding)
            self._refused = True
            return False
        except OSError as error:
            around.report.input_unreadable(name, error)
            self._failing |= {source}
            return False
        if source in self._failing or self._refused:
            self._failing -= {source}
            self._refused = False
            if not self._failing:
                around.report.input_works(name)
        around.watch.note(progress)
        if progress.hole:
            around.report.hole_skipped(name, progress.hole)
        if progress.torn:
            around.report.line_torn(name)
        self._open.note(source, progress, asyncio.get_running_loop().time(), closed=closed)
        return progress.more

    async def _await_forward(self, sent: Coroutine[Any, Any, Progress]) -> Progress:
        """One hop; while its output does not take it, rotation is seen all the same.

        A full disk may last for hours: what is rotated and deleted meanwhile is held open.
        """
        forward = asyncio.ensure_future(sent)
        forward.add_done_callback(look_at)  # we may be cancelled before it fails
        watch, now = self._around.watch, asyncio.get_running_loop().time
        begun = now()
        while True:
            await watch.attend(self.series, forward)
            if not forward.done():
                await asyncio.wait([forward], timeout=max(0.0, begun + HOLD_SECONDS - now()))
            if forward.done():
                return forward.result()
            if watch.take_change(self.series):
                await self._look_again(hold=True)

    async def _finish(self) -> None:
        """The run ends by itself: unfinished last lines are written, as cat would.

        With a state they are left for the next run, and so is an open record whose file
        was written to less than the window ago.
        """
        if self._around.resumable:
            await self._close_quiet_records()
            self._around.report.input_finished(self.series.path)
            return
        await self.await_gone()
        for source in await self._around.output.call(self.series.keeping.unfinished):
            await self._forward(source, None, last=True)
        self._around.report.input_finished(self.series.path)

    async def _close_quiet_records(self) -> None:
        window = self._around.window
        if window is None or self._look is None:
            return
        for source, size in self._look.reads:
            modified = await self._around.output.call(source.modified)
            # One of the future is one by a wrong clock: it may stay so for long.
            if modified is not None and not -window <= time.time() - modified < window:
                await self._forward(source, size, close=True)

    async def _leave_out(self) -> None:
        """A signal ended the run: what is unfinished is not written, and that is said.

        With a state it is left for the next run; an open record, too.
        """
        if self._around.resumable:
            return
        if self._around.window is not None and self._look:
            for source, _ in self._look.reads:
                try:
                    await self._await_forward(
                        self._around.output.forward(source, close=True, feed=self.feed)
                    )
                except (Rewritten, Refused, OSError):
                    continue  # cut or gone at this moment: said as left out
        if await self._around.output.call(self.series.keeping.has_unfinished):
            self._around.report.line_left_out(self.series.path)
