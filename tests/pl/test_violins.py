from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import FillBetweenPolyCollection, LineCollection, PathCollection
from matplotlib.colors import to_rgb

import lazyomics as lo
from lazyomics.pl.violins import estimate, half_widths


def bodies(ax):
    return [c for c in ax.collections if isinstance(c, FillBetweenPolyCollection)]


def shape(x):
    """Distance from the middle as a share of the width."""
    return (x - (x.max() + x.min()) / 2) / (x.max() - x.min())


def points(ax):
    return [c for c in ax.collections if isinstance(c, PathCollection)]


def assert_same_panel(ours, theirs):
    mine, other = bodies(ours), bodies(theirs)
    assert len(mine) == len(other)
    for place, (body, their_body) in enumerate(zip(mine, other, strict=True)):
        outline, their_outline = (b.get_paths()[0].vertices for b in (body, their_body))
        np.testing.assert_allclose(outline[:, 1], their_outline[:, 1], rtol=1e-6)
        # Seaborn moves violins of one colour each sideways with pandas 3, and makes them narrow.
        widths, their_widths = shape(outline[:, 0]), shape(their_outline[:, 0])
        np.testing.assert_allclose(widths, their_widths, atol=1e-4)
        np.testing.assert_allclose(outline[:, 0].max() + outline[:, 0].min(), 2 * place, atol=1e-9)
        np.testing.assert_allclose(body.get_facecolor(), their_body.get_facecolor(), atol=1e-2)
        np.testing.assert_allclose(body.get_edgecolor(), their_body.get_edgecolor(), atol=1e-2)
    assert_same_lines(ours, theirs)
    for dots, their_dots in zip(points(ours), points(theirs), strict=True):
        np.testing.assert_allclose(dots.get_offsets()[:, 1], their_dots.get_offsets()[:, 1])
        np.testing.assert_allclose(dots.get_sizes()[0], their_dots.get_sizes()[0])
    assert ours.get_xlabel() == theirs.get_xlabel()
    assert ours.get_ylabel() == theirs.get_ylabel()
    assert ours.get_yscale() == theirs.get_yscale()
    labels, their_labels = ([t.get_text() for t in ax.get_xticklabels()] for ax in (ours, theirs))
    assert labels == their_labels


def assert_same_lines(ours, theirs):
    """What is inside of the violins."""
    assert len(ours.lines) == len(theirs.lines)
    for line, other in zip(ours.lines, theirs.lines, strict=True):
        np.testing.assert_allclose(line.get_ydata(), other.get_ydata(), rtol=1e-6)
        assert line.get_linewidth() == pytest.approx(other.get_linewidth())
        assert line.get_linestyle() == other.get_linestyle()
        assert line.get_marker() == other.get_marker()
        assert line.get_markersize() == pytest.approx(other.get_markersize())
    sticks, others = (
        [c for c in ax.collections if isinstance(c, LineCollection)] for ax in (ours, theirs)
    )
    for mine, same in zip(sticks, others, strict=True):
        np.testing.assert_allclose(
            [segment[:, 1] for segment in mine.get_segments()],
            [segment[:, 1] for segment in same.get_segments()],
        )
        np.testing.assert_allclose(mine.get_linewidth(), same.get_linewidth())


@pytest.mark.parametrize(
    "options",
    [
        {"keys": "n_genes"},
        {"keys": ["CST3", "NKG7"]},
        {"keys": "n_genes", "groupby": "louvain"},
        {"keys": ["n_genes", "CST3"], "groupby": "louvain", "rotation": 90},
        {"keys": "CST3", "groupby": "louvain", "use_raw": False, "stripplot": False},
        {"keys": "n_genes", "groupby": "louvain", "log": True, "size": 3},
        {"keys": ["n_genes", "n_counts"], "density_norm": "area"},
        {"keys": ["n_genes", "n_counts"], "density_norm": "count"},
        {"keys": "n_genes", "groupby": "louvain", "xlabel": "cell type", "ylabel": "genes"},
        {"keys": "n_genes", "groupby": "louvain", "inner": "box"},
        {"keys": "n_genes", "groupby": "louvain", "inner": "box", "inner_kws": {"box_width": 3}},
        {"keys": ["n_genes", "n_counts"], "inner": "quartile", "linewidth": 2},
        {"keys": "CST3", "inner": "point", "stripplot": False},
        {"keys": "CST3", "inner": "stick", "stripplot": False, "linecolor": "red"},
        {"keys": "CST3", "groupby": "louvain", "inner": None, "cut": 2},
        {"keys": "CST3", "bw": 0.1},
        {"keys": "CST3", "bw_method": "silverman", "bw_adjust": 2, "gridsize": 50},
        {"keys": "n_genes", "width": 0.4, "saturation": 1, "gap": 0.1},
        {"keys": "n_genes", "groupby": "louvain", "fill": False, "inner": "quart"},
        {"keys": ["n_genes", "n_counts"], "scale": "count", "color": "red", "alpha": 0.5},
    ],
    ids=" ".join,
)
def test_equals_scanpy(options, pbmc, pbmc_scanpy, sc):
    pytest.importorskip("seaborn", reason="scanpy draws violins with seaborn")
    ours = lo.pl.violin(pbmc, show=False, **options)
    theirs = sc.pl.violin(pbmc_scanpy, show=False, **options)
    for mine, other in zip(np.ravel(ours), np.ravel(theirs), strict=True):
        assert_same_panel(mine, other)


