"""Zones, folds, years and days: what the text of a line does not say."""

from __future__ import annotations

import pytest
from zones import SetZone, clock, instant, second, times

BERLIN, NEW_YORK, SYDNEY = "Europe/Berlin", "America/New_York", "Australia/Sydney"


# zones


def test_a_time_without_a_zone_is_local(set_zone: SetZone) -> None:
    set_zone(BERLIN)
    assert times(["2026-11-23 13:42:01 a", "2026-07-23 13:42:01 a"]) == [
        "2026-11-23T12:42:01Z",
        "2026-07-23T11:42:01Z",
    ]


def test_a_time_without_a_zone_is_utc_where_that_was_asked_for(set_zone: SetZone) -> None:
    set_zone(BERLIN)
    assert times(["2026-07-23 13:42:01 a"], utc=True) == ["2026-07-23T13:42:01Z"]


def test_an_old_date_has_the_offset_of_its_own_time(set_zone: SetZone) -> None:
    set_zone("Europe/Moscow")
    assert times(["2012-01-01 12:00:00 a", "2016-01-01 12:00:00 a"]) == [
        "2012-01-01T08:00:00Z",
        "2016-01-01T09:00:00Z",
    ]


@pytest.mark.parametrize(
    "zone", ["Z", "+00:00", "+0000", "+00", " UTC", " GMT", " +0000", " GMT+0000", "-00:00"]
)
def test_greenwich_has_many_names(zone: str, set_zone: SetZone) -> None:
    set_zone(NEW_YORK)
    assert times([f"2026-11-23 13:42:01{zone} a"]) == ["2026-11-23T13:42:01Z"]


@pytest.mark.parametrize(
    ("zone", "utc"),
    [
        ("+05:30", "08:12:01"),
        ("-0330", "17:12:01"),
        (" +1300", "00:42:01"),
        (" CET", "12:42:01"),
        (" CEST", "11:42:01"),
        (" PDT", "20:42:01"),
        (" JST", "04:42:01"),
    ],
)
def test_an_offset_or_a_clear_name_goes_before_the_local_zone(
    zone: str, utc: str, set_zone: SetZone
) -> None:
    set_zone(SYDNEY)
    assert times([f"2026-11-23 13:42:01{zone} [12] LOG: a"]) == [f"2026-11-23T{utc}Z"]


def test_a_name_of_several_zones_counts_as_none(set_zone: SetZone) -> None:
    set_zone(BERLIN)
    assert times(["2026-11-23 13:42:01 IST [12] a"]) == ["2026-11-23T12:42:01Z"]


def test_a_name_of_several_zones_is_the_local_one_where_that_has_it(set_zone: SetZone) -> None:
    set_zone("Asia/Kolkata")
    assert times(["2026-11-23 13:42:01 IST [12] a"], utc=True) == ["2026-11-23T08:12:01Z"]


def test_a_level_behind_the_time_is_no_zone(set_zone: SetZone) -> None:
    set_zone(BERLIN)
    lines = [f"2026-11-23 13:42:01 {level} a" for level in ("INFO", "WARN", "ERROR", "EST1")]
    assert times(lines) == ["2026-11-23T12:42:01Z"] * 4


def test_zones_change_from_line_to_line(set_zone: SetZone) -> None:
    set_zone(BERLIN)
    lines = ["2026-11-23T13:42:01.5Z a", "2026-11-23T15:42:01.500+02:00 b", "2026-11-23T14:42:01 c"]
    assert times(lines * 3) == [
        "2026-11-23T13:42:01.500Z",
        "2026-11-23T13:42:01.500Z",
        "2026-11-23T13:42:01Z",
    ] * 3  # fmt: skip


# daylight saving


def test_the_hour_that_comes_twice_is_told_by_the_order(set_zone: SetZone) -> None:
    set_zone(BERLIN)
    walls = ["01:59:59", "02:10:00", "02:59:59", "02:00:00", "02:10:00", "02:59:59", "03:00:00"]
    assert times([f"2026-10-25 {wall} a" for wall in walls]) == [
        "2026-10-24T23:59:59Z",
        "2026-10-25T00:10:00Z",
        "2026-10-25T00:59:59Z",
        "2026-10-25T01:00:00Z",
        "2026-10-25T01:10:00Z",
        "2026-10-25T01:59:59Z",
        "2026-10-25T02:00:00Z",
    ]


def test_the_hour_that_comes_twice_in_syslog_and_line_by_line(set_zone: SetZone) -> None:
    set_zone(NEW_YORK)
    one = clock()
    walls = ["01:01:03", "01:41:30", "01:59:14", "01:24:56", "01:50:16", "02:08:19"]
    found = [one.find_time(f"Nov  1 {wall} host a: b\n".encode()) for wall in walls]
    assert found == [
        instant(f"2026-11-01T{utc}")
        for utc in ("05:01:03", "05:41:30", "05:59:14", "06:24:56", "06:50:16", "07:08:19")
    ]


def test_lines_that_overtake_each_other_do_not_begin_the_second_hour(set_zone: SetZone) -> None:
    set_zone(BERLIN)
    walls = ["02:10:00.500", "02:10:00.300", "02:10:01.000"]
    assert times([f"2026-10-25 {wall} a" for wall in walls]) == [
        "2026-10-25T00:10:00.500Z",
        "2026-10-25T00:10:00.300Z",
        "2026-10-25T00:10:01Z",
    ]


def test_a_zone_decides_the_hour_that_comes_twice(set_zone: SetZone) -> None:
    set_zone(BERLIN)
    assert times(["2026-10-25 02:30:00 CET a", "2026-10-25 02:30:00 CEST a"]) == [
        "2026-10-25T01:30:00Z",
        "2026-10-25T00:30:00Z",
    ]


