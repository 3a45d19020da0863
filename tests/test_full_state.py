"""A full disk under the state, and under the output while a run takes over."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Faulty, append, fault, on_lane, said, short

from tailmerge import run_fully_async
from tailmerge.batch import Span, lines_batch
from tailmerge.folders import Folders
from tailmerge.journal import Journal
from tailmerge.ledger import Ledger
from tailmerge.named import NamedFile
from tailmerge.output import Audience
from tailmerge.report import OutputOwes, StateError
from tailmerge.system import System
from tailmerge.writer import WriteThread

DATA = b"1111\n2222\n3333\n"


def run(system: System, *, batch: bool = False) -> list[str]:
    """Take over, and write a batch of lines that no input has again."""
    words, report = said()

    async def go() -> None:
        output = NamedFile("m", system, report, 1.0, Audience())
        output.open()
        ledger = Ledger(Journal("s", system), Folders(system))
        try:
            ledger.open(output, False, system, report)
            if batch:
                spans = (Span(1, 0, 9, b"x"), Span(2, 0, 9, b"y"))
                await output.append(lines_batch(DATA, spans, again=False))
        finally:
            ledger.close(whole=False)
            output.close()

    on_lane(go())
    return words


class Killed(BaseException):
    """The process ends here."""


def half(count: int) -> object:
    """A write that takes so many bytes, and then the process ends."""

    def step(real: object, *args: object) -> int:
        short(count)(real, *args)  # type: ignore[arg-type]
        raise Killed

    return step


def killed_inside(count: int) -> None:
    """A run that wrote so many bytes of its batch; the first write is the state's."""
    with pytest.raises(Killed):
        run(Faulty(write=[None, half(count)]), batch=True)  # type: ignore[list-item]
    assert Path("m").read_bytes() == DATA[:count]


@pytest.mark.parametrize("count", [0, 3, 5, 8])
@pytest.mark.parametrize("foreign", [b"", b"foreign\n"])
@pytest.mark.parametrize("failing", [1, 2, 3])
@pytest.mark.parametrize("part", [0, 4, 6])
def test_a_full_disk_while_a_batch_is_recovered_doubles_nothing(
    count: int, foreign: bytes, failing: int, part: int
) -> None:
    if count:
        killed_inside(count)
    else:
        with pytest.raises(Killed):
            run(Faulty(write=[None, Killed()]), batch=True)
    append("m", foreign)
    disk = Faulty(write=[*[None] * (failing - 1), short(part), fault(errno.ENOSPC)])
    with contextlib.suppress(StateError):
        run(disk)
    assert disk.fired or failing > 1
    run(Faulty())
    lines = Path("m").read_bytes().splitlines()
    whole = [line for line in lines if line in DATA.splitlines()]
    assert whole == DATA.splitlines()
    assert lines.count(b"foreign") <= 1


async def test_a_state_that_has_no_room_at_the_start_is_waited_for() -> None:
    words, report = said()
    system = Faulty(write=[fault(errno.ENOSPC), fault(errno.ENOSPC)])
    async with WriteThread(
        "m", system=system, report=report, state_path="m.tailmerge", patience=10.0
    ) as output:
        await output.write(b"1\n")
    assert system.spent
    assert await asyncio.to_thread(Path("m").read_bytes) == b"1\n"
    assert words == [
        "m: no space left on the disk, waiting; nothing is skipped",
        "m: can be written again",
    ]


async def test_a_folder_that_takes_no_state_is_wrong_for_good() -> None:
    _, report = said()
    writer = WriteThread(
        "m",
        system=Faulty(write=[fault(errno.EROFS)]),
        report=report,
        state_path="m.tailmerge",
        patience=10.0,
    )
    with pytest.raises(Exception, match=r"the state cannot be written: .*--state"):
        await writer.__aenter__()


