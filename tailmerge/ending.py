"""How a run comes to its end: asked to stop, or over by itself after a last look."""

from __future__ import annotations

import asyncio


class Ending:
    """One for a run; set once, from the main loop.

    `stop`: what is under way is written and nothing more is begun. `finish`: what is there
    now is still merged, unfinished last lines included.
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.stopped = False

    @property
    def has_come(self) -> bool:
        return self._event.is_set()

    def stop(self) -> None:
        self.stopped = True
        self._event.set()

    def finish(self) -> None:
        self._event.set()

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end, at most so long; whether it has come."""
        if not self._event.is_set():
            try:
                await asyncio.wait_for(self._event.wait(), seconds)
            except TimeoutError:
                pass  # the usual way: the run goes on
        return self._event.is_set()
