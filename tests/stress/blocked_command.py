"""The command, with a coroutine beside it that sleeps on its event loop.

    blocked_command.py [OPTIONS] INPUT...

Takes what `tailmerge` takes; shows what --debug reports.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tailmerge import cli

merge = cli.run_fully_async


async def block_the_loop() -> None:
    time.sleep(0.5)  # noqa: ASYNC251 - this is what --debug is to find


async def merge_beside(*args: Any, **options: Any) -> None:
    blocked = asyncio.create_task(block_the_loop())
    await merge(*args, **options)
    await blocked


if __name__ == "__main__":
    cli.run_fully_async = merge_beside
    cli.main()
