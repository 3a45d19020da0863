"""One open input file: what it is, and how its whole lines are read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import Faulty, append, before, fault

from tailmerge.lines import BLOCK, Chunk
from tailmerge.position import HEAD, MARKER, fits
from tailmerge.reading import Reading
from tailmerge.source import BUFFER, SCAN, Refused, Rewritten, Torn, open_source
from tailmerge.system import System


class Log:
    """A file and a source that reads it, as the writer's thread would."""

    def __init__(self, path: Path, content: bytes = b"", system: System | None = None) -> None:
        self.path = path
        append(path, content)
        self.source = open_source(system or System(), str(path))
        self.buffer = bytearray(BUFFER)

    def append(self, data: bytes) -> None:
        append(self.path, data)

    def rewrite(self, data: bytes) -> None:
        """As a writer that truncates: same inode, other bytes."""
        with open(self.path, "r+b") as file:
            file.truncate(0)
            file.write(data)

    def read(self, until: int | None = None) -> bytes:
        """The next whole lines, and advance behind them."""
        chunk = self.source.read(self.buffer, until)
        if chunk.cut > chunk.begin:
            self.source.advance(self.buffer, chunk)
        return bytes(self.buffer[chunk.begin : chunk.cut])

    def chunk(self) -> Chunk:
        return self.source.read(self.buffer)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path / "a.log")
    yield log
    if log.source.fd >= 0:
        log.source.close()


def opened(path: Path, content: bytes, system: System | None = None) -> Log:
    return Log(path, content, system)


# whole lines


def test_only_whole_lines_are_read(log: Log) -> None:
    log.append(b"one\ntwo\nthr")
    assert log.read() == b"one\ntwo\n"
    assert log.read() == b""
    assert log.source.rest == 11


def test_a_line_in_two_halves_comes_in_one_piece(log: Log) -> None:
    log.append(b"one\ntw")
    assert log.read() == b"one\n"
    log.append(b"o\n")
    assert log.read() == b"two\n"


@pytest.mark.parametrize("data", [b"crlf\r\n", b"nul\0\n", b"\xff\x80 bad utf-8\n", b"\n\n\n"])
def test_bytes_pass_as_they_are(log: Log, data: bytes) -> None:
    log.append(b"first\n" + data)
    assert log.read() == b"first\n" + data


def test_a_file_larger_than_the_buffer_comes_in_several_reads(log: Log) -> None:
    content = b"".join(b"line %d\n" % number for number in range(60_000))
    log.append(content)
    got = []
    while piece := log.read():
        got.append(piece)
    assert len(got) > 1
    assert b"".join(got) == content
    assert all(piece.endswith(b"\n") for piece in got)


def test_nothing_behind_the_asked_offset_is_read(log: Log) -> None:
    log.append(b"one\ntwo\nthree\n")
    assert log.read(until=9) == b"one\ntwo\n"
    chunk = log.source.read(log.buffer, 9)
    assert (chunk.at_end, chunk.end - chunk.begin) == (True, 1)


def test_the_end_of_the_file_is_known_from_a_short_read(log: Log) -> None:
    log.append(b"x\n")
    assert log.chunk().at_end
    log.append(b"y" * BUFFER)
    assert not log.chunk().at_end


def test_the_callers_own_position_in_the_file_is_not_moved(log: Log) -> None:
    log.append(b"one\n")
    log.read()
    assert os.lseek(log.source.fd, 0, os.SEEK_CUR) == 0


# truncated, rewritten, replaced


def test_a_truncated_file_is_rewritten(log: Log) -> None:
    log.append(b"one\n")
    log.read()
    log.rewrite(b"")
    with pytest.raises(Rewritten):
        log.read()
    assert log.source.cut


def test_a_file_that_was_truncated_and_has_grown_past_the_offset_is_rewritten(log: Log) -> None:
    log.append(b"one\n")
    log.read()
    log.rewrite(b"other lines\n")
    with pytest.raises(Rewritten):
        log.read()


def test_a_file_that_was_truncated_and_has_grown_to_the_very_offset_is_rewritten(log: Log) -> None:
    log.append(b"one\n")
    log.read()
    log.rewrite(b"two\n")
    with pytest.raises(Rewritten):
        log.read()


