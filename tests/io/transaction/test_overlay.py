"""The overlay behaves as a file, and leaves the one under it alone."""

from __future__ import annotations

import os
import random

import h5py
import numpy as np
import pytest

from lazyomics.io.transaction import disk
from lazyomics.io.transaction import overlay as overlay_module
from lazyomics.io.transaction.disk import find_superblock
from lazyomics.io.transaction.overlay import Overlay
from tests.io.transaction.changes import change
from tests.io.transaction.crashes import elements


@pytest.fixture
def opened(tmp_path):
    made = []

    def make(content: bytes) -> Overlay:
        path = tmp_path / "under"
        path.write_bytes(content)
        descriptor = os.open(path, os.O_RDWR)
        made.append((descriptor, Overlay(descriptor, str(path))))
        return made[-1][1]

    yield make
    for descriptor, overlay in made:
        overlay.close()
        os.close(descriptor)


@pytest.mark.parametrize("small", [False, True])
def test_any_reads_and_writes(opened, monkeypatch, small) -> None:
    if small:  # little memory: pages are spilled, the tail is written early
        monkeypatch.setattr(overlay_module, "_MOST_IN_MEMORY", 2 * overlay_module.PAGE)
        monkeypatch.setattr(overlay_module, "_MOST_BLOCKS", 2)
        monkeypatch.setattr(overlay_module, "BLOCK", 3000)
    chance = random.Random(0)
    old = chance.randbytes(50_123)
    overlay, expected = opened(old), bytearray(old)
    for _ in range(600):
        position = chance.randrange(0, 90_000)
        size = chance.choice([1, 10, 600, 5000, 20_000])
        overlay.seek(position)
        if chance.random() < 0.5:
            data = chance.randbytes(size)
            assert overlay.write(data) == size
            expected.extend(bytes(max(0, position + size - len(expected))))
            expected[position : position + size] = data
        else:
            buffer = bytearray(b"?" * size)
            assert overlay.readinto(buffer) == size
            assert bytes(buffer) == bytes(expected[position : position + size]).ljust(size, b"\0")
        assert overlay.seek(0, os.SEEK_END) == len(expected)
    assert overlay.error is None
    assert disk.read(overlay.descriptor, len(old), 0) == old
    overlay.tail.write_out(overlay.size)
    assert disk.read(overlay.descriptor, 100_000, len(old)) == bytes(expected[len(old) :])
    for number in overlay.pages.numbers():
        start = number * overlay_module.PAGE
        page = expected[start : min(start + overlay_module.PAGE, len(old))]
        assert overlay.pages.new(number) == bytes(page)


def test_hdf5_works_on_it_with_little_memory(any_file, tmp_path, opened, monkeypatch) -> None:
    monkeypatch.setattr(overlay_module, "_MOST_IN_MEMORY", 3 * overlay_module.PAGE)
    monkeypatch.setattr(overlay_module, "_MOST_BLOCKS", 2)
    monkeypatch.setattr(overlay_module, "BLOCK", 3000)
    before = elements(any_file)
    overlay = opened(any_file.read_bytes())
    with h5py.File(overlay, "r+") as file:
        assert file.filename.endswith("under")
        change(file)
    assert elements(tmp_path / "under") == before
    with h5py.File(any_file, "r+") as file:
        change(file)
    expected = elements(any_file)
    copy = bytearray(disk.read(overlay.descriptor, overlay.old_end, 0))
    for number in overlay.pages.numbers():
        start = number * overlay_module.PAGE
        copy[start : start + overlay.pages.length(number)] = overlay.pages.new(number)
    overlay.tail.write_out(overlay.size)
    appended = disk.read(overlay.descriptor, overlay.size, overlay.old_end)
    (tmp_path / "copy").write_bytes(bytes(copy) + appended)
    assert elements(tmp_path / "copy") == expected


def test_failures_are_kept_and_nothing_is_raised_into_hdf5(opened, monkeypatch, any_file) -> None:
    overlay = opened(any_file.read_bytes())

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(overlay_module, "_MOST_BLOCKS", 1)
    monkeypatch.setattr(disk, "write", fail)
    with h5py.File(overlay, "r+") as file:
        file["large"] = np.zeros(1_000_000)
    assert isinstance(overlay.error, OSError)


def test_where_hdf5_says_that_the_file_ends(any_file, tmp_path) -> None:
    size = any_file.stat().st_size
    with any_file.open("ab") as raw:
        raw.write(b"more")
    descriptor = os.open(any_file, os.O_RDONLY)
    assert find_superblock(descriptor).end == size
    os.close(descriptor)
    (tmp_path / "none").write_bytes(b"x" * 1000)
    descriptor = os.open(tmp_path / "none", os.O_RDONLY)
    assert find_superblock(descriptor).end == 1000
    os.close(descriptor)
