"""Objects that travel: persisted on the cluster, submitted to it, sent to other processes."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import dask
import numpy as np
import pytest

import lazyomics as lo
from lazyomics import lazy
from tests.comparing import assert_same_anndata, assert_same_value
from tests.distributed.conftest import SMALL_BLOCKS, local_cluster

distributed = pytest.importorskip("distributed", reason="starts worker processes")


def opened(path):
    return lo.read_h5ad(path)


def subset(path):
    adata = lo.read_h5ad(path)
    return adata[np.random.default_rng(0).random(adata.n_obs) < 0.3, ::-1]


def changed(path):
    adata = subset(path)
    lo.pp.normalize_total(adata)
    lo.pp.log1p(adata)
    adata.layers["double"] = adata.X * 2
    adata.obs["new"] = np.arange(adata.n_obs)
    return adata


def modalities(path):
    return lo.MuData({"rna": changed(path), "other": lo.read_h5ad(path)[::7]})


OBJECTS = [opened, subset, changed, modalities]


def by_threads(make, path):
    with dask.config.set(SMALL_BLOCKS | {"scheduler": "threads"}):
        return make(path).compute()


def assert_same(made, expected) -> None:
    if not isinstance(expected, lo.MuData):
        return assert_same_anndata(made, expected)
    assert made.shape == expected.shape
    for name, adata in expected.mod.items():
        assert_same_anndata(made[name], adata)


@pytest.mark.parametrize("make", OBJECTS)
@pytest.mark.parametrize("how", ["persist", "client.persist", "dask.persist"])
def test_persisted(client, counts, worker_reads, make, how) -> None:
    obj = make(counts)
    if how == "persist":
        kept = obj.persist()
    elif how == "client.persist":
        kept = client.persist(obj)
    else:
        (kept,) = dask.persist(obj)
    distributed.wait(kept)
    expected = by_threads(make, counts)
    with worker_reads() as reads:
        assert_same(kept.compute(), expected)
        rows = np.arange(expected.n_obs) % 2 == 0
        assert_same(kept[rows].compute(), expected[rows])
    assert reads.of("X/data") == 0


def test_what_is_on_the_cluster_joined_with_what_is_here(client, counts) -> None:
    here = by_threads(opened, counts)
    there = opened(counts).persist()
    names = {"keys": ["here", "there"], "index_unique": "-"}
    joined = lo.concat([here, there], **names)
    assert_same_value(joined[::5].compute().X, lo.concat([here, here], **names)[::5].X, "X")


@pytest.mark.parametrize("make", OBJECTS)
@pytest.mark.parametrize("how", ["client.compute", "dask.compute"])
def test_computed_by_dask(client, counts, make, how) -> None:
    obj = make(counts)
    made = client.compute(obj).result() if how == "client.compute" else dask.compute(obj)[0]
    assert_same(made, by_threads(make, counts))


@pytest.mark.parametrize("make", OBJECTS)
def test_submitted(client, counts, make) -> None:
    obj = make(counts)
    assert client.submit(size, obj, pure=False).result() == obj.n_obs
    assert_same(client.submit(loaded, obj, pure=False).result(), by_threads(make, counts))


def size(obj) -> int:
    return obj.n_obs


def loaded(obj):
    return obj.compute()


def written(obj, target) -> int:
    return obj.copy(filename=target).n_obs


def test_a_task_on_the_only_thread_may_compute_and_write(counts, tmp_path) -> None:
    """It waits for tasks of its own, and leaves them its place."""
    with local_cluster(1) as cluster, distributed.Client(cluster) as client:
        adata = changed(counts)
        assert_same(client.submit(loaded, adata).result(timeout=60), by_threads(changed, counts))
        done = client.submit(written, adata, tmp_path / "written.h5ad").result(timeout=60)
        assert done == adata.n_obs


@pytest.mark.parametrize("make", OBJECTS)
def test_pickled(counts, make) -> None:
    with dask.config.set(SMALL_BLOCKS):
        obj = make(counts)
        text = pickle.dumps(obj)
    again = pickle.loads(text)  # with other settings: the blocks stay what they were
    assert blocks(again) == blocks(obj)
    assert_same(again.compute(), by_threads(make, counts))


def blocks(obj):
    return (obj["rna"] if isinstance(obj, lo.MuData) else obj).X.chunks


@pytest.mark.parametrize("start", ["spawn", "fork"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_sent_to_other_processes(counts, start) -> None:
    context = multiprocessing.get_context(start)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        for make in OBJECTS:
            made = pool.submit(loaded, make(counts)).result(timeout=60)
            assert_same(made, by_threads(make, counts))


def test_a_cluster_that_grows_later(counts) -> None:
    """Adaptive clusters start without workers, and add them when there is work."""
    with local_cluster(0) as cluster, distributed.Client(cluster), dask.config.set(SMALL_BLOCKS):
        assert lazy.workers() == 1
        cluster.adapt(minimum=0, maximum=2, interval="100ms")
        assert_same_value(opened(counts).compute().X, by_threads(opened, counts).X, "X")
