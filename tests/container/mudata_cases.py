"""Modalities that share all, some or no cells, and what it means that two MuData are equal."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

import lazyomics as lo

CELLS = {
    "same": {"rna": range(12), "atac": range(12), "adt": range(12)},
    "shuffled": {"rna": range(12), "atac": range(11, -1, -1), "adt": [*range(6, 12), *range(6)]},
    "partial": {"rna": range(8), "atac": range(4, 12), "adt": [11, 3, 5, 20]},
    "disjoint": {"rna": range(4), "atac": range(4, 8), "adt": range(8, 12)},
}


def genes(mod: str, n: int, kind: str) -> list[str]:
    """Names of variables: their own, or some in common with other modalities."""
    if kind == "own":
        return [f"{mod}-g{k}" for k in range(n)]
    return [f"g{k}" for k in range(n)]


def modality(mod: str, cells: Any, n_vars: int, *, names: str = "own", seed: int = 0) -> lo.AnnData:
    """A modality with columns that all, some, or no other modalities have too."""
    rng = np.random.default_rng(seed + len(mod))
    x = sp.random(len(cells), n_vars, 0.4, format="csr", dtype=np.float32, random_state=seed)
    obs = pd.DataFrame(
        {
            "n_counts": rng.random(len(cells)),
            "leiden": pd.Categorical(rng.choice(["0", "1", "2"], len(cells))),
            f"only_{mod}": rng.integers(0, 9, len(cells)),
            "passed": rng.random(len(cells)) > 0.5,
        },
        index=[f"c{k}" for k in cells],
    )
    if mod != "adt":
        obs["both"] = [f"{mod}{k}" for k in cells]
    var = pd.DataFrame(
        {"kind": [mod] * n_vars, f"{mod}_length": rng.random(n_vars)},
        index=genes(mod, n_vars, names),
    )
    adata = lo.AnnData(x, obs=obs, var=var)
    adata.obsm["X_umap"] = rng.random((len(cells), 2))
    adata.layers["counts"] = x * 2
    return adata


def modalities(cells: str = "same", names: str = "own") -> dict[str, lo.AnnData]:
    sizes = {"rna": 9, "atac": 14, "adt": 3}
    return {
        mod: modality(mod, list(CELLS[cells][mod]), n, names=names, seed=k)
        for k, (mod, n) in enumerate(sizes.items())
    }


@contextmanager
def quiet() -> Iterator[None]:
    """Silence mudata: 0.3 announces 0.4, and both warn of names in common."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def scverse_mudata(mods: dict[str, lo.AnnData], axis: int = 0, **kwargs: Any) -> Any:
    """A mudata.MuData of the same modalities, that pulls no columns by itself."""
    import mudata

    with no_pulling(), quiet():
        data = {name: adata.to_anndata() for name, adata in mods.items()}
        return mudata.MuData(data, axis=axis, **kwargs)


@contextmanager
def no_pulling() -> Iterator[None]:
    """Let mudata 0.3 behave as 0.4 does: copy columns only when asked to."""
    import mudata

    if not hasattr(mudata, "set_options"):
        yield
        return
    with mudata.set_options(pull_on_update=False):
        yield


def read_with_mudata(path: str | Path, *, pulling: bool = False) -> Any:
    import mudata

    with nullcontext() if pulling else no_pulling(), quiet():
        return mudata.read_h5mu(path)


def dense(x: Any) -> Any:
    if x is None:
        return None
    if hasattr(x, "compute"):
        x = x.compute()
    return np.asarray(x.todense() if hasattr(x, "todense") else x)


def assert_same_matrix(a: Any, b: Any) -> None:
    """Compare values; sparse matrices stay sparse."""
    a, b = (x.compute() if hasattr(x, "compute") else x for x in (a, b))
    a, b = (x.to_scipy() if hasattr(x, "to_scipy") else x for x in (a, b))
    if sp.issparse(a) and sp.issparse(b):
        assert a.shape == b.shape
        assert (sp.csr_array(a) != sp.csr_array(b)).nnz == 0
    else:
        np.testing.assert_array_equal(dense(a), dense(b))


def assert_same_frame(a: pd.DataFrame, b: pd.DataFrame) -> None:
    """Same names, columns and values; categories compare as the values they stand for."""
    assert list(a.index) == list(b.index)
    assert list(a.columns) == list(b.columns)
    for column in a.columns:
        assert_same_values(a[column], b[column], column)


def assert_same_values(a: Any, b: Any, what: str = "") -> None:
    left, right = (np.asarray(pd.Series(v).astype(object)) for v in (a, b))
    missing = pd.isna(left)
    assert np.array_equal(missing, pd.isna(right)), what
    assert left[~missing].tolist() == right[~missing].tolist(), what


def assert_same_modality(ours: Any, theirs: Any) -> None:
    assert ours.shape == theirs.shape
    assert_same_frame(ours.obs, theirs.obs)
    assert_same_frame(ours.var, theirs.var)
    assert (ours.X is None) == (theirs.X is None)
    if ours.X is not None:
        assert_same_matrix(ours.X, theirs.X)
    for name in ("layers", "obsm", "varm", "obsp", "varp"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        keys = {k for k in other if k is not None}
        assert set(mine) == keys
        for key in keys:
            if isinstance(other[key], pd.DataFrame):
                assert_same_frame(mine[key], other[key])
            else:
                assert_same_matrix(mine[key], other[key])
    assert set(ours.uns) == set(theirs.uns)
    assert (ours.raw is None) == (theirs.raw is None)
    if ours.raw is not None:
        assert_same_matrix(ours.raw.X, theirs.raw.X)
        assert_same_frame(ours.raw.var, theirs.raw.var)


def assert_same_axis(ours: Any, theirs: Any, name: str) -> None:
    assert list(getattr(ours, f"{name}_names")) == list(getattr(theirs, f"{name}_names"))
    maps, other = getattr(ours, f"{name}map"), getattr(theirs, f"{name}map")
    assert set(maps) == set(other.keys())
    for mod in maps:
        np.testing.assert_array_equal(maps[mod], np.ravel(other[mod]))
        member = getattr(ours, f"{name}m")[mod]
        np.testing.assert_array_equal(np.ravel(member), np.ravel(getattr(theirs, f"{name}m")[mod]))


def assert_same_mudata(ours: Any, theirs: Any, *, columns: bool = True) -> None:
    """Same modalities in the same order, same axes, positions, arrays and own columns."""
    assert list(ours.mod) == list(theirs.mod)
    assert ours.shape == theirs.shape
    assert ours.axis == theirs.axis
    for name in ("obs", "var"):
        assert_same_axis(ours, theirs, name)
        if columns:
            assert_same_frame(getattr(ours, name), getattr(theirs, name))
    for name in ("obsm", "varm", "obsp", "varp"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        assert set(mine) == set(other)
        for key in mine:
            if key not in ours.mod:
                assert_same_matrix(mine[key], other[key])
    assert set(ours.uns) == set(theirs.uns)
    for mod in ours.mod:
        assert_same_modality(ours[mod], theirs[mod])
