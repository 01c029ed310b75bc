"""How fast chunks are decoded, beside h5py and beside only reading the stored bytes.

Usage: python tests/bench/bench_decode.py FILE.h5ad [--threads 1 2 4] [--repeats 3]

For X/data and X/indices of a sparse X (or X itself where it is dense): GB/s of decoded values with
`StoredArray.read` from a pool of threads, with h5py slabs, and with plain ``pread`` of the stored
bytes (the floor of an uncompressed file), in turn, medians; then each library that can inflate, on
the same chunks.
"""

from __future__ import annotations

import argparse
import os
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import h5py
import numpy as np

from lazyomics.io.hdf5 import StoredArray, count_reads
from lazyomics.io.hdf5.codecs import Buffer, codec
from lazyomics.io.hdf5.dataset import forget_all

SLAB_BYTES = 16 << 20
Task = tuple[StoredArray, int, int]


def opened(path: str) -> list[StoredArray]:
    with h5py.File(path, "r", locking=False) as file:
        x = file["X"]
        parts = [x] if isinstance(x, h5py.Dataset) else [x["data"], x["indices"]]
        return [StoredArray.of(part, path) for part in parts]


def tasks(arrays: list[StoredArray]) -> list[Task]:
    """Runs of whole chunks, of about the size of a block."""
    found = []
    for array in arrays:
        row = int(np.prod(array.shape[1:])) * np.dtype(array.dtype).itemsize
        step = max(SLAB_BYTES // (row * array.chunk_rows), 1) * array.chunk_rows
        found += [(array, a, min(a + step, array.shape[0])) for a in range(0, array.shape[0], step)]
    return found


def ours(task: Task) -> int:
    array, start, stop = task
    return array.read_rows(start, stop).nbytes


def rate_of(work: Callable[[Any], int], todo: Sequence[Any], threads: int) -> float:
    """GB/s of what ``work`` returns."""
    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        total = sum(pool.map(work, todo))
        return total / (time.perf_counter() - began) / 1e9


def extents(array: StoredArray) -> tuple[list[tuple[int, int]], int]:
    """Stored bytes as (position, size) of runs without gaps up to a slab; decoded bytes."""
    whole = int(np.prod(array.shape)) * np.dtype(array.dtype).itemsize
    if array.fingerprint.kind == "contiguous":
        first = array.fingerprint.offset or 0
        return [(first + a, min(SLAB_BYTES, whole - a)) for a in range(0, whole, SLAB_BYTES)], whole
    listed: list[tuple[int, int]] = []
    with h5py.File(array.path, "r", locking=False) as file:
        file[array.name].id.chunk_iter(lambda c: listed.append((c.byte_offset, c.size)))
    runs: list[list[int]] = []
    for position, size in sorted(listed):
        if runs and sum(runs[-1]) == position and runs[-1][1] < SLAB_BYTES:
            runs[-1][1] += size
        else:
            runs.append([position, size])
    return [(a, n) for a, n in runs], whole


def slabs_of(runs: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Runs that are read one after the other, as much as a slab, cut where it is full."""
    slabs: list[list[tuple[int, int]]] = []
    room = 0
    for position, size in runs:
        while size:
            if room == 0:
                slabs.append([])
                room = SLAB_BYTES
            part = min(size, room)
            slabs[-1].append((position, part))
            position, size, room = position + part, size - part, room - part
    return slabs


def stored_slabs(arrays: list[StoredArray]) -> tuple[list[list[tuple[int, int]]], float]:
    """Stored bytes of all arrays, and how many decoded bytes one of them stands for."""
    slabs: list[list[tuple[int, int]]] = []
    decoded = 0
    for array in arrays:
        runs, size = extents(array)
        slabs += slabs_of(runs)
        decoded += size
    return slabs, decoded / sum(size for slab in slabs for _, size in slab)


def inflaters(array: StoredArray, repeats: int) -> dict[str, float]:
    """GB/s of one thread by library, on the first chunks."""
    with h5py.File(array.path, "r", locking=False) as file:
        identifier = file[array.name].id
        count = min(identifier.get_num_chunks(), 400)
        infos = [identifier.get_chunk_info(k) for k in range(count)]
        raws = [identifier.read_direct_chunk(info.chunk_offset)[1] for info in infos]
    size = int(np.prod(array.fingerprint.chunks or ())) * np.dtype(array.dtype).itemsize
    target = Buffer.empty(size)
    sources = [Buffer(np.frombuffer(raw, np.uint8).copy()) for raw in raws]
    decode = codec(1)
    assert decode is not None
    work: dict[str, Callable[[int], object]] = {
        "libdeflate into place": lambda k: decode(sources[k], 0, len(raws[k]), target, 0, size),
        "zlib": lambda k: zlib.decompress(raws[k], bufsize=size),
    }
    try:
        import deflate

        work["libdeflate (deflate)"] = lambda k: deflate.zlib_decompress(raws[k], size)
        from isal import isal_zlib

        work["ISA-L (isal)"] = lambda k: isal_zlib.decompress(raws[k], bufsize=size)
    except ImportError:
        pass
    rates = {}
    for name, run in work.items():
        best = 1e9
        for _ in range(repeats):
            began = time.perf_counter()
            for k in range(len(raws)):
                run(k)
            best = min(best, time.perf_counter() - began)
        rates[name] = len(raws) * size / best / 1e9
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    arrays = opened(os.path.abspath(options.file))
    todo = tasks(arrays)
    began = time.perf_counter()
    for array in arrays:
        array.read_rows(0, 1)
    print(f"chunk tables: {1e3 * (time.perf_counter() - began):.0f} ms")
    with count_reads() as counter:
        for task in todo:
            ours(task)
    print(f"{counter.chunks:,} chunks, {counter.bytes_read:,} bytes -> {counter.bytes_decoded:,}")
    file = h5py.File(options.file, "r", locking=False)
    slabs = todo[:: max(len(todo) // 12, 1)]

    def with_h5py(task: Task) -> int:
        return file[task[0].name][task[1] : task[2]].nbytes

    stored, share = stored_slabs(arrays)
    descriptor = os.open(options.file, os.O_RDONLY)

    def plain(slab: list[tuple[int, int]]) -> int:
        # Into fresh memory, as a reader's output is, and as much of it: less stays in caches.
        out, done = np.empty(sum(size for _, size in slab), np.uint8), 0
        for position, size in slab:
            done += os.preadv(descriptor, [out[done : done + size].data], position)
        return done

    print("threads   ours GB/s   h5py GB/s   pread of stored bytes GB/s (as decoded)")
    for threads in options.threads:
        programs: Any = ((ours, todo), (with_h5py, slabs), (plain, stored))
        turns = [
            [rate_of(work, parts, threads) for work, parts in programs]
            for _ in range(options.repeats)
        ]
        mine, other, least = (median(column) for column in zip(*turns, strict=True))
        print(f"{threads:7d} {mine:11.2f} {other:11.2f} {least:11.2f} ({least * share:.2f})")
    os.close(descriptor)
    file.close()
    forget_all()
    if [code for code, _ in arrays[0].fingerprint.filters] == [1]:
        for name, rate in inflaters(arrays[0], options.repeats).items():
            print(f"inflate {arrays[0].name}, one thread, {name}: {rate:.2f} GB/s")


if __name__ == "__main__":
    main()
