"""Ranges, pages and nodes, each by itself."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyomics.io.remote.address import Identity, RemotePath
from lazyomics.io.remote.connection import Pages, children
from lazyomics.io.remote.ranges import Range, merged


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 60)), max_size=20),
    st.integers(0, 40),
    st.integers(1, 100),
)
def test_ranges_cover_what_is_asked_for(wanted: list[Range], gap: int, most: int) -> None:
    starts = np.array([a for a, _ in wanted], np.int64)
    stops = starts + np.array([n for _, n in wanted], np.int64)
    made = merged(starts, stops, gap, most)
    assert all(0 < b - a <= most for a, b in made)
    assert all(b <= c for (_, b), (c, _) in itertools.pairwise(made))
    covered = {k for a, b in made for k in range(a, b)}
    asked = {k for a, b in zip(starts.tolist(), stops.tolist(), strict=True) for k in range(a, b)}
    assert asked <= covered
    # what is not asked for lies in gaps
    for k in covered - asked:
        near = [abs(k - a) for a in asked]
        assert min(near) <= gap


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400_000), st.integers(0, 30_000)), max_size=30))
def test_pages_are_the_bytes_of_the_file(reads: list[tuple[int, int]]) -> None:
    content = np.random.default_rng(0).integers(0, 256, 390_001, np.uint8).tobytes()

    def fetch(ranges: Sequence[Range]) -> list[bytes | bytearray]:
        assert all(0 <= a < b <= len(content) for a, b in ranges)
        return [content[a:b] for a, b in ranges]

    pages = Pages(fetch, len(content), content[:1000])
    for position, size in reads:
        assert pages.read(position, size) == content[position : position + size]


def test_reading_on_fetches_longer_stretches() -> None:
    content, asked = bytes(8 << 20), []

    def fetch(ranges: Sequence[Range]) -> list[bytes | bytearray]:
        asked.extend(ranges)
        return [content[a:b] for a, b in ranges]

    pages = Pages(fetch, len(content), b"")
    for position in range(0, len(content), 50_000):
        pages.read(position, 50_000)
    assert len(asked) < 16
    assert sum(b - a for a, b in asked) == len(content)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_nodes_name_the_nodes_below(tmp_path: Path, axes: int) -> None:
    shape = (512, 4, 4)[:axes]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=np.zeros(shape), chunks=(1, 4, 4)[:axes])
    content = (tmp_path / "a.h5").read_bytes()
    size = 24 + 64 * 8 + 65 * (8 + 8 * (axes + 1))
    found = {}
    start = content.find(b"TREE\x01")
    while start >= 0:
        found[start] = children(content[start : start + size])
        start = content.find(b"TREE\x01", start + 1)
    inner = {start: below for start, below in found.items() if below}
    assert len(inner) == 1
    leaves = set(found) - set(inner)
    assert set(*inner.values()) <= leaves
    assert len(*inner.values()) >= 8


def test_nodes_are_found_behind_a_user_block(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=512) as file:
        file.create_dataset("x", data=np.arange(3_000), chunks=(1,))
    content, asked = (tmp_path / "a.h5").read_bytes(), []

    def fetch(ranges: Sequence[Range]) -> list[bytes | bytearray]:
        asked.append(ranges)
        return [content[a:b] for a, b in ranges]

    size = 24 + 64 * 8 + 65 * 24
    starts = [at for at in range(0, len(content), 8) if content[at : at + 5] == b"TREE\x01"]
    roots = [at for at in starts if content[at + 5] == 1]
    pages = Pages(fetch, len(content), b"")
    pages.base = 512
    for root in roots:
        pages.read(root, size)
    before = len(asked)
    assert len(starts) > 40
    for at in starts:
        assert pages.read(at, size) == content[at : at + size]
    assert len(asked) == before


@pytest.mark.parametrize("node", [b"", b"TREE", b"TREE\x01\x01\xff\xff" + bytes(2088), bytes(9)])
def test_damaged_nodes_name_none(node: bytes) -> None:
    assert children(node) == []


def test_paths_differ_by_what_opens_them() -> None:
    url = "https://host/a.h5ad"
    plain, other = RemotePath(url), RemotePath(url, {"key": "word"})
    assert plain != other
    assert plain == RemotePath(url)
    assert hash(plain) == hash(RemotePath(url))
    assert RemotePath(f"{url}?v=1") != RemotePath(f"{url}?v=2")
    assert str.__eq__(RemotePath(f"{url}?v=1"), url)
    one, two = (plain.opened_as(Identity(9, tag)) for tag in ("a", "b"))
    assert one != two
    assert one.number != two.number
    assert one.opened_as(None) == plain
