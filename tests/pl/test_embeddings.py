from __future__ import annotations

from contextlib import nullcontext
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import LogNorm

import lazyomics as lo


def scatter_of(ax):
    """The collection with the points; a legend adds empty ones."""
    found = [
        c for c in ax.collections if isinstance(c, PathCollection) and len(c.get_offsets()) > 0
    ]
    return found[-1]


def legend_texts(ax):
    legend = ax.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def assert_same_panel(ours, theirs):
    mine, other = scatter_of(ours), scatter_of(theirs)
    for ax in (ours, theirs):
        ax.figure.canvas.draw()  # numbers become colours when they are drawn
    np.testing.assert_allclose(mine.get_offsets(), other.get_offsets())
    shape = (len(mine.get_offsets()), 4)
    np.testing.assert_allclose(
        np.broadcast_to(mine.get_facecolors(), shape),
        np.broadcast_to(other.get_facecolors(), shape),
        atol=1e-6,
    )
    np.testing.assert_allclose(mine.get_sizes(), other.get_sizes())
    assert ours.get_title() == theirs.get_title()
    assert (ours.get_xlabel(), ours.get_ylabel()) == (theirs.get_xlabel(), theirs.get_ylabel())
    assert legend_texts(ours) == legend_texts(theirs)
    assert ours.axison == theirs.axison
    np.testing.assert_allclose(ours.get_xlim(), theirs.get_xlim())
    mine_texts = {t.get_text(): t.get_position() for t in ours.texts}
    their_texts = {t.get_text(): t.get_position() for t in theirs.texts}
    assert mine_texts.keys() == their_texts.keys()
    for text, position in mine_texts.items():
        np.testing.assert_allclose(position, their_texts[text])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"color": "louvain"},
        {"color": "n_genes"},
        {"color": "CD4"},
        {"color": "CST3", "use_raw": False},
        {"color": "louvain", "groups": ["NK cells", "B cells"]},
        {"color": "louvain", "groups": "NK cells", "na_in_legend": False, "na_color": "pink"},
        {"color": "louvain", "legend_loc": "on data", "legend_fontoutline": 2},
        {"color": "louvain", "legend_loc": "lower left", "legend_fontsize": 6},
        {"color": "louvain", "legend_loc": None, "frameon": False},
        {"color": "louvain", "palette": "Set2"},
        {"color": "louvain", "palette": ["red", "#00ff00", "gold2"]},
        {"color": "n_genes", "vmin": "p5", "vmax": "p99", "cmap": "magma"},
        {"color": "n_genes", "vmin": 500, "vcenter": 800, "vmax": 2000, "color_map": "RdBu"},
        {"color": "n_genes", "norm": LogNorm(100, 3000), "colorbar_loc": "bottom"},
        {"color": "n_genes", "vmax": np.median, "sort_order": False, "alpha": 0.5},
        {"color": "CD4", "size": 7, "title": "T helper", "marker": "x"},
    ],
    ids=" ".join,
)
def test_umap_equals_scanpy(options, pbmc, pbmc_scanpy, sc):
    if callable(options.get("vmax")):
        options = {**options, "vmax": lambda values: float(np.median(values))}
    ours = lo.pl.umap(pbmc, show=False, **options)
    theirs = sc.pl.umap(pbmc_scanpy, show=False, **options)
    assert_same_panel(ours, theirs)
    assert len(ours.figure.axes) == len(theirs.figure.axes)  # a colour bar where scanpy has one


@pytest.mark.parametrize(
    "color", ["cell_type", "text", "passed", "n_genes", "score", "gappy", "partly", "LYZ"]
)
@pytest.mark.parametrize("sort_order", [True, False])
def test_columns_of_every_kind_equal_scanpy(color, sort_order, small, small_scanpy, sc):
    ours = lo.pl.umap(small, color=color, sort_order=sort_order, show=False)
    theirs = sc.pl.umap(small_scanpy, color=color, sort_order=sort_order, show=False)
    assert_same_panel(ours, theirs)
    if f"{color}_colors" in small_scanpy.uns:
        assert list(small.uns[f"{color}_colors"]) == list(small_scanpy.uns[f"{color}_colors"])
    else:
        assert f"{color}_colors" not in small.uns


def test_text_columns_stay_text(small):
    before = small.obs["text"].dtype
    lo.pl.umap(small, color="text", show=False)
    assert small.obs["text"].dtype == before


@pytest.mark.parametrize(
    "options",
    [
        {"color": "LYZ", "layer": "scaled"},
        {"color": "lysozyme", "gene_symbols": "symbol"},
        {"color": "score", "mask_obs": "passed"},
        {"color": "score", "size": np.linspace(1, 50, 90)},
        {"color": "cell_type", "add_outline": True},
    ],
    ids=" ".join,
)
def test_options_equal_scanpy(options, small, small_scanpy, sc):
    ours = lo.pl.umap(small, show=False, **options)
    assert_same_panel(ours, sc.pl.umap(small_scanpy, show=False, **options))


