from __future__ import annotations

import os
from pathlib import Path

import pytest
from matplotlib import pyplot as plt

import lazyomics as lo
from lazyomics.pl import figure as figure_module
from lazyomics.pl.figure import figure_path


@pytest.fixture
def shown(monkeypatch):
    """Count of ``plt.show`` calls, as if there were a window."""
    calls = []
    monkeypatch.setattr(plt, "show", lambda: calls.append(1))
    return calls


def test_true_writes_the_default_file(small, figure_folder):
    lo.pl.umap(small, color="cell_type", show=False, save=True)
    assert os.listdir(figure_folder) == ["umap.pdf"]


@pytest.mark.parametrize("ending", [".png", ".pdf", ".svg"])
def test_text_is_appended_to_the_name(ending, small, figure_folder):
    lo.pl.pca(small, show=False, save=f"_kinds{ending}")
    assert os.listdir(figure_folder) == [f"pca_kinds{ending}"]
    head = (figure_folder / f"pca_kinds{ending}").read_bytes()[:5]
    assert {b"\x89PNG\r": ".png", b"%PDF-": ".pdf", b"<?xml": ".svg"}[head] == ending


@pytest.mark.parametrize("kind", [Path, str])
def test_a_path_is_taken_as_it_is(kind, small, tmp_path):
    target = tmp_path / "new" / "deep" / "plot.png"
    axes = lo.pl.dotplot(small, ["LYZ"], "cell_type", show=False, save=kind(target))
    assert target.stat().st_size > 1000
    assert "mainplot_ax" in axes


def test_names():
    folder = figure_module.settings.figdir
    assert figure_path("umap", "_a") == folder / "umap_a.pdf"
    assert figure_path("umap", Path("a.png")) == Path("a.png")
    assert figure_path("umap", "./a.png") == Path("a.png")
    assert figure_path("umap", Path("out/a")) == Path("out/a.pdf")
    assert figure_path("umap", "_res0.5") == folder / "umap_res0.5.pdf"


def test_labels_outside_of_the_axes_are_in_the_file(pbmc, tmp_path):
    lo.pl.umap(pbmc, color="louvain", show=False, save=tmp_path / "a.png")
    lo.pl.umap(pbmc, color="louvain", legend_loc=None, show=False, save=tmp_path / "b.png")
    with_legend, without = (plt.imread(tmp_path / name).shape for name in ("a.png", "b.png"))
    assert with_legend[1] > without[1] + 100


def test_saved_figures_are_closed_but_not_those_of_the_caller(small, tmp_path):
    lo.pl.umap(small, show=False, save=tmp_path / "a.png")
    assert plt.get_fignums() == []
    figure, ax = plt.subplots()
    lo.pl.umap(small, ax=ax, show=False, save=tmp_path / "b.png")
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize(
    ("show", "backend", "expected"),
    [
        (None, "Agg", False),
        (None, "QtAgg", True),
        (None, "module://matplotlib_inline.backend_inline", True),
        (True, "Agg", True),
        (False, "QtAgg", False),
    ],
)
def test_show(show, backend, expected, small, shown, monkeypatch):
    monkeypatch.setattr(figure_module.mpl, "get_backend", lambda: backend)
    result = lo.pl.umap(small, color="cell_type", show=show)
    assert bool(shown) == expected
    assert (result is None) == expected


@pytest.mark.parametrize(
    "plot",
    [
        lambda adata, **k: lo.pl.umap(adata, **k),
        lambda adata, **k: lo.pl.pca(adata, **k),
        lambda adata, **k: lo.pl.dotplot(adata, ["LYZ"], "cell_type", **k),
        lambda adata, **k: lo.pl.violin(adata, ["LYZ"], "cell_type", **k),
        lambda adata, **k: lo.pl.pca_variance_ratio(adata, **k),
        lambda adata, **k: lo.pl.highly_variable_genes(adata, **k),
    ],
    ids=["umap", "pca", "dotplot", "violin", "variance", "hvg"],
)
def test_every_plot_shows_and_saves(plot, small, shown, figure_folder):
    small.uns["pca"] = {"variance_ratio": [0.5, 0.3, 0.1]}
    for column in ("means", "dispersions", "dispersions_norm"):
        small.var[column] = [1.0, 2.0, 3.0, 4.0, 5.0]
    small.var["highly_variable"] = [True, False, True, False, True]
    assert plot(small, show=False) is not None
    assert plot(small, show=True, save="x.png") is None
    assert shown == [1]
    assert len(os.listdir(figure_folder)) == 1


def test_return_fig_neither_shows_nor_saves(small, shown, figure_folder):
    figure = lo.pl.umap(small, return_fig=True, show=True, save=True)
    assert figure.axes
    assert lo.pl.dotplot(small, ["LYZ"], "cell_type", return_fig=True, save=True).get_axes()
    assert not shown
    assert not figure_folder.exists()
