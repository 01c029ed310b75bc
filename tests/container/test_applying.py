"""Functions of scverse on opened objects, beside the same on anndata's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import ShapeError
from tests.comparing import assert_same_anndata

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")
sc = pytest.importorskip("scanpy", reason="its functions are applied")

pytestmark = pytest.mark.filterwarnings("ignore")
LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "csr": sp.csr_matrix,
    "csc": sp.csc_matrix,
    "dense": lambda x: x,
}


def counts() -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    means = rng.gamma(1.0, 1.0, (3, 60))[rng.integers(0, 3, 150)]
    return rng.poisson(means).astype("f4")


def reference(layout: str) -> Any:
    rng = np.random.default_rng(1)
    x = LAYOUTS[layout](counts())
    made = ad.AnnData(x, obs=pd.DataFrame({"group": pd.Categorical(rng.choice(list("abc"), 150))}))
    made.obs_names = [f"cell{k}" for k in range(150)]
    made.var_names = [f"gene{k}" for k in range(60)]
    made.layers["counts"] = x.copy()
    made.obsm["X_pca"] = rng.normal(size=(150, 10)).astype("f4")
    made.uns["nested"] = {"a": np.arange(3), "b": {"c": "text"}}
    return made


def in_rows(adata: Any) -> Any:
    """What is stored by columns as scanpy's functions for dask get it."""
    made = adata.copy()
    if sp.issparse(made.X):
        made.X = made.X.tocsr()
    for key in [k for k in made.layers if k is not None]:
        if sp.issparse(made.layers[key]):
            made.layers[key] = made.layers[key].tocsr()
    if made.raw is not None and sp.issparse(made.raw.X):
        parts = {"X": made.raw.X.tocsr(), "var": made.raw.var, "varm": dict(made.raw.varm)}
        made = ad.AnnData(
            made.X, made.obs, made.var, made.uns, made.obsm, made.varm, dict(made.layers), parts
        )
    return made


def same(a: Any, b: Any) -> None:
    assert_same_anndata(in_rows(a), in_rows(b))


@pytest.fixture(params=LAYOUTS)
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    reference(request.param).write_h5ad(tmp_path / "a.h5ad")
    return tmp_path / "a.h5ad"


def test_matrices_are_arrays_of_scipy(stored: Path) -> None:
    theirs = lo.read_h5ad(stored).to_anndata(lazy=True)
    expected = ad.read_h5ad(stored)
    is_dense = isinstance(expected.X, np.ndarray)
    for x in (theirs.X, theirs.layers["counts"]):
        assert x.numblocks[1] == 1
        block = x.blocks[0].compute()
        assert type(block) is (np.ndarray if is_dense else sp.csr_matrix)
        assert type(x._meta) is type(block)
    same(theirs.to_memory(), expected)


def test_nothing_is_read_of_the_matrices(stored: Path, count_passes: Any) -> None:
    with count_passes(stored) as passes:
        lo.read_h5ad(stored).to_anndata(lazy=True)
    assert passes.values == 0


def preprocess(adata: Any) -> None:
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    adata.layers["logged"] = adata.X.copy()


def annotate(adata: Any) -> None:
    adata.obs["new"] = np.arange(adata.n_obs)
    adata.obs["group"] = adata.obs["group"].cat.rename_categories({"a": "A"})
    adata.var["mean"] = 1.0
    del adata.uns["nested"]["b"]
    adata.obsm["X_pca"][:3] = 7
    adata.obsm["X_new"] = adata.obsm["X_pca"][:, :2]
    del adata.layers["counts"]
    adata.raw = adata


def graph(adata: Any) -> None:
    sc.pp.neighbors(adata, n_neighbors=5, use_rep="X_pca")
    sc.tl.diffmap(adata, n_comps=4)
    sc.tl.leiden(adata, flavor="igraph", n_iterations=2)
    sc.tl.paga(adata, groups="group")
    adata.uns["iroot"] = 3
    sc.tl.dpt(adata, n_dcs=4)
    sc.tl.embedding_density(adata, basis="pca", groupby="group")


def rank(adata: Any) -> None:
    sc.tl.dendrogram(adata, "group", use_rep="X_pca")


@pytest.mark.parametrize("function", [preprocess, annotate, graph, rank])
@pytest.mark.parametrize("route", ["whole", "selection", "in memory"])
def test_what_changes_is_taken_over(stored: Path, function: Any, route: str) -> None:
    theirs, ours = ad.read_h5ad(stored), lo.read_h5ad(stored)
    if route == "selection":
        theirs, ours = theirs[10:120, :50].copy(), ours[10:120, :50]
    elif route == "in memory":
        ours = ours.to_memory()
    assert ours.apply(function) is None
    function(theirs)
    same(ours.to_anndata(), theirs)
    if route != "in memory" and function is not preprocess:
        assert hasattr(ours.X, "recipe") or route == "selection"