@pytest.mark.parametrize("count", [1, 500])
def test_a_file_that_grew_to_the_very_offset_with_a_line_that_ends_alike_is_rewritten(
    log: Log, count: int
) -> None:
    """Lines of one length, a time in front: the bytes before the offset were the same ones."""
    log.append(b"".join(b"10:00:%04d %s\n" % (n, b"x" * 70) for n in range(count)))
    assert log.read()
    log.rewrite(b"".join(b"11:00:%04d %s\n" % (n, b"x" * 70) for n in range(count + 1)))
    assert not log.source.is_unchanged()
    with pytest.raises(Rewritten):
        log.read()


def test_an_unfinished_line_that_became_another_one_is_rewritten(log: Log) -> None:
    """Nothing was forwarded yet, but the beginning of the line was seen."""
    log.append(b"unfinished")
    assert log.read() == b""
    log.rewrite(b"other line\n")
    with pytest.raises(Rewritten):
        log.read()


def test_an_unfinished_line_that_was_cut_is_rewritten(log: Log) -> None:
    log.append(b"one\ntwo")
    log.read()
    os.truncate(log.path, 5)
    with pytest.raises(Rewritten):
        log.read()


def test_what_a_file_begins_with_is_known_before_it_is_read(log: Log) -> None:
    """A kill came before the first read, the inode went to another input's file, and that
    was taken for this one: its lines doubled and ours lost."""
    log.append(b"1\n2\n")
    log.source.start_at(0)
    known = log.source.position()
    assert (known.offset, known.head_length) == (0, 4)
    log.rewrite(b"another file\n")
    assert not log.source.fits(known)


def test_a_file_that_was_rewritten_before_it_was_read_is_rewritten(log: Log) -> None:
    log.append(b"1\n2\n")
    log.source.start_at(0)
    log.rewrite(b"another\nfile\n")
    assert not log.source.is_unchanged()
    with pytest.raises(Rewritten):
        log.read()


def test_a_file_that_grew_before_it_was_read_is_the_same(log: Log) -> None:
    log.append(b"1\n2")
    log.source.start_at(0)
    log.append(b"\n" + b"x" * 2 * HEAD + b"\n")
    assert log.read() == b"1\n2\n" + b"x" * 2 * HEAD + b"\n"
    assert log.source.position().head_length == HEAD


def test_a_file_rewritten_with_the_same_bytes_goes_on(log: Log) -> None:
    """The contract's own limit."""
    log.append(b"one\n")
    log.read()
    log.rewrite(b"one\ntwo\n")
    assert log.read() == b"two\n"


def test_after_a_rewrite_the_file_is_read_from_its_first_byte(log: Log) -> None:
    log.append(b"one\n")
    log.read()
    log.rewrite(b"two\n")
    with pytest.raises(Rewritten):
        log.read()
    log.source.start_at(0)
    assert log.read() == b"two\n"
    assert not log.source.cut


@pytest.mark.parametrize("where", [0, HEAD - 1, HEAD, 2000 - MARKER, 2001 - MARKER, 2000])
def test_a_change_in_the_first_and_last_bytes_before_the_offset_is_seen(
    log: Log, where: int
) -> None:
    log.append(b"x" * 2000 + b"\n")
    log.read()
    with open(log.path, "r+b") as file:
        file.seek(where)
        file.write(b"y")
    if where < HEAD or where > 2000 - MARKER:
        with pytest.raises(Rewritten):
            log.read()
    else:
        assert log.read() == b""  # between them nobody looks: the contract's limit


def test_a_closed_source_reads_nothing_from_whoever_got_its_number(log: Log) -> None:
    log.append(b"one\n")
    log.source.close()
    with open(log.path, "rb"), pytest.raises(Rewritten):
        log.read()


def test_a_read_error_is_passed_on(tmp_path: Path) -> None:
    system = Faulty(read_into=[fault(5)])
    log = opened(tmp_path / "a.log", b"one\n", system)
    with pytest.raises(OSError, match="Input/output"):
        log.read()
    assert system.spent
    assert log.read() == b"one\n"
    log.source.close()


