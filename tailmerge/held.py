"""What holds a file open, as far as the system is asked about it; pure."""

from __future__ import annotations

from typing import Protocol, TypeVar


class Hand(Protocol):
    """What holds a file open, or has its name while it is closed (`fd` is negative)."""

    fd: int
    path: str


class Held(Protocol):
    """What is asked whether its file still ends where it did."""

    @property
    def hand(self) -> Hand | None: ...

    @property
    def seen(self) -> int: ...


HeldT = TypeVar("HeldT", bound=Held)
