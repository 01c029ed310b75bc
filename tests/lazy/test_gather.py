from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.blocks.block import CSRBlock
from lazyomics.kernels.steps import AsType, Log1p, NormalizeRows
from lazyomics.lazy import MemorySource, from_source, map_rows, materialize, materialize_all
from lazyomics.lazy.gather import gathering
from lazyomics.lazy.load import CSRBuilder
from tests.lazy.conftest import random_csr
from tests.peaks import MACHINE_CODE, PEAK


def dense_of(value) -> np.ndarray:
    return value.toarray() if sp.issparse(value) else np.asarray(value)


@pytest.mark.parametrize("scheduler", ["threads", "sync", "processes"])
def test_every_scheduler_gives_the_same(lazy_matrix, dense, scheduler) -> None:
    with dask.config.set(scheduler=scheduler):
        value = materialize(lazy_matrix)
    np.testing.assert_array_equal(dense_of(value), dense)
    assert value.dtype == dense.dtype


def test_scipy_types_and_layout(matrix, lazy_matrix) -> None:
    value = materialize(lazy_matrix)
    if isinstance(matrix, np.ndarray):
        assert type(value) is np.ndarray
        return
    assert type(value) is type(matrix)
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(value, part), getattr(matrix, part))
        assert getattr(value, part).dtype == getattr(matrix, part).dtype
    assert value.has_canonical_format


@pytest.mark.parametrize("rows", [slice(None), slice(0, 0), [5, 3, 3, -1], slice(3, 40, 2)])
@pytest.mark.parametrize("cols", [slice(None), [4, 1, 1], []])
def test_selections(lazy_matrix, dense, rows, cols) -> None:
    at = [np.asarray(k, int) if isinstance(k, list) else k for k in (rows, cols)]
    value = materialize(lazy_matrix[rows][:, cols])
    np.testing.assert_array_equal(dense_of(value), dense[at[0]][:, at[1]])


def test_known_sizes_are_filled_in_place() -> None:
    x = from_source(MemorySource.of(random_csr()), lines_per_block=7)
    scaled = map_rows(map_rows(x, NormalizeRows(100.0, None)), Log1p(None))
    for lazy_one in (x, x[3:40], x[[5, 1, 1]], scaled):
        plan = gathering(lazy_one, in_process=True)
        assert plan is None or plan.target is not None
    for lazy_one in (x[:, 2:9], scaled[:, [1, 3]], x * 2):
        assert isinstance(gathering(lazy_one, in_process=True).target, CSRBuilder)
    assert gathering(x, in_process=False).target is None


class DropOnes(AsType):
    """Keeps fewer values than are stored."""

    def __call__(self, block):
        kept = block.to_scipy().copy()
        kept.data[kept.data == 1] = 0
        kept.eliminate_zeros()
        return CSRBlock.from_scipy(kept)


class OnlyFirst(AsType):
    """Another dtype than it shows on an empty block."""

    def __call__(self, block):
        return block.astype("f8") if block.shape[0] and np.prod(block.shape) > 0 else block


@pytest.mark.parametrize("step", [DropOnes("f4"), OnlyFirst("f8")])
def test_blocks_that_are_not_what_was_planned(step, dense) -> None:
    expected = np.where(dense == 1, 0, dense) if isinstance(step, DropOnes) else dense
    for source in (random_csr(), dense):
        if isinstance(step, DropOnes) and source is dense:
            continue
        x = map_rows(from_source(MemorySource.of(source), lines_per_block=7), step)
        np.testing.assert_array_equal(dense_of(materialize(x)), expected)


def test_blocks_that_are_shared_are_computed_once(dense) -> None:
    calls = []

    def noted(block):
        if block.shape[0]:
            calls.append(block.shape)
        return block

    x = from_source(MemorySource.of(sp.csr_matrix(dense)), lines_per_block=7)
    shared = x.map_blocks(noted, dtype=x.dtype, meta=x._meta)
    first, second, third = materialize_all([shared, shared * 2, (shared + 1).sum(axis=0)])
    assert len(calls) == x.numblocks[0]
    np.testing.assert_array_equal(dense_of(first.to_scipy()), dense)
    np.testing.assert_array_equal(dense_of(second.to_scipy()), dense * 2)
    np.testing.assert_array_equal(third, (dense + 1).sum(0))


def test_other_arrays_are_left_to_dask() -> None:
    for x in (da.ones((4, 4), chunks=(2, 2)), da.ones(7, chunks=2), da.ones((3, 2, 2), chunks=1)):
        assert gathering(x, in_process=True) is None
        np.testing.assert_array_equal(materialize(x), np.ones(x.shape))


PROGRAM = (
    PEAK
    + MACHINE_CODE
    + """
import dask, lazyomics as lo
dask.config.set({"lazyomics.chunk-bytes": "4 MiB", "num_workers": 2})
small, large, job, kind = sys.argv[1:]
def run(path):
    adata = lo.read_h5ad(path)
    if kind == "lazy":
        adata.X
    return adata[:, ::2].compute() if job == "columns" else adata[:: int(job)].compute()
run(small)
before = peak()
x = run(large).X
print(peak() - before, x.data.nbytes + x.indices.nbytes + x.indptr.nbytes)
"""
)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("gather")
    sizes = {"small.h5ad": 400, "large.h5ad": 100_000}
    made = [lo.datasets.simulate(folder / f, n_obs=n, n_vars=2000) for f, n in sizes.items()]
    return Path(made[0]), Path(made[1])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")
@pytest.mark.parametrize("job", ["1", "3", "columns"])
@pytest.mark.parametrize("kind", ["lazy", "stored"])
def test_peak_is_the_result_and_the_blocks_in_flight(files, job, kind) -> None:
    command = [sys.executable, "-c", PROGRAM, *map(str, files), job, kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    grown, result = map(int, done.stdout.split())
    assert result > 50 << 20
    assert grown < 1.1 * result + (48 << 20)
