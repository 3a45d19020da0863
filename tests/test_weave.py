"""Lines of several inputs become one list: as a stable sort of all of them would have them."""

from __future__ import annotations

import random

import pytest

from tailmerge import weave as module
from tailmerge.weave import Part, weave


def as_sorted(parts: list[Part]) -> list[bytes]:
    pairs = [pair for keys, texts in parts for pair in zip(keys, texts, strict=True)]
    return [text for _, text in sorted(pairs, key=lambda pair: pair[0])]


def make_part(name: int, count: int, keys: int) -> Part:
    chosen = sorted(random.choices(range(keys), k=count))
    return chosen, [b"%d:%d" % (name, number) for number in range(count)]


@pytest.mark.parametrize("long", [1, 2, 7, 12_000])
@pytest.mark.parametrize("keys", [1, 3, 50])
def test_many_lines_are_woven_as_few_are(
    long: int, keys: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONG", long)
    random.seed(long * keys)
    for _ in range(30):
        parts = [make_part(name, random.randrange(20), keys) for name in range(random.randrange(5))]
        assert weave(parts) == as_sorted(parts)


def test_no_call_sorts_more_lines_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []

    def sort(parts: list[Part]) -> list[bytes]:
        counts.append(sum(len(keys) for keys, _ in parts))
        return as_sorted(parts)

    monkeypatch.setattr(module, "_sort", sort)
    parts = [(list(range(40_000)), [b"a"] * 40_000), (list(range(40_000)), [b"b"] * 40_000)]
    assert len(weave(parts)) == 80_000
    assert max(counts) < module.LONG + 10  # those of the key at the cut are on its one side
