from __future__ import annotations

import numpy as np
import pytest

import lazyomics as lo

pytest.importorskip("matplotlib", reason="plots")


@pytest.fixture
def mdata() -> lo.MuData:
    rng = np.random.default_rng(0)
    rna = lo.AnnData(
        rng.random((20, 3)), obs={"kind": list("ab") * 10}, obsm={"X_umap": rng.random((20, 2))}
    )
    rna.obs["kind"] = rna.obs["kind"].astype("category")
    rna.var_names = ["g0", "g1", "g2"]
    atac = lo.AnnData(rng.random((15, 2)))
    atac.obs_names = rna.obs_names[5:]
    atac.var_names = ["p0", "p1"]
    return lo.MuData({"rna": rna, "atac": atac})


def test_an_embedding_of_one_modality_by_values_of_others(mdata) -> None:
    axes = lo.pl.embedding(
        mdata, basis="rna:X_umap", color=["rna:kind", "atac:p1", "g0"], show=False
    )
    assert [a.get_title() for a in axes] == ["rna:kind", "atac:p1", "g0"]
    umap = mdata["rna"].obsm["X_umap"]
    for panel in axes:
        drawn = np.concatenate([np.asarray(c.get_offsets()) for c in panel.collections])
        shown = {tuple(p) for p in np.round(drawn, 9) if not np.isnan(p).any()}
        assert shown <= {tuple(p) for p in np.round(umap, 9)}
    colors = axes[2].collections[0].get_array()
    np.testing.assert_allclose(np.sort(colors), np.sort(mdata["rna"].X[:, 0]))


def test_palettes_are_kept_with_the_modality(mdata) -> None:
    lo.pl.embedding(mdata, basis="rna:umap", color="rna:kind", palette=["red", "blue"], show=False)
    assert len(mdata["rna"].uns["kind_colors"]) == 2
    again = lo.pl.embedding(mdata, basis="rna:umap", color="rna:kind", show=False)
    assert again.get_title() == "rna:kind"


def test_unknown_names_are_said(mdata) -> None:
    with pytest.raises(KeyError, match="nothing"):
        lo.pl.embedding(mdata, basis="rna:X_umap", color="nothing", show=False)
    with pytest.raises(KeyError, match="no embedding"):
        lo.pl.embedding(mdata, basis="rna:X_tsne", show=False)
