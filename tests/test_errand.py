"""What merely grew is forwarded where it is seen; what is more than that wakes its tail."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers import append, said

from tailmerge import run_fully_async
from tailmerge.errand import Errand, run_all
from tailmerge.feed import HOP, Feed, Progress
from tailmerge.generation import News
from tailmerge.report import OutputError
from tailmerge.source import Rewritten
from tailmerge.watch import Watch

MOVED = Progress(5, False, 0)
MORE = Progress(HOP, True, 0)


def merged() -> bytes:
    return Path("m.log").read_bytes() if os.path.exists("m.log") else b""


class Forwarding:
    """Answers with what it was given, and waits at a gate before each answer."""

    def __init__(self, *answers: Progress | Exception) -> None:
        self.answers = list(answers)
        self.gate = asyncio.Event()
        self.calls = 0

    async def forward_all(self, grown: Sequence[Any]) -> Sequence[Progress | Exception]:
        self.calls += 1
        await self.gate.wait()
        return [self.answers.pop(0) for _ in grown]

    async def run(self, *errands: Errand) -> bool:
        """Whether somebody is to meet the first of them."""
        await run_all(errands, self.forward_all)
        return errands[0].is_over


def make_errand() -> Errand:
    source: Any = None
    return Errand(Feed("a.log"), source)


async def test_growth_needs_nobody() -> None:
    errand = make_errand()
    forwarding = Forwarding(MOVED, MOVED)
    forwarding.gate.set()
    assert not await forwarding.run(errand)
    assert not await forwarding.run(errand)
    assert forwarding.calls == 2
    assert errand.is_left
    assert not errand.take_back()


async def test_what_was_taken_back_is_not_begun() -> None:
    errand = make_errand()
    forwarding = Forwarding(MOVED)
    forwarding.gate.set()
    assert not errand.take_back()
    assert not errand.is_left
    assert await forwarding.run(errand)
    assert forwarding.calls == 0


@pytest.mark.parametrize(
    "answer", [MORE, Progress(5, False, 0, hole=7), Progress(5, False, 0, torn=True)]
)
async def test_more_than_growth_is_left_to_be_met_and_nothing_is_begun_before(
    answer: Progress,
) -> None:
    errand = make_errand()
    forwarding = Forwarding(answer)
    forwarding.gate.set()
    assert await forwarding.run(errand)
    assert not errand.is_left
    assert errand.take_back()
    assert await errand.settle() == answer


async def test_an_error_is_raised_where_it_is_met() -> None:
    errand = make_errand()
    forwarding = Forwarding(Rewritten("a.log"))
    forwarding.gate.set()
    assert await forwarding.run(errand)
    assert errand.take_back()
    with pytest.raises(Rewritten):
        await errand.settle()


async def test_one_that_is_under_way_is_waited_for_and_goes_on_once_more_after_growth() -> None:
    errand = make_errand()
    forwarding = Forwarding(MOVED, MOVED)
    running = asyncio.create_task(forwarding.run(errand))
    await asyncio.sleep(0)
    assert not await forwarding.run(errand)  # it grew: told at once, done behind
    assert forwarding.calls == 1
    assert errand.take_back()
    settling = asyncio.create_task(errand.settle())
    await asyncio.sleep(0)
    assert not settling.done()
    forwarding.gate.set()
    assert await settling == Progress(0, False, 0)
    await running
    assert forwarding.calls == 2


async def test_many_go_out_together_and_each_keeps_its_own_outcome() -> None:
    errands = [make_errand() for _ in range(3)]
    forwarding = Forwarding(MOVED, Rewritten("a.log"), MORE)
    forwarding.gate.set()
    await forwarding.run(*errands)
    assert forwarding.calls == 1
    assert [errand.is_over for errand in errands] == [False, True, True]
    assert not errands[0].take_back()
    with pytest.raises(Rewritten):
        await errands[1].settle()
    assert await errands[2].settle() == MORE


async def test_only_what_grew_meanwhile_goes_on() -> None:
    errands = [make_errand(), make_errand()]
    forwarding = Forwarding(MOVED, MOVED, MOVED)
    running = asyncio.create_task(forwarding.run(*errands))
    await asyncio.sleep(0)
    await forwarding.run(errands[1])
    forwarding.gate.set()
    await running
    assert forwarding.calls == 2
    assert forwarding.answers == []


async def test_what_grew_while_another_one_goes_on_is_not_forgotten() -> None:
    a, b = make_errand(), make_errand()
    rounds: list[int] = []

    async def forward_all(grown: Sequence[Any]) -> Sequence[Progress | Exception]:
        rounds.append(len(grown))
        if len(rounds) == 1:
            await run_all([b], forward_all)  # it grew, while both are under way
        if len(rounds) == 2:
            await run_all([a], forward_all)  # the one that waits for b's next round
        return [MOVED for _ in grown]

    await run_all([a, b], forward_all)
    assert rounds == [2, 1, 1]


async def test_an_output_that_fails_is_met_by_all_of_them() -> None:
    errands = [make_errand(), make_errand()]

    async def fail(grown: Sequence[Any]) -> Sequence[Progress | Exception]:
        raise OutputError("it failed")

    await run_all(errands, fail)
    for errand in errands:
        assert errand.take_back()
        with pytest.raises(OutputError):
            await errand.settle()


# in a run


@contextmanager
def _noting_news(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[News]]:
    """The news that tails were woken with."""
    woken: list[News] = []
    tell = Watch.tell

    def note(self: Watch, probed: Any, news: News) -> None:
        woken.append(news)
        tell(self, probed, news)

    monkeypatch.setattr(Watch, "tell", note)
    yield woken


def rewrite(name: str, data: bytes) -> None:
    Path(name).write_bytes(data)


async def _until(data: bytes, run: asyncio.Task[Any]) -> None:
    async with asyncio.timeout(10):
        while merged() != data:
            assert not run.done()
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("interval", [0.02, 600.0])
async def test_lines_that_are_appended_wake_no_tail_and_a_rotation_does(
    monkeypatch: pytest.MonkeyPatch, interval: float
) -> None:
    """With the long interval it is the kernel that tells, where it can."""
    if interval > 1:
        pytest.importorskip("asyncinotify")
    append("a.log", b"one\n")
    stop = asyncio.Event()
    _, report = said()
    with _noting_news(monkeypatch) as woken:
        run = asyncio.create_task(
            run_fully_async(["a.log"], interval, "m.log", report=report, stop=stop)
        )
        await _until(b"one\n", run)
        await asyncio.sleep(0.1)  # whoever is still on its way to wait has come there
        woken.clear()
        for number in range(3):
            append("a.log", b"line %d\n" % number)
            await _until(b"one\n" + b"".join(b"line %d\n" % n for n in range(number + 1)), run)
        assert woken == []
        os.rename("a.log", "a.log.1")
        append("a.log", b"new\n")
        await _until(b"one\nline 0\nline 1\nline 2\nnew\n", run)
        assert News.CHANGED in woken
        stop.set()
        await run


async def test_a_backlog_that_is_appended_and_a_cut_are_met_by_the_tail() -> None:
    append("a.log", b"one\n")
    stop = asyncio.Event()
    words, report = said()
    run = asyncio.create_task(run_fully_async(["a.log"], 0.02, "m.log", report=report, stop=stop))
    await _until(b"one\n", run)
    much = b"".join(b"%09d\n" % n for n in range(3 * HOP // 10))
    append("a.log", much)
    await _until(b"one\n" + much, run)
    rewrite("a.log", b"anew\n")
    await _until(b"one\n" + much + b"anew\n", run)
    assert any("truncated" in each or "rewritten" in each for each in words), words
    stop.set()
    await run
