"""`tail_async`: the task of one input, whoever runs it."""

from __future__ import annotations

from typing import BinaryIO

from tailmerge.ending import Ending
from tailmerge.handles import Duplicate, HandleTail, Relay, WriteFunction, close_unread
from tailmerge.lane import Lane
from tailmerge.surroundings import Tail
from tailmerge.system import System
from tailmerge.writer import WriteThread


async def tail_async(handle: BinaryIO | Tail, interval: float, write_func: WriteFunction) -> None:
    """Follow one input and forward its new lines until it is over.

    `handle` is an open binary file, read from its current position through a duplicate of
    its own: it is followed until the caller closes it, then read to its end. New lines go
    to `await write_func(lines)`, whole ones only, as bytes, several at a time; they are
    looked for every `interval` seconds. Where `write_func` is the `write` of a
    `WriteThread`, that thread reads them itself and no line crosses a thread.

    Raises:
        Whatever `write_func` raises.
    """
    if hasattr(handle, "run"):
        await handle.run()
        return
    duplicate = Duplicate(handle)
    owner = getattr(write_func, "__self__", None)
    system = (owner.system if isinstance(owner, WriteThread) else None) or System()
    if isinstance(owner, WriteThread):
        await HandleTail(duplicate, interval, owner, owner, Ending(), system).run()
        return
    try:
        async with Lane("tailmerge-reader") as lane:
            relay = Relay(lane, write_func)
            await HandleTail(duplicate, interval, relay, lane, Ending(), system).run()
    finally:
        await close_unread([duplicate], system)  # the lane was cancelled before it began
