"""Who has the output: one batch at a time, and what is done when a batch is through.

Entered for each append, a hundred times a second where lines come one by one; a class of its own
costs half of what `asynccontextmanager` does.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

from tailmerge.ledger import Ledger
from tailmerge.output import Output
from tailmerge.report import OutputError
from tailmerge.route import OF_SOURCE
from tailmerge.shortening import Shortening
from tailmerge.syncing import Syncing
from tailmerge.system import System


class OutputTurn:
    """The output of a run, on the thread that owns it: while one waits for it, all wait."""

    def __init__(self, ledger: Ledger | None, system: System) -> None:
        self.output: Output | None = None
        """None until it is open."""
        self.syncing: Syncing | None = None
        self.failed: BaseException | None = None
        """What left a batch half done: nobody has a turn any more."""
        self.alone = asyncio.Lock()
        """For who only waits until no batch is under way."""
        self._ledger = ledger
        self._shortening = Shortening(ledger, system) if ledger else None

    async def __aenter__(self) -> Output:
        """
        Raises:
            OutputError: the output is not open.
        """
        await self.alone.acquire()
        try:
            if self.failed:
                raise self.failed
            if self.output is None:
                raise OutputError("the output is not open")
        except BaseException:
            self.alone.release()
            raise
        return self.output

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self.output
        try:
            await self.output.settle()
            if error is None:
                await self._shorten()
        except BaseException as failure:
            error = failure
            raise
        finally:
            if error is not None and not isinstance(error, OF_SOURCE):
                self.failed = error  # be it cancelled: what it left the next run proves
            self.alone.release()

    async def _shorten(self) -> None:
        if self.syncing is None:
            if self._shortening:
                self._shortening.step()
        elif self._ledger and self._ledger.is_long:
            await self.syncing.settle()  # the checkpoint tells of all of it
            self._ledger.shorten()

    async def close(self) -> None:
        """Wait until no batch is under way, at the end of the run."""
        async with self.alone:
            if self._shortening:
                self._shortening.close()