@pytest.mark.parametrize(
    ("options", "kept", "message"),
    [
        ({"color": "LYZ", "groups": ["T"]}, None, "have no categories"),
        ({"color": "score", "groups": "T"}, None, "have no categories"),
        ({"color": "cell_type", "groups": ["T", "NK"]}, None, r"\['NK'\].*'Mono'"),
        ({"color": "cell_type", "groups": ["T"]}, "cell_type != 'T'", r"\['T'\].*'Mono'"),
        ({"color": "cell_type", "groups": ["T", "B"]}, "cell_type != 'T'", r"\['T'\]"),
        ({"color": "plate", "groups": ["1"]}, None, r"\['1'\].*\[0, 1, 2\]"),
        ({"color": "plate", "groups": [1]}, None, None),
        ({"color": "cell_type", "groups": []}, None, None),
        ({"color": "cell_type", "groups": ("T",)}, None, None),
    ],
    ids=str,
)
def test_groups_that_are_nowhere_colour_nothing(options, kept, message, small, small_scanpy, sc):
    for adata in (small, small_scanpy):
        adata.obs["plate"] = pd.Categorical(np.arange(adata.n_obs) % 3)
        adata.uns["cell_type_colors"] = np.array(["#ff0000", "#00ff00", "#0000ff"])
    if kept is not None:
        names = small.obs.query(kept).index
        small, small_scanpy = small[names], small_scanpy[names].copy()
    theirs = sc.pl.umap(small_scanpy, show=False, **options)
    with pytest.warns(UserWarning, match=message) if message else nullcontext():
        ours = lo.pl.umap(small, show=False, **options)
    assert_same_panel(ours, theirs)


def test_groups_of_several_columns(small):
    axes = lo.pl.umap(small, color=["cell_type", "batch", "LYZ"], groups=["T", "x"], show=False)
    assert [legend_texts(ax) for ax in axes[:2]] == [["T", "NA"], ["x", "NA"]]
    with pytest.warns(UserWarning, match=r"\['zz'\]"):
        lo.pl.umap(small, color=["cell_type", "batch"], groups=["T", "zz"], show=False)


@pytest.mark.parametrize("stored", ["short", "one", "long", "none"])
@pytest.mark.parametrize("lost", [True, False])
def test_stored_colors_that_do_not_fit(stored, lost, small, small_scanpy, sc):
    held = {
        "short": np.array(["#111111", "#222222"]),
        "one": np.array("#111111"),
        "long": np.array(["#111111", "#222222", "#333333", "#444444"]),
    }
    if stored == "one" and not lost:
        pytest.skip("scanpy takes the length of the text")
    for adata in (small, small_scanpy):
        if stored != "none":
            adata.uns["cell_type_colors"] = held[stored]
    if lost:
        keep = (small.obs["cell_type"] != "T").to_numpy()
        small, small_scanpy = small[keep], small_scanpy[keep].copy()
    ours = lo.pl.umap(small, color="cell_type", show=False)
    assert_same_panel(ours, sc.pl.umap(small_scanpy, color="cell_type", show=False))
    assert list(small.uns["cell_type_colors"]) == list(small_scanpy.uns["cell_type_colors"])


def test_mask_of_categories(small):
    lo.pl.umap(small, color="cell_type", mask_obs=small.obs["passed"].to_numpy(), show=False)
    ax = plt.gca()
    assert legend_texts(ax) == ["T", "B", "Mono", "NA"]


@pytest.mark.parametrize(
    "options",
    [
        {"color": ["louvain", "CD4"], "wspace": 0.6},
        {
            "color": ["n_genes", "CD4", "percent_mito"],
            "ncols": 2,
            "hspace": 0.4,
            "vmax": [900, 1, 2],
        },
        {"color": ["louvain", "louvain"], "wspace": 0.4, "title": ["left", "right"]},
    ],
    ids=" ".join,
)
def test_panels_equal_scanpy(options, pbmc, pbmc_scanpy, sc):
    ours = lo.pl.umap(pbmc, show=False, **options)
    theirs = sc.pl.umap(pbmc_scanpy, show=False, **options)
    assert len(ours) == len(theirs) == len(options["color"])
    for mine, other in zip(ours, theirs, strict=True):
        assert_same_panel(mine, other)
        np.testing.assert_allclose(mine.get_position().bounds, other.get_position().bounds)
    np.testing.assert_allclose(ours[0].figure.get_size_inches(), theirs[0].figure.get_size_inches())


