"""Labels, filters, JSON and records: the real command, from a backlog and live."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from helpers import eventually

from tailmerge import UsageProblem, run_fully_async

if TYPE_CHECKING:
    from processes import Place

pytest_plugins = ["processes"]

START = ("--record-start", r"^\S")
"""A line that begins with a blank continues the record above it."""


def age(path: Path, seconds: float = 100) -> None:
    """Nobody wrote to it for so long."""
    then = time.time() - seconds
    os.utime(path, (then, then))


# labels, filters, JSON


def test_each_line_has_its_inputs_label(place: Place) -> None:
    place.write("logs/a.log", b"one\n\ntwo")
    place.write("b.log", b"three\n")
    place.run("--once", "--no-state", "-l", "{stem}: ", "logs/a.log", "b.log", "-o", "merged.log")
    assert place.read() == b"a: one\na: \na: two\nb: three\n"


def test_a_rotated_file_keeps_its_inputs_label(place: Place) -> None:
    place.write("a.log", b"one\n")
    place.run("--once", "-l", "{path} ", "a.log", "-o", "merged.log")
    place.append("a.log", b"two\n")
    os.rename(place / "a.log", place / "a.log.1")
    place.write("a.log", b"three\n")
    place.run("--once", "-l", "{path} ", "a.log", "-o", "merged.log")
    assert place.read() == b"a.log one\na.log two\na.log three\n"


def test_a_name_with_a_newline_breaks_no_line(place: Place) -> None:
    place.write("a\nb.log", b"one\n")
    place.run("--once", "-l", "{name} ", "a\nb.log", "-o", "merged.log")
    assert place.read() == b"a\\nb.log one\n"


def test_lines_are_kept_and_dropped(place: Place) -> None:
    place.write("a.log", b"ERROR one\nINFO two\nERROR skip\nWARN three\n")
    done = place.run("--once", "-m", "^ERROR", "-m", "WARN", "-x", "skip$", "a.log")
    assert done.out == b"ERROR one\nWARN three\n"


def test_what_is_left_out_is_not_looked_at_again(place: Place) -> None:
    place.write("a.log", b"no\n" * 1000)
    place.run("--once", "-m", "yes", "a.log", "-o", "merged.log")
    assert place.read() == b""
    place.append("a.log", b"yes\n")
    place.run("--once", "-m", ".", "a.log", "-o", "merged.log")
    assert place.read() == b"yes\n"


def test_a_variable_has_one_expression_a_line(place: Place) -> None:
    place.write("a.log", b"one two\ntwo\nthree\n")
    env = {"TAILMERGE_MATCH": "one two\n\nthree\n", "TAILMERGE_EXCLUDE": "no such"}
    assert place.run("--once", "a.log", env=env).out == b"one two\nthree\n"


def test_json_has_the_place_the_time_and_the_very_bytes(place: Place) -> None:
    lines = [b"2026-11-24T12:00:00Z caf\xc3\xa9", b"\xff\xfe \x00\r", b""]
    place.write("a.log", b"".join(line + b"\n" for line in lines))
    done = place.run("--once", "--utc", "--format", "json", "a.log")
    objects = [json.loads(line) for line in done.out.splitlines()]
    assert [o["line"].encode("utf-8", "surrogateescape") for o in objects] == lines
    assert [o["offset"] for o in objects] == [0, 27, 33]
    assert [o.get("time") for o in objects] == ["2026-11-24T12:00:00Z", None, None]
    assert {o["source"] for o in objects} == {"a.log"}


def test_standard_input_has_offsets_too(place: Place) -> None:
    done = place.run("--format", "json", "-", input=b"one\nhalf")
    objects = [json.loads(line) for line in done.out.splitlines()]
    assert [(o["source"], o["offset"], o["line"]) for o in objects] == [
        ("-", 0, "one"),
        ("-", 4, "half"),
    ]


def test_a_long_line_passes_whole(place: Place) -> None:
    line = b"x" * 700_000 + b" end\n"
    place.write("a.log", b"one\n" + line + b"two\n")
    done = place.run("--once", "-m", "end", "-l", "{name} ", "a.log")
    assert done.out == b"a.log " + line


def test_a_backlog_of_many_blocks_is_all_there(place: Place) -> None:
    lines = [b"%d %s" % (n, b"y" * (n % 97)) for n in range(40_000)]
    place.write("a.log", b"".join(line + b"\n" for line in lines))
    place.run("--once", "-l", "{name} ", "-x", "7 ", "a.log", "-o", "merged.log")
    assert place.read() == b"".join(b"a.log %s\n" % n for n in lines if b"7 " not in n)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-l", "{nam} "], "did you mean {name}?"),
        (["-l", "{"], "twice: {{"),
        (["-m", "a(b"], "at character 2: a >>> (b"),
        (["-x", "*"], "at character 1"),
        (["--record-start", "[a"], "at character 1"),
        (["--format", "xml"], "'text', 'json'"),
    ],
)
def test_what_is_wrong_is_said(place: Place, words: list[str], said: str) -> None:
    done = place.run("--once", *words, "a.log")
    assert (done.code, done.out, done.err.count("\n")) == (2, b"", 1)
    assert said in done.err


@pytest.mark.parametrize(
    "wrong",
    [
        {"match": ["("]},
        {"label": "{x}"},
        {"format": "xml"},
        {"record_start": "("},
        {"sort": True, "time_format": "xml"},
    ],
)
def test_the_library_says_what_is_wrong_before_anything_is_opened(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"no regular expression|is no field|no format|xml"):
        asyncio.run(run_fully_async(["a.log"], 0.1, "merged.log", once=True, **wrong))
    assert not Path("merged.log").exists()


@pytest.mark.parametrize("name", ["interval", "rotate_wait", "until_idle", "window"])
@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_the_library_takes_no_seconds_that_cannot_be_waited(name: str, seconds: float) -> None:
    with pytest.raises(UsageProblem, match=f"^{name}=.* is no time to wait"):
        asyncio.run(run_fully_async(["a.log"], output_path="m.log", **{name: seconds}))
    assert not Path("m.log").exists()


# records, one-shot


def test_a_record_that_may_still_grow_is_left_for_the_next_run(place: Place) -> None:
    place.write("a.log", b"one\n more\ntwo\n")
    command = ("--once", *START, "--window", "60", "a.log", "-o", "merged.log")
    place.run(*command)
    assert place.read() == b"one\n more\n"
    place.append("a.log", b" more of two\n half")
    place.run(*command)
    assert place.read() == b"one\n more\n"
    age(place / "a.log")
    place.run(*command)
    assert place.read() == b"one\n more\ntwo\n more of two\n"


def test_without_a_state_the_last_record_is_written(place: Place) -> None:
    place.write("a.log", b"one\n more\ntwo\n half")
    place.write("b.log", b"three\n")
    done = place.run("--once", *START, "--window", "60", "a.log", "b.log")
    assert done.out == b"one\n more\ntwo\n half\nthree\n"


def test_a_last_record_is_filtered_with_its_unfinished_line(place: Place) -> None:
    place.write("a.log", b"one\n more\n half")
    assert place.run("--once", *START, "-m", "half", "a.log").out == b"one\n more\n half\n"


def test_a_file_of_tomorrow_is_not_waited_for(place: Place) -> None:
    age(place.write("a.log", b"one\n more\n"), -100_000)
    place.run("--once", *START, "a.log", "-o", "merged.log")
    assert place.read() == b"one\n more\n"


def test_the_last_record_of_a_rotated_file_comes_before_the_next_file(place: Place) -> None:
    place.write("a.log", b"zero\n")
    age(place / "a.log")
    place.run("--once", *START, "a.log", "-o", "merged.log")
    place.append("a.log", b"one\n more\n")
    os.rename(place / "a.log", place / "a.log.1")
    age(place.write("a.log", b"two\nthree\n"))
    place.run("--once", *START, "--window", "2", "a.log", "-o", "merged.log")
    assert place.read() == b"zero\none\n more\ntwo\nthree\n"


def test_compressed_files_have_whole_records(place: Place) -> None:
    place.write("a.log.gz", gzip.compress(b"one\n more\ntwo\n more"))
    place.run("--once", *START, "-l", "{name} ", "a.log.gz", "-o", "merged.log")
    assert place.read() == b"".join(
        b"a.log.gz %s\n" % line for line in (b"one", b" more", b"two", b" more")
    )


def test_a_record_longer_than_any_block_stays_whole(place: Place) -> None:
    record = b"one\n" + b"".join(b" %06d %s\n" % (n, b"z" * 80) for n in range(9000))
    place.write("a.log", b"zero\n" + record + b"two\n")
    age(place / "a.log")
    done = place.run("--once", *START, "-m", "008999", "a.log", "-o", "merged.log")
    assert (done.code, place.read()) == (0, record)


def test_lines_without_a_record_above_stand_for_themselves(place: Place) -> None:
    place.write("a.log", b" one\n two\n" * 50_000)
    done = place.run("--once", *START, "-m", "one", "a.log", "-o", "merged.log")
    assert (done.code, place.read()) == (0, b" one\n" * 50_000)


# records, live


def test_a_live_record_waits_for_its_end_and_not_longer_than_the_window(place: Place) -> None:
    place.write("a.log", b"")
    place.write("b.log", b"")
    place.start(*START, "--window", "0.5", "a.log", "b.log", "-o", "merged.log")
    place.append("a.log", b"one\n")
    place.append("b.log", b"other\n")
    place.append("a.log", b" more\n")
    eventually(lambda: place.read().count(b"\n") == 3)
    assert b"one\n more\n" in place.read()


def test_the_first_line_of_the_next_record_closes_one_at_once(place: Place) -> None:
    place.write("a.log", b"one\n")
    place.start(*START, "--window", "1000", "a.log", "-o", "merged.log")
    place.append("a.log", b" more\n")
    place.append("a.log", b"two\n")
    place.sees(b"one\n more\n")


def test_a_stopped_run_leaves_an_open_record_to_the_next_one(place: Place) -> None:
    place.write("a.log", b"one\ntwo\n more\n")
    live = place.follow(*START, "--window", "1000", "a.log", expected=b"one\n")
    assert live.stop() == 0
    assert place.read() == b"one\n"
    place.append("a.log", b" and more\nthree\n")
    place.follow(*START, "--window", "1000", "a.log", expected=b"one\ntwo\n more\n and more\n")


def test_a_stopped_run_without_a_state_writes_the_lines_of_an_open_record(place: Place) -> None:
    place.write("a.log", b"one\ntwo\n more\n half")
    words = (*START, "--no-state", "--window", "1000", "a.log")
    live = place.follow(*words, expected=b"one\n")
    assert live.stop() == 0
    assert place.read() == b"one\ntwo\n more\n"
    assert "half" not in live.err
    assert "a.log: " in live.err


def test_an_open_record_of_a_cut_file_is_written_once(place: Place) -> None:
    path = place.write("a.log", b"one\n more\n")
    place.write("b.log", b"b\nb\n")
    words = (*START, "--window", "1000", "a.log", "b.log")
    place.follow(*words, expected=b"b\n")
    place.append("a.log", b" more\n")
    path.write_bytes(b"new\nnewer\n")
    eventually(lambda: b"new\n" in place.read())
    assert place.read().replace(b"b\n", b"") in (b"one\n more\n more\nnew\n", b"one\n more\nnew\n")


def test_a_pipes_record_waits_for_its_end(place: Place) -> None:
    live = place.start(*START, "--window", "0.4", "-", "-l", "{name}|", stdin=subprocess.PIPE)
    pipe = live.process.stdin
    assert pipe
    for part in (b"one\n", b" mo", b"re\ntwo\n"):
        pipe.write(part)
        pipe.flush()
    eventually(lambda: live.out == b"stdin|one\nstdin| more\nstdin|two\n")
    pipe.write(b"three\n more")
    pipe.close()
    assert live.ends() == 0
    assert live.out == b"stdin|one\nstdin| more\nstdin|two\nstdin|three\nstdin| more\n"


def test_a_handles_records_are_whole_too() -> None:
    Path("a.log").write_bytes(b"zero\none\n more\ntwo\n")
    with open("a.log", "rb") as handle:
        handle.seek(5)
        how = {"once": True, "record_start": r"^\S", "match": ["more", "two"]}
        asyncio.run(run_fully_async([handle], 0.01, "merged.log", **how))
    assert Path("merged.log").read_bytes() == b"one\n more\ntwo\n"


def test_a_pattern_alone_is_one_pattern() -> None:
    Path("a.log").write_bytes(b"one\nnone\nten\n")
    run = run_fully_async(["a.log"], 0.01, "merged.log", once=True, match="one", exclude="no")
    asyncio.run(run)
    assert Path("merged.log").read_bytes() == b"one\n"


def test_the_record_of_a_pipe_whose_writer_has_gone_is_closed_by_the_window() -> None:
    """It waited until another writer came."""
    os.mkfifo("p")
    merged = Path("merged.log")

    async def follow() -> None:
        stop = asyncio.Event()
        options = {"record_start": r"^\S", "window": 0.05, "stop": stop}
        run = asyncio.create_task(run_fully_async(["p"], 0.01, merged, **options))
        await asyncio.to_thread(Path("p").write_bytes, b"one\n more\n")
        await asyncio.to_thread(eventually, lambda: merged.read_bytes() == b"one\n more\n")
        stop.set()
        await run

    asyncio.run(follow())


def test_a_handles_record_is_closed_by_the_window() -> None:
    async def follow() -> None:
        stop = asyncio.Event()
        run = run_fully_async(
            [handle], 0.01, "merged.log", record_start=r"^\S", window=0.1, stop=stop
        )
        task = asyncio.create_task(run)
        async with asyncio.timeout(10):
            while await asyncio.to_thread(os.path.getsize, "merged.log") == 0:
                await asyncio.sleep(0.01)
        stop.set()
        await task

    Path("a.log").write_bytes(b"one\n more\n")
    Path("merged.log").write_bytes(b"")
    with open("a.log", "rb") as handle:
        asyncio.run(follow())
    assert Path("merged.log").read_bytes() == b"one\n more\n"


def test_compressed_records_are_whole_though_they_span_blocks(place: Place) -> None:
    record = b"%d\n" + b" line\n" * 999 + b" end %d\n"
    data = b"".join(record % (n, n) for n in range(400))
    place.write("a.log.gz", gzip.compress(data))
    done = place.run("--once", *START, "-m", r"\d+\n( line\n)+ end \d+$", "a.log.gz")
    assert done.out == data


# stack traces

TRACES = {
    "python": (
        "{stamp} ERROR {tag} failed\nTraceback (most recent call last):\n"
        '  File "/srv/app.py", line {n}, in <module>\n    main({tag})\nValueError: {tag}\n'
    ),
    "java": (
        "{stamp} ERROR {tag} java.lang.IllegalStateException: {tag}\n"
        "\tat com.example.Main.run(Main.java:{n})\n"
        "\tat java.lang.Thread.run(Thread.java:833)\n"
        "Caused by: java.io.IOException: {tag}\n\t... 3 more\n"
    ),
    "go": (
        "{stamp} ERROR {tag} panic: runtime error: index out of range [{n}]\n\n"
        "goroutine 1 [running]:\nmain.main()\n\t/srv/main.go:{n} +0x1d\nexit status 2\n"
    ),
}


def make_records(language: str, count: int, seed: random.Random) -> list[bytes]:
    records = []
    for n in range(count):
        stamp = f"2026-11-24 12:00:{n % 60:02}"
        text = TRACES[language] if seed.random() < 0.6 else "{stamp} INFO {tag} fine\n"
        records.append(text.format(stamp=stamp, tag=f"{language}-{n}", n=n).encode())
    return records


def write_in_pieces(path: Path, records: list[bytes], seed: random.Random) -> None:
    data = b"".join(records)
    with open(path, "ab", buffering=0) as file:
        while data:
            count = seed.randint(1, 120)
            file.write(data[:count])
            data = data[count:]
            if seed.random() < 0.3:
                time.sleep(seed.random() * 0.002)  # the writer's own pace


def find_records(data: bytes, records: dict[str, list[bytes]]) -> dict[str, list[bytes]]:
    """The records as they stand in the output, each as a whole; what is none fails."""
    found: dict[str, list[bytes]] = {language: [] for language in records}
    at = 0
    while at < len(data):
        for language, wanted in records.items():
            done = len(found[language])
            if done < len(wanted) and data.startswith(wanted[done], at):
                found[language].append(wanted[done])
                at += len(wanted[done])
                break
        else:
            raise AssertionError(f"a record is split: {data[max(0, at - 200) : at + 200]!r}")
    return found


@pytest.mark.parametrize("more", [[], ["--sort"]], ids=["arrival", "sort"])
@pytest.mark.parametrize("number", range(4))
def test_no_stack_trace_is_ever_split(place: Place, number: int, more: list[str]) -> None:
    """25 rounds each: three live writers, in pieces that end anywhere."""
    seed = random.Random(number)
    for name in TRACES:
        place.write(f"{name}.log", b"")
    names = [f"{name}.log" for name in TRACES]
    words = ("--record-start", r"^2026-", "--window", "3", *more, *names)
    live = place.start(*words, "-o", "merged.log")
    records: dict[str, list[bytes]] = {name: [] for name in TRACES}
    for _ in range(25):
        writers = []
        for name in TRACES:
            fresh = make_records(name, seed.randint(1, 8), seed)
            records[name] += fresh
            own = random.Random(seed.random())
            args = (place / f"{name}.log", fresh, own)
            writers.append(threading.Thread(target=write_in_pieces, args=args))
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        find_records(place.read(), records)
    total = sum(len(record) for each in records.values() for record in each)
    eventually(lambda: len(place.read()) >= total, 20)
    assert find_records(place.read(), records) == records
    assert live.stop(signal.SIGTERM) == 0