# encodings


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-16-le", "UTF-16LE"),
        ("utf-16-be", "UTF-16BE"),
        ("utf-32-le", "UTF-32LE"),
        ("utf-32-be", "UTF-32BE"),
    ],
)
def test_lines_that_are_not_made_of_bytes_are_refused(log: Log, encoding: str, name: str) -> None:
    log.append("\ufeffone\ntwo\n".encode(encoding))
    with pytest.raises(Refused) as refused:
        log.read()
    assert refused.value.encoding == name


def test_a_utf_8_mark_is_part_of_the_first_line(log: Log) -> None:
    log.append("\ufeffone\n".encode())
    assert log.read() == b"\xef\xbb\xbfone\n"


def test_bytes_of_another_file_in_the_buffer_are_not_taken_for_a_mark(log: Log) -> None:
    """The buffer is shared by all sources and holds what was read from the one before."""
    log.buffer[:4] = b"\xfe\xfe\0\0"
    log.append(b"\xff")
    assert log.read() == b""


def test_a_mark_of_two_bytes_is_not_named_by_what_the_buffer_held_before(log: Log) -> None:
    log.buffer[:4] = b"\0\0\0\0"
    log.append(b"\xff\xfe")
    with pytest.raises(Refused) as refused:
        log.read()
    assert refused.value.encoding == "UTF-16LE"


# holes


def test_a_hole_that_copytruncate_left_is_skipped(log: Log) -> None:
    log.append(b"x" * 9999 + b"\n")
    log.read()
    log.rewrite(b"")
    log.source.start_at(0, cut_from=10_000)
    with open(log.path, "r+b") as file:
        file.seek(10_000)
        file.write(b"new\n")
    assert log.read() == b"new\n"
    assert log.source.hole == 10_000


def test_a_hole_smaller_than_the_disks_blocks_is_skipped_too(log: Log) -> None:
    log.append(b"line\n" * 10)
    log.read()
    log.rewrite(b"\0" * 50 + b"new\n")
    log.source.start_at(0, cut_from=50)
    assert log.read() == b"new\n"
    assert log.source.hole == 50


def test_a_large_hole_is_skipped_whole(log: Log) -> None:
    size = 5 * BUFFER + 17
    with open(log.path, "r+b") as file:
        file.seek(size)
        file.write(b"new\n")
    log.source.start_at(0, cut_from=size)
    assert log.read() == b"new\n"
    assert log.source.hole == size


def test_a_hole_without_anything_behind_it_yet_is_waited_out(log: Log) -> None:
    os.truncate(log.path, 10_000)
    log.source.start_at(0, cut_from=10_000)
    assert log.read() == b""
    log.append(b"new\n")
    assert log.read() == b"new\n"


def test_a_line_that_begins_with_nuls_is_a_line(log: Log) -> None:
    log.append(b"\0\0\0one\n")
    assert log.read() == b"\0\0\0one\n"
    assert log.source.hole == 0


def test_fewer_nuls_than_were_forwarded_before_a_cut_are_a_line(log: Log) -> None:
    log.append(b"\0\0\0one\n")
    log.source.start_at(0, cut_from=100)
    assert log.read() == b"\0\0\0one\n"


# long lines


def find_end(log: Log, until: int | None = None) -> int | None:
    end, at_end = None, log.chunk().at_end
    while end is None and not at_end:
        end, at_end = log.source.find_long_end(log.buffer, until)
    return end


def copied(log: Log, end: int) -> bytes:
    return b"".join(bytes(piece) for piece in log.source.pieces(log.buffer, log.source.offset, end))


@pytest.mark.parametrize("length", [BUFFER, BUFFER + 1, 3 * BLOCK, SCAN + BLOCK])
def test_a_line_longer_than_the_buffer_is_found_and_copied_whole(log: Log, length: int) -> None:
    line = b"x" * (length - 1) + b"\n"
    log.append(line + b"next\n")
    end = find_end(log)
    assert end == length
    assert copied(log, end) == line
    log.source.advance_to(end)
    assert log.read() == b"next\n"


