"""pl.paga, pl.paga_compare and pl.paga_path: what they draw is what scanpy's draw."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import lazyomics as lo
from tests.tl.test_paga import grouped
from tests.tl.trajectories import for_scanpy

pytestmark = pytest.mark.filterwarnings(
    "ignore:The 'future.infer_string' option:DeprecationWarning"
)


@pytest.fixture
def cells():
    adata = grouped()
    adata.obs["half"] = adata.obs["half"].cat.rename_categories({"x": "odd", "y": "even"})
    lo.tl.paga(adata)
    lo.tl.paga(adata, use_rna_velocity=True)
    adata.obsm["X_umap"] = np.random.default_rng(0).normal(size=(adata.n_obs, 2))
    adata.obs["dpt_pseudotime"] = np.random.default_rng(1).random(adata.n_obs).astype("f4")
    return adata


def lines(ax):
    """Ends and width of the lines, whatever their order and direction."""
    from matplotlib.collections import LineCollection

    found = []
    for drawn in ax.collections:
        if isinstance(drawn, LineCollection):
            widths = np.broadcast_to(drawn.get_linewidths(), len(drawn.get_segments()))
            for ends, width in zip(drawn.get_segments(), widths, strict=True):
                found.append((*sorted(map(tuple, ends.round(9).tolist())), round(float(width), 9)))
    return sorted(found)


def nodes(ax):
    from matplotlib.collections import PathCollection

    drawn = [one for one in ax.collections if isinstance(one, PathCollection)]
    for one in drawn:
        one.update_scalarmappable()
    parts = ("get_offsets", "get_sizes", "get_facecolors")
    return [np.concatenate([getattr(one, part)() for one in drawn]) for part in parts]


def same_axes(ours, theirs):
    ours, theirs = np.atleast_1d(ours), np.atleast_1d(theirs)
    assert len(ours) == len(theirs)
    for found, expected in zip(ours, theirs, strict=True):
        assert lines(found) == lines(expected)
        for a, b in zip(nodes(found), nodes(expected), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
        assert [t.get_text() for t in found.texts] == [t.get_text() for t in expected.texts]
        assert [t.get_size() for t in found.texts] == [t.get_size() for t in expected.texts]
        assert found.get_title() == expected.get_title()
        heads = [[p.get_linewidth() for p in ax.patches] for ax in (found, expected)]
        np.testing.assert_allclose(sorted(heads[0]), sorted(heads[1]))
        np.testing.assert_allclose(found.get_xlim(), expected.get_xlim())
        np.testing.assert_allclose(found.get_ylim(), expected.get_ylim())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"color": "half", "dashed_edges": "connectivities_tree", "max_edge_width": 3, "title": "t"},
        {"color": ["g0", "score", "degree_solid"], "threshold": 0.05, "cmap": "magma"},
        {"layout": "rt", "root": 2, "solid_edges": "connectivities_tree", "color": "red"},
        {"layout": "eq_tree", "root": 3, "transitions": "transitions_confidence"},
        {"layout": "circle", "labels": list("abcdef"), "fontsize": 7, "node_size_power": 1},
        {"layout": "kk", "init_pos": np.arange(12.0).reshape(6, 2) ** 1.5, "min_edge_width": 1},
        {"pos": np.arange(12.0).reshape(6, 2), "edge_width_scale": 2, "node_size_scale": 3},
        {"random_state": 5, "color": ["red", "g", "b", "k", "y", "c"], "frameon": False},
        {"color": {k: {"red": 0.25, "blue": 0.5} for k in range(6)}, "add_pos": False},
    ],
    ids=lambda options: " ".join(options) or "plain",
)
def test_nodes_and_edges_are_scanpys(sc, cells, options):
    theirs = for_scanpy(cells)
    # for colour bars, it looks up lists and mappings among the columns of obs, and fails
    whole = isinstance(options.get("color"), list | dict) and len(options["color"]) == 6
    more = {"colorbar": False} if whole else {}
    try:
        expected = sc.pl.paga(theirs, show=False, **options, **more)
    except TypeError:
        assert options["layout"] == "rt"
        pytest.skip("scanpy 1.12 cannot lay out trees")
    found = lo.pl.paga(cells, show=False, **options)
    same_axes(found, expected)
    assert ("pos" in cells.uns["paga"]) == options.get("add_pos", True)
    if "pos" in cells.uns["paga"]:
        np.testing.assert_allclose(cells.uns["paga"]["pos"], theirs.uns["paga"]["pos"], atol=1e-12)


def test_colour_bars_files_and_no_plot(cells, figure_folder, tmp_path):
    from matplotlib import pyplot as plt

    assert lo.pl.paga(cells, plot=False) is None
    assert not plt.get_fignums()
    ax = lo.pl.paga(cells, color="g1", show=False)
    assert len(ax.figure.axes) == 2
    assert len(lo.pl.paga(cells, color="g1", colorbar=False, show=False).figure.axes) == 1
    figure, (left, right) = plt.subplots(1, 2)
    given = {"color": ["g1", "g2"], "ax": [left, right], "cb_kwds": {"ticks": [0.0]}}
    assert lo.pl.paga(cells, show=False, **given) == [left, right]
    assert len(figure.axes) == 4
    lo.pl.paga(cells, save="_x.png", show=False)
    assert (figure_folder / "paga_x.png").stat().st_size > 1000
    gdf = "nodedef>name,a,b,c,x,y\n" + "".join(f"n{k},0,0,0,{k},{k + 1}\n" for k in range(6))
    (tmp_path / "a.gdf").write_text(gdf + "edgedef>node1,node2\n0,1\n")
    lo.pl.paga(cells, pos=tmp_path / "a.gdf", show=False)
    np.testing.assert_array_equal(cells.uns["paga"]["pos"][:, 1], np.arange(1, 7))


def test_only_the_largest_component(cells):
    edges = np.zeros((6, 6))
    edges[[0, 2, 2, 3], [1, 3, 4, 4]] = 0.5
    cells.uns["paga"] = {**cells.uns["paga"], "c": sparse.csr_matrix(edges + edges.T)}
    ax = lo.pl.paga(cells, solid_edges="c", single_component=True, color="half", show=False)
    assert [text.get_text() for text in ax.texts] == ["2", "3", "4"]
    assert len(lines(ax)) == 3


def test_umap_begins_where_the_groups_were_drawn(cells):
    lo.pl.paga(cells, plot=False)
    lo.tl.umap(cells, init_pos="paga", maxiter=1, alpha=1e-6)
    start = pd.DataFrame(cells.obsm["X_umap"]).groupby(cells.obs["leiden"].to_numpy()).mean()
    drawn = cells.uns["paga"]["pos"]
    assert np.corrcoef(start[0], drawn[:, 0])[0, 1] > 0.8
    assert np.corrcoef(start[1], drawn[:, 1])[0, 1] > 0.8


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"color": "half", "legend_fontsize": 8, "legend_fontoutline": 2, "title": "t"},
        {"threshold": 0.3, "edge_width_scale": 2},
        {"basis": "umap", "title": "a", "title_graph": "b", "groups_graph": list("abcdef")},
    ],
    ids=str,
)
def test_compared_graph_is_scanpys(sc, cells, options):
    lo.pl.paga(cells, plot=False)
    theirs = for_scanpy(cells)
    expected = sc.pl.paga_compare(theirs, show=False, **options)
    found = lo.pl.paga_compare(cells, show=False, **options)
    same_axes(found[1], expected[1])
    np.testing.assert_allclose(cells.uns["paga"]["pos"], theirs.uns["paga"]["pos"])
    assert found[0].get_title() == expected[0].get_title()
    suptitles = [ax.figure.get_suptitle() for ax in (found[0], expected[0])]
    assert suptitles[0] == suptitles[1]


@pytest.mark.parametrize(
    "options",
    [
        {"n_avg": 7, "annotations": ["dpt_pseudotime", "score"]},
        {"normalize_to_zero_one": True, "show_yticks": False, "use_raw": False, "n_avg": 2},
        {"as_heatmap": False, "n_avg": 3},
        {"annotations": [], "groups_key": "arm", "title": "t"},
    ],
    ids=str,
)
def test_values_along_a_path_are_scanpys(sc, cells, options):
    cells.raw = cells.copy()
    nodes = ["arm1", "arm0"] if "groups_key" in options else [4, 0, 1]
    call = {"return_data": True, "show": False, **options}
    keys = ["g0", "score", "g5"] if "n_avg" in options else ["g0", "g5"]  # else scanpy fails
    shown, expected = sc.pl.paga_path(for_scanpy(cells), nodes, keys, **call)
    ax, found = lo.pl.paga_path(cells, nodes, keys, **call)
    assert list(found) == list(expected)
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6, atol=1e-6)
    assert len(ax.figure.axes) == len(shown.figure.axes)
    assert ax.get_title() == shown.get_title()
    for ours, theirs in zip(ax.get_lines(), shown.get_lines(), strict=True):
        np.testing.assert_allclose(ours.get_ydata(), theirs.get_ydata(), rtol=1e-6)


def test_genes_of_a_file_are_read_once(cells, tmp_path, count_passes):
    cells.write_h5ad(tmp_path / "a.h5ad")
    opened = lo.read_h5ad(tmp_path / "a.h5ad")
    lo.pl.paga(opened, plot=False)
    with count_passes(tmp_path / "a.h5ad") as passes:
        lo.pl.paga_path(opened, ["1", "0"], ["g0", "g3"], show=False)
    assert passes.values <= 1.01
    opened.write()
    assert lo.read_h5ad(tmp_path / "a.h5ad").uns["paga"]["pos"].shape == (6, 2)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"color": "nothing"}, KeyError, "nothing"),
        ({"color": ["r"] * 5 + [["b", "g"]], "labels": ["a"]}, ValueError, "labels"),
        ({"color": "degree_dashed"}, ValueError, "needs dashed_edges"),
        ({"color": {0: {"red": 1}}}, ValueError, "mapping"),
        ({"color": {str(k): {"red": 1, "b": 1} for k in range(6)}}, ValueError, "more than 1"),
        ({"solid_edges": "nothing"}, ValueError, "no 'nothing'; there are"),
        ({"pos": np.zeros((3, 2))}, ValueError, "expected finite places"),
        ({"pos": "a.txt"}, ValueError, "expected a .gdf"),
        ({"root": "nobody", "layout": "rt"}, ValueError, "is no group"),
        ({"init_pos": np.zeros((2, 2))}, ValueError, "init_pos has shape"),
        ({"export_to_gexf": True}, ValueError, "not written"),
        ({"title": ["a", "b"]}, ValueError, "title has 2"),
    ],
)
def test_refusals(cells, options, error, message):
    with pytest.raises(error, match=message):
        lo.pl.paga(cells, show=False, **options)


def test_refusals_of_the_others(cells):
    with pytest.raises(ValueError, match="no 'pos'"):
        lo.pl.paga_compare(cells, color="half", show=False)
    with pytest.raises(ValueError, match="only '2d'"):
        lo.pl.paga_compare(cells, projection="3d")
    for nodes, options, message in (
        (["9"], {}, "'9' is no group"),
        (["1"], {"n_avg": 999}, "n_avg=999"),
        (["1"], {"annotations": ["no"]}, r"\['no'\] are no columns"),
        ([], {}, "nodes must be a list"),
    ):
        with pytest.raises(ValueError, match=message):
            lo.pl.paga_path(cells, nodes, ["g0"], **options)
    with pytest.raises(KeyError, match="nothing"):
        lo.pl.paga_path(cells, ["1"], ["nothing"])
    del cells.obs["dpt_pseudotime"]
    with pytest.raises(ValueError, match=r"run lo\.tl\.dpt"):
        lo.pl.paga_path(cells, ["1"], ["g0"])
    del cells.uns["paga"]
    with pytest.raises(ValueError, match=r"run lo\.tl\.paga"):
        lo.pl.paga(cells)
