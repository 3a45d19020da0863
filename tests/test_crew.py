"""Many inputs at once: begun in a few calls, at rest without a task, ended quickly."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

from helpers import append, is_open, said

from tailmerge import run_fully_async
from tailmerge.system import System

SOON = 0.01
"""A poll interval for tests, seconds."""

MANY = 250


class Full(System):
    """A disk that is full of late."""

    full = False

    def write(self, fd: int, data: bytes | bytearray | memoryview) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(fd, data)


def merged() -> list[bytes]:
    return Path("m.log").read_bytes().splitlines() if os.path.exists("m.log") else []


def fill(count: int) -> list[str]:
    names = [f"{number:03}.log" for number in range(count)]
    for name in names:
        append(name, f"{name} 1\n".encode())
    return names


async def test_inputs_at_rest_have_no_task_and_are_read_when_they_grow() -> None:
    names, stop = fill(MANY), asyncio.Event()
    run = asyncio.create_task(
        run_fully_async(["*.log"], SOON, "m.log", state_path="m.state", stop=stop)
    )
    while len(merged()) < MANY:
        await asyncio.sleep(SOON)
    assert len(asyncio.all_tasks()) < 20
    append(names[7], b"007 2\n")
    os.rename(names[9], "009.log.1")
    append("009.log.1", b"009 late\n")
    append(names[9], b"009 new\n")
    while len(merged()) < MANY + 3:
        await asyncio.sleep(SOON)
    assert len(asyncio.all_tasks()) < 20
    stop.set()
    await run
    assert sorted(merged()[-3:]) == [b"007 2", b"009 late", b"009 new"]
    await run_fully_async(["*.log"], SOON, "m.log", once=True, state_path="m.state")
    assert len(merged()) == MANY + 3


async def test_inputs_at_rest_are_looked_at_once_more_where_the_run_ends_by_itself() -> None:
    fill(MANY)
    run = asyncio.create_task(run_fully_async(["*.log"], 600, "m.log", until_idle=1.0))
    while len(merged()) < MANY:
        await asyncio.sleep(SOON)
    append("017.log", b"017 2\n017 unfinished")  # the next sweep is far
    await run
    assert merged()[MANY:] == [b"017 2", b"017 unfinished"]


async def test_a_signal_leaves_out_the_unfinished_line_of_an_input_at_rest() -> None:
    fill(3)
    append("001.log", b"unfinished")
    stop, (words, report) = asyncio.Event(), said()
    run = asyncio.create_task(run_fully_async(["*.log"], SOON, "m.log", stop=stop, report=report))
    while len(merged()) < 3:
        await asyncio.sleep(SOON)
    stop.set()
    await run
    assert "001.log: unfinished last line left out" in words


async def test_inputs_are_held_open_while_the_first_one_finds_the_disk_full() -> None:
    """It may stay full for hours: what is rotated and deleted meanwhile is not lost."""
    names, system, stop = fill(5), Full(), asyncio.Event()
    system.full = True
    run = asyncio.create_task(run_fully_async(names, SOON, "m.log", stop=stop, system=system))
    for generation in (1, 2, 3):
        for name in names:
            while not is_open(name):
                await asyncio.sleep(SOON)
            os.rename(name, name + ".1")
            append(name, f"{name} {generation + 1}\n".encode())
        for name in names:
            while not is_open(name):
                await asyncio.sleep(SOON)
            os.unlink(name + ".1")
    system.full = False
    while len(merged()) < 20:
        await asyncio.sleep(SOON)
    stop.set()
    await run
    lines = merged()
    assert len(lines) == 20
    for name in names:
        own = [line for line in lines if line.startswith(name.encode())]
        assert own == [f"{name} {number}".encode() for number in (1, 2, 3, 4)]
