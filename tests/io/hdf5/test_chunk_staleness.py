"""Bytes that still hold are read; anything else is an error that says so."""

from __future__ import annotations

import os
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from lazyomics.errors import StaleFileError
from lazyomics.io.hdf5 import StoredArray
from lazyomics.io.hdf5.dataset import forget_all

DATA = np.arange(5000, dtype=np.float32)
LAYOUTS = {"gzip": {"chunks": (300,), "compression": "gzip"}, "contiguous": {}}


@pytest.fixture(params=LAYOUTS)
def options(request: pytest.FixtureRequest) -> dict[str, object]:
    return LAYOUTS[request.param]


def make(path: Path, data: np.ndarray, options: dict[str, object]) -> StoredArray:
    with h5py.File(path, "w") as file:
        file["obs/a"] = np.arange(100)
        file.create_dataset("X/data", data=data, **options)
    with h5py.File(path, "r") as file:
        return StoredArray.of(file["X/data"], path)


def later(path: Path) -> None:
    """Leave no doubt about the time stamp."""
    status = os.stat(path)
    os.utime(path, ns=(status.st_atime_ns, max(status.st_mtime_ns, time.time_ns()) + 10**9))


@pytest.mark.parametrize("warm", [True, False])
def test_other_elements_may_change(tmp_path: Path, options: dict[str, object], warm: bool) -> None:
    path = tmp_path / "a.h5"
    array = make(path, DATA, options)
    if warm:
        array.read(0, 10)
    for k in range(3):
        with h5py.File(path, "r+") as file:
            file[f"obs/b{k}"] = np.arange(1000)
            del file["obs/a"]
            file["obs/a"] = np.arange(3)
        np.testing.assert_array_equal(array.read(0, 5000), DATA)


@pytest.mark.parametrize("warm", [True, False])
def test_replaced_dataset(tmp_path: Path, options: dict[str, object], warm: bool) -> None:
    path = tmp_path / "a.h5"
    array = make(path, DATA, options)
    if warm:
        array.read(0, 10)
    with h5py.File(path, "r+") as file:
        file.create_dataset("X/new", data=DATA[::-1], **options)
        del file["X/data"]
        file.move("X/new", "X/data")
    with pytest.raises(StaleFileError, match=r"X/data.*changed after it was opened.*open it again"):
        array.read(0, 5)
    with h5py.File(path, "r") as file:
        again = StoredArray.of(file["X/data"], path)
    np.testing.assert_array_equal(again.read(0, 5), DATA[::-1][:5])
    with pytest.raises(StaleFileError):
        array.read(0, 5)


def test_overwritten_values(tmp_path: Path, options: dict[str, object]) -> None:
    path = tmp_path / "a.h5"
    array = make(path, DATA, options)
    array.read(0, 10)
    with h5py.File(path, "r+") as file:
        file["X/data"][...] = DATA[::-1]
    later(path)
    for _ in range(2):
        with pytest.raises(StaleFileError):
            array.read(0, 5)
    with h5py.File(path, "r") as file:
        again = StoredArray.of(file["X/data"], path)
    assert again.fingerprint.address == array.fingerprint.address  # the same place, but
    np.testing.assert_array_equal(again.read(0, 5), DATA[::-1][:5])
    with pytest.raises(StaleFileError):
        array.read(0, 5)


def test_overwritten_by_a_copy_with_an_older_time(
    tmp_path: Path, options: dict[str, object]
) -> None:
    path, other = tmp_path / "a.h5", tmp_path / "b.h5"
    array = make(path, DATA, options)
    array.read(0, 10)
    make(other, DATA[::-1], options)
    path.write_bytes(other.read_bytes())  # the same inode
    os.utime(path, (1e9, 1e9))
    with pytest.raises(StaleFileError):
        array.read(0, 5)
    with h5py.File(path, "r") as file:
        again = StoredArray.of(file["X/data"], path)
    np.testing.assert_array_equal(again.read(0, 5), DATA[::-1][:5])
    with pytest.raises(StaleFileError):
        array.read(0, 5)


@pytest.mark.parametrize("warm", [True, False])
def test_replaced_file(tmp_path: Path, options: dict[str, object], warm: bool) -> None:
    path, other = tmp_path / "a.h5", tmp_path / "b.h5"
    array = make(path, DATA, options)
    if warm:
        array.read(0, 10)
    make(other, DATA[::-1], options)
    os.replace(other, path)
    with pytest.raises(StaleFileError, match="replaced"):
        array.read(0, 5)


def test_file_replaced_while_open(tmp_path: Path, options: dict[str, object]) -> None:
    """A read that has begun ends with the values of the file that it opened."""
    path, other = tmp_path / "a.h5", tmp_path / "b.h5"
    array = make(path, DATA, options)
    make(other, DATA[::-1], options)
    from lazyomics.io.hdf5 import array as module

    original = module.known

    def replace_meanwhile(*arguments: object) -> object:
        entry = original(*arguments)
        if other.exists():
            os.replace(other, path)
        return entry

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "known", replace_meanwhile)
        np.testing.assert_array_equal(array.read(0, 5000), DATA)
    with pytest.raises(StaleFileError):
        array.read(0, 5)


def test_changed_during_the_read(tmp_path: Path, options: dict[str, object]) -> None:
    path = tmp_path / "a.h5"
    array = make(path, DATA, options)
    from lazyomics.io.hdf5 import array as module

    original = module.known
    calls: list[int] = []

    def overwrite_meanwhile(*arguments: object) -> object:
        entry = original(*arguments)
        if not calls:
            with h5py.File(path, "r+") as file:
                file["X/data"][...] = DATA[::-1]
            later(path)
        calls.append(1)
        return entry

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "known", overwrite_meanwhile)
        with pytest.raises(StaleFileError):
            array.read(0, 5000)
    assert len(calls) == 1  # the check afterwards raised


@pytest.mark.parametrize("change", ["remove", "truncate", "garbage", "group", "delete"])
def test_broken_afterwards(tmp_path: Path, options: dict[str, object], change: str) -> None:
    path = tmp_path / "a.h5"
    array = make(path, DATA, options)
    array.read(0, 10)
    if change == "remove":
        path.unlink()
        with pytest.raises(FileNotFoundError, match=r"a\.h5"):
            array.read(0, 5)
        return
    if change == "truncate":
        os.truncate(path, path.stat().st_size // 2)
    elif change == "garbage":
        with open(path, "r+b") as raw:
            raw.write(b"garbage!" * 200)
    else:
        with h5py.File(path, "r+") as file:
            del file["X/data"]
            if change == "group":
                file.create_group("X/data")
    later(path)
    with pytest.raises(StaleFileError, match="X/data"):
        array.read(0, 5)


def test_touched_file(tmp_path: Path, options: dict[str, object]) -> None:
    path = tmp_path / "a.h5"
    array = make(path, DATA, options)
    array.read(0, 10)
    later(path)
    np.testing.assert_array_equal(array.read(7, 4000), DATA[7:4000])


def test_held_open_by_others_in_this_process(tmp_path: Path, options: dict[str, object]) -> None:
    path = tmp_path / "a.h5"
    array = make(path, DATA, options)
    for mode in ("r", "r+"):
        for locking in (None, False, True):
            forget_all()
            with h5py.File(path, mode, locking=locking):
                np.testing.assert_array_equal(array.read(7, 4000), DATA[7:4000])
