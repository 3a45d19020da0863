"""Merges many growing inputs into one output: what a program calls, and the command.

What is asked for is put together here; what happens then is the run's (run.py).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from typing import BinaryIO

from tailmerge.guarded import guard, release
from tailmerge.handles import close_unread, duplicate_all
from tailmerge.report import Report, UsageProblem
from tailmerge.run import Run
from tailmerge.settings import Settings
from tailmerge.sight import Sight
from tailmerge.system import System
from tailmerge.voice import Voice

Handle = str | os.PathLike[str] | BinaryIO


async def run_fully_async(
    handles: Sequence[Handle],
    interval: float = 0.1,
    output_path: str | os.PathLike[str] = "-",
    *,
    once: bool = False,
    lines: int | None = None,
    pid: int | None = None,
    until_idle: float | None = None,
    rotate_wait: float = 5.0,
    overwrite: bool = False,
    state_path: str | os.PathLike[str] | None = None,
    fsync: bool = False,
    sort: bool = False,
    window: float = 1.0,
    time_format: str | None = None,
    utc: bool = False,
    record_start: str | None = None,
    label: str | None = None,
    match: Sequence[str] = (),
    exclude: Sequence[str] = (),
    format: str = "text",
    report: Report | None = None,
    sight: Sight | None = None,
    stop: asyncio.Event | None = None,
    system: System | None = None,
) -> None:
    """Merge many growing inputs into one output, line by line, until it is over.

    `handles` are paths, glob patterns or open binary handles; "-" is standard input. Paths
    and patterns are followed through rotation; a handle is read from its current position
    until its caller closes it. `interval` is the poll interval and `output_path` what is
    appended to ("-" is standard output). It ends when every input is over for good, when
    `stop` is set or the task is cancelled (what was read is written first), and with

    - `once`: after merging what is there now;
    - `pid`: when this process is gone and its last lines are merged;
    - `until_idle`: when nothing new came for so many seconds.

    `lines` begins with so many last lines of the files that are there, `rotate_wait` is how
    many seconds a rotated file must be quiet before it is no longer held open, `overwrite`
    empties the output first, and `state_path` is where positions are kept so that a later
    run goes on where this one ended (None: nowhere). `fsync` survives a power cut, too.
    `sort` orders lines by the times in them: while following, a line waits for earlier ones
    for at most `window` seconds; `time_format` is the times' strptime format where they are
    not recognised, and `utc` takes the ones without a zone as UTC. With `record_start` a line in
    which that is not found continues the record above it; `label` is a template of what stands
    before each line, `match` and `exclude` (one or several) keep and drop lines, or records,
    and the `format` "json" makes an object of each line. Messages go to the logger
    "tailmerge" unless a `report` takes them; `sight` is who looks on.

    Raises:
        UsageProblem: there is nothing to read but the output and directories, or one of the
            times is none to wait: negative, infinite or no number.
        OutputError: the output cannot be opened or written.
        ReaderGone: nobody reads the output any more.
    """
    system = system or System()
    if format not in ("text", "json"):
        raise ValueError(f"there is no format {format!r}: text or json")
    _check_seconds(interval=interval, rotate_wait=rotate_wait, until_idle=until_idle, window=window)
    binary = [h for h in handles if not isinstance(h, str | os.PathLike)]
    duplicates = await duplicate_all(binary, system)
    voice, inputs = None, system
    try:
        inputs = await asyncio.get_running_loop().run_in_executor(None, guard, system)
        if report is None:
            voice = Voice(logging.getLogger("tailmerge").warning)
            await voice.open()
            report = Report(voice.say, once=once)
        run = Run(
            names=[os.fspath(h) for h in handles if isinstance(h, str | os.PathLike)],
            duplicates=duplicates,
            settings=Settings(
                interval=interval,
                output_path=os.fspath(output_path),
                once=once,
                lines=lines,
                pid=pid,
                until_idle=until_idle,
                rotate_wait=rotate_wait,
                overwrite=overwrite,
                state_path=os.fspath(state_path) if state_path is not None else None,
                fsync=fsync,
                sort=sort,
                window=window,
                time_format=time_format,
                utc=utc,
                record_start=record_start,
                label=label,
                match=(match,) if isinstance(match, str) else tuple(match),
                exclude=(exclude,) if isinstance(exclude, str) else tuple(exclude),
                as_json=format == "json",
            ),
            report=report,
            sight=sight or Sight(lines=report.is_verbose),
            stop=stop or asyncio.Event(),
            system=system,
            inputs=inputs,
        )
        await run.run()
    finally:
        await close_unread(duplicates, system)
        release(inputs)
        if voice:
            await voice.close()


def _check_seconds(**named: float | None) -> None:
    for name, seconds in named.items():
        if seconds is not None and not 0 <= seconds < float("inf"):
            raise UsageProblem(f"{name}={seconds:g} is no time to wait; give seconds, 0 or more")
