"""Correlations, loadings, densities, images and solid embeddings beside scanpy's."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

import lazyomics as lo

NAMES = [
    *("clustermap", "correlation_matrix", "embedding", "embedding_density"),
    *("heatmap", "paga_adjacency", "pca_loadings", "rank_genes_groups_heatmap"),
    *("rank_genes_groups_stacked_violin", "rank_genes_groups_tracksplot"),
    *("rank_genes_groups_violin", "ranking", "spatial", "stacked_violin", "tracksplot"),
]


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_scanpys(name, sc):
    theirs = inspect.signature(getattr(sc.pl.module, name)).parameters
    ours = inspect.signature(getattr(lo.pl, name)).parameters
    assert set(ours) == set(theirs)
    for key, parameter in theirs.items():
        assert ours[key].kind is parameter.kind, key
        if "Empty" not in repr(parameter.default) and "empty" not in repr(parameter.default):
            assert ours[key].default == parameter.default, key


@pytest.mark.parametrize("dendrogram", [True, False])
def test_correlations_equal_scanpy(dendrogram, small, small_scanpy, sc):
    sc.tl.dendrogram(small_scanpy, "cell_type", use_rep="X_pca")
    small.uns["dendrogram_cell_type"] = small_scanpy.uns["dendrogram_cell_type"]
    options = {"dendrogram": dendrogram, "show_correlation_numbers": True, "show": False}
    ours, theirs = (
        pl.correlation_matrix(adata, "cell_type", **options)
        for pl, adata in ((lo.pl, small), (sc.pl, small_scanpy))
    )
    assert len(ours) == len(theirs) == 2 + dendrogram
    mine, other = ours[-2], theirs[-2]
    np.testing.assert_allclose(mine.collections[0].get_array(), other.collections[0].get_array())
    assert mine.collections[0].get_clim() == other.collections[0].get_clim()
    for which in ("get_xticklabels", "get_yticklabels"):
        labels = [[t.get_text() for t in getattr(ax, which)()] for ax in (mine, other)]
        assert labels[0] == labels[1]
    assert [t.get_text() for t in mine.texts] == [t.get_text() for t in other.texts]


@pytest.mark.parametrize("lowest", [True, False])
def test_loadings_equal_scanpy(lowest, pbmc, pbmc_scanpy, sc):
    options = {"components": "1,3", "include_lowest": lowest, "n_points": 9, "show": False}
    ours = lo.pl.pca_loadings(pbmc, **options)
    sc.pl.pca_loadings(pbmc_scanpy, **options)
    for mine, other in zip(ours, plt.gcf().axes, strict=True):
        assert mine.get_title() == other.get_title()
        np.testing.assert_allclose(mine.get_xlim(), other.get_xlim())
        found = [
            sorted((*t.get_position(), t.get_text()) for t in ax.texts) for ax in (mine, other)
        ]
        assert [row[2] for row in found[0]] == [row[2] for row in found[1]]
        np.testing.assert_allclose(*([row[:2] for row in rows] for rows in found), rtol=1e-6)
    pbmc.uns["pca"] = {"variance_ratio": np.array([0.5, 0.2, 0.1])}
    lo.pl.pca_overview(pbmc, color="louvain", show=False)
    with pytest.raises(ValueError, match="count from 1"):
        lo.pl.pca_loadings(pbmc, [0], show=False)
    with pytest.raises(KeyError, match="nothing"):
        lo.pl.ranking(pbmc, "varm", "nothing", show=False)


@pytest.mark.parametrize("groupby", [None, "cell_type"])
def test_densities_equal_scanpy(groupby, small, small_scanpy, sc):
    for tl, adata in ((lo.tl, small), (sc.tl, small_scanpy)):
        tl.embedding_density(adata, "umap", groupby=groupby)
    options = {"groupby": groupby, "show": False}
    if groupby:
        options["group"] = ["B", "Mono"]
    ours = lo.pl.embedding_density(small, **options)
    theirs = sc.pl.embedding_density(small_scanpy, **options)
    many = [axes if isinstance(axes, list) else [axes] for axes in (ours, theirs)]
    for mine, other in zip(*many, strict=True):
        assert mine.get_title() == other.get_title()
        dots, their_dots = mine.collections[0], other.collections[0]
        np.testing.assert_allclose(dots.get_sizes(), their_dots.get_sizes())
        np.testing.assert_allclose(dots.get_offsets(), their_dots.get_offsets())
        np.testing.assert_allclose(dots.get_array(), their_dots.get_array(), atol=1e-6)
    assert not [key for key in small.obs if "tmp" in key]


def test_spatial_equals_scanpy(small, small_scanpy, sc):
    image = np.random.default_rng(0).random((30, 40, 3))
    scale = {"tissue_hires_scalef": 0.2, "spot_diameter_fullres": 9.0}
    spots = np.random.default_rng(1).random((small.n_obs, 2)) * 150
    drawn = []
    for pl, adata in ((lo.pl, small), (sc.pl, small_scanpy)):
        adata.obsm["spatial"] = spots
        adata.uns["spatial"] = {"slide": {"images": {"hires": image}, "scalefactors": scale}}
        options = {"color": ["cell_type", "score"], "crop_coord": (0, 100, 10, 90), "show": False}
        drawn.append((pl.spatial(adata, **options), pl.spatial(adata, bw=True, show=False)))
    for ours, theirs in zip(*drawn, strict=True):
        for mine, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(mine.images[0].get_array(), other.images[0].get_array())
            np.testing.assert_allclose(mine.get_xlim(), other.get_xlim())
            np.testing.assert_allclose(mine.get_ylim(), other.get_ylim())
            circles = other.collections[0].get_paths()
            middles = [path.get_extents().get_points().mean(axis=0) for path in circles]
            np.testing.assert_allclose(mine.collections[0].get_offsets(), middles, atol=1e-6)
            wide = circles[0].get_extents().width
            np.testing.assert_allclose(mine.collections[0].get_widths(), wide, rtol=1e-6)
    with pytest.raises(KeyError, match="slide"):
        lo.pl.spatial(small, library_id="other", show=False)


def test_three_dimensions_equal_scanpy(small, small_scanpy, sc):
    options = {"color": ["cell_type", "LYZ"], "projection": "3d", "show": False}
    ours, theirs = lo.pl.pca(small, **options), sc.pl.pca(small_scanpy, **options)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.get_zlabel() == other.get_zlabel() == "PC3"
        places = [np.array(ax.collections[0]._offsets3d) for ax in (mine, other)]
        np.testing.assert_allclose(*places)
    with pytest.raises(ValueError, match="expected three"):
        lo.pl.umap(small, projection="3d", show=False)
    with pytest.raises(ValueError, match="two dimensions"):
        lo.pl.pca(small, projection="3d", arrows=True, show=False)


def test_arrows_equal_scanpy(small, small_scanpy, sc):
    steps = np.random.default_rng(0).normal(size=(small.n_obs, 2))
    for adata in (small, small_scanpy):
        adata.obsm["Delta_umap"] = steps
    options = {"color": "score", "arrows": True, "arrows_kwds": {"color": "red"}, "show": False}
    arrows = [
        pl.umap(adata, **options).collections[1]
        for pl, adata in ((lo.pl, small), (sc.pl, small_scanpy))
    ]
    np.testing.assert_allclose(arrows[0].get_offsets(), arrows[1].get_offsets())
    np.testing.assert_allclose(arrows[0].U, arrows[1].U)
    with pytest.raises(ValueError, match="velocity_pca"):
        lo.pl.pca(small, arrows=True, show=False)


@pytest.mark.parametrize("color", ["kind", "value", None])
def test_many_points_add_up_to_the_same_image(color, monkeypatch):
    from lazyomics.pl import panels

    random, count = np.random.default_rng(0), 20_000
    kinds = pd.Categorical(random.choice(["a", "b"], count))
    obs = pd.DataFrame({"kind": kinds, "value": random.random(count)})
    obs.index = obs.index.astype(str)
    adata = lo.AnnData(obs=obs, obsm={"X_umap": random.normal(size=(count, 2))})
    pictures = []
    for many in (panels.MANY_POINTS, count):
        monkeypatch.setattr(panels, "MANY_POINTS", many)
        ax = lo.pl.umap(adata, color=color, size=0.4, legend_loc=None, show=False)
        ax.figure.set_dpi(150)
        ax.figure.canvas.draw()
        pictures.append(np.asarray(ax.figure.canvas.buffer_rgba())[..., :3] / 255.0)
        assert len(ax.images) == (many == count)
    ordinary, image = (p[: p.shape[0] // 8 * 8, : p.shape[1] // 8 * 8] for p in pictures)
    blocks = [p.reshape(p.shape[0] // 8, 8, -1, 8, 3).mean(axis=(1, 3)) for p in (ordinary, image)]
    assert np.abs(blocks[0] - blocks[1]).mean() < 0.01
    assert np.abs(blocks[0] - blocks[1]).max() < 0.25


def test_violins_of_ranked_genes_equal_scanpy(small, small_scanpy, sc):
    for tl, adata in ((lo.tl, small), (sc.tl, small_scanpy)):
        adata.layers["logged"] = np.log1p(adata.layers["scaled"] + 1)
        options = {"layer": "logged", "method": "t-test", "use_raw": False}
        tl.rank_genes_groups(adata, "cell_type", **options)
    options = {"groups": ["B"], "n_genes": 3, "strip": False, "show": False}
    for split in (True, False):
        plt.close("all")
        (ours,) = lo.pl.rank_genes_groups_violin(small, split=split, **options)
        (theirs,) = sc.pl.rank_genes_groups_violin(
            small_scanpy, split=split, ax=plt.figure().add_subplot(), **options
        )
        boxes = [
            sorted(
                body.get_paths()[0].get_extents().extents.round(4).tolist()
                for body in ax.collections
            )
            for ax in (ours, theirs)
        ]
        np.testing.assert_allclose(*boxes, atol=2e-3)
        assert ours.get_title() == theirs.get_title()
    axes = lo.pl.rank_genes_groups_tracksplot(small, n_genes=1, dendrogram=False, show=False)
    their_axes = sc.pl.rank_genes_groups_tracksplot(
        small_scanpy, n_genes=1, dendrogram=False, show=False
    )
    labels = [[ax.get_ylabel() for ax in found["track_axes"]] for found in (axes, their_axes)]
    assert labels[0] == labels[1]


def test_clusters_of_cells_equal_scanpy(small, small_scanpy, sc):
    pytest.importorskip("seaborn", reason="clustermap is seaborn's")
    ours = lo.pl.clustermap(small, "cell_type", show=False)
    theirs = sc.pl.clustermap(small_scanpy, "cell_type", show=False)
    np.testing.assert_allclose(ours.data2d, theirs.data2d)
    assert ours.dendrogram_row.reordered_ind == theirs.dendrogram_row.reordered_ind


def test_paga_and_dispersions():
    graph = np.array([[0, 0.5, 0.2], [0.5, 0, 0], [0.2, 0, 0]])
    adata = lo.AnnData(np.eye(3), uns={"connectivities": graph, "connectivities_tree": graph > 0.3})
    ax = lo.pl.paga_adjacency(adata, show=False)
    np.testing.assert_allclose(ax.images[0].get_array(), graph)
    np.testing.assert_allclose(ax.collections[0].get_offsets(), [[0, 1], [1, 0]])
    assert len(lo.pl.paga_adjacency(adata, as_heatmap=False, show=False).collections) == 2
    columns = ["means", "dispersions", "dispersions_norm"]
    result = pd.DataFrame(np.arange(1.0, 10).reshape(3, 3), columns=columns)
    result["gene_subset"] = [True, False, True]
    records = result.to_records(index=False)
    assert lo.pl.filter_genes_dispersion(records, show=False).get_ylabel().startswith("dispersions")
