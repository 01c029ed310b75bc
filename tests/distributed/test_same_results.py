"""What workers in other processes compute is what threads compute, without a word about them."""

from __future__ import annotations

import shutil

import dask
import numpy as np
import pytest

import lazyomics as lo
from lazyomics import lazy
from lazyomics.kernels.sums import row_totals
from tests.comparing import assert_same_anndata, assert_same_value
from tests.distributed.conftest import SMALL_BLOCKS

distributed = pytest.importorskip("distributed", reason="starts worker processes")


def by_threads(function, *args):
    with dask.config.set(SMALL_BLOCKS | {"scheduler": "threads"}):
        return function(*args)


def pipeline(path):
    adata = lo.read_h5ad(path)
    lo.pp.calculate_qc_metrics(adata, inplace=True)
    lo.pp.filter_cells(adata, min_genes=60)
    lo.pp.filter_genes(adata, min_cells=20)
    lo.pp.normalize_total(adata, target_sum=1e4)
    lo.pp.log1p(adata)
    lo.pp.highly_variable_genes(adata, n_top_genes=200)
    lo.pp.pca(adata, n_comps=10)
    lo.pp.neighbors(adata, n_neighbors=8)
    return adata


@pytest.mark.slow
def test_pipeline(client, counts, worker_reads, count_passes) -> None:
    here = by_threads(pipeline, counts)
    with worker_reads() as reads, count_passes(counts) as in_this_process:
        there = pipeline(counts)
    assert there.X.numblocks[0] > 5
    # quality, cells, genes, HVG, and two for PCA, as nothing is kept for the second
    assert 5 < reads.of("X/data") < 6.1
    assert in_this_process.values == 0
    assert there.obs.equals(here.obs)
    assert there.var.equals(here.var)
    assert there.n_vars < lo.read_h5ad(counts).n_vars
    np.testing.assert_array_equal(there.obsm["X_pca"], here.obsm["X_pca"])
    np.testing.assert_array_equal(there.varm["PCs"], here.varm["PCs"])
    assert_same_value(there.obsp["connectivities"], here.obsp["connectivities"], "obsp")


@pytest.mark.parametrize("verb", ["scale", "batches", "largest", "tfidf"])
def test_other_passes(client, counts, verb) -> None:
    def run():
        adata = lo.read_h5ad(counts)
        if verb == "tfidf":
            lo.pp.tfidf(adata)
            return adata[::3].to_memory()
        lo.pp.normalize_total(adata, exclude_highly_expressed=verb == "largest")
        lo.pp.log1p(adata)
        if verb == "scale":
            lo.pp.scale(adata, max_value=3, zero_center=False)
        elif verb == "batches":
            lo.pp.highly_variable_genes(adata, n_top_genes=50, batch_key="cell_type")
        return adata[::3].to_memory()

    assert_same_anndata(run(), by_threads(run))


@pytest.mark.parametrize("place", ["file", "memory"])
def test_markers_and_aggregates(client, counts, place, count_passes) -> None:
    """Workers compute the blocks; their values are ranked in this process."""

    def run():
        adata = lo.read_h5ad(counts, backed=place == "file")
        lo.pp.normalize_total(adata, target_sum=1e4)
        lo.pp.log1p(adata)
        lo.tl.rank_genes_groups(adata, "cell_type", method="wilcoxon", tie_correct=True, pts=True)
        summed = lo.get.aggregate(adata, "cell_type", ["count_nonzero", "var"])
        return dict(adata.uns["rank_genes_groups"]), dict(summed.layers)

    with count_passes(counts) as in_this_process:
        ranked, summed = run()
    assert in_this_process.values == 0
    expected, aggregated = by_threads(run)
    for key in ("names", "scores", "pvals_adj"):
        assert_same_value(ranked[key], expected[key], key)
    np.testing.assert_array_equal(summed["count_nonzero"], aggregated["count_nonzero"])
    np.testing.assert_allclose(summed["var"], aggregated["var"])


def test_pca_by_iteration(client, counts) -> None:
    """Workers keep no rows: a pass over the file for each step, which ends a little earlier."""

    def run():
        adata = lo.read_h5ad(counts)
        lo.pp.log1p(adata)
        lo.pp.pca(adata, n_comps=4, svd_solver="randomized")
        return adata.obsm["X_pca"]

    there, here = run(), by_threads(run)
    np.testing.assert_allclose(there, here, atol=1e-3 * here.std())


