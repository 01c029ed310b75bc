"""Plots of ranked genes beside scanpy's."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pytest

import lazyomics as lo

KINDS = ("T", "B", "Mono", "NK")


@pytest.fixture(scope="module")
def ranked() -> tuple[lo.AnnData, ad.AnnData]:
    """The same ranked genes, as ours and as scanpy's."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 4, 80)
    x = rng.poisson(1.0, (80, 30)) + 3 * (np.arange(30)[None] % 4 == kinds[:, None])
    adata = lo.AnnData(np.log1p(x).astype("f4"), obs={"kind": np.array(KINDS)[kinds]})
    adata.var["symbol"] = [f"S{k}" for k in range(30)]
    adata.obs["kind"] = adata.obs["kind"].astype("category")
    lo.tl.rank_genes_groups(adata, "kind", method="wilcoxon", key_added="w")
    lo.tl.rank_genes_groups(adata, "kind", method="t-test", n_genes=30)
    lo.tl.rank_genes_groups(adata, "kind", method="t-test", n_genes=5, key_added="few")
    return adata, adata.to_anndata()


def texts(ax) -> list[tuple]:
    return [(t.get_text(), *t.get_position(), t.get_fontsize()) for t in ax.texts]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_genes": 4, "sharey": False, "ncols": 3},
        {"groups": ["B", "T"], "key": "w", "fontsize": 5},
        {"gene_symbols": "symbol", "n_panels_per_row": 2},
    ],
    ids=str,
)
def test_names_at_their_scores_are_scanpys(ranked, sc, options: dict) -> None:
    ours = lo.pl.rank_genes_groups(ranked[0], show=False, **options)
    theirs = sc.pl.rank_genes_groups(ranked[1], show=False, **options)
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert texts(mine) == texts(other)
        assert mine.get_title() == other.get_title()
        assert mine.get_ylabel() == other.get_ylabel()
        np.testing.assert_allclose(mine.get_ylim(), other.get_ylim())
        np.testing.assert_allclose(mine.get_xlim(), other.get_xlim())
        np.testing.assert_allclose(mine.get_position().bounds, other.get_position().bounds)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_genes": 3, "groups": ["B", "Mono"]},
        {"n_genes": -2, "key": "w"},
        {"n_genes": 2, "values_to_plot": "logfoldchanges", "vmin": -4, "vmax": 4, "cmap": "bwr"},
        {"n_genes": 2, "values_to_plot": "log10_pvals_adj", "dendrogram": False},
        {"var_names": {"a": ["1", "2"], "b": ["7"]}, "values_to_plot": "scores"},
        {"n_genes": 2, "gene_symbols": "symbol", "min_logfoldchange": 0.5},
    ],
    ids=str,
)
def test_dots_are_scanpys(ranked, sc, options: dict) -> None:
    ours = lo.pl.rank_genes_groups_dotplot(ranked[0], show=False, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = sc.pl.rank_genes_groups_dotplot(ranked[1], show=False, **options)
    mine, other = ours["mainplot_ax"], theirs["mainplot_ax"]
    for ticks in ("get_xticklabels", "get_yticklabels"):
        assert [t.get_text() for t in getattr(mine, ticks)()] == [
            t.get_text() for t in getattr(other, ticks)()
        ]
    dots, their_dots = mine.collections[0], other.collections[0]
    np.testing.assert_allclose(dots.get_sizes(), their_dots.get_sizes(), rtol=1e-4)
    np.testing.assert_allclose(dots.get_facecolors(), their_dots.get_facecolors(), atol=1e-3)
    titles = ours["color_legend_ax"].get_title(), theirs["color_legend_ax"].get_title()
    assert titles[0] == titles[1]


@pytest.mark.parametrize(
    "options",
    [
        {"n_genes": 3, "groups": ["B", "Mono"]},
        {"n_genes": -2, "values_to_plot": "logfoldchanges", "vmin": -4, "vmax": 4, "cmap": "bwr"},
        {"var_names": {"a": ["1", "2"], "b": ["7"]}, "values_to_plot": "scores", "swap_axes": True},
    ],
    ids=str,
)
def test_matrices_are_scanpys(ranked, sc, options: dict) -> None:
    ours = lo.pl.rank_genes_groups_matrixplot(ranked[0], show=False, **options)
    theirs = sc.pl.rank_genes_groups_matrixplot(ranked[1], show=False, **options)
    mine, other = ours["mainplot_ax"], theirs["mainplot_ax"]
    for ticks in ("get_xticklabels", "get_yticklabels"):
        assert [t.get_text() for t in getattr(mine, ticks)()] == [
            t.get_text() for t in getattr(other, ticks)()
        ]
    squares, theirs_too = (ax.collections[0].get_array().ravel() for ax in (mine, other))
    np.testing.assert_allclose(squares, theirs_too, rtol=1e-4)
    assert ours["color_legend_ax"].get_title() == theirs["color_legend_ax"].get_title()


def test_what_cannot_be_shown_is_refused(ranked) -> None:
    adata, _ = ranked
    dots = lo.pl.rank_genes_groups_dotplot
    with pytest.raises(KeyError, match="no genes were ranked for"):
        lo.pl.rank_genes_groups(adata, ["B", "what"])
    with pytest.raises(KeyError, match=r"run lo\.tl\.rank_genes_groups"):
        dots(adata, key="none")
    with pytest.raises(ValueError, match="n_genes"):
        lo.pl.rank_genes_groups(adata, n_genes=0)
    with pytest.raises(ValueError, match="exclude each other"):
        dots(adata, n_genes=3, var_names=["1"])
    with pytest.raises(ValueError, match="values_to_plot is one of"):
        dots(adata, values_to_plot="p")
    with pytest.raises(ValueError, match="of 5 genes were kept"):
        dots(adata, key="few", values_to_plot="scores")
    no_gene = pytest.warns(UserWarning, match="no gene of group")
    with pytest.raises(ValueError, match="leaves no gene"), no_gene:
        dots(adata, min_logfoldchange=100)