def test_the_end_of_a_long_line_is_looked_for_a_portion_at_a_time(log: Log) -> None:
    log.append(b"x" * (SCAN + 2 * BLOCK) + b"\n")
    log.chunk()
    assert log.source.find_long_end(log.buffer, None) == (None, False)
    assert log.source.find_long_end(log.buffer, None) == (SCAN + 2 * BLOCK + 1, False)


def test_an_unfinished_long_line_waits(log: Log) -> None:
    log.append(b"x" * (3 * BLOCK))
    assert find_end(log) is None
    assert log.source.rest == 3 * BLOCK
    log.append(b"\n")
    assert find_end(log) == 3 * BLOCK + 1


def test_a_long_line_behind_the_asked_offset_is_not_found(log: Log) -> None:
    log.append(b"x" * (3 * BLOCK) + b"\n")
    log.chunk()
    assert log.source.find_long_end(log.buffer, 3 * BLOCK) == (None, True)


def test_a_long_line_that_was_cut_while_it_was_looked_through_is_looked_through_again(
    log: Log,
) -> None:
    log.append(b"x" * (4 * BLOCK))
    assert find_end(log) is None
    os.truncate(log.path, BLOCK)
    log.append(b"x" * BLOCK + b"\n" + b"y" * BLOCK)
    assert log.source.find_long_end(log.buffer, None) == (2 * BLOCK + 1, False)


def test_a_file_cut_while_a_long_line_is_copied_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    append(path, b"x" * (3 * BLOCK) + b"\n")
    cut = before(lambda: os.truncate(path, BLOCK))
    system = Faulty(read_into=[None, cut])
    log = opened(path, b"", system)
    pieces = log.source.pieces(log.buffer, 0, 3 * BLOCK + 1)
    assert len(next(pieces)) == len(log.buffer)
    with pytest.raises(Torn):
        list(pieces)
    assert system.spent
    log.source.close()


def test_after_a_long_line_a_rewrite_is_seen(log: Log) -> None:
    log.append(b"x" * 3 * BLOCK + b"\n")
    end = find_end(log)
    assert end
    log.source.advance_to(end)
    log.rewrite(b"y" * 4 * BLOCK)
    with pytest.raises(Rewritten):
        log.read()


# positions


def test_what_is_known_of_a_file_that_was_cut_still_fits_its_copy(log: Log, tmp_path: Path) -> None:
    """The cut file can no longer be asked: head and marker were learned while it was read."""
    content = b"head\n" + b"x" * 200 + b"\n" + b"y" * 200 + b"\n"
    for part in (content[:206], content[206:]):
        log.append(part)
        log.read()
    log.rewrite(b"")
    known = log.source.position_before()
    assert (known.head_length, known.marker_length, known.offset) == (407, MARKER, 407)
    for name, data, same in (
        ("copy", content + b"more\n", True),
        ("other head", content.replace(b"head", b"HEAD"), False),
        ("other end", content.replace(b"y", b"z"), False),
    ):
        other = opened(tmp_path / name, data)
        assert fits(System(), other.source.fd, known) is same
        other.source.close()


def test_a_position_fits_the_file_it_is_of(log: Log) -> None:
    log.append(b"one\n")
    log.read()
    position = log.source.position()
    assert position.offset == 4
    log.append(b"two\n")
    assert fits(System(), log.source.fd, position)


@pytest.mark.parametrize("content", [b"", b"on", b"One\n", b"one ", b"two\n", b"other lines\n"])
def test_a_position_does_not_fit_other_content(log: Log, content: bytes) -> None:
    log.append(b"one\n")
    log.read()
    position = log.source.position()
    log.rewrite(content)
    assert not fits(System(), log.source.fd, position)


def test_an_empty_position_fits_anything(log: Log) -> None:
    position = log.source.position()
    log.append(b"anything\n")
    assert fits(System(), log.source.fd, position)


def test_the_same_head_with_other_bytes_before_the_offset_does_not_fit(log: Log) -> None:
    header = b"h" * (HEAD - 1) + b"\n"
    log.append(header + b"a" * 100 + b"\n")
    log.read()
    position = log.source.position()
    log.rewrite(header + b"b" * 100 + b"\n")
    assert not fits(System(), log.source.fd, position)


