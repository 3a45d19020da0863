"""One batch at a time: what is done when one is through, and what a failure leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tailmerge.report import OutputError
from tailmerge.source import Rewritten
from tailmerge.system import System
from tailmerge.turn import OutputTurn


class Output:
    """An output that counts how often it was settled."""

    def __init__(self, error: Exception | None = None) -> None:
        self.settled = 0
        self.error = error

    async def settle(self) -> None:
        self.settled += 1
        if self.error:
            raise self.error


def make_turn(output: Any) -> OutputTurn:
    turn = OutputTurn(None, System())
    turn.output = output
    return turn


async def take(turn: OutputTurn, error: BaseException | None = None) -> None:
    async with turn:
        if error:
            raise error


async def test_what_was_begun_is_written_before_the_next_one_has_its_turn() -> None:
    turn, order = make_turn(output := Output()), []

    async def forward(name: str) -> None:
        async with turn:
            order.append((name, output.settled))
            await asyncio.sleep(0)
            order.append((name, output.settled))

    await asyncio.gather(forward("a"), forward("b"))
    assert order == [("a", 0), ("a", 0), ("b", 1), ("b", 1)]
    assert output.settled == 2


async def test_an_error_of_a_file_is_only_its_own() -> None:
    turn = make_turn(output := Output())
    with pytest.raises(Rewritten):
        await take(turn, Rewritten("a.log"))
    assert output.settled == 1
    await take(turn)
    assert turn.failed is None


@pytest.mark.parametrize("error", [OutputError("full"), ValueError(), asyncio.CancelledError()])
async def test_after_any_other_error_nobody_has_a_turn(error: BaseException) -> None:
    turn = make_turn(output := Output())
    with pytest.raises(type(error)):
        await take(turn, error)
    assert output.settled == 1
    with pytest.raises(type(error)):
        await take(turn)
    assert output.settled == 1
    assert not turn.alone.locked()


async def test_an_error_of_what_was_begun_is_met_here() -> None:
    turn = make_turn(Output(OutputError("full")))
    for _ in range(2):
        with pytest.raises(OutputError):
            await take(turn)
    assert not turn.alone.locked()


class Grown:
    """A ledger whose journal would be shortened."""

    @property
    def is_long(self) -> bool:
        raise AssertionError("it was asked")


async def test_after_an_error_the_journal_is_left_as_it_is() -> None:
    """The batch may be half done: a checkpoint would take it for whole."""
    ledger: Any = Grown()
    turn = OutputTurn(ledger, System())
    output: Any = Output()
    turn.output = output
    with pytest.raises(Rewritten):
        await take(turn, Rewritten("a.log"))
    with pytest.raises(AssertionError, match="it was asked"):
        await take(turn)


async def test_without_an_output_there_are_no_turns() -> None:
    turn = OutputTurn(None, System())
    for _ in range(2):
        with pytest.raises(OutputError):
            await take(turn)
