"""A file of every layout, and a server for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import h5py
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.io.encodings import write_element
from tests.io.remote.range_server import Behaviour, serving

N_OBS, N_VARS = 10_000, 200


def write_layouts(path: Path, n_obs: int = N_OBS, seed: int = 0) -> Path:
    """Compressed and plain, chunked and contiguous, sparse and dense matrices."""
    chance = np.random.default_rng(seed)
    counts = sp.random_array((n_obs, N_VARS), density=0.1, format="csr", rng=chance)
    counts.data = chance.integers(1, 1000, counts.nnz).astype(np.float32)
    dense = chance.random((n_obs, 30), dtype=np.float32)
    adata = lo.AnnData(
        obs={"n": chance.random(n_obs), "kind": chance.choice(["a", "b", "c"], n_obs)},
        var={"length": np.arange(N_VARS)},
        uns={"colors": ["red", "blue"], "nested": {"n": 3}},
        obsm={"X_pca": dense},
    )
    adata.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        store_sparse(file, "X", counts, chunks=(1000,), compression="gzip")
        layers = file.require_group("layers")
        store_sparse(layers, "plain", counts)
        store_sparse(layers, "columns", sp.csc_array(counts), chunks=(700,), compression="lzf")
        whole = counts.toarray()
        write_element(layers, "flat", whole)
        options = {"chunks": (100, 50), "compression": "gzip", "shuffle": True}
        write_element(layers, "boxes", whole, dataset_kwargs=options)
    return path


def store_sparse(parent: h5py.Group, name: str, matrix: Any, **options: Any) -> None:
    write_element(parent, name, matrix)
    group = parent[name]
    for part in ("data", "indices"):
        values = group[part][()]
        del group[part]
        group.create_dataset(part, data=values, **options)


@pytest.fixture(scope="session")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_layouts(tmp_path_factory.mktemp("remote") / "layouts.h5ad")


@pytest.fixture
def server(layouts: Path) -> Iterator[Behaviour]:
    with serving(layouts.parent) as told:
        yield told


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    with dask.config.set({"lazyomics.remote-wait": 0.005}):
        yield