def some_rows(n: int):
    rng = np.random.default_rng(5)
    return {
        "mask": rng.random(n) < 0.1,
        "unsorted": rng.permutation(n)[: n // 3],
        "repeated": np.repeat(np.arange(0, n, 11), 2),
        "slice": slice(100, n - 100),
        "none": np.zeros(n, bool),
    }


@pytest.mark.parametrize("kind", ["mask", "unsorted", "repeated", "slice", "none"])
def test_subsets(client, counts, tmp_path, kind) -> None:
    genes = np.arange(0, 600, 3)

    def subset():
        adata = lo.read_h5ad(counts)
        lo.pp.log1p(adata)
        return adata[some_rows(adata.n_obs)[kind]][:, genes]

    expected = by_threads(lambda: subset().compute())
    assert_same_anndata(subset().compute(), expected)
    written = subset().copy(filename=tmp_path / "subset.h5ad")
    assert_same_value(written.compute().X, expected.X, "X")
    assert list(written.obs_names) == list(expected.obs_names)


@pytest.mark.parametrize("format", ["csc", "dense"])
def test_other_storage(client, tmp_path, format) -> None:
    path = tmp_path / "stored.h5ad"
    lo.datasets.simulate(path, n_obs=900, n_vars=300, format=format, seed=2)

    def run(target):
        adata = lo.read_h5ad(path)
        lo.pp.normalize_total(adata)
        adata.layers["logged"] = adata.X
        lo.pp.log1p(adata, layer="logged")
        adata.write_h5ad(target)
        return adata.compute()

    expected = by_threads(run, tmp_path / "threads.h5ad")
    assert_same_anndata(run(tmp_path / "cluster.h5ad"), expected)
    written = [lo.read_h5ad(tmp_path / f"{n}.h5ad").compute() for n in ("threads", "cluster")]
    assert_same_anndata(*written)


def test_transposed_storage(client, counts, tmp_path) -> None:
    def run(target):
        return lo.read_h5ad(counts).write_h5ad(target, storage="csc")

    run(tmp_path / "cluster.h5ad")
    by_threads(run, tmp_path / "threads.h5ad")
    made = [lo.read_h5ad(tmp_path / f"{n}.h5ad").compute() for n in ("cluster", "threads")]
    assert made[0].X.format == "csc"
    assert_same_anndata(*made)


def test_saved_in_place(client, counts, tmp_path) -> None:
    path = shutil.copy(counts, tmp_path / "saved.h5ad")
    adata = lo.read_h5ad(path)
    stored = by_threads(adata.compute)
    adata.layers["double"] = adata.X * 2
    adata.obs["marked"] = np.arange(adata.n_obs) % 2
    adata.write()
    # the same file, its matrices looked up again by the workers that knew the old state
    again = lo.read_h5ad(path)
    np.testing.assert_array_equal(again.layers["double"].compute().data, stored.X.data * 2)
    lo.pp.log1p(again)
    again.write(overwrite_x=True)
    logged = lo.read_h5ad(path).compute()
    np.testing.assert_array_equal(logged.X.data, np.log1p(stored.X.data))
    with pytest.raises(lo.errors.StaleFileError, match=r"saved\.h5ad.*open it again"):
        adata.X.sum().compute()


def test_mudata(client, counts, tmp_path) -> None:
    def made():
        rna, other = lo.read_h5ad(counts), lo.read_h5ad(counts)[500:, ::2]
        lo.pp.log1p(rna)
        return lo.MuData({"rna": rna, "other": other})

    made().write_h5mu(tmp_path / "both.h5mu")
    expected = by_threads(lambda: made().compute())
    opened = lo.read_h5mu(tmp_path / "both.h5mu")
    chosen = opened[np.arange(opened.n_obs) % 3 == 0]
    chosen.copy(filename=tmp_path / "part.h5mu")
    for mdata, whole in ((made(), True), (opened, True), (chosen, False)):
        loaded = mdata.compute()
        for name, adata in loaded.mod.items():
            rows = slice(None) if whole else adata.obs_names
            assert_same_anndata(adata, expected.mod[name][rows])
    part = lo.read_h5mu(tmp_path / "part.h5mu").compute()
    assert_same_value(part["rna"].X, chosen["rna"].compute().X, "part")


def test_shared_blocks_are_read_once(client, counts, worker_reads) -> None:
    adata = lo.read_h5ad(counts)
    totals = lazy.collect_rows(adata.X, row_totals, dtype=np.float64)
    largest = lazy.collect_rows(adata.X, row_largest, dtype=np.float32)
    with worker_reads() as reads:
        lazy.compute(totals, largest)
    assert reads.of("X/data") == pytest.approx(1, abs=0.01)
    adata.layers["double"] = adata.X * 2
    with worker_reads() as reads:
        adata.compute()
    assert reads.of("X/data") == pytest.approx(1, abs=0.01)


def row_largest(block):
    return np.asarray(block.max(axis=1))


def test_a_matrix_in_memory_is_not_sent(client, counts) -> None:
    adata = by_threads(lo.read_h5ad(counts).compute)
    before = client.run(tasks_so_far)
    lo.pp.normalize_total(adata)
    lo.pp.log1p(adata)
    lo.pp.pca(adata, n_comps=5)
    half = lazy.as_lazy(adata.X)[::2]
    assert_same_value(lazy.materialize(half), adata.X[::2], "half")
    assert client.run(tasks_so_far) == before


def tasks_so_far(dask_worker) -> int:
    return len(dask_worker.state.log)


def test_a_scheduler_that_is_named_is_used(client, counts, worker_reads) -> None:
    adata = lo.read_h5ad(counts)
    with worker_reads() as reads, dask.config.set(scheduler="threads"):
        adata.compute()
        assert lazy.runs_here()
    assert reads.of("X/data") == 0
    with worker_reads() as reads, dask.config.set(scheduler=client):
        adata.compute()
    assert reads.of("X/data") == pytest.approx(1, abs=0.01)
    assert lazy.workers() == 2
