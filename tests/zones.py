"""A local zone for a test, and a clock in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from tailmerge.timestamps import Clock, format_rfc3339

SECOND = 1_000_000_000
SetZone = Callable[[str], None]


def second(text: str) -> float:
    """Seconds since the epoch of an ISO 8601 text, UTC where it names no zone."""
    parsed = datetime.fromisoformat(text)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def instant(text: str) -> int:
    """The same in ns."""
    whole, _, rest = text.partition(".")
    digits = rest.rstrip("Z").ljust(9, "0") if rest else "0"
    return int(second(whole)) * SECOND + int(digits)


def clock(now: str = "2026-11-23T14:42:01", **settings: object) -> Clock:
    """A clock for which it is now `now`."""
    return Clock(**{"now": lambda: second(now), **settings})  # type: ignore[arg-type]


def times(lines: list[str], **settings: object) -> list[str | None]:
    """What a clock makes of lines, as texts in UTC."""
    found = clock(**settings).find_times([line.encode() + b"\n" for line in lines])  # type: ignore[arg-type]
    return [None if ns is None else format_rfc3339(ns, utc=True) for ns in found]