async def test_a_run_that_is_cancelled_inside_a_long_line_goes_on_with_it_whole() -> None:
    line = b"y" * 700_000 + b"\n"
    await asyncio.to_thread(append, "a.log", line)
    full = [fault(errno.ENOSPC)] * 2
    waits = asyncio.Event()
    loop = asyncio.get_running_loop()

    def failing(real: object, *args: object) -> int:
        loop.call_soon_threadsafe(waits.set)
        raise fault(errno.ENOSPC)

    system = Faulty(write=[None, short(100_000), failing, *full])
    task = asyncio.create_task(
        run_fully_async(["a.log"], 0.01, "m", state_path="m.tailmerge", system=system)
    )
    await waits.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert system.spent
    await run_fully_async(["a.log"], 0.01, "m", once=True, state_path="m.tailmerge")
    assert await asyncio.to_thread(Path("m").read_bytes) == line


def cut() -> None:
    Path("m").write_bytes(b"")


def replace() -> None:
    Path("m").unlink()


def foreign() -> None:
    append("m", b"foreign\n")


@pytest.mark.parametrize("disturb", [cut, replace, foreign])
@pytest.mark.parametrize("count", [0, 3, 7])
async def test_a_run_that_gives_up_behind_a_disturbed_output_loses_no_line(
    count: int, disturb: Callable[[], None]
) -> None:
    await asyncio.to_thread(append, "a.log", DATA)
    loop, waits = asyncio.get_running_loop(), asyncio.Event()

    def disturbed(real: object, *args: object) -> int:
        disturb()
        raise fault(errno.ENOSPC)

    def failing(real: object, *args: object) -> int:
        loop.call_soon_threadsafe(waits.set)
        raise fault(errno.ENOSPC)

    full = [fault(errno.ENOSPC)] * 9
    system = Faulty(write=[None, short(count), disturbed, *[failing] * 2, *full])
    task = asyncio.create_task(
        run_fully_async(["a.log"], 0.01, "m", state_path="m.tailmerge", system=system)
    )
    await waits.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, OutputOwes):
        await task
    await run_fully_async(["a.log"], 0.01, "m", once=True, state_path="m.tailmerge")
    lines = (await asyncio.to_thread(Path("m").read_bytes)).splitlines()
    whole = DATA.splitlines()
    gone = whole[: count // 5] if disturb is not foreign else []
    assert [line for line in lines if line in whole] == [w for w in whole if w not in gone]


@pytest.mark.parametrize("disturb", [cut, replace, foreign])
async def test_an_output_that_is_disturbed_while_the_state_has_no_room_gets_the_batch(
    disturb: Callable[[], None],
) -> None:
    await asyncio.to_thread(append, "a.log", DATA)

    def disturbed(real: object, *args: object) -> int:
        disturb()
        raise fault(errno.ENOSPC)

    system = Faulty(write_at=[None, disturbed])
    await run_fully_async(["a.log"], 0.01, "m", once=True, state_path="m.tailmerge", system=system)
    assert system.spent
    lines = await asyncio.to_thread(Path("m").read_bytes)
    assert lines == (b"foreign\n" if disturb is foreign else b"") + DATA


@pytest.mark.parametrize("stopped_after", [0, 2])
async def test_a_run_that_is_stopped_while_it_begins_on_a_full_disk_ends(
    stopped_after: int,
) -> None:
    """Old symptom: only a second signal was obeyed."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    class Full(System):
        tries = 0

        def write(self, fd: int, data: object) -> int:
            self.tries += 1
            if self.tries > stopped_after:
                loop.call_soon_threadsafe(stop.set)
            raise OSError(errno.ENOSPC, "No space left on device")

    _, report = said()
    await asyncio.to_thread(append, "a.log", b"1\n")
    with pytest.raises(OutputOwes):
        await asyncio.wait_for(
            run_fully_async(
                ["a.log"], 0.01, "m", state_path="s", report=report, system=Full(), stop=stop
            ),
            30,
        )


async def test_who_is_told_to_hurry_before_its_output_is_open_does_not_wait_for_the_disk() -> None:
    class Full(System):
        def write(self, fd: int, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    writer = WriteThread("m", system=Full(), state_path="s")
    await writer.hurry()
    with pytest.raises(OutputOwes):
        await asyncio.wait_for(writer.__aenter__(), 30)
