"""Which position belongs to which file: the contract's "Rotation", rule by rule.

Files are made of their content here; a position holds what was forwarded of one. The two
questions that `match` asks are answered as the real ones are: a position fits a file that
begins with the bytes it recorded, and a copy is a file with which another one begins.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from tailmerge.match import Matching, Seen, match
from tailmerge.position import Position
from tailmerge.system import Identity

HEADER = b"#Fields: date time\n"


@dataclass
class Folder:
    """Files by name, and what was forwarded of files that may have other names now."""

    contents: dict[str, bytes] = field(default_factory=dict)
    files: list[Seen] = field(default_factory=list)
    standing: list[Seen] = field(default_factory=list)
    positions: list[tuple[str, Position]] = field(default_factory=list)
    forwarded: dict[Identity, bytes] = field(default_factory=dict)

    def file(self, name: str, content: bytes, inode: int, *, device: int = 1) -> Seen:
        """A file that is there, oldest first; the one named `a.log` is the live one."""
        self.contents[name] = content
        seen = Seen(
            name,
            (device, inode),
            len(content),
            0.0,
            live=name == "a.log",
            compressed=name.endswith(".gz"),
        )
        self.files.append(seen)
        return seen

    def held(self, name: str, content: bytes, inode: int) -> Seen:
        """A file that is known already."""
        seen = self.file(name, content, inode)
        self.files.remove(seen)
        self.standing.append(seen)
        return seen

    def forward(self, owner: str, content: bytes, inode: int, *, device: int = 1) -> None:
        """A position behind all of `content`, of a file with this number."""
        where = (device, inode)
        self.forwarded[where] = content
        position = Position(owner, where, len(content), len(content), "", 0, "")
        self.positions.append((owner, position))

    def match(self) -> Matching[str]:
        return match(self.positions, self.files, self.standing, self.fits, self.is_copy)

    def fits(self, position: Position, file: Seen) -> bool:
        return self.contents[file.path].startswith(self.forwarded[position.identity])

    def is_copy(self, copy: Seen, original: Seen) -> bool:
        return self.contents[original.path].startswith(self.contents[copy.path])


def pairs(matching: Matching[str]) -> dict[str, str]:
    return {owner: file.path for owner, file in matching.pairs}


def names(files: list[Seen]) -> list[str]:
    return [file.path for file in files]


def copies_of(matching: Matching[str]) -> list[Seen]:
    return [copy for copy, _ in matching.copies]


def test_a_file_that_kept_its_name_goes_on_at_its_position() -> None:
    folder = Folder()
    folder.forward("live", b"a\n", 1)
    folder.file("a.log", b"a\nb\n", 1)
    assert pairs(folder.match()) == {"live": "a.log"}


def test_a_renamed_file_is_known_by_its_content() -> None:
    folder = Folder()
    folder.forward("live", b"a\n", 1)
    folder.file("a.log.1", b"a\nb\n", 1)
    folder.file("a.log", b"new\n", 2)
    matching = folder.match()
    assert pairs(matching) == {"live": "a.log.1"}
    assert names(matching.new) == ["a.log"]


def test_a_renamed_file_with_nothing_behind_its_position_is_not_read_again() -> None:
    folder = Folder()
    folder.forward("live", b"a\n", 1)
    folder.file("a.log.1", b"a\n", 1)
    matching = folder.match()
    assert pairs(matching) == {"live": "a.log.1"}
    assert (matching.new, matching.copies, matching.gone) == ([], [], [])


def test_generations_that_share_their_head_are_told_apart_by_device_and_inode() -> None:
    folder = Folder()
    folder.forward("older", HEADER, 1)
    folder.forward("newer", HEADER, 2)
    folder.file("a.log.3", HEADER + b"0\n", 9)
    folder.file("a.log.2", HEADER + b"1\n", 1)
    folder.file("a.log.1", HEADER + b"2\n", 2)
    folder.file("a.log", HEADER + b"3\n", 3)
    matching = folder.match()
    assert pairs(matching) == {"older": "a.log.2", "newer": "a.log.1"}
    assert names(matching.new) == ["a.log.3", "a.log"]


def test_generations_that_share_their_head_go_by_age_where_no_inode_tells() -> None:
    """A restored backup: every number is new."""
    folder = Folder()
    folder.forward("older", HEADER, 1)
    folder.forward("newer", HEADER, 2)
    folder.file("a.log.2", HEADER + b"1\n", 11)
    folder.file("a.log.1", HEADER + b"2\n", 12)
    folder.file("a.log", HEADER + b"3\n", 13)
    matching = folder.match()
    assert pairs(matching) == {"older": "a.log.2", "newer": "a.log.1"}
    assert names(matching.new) == ["a.log"]


def test_a_rotated_file_with_the_recorded_inode_goes_before_an_older_one_that_fits() -> None:
    folder = Folder()
    folder.forward("it", HEADER, 5)
    folder.file("a.log.2", HEADER + b"1\n", 4)
    folder.file("a.log.1", HEADER + b"2\n", 5)
    assert pairs(folder.match()) == {"it": "a.log.1"}


def test_a_position_with_an_inode_keeps_it_from_an_older_position_that_fits_too() -> None:
    folder = Folder()
    folder.forward("older", b"", 1)
    folder.forward("newer", HEADER, 2)
    folder.file("a.log.1", HEADER + b"2\n", 2)
    matching = folder.match()
    assert pairs(matching) == {"newer": "a.log.1"}
    assert matching.gone == ["older"]


def test_a_copy_before_the_cut_leaves_the_position_to_the_live_file() -> None:
    folder = Folder()
    folder.forward("live", b"a\n", 1)
    folder.file("a.log.1", b"a\nb\n", 2)
    folder.file("a.log", b"a\nb\nc\n", 1)
    matching = folder.match()
    assert pairs(matching) == {"live": "a.log"}
    assert names(copies_of(matching)) == ["a.log.1"]
    assert not matching.new


def test_a_copy_before_the_cut_is_not_read_while_the_held_original_stands() -> None:
    folder = Folder()
    folder.held("a.log", b"a\nb\nc\n", 1)
    folder.file("a.log.1", b"a\nb\n", 2)
    matching = folder.match()
    assert names(copies_of(matching)) == ["a.log.1"]
    assert not matching.new


def test_a_copy_of_a_live_file_that_is_new_itself_is_not_read() -> None:
    folder = Folder()
    folder.file("a.log.1", b"a\nb\n", 2)
    folder.file("a.log", b"a\nb\nc\n", 1)
    matching = folder.match()
    assert names(copies_of(matching)) == ["a.log.1"]
    assert names(matching.new) == ["a.log"]


def test_a_copy_after_the_cut_takes_the_position() -> None:
    folder = Folder()
    folder.forward("live", b"a\n", 1)
    folder.file("a.log.1", b"a\nb\n", 2)
    folder.file("a.log", b"new\n", 1)
    matching = folder.match()
    assert pairs(matching) == {"live": "a.log.1"}
    assert names(matching.new) == ["a.log"]


def test_a_copy_cut_off_before_the_position_is_not_taken_for_its_file() -> None:
    folder = Folder()
    folder.forward("live", b"a\nb\n", 1)
    folder.file("a.log.1", b"a\n", 2)
    matching = folder.match()
    assert matching.gone == ["live"]


def test_a_gz_beside_its_original_leaves_the_position_to_the_original() -> None:
    folder = Folder()
    folder.forward("it", b"a\n", 1)
    folder.file("a.log.1.gz", b"a\nb\n", 2)
    folder.file("a.log.1", b"a\nb\n", 3)
    matching = folder.match()
    assert pairs(matching) == {"it": "a.log.1"}
    assert names(copies_of(matching)) == ["a.log.1.gz"]


def test_a_new_gz_beside_its_new_original_is_not_read_too() -> None:
    folder = Folder()
    folder.file("a.log.1.gz", b"a\nb\n", 2)
    folder.file("a.log.1", b"a\nb\n", 3)
    matching = folder.match()
    assert names(copies_of(matching)) == ["a.log.1.gz"]
    assert names(matching.new) == ["a.log.1"]


def test_a_gz_whose_original_has_gone_takes_the_position() -> None:
    folder = Folder()
    folder.forward("it", b"a\n", 1)
    folder.file("a.log.1.gz", b"a\nb\n", 2)
    assert pairs(folder.match()) == {"it": "a.log.1.gz"}


def test_an_original_is_never_the_copy_of_its_gz() -> None:
    folder = Folder()
    folder.held("a.log.1.gz", b"a\nb\n", 2)
    folder.file("a.log.1", b"a\nb\n", 3)
    matching = folder.match()
    assert names(matching.new) == ["a.log.1"]
    assert not matching.copies


def test_the_live_file_is_never_a_copy() -> None:
    """Created anew with the same banner that the rotated one begins with."""
    folder = Folder()
    folder.forward("old", HEADER + b"1\n", 1)
    folder.file("a.log.1", HEADER + b"1\n", 1)
    folder.file("a.log", HEADER, 2)
    matching = folder.match()
    assert pairs(matching) == {"old": "a.log.1"}
    assert names(matching.new) == ["a.log"]


def test_an_empty_position_takes_the_file_with_its_inode() -> None:
    """A position at 0 fits anything."""
    folder = Folder()
    folder.forward("empty", b"", 2)
    folder.file("a.log.2", b"0\n", 1)
    folder.file("a.log.1", b"1\n", 2)
    folder.file("a.log", b"2\n", 3)
    matching = folder.match()
    assert pairs(matching) == {"empty": "a.log.1"}
    assert names(matching.new) == ["a.log.2", "a.log"]


def test_an_empty_position_does_not_take_what_belongs_to_another_one() -> None:
    folder = Folder()
    folder.forward("empty", b"", 7)
    folder.forward("read", b"1\n", 8)
    folder.file("a.log.1", b"1\n2\n", 8)
    folder.file("a.log", b"3\n", 9)
    assert pairs(folder.match()) == {"empty": "a.log", "read": "a.log.1"}


def test_a_reused_inode_does_not_carry_the_position_of_the_deleted_file() -> None:
    folder = Folder()
    folder.forward("old", b"a\n", 1)
    folder.file("a.log.1", b"other\n", 1)
    matching = folder.match()
    assert matching.gone == ["old"]
    assert names(matching.new) == ["a.log.1"]


def test_a_reused_inode_does_not_keep_the_position_from_where_its_file_went() -> None:
    """Renamed, copied to another disk, and the number given to the new file at once."""
    folder = Folder()
    folder.forward("old", b"a\n", 1)
    folder.file("a.log.1", b"a\nb\n", 2)
    folder.file("a.log", b"new\n", 1)
    matching = folder.match()
    assert pairs(matching) == {"old": "a.log.1"}
    assert names(matching.new) == ["a.log"]


def test_a_new_device_number_resumes_every_position() -> None:
    folder = Folder()
    folder.forward("older", b"a\n", 1, device=39)
    folder.forward("newer", b"b\n", 2, device=39)
    folder.file("a.log.1", b"a\n", 1, device=40)
    folder.file("a.log", b"b\nc\n", 2, device=40)
    assert pairs(folder.match()) == {"older": "a.log.1", "newer": "a.log"}


def test_two_positions_do_not_share_one_file() -> None:
    folder = Folder()
    folder.forward("one", b"a\n", 1)
    folder.forward("two", b"a\n", 2)
    folder.file("a.log", b"a\nb\n", 3)
    matching = folder.match()
    assert pairs(matching) == {"one": "a.log"}
    assert matching.gone == ["two"]


def test_several_rotations_at_once_are_read_oldest_first_the_live_one_last() -> None:
    folder = Folder()
    folder.forward("it", b"0\n", 1)
    folder.file("a.log.3", b"0\n", 1)
    folder.file("a.log.2", b"1\n", 2)
    folder.file("a.log.1", b"2\n", 3)
    folder.file("a.log", b"3\n", 4)
    matching = folder.match()
    assert pairs(matching) == {"it": "a.log.3"}
    assert names(matching.new) == ["a.log.2", "a.log.1", "a.log"]


def test_a_deleted_file_leaves_its_position_without_a_file() -> None:
    folder = Folder()
    folder.forward("it", b"a\n", 1)
    matching = folder.match()
    assert (matching.pairs, matching.gone) == ([], ["it"])


def test_without_positions_every_file_is_new() -> None:
    folder = Folder()
    folder.file("a.log.1", b"a\n", 1)
    folder.file("a.log", b"b\n", 2)
    assert names(folder.match().new) == ["a.log.1", "a.log"]


def test_the_older_rotated_file_that_fits_is_taken_though_the_newer_begins_like_it() -> None:
    """A quiet day's file holds nothing but the header: it is nobody's copy."""
    folder = Folder()
    folder.forward("it", HEADER, 1)
    folder.file("a.log.2", HEADER, 11)
    folder.file("a.log.1", HEADER + b"1\n", 12)
    matching = folder.match()
    assert pairs(matching) == {"it": "a.log.2"}
    assert names(matching.new) == ["a.log.1"]


def test_a_new_generation_that_equals_the_head_of_an_older_one_is_read() -> None:
    """Only of the live or the uncompressed file there are copies beside it."""
    folder = Folder()
    folder.held("a.log.2", HEADER + b"1\n", 1)
    folder.file("a.log.1", HEADER, 2)
    matching = folder.match()
    assert names(matching.new) == ["a.log.1"]


LINES = st.lists(st.sampled_from([b"", b"a\n", b"b\n"]), max_size=3).map(b"".join)


@given(
    positions=st.lists(st.tuples(LINES, st.integers(1, 4)), max_size=4, unique_by=lambda p: p[1]),
    files=st.lists(st.tuples(LINES, st.integers(1, 4)), max_size=4, unique_by=lambda p: p[1]),
)
def test_every_position_and_every_file_is_answered_for_exactly_once(
    positions: list[tuple[bytes, int]], files: list[tuple[bytes, int]]
) -> None:
    folder = Folder()
    for content, inode in positions:
        folder.forward(f"position {inode}", content, inode)
    for age, (content, inode) in enumerate(files):
        live = age == len(files) - 1
        folder.file("a.log" if live else f"a.log.{len(files) - 1 - age}", content, inode)
    matching = folder.match()
    owners = [owner for owner, _ in matching.pairs] + matching.gone
    met = names([file for _, file in matching.pairs] + copies_of(matching) + matching.new)
    assert sorted(owners) == sorted(owner for owner, _ in folder.positions)
    assert sorted(met) == sorted(names(folder.files))
    assert all(folder.fits(dict(folder.positions)[owner], file) for owner, file in matching.pairs)
    for owner in matching.gone:
        position = dict(folder.positions)[owner]
        assert not any(folder.fits(position, file) for file in matching.new + copies_of(matching))


def test_an_empty_position_does_not_take_the_file_of_another_one() -> None:
    """A live log was empty when it was rotated, and so was the next one: both are remembered."""
    folder = Folder()
    folder.forward("empty", b"", 1)
    folder.forward("live", b"a\n", 2)
    folder.file("a.log", b"a\nb\n", 2)
    matching = folder.match()
    assert pairs(matching) == {"live": "a.log"}
    assert matching.gone == ["empty"]


def test_an_empty_position_does_not_take_a_rotated_file_that_has_its_old_number() -> None:
    folder = Folder()
    folder.forward("empty", b"", 2)
    folder.forward("live", b"a\n", 2)
    folder.forwarded[(1, 2)] = b"a\n"
    folder.file("a.log.1", b"a\n", 2)
    assert pairs(folder.match()) == {"live": "a.log.1"}