def test_order_selects_and_sorts(pbmc):
    colors = dict(zip(pbmc.obs["louvain"].cat.categories, pbmc.uns["louvain_colors"], strict=True))
    ax = lo.pl.violin(pbmc, "n_genes", "louvain", order=["NK cells", "B cells"], show=False)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["NK cells", "B cells"]
    values = pbmc.obs["n_genes"][pbmc.obs["louvain"] == "NK cells"]
    np.testing.assert_allclose(points(ax)[0].get_offsets()[:, 1], values)
    red, green, blue, _ = bodies(ax)[0].get_facecolor()[0]
    full = to_rgb(colors["NK cells"])
    assert np.argsort([red, green, blue]).tolist() == np.argsort(full).tolist()


def test_panel_for_each_key(small):
    axes = lo.pl.violin(small, ["n_genes", "score", "LYZ"], multi_panel=True, show=False)
    assert [ax.get_title() for ax in axes] == ["n_genes", "score", "LYZ"]
    assert [len(bodies(ax)) for ax in axes] == [1, 1, 1]
    assert len({ax.get_ylim() for ax in axes}) == 3
    boxes = [ax.get_position() for ax in axes]
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_names_that_would_overlap_are_turned(pbmc):
    wide = lo.pl.violin(pbmc, "n_genes", "louvain", show=False)
    assert {label.get_rotation() for label in wide.get_xticklabels()} == {90}
    narrow = lo.pl.violin(pbmc, ["n_genes", "CST3"], show=False)
    assert {label.get_rotation() for label in narrow.get_xticklabels()} == {0}


@pytest.mark.parametrize("groupby", ["text", "passed", "partly"])
def test_columns_that_group(groupby, small):
    ax = lo.pl.violin(small, "score", groupby, show=False)
    groups = small.obs[groupby].astype(str).where(small.obs[groupby].notna()).dropna()
    assert {t.get_text() for t in ax.get_xticklabels()} == set(groups)
    assert len(small.uns[f"{groupby}_colors"]) == groups.nunique()


def test_given_axes_layer_and_palette(small):
    _, ax = plt.subplots()
    palette = {"T": "red", "B": "lime", "Mono": "blue"}
    drawn = lo.pl.violin(
        small, "LYZ", "cell_type", layer="scaled", palette=palette, ax=ax, show=False
    )
    assert drawn is ax
    values = np.concatenate([p.get_offsets()[:, 1] for p in points(ax)])
    np.testing.assert_allclose(np.sort(values), np.sort(small.layers["scaled"][:, 2]))
    assert small.uns["cell_type_colors"] == ["#ff0000", "#00ff00", "#0000ff"]


def test_plots_repeat_and_leave_random_numbers_alone(small):
    np.random.seed(1)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (lo.pl.violin(small, "score", show=False) for _ in range(2))
    np.testing.assert_array_equal(points(first)[0].get_offsets(), points(second)[0].get_offsets())
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_single_values_are_lines(small):
    small.obs["constant"] = 3.0
    ax = lo.pl.violin(small, "constant", show=False)
    assert bodies(ax) == []
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [3, 3])


def test_missing_values_and_empty_groups(small):
    small.obs["cell_type"] = small.obs["cell_type"].cat.add_categories(["nobody"])
    ax = lo.pl.violin(small, "gappy", "cell_type", show=False)
    assert len(bodies(ax)) == 3
    assert [t.get_text() for t in ax.get_xticklabels()][-1] == "nobody"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"keys": "nothing"}, KeyError, "n_genes"),
        ({"keys": "cell_type"}, TypeError, "numbers"),
        ({"groupby": "nothing"}, KeyError, "cell_type"),
        ({"groupby": "n_genes"}, TypeError, "numeric"),
        ({"groupby": "cell_type", "order": ["NK"]}, KeyError, "Mono"),
        ({"keys": ["score", "LYZ"], "groupby": "batch", "ylabel": ["a"]}, ValueError, "2 panels"),
        ({"density_norm": "height"}, ValueError, "width"),
        ({"scale": "height"}, ValueError, "width"),
        ({"inner": "egg"}, ValueError, "stick"),
    ],
)
def test_wrong_arguments(options, error, message, small):
    with pytest.raises(error, match=message):
        lo.pl.violin(small, show=False, **{"keys": "score", **options})


def test_one_ax_for_several_panels(small):
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match="single panel"):
        lo.pl.violin(small, ["score", "LYZ"], "cell_type", ax=ax, show=False)


def test_density_integrates_to_its_share():
    values = np.random.default_rng(0).normal(size=500)
    density = estimate(values)
    assert 0.95 < np.trapezoid(density.height, density.support) < 1.0


def test_widths():
    a, b = estimate(np.arange(10.0)), estimate(np.arange(20.0) * 3)
    wide = half_widths([a, b], "width")
    assert [w.max() for w in wide] == pytest.approx([0.4, 0.4])
    count = half_widths([a, b], "count")
    assert [w.max() for w in count] == pytest.approx([0.2, 0.4])
    area = half_widths([a, b], "area")
    assert area[0].max() == pytest.approx(0.4)
    assert area[1].max() < 0.2
