"""The lesson's own program, in the lesson's shape: one hop to the writing thread for each line.

    book.py OUTPUT INTERVAL [--once] INPUT...

It is what the others are measured against at the slow end. With --once a handle is over as
soon as it has no new data, where the lesson's callers close theirs.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any, BinaryIO, Self


class NoNewData(Exception):
    pass


class WriteThread(threading.Thread):
    def __init__(self, output_path: str) -> None:
        super().__init__()
        self.output_path = output_path
        self.output: BinaryIO | None = None
        self.loop = asyncio.new_event_loop()

    def run(self) -> None:
        asyncio.set_event_loop(self.loop)
        with open(self.output_path, "wb") as self.output:
            self.loop.run_forever()
            self.loop.run_until_complete(asyncio.sleep(0))

    async def real_write(self, data: bytes) -> None:
        assert self.output
        self.output.write(data)

    async def write(self, data: bytes) -> None:
        future = asyncio.run_coroutine_threadsafe(self.real_write(data), self.loop)
        await asyncio.wrap_future(future)

    async def real_stop(self) -> None:
        self.loop.stop()

    async def stop(self) -> None:
        future = asyncio.run_coroutine_threadsafe(self.real_stop(), self.loop)
        await asyncio.wrap_future(future)

    async def __aenter__(self) -> Self:
        await asyncio.get_running_loop().run_in_executor(None, self.start)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def readline(handle: BinaryIO) -> bytes:
    here = handle.tell()
    end = handle.seek(0, 2)
    handle.seek(here)
    if here == end:
        raise NoNewData
    return handle.readline()


async def tail_async(
    handle: BinaryIO, interval: float, write_func: Callable[[bytes], Awaitable[Any]], once: bool
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            line = await loop.run_in_executor(None, readline, handle)
        except NoNewData:
            if once:
                return
            await asyncio.sleep(interval)
        else:
            await write_func(line)


async def run_fully_async(
    handles: list[BinaryIO], interval: float, output_path: str, once: bool
) -> None:
    async with WriteThread(output_path) as output:
        tasks = [
            asyncio.create_task(tail_async(handle, interval, output.write, once))
            for handle in handles
        ]
        await asyncio.gather(*tasks)


def main(output: str, interval: str, *words: str) -> None:
    handles = [open(word, "rb") for word in words if word != "--once"]  # noqa: SIM115 - all at once
    asyncio.run(run_fully_async(handles, float(interval), output, "--once" in words))


if __name__ == "__main__":
    main(*sys.argv[1:])
