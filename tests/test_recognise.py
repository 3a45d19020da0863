"""What is no time, and files that mix formats."""

from __future__ import annotations

import pytest
from zones import SetZone, clock, times


@pytest.fixture(autouse=True)
def _utc(set_zone: SetZone) -> None:
    set_zone("UTC")


NONE = [
    "    at com.example.Foo.bar(Bar.java:12)",
    "\tat org.apache.catalina.core.X.doFilter(X.java:166)",
    "Caused by: java.lang.NullPointerException: no",
    "  File \"/usr/lib/python3.11/site.py\", line 12, in <module>",
    "Traceback (most recent call last):",
    "#0 /var/www/html/vendor/laravel/src/LogManager.php(140): tap('daily')",
    "goroutine 1 [running]:",
    "main.main() /src/main.go:12 +0x1d",
    "10.20.30.40 is up",
    "192.168.100.200:8080 connected",
    "version 2026.11.23",
    "version 1.2.3-20261123",
    "id 550e8400-e29b-41d4-a716-446655440000",
    "/var/log/2026/11/23/app.log",
    "2026-11-23",
    "2026-13-23 13:42:01 a",
    "2026-02-30 13:42:01 a",
    "2026-11-23 25:42:01 a",
    "2026-11-23 13:62:01 a",
    "12345678901234567890 a",
    "1234567 a",
    "0123456789 a",
    "[12345.678901] usb 1-1: new device",
    "[    0.000000] Linux version 6.1.0",
    "fe80::1:2:3:4 dev eth0",
    "00:1b:44:11:3a:b7 dev eth0",
    "{\"level\":\"info\",\"msg\":\"no time\"}",
    "{\"ts\":\"xxx\",\"msg\":\"bad\"}",
    "level=info msg=\"no time\"",
    "----------------------------------",
    "",
    "\x00\xff\x00",
    "Header1: abc",
    "(10 rows)",
    "took 12:30 minutes",
]  # fmt: skip


@pytest.mark.parametrize("line", NONE)
def test_what_is_no_time_is_not_taken_for_one(line: str) -> None:
    assert times([line]) == [None]


@pytest.mark.parametrize("line", NONE)
def test_a_line_without_a_time_has_none_behind_one_that_has(line: str) -> None:
    first = "2026-11-23 13:42:01,123 ERROR a"
    assert times([first, line, first])[1] is None


@pytest.mark.parametrize(
    "first",
    ["2026-11-23 13:42:01 a", "Nov 23 13:42:01 h a: b", '{"time":"2026-11-23T13:42:01Z"}'],
)
@pytest.mark.parametrize(
    "line",
    [
        "Caused by: x: failed at 2026-01-01 10:00:00",
        "    retried at [2026-01-01 10:00:00]",
        "  2026-01-01 10:00:00 in a quoted mail",
        "the job of Mon, 12 Jan 2026 10:00:00 GMT is over",
        "select * from t where a > '2026-01-01 10:00:00'",
        "1234567890 rows",
        "10:20:30 is a time of day",
    ],
)
def test_a_date_in_a_message_is_not_the_line_s_time(first: str, line: str) -> None:
    assert times([first, line, first])[1] is None


def test_a_date_in_a_header_does_not_decide_for_the_file() -> None:
    lines = [
        "Log file created at: 2026/11/23 13:00:00",
        "Running on machine: a",
        "I1123 13:42:01.123456   1 a.go:1] b",
        "goroutine 1 since 2026/01/01 10:00:00",
    ]
    assert times(lines)[2:] == ["2026-11-23T13:42:01.123456Z", None]


def test_the_date_of_the_line_goes_before_one_in_its_message() -> None:
    line = "Nov 23 13:42:01 h haproxy[1]: 10.0.0.1:1 [22/Nov/2026:13:42:00.143] web~ b/s 0/0"
    assert times([line, line]) == ["2026-11-23T13:42:01Z"] * 2


def test_a_file_may_mix_formats() -> None:
    lines = [
        "2026/11/23 13:42:01 [error] 7#7: a",
        '10.0.0.1 - - [23/Nov/2026:13:42:02 +0000] "GET / HTTP/1.1" 200 5',
        '{"time":"2026-11-23T13:42:03Z","msg":"a"}',
        "I1123 13:42:04.000000   1 a.go:1] b",
        "level=info ts=2026-11-23T13:42:05Z msg=a",
        "2026-11-23T13:42:06Z a",
    ]
    expected = [f"2026-11-23T13:42:0{n}Z" for n in range(1, 7)]
    assert times(lines * 3) == expected * 3


