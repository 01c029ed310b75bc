"""The same data for lazyomics (in a file, in memory, or as a subset of a file) and for scanpy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo

KINDS = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}


@pytest.fixture(autouse=True)
def calm_blas() -> Iterator[None]:
    """The threads of BLAS wait busily: with several test workers that takes minutes."""
    from lazyomics.kernels.blas import one_blas_thread

    with one_blas_thread():
        yield


@pytest.fixture(scope="session")
def counts() -> np.ndarray:
    """Counts of 240 cells and 300 genes, some cells and genes empty, shape (240, 300)."""
    rng = np.random.default_rng(0)
    mean = np.exp(rng.normal(-1, 1.5, 300)) * np.exp(rng.normal(0, 0.4, (240, 1)))
    x = rng.poisson(rng.gamma(2, mean / 2)).astype(np.float32)
    x[:, 17] = 0
    x[[3, 200]] = 0
    return x


@pytest.fixture
def pair(tmp_path: Path) -> Callable[..., tuple[lo.AnnData, Any]]:
    """``pair(x, kind, where)``: one object of lazyomics, one of anndata, with the same data.

    ``kind`` is csr, csc or dense; ``where`` is file, memory or subset (of a larger file).
    """
    anndata = pytest.importorskip("anndata", reason="compares with anndata")

    def make(
        x: Any, kind: str = "csr", where: str = "file", **columns: Any
    ) -> tuple[lo.AnnData, Any]:
        dense = x.toarray() if sp.issparse(x) else np.array(x)  # scanpy writes into its own
        n, m = dense.shape
        obs = pd.DataFrame(index=[f"cell{i}" for i in range(n)])
        var = pd.DataFrame(index=[f"gene{i}" for i in range(m)])
        for name, values in columns.items():
            (obs if len(values) == n else var)[name] = values
        theirs = anndata.AnnData(KINDS[kind](dense), obs=obs, var=var)
        path = tmp_path / f"{kind}-{where}-{np.random.default_rng().integers(1 << 60)}.h5ad"
        if where == "memory":
            return lo.AnnData(KINDS[kind](dense.copy()), obs=obs.copy(), var=var.copy()), theirs
        if where == "file":
            theirs.write_h5ad(path)
            return lo.read_h5ad(path), theirs
        rng = np.random.default_rng(1)
        rows, cols = rng.permutation(n + 7), rng.permutation(m + 5)
        larger = np.ones((n + 7, m + 5), dtype=dense.dtype)
        larger[np.ix_(rows[:n], cols[:m])] = dense
        names = [np.empty(size, dtype=object) for size in larger.shape]
        for name, order, frame, word in zip(
            names, (rows, cols), (obs, var), ("r", "c"), strict=True
        ):
            name[order] = [*frame.index, *(f"{word}{k}" for k in range(len(name) - len(frame)))]
        whole = anndata.AnnData(
            KINDS[kind](larger),
            obs=pd.DataFrame(index=names[0]),
            var=pd.DataFrame(index=names[1]),
        )
        whole.write_h5ad(path)
        ours = lo.read_h5ad(path)[rows[:n], cols[:m]]
        for name in obs:
            ours.obs[name] = obs[name]
        for name in var:
            ours.var[name] = var[name]
        return ours, theirs

    return make


def dense(x: Any) -> np.ndarray:
    return np.asarray(x.toarray() if sp.issparse(x) else x)


@pytest.fixture
def values() -> Callable[[Any], np.ndarray]:
    """X (or a layer) as an ndarray, computed if it is lazy."""
    from lazyomics import lazy

    return lambda x: dense(lazy.materialize(x))
