"""A program in the style of the book: threads write to files, the main loop merges them.

    book_driver.py FOLDER LINES [--blocked]

Five threads write `LINES` lines each, five open handles are merged, a thread closes them
after a while. With --blocked a coroutine sleeps on the loop meanwhile. What asyncio's debug
mode has to say goes to standard error.
"""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

from writers import make_line

from tailmerge import run_fully_async

HANDLES = 5


def write_lines(path: Path, writer: int, lines: int) -> None:
    with path.open("ab", buffering=0) as file:
        for sequence in range(lines):
            line = make_line(writer, sequence)
            file.write(line[:9])
            file.write(line[9:])
            if sequence % 50 == 0:
                time.sleep(random.uniform(0, 0.02))


def close_after(threads: list[threading.Thread], handles: list[BinaryIO]) -> None:
    for thread in threads:
        thread.join()
    time.sleep(0.2)
    for handle in handles:
        handle.close()


async def block_the_loop() -> None:
    await asyncio.sleep(0.2)
    time.sleep(0.5)  # noqa: ASYNC251 - this is what debug mode is to find


async def run_beside(handles: list[BinaryIO], output: Path) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(run_fully_async(handles, 0.1, output))
        group.create_task(block_the_loop())


def main(folder: Path, lines: int, blocked: bool) -> None:
    paths = [folder / f"book{number}.log" for number in range(HANDLES)]
    for path in paths:
        path.touch()
    handles = [path.open("rb") for path in paths]
    threads = [
        threading.Thread(target=write_lines, args=(path, number, lines))
        for number, path in enumerate(paths)
    ]
    for thread in threads:
        thread.start()
    threading.Thread(target=close_after, args=(threads, handles)).start()
    output = folder / "merged"
    work = run_beside(handles, output) if blocked else run_fully_async(handles, 0.1, output)
    asyncio.run(work, debug=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), "--blocked" in sys.argv)