@pytest.mark.parametrize("lazy", [False, True])
def test_what_was_handed_out_is_independent(stored: Path, lazy: bool) -> None:
    ours = lo.read_h5ad(stored)
    theirs = ours.to_anndata(lazy=lazy)
    theirs.obs["new"] = 1
    theirs.uns["nested"]["new"] = 2
    theirs.obs.loc["cell0", "group"] = "b"
    theirs.layers["more"] = theirs.X
    expected = ad.read_h5ad(stored)
    assert_same_anndata(ours.to_anndata(), expected)


def test_results_are_returned_as_ours(stored: Path) -> None:
    ours = lo.read_h5ad(stored)
    made = ours.apply(sc.pp.log1p, copy=True)
    assert type(made) is lo.AnnData
    same(made.to_anndata(), sc.pp.log1p(ad.read_h5ad(stored), copy=True))
    assert_same_anndata(ours.to_anndata(), ad.read_h5ad(stored))
    assert ours.apply(lambda adata, k, plus=0: adata.n_obs + k + plus, 1, plus=2) == 153


def test_functions_that_drop_cells_are_refused(stored: Path) -> None:
    ours = lo.read_h5ad(stored)
    with pytest.raises(ShapeError, match=r"filter_cells left \d+ of 150 obs names"):
        ours.apply(sc.pp.filter_cells, min_counts=50)
    assert_same_anndata(ours.to_anndata(), ad.read_h5ad(stored))


def test_what_was_taken_over_is_saved(stored: Path, tmp_path: Path) -> None:
    ours, theirs = lo.read_h5ad(stored), ad.read_h5ad(stored)
    ours.apply(graph)
    graph(theirs)
    ours.write()
    theirs.write_h5ad(tmp_path / "expected.h5ad")
    assert_same_anndata(ad.read_h5ad(stored), ad.read_h5ad(tmp_path / "expected.h5ad"))


@pytest.mark.parametrize("part", ["whole", "cells", "genes"])
def test_backed_objects_stay_lazy(stored: Path, part: str) -> None:
    with_raw = ad.read_h5ad(stored)
    with_raw.raw = with_raw
    with_raw.write_h5ad(stored)
    backed, expected = ad.read_h5ad(stored, backed="r"), ad.read_h5ad(stored)
    if part != "whole":
        index = (slice(5, 90), slice(None)) if part == "cells" else (slice(None), slice(3, 40))
        backed, expected = backed[index], expected[index].copy()
    ours = lo.AnnData.from_anndata(backed)
    assert hasattr(ours.X, "recipe")
    assert_same_anndata(ours.to_anndata(), expected)


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_lazy_objects_of_anndata(stored: Path, tmp_path: Path, kind: str) -> None:
    pytest.importorskip("xarray", reason="anndata's read_lazy needs it")
    if kind == "zarr":
        pytest.importorskip("zarr", reason="reads zarr")
        ad.read_h5ad(stored).write_zarr(tmp_path / "a.zarr")
    source = stored if kind == "h5ad" else tmp_path / "a.zarr"
    ours = lo.AnnData.from_anndata(ad.experimental.read_lazy(source))
    assert hasattr(ours.X, "dask")
    assert list(ours.obs["group"].cat.categories) == ["a", "b", "c"]
    assert_same_anndata(ours.to_anndata(), ad.read_h5ad(stored))


def test_multimodal_objects(tmp_path: Path) -> None:
    mudata = pytest.importorskip("mudata", reason="mudata is the reference")
    path = tmp_path / "a.h5mu"
    mods = {"rna": reference("csr"), "adt": reference("dense")[:, :20].copy()}
    mods["adt"].var_names = [f"protein{k}" for k in range(20)]
    mudata.MuData(mods).write_h5mu(path)

    def change(mdata: Any) -> None:
        sc.pp.log1p(mdata["rna"])
        mdata["adt"].obs["n"] = np.arange(150.0)
        mdata.obs["joint"] = np.arange(150)
        mdata.obsm["X_joint"] = np.ones((150, 2))
        mdata.uns["note"] = {"k": 1}

    ours, theirs = lo.read_h5mu(path), mudata.read_h5mu(path)
    ours.apply(change)
    change(theirs)
    for name in mods:
        assert_same_anndata(ours[name].to_anndata(), theirs[name])
    assert ours.obs["joint"].tolist() == list(range(150))
    assert (ours.obsm["X_joint"] == 1).all()
    assert ours.uns["note"] == {"k": 1}
    with pytest.raises(ShapeError, match="changed the modalities"):
        ours.apply(lambda mdata: mdata.mod.pop("adt"))
    lazy = ours.to_mudata(lazy=True)
    assert type(lazy["rna"].X._meta) is sp.csr_matrix
