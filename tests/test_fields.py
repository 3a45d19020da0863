"""W3C extended logs."""

from __future__ import annotations

import pytest
from zones import SetZone, times


@pytest.fixture(autouse=True)
def _berlin(set_zone: SetZone) -> None:
    set_zone("Europe/Berlin")


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ("date time c-ip", "2026-11-23 13:42:01 10.0.0.1"),
        ("time date c-ip", "13:42:01 2026-11-23 10.0.0.1"),
        ("c-ip date cs-method time", "10.0.0.1 2026-11-23 GET 13:42:01"),
        ("c-ip time cs-method date", "10.0.0.1 13:42:01 GET 2026-11-23"),
        ("date\ttime\tx-edge-location", "2026-11-23\t13:42:01\tFRA2"),
    ],
)
def test_the_columns_are_those_that_were_named_and_utc(fields: str, line: str) -> None:
    assert times(["#Version: 1.0", f"#Fields: {fields}", line, line]) == [
        None,
        None,
        "2026-11-23T13:42:01Z",
        "2026-11-23T13:42:01Z",
    ]


def test_the_columns_change_in_the_middle() -> None:
    lines = [
        "#Fields: date time a",
        "2026-11-23 13:42:01 x",
        "#Fields: a time date",
        "x 13:42:02 2026-11-23",
    ]
    assert times(lines) == [None, "2026-11-23T13:42:01Z", None, "2026-11-23T13:42:02Z"]


def test_a_time_without_a_date_is_of_the_day_that_the_file_began() -> None:
    lines = ["#Date: 2020-05-02 23:00:00", "#Fields: time a", "23:59:59 x", "00:00:01 x"]
    assert times(lines)[2:] == ["2020-05-02T23:59:59Z", "2020-05-03T00:00:01Z"]
