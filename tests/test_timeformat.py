"""Formats that the user names."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zones import SetZone, clock, times

from tailmerge.timestamps import check_time_format


@pytest.fixture(autouse=True)
def _utc(set_zone: SetZone) -> None:
    set_zone("UTC")


@pytest.mark.parametrize(
    ("time_format", "line", "expected"),
    [
        ("%d|%m|%Y %Hh%Mm%S", "23|11|2026 13h42m01 a", "2026-11-23T13:42:01Z"),
        ("%Y%j %H:%M:%S", "x 2026327 13:42:01 a", "2026-11-23T13:42:01Z"),
        ("%d. %B %Y, %I:%M:%S %p", "23. November 2026, 01:42:01 PM a", "2026-11-23T13:42:01Z"),
        ("%m-%d-%y %T.%f", "a: 11-23-26 13:42:01.5 b", "2026-11-23T13:42:01.500Z"),
        ("%s.%f", "t 1795441321.123456789 b", "2026-11-23T13:42:01.123456789Z"),
        ("%s", "12 a", "1970-01-01T00:00:12Z"),
        ("%FT%T%z", "2026-11-23T15:42:01+02:00 b", "2026-11-23T13:42:01Z"),
        ("%F %T %Z", "2026-11-23 14:42:01 CET b", "2026-11-23T13:42:01Z"),
        ("%a %b %e %H:%M:%S", "Mon Nov 23 13:42:01 a", "2026-11-23T13:42:01Z"),
        ("%c", "at Mon Nov 23 13:42:01 2026 a", "2026-11-23T13:42:01Z"),
        ("%H:%M", "13:42 a", "2026-11-23T13:42:00Z"),
        ("%d.%m.%Y", "23.11.2026 a", "2026-11-23T00:00:00Z"),
        ("[%S,%f/%M/%H %d-%b-%Y]", "[01,250/42/13 23-nov-2026] a", "2026-11-23T13:42:01.250Z"),
        ("100%% %F %T", "100% 2026-11-23 13:42:01", "2026-11-23T13:42:01Z"),
        ("%-d/%-m/%Y %k:%M", "3/1/2026  9:05 a", "2026-01-03T09:05:00Z"),
        ("%G-W%V-%u %H:%M:%S", "2026-W48-1 13:42:01 a", "2026-11-23T13:42:01Z"),
        ("%Y week %W day %w %H:%M", "2026 week 47 day 1 13:42 a", "2026-11-23T13:42:00Z"),
        ("%F %T.%3N", "2026-11-23 13:42:01.123 a", "2026-11-23T13:42:01.123Z"),
    ],
)
def test_a_named_format_is_found_near_the_start(time_format: str, line: str, expected: str) -> None:
    check_time_format(time_format)
    assert times([line, line], time_format=time_format) == [expected] * 2


def test_nothing_else_is_recognised_then() -> None:
    assert times(["2026-11-23 13:42:01 a"], time_format="%d.%m.%Y %T") == [None]


def test_a_named_format_deep_in_a_message_is_no_time() -> None:
    lines = ["23.11.2026 13:42:01 a", "Caused by: a thing that was on 01.01.2026 10:00:00"]
    assert times(lines, time_format="%d.%m.%Y %H:%M:%S") == ["2026-11-23T13:42:01Z", None]


@pytest.mark.parametrize(
    ("time_format", "reason"),
    [
        ("", "names neither a day nor a time"),
        ("hello", "names neither a day nor a time"),
        ("%Y", "names neither a day nor a time"),
        ("%Y-%m-%d %Q", "has %Q, which is no directive"),
        ("%Y-%m-%d %", "has %, which is no directive"),
        ("%H:%M %H", "has %H twice"),
        ("%Y-%d %H", "has a day without a month"),
        ("%d.%m.%Y %M", "without an hour"),
        ("%F %T %z %Z", "has two zones"),
        ("%d.%m. %p", "has %p without an hour"),
        ("%I:%M", "has %I without %p"),
        ("%f", "names neither a day nor a time"),
    ],
)
def test_a_format_that_cannot_work_says_why(time_format: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        check_time_format(time_format)


DIRECTIVES = ["%Y-%m-%d", "%d.%m.%Y", "%d %b %Y", "%b %d, %Y", "%m/%d/%Y", "%Y%m%d", "%Y %j"]


@given(
    moment=st.datetimes(datetime(1970, 1, 1), datetime(2099, 12, 31)),
    date=st.sampled_from(DIRECTIVES),
    clock_format=st.sampled_from(["%H:%M:%S", "%H.%M.%S,%f", "%I:%M:%S %p", "%H%M%S.%f"]),
    zone=st.sampled_from(["", " %z", " %Z"]),
    before=st.sampled_from(["", "<", "level: "]),
)
def test_what_strftime_writes_is_read_again(
    moment: datetime, date: str, clock_format: str, zone: str, before: str
) -> None:
    time_format = f"{date} {clock_format}{zone}"
    aware = moment.replace(tzinfo=UTC)
    if "%f" not in time_format:
        aware = aware.replace(microsecond=0)
    line = f"{before}{aware.strftime(time_format)} message\n".encode()
    found = clock(time_format=time_format, utc=True).find_times([line] * 2)
    expected = int(aware.replace(microsecond=0).timestamp()) * 10**9 + aware.microsecond * 1000
    assert found == [expected] * 2
