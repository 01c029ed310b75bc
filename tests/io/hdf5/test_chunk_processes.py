"""Threads, forks, other processes, pickles, file descriptors, counters."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from lazyomics.io.hdf5 import StoredArray, count_reads, dataset
from lazyomics.io.hdf5.array import cost_of_ranges
from tests.open_files import OPEN, open_files

DATA = np.random.default_rng(0).poisson(2, 200_000).astype(np.float32)


@pytest.fixture
def array(tmp_path: Path) -> StoredArray:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset("X/data", data=DATA, chunks=(3000,), compression="gzip")
        file["contiguous"] = DATA
        return StoredArray.of(made, path)


def total(array: StoredArray, start: int, stop: int) -> float:
    return float(array.read(start, stop).sum())


def child(array: StoredArray, channel: multiprocessing.SimpleQueue) -> None:
    channel.put(total(array, 0, 200_000))


def test_eight_threads(array: StoredArray) -> None:
    dataset.forget_all()

    def check(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(20):
            starts = rng.integers(0, 190_000, 30)
            stops = starts + rng.integers(0, 9000, 30)
            wanted = [DATA[a:b] for a, b in zip(starts, stops, strict=True)]
            np.testing.assert_array_equal(array.read_ranges(starts, stops), np.concatenate(wanted))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(check, range(8)))


def test_pickle_is_small_and_equal(array: StoredArray) -> None:
    raw = pickle.dumps(array)
    assert len(raw) < 1000
    again = pickle.loads(raw)
    assert again == array
    assert hash(again) == hash(array)
    np.testing.assert_array_equal(again.read(5, 9), DATA[5:9])


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_fork_while_threads_read(array: StoredArray) -> None:
    stop = threading.Event()

    def read_on() -> None:
        while not stop.is_set():
            dataset.forget_all()
            total(array, 0, 50_000)

    threads = [threading.Thread(target=read_on) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        context = multiprocessing.get_context("fork")
        for _ in range(10):
            channel = context.SimpleQueue()
            process = context.Process(target=child, args=(array, channel))
            process.start()
            process.join(30)
            assert process.exitcode == 0
            assert channel.get() == total(array, 0, 200_000)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_spawned_processes(array: StoredArray) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        sums = list(
            pool.map(total, [array] * 4, range(0, 200_000, 50_000), range(50_000, 250_000, 50_000))
        )
    assert sum(sums) == DATA.sum()


@pytest.mark.skipif(not OPEN.exists(), reason="needs /proc to see open files")
def test_no_descriptor_leaks(array: StoredArray, tmp_path: Path) -> None:
    dataset.forget_all()
    before = open_files(tmp_path)
    for k in range(1000):
        array.read(k, k + 5)
        if k % 50 == 0:
            dataset.forget_all()
        if k % 100 == 0:
            with pytest.raises(FileNotFoundError):
                StoredArray(
                    str(tmp_path / "none.h5"), "X/data", array.shape, array.dtype, array.fingerprint
                ).read(0, 1)
    dataset.forget_all()
    assert open_files(tmp_path) == before == set()


def test_cache_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset.forget_all()
    monkeypatch.setattr(dataset, "_MOST_ENTRIES", 3)
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        arrays = [
            StoredArray.of(file.create_dataset(f"{k}", data=DATA[:10], chunks=(5,)), path)
            for k in range(6)
        ]
    for array in arrays * 2:
        np.testing.assert_array_equal(array.read(0, 10), DATA[:10])
        assert len(dataset._cache) <= 3
    monkeypatch.setattr(dataset, "_MOST_BYTES", 1)
    np.testing.assert_array_equal(arrays[0].read(0, 10), DATA[:10])
    assert len(dataset._cache) == 1


def test_table_is_read_once(array: StoredArray, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset.forget_all()
    os.utime(array.path, (1e9, 1e9))
    looks: list[str] = []
    original = dataset._look_once

    def counted(*arguments: object) -> object:
        looks.append("look")
        return original(*arguments)

    monkeypatch.setattr(dataset, "_look_once", counted)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: array.read(k, k + 9), range(100)))
    assert len(looks) == 1


def test_counters(array: StoredArray) -> None:
    with count_reads() as counter, count_reads() as second:
        array.read(0, 6001)
        array.read_ranges([9000, 0], [9001, 1])
    assert counter.chunks == second.chunks == 5
    assert counter.reads == 2
    assert counter.bytes_decoded == 5 * 12_000
    with h5py.File(array.path, "r") as file:
        sizes = [file["X/data"].id.get_chunk_info(k).size for k in range(4)]
    assert counter.bytes_read == sum(sizes) + sizes[0]
    assert counter.by_dataset[array.path, "X/data"].chunks == 5
    with count_reads() as counter:
        pass
    array.read(0, 1)
    assert counter.chunks == 0
    assert cost_of_ranges(array, [0, 9000], [6001, 9001])[0] == 4


def test_neighbours_are_read_together(array: StoredArray, monkeypatch: pytest.MonkeyPatch) -> None:
    from lazyomics.io.hdf5.raw_files import RawFile

    array.read(0, 1)
    calls: list[int] = []
    original = RawFile._read

    def counted(self: RawFile, view: memoryview, position: int) -> int:
        calls.append(len(view))
        return original(self, view, position)

    monkeypatch.setattr("lazyomics.io.hdf5.ranges.WORTH_A_LOOP", 1 << 62)
    monkeypatch.setattr(RawFile, "_read", counted)
    np.testing.assert_array_equal(array.read(0, 200_000), DATA)
    assert 1 <= len([n for n in calls if n > 64]) <= 5


def test_neighbours_are_read_together_in_one_call(
    array: StoredArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lazyomics.io.hdf5 import batch_decode as in_one_call

    calls: list[in_one_call.Extents] = []
    original = in_one_call.decode_runs

    def counted(descriptor: int, plan: Any, extents: Any, *places: Any) -> Any:
        calls.append(extents)
        return original(descriptor, plan, extents, *places)

    monkeypatch.setattr("lazyomics.io.hdf5.ranges.WORTH_A_LOOP", 0)
    monkeypatch.setattr("lazyomics.io.hdf5.ranges.LARGE_DATASET", 0)
    monkeypatch.setattr(in_one_call, "decode_runs", counted)
    np.testing.assert_array_equal(array.read(0, 200_000), DATA)
    assert len(calls) == 1
    assert 1 <= len(calls[0].runs) <= 5
    assert len(calls[0].offset) == 67


def test_peak_memory_is_output_and_scratch(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        data = np.tile(DATA, 25)
        made = file.create_dataset("X", data=data, chunks=(50_000,), compression="gzip")
        array = StoredArray.of(made, path)
    array.read(0, 1)
    starts = np.arange(0, len(data) - 50, 10_000)
    tracemalloc.start()
    got = array.read_ranges(starts, starts + 50)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert got.shape == (len(starts) * 50,)
    assert peak < 2.5e6  # of 20 MB decoded