def test_other_heads_with_the_same_bytes_before_the_offset_do_not_fit(log: Log) -> None:
    tail = b"t" * 100 + b"\n"
    log.append(b"head one\n" + tail)
    log.read()
    position = log.source.position()
    log.rewrite(b"head two\n" + tail)
    assert not fits(System(), log.source.fd, position)


def test_the_head_grows_with_the_file(log: Log) -> None:
    log.append(b"one\n")
    log.read()
    assert log.source.position().head_length == 4
    log.append(b"x" * 2 * HEAD + b"\n")
    log.read()
    assert log.source.position().head_length == HEAD


def test_a_position_in_the_middle_of_a_file_fits_only_that_file(log: Log) -> None:
    """`-n`: nothing before the position was read."""
    log.append(b"one\ntwo\n")
    log.source.start_at(4)
    position = log.source.position()
    assert fits(System(), log.source.fd, position)
    log.rewrite(b"one\nthree\n")
    assert not fits(System(), log.source.fd, position)


@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_a_file_begins_with_its_own_beginning(tmp_path: Path, size: int) -> None:
    one = opened(tmp_path / "one", b"x" * size + b"more")
    two = opened(tmp_path / "two", b"x" * size + b"other")
    assert one.source.begins_with(two.source, size)
    assert not one.source.begins_with(two.source, size + 1)
    one.source.close()
    two.source.close()


def test_a_file_shorter_than_the_copy_does_not_begin_with_it(tmp_path: Path) -> None:
    one, two = opened(tmp_path / "one", b"x\n"), opened(tmp_path / "two", b"x\ny\n")
    assert not one.source.begins_with(two.source, 4)
    assert not two.source.begins_with(one.source, 4)
    one.source.close()
    two.source.close()


def test_two_files_that_differ_in_the_middle_only_are_no_copies(tmp_path: Path) -> None:
    same = b"x" * BLOCK
    one = opened(tmp_path / "one", same + b"a" * BLOCK + same)
    two = opened(tmp_path / "two", same + b"b" * BLOCK + same)
    assert not one.source.begins_with(two.source, 3 * BLOCK)
    one.source.close()
    two.source.close()


# opening


def test_a_directory_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="regular"):
        open_source(System(), str(tmp_path))


def test_a_named_pipe_that_took_the_name_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.log")
    with pytest.raises(OSError, match="regular"):
        open_source(System(), str(tmp_path / "a.log"))


def test_a_file_renamed_between_stat_and_open_is_known_by_what_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    append(path, b"old\n")

    def rotate() -> None:
        path.rename(tmp_path / "a.log.1")
        append(path, b"new\n")

    system = Faulty(open=[before(rotate)])
    source = open_source(system, str(path))
    assert system.spent
    assert source.identity == (path.stat().st_dev, path.stat().st_ino)
    source.close()


@pytest.mark.parametrize("call", ["open", "fstat"])
def test_a_file_that_cannot_be_opened_leaves_nothing_open(tmp_path: Path, call: str) -> None:
    append(tmp_path / "a.log", b"one\n")
    closed: list[int] = []

    class Watched(Faulty):
        def close(self, fd: int) -> None:
            closed.append(fd)
            super().close(fd)

    system = Watched(**{call: [fault(5)]})
    with pytest.raises(OSError, match="Input/output"):
        open_source(system, str(tmp_path / "a.log"))
    assert system.spent
    assert len(closed) == (call == "fstat")


def test_a_file_rewritten_behind_a_line_that_was_read_as_one_is_noticed(tmp_path: Path) -> None:
    banner = b"x" * HEAD + b"\n"
    log = Log(tmp_path / "a.log", banner)
    reading = Reading()
    assert reading.read(log.source, None).data == banner
    log.append(b"last")
    advance = log.source.advance_to

    def rewritten(offset: int, lines: int = 1) -> None:
        log.rewrite(banner + b"other\n")
        advance(offset, lines)

    source = log.source
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(source), "advance_to", lambda self, *args: rewritten(*args))
        assert reading.read(source, None, last=True).data == b"last\n"
    with pytest.raises(Rewritten):
        reading.read(source, None)
