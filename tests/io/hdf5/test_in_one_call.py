"""Many chunks in one call: what it can read, and what it leaves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from lazyomics.io.hdf5 import StoredArray, batch_decode
from lazyomics.io.hdf5.pipeline import SHUFFLE, Pipeline

DEFLATE = (1, (4,))


@pytest.mark.parametrize("width", [None, 1, 2, 4, 8, 3, 16])
def test_filters_that_are_supported(width: int | None) -> None:
    shuffle = () if width is None else ((SHUFFLE, (width,)),)
    expected = width in (None, 1, 2, 4, 8)
    plan = batch_decode.plan_of(Pipeline((*shuffle, DEFLATE), 480))
    assert (plan is not None) == expected
    if width in (2, 4, 8):
        assert batch_decode.plan_of(Pipeline((*shuffle, DEFLATE), width * 15 + 1)) is None
    assert batch_decode.plan_of(Pipeline((DEFLATE, (3, ())), 480)) is None


def test_what_does_not_decode_is_left(tmp_path: Path) -> None:
    """Chunks that are damaged, or that the file ends before, are left; the others are read."""
    path = tmp_path / "a.h5"
    values = np.arange(4000, dtype="f4")
    with h5py.File(path, "w") as file:
        made = file.create_dataset("X", data=values, chunks=(1000,), compression="gzip")
        found = [made.id.get_chunk_info(k) for k in range(4)]
    offset = np.array([c.byte_offset for c in found])
    size = np.array([c.size for c in found])
    size[3] += 10**6
    with open(path, "r+b") as file:
        file.seek(offset[1] + size[1] // 2)
        file.write(bytes(8))
    extents = batch_decode.Extents(np.arange(5), offset, size)
    none = np.zeros(4, np.int64)
    copies = batch_decode.Copies(np.arange(4) * 1000, none, none, none[:0], none[:0], none[:0])
    out = np.zeros(4000, "f4")
    plan = batch_decode.plan_of(Pipeline((DEFLATE,), 4000))
    if plan is None:
        pytest.skip("functions are called otherwise here")
    with open(path, "rb") as file:
        done = batch_decode.decode_runs(file.fileno(), plan, extents, copies, out)
    assert done.tolist() == [True, False, True, False]
    np.testing.assert_array_equal(out[:1000], values[:1000])
    np.testing.assert_array_equal(out[2000:3000], values[2000:3000])


@pytest.mark.parametrize("many", [False, True])
def test_numba_is_started_for_many_chunks(tmp_path: Path, many: bool) -> None:
    """It takes longer to import than a few chunks take to read."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset("X", (20_000_000,), "f4", chunks=(20_000,), compression="gzip")
        made[::1000] = 1
        assert StoredArray.of(made, path).read(0, 5).tolist() == [1, 0, 0, 0, 0]
    code = (
        "import sys, h5py\n"
        "from lazyomics.io.hdf5 import StoredArray\n"
        "with h5py.File(sys.argv[1]) as file: array = StoredArray.of(file['X'], sys.argv[1])\n"
        "print(float(array.read(0, int(sys.argv[2])).sum()), 'numba' in sys.modules)\n"
    )
    root, stop = Path(batch_decode.__file__).parents[3], 20_000_000 if many else 200_000
    ran = subprocess.run(
        [sys.executable, "-c", code, path, str(stop)], capture_output=True, text=True, cwd=root
    )
    expected = [str(stop / 1000), str(many and batch_decode.is_possible())]
    assert ran.stdout.split() == expected, ran
