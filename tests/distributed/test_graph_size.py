"""Graphs hold no data: what is sent for a thousand blocks, as one graph and task by task."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from dask.base import collections_to_expr

import lazyomics as lo
from lazyomics import lazy
from lazyomics.kernels.moments import moments_by_group
from lazyomics.kernels.product import project
from lazyomics.kernels.steps import ScaleCols
from lazyomics.lazy.cluster import _optimized
from lazyomics.lazy.indexer import CompactArray

cloudpickle = pytest.importorskip("cloudpickle", reason="what dask pickles with")

MB = 1_000_000
N, GENES, BLOCKS = 1_000_000, 2000, 1000


@pytest.fixture(scope="module")
def million(tmp_path_factory):
    """A million cells of one count each: what is measured does not depend on more."""
    path = tmp_path_factory.mktemp("large") / "million.h5ad"
    columns = np.random.default_rng(0).integers(0, GENES, N).astype(np.int32)
    x = sp.csr_matrix((np.ones(N, np.float32), columns, np.arange(N + 1)), shape=(N, GENES))
    lo.AnnData(x).write_h5ad(path)
    return path


def sent(x) -> tuple[int, int]:
    """Bytes from the client to the scheduler, and from there to the workers."""
    whole = len(cloudpickle.dumps(collections_to_expr([x]).optimize()))
    tasks = _optimized(dict(x.__dask_graph__()), [x.__dask_keys__()])
    assert len(tasks) < 5 * BLOCKS  # a block of an array of others is checked by a task of its own
    whole = max(whole, len(cloudpickle.dumps(tasks)))
    return whole, sum(len(pickle.dumps(task)) for task in tasks.values())


def opened(path) -> lo.AnnData:
    adata = lo.read_h5ad(path, chunks=N // BLOCKS)
    assert adata.X.numblocks == (BLOCKS, 1)
    return adata


def plain(adata):
    return adata.X


def logged(adata):
    lo.pp.normalize_total(adata, target_sum=1e4)
    lo.pp.log1p(adata)
    return adata.X


def scattered_tenth(adata):
    chosen = adata[np.random.default_rng(1).random(N) < 0.1]
    return lazy.LazyMatrix.cook(chosen.X.recipe, (*range(0, chosen.n_obs, 100), chosen.n_obs))


def shuffled_genes(adata):
    return logged(adata)[:, np.random.default_rng(1).permutation(GENES)]


def value_for_each_gene(adata):
    return lazy.map_rows(adata.X, ScaleCols(np.random.default_rng(1).random(GENES)))


def value_for_each_gene_of_a_plain_array(adata):
    return lazy.map_rows(adata.X * 2, ScaleCols(np.random.default_rng(1).random(GENES)))


def mask_of_rows(adata):
    rows = np.random.default_rng(1).random(N) < 0.5
    return lazy.map_rows(adata.X, ScaleCols(np.ones(GENES), rows=rows))


def axes_for_all_genes(adata):
    axes = np.random.default_rng(1).random((GENES, 30))
    options = {"axes": axes, "offset": None, "result_dtype": "float32"}
    return lazy.collect_rows(adata.X, project, dtype="float32", columns=30, **options)


@pytest.mark.parametrize(
    "make",
    [
        plain,
        logged,
        scattered_tenth,
        shuffled_genes,
        value_for_each_gene,
        value_for_each_gene_of_a_plain_array,
        mask_of_rows,
        axes_for_all_genes,
    ],
)
def test_less_than_a_megabyte(million, make) -> None:
    whole, by_task = sent(make(opened(million)))
    print(f"{make.__name__}: {whole / 1000:.0f} kB, task by task {by_task / 1000:.0f} kB")
    assert whole < 1 * MB
    assert by_task < 2 * MB


def test_a_value_for_each_row_is_sent_once(million) -> None:
    """A group for each of a million cells, in as few bytes as it takes."""
    codes = np.random.default_rng(1).integers(0, 200, N)
    fold = lazy.fold_rows(opened(million).X, moments_by_group, rows=(codes,), unlog=False)
    whole, by_task = sent(fold)
    print(f"a group for each row: {whole / 1000:.0f} kB, task by task {by_task / 1000:.0f} kB")
    assert N < whole < N + 0.5 * MB
    assert by_task < N + 1 * MB


def test_an_opened_object_and_a_subset_are_small(million) -> None:
    adata = opened(million)
    adata = lo.AnnData(adata.X)  # without its names: these are data
    names = len(pickle.dumps(adata.obs)) + len(pickle.dumps(adata.var))
    assert len(pickle.dumps(adata)) - names < 0.1 * MB


@pytest.mark.parametrize(
    "values",
    [
        np.arange(5),
        np.array([3, 1, 2**40, 7]),
        np.array([-5, 300, 0], np.int16),
        np.array([2**63, 1, 2**64 - 1], np.uint64),
        np.array([np.iinfo(np.int64).min, np.iinfo(np.int64).max, -1, 0]),
        np.array([7], np.uint8),
        np.array([], np.int64),
        np.array([True, False, True] * 5),
        np.array([1.5, np.nan]),
        np.arange(6).reshape(2, 3),
        np.array(["a", "b"], dtype=object),
        np.arange(20)[::3],
    ],
)
def test_compact_arrays_come_back_as_they_were(values) -> None:
    again = pickle.loads(pickle.dumps(CompactArray(values))).values
    assert again.dtype == values.dtype
    np.testing.assert_array_equal(again, values)
