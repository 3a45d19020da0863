"""What holds in every test: a blocking call on the main event loop is an error."""

from __future__ import annotations

import asyncio
import builtins
import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from blockbuster import BlockBuster
from blockbuster.blockbuster import BlockBusterFunction
from helpers import LaneLoop
from hypothesis import settings
from zones import SetZone

import tailmerge
from tailmerge.lane import Lane

settings.register_profile("no deadline", deadline=None)  # how long an example takes is no failure
settings.load_profile("no deadline")

MISSED = (
    *("close", "fchmod", "fchown", "fdatasync", "fstat", "fsync", "ftruncate", "lstat", "open"),
    *("pread", "preadv", "pwrite", "pwritev", "readv", "writev"),
)
"""Calls of `os` that can block and that blockbuster does not know; its `os.stat` it does."""


def make_guard() -> BlockBuster:
    """Calls that can block raise BlockingError where tailmerge makes them on the main loop.

    Only calls below a frame of the package count: a test itself may write its files where
    it likes. A lane's loop is there to be blocked, and so is a `LaneLoop`, which stands
    for one. The gate in `Lane._post` needs no exemption: an uncontended lock passes, and a
    contended one is held for a few instructions, which the `with` statement does not show.
    """
    guard = BlockBuster([tailmerge])
    for name in MISSED:
        guard.functions[f"os.{name}"] = BlockBusterFunction(os, name, scanned_modules=[tailmerge])
    for owner, name in ((threading.Thread, "start"), (threading.Thread, "join")):
        # The executor's own threads are started and joined off the loop's back.
        guard.functions[f"Thread.{name}"] = BlockBusterFunction(
            owner,
            name,
            scanned_modules=[tailmerge],
            can_block_functions=[("concurrent/futures/thread.py", {"submit"})],
        )
    guard.functions["open"] = BlockBusterFunction(builtins, "open", scanned_modules=[tailmerge])
    guard.functions["readline"] = BlockBusterFunction(
        io.BufferedReader, "readline", scanned_modules=[tailmerge]
    )
    for function in guard.functions.values():
        function.can_block_predicate = _also_on_lanes(function.can_block_predicate)
    return guard


def _also_on_lanes(may_block: Callable[..., bool]) -> Callable[..., bool]:
    def answer(*args: Any, **kwargs: Any) -> bool:
        return (
            isinstance(threading.current_thread(), Lane)
            or isinstance(asyncio.get_running_loop(), LaneLoop)
            or may_block(*args, **kwargs)
        )

    return answer


@pytest.fixture(scope="session")
def guard() -> BlockBuster:
    return make_guard()


@pytest.fixture(autouse=True)
def _nothing_blocks_the_main_loop(guard: BlockBuster) -> Iterator[None]:
    guard.activate()
    try:
        yield
    finally:
        guard.deactivate()


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative names in a test are files of that test."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def set_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[SetZone]:
    """The local zone is what a test says; afterwards it is what it was."""

    def set_it(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_it
    monkeypatch.undo()
    time.tzset()
