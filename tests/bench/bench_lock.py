"""Time for which reading a chunk holds Python's lock.

    python tests/bench/bench_lock.py [--chunks 4000] [--runs 5]

A one-dimensional dataset of float32 in gzip chunks of 95 kB is read by one thread, in parts of 300
chunks, as a pass over a matrix reads. The compiled loop holds no lock: the work of the thread
outside of it is what other threads may have to wait for. Both are times of the processor.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script

from lazyomics.io.hdf5 import StoredArray, batch_decode, batch_loops

VALUES, AT_ONCE = 95_000 // 4, 300


def write(path: Path, chunks: int) -> StoredArray:
    """Write counts as they are in a matrix, in so many chunks."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        made = file.create_dataset(
            "x", (chunks * VALUES,), "f4", chunks=(VALUES,), compression="gzip", shuffle=True
        )
        for k in range(chunks):
            made[k * VALUES : (k + 1) * VALUES] = 1 + rng.poisson(1.0, VALUES)
        return StoredArray.of(made, path)


def main() -> None:
    """Print microseconds for each chunk, in and outside of the loop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=4000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    inside = 0.0

    def timed(*arguments: object) -> None:
        nonlocal inside
        start = time.thread_time()
        batch_loops.decode_chunks(*arguments)
        inside += time.thread_time() - start

    batch_decode._loops = lambda: SimpleNamespace(decode_chunks=timed)
    with tempfile.TemporaryDirectory() as folder:
        stored = write(Path(folder) / "a.h5", options.chunks)
        stored.read(0, AT_ONCE * VALUES)
        outside, loops = [], []
        for _ in range(options.runs):
            inside, start = 0.0, time.thread_time()
            for first in range(0, options.chunks, AT_ONCE):
                stop = min(options.chunks, first + AT_ONCE)
                stored.read(first * VALUES, stop * VALUES)
            whole = time.thread_time() - start
            outside.append(1e6 * (whole - inside) / options.chunks)
            loops.append(1e6 * inside / options.chunks)
    print(f"in the loop {median(loops):.1f} µs, outside of it {median(outside):.2f} µs a chunk")


if __name__ == "__main__":
    main()
