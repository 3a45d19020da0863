"""Which line goes next: pure, on queues made by hand."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailmerge.order import MOST, Block, Order, Queue, fill_keys, raise_keys

LOW = -1


def add(
    queue: Queue, times: Sequence[int | None], arrived: float = 0.0, size: int = 0
) -> list[bytes]:
    """Lines with these times, each named after its input and its place."""
    texts = [b"%d:%r" % (queue.number, time) + b"x" * size for time in times]
    data = b"".join(text + b"\n" for text in texts)
    keys, own = fill_keys(list(times), queue.last)
    shown = None if own is None else keys[-1]
    queue.add(
        Block(keys, texts, own, data, 0, len(data), origin=queue.number, arrived=arrived), shown
    )
    return texts


def take(order: Order, now: float = 0.0) -> list[int]:
    """The keys that go, in the order in which they are written."""
    taken = order.take(now)
    for part in taken:
        order.pass_by(part, LOW)
    return sorted(itertools.chain.from_iterable(t.block.keys[t.start : t.end] for t in taken))


def two(window: float | None = None) -> tuple[Order, Queue, Queue]:
    order = Order(window)
    return order, order.enrol(LOW, backlog=True), order.enrol(LOW, backlog=True)


def test_nothing_goes_before_every_input_has_shown_something() -> None:
    order, first, second = two()
    add(first, [1, 2, 3])
    assert take(order) == []
    add(second, [2, 5])
    assert take(order) == [1, 2, 2]  # 3 is first's last line: others may belong to it


def test_what_goes_is_up_to_the_least_that_an_input_has_shown() -> None:
    order, first, second = two()
    add(first, [1, 4, 9])
    add(second, [2, 3, 5])
    assert take(order) == [1, 2, 3, 4]
    assert take(order) == []
    add(second, [7])
    assert take(order) == [5]


def test_an_input_that_is_over_holds_up_nobody() -> None:
    order, first, second = two()
    add(first, [1, 4, 9])
    second.over = True
    assert take(order) == [1, 4]
    first.over = True
    assert take(order) == [9]


def test_of_equal_times_the_first_inputs_go_first() -> None:
    """Lines of the second one wait though the first one has only shown that time."""
    order, first, second = two()
    add(first, [5])
    add(second, [5, 5, 6])
    assert take(order) == []
    add(first, [5, 7])
    assert take(order) == [5, 5, 5, 5]


def test_a_line_without_a_time_goes_with_the_line_above() -> None:
    order, first, second = two()
    add(first, [1, None, None, 3])
    add(second, [2, 4])
    assert take(order) == [1, 1, 1, 2]


def test_a_last_line_is_held_until_what_belongs_to_it_has_come() -> None:
    order, first, second = two()
    add(first, [1, None])
    add(second, [2, 4])
    assert take(order) == []
    add(first, [None, 3])
    assert take(order) == [1, 1, 1, 2]


def test_a_step_back_takes_the_predecessors_time() -> None:
    assert raise_keys([3, 1, 4], 2) == [3, 3, 4]
    assert raise_keys([1, 2], 5) == [5, 5]
    assert fill_keys([None, 7, None, 6], 3) == ([3, 7, 7, 7], 3)


def test_an_input_without_times_passes_as_it_comes() -> None:
    order, first, second = two()
    add(first, [None, None])
    assert take(order) == [LOW, LOW]
    add(second, [1, 2])
    assert take(order) == []  # all of the first may not have been seen
    first.over = True
    assert take(order) == [1]


def test_lines_without_times_that_never_end_hold_the_line_above_for_the_window() -> None:
    order, first, second = two(window=1.0)
    first.backlog = second.backlog = False
    add(first, [5])
    add(second, [6])
    add(first, [None], arrived=0.4)
    add(first, [None], arrived=0.8)
    assert take(order, 0.9) == []
    assert order.find_wake(0.9) == 1.0
    assert take(order, 1.0) == [5, 5, 5, 6]


def test_a_backlog_of_lines_without_times_does_not_fill_the_memory() -> None:
    order, first, second = two()
    add(first, [5])
    add(second, [9])
    add(first, [None], size=MOST)
    assert take(order) == [5, 5]
    assert take(order) == []
    assert order.has_room(first)


def test_a_backlog_that_begins_without_times_holds_up_the_others_for_the_window() -> None:
    order, first, second = two(window=1.0)
    add(first, [None, None], arrived=5.0)
    add(second, [1, 2])
    second.backlog = False
    assert take(order, 5.0) == [LOW, LOW]
    assert take(order, 5.9) == []
    assert take(order, 6.0) == [1, 2]


def test_behind_the_backlogs_a_line_waits_for_the_window() -> None:
    order, first, second = two(window=1)
    add(first, [1, 2], arrived=10)
    first.backlog = second.backlog = False
    assert take(order, 10.9) == []
    assert order.find_wake(10.1) == 10.5  # its last line may go on until then
    assert order.find_wake(10.6) == 11
    assert take(order, 11) == [1, 2]
    assert order.find_wake(11) is None


def test_a_backlog_waits_for_no_clock() -> None:
    order, first, second = two(window=1)
    add(first, [1, 2], arrived=10)
    second.backlog = False
    assert take(order, 10) == [1]  # second has no backlog, and nothing to say to first's
    add(second, [0], arrived=11)
    assert take(order, 1000) == [0]  # late at once
    assert order.late == 1


def test_what_an_input_shows_sets_the_others_free_before_the_window_is_over() -> None:
    order, first, second = two(window=1)
    first.backlog = second.backlog = False
    add(first, [1, 2], arrived=10)
    add(second, [3], arrived=10)
    assert take(order, 10) == [1]
    add(first, [4], arrived=10.1)
    assert take(order, 10.1) == [2]


def test_a_late_line_is_written_at_once_and_counted() -> None:
    order, first, second = two(window=1)
    first.backlog = second.backlog = False
    add(first, [5, 6], arrived=10)
    assert take(order, 11) == [5, 6]
    add(second, [3, 4, 7], arrived=11.2)
    assert take(order, 11.2) == [3, 4]
    assert order.late == 2


def test_what_is_behind_a_held_line_waits_with_it() -> None:
    """Else a line that came just now would be late by lines that are only ripe."""
    order, first, second = two(window=1)
    first.backlog = second.backlog = False
    add(first, [1, 5], arrived=10)
    add(second, [3], arrived=10.9)
    assert take(order, 11) == [1]
    assert order.find_wake(11) == pytest.approx(11.4)
    assert take(order, 11.4) == [3, 5]
    assert order.late == 0


def test_there_is_room_for_more_than_a_block_only_where_nothing_has_a_backlog() -> None:
    order, first, second = two(window=1)
    add(first, [1, 2], size=order.room)
    assert not order.has_room(first)
    first.backlog = second.backlog = False
    assert order.has_room(first)


def test_a_record_longer_than_the_room_is_read_on() -> None:
    order, first, _ = two()
    add(first, [1, None], size=order.room)
    assert order.has_room(first)


def test_too_much_does_not_wait_for_the_whole_window() -> None:
    order, first, second = two(window=60)
    first.backlog = second.backlog = False
    add(first, [1], arrived=10, size=MOST // 2)
    add(first, [2, 3], arrived=10, size=MOST // 2)
    assert take(order, 10)
    assert order.size < MOST


TIMES = st.lists(st.one_of(st.none(), st.integers(0, 30)), max_size=12)


@given(st.lists(st.lists(TIMES, max_size=4), min_size=1, max_size=4))
def test_merged_as_a_whole_it_is_a_stable_sort(inputs: list[list[list[int | None]]]) -> None:
    """Of sorted inputs, in blocks of any size: equal to sorting all lines at once."""
    order = Order(None)
    queues = [order.enrol(LOW, backlog=True) for _ in inputs]
    got: list[tuple[int, int]] = []
    want: list[tuple[int, int]] = []
    for blocks in itertools.zip_longest(*inputs, fillvalue=[]):
        for queue, times in zip(queues, blocks, strict=True):
            if times:
                add(queue, times)
                want += [(key, queue.number) for key in queue.blocks[-1].keys]
        if all(queue.shown is not None for queue in queues):
            got += _run(order)
    for queue in queues:
        queue.over = True
    got += _run(order)
    silent = {queue.number for queue in queues if queue.shown is None}
    assert [p for p in got if p[1] not in silent] == sorted(p for p in want if p[1] not in silent)
    assert len(got) == len(want)
    assert all(queue.size == 0 for queue in queues)


def _run(order: Order) -> list[tuple[int, int]]:
    """What goes now: keys, each with the number of its input."""
    return sorted(
        (key, t.block.origin) for t in order.take(0) for key in t.block.keys[t.start : t.end]
    )


PLANS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.lists(st.one_of(st.none(), st.integers(0, 30)), max_size=3),
        st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0, 1.3, 3.0]),
    ),
    max_size=15,
)


@given(PLANS, st.booleans())
def test_behind_the_backlogs_nothing_waits_for_longer_than_a_window_and_a_half(
    plan: list[tuple[int, list[int | None], float]], holds_last: bool
) -> None:
    """Woken by nothing but news and the clock that was asked for."""
    order = Order(1.0, holds_last=holds_last)
    queues = [order.enrol(LOW, backlog=False) for _ in range(3)]
    now = 7.3
    for number, times, pause in [*plan, (0, [], 100.0)]:
        add(queues[number], times, arrived=now)
        until = now + pause
        while True:
            while taken := order.take(now):
                for part in taken:
                    order.pass_by(part, LOW)
            wake = order.find_wake(now)
            waits = [block.arrived for queue in queues for block in queue.blocks]
            assert all(now < arrived + 1.5 for arrived in waits)
            if wake is None or wake >= until:
                break
            now = wake
        now = until
    assert not any(queue.blocks for queue in queues)


def test_room_is_larger_for_few_inputs_than_for_many() -> None:
    order = Order(1)
    for _ in range(4):
        order.enrol(0, backlog=True)
    few = order.room
    for _ in range(96):
        order.enrol(0, backlog=True)
    assert (few, order.room) == (128 * 1024, 64 * 1024)


@pytest.mark.parametrize("taken", range(6))
def test_the_offset_behind_taken_lines_is_that_of_the_next_one(taken: int) -> None:
    texts = [b"one", b"", b"three", b"4", b"fifth"]
    data = b"\n".join(texts) + b"\n"
    block = Block(list(range(5)), texts, None, data, 10, 10 + len(data) - 1, offset=10)
    whole = 10 + len(data) - 1  # the last newline was added
    behind = 10 + len(b"".join(text + b"\n" for text in texts[:taken]))
    assert block.take(taken).offset == min(behind, whole)