@pytest.mark.parametrize(
    "options",
    [
        {"components": "2,3"},
        {"components": ["1,2", "3,4"]},
        {"dimensions": (1, 3)},
        {"dimensions": [(0, 1), (1, 2)]},
    ],
)
def test_dimensions_equal_scanpy(options, small, small_scanpy, sc):
    ours = lo.pl.pca(small, color="score", show=False, **options)
    theirs = sc.pl.pca(small_scanpy, color="score", show=False, **options)
    for mine, other in zip(np.ravel(ours), np.ravel(theirs), strict=True):
        assert_same_panel(mine, other)


def test_all_components(small):
    axes = lo.pl.pca(small, components="all", show=False)
    assert [(ax.get_xlabel(), ax.get_ylabel()) for ax in axes][-1] == ("PC3", "PC4")
    assert len(axes) == 6


def test_explained_variance_in_axis_labels(small):
    small.uns["pca"] = {"variance_ratio": np.array([0.5, 0.25, 0.1, 0.05])}
    ax = lo.pl.pca(small, annotate_var_explained=True, show=False)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("PC1 (50.0%)", "PC2 (25.0%)")
    figure = lo.pl.pca(small, annotate_var_explained=True, return_fig=True)
    assert figure.axes[0].get_xlabel() == "PC1 (50.0%)"


def test_other_bases(small):
    small.obsm["X_tsne"] = small.obsm["X_diffmap"] = small.obsm["X_umap"]
    small.obsm["X_draw_graph_fr"] = small.obsm["X_umap"]
    small.uns["draw_graph"] = {"params": {"layout": "fr"}}
    plots = (lo.pl.tsne, lo.pl.diffmap, lo.pl.draw_graph)
    labels = [plot(small, show=False).get_xlabel() for plot in plots]
    assert labels == ["tSNE1", "DC1", "FR1"]
    assert lo.pl.embedding(small, "X_umap", show=False).get_xlabel() == "X_umap1"


def test_draw_graph_without_a_layout(small):
    with pytest.raises(KeyError, match="layout"):
        lo.pl.draw_graph(small)


def test_legends_do_not_reach_the_next_panel(pbmc):
    keys = ["louvain", "CD4", "louvain", "louvain"]
    axes = lo.pl.umap(pbmc, color=keys, show=False)
    renderer = axes[0].figure.canvas.get_renderer()
    for ax, following in pairwise(axes):
        legend = ax.get_legend()
        if legend is not None:
            right = legend.get_window_extent(renderer).x1
            assert right <= following.get_tightbbox(renderer).x0


def test_a_plot_passes_over_the_matrix_once(data_file, count_passes):
    path = data_file("rebuilt_pbmc3k_processed.h5ad")
    with count_passes(path, "raw/X") as genes:
        lo.pl.umap(lo.read_h5ad(path), color=["CD4", "louvain", "NKG7", "CST3"], show=False)
    assert 0 < genes.values <= 1
    assert 0 < genes.indices <= 1
    with count_passes(path, "raw/X") as columns:
        lo.pl.umap(lo.read_h5ad(path), color=["louvain", "n_genes"], show=False)
    assert columns.values == columns.indices == 0


def test_genes_are_read_in_one_call(pbmc, monkeypatch):
    from lazyomics.pl import values

    calls = []
    read = values.obs_df
    monkeypatch.setattr(values, "obs_df", lambda *a, **k: calls.append(k["keys"]) or read(*a, **k))
    lo.pl.umap(pbmc, color=["CD4", "louvain", "NKG7", "CD4"], show=False)
    assert calls == [["CD4", "NKG7"]]
    lo.pl.umap(pbmc, color=["louvain", "n_genes"], show=False)
    assert len(calls) == 1
    assert not isinstance(pbmc.X, np.ndarray)


def test_palette_of_a_subset_leaves_the_parent_alone(pbmc):
    before = list(pbmc.uns["louvain_colors"])
    t_cells = pbmc[pbmc.obs["louvain"].isin(["CD4 T cells", "CD8 T cells"])]
    lo.pl.umap(t_cells, color="louvain", palette=["red", "blue"], show=False)
    assert list(t_cells.uns["louvain_colors"]) == ["#ff0000", "#0000ff"]
    assert list(pbmc.uns["louvain_colors"]) == before


def test_subset_keeps_the_colors_of_its_categories(pbmc):
    colors = dict(zip(pbmc.obs["louvain"].cat.categories, pbmc.uns["louvain_colors"], strict=True))
    t_cells = pbmc[pbmc.obs["louvain"].isin(["CD4 T cells", "CD8 T cells"])]
    ax = lo.pl.umap(t_cells, color="louvain", show=False)
    labels = legend_texts(ax)
    assert set(labels) == {"CD4 T cells", "CD8 T cells"}
    handles = ax.get_legend().legend_handles
    from matplotlib.colors import to_hex

    shown = {label: to_hex(h.get_facecolor()[0]) for label, h in zip(labels, handles, strict=True)}
    assert shown == {label: colors[label] for label in labels}


