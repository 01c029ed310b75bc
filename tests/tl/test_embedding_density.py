"""tl.embedding_density against scanpy, and its refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo

pytestmark = pytest.mark.filterwarnings(
    "ignore:The 'future.infer_string' option:DeprecationWarning"
)


def cells(module=lo, dtype="f4"):
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {"kind": pd.Categorical(rng.choice(list("abc"), 90)), "text": rng.choice(["x", "y"], 90)},
        index=[f"c{k}" for k in range(90)],
    )
    obs["number"] = np.arange(90)
    names = ("X_umap", "X_diffmap", "X_draw_graph_fa")
    obsm = {name: rng.normal(size=(90, 4)).astype(dtype) for name in names}
    return module.AnnData(np.zeros((90, 2), "f4"), obs=obs, obsm=obsm)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"groupby": "kind"},
        {"groupby": "text", "key_added": "d"},
        {"basis": "diffmap", "components": "1,3"},
        {"basis": "FA", "components": ["2", "4"]},
    ],
)
def test_equals_scanpy(options, dtype):
    sc = pytest.importorskip("scanpy", reason="the reference")
    anndata = pytest.importorskip("anndata", reason="compares with scanpy's container")
    theirs, ours = cells(anndata, dtype), cells(dtype=dtype)
    sc.tl.embedding_density(theirs, **options)
    assert lo.tl.embedding_density(ours, **options) is None
    (key,) = set(theirs.obs) - {"kind", "text", "number"}
    np.testing.assert_array_equal(ours.obs[key], theirs.obs[key])
    assert ours.obs[key].dtype == theirs.obs[key].dtype
    assert ours.uns[f"{key}_params"] == theirs.uns[f"{key}_params"]


def test_from_a_file_and_selected(tmp_path):
    cells().write_h5ad(tmp_path / "a.h5ad")
    opened, expected = lo.read_h5ad(tmp_path / "a.h5ad")[::2], cells()[::2]
    for adata in (opened, expected):
        lo.tl.embedding_density(adata, groupby="kind")
    np.testing.assert_array_equal(
        opened.obs["umap_density_kind"], expected.obs["umap_density_kind"]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"basis": "tsne"}, "no 'X_tsne'"),
        ({"components": "1,2,3"}, "two dimensions"),
        ({"components": "1,7"}, "no components"),
        ({"components": "0,1"}, "no components"),
        ({"groupby": "nothing"}, "no 'nothing'"),
        ({"groupby": "number"}, "must be categorical"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        lo.tl.embedding_density(cells(), **options)


def test_too_few_cells_and_gaps():
    ours = cells()
    ours.obs["one"] = pd.Categorical(["x"] + ["y"] * 89)
    with pytest.raises(ValueError, match=r"at least 3 cells, found 1 in category 'x'"):
        lo.tl.embedding_density(ours, groupby="one")
    places = ours.obsm["X_umap"].copy()
    places[3, 1] = np.nan
    ours.obsm["X_umap"] = places
    with pytest.raises(ValueError, match="NaN or infinite for the cells 'c3'"):
        lo.tl.embedding_density(ours)
