"""The thread that owns the files: it reads the inputs and appends to the output.

This is the lesson's `WriteThread`, carried to its end. Coroutines are sent to its event
loop and awaited from the caller's; since every handle lives on this one thread there is
no lock and nothing that can block the caller. What travels is not lines but "this source,
up to here": `forward` reads, cuts and appends a hop's bytes (feed.py) before it answers.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from tailmerge.batch import lines_batch
from tailmerge.feed import Asked, Feed, Progress
from tailmerge.folders import Folders
from tailmerge.generation import Look
from tailmerge.journal import Journal
from tailmerge.lane import Lane
from tailmerge.ledger import Ledger
from tailmerge.named import NamedFile
from tailmerge.output import Audience, Output, Trouble
from tailmerge.peek import Peek
from tailmerge.piped import Stream
from tailmerge.plain import Plain
from tailmerge.registry import Registry
from tailmerge.report import OutputError, Report, StateError, cannot_open
from tailmerge.route import Growth, MakeRoute, Route
from tailmerge.series import Series, begin_looks, confirm
from tailmerge.source import Source
from tailmerge.state import Entry
from tailmerge.stream import Carry, InputStream
from tailmerge.syncing import Syncing
from tailmerge.system import Identity, System
from tailmerge.turn import OutputTurn

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a state that may pass while a run begins; others are wrong for good."""

T = TypeVar("T")