def test_edges_of_an_opened_file(pbmc):
    ax = lo.pl.umap(pbmc, edges=True, edges_color="red", show=False)
    (lines,) = (c for c in ax.collections if isinstance(c, LineCollection))
    segments = np.array(lines.get_segments())
    stored = pbmc.obsp["connectivities"]
    graph = stored.compute().to_scipy() if hasattr(stored, "compute") else stored
    rows, cols = graph.nonzero()
    upper = rows < cols
    umap = pbmc.obsm["X_umap"]
    assert len(segments) == upper.sum()
    expected = np.stack([umap[rows[upper]], umap[cols[upper]]], axis=1)
    order = np.lexsort(expected.reshape(-1, 4).T)
    found = np.lexsort(segments.reshape(-1, 4).T)
    np.testing.assert_allclose(segments[found], expected[order], rtol=1e-6)


def test_edges_need_neighbors(small):
    with pytest.raises(ValueError, match=r"pp\.neighbors"):
        lo.pl.umap(small, edges=True, show=False)


def test_given_axes_are_used(small):
    figure, (left, right) = plt.subplots(1, 2)
    box = left.get_position().bounds
    assert lo.pl.umap(small, color="cell_type", ax=left, show=False) is left
    np.testing.assert_allclose(left.get_position().bounds, box)
    assert lo.pl.umap(small, color="score", ax=right, return_fig=True) is figure
    with pytest.raises(ValueError, match="single panel"):
        lo.pl.umap(small, color=["cell_type", "score"], ax=left)


def test_unsigned_integers_are_drawn_in_order(small):
    small.obs["counts"] = np.arange(90, dtype=np.uint16)[::-1].copy()
    ax = lo.pl.umap(small, color="counts", show=False)
    assert (np.diff(scatter_of(ax).get_array()) > 0).all()


def test_nullable_columns(small):
    import pandas as pd

    small.obs["int"] = pd.array([None, *range(89)], dtype="Int64")
    small.obs["bool"] = pd.array([None, *([True, False] * 44), True], dtype="boolean")
    axes = lo.pl.umap(small, color=["int", "bool"], show=False)
    numbers = np.ma.masked_invalid(scatter_of(axes[0]).get_array())
    assert numbers.count() == 89
    assert numbers.max() == 88
    assert legend_texts(axes[1]) == ["False", "True", "NA"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"color": "cel_type"}, KeyError, "cell_type"),
        ({"color": "LYX"}, KeyError, "LYZ"),
        ({"basis": "X_phate"}, KeyError, "X_umap"),
        ({"color": "LYZ", "layer": "spliced"}, KeyError, "spliced"),
        ({"color": "LYZ", "gene_symbols": "name"}, KeyError, "symbol"),
        ({"color": "LYZ", "use_raw": True}, ValueError, "no raw"),
        ({"color": "LYZ", "use_raw": True, "layer": "scaled"}, ValueError, "not both"),
        ({"color": "score", "vmin": 0, "norm": LogNorm(1, 2)}, ValueError, "not both"),
        ({"color": "score", "vmax": "q99"}, ValueError, "p99"),
        ({"color": ["score", "LYZ", "NKG7"], "vmax": [1, 2]}, ValueError, "fewer"),
        ({"cmap": "Reds", "color_map": "Blues"}, ValueError, "not both"),
        ({"color": "cell_type", "groups": "T", "mask_obs": "passed"}, ValueError, "not both"),
        ({"mask_obs": np.ones(3, bool)}, ValueError, "shape"),
        ({"size": [1.0, 2.0]}, ValueError, "shape"),
        ({"dimensions": (0, 5)}, ValueError, "0 to 1"),
        ({"components": "1,2", "dimensions": (0, 1)}, ValueError, "not both"),
        ({"components": "one,two"}, ValueError, "1,2"),
        ({"color": []}, ValueError, "empty"),
        ({"color": ["score", "LYZ"], "marker": [".", "x", "o"]}, ValueError, "2 of color"),
    ],
)
def test_wrong_arguments(options, error, message, small):
    basis = options.pop("basis", "umap")
    with pytest.raises(error, match=message):
        lo.pl.embedding(small, basis, show=False, **options)


def test_wrappers_show_the_parameters_of_embedding():
    import inspect

    parameters = inspect.signature(lo.pl.umap).parameters
    assert "legend_loc" in parameters
    assert "basis" not in parameters
    assert parameters["color"].default is None