def test_the_hour_that_is_left_out_goes_on_from_the_one_before(set_zone: SetZone) -> None:
    set_zone(BERLIN)
    assert times(["2026-03-29 01:59:59 a", "2026-03-29 02:30:00 a", "2026-03-29 03:00:00 a"]) == [
        "2026-03-29T00:59:59Z",
        "2026-03-29T01:30:00Z",
        "2026-03-29T01:00:00Z",
    ]


def test_a_leap_second_is_the_one_after(set_zone: SetZone) -> None:
    set_zone("UTC")
    assert (
        times(["2016-12-31T23:59:60Z a", "2016-12-31 23:59:60 a"]) == ["2017-01-01T00:00:00Z"] * 2
    )


# years


@pytest.fixture
def _utc(set_zone: SetZone) -> None:
    set_zone("UTC")


@pytest.mark.usefixtures("_utc")
def test_a_date_without_a_year_is_of_the_last_twelve_months() -> None:
    assert times(["Nov 23 13:42:01 h a: b"]) == ["2026-11-23T13:42:01Z"]
    assert times(["Nov 24 13:42:01 h a: b"]) == ["2026-11-24T13:42:01Z"]
    assert times(["Nov 26 13:42:01 h a: b"]) == ["2025-11-26T13:42:01Z"]


@pytest.mark.usefixtures("_utc")
def test_an_old_file_has_the_year_in_which_it_was_written() -> None:
    lines = ["Dec 30 10:00:00 h a: b", "Jan  2 10:00:00 h a: b"]
    assert times(lines, modified=second("2019-01-02T10:00:00")) == [
        "2018-12-30T10:00:00Z",
        "2019-01-02T10:00:00Z",
    ]


@pytest.mark.usefixtures("_utc")
def test_the_year_changes_in_a_live_file() -> None:
    lines = [
        *("Dec 31 23:59:58 h a: b", "Dec 31 23:59:59 h a: b", "Jan  1 00:00:00 h a: b"),
        *("Dec 31 23:59:59 h a: late", "Jan  1 00:00:01 h a: b"),
    ]
    assert times(lines, now="2027-01-01T00:00:01") == [
        "2026-12-31T23:59:58Z",
        "2026-12-31T23:59:59Z",
        "2027-01-01T00:00:00Z",
        "2026-12-31T23:59:59Z",
        "2027-01-01T00:00:01Z",
    ]


@pytest.mark.usefixtures("_utc")
def test_a_first_line_at_new_year_is_of_the_old_year() -> None:
    assert times(["Dec 31 23:59:59 h a: b"], now="2027-01-01T00:00:05") == ["2026-12-31T23:59:59Z"]


@pytest.mark.usefixtures("_utc")
def test_a_clock_that_was_not_set_yet_does_not_turn_the_year() -> None:
    lines = ["Nov 23 10:00:00 h a: b", "Jan  1 00:00:05 h kernel: boot", "Nov 23 10:01:00 h a: b"]
    assert times(lines)[2] == "2026-11-23T10:01:00Z"


@pytest.mark.usefixtures("_utc")
def test_the_29th_of_february_is_of_a_leap_year() -> None:
    assert times(["Feb 29 10:00:00 h a: b"]) == ["2024-02-29T10:00:00Z"]


@pytest.mark.usefixtures("_utc")
def test_android_and_klog_have_no_year_either() -> None:
    assert times(["12-31 23:59:59.500  1  2 I A: b"]) == ["2025-12-31T23:59:59.500Z"]
    assert times(["I1231 23:59:59.500000  1 a.go:1] b"]) == ["2025-12-31T23:59:59.500Z"]


# days


@pytest.mark.usefixtures("_utc")
def test_a_time_of_day_is_of_the_day_when_the_file_was_written() -> None:
    lines = ["23:59:59.500 [main] INFO a", "00:00:00.100 [main] INFO a", "23:59:59.900 late"]
    assert times(lines, modified=second("2026-11-20T00:10:00")) == [
        "2026-11-19T23:59:59.500Z",
        "2026-11-20T00:00:00.100Z",
        "2026-11-19T23:59:59.900Z",
    ]


# the order of the numbers


@pytest.mark.usefixtures("_utc")
@pytest.mark.parametrize(
    ("line", "modified", "expected"),
    [
        ("03/04/2026 10:00:00 a", "2026-03-05", "2026-03-04T10:00:00Z"),
        ("03/04/2026 10:00:00 a", "2026-04-03T11:00:00", "2026-04-03T10:00:00Z"),
        ("05.04.2026 10:00:00 a", "2026-08-01", "2026-04-05T10:00:00Z"),
        ("17/06/09 20:10:40 INFO a", "2017-06-09T21:00:00", "2017-06-09T20:10:40Z"),
        ("06/09/17 20:10:40 INFO a", "2017-06-09T21:00:00", "2017-06-09T20:10:40Z"),
        ("[11/23/26 13:42:01:123 UTC] 1 a", "2026-11-23T14:00:00", "2026-11-23T13:42:01.123Z"),
    ],
)
def test_days_and_months_are_told_by_when_the_file_was_written(
    line: str, modified: str, expected: str
) -> None:
    assert times([line], modified=second(modified)) == [expected]


@pytest.mark.usefixtures("_utc")
def test_a_later_line_tells_days_from_months() -> None:
    lines = ["01/02/2026 10:00:00 a", "13/02/2026 10:00:00 a"]
    assert times(lines) == ["2026-02-01T10:00:00Z", "2026-02-13T10:00:00Z"]