class WriteThread(Lane):
    """A thread with an event loop of its own that owns the output, and reads for it.

        async with WriteThread("merged.log") as output:
            await output.write(b"a line\\n")

    What is written is appended. A path of "-" is standard output.
    """

    def __init__(
        self,
        output_path: str | os.PathLike[str],
        *,
        audience: Audience | None = None,
        overwrite: bool = False,
        patience: float | None = None,
        report: Report | None = None,
        system: System | None = None,
        state_path: str | None = None,
        folders: Folders | None = None,
        fsync: bool = False,
        make_route: MakeRoute = Plain,
        peek: Peek | None = None,
    ) -> None:
        """Nothing is opened yet.

        `audience` is who may read a new output (its owner alone where None), `patience`
        the seconds that a write may fail for before the run gives up (None: for ever),
        `state_path` where positions are kept (None: nowhere), `folders` the ones that were
        named, `fsync` whether what is written is to survive a power cut, a second later at
        most, `make_route` how lines get to the output, and `peek` what the state said.
        """
        super().__init__("tailmerge-writer")
        self.output_path = os.fspath(output_path)
        self.output: Output | None = None
        self.system = system or System()
        self._audience = audience or Audience()
        self._overwrite = overwrite
        self._patience = patience
        self._report = report or Report(lambda text: None)
        self._make_route = make_route
        self._hurries = False
        self._ledger = (
            Ledger(Journal(state_path, self.system, peek), folders or Folders(self.system))
            if state_path
            else None
        )
        self._fsync = fsync
        self._turn = OutputTurn(self._ledger, self.system)
        self._route: Route = Plain(self._turn)

    async def __aenter__(self) -> WriteThread:
        """Start the thread and open the output, off the caller's loop.

        Raises:
            OutputError: the output cannot be opened; the thread has ended again.
        """
        await self.open()
        try:
            await self.send(self._open_output)
        except BaseException:
            await self.stop()
            raise
        return self

    async def write(self, data: bytes) -> None:
        """Append `data`; it is written, in one piece, when this returns.

        Raises:
            LaneStopped: after `stop`.
            OutputError: the output cannot be written.
        """
        await self.send(self._real_write, data)

    async def forward(
        self,
        source: Source,
        until: int | None = None,
        *,
        last: bool = False,
        again: bool = True,
        close: bool = False,
        feed: Feed | None = None,
    ) -> Progress:
        """Append the source's next whole lines, a hop's bytes of them or one line.

        `until` is the offset behind which nothing is read. With `last` an unfinished last
        line goes out too, with a newline added. `again` is whether a later run can find
        these lines once more: else the journal keeps them until they are written. `feed` is the
        input that the source belongs to (None: one by the source's own name).

        Raises:
            Rewritten: the file no longer holds what was read from it.
            Refused: the file is not made of lines of bytes.
            OutputError: the output cannot be written.
        """
        feed = feed or Feed(source.path)
        return await self.send(self._route.forward, feed, source, Asked(until, last, again, close))

    async def forward_all(self, grown: Sequence[Growth]) -> Sequence[Progress | Exception]:
        """`forward` each to its end, for who is on this thread already; see `Route`."""
        return await self._route.forward_all(grown)

    async def pump(self, stream: InputStream, feed: Feed | None = None) -> Progress:
        """Wait for the stream's next bytes and append the lines that they end.

        `more` is False when no writer is left, or the stream was interrupted; an unfinished
        last line whose writers have gone is then written too.
        """
        return await self.send(self._real_pump, feed or Feed(stream.name), stream)

    async def pump_rest(self, stream: InputStream, feed: Feed | None = None) -> None:
        """Append the stream's unfinished last line, with a newline added."""
        await self.send(self._real_pump_rest, feed or Feed(stream.name), stream)

    async def wait_reader_gone(self) -> None:
        """Wait, for ever on a regular file, until nobody reads the output any more."""
        await self.send(self._real_wait_reader_gone)

    async def identities(self) -> set[Identity]:
        """Every file that is or was the output in this run; it grows with each reopening."""
        return await self.call(lambda: self._opened.identities)

    async def hurry(self) -> None:
        """Tell what waits for the output that the run is to end, be it not open yet."""
        self._hurries = True
        if output := self.output:
            await self.call(output.hurry)

    async def enrol(self, feeds: Sequence[Feed], *, backlog: bool) -> None:
        """Tell which inputs there are, in their order, before anything is forwarded of them.

        `backlog`: what they hold now is merged as a whole.
        """
        await self.call(lambda: self._route.enrol(feeds, backlog=backlog))

    async def pause(self, feed: Feed) -> None:
        """Tell that an input was read to its end for now."""
        await self.send(self._route.pause, feed)

    async def finish(self, feed: Feed) -> None:
        """Tell that nothing more comes of an input."""
        await self.send(self._route.finish, feed)

    async def settle(self) -> None:
        """Write all that was read and waits for its place; nothing more comes.

        Raises:
            OutputError: the output cannot be written.
        """
        await self.send(self._route.settle)

    async def look(self, series: Series, now: float, *, hold: bool = False) -> Look:
        """Look for a series' files; what becomes known by it is kept in the state."""
        return await self.send(self._real_look, partial(series.look, now, hold=hold))

    async def begin_looks(self, series: Sequence[Series], now: float) -> list[Look | None]:
        """The same for many series; None where it is to be confirmed."""
        return await self.send(self._real_look, begin_looks, series, now)

    async def confirm(self, series: Sequence[Series], now: float) -> list[Look]:
        """Look once more where that is to be done."""
        return await self.send(self._real_look, confirm, series, now)

    async def known(self, registry: Registry, series: Iterable[Series]) -> dict[str, list[Entry]]:
        """What earlier runs left, by the input's absolute name; from now on the state
        follows what the registry learns, and `series` are asked when it is written anew."""
        ledger = self._ledger
        return await self.call(ledger.attach, registry, series) if ledger else {}

    async def leave_to_series(self) -> None:
        """The series of this run are made: what is known of them they alone tell."""
        if self._ledger:
            await self.call(self._ledger.leave_to_series)

    # on the thread's own loop

    @property
    def _opened(self) -> Output:
        if self.output is None:
            raise OutputError("the output is not open")
        return self.output

    async def _open_output(self) -> None:
        self._route = self._make_route(self._turn)
        output = self._choose_output()
        output.open()
        self.output = output
        if self._hurries:
            output.hurry()
        if self._ledger:
            await self._take_over(self._ledger, output)
            if self._ledger.owed:
                await output.append(self._ledger.owed)
                self._ledger.begin()
        elif self._overwrite and isinstance(output, NamedFile):
            try:
                output.empty()
            except OSError as error:
                raise cannot_open(output.path, error) from error
        if self._fsync and isinstance(output, NamedFile):
            self._turn.syncing = Syncing(output, self._ledger, self.system)
            await self._turn.syncing.open()
        self._turn.output = output

    async def _take_over(self, ledger: Ledger, output: Output) -> None:
        """As often as it takes: a full disk may have room again. What a try leaves half done is
        recovered by the next one, as after a kill."""
        trouble: Trouble | None = None
        while True:
            try:
                ledger.open(output, self._overwrite, self.system, self._report, fsync=self._fsync)
                break
            except StateError as error:
                cause = error.__cause__
                if not isinstance(cause, OSError) or cause.errno not in FULL:
                    raise
                ledger.close(whole=False)
                trouble = trouble or Trouble(output)
                await trouble.wait(cause)
        if trouble:
            trouble.over()

    def _choose_output(self) -> Output:
        path = self.output_path
        try:
            named = path != "-" and stat.S_IFMT(self.system.stat(path).st_mode)
        except OSError:
            named = stat.S_IFREG  # a new one; what else is wrong open() will say
        if named in (stat.S_IFREG, stat.S_IFDIR):
            return NamedFile(path, self.system, self._report, self._patience, self._audience)
        return Stream(path, self.system, self._report, self._patience)

    async def _real_look(self, look: Callable[..., T], *args: Any) -> T:
        found = look(*args)
        if self._ledger:
            self._ledger.flush()
        return found

    async def _real_write(self, data: bytes) -> None:
        async with self._turn as output:
            await output.append(lines_batch(data, (), again=False))

    async def _real_pump(self, feed: Feed, stream: InputStream) -> Progress:
        data = await self._read(feed, stream)  # not in turn: it may take for ever
        if not data:
            if data is not None:
                await self._real_pump_rest(feed, stream)
                await self._pause_alone(feed, stream)
            return Progress(0, False, len(stream.carry))
        stream.alone_since = None
        cut = data.rfind(b"\n") + 1
        if cut:
            await self._append_stream(feed, stream, data[:cut])
        if cut < len(data):
            stream.carry.add(data[cut:])
        return Progress(len(data), True, len(stream.carry))

    async def _read(self, feed: Feed, stream: InputStream) -> bytes | None:
        if self._route.patience is None:
            return await stream.read()
        read = asyncio.ensure_future(stream.read())
        if not (await asyncio.wait([read], timeout=self._route.patience))[0]:
            await self._route.pause(feed)
        return await read

    async def _pause_alone(self, feed: Feed, stream: InputStream) -> None:
        """A pipe without a writer says nothing either, but its reads do not wait."""
        now, patience = asyncio.get_running_loop().time(), self._route.patience
        if stream.alone_since is None:
            stream.alone_since = now
        elif patience is not None and stream.alone_since + patience <= now:
            await self._route.pause(feed)

    async def _real_pump_rest(self, feed: Feed, stream: InputStream) -> None:
        if len(stream.carry):
            await self._append_stream(feed, stream, b"\n")

    async def _append_stream(self, feed: Feed, stream: InputStream, data: bytes) -> None:
        """Append what was carried, and the lines that end it."""
        carry, stream.carry = stream.carry, Carry()
        try:
            await self._route.append_stream(feed, carry, data)
        finally:
            carry.close()

    async def _real_wait_reader_gone(self) -> None:
        output = self._opened
        if isinstance(output, Stream):
            await output.reader_gone.wait()
        elif self._turn.syncing:
            await self._turn.syncing.wait_failure()
        else:
            await asyncio.Event().wait()

    async def close_inputs(self, close: Callable[[], None]) -> None:
        """At the end of a run: call `close` once no batch of any input is under way."""

        async def close_in_turn() -> None:
            self._opened.hurry()
            async with self._turn.alone:
                close()

        await self.send(close_in_turn)

    async def close_source(self, source: Source) -> None:
        """Close a source once no batch of it is under way; on the thread's own loop."""
        async with self._turn.alone:
            source.close()

    async def before_stop(self) -> None:
        """What was sent is written, as far as the output takes it; then all is closed."""
        turn, whole = self._turn, False
        try:
            if self.output:
                self.output.hurry()
            await turn.close()
            if turn.syncing and turn.failed is None:
                await turn.syncing.settle()
            whole = turn.failed is None
        finally:
            if self._ledger:
                self._ledger.close(whole=whole)
            if turn.syncing:
                await turn.syncing.close()
            if self.output:
                self.output.close()
