from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cycler import cycler
from matplotlib.colors import to_hex

import lazyomics as lo
from lazyomics.pl import figure
from lazyomics.pl.coloring import category_colors, default_colors, palette_colors


@pytest.mark.parametrize("count", [1, 10, 11, 20, 21, 28, 29, 102, 103])
def test_defaults_equal_scanpy(count, sc):
    anndata = pytest.importorskip("anndata", reason="compared with scanpy")
    groups = pd.Categorical([f"{i:03}" for i in range(count)])
    obs = pd.DataFrame({"g": groups}, index=[f"c{i}" for i in range(count)])
    parts = {"obs": obs, "obsm": {"X_umap": np.zeros((count, 2))}}
    other = anndata.AnnData(np.zeros((count, 1)), **parts)
    sc.pl.umap(other, color="g", legend_loc=None, show=False)
    ours = lo.AnnData(np.zeros((count, 1)), **parts)
    assert list(category_colors(ours, "g", groups.categories).values()) == other.uns["g_colors"]
    assert list(ours.uns["g_colors"]) == other.uns["g_colors"]


def test_tables_equal_scanpy(sc):
    theirs = sc.pl.module.palettes
    assert list(figure.DEFAULT_20) == theirs.default_20
    assert list(figure.DEFAULT_28) == theirs.default_28
    assert list(figure.DEFAULT_102) == theirs.default_102


def kinds(small):
    return small.obs["cell_type"].cat.categories


def test_stored_colors_are_used_and_left_alone(small):
    stored = np.array(["red", "#00ff00", "b"])
    small.uns["cell_type_colors"] = stored
    colors = category_colors(small, "cell_type", kinds(small))
    assert colors == {"T": "#ff0000", "B": "#00ff00", "Mono": "#0000ff"}
    assert small.uns["cell_type_colors"] is stored


def test_stored_rgb_rows(small):
    small.uns["cell_type_colors"] = np.eye(3)
    colors = category_colors(small, "cell_type", kinds(small))
    assert list(colors.values()) == ["#ff0000", "#00ff00", "#0000ff"]


def test_color_names_of_r_are_translated(small):
    small.uns["cell_type_colors"] = ["gold2", "firebrick3", "red"]
    colors = category_colors(small, "cell_type", kinds(small))
    assert colors["T"] == "#eec900"
    assert small.uns["cell_type_colors"] == ["#eec900", "#cd2626", "red"]


@pytest.mark.parametrize("stored", [["red"], ["red", "blue", "no colour"]])
def test_unusable_colors_are_replaced(stored, small):
    small.uns["cell_type_colors"] = stored
    category_colors(small, "cell_type", kinds(small))
    assert small.uns["cell_type_colors"] == default_colors(3)


def test_colors_of_lost_categories_are_kept(small):
    small.uns["cell_type_colors"] = ["red", "green", "blue", "gray"]
    assert len(category_colors(small, "cell_type", kinds(small))) == 3
    assert len(small.uns["cell_type_colors"]) == 4


@pytest.mark.parametrize(
    "palette",
    [
        {"a": "red", "b": "lime", "c": "blue"},
        ["red", "lime", "blue", "gray"],
        ("r", "#00ff00", "b"),
        cycler(color=["red", "lime", "blue"]),
    ],
)
def test_palettes(palette):
    assert palette_colors(palette, pd.Index(list("abc"))) == ["#ff0000", "#00ff00", "#0000ff"]


def test_short_palettes_repeat():
    red, blue = "#ff0000", "#0000ff"
    assert palette_colors(["red", "blue"], pd.Index(list("abc"))) == [red, blue, red]


@pytest.mark.parametrize(
    ("palette", "message"),
    [
        ("no such map", "no such map"),
        ({"a": "red"}, "no colour for"),
        (["red", "nothing"], "nothing"),
        (cycler(marker=["x"]), "color"),
        ([], "empty"),
    ],
)
def test_wrong_palettes(palette, message):
    with pytest.raises(ValueError, match=message):
        palette_colors(palette, pd.Index(list("abc")))


def test_cycle_of_matplotlib_comes_first():
    import matplotlib as mpl

    assert default_colors(3) == [to_hex(c) for c in mpl.colormaps["tab10"].colors[:3]]
