"""What neighbors, umap and leiden take: positions, copies, known distances; and finite numbers."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist

import lazyomics as lo

sc = pytest.importorskip("scanpy", reason="compares with scanpy")
ad = pytest.importorskip("anndata", reason="compares with scanpy's container")

N = 40
POINTS = np.random.default_rng(0).normal(size=(N, 5)).astype("f4")
NAMES = [f"c{k}" for k in range(N)]
HAS_DISTANCES = "distances" in inspect.signature(sc.pp.neighbors).parameters

pytestmark = pytest.mark.filterwarnings(
    "ignore:Changing the sparsity structure", "ignore::FutureWarning"
)


def cells(module=lo, **obsm):
    x = np.zeros((N, 60), "f4")
    obsm = {"X_pca": POINTS.copy(), **obsm}
    return module.AnnData(x, obs=pd.DataFrame(index=NAMES), obsm=obsm)


def test_positions_and_copies_are_scanpys() -> None:
    found = []
    for module, container in ((lo, lo), (sc, ad)):
        first = cells(container)
        made = module.pp.neighbors(first, 6, 3, copy=True)
        assert not first.obsp
        assert "neighbors" not in first.uns
        assert made.uns["neighbors"]["params"]["n_neighbors"] == 6
        assert made.uns["neighbors"]["params"]["n_pcs"] == 3
        grouped = module.tl.leiden(made, 0.5, copy=True, flavor="igraph", n_iterations=2)
        assert "leiden" not in made.obs
        assert "leiden" not in made.uns
        placed = module.tl.umap(grouped, maxiter=5, copy=True)
        assert "X_umap" not in grouped.obsm
        assert "umap" not in grouped.uns
        found.append(placed)
    ours, theirs = found
    np.testing.assert_allclose(
        ours.obsp["distances"].toarray(), theirs.obsp["distances"].toarray(), atol=1e-6
    )
    assert ours.obs["leiden"].dtype.kind == theirs.obs["leiden"].dtype.kind
    assert ours.obsm["X_umap"].shape == theirs.obsm["X_umap"].shape


@pytest.mark.parametrize("form", [np.array, sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix])
def test_known_distances(form) -> None:
    """As found by searching; and as scanpy makes of them, where it takes them."""
    given = form(cdist(POINTS, POINTS))
    before = given.copy()
    ours, searched = cells(), cells()
    lo.pp.neighbors(ours, 6, distances=given)
    lo.pp.neighbors(searched, 6, metric="euclidean")
    np.testing.assert_allclose(
        ours.obsp["connectivities"].toarray(),
        searched.obsp["connectivities"].toarray(),
        rtol=1e-4,
        atol=1e-5,
    )
    assert ours.uns["neighbors"]["params"].keys() == {"n_neighbors", "method", "random_state"}
    same = np.array_equal if isinstance(given, np.ndarray) else lambda a, b: (a != b).nnz == 0
    assert same(given, before)
    # of sparse rows with as many values each, scanpy takes the first ones for the nearest
    if HAS_DISTANCES and form is np.array:
        theirs = cells(ad)
        sc.pp.neighbors(theirs, 6, distances=form(cdist(POINTS, POINTS)))
        for name in ("distances", "connectivities"):
            mine, their = (
                np.asarray(m.toarray() if sparse.issparse(m) else m)
                for m in (ours.obsp[name], theirs.obsp[name])
            )
            np.testing.assert_allclose(mine, their, rtol=1e-5, atol=1e-6)


def test_known_distances_that_do_not_fit() -> None:
    with pytest.raises(lo.errors.ShapeError, match=r"shape \(3, 3\), expected \(40, 40\)"):
        lo.pp.neighbors(cells(), distances=np.zeros((3, 3)))
    whole = cdist(POINTS, POINTS)
    with pytest.raises(ValueError, match="nothing is searched for by n_pcs"):
        lo.pp.neighbors(cells(), n_pcs=3, distances=whole)
    whole[2, 7] = whole[7, 2] = np.nan
    whole[2, :] = np.nan
    with pytest.raises(ValueError, match=r"NaN or infinite, first of 'c2'"):
        lo.pp.neighbors(cells(), 6, distances=whole)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("form", [np.array, sparse.csr_matrix])
@pytest.mark.parametrize("rep", ["X_pca", "X_other", "X"])
def test_what_is_not_finite_is_named(rep: str, form, bad: float) -> None:
    points = POINTS.copy()
    points[[3, 9], 1] = bad
    if rep == "X":
        adata = lo.AnnData(form(points), obs=pd.DataFrame(index=NAMES))
    else:
        adata = cells(**{rep: form(points)})
    place = "X" if rep == "X" else rf"obsm\['{rep}'\]"
    with pytest.raises(ValueError, match=rf"^{place} is NaN or infinite for the cells 'c3', 'c9':"):
        lo.pp.neighbors(adata, 6, use_rep=None if rep == "X_pca" else rep)
    assert "neighbors" not in adata.uns


def test_gaps_are_for_metrics_that_know_them() -> None:
    points = POINTS.astype("f8")
    points[3, 1] = np.nan
    ours, theirs = cells(r=points), cells(ad, r=points)
    for module, adata in ((lo, ours), (sc, theirs)):
        module.pp.neighbors(adata, 6, use_rep="r", metric="nan_euclidean", transformer="sklearn")
    np.testing.assert_allclose(
        ours.obsp["distances"].toarray(), theirs.obsp["distances"].toarray(), rtol=1e-5
    )


def test_umap_and_leiden_refuse_weights_and_positions_that_are_not_finite() -> None:
    adata = cells()
    lo.pp.neighbors(adata, 6)
    start = np.zeros((N, 2))
    start[4, 0] = np.nan
    with pytest.raises(ValueError, match="init_pos is NaN or infinite for the cells 'c4'"):
        lo.tl.umap(adata, init_pos=start)
    weights = adata.obsp["connectivities"].copy()
    weights.data[5] = np.nan
    adata.obsp["connectivities"] = weights
    for verb in (lo.tl.umap, lo.tl.leiden):
        with pytest.raises(ValueError, match=r"weights in obsp\['connectivities'\] are NaN"):
            verb(adata)
    with pytest.raises(ValueError, match="weights in adjacency are NaN"):
        lo.tl.leiden(adata, adjacency=weights)
