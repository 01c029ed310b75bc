"""Histograms, and factors of MOFA."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from matplotlib import pyplot as plt

import lazyomics as lo

RNG = np.random.default_rng(0)
N = 60
X = RNG.poisson(2, (N, 4)).astype("f4")
KINDS = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def cells(kind: str = "csr") -> lo.AnnData:
    obs = pd.DataFrame(
        {
            "depth": RNG.normal(size=N),
            "kind": pd.Categorical(["a", "b", "c"] * (N // 3)),
            "batch": ["x", "y"] * (N // 2),
        },
        index=[f"c{k}" for k in range(N)],
    )
    return lo.AnnData(KINDS[kind](X), obs=obs, var=pd.DataFrame(index=list("ghij")))


def modalities() -> lo.MuData:
    rna, atac = cells(), cells()
    atac.var_names = [f"peak{k}" for k in range(4)]
    mdata = lo.MuData({"rna": rna, "atac": atac})
    mdata.obsm["X_mofa"] = RNG.normal(size=(N, 3))
    mdata.varm["LFs"] = RNG.normal(size=(8, 3))
    return mdata


def heights(ax) -> list[float]:
    return [patch.get_height() for patch in ax.patches]


def counts(values: np.ndarray) -> list[int]:
    return np.histogram(values, "auto")[0].tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stored", [False, True])
def test_counts_of_columns_and_variables(tmp_path: Path, kind: str, stored: bool) -> None:
    adata = cells(kind)
    if stored:
        adata.write_h5ad(tmp_path / "a.h5ad")
        adata = lo.read_h5ad(tmp_path / "a.h5ad")
    axes = lo.pl.histogram(adata, ["h", "depth"], show=False)
    assert [ax.get_xlabel() for ax in axes] == ["h", "depth"]
    assert heights(axes[0]) == counts(X[:, 1])
    assert heights(axes[1]) == counts(adata.obs["depth"].to_numpy())
    assert axes[0].patches[0].get_alpha() == 0.75  # as the bars of seaborn, which muon calls


def test_raw_is_shown_where_there_is_one() -> None:
    adata = cells()
    adata.raw = adata
    adata.X = adata.X * 0
    (ax,) = lo.pl.histogram(adata, "g", show=False)
    assert heights(ax) == counts(X[:, 0])


def test_groups_are_beside_and_below_each_other() -> None:
    adata = cells()
    depth, kind, batch = (adata.obs[key].to_numpy() for key in ("depth", "kind", "batch"))
    axes = lo.pl.histogram(adata, ["depth", "g"], groupby="kind", show=False)
    assert [ax.get_xlabel() for ax in axes] == ["depth"] * 3 + ["g"] * 3
    assert [heights(ax) for ax in axes[:3]] == [counts(depth[kind == k]) for k in "abc"]
    axes = lo.pl.histogram(adata, "depth", groupby=["kind", "batch"], show=False)
    assert [ax.get_title() for ax in axes[:4]] == [
        *(f"kind {k} | batch x" for k in "abc"),
        "kind a | batch y",
    ]
    expected = [counts(depth[(kind == k) & (batch == b)]) for b in "xy" for k in "abc"]
    assert [heights(ax) for ax in axes] == expected


def test_of_modalities() -> None:
    mdata = modalities()
    axes = lo.pl.histogram(mdata, ["rna:h", "peak2", "rna:depth"], bins=5, show=False)
    assert heights(axes[0]) == np.histogram(X[:, 1], 5)[0].tolist()
    assert heights(axes[1]) == np.histogram(X[:, 2], 5)[0].tolist()
    assert heights(axes[2]) == np.histogram(mdata["rna"].obs["depth"], 5)[0].tolist()
    axes = lo.pl.histogram(mdata, "peak2", groupby="atac:kind", show=False)
    assert [ax.get_title() for ax in axes] == ["atac:kind a", "atac:kind b", "atac:kind c"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"keys": "kind"}, TypeError, "'kind' holds"),
        ({"keys": "absent"}, KeyError, "absent"),
        ({"keys": "g", "groupby": "knd"}, KeyError, "kind"),
        ({"keys": ["g", "h"], "groupby": ["kind", "batch"]}, ValueError, "one key"),
        ({"keys": "g", "groupby": ["kind", "batch", "kind"]}, ValueError, "two columns"),
        ({"keys": "g", "colour": "red"}, TypeError, "color"),
    ],
)
def test_slips_are_named(arguments, error, message) -> None:
    with pytest.raises(error, match=message):
        lo.pl.histogram(cells(), **arguments, show=False)


def test_factors() -> None:
    mdata = modalities()
    ax = lo.pl.mofa(mdata, color="rna:kind", show=False)
    assert ax.get_xlabel() == "mofa1"
    np.testing.assert_allclose(ax.collections[0].get_offsets(), mdata.obsm["X_mofa"][:, :2])


def test_loadings_of_each_modality(tmp_path: Path) -> None:
    mdata = modalities()
    axes = lo.pl.mofa_loadings(mdata, [1, 3], show=False)
    assert [ax.get_title() for ax in axes] == [
        f"{mod}: factor {k}" for mod in ("rna", "atac") for k in (1, 3)
    ]
    scores = mdata.varm["LFs"]
    order = mdata.var_names[4:][np.argsort(scores[4:, 2])[::-1]]
    assert [text.get_text() for text in axes[3].texts] == list(order)
    for save in (tmp_path / "l.png", f"{tmp_path}/t.png"):
        lo.pl.mofa_loadings(mdata, "1", save=save, show=False)
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ["l_atac.png", "l_rna.png", "t_atac.png", "t_rna.png"]
    for wrong in ({"factors": "0"}, {"factors": "4"}, {"n_points": 9}):
        with pytest.raises(ValueError, match=r"factors|n_points"):
            lo.pl.mofa_loadings(mdata, **wrong, show=False)
    with pytest.raises(TypeError, match="MuData"):
        lo.pl.mofa_loadings(mdata["rna"])
    del mdata.varm["LFs"]
    with pytest.raises(KeyError, match=r"lo\.tl\.mofa"):
        lo.pl.mofa_loadings(mdata)
