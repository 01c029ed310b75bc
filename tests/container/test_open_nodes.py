"""What others hold open on disk and hand over: datasets, sparse datasets, tables of xarray."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import zarr

import lazyomics as lo
from lazyomics.lazy import LazyMatrix

pytestmark = pytest.mark.filterwarnings("ignore:Writing zarr v2 data")

N, M = 9, 5
VALUES = np.random.default_rng(1).poisson(0.8, (N, M)).astype("f4")
KINDS = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}
PLACES: dict[str, Callable[[Any], Any]] = {
    "X": lambda m: lo.AnnData(m).X,
    "layers": lambda m: lo.AnnData(layers={"a": m}).layers["a"],
    "obsm": lambda m: lo.AnnData(np.zeros((N, 1)), obsm={"a": m}).obsm["a"],
    "raw": lambda m: lo.AnnData(m, raw={"X": m, "var": pd.DataFrame(index=list("abcde"))}).raw.X,
}


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def node(opened: ExitStack, folder: Path, kind: str, form: str, mode: str = "r") -> Any:
    """The matrix as anndata holds it backed: of an open file or store."""
    path = folder / f"a.{form}"
    whole = ad.AnnData(KINDS[kind](VALUES))
    if form == "zarr":
        whole.write_zarr(path)
        stored = zarr.open_group(path, mode="r")["X"]
    else:
        whole.write_h5ad(path)
        stored = opened.enter_context(h5py.File(path, mode))["X"]
    return stored if kind == "dense" else ad.io.sparse_dataset(stored)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("form", ["h5ad", "zarr"])
@pytest.mark.parametrize("kind", KINDS)
def test_open_matrices_become_lazy(
    opened: ExitStack, tmp_path: Path, kind: str, form: str, place: str
) -> None:
    held = PLACES[place](node(opened, tmp_path, kind, form))
    assert isinstance(held, LazyMatrix)
    assert held.dtype == VALUES.dtype
    values = held.compute()
    assert isinstance(values, np.ndarray) == (kind == "dense")
    np.testing.assert_array_equal(values if kind == "dense" else values.todense(), VALUES)


@pytest.mark.parametrize("kind", KINDS)
def test_what_may_still_change_is_read(opened: ExitStack, tmp_path: Path, kind: str) -> None:
    held = lo.AnnData(node(opened, tmp_path, kind, "h5ad", mode="r+")).X
    assert isinstance(held, np.ndarray if kind == "dense" else KINDS[kind])
    np.testing.assert_array_equal(held.toarray() if kind != "dense" else held, VALUES)


def dataset_2d(folder: Path) -> tuple[Any, pd.DataFrame]:
    frame = pd.DataFrame(
        {"n": np.arange(N), "kind": pd.Categorical(list("abababcab"))},
        index=[f"cell{k}" for k in range(N)],
    )
    ad.AnnData(VALUES, obs=frame, obsm={"t": frame}).write_h5ad(folder / "t.h5ad")
    return ad.experimental.read_lazy(folder / "t.h5ad").obsm["t"], frame


@pytest.mark.parametrize("place", ["obs", "var", "obsm", "varm", "assigned obs", "assigned obsm"])
def test_tables_of_xarray_become_those_of_pandas(tmp_path: Path, place: str) -> None:
    table, frame = dataset_2d(tmp_path)
    x = VALUES if "obs" in place else VALUES.T
    if place in ("obs", "var"):
        held = getattr(lo.AnnData(x, **{place: table}), place)
    elif place in ("obsm", "varm"):
        names = {place[:3]: pd.DataFrame(index=frame.index)}
        held = getattr(lo.AnnData(x, **names, **{place: {"t": table}}), place)["t"]
    else:
        adata = lo.AnnData(x, obs=pd.DataFrame(index=frame.index))
        if place == "assigned obs":
            adata.obs = table
            held = adata.obs
        else:
            adata.obsm["t"] = table
            held = adata[2:].obsm["t"]
            frame = frame[2:]
    pd.testing.assert_frame_equal(held, frame, check_names=False)


def test_sets_of_xarray_that_are_no_tables_are_refused() -> None:
    xarray = pytest.importorskip("xarray")
    made = xarray.Dataset({"a": (("cells", "genes"), VALUES)})
    with pytest.raises(TypeError, match=r"obsm\['a'\]: cannot hold an xarray.Dataset"):
        lo.AnnData(VALUES, obsm={"a": made})
    table = xarray.Dataset({"a": ("cells", np.arange(N))}, {"cells": list("abcdefghi")})
    held = lo.AnnData(VALUES, obs=table, obsm={"t": table})
    assert held.obsm["t"]["a"].tolist() == held.obs["a"].tolist() == list(range(N))
    assert held.obs_names.tolist() == list("abcdefghi")


@pytest.mark.parametrize("place", PLACES)
def test_arrays_of_xarray_are_arrays(place: str) -> None:
    xarray = pytest.importorskip("xarray")
    held = PLACES[place](xarray.DataArray(VALUES))
    np.testing.assert_array_equal(np.asarray(held), VALUES)
    assert isinstance(held, np.ndarray)