def test_containers_of_one_stream_may_write_their_times_in_several_ways() -> None:
    lines = [
        "web_1    | 2026-11-23 13:42:01,000 INFO ready",
        'nginx_1  | 10.0.0.1 - - [23/Nov/2026:13:42:02 +0000] "GET / HTTP/1.1" 200 1',
        "gin_1    | [GIN] 2026/11/23 - 13:42:03 | 200 | 1ms | GET /",
        "mail_1   | 23 November 2026 at 13:42:04 sent",
    ]
    assert times(lines) == [f"2026-11-23T13:42:0{n}Z" for n in range(1, 5)]


def test_lines_one_by_one_are_as_lines_in_a_block() -> None:
    lines = [
        b"2026-11-23 13:42:01,123 INFO a\n",
        b"  continued 2026-01-01 10:00:00\n",
        b"2026-11-23 13:42:01.5 INFO a\n",
        b"2026-11-23T13:42:02Z INFO a\n",
        b"INFO 2026-11-23 13:42:02,5 a\n",
    ] * 20
    one = clock()
    assert [one.find_time(line) for line in lines] == clock().find_times(lines)


def test_seconds_since_the_boot_are_said_to_be_relative() -> None:
    one = clock()
    assert one.find_time(b"[   12.345678] usb 1-1: new device at 2026-11-23 10:00:00\n") is None
    assert one.is_relative


def test_the_time_of_an_object_is_not_that_of_an_inner_one() -> None:
    inner = '{"req":{"time":"2020-01-01T00:00:00Z"},"time":"2026-11-23T13:42:01Z"}'
    plain = '{"a":{"b":1},"time":"2026-11-23T13:42:02Z"}'
    assert times([plain, inner, plain, inner]) == [
        "2026-11-23T13:42:02Z",
        "2026-11-23T13:42:01Z",
    ] * 2  # fmt: skip


def test_a_key_within_a_string_is_no_key() -> None:
    line = '{"msg":"{\\"time\\":\\"2020-01-01T00:00:00Z\\"}","time":"2026-11-23T13:42:01Z"}'
    assert times([line, line]) == ["2026-11-23T13:42:01Z"] * 2


def test_a_fraction_has_as_many_digits_as_it_has() -> None:
    fractions = ["5", "25", "125", "1", "123456", "123456789", "12", ""]
    lines = [f"2026-11-23T13:42:01{'.' if f else ''}{f}Z a" for f in fractions]
    assert clock().find_times([line.encode() for line in lines]) == [
        (clock().find_time(b"2026-11-23T13:42:01Z") or 0) + int(f.ljust(9, "0") or "0")
        for f in fractions
    ]


def test_columns_that_move_are_followed() -> None:
    levels = ["INFO", "WARNING", "ERROR", "DEBUG"]
    lines = [f"{level} 2026-11-23 13:42:0{n % 10},{n:03} a" for n in range(200) for level in levels]
    expected = [f"2026-11-23T13:42:0{n % 10}.{n:03}Z" for n in range(200) for _ in levels]
    assert times(lines) == [text.replace(".000Z", "Z") for text in expected]


def test_a_column_of_seconds_among_words_is_told_by_several_lines() -> None:
    lines = [f"134681 node-{n} unix.hw state 107780474{n} 1 Component down" for n in range(9)]
    assert [text and text[:17] for text in times(lines)] == ["2004-02-26T14:12:"] * 9
    assert times(lines[:1]) == [None]


def test_numbers_that_do_not_belong_together_are_no_column_of_seconds() -> None:
    assert times([f"job {number} done" for number in (1077804742, 1277804742, 1477804742)]) == [
        None
    ] * 3  # fmt: skip


@pytest.mark.parametrize(
    "line",
    ["-" * 5000, "[[[[" * 1000, "t=1 " * 5000, " [a] [b] 12 INFO -" * 300, "x" * 5_000_000],
)
def test_no_line_takes_for_ever(line: str) -> None:
    """A line of dashes once took 3 ms, one of keys minutes; the suite's limit would tell."""
    assert times([line + " 0:00"] * 5) == [None] * 5
