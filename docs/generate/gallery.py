"""Draw a picture with each function of ``lazyomics.pl`` and write the page that shows them."""

from __future__ import annotations

import doctest
import inspect
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

import lazyomics as lo

__all__ = ["write"]

# They set how others draw, and draw nothing themselves.
NO_PICTURE = {"set_figure_params", "set_rcParams_defaults", "set_rcParams_scanpy", "settings"}

# Lines for each function; one that has none here is drawn by the example in its docstring.
LINES = {
    "clustermap": 'lo.pl.clustermap(adata[::20, genes], obs_keys="cell_type")',
    "correlation_matrix": 'lo.pl.correlation_matrix(adata, "cell_type")',
    "dendrogram": 'lo.pl.dendrogram(adata, "cell_type")',
    "diffmap": 'lo.pl.diffmap(tree, color=["dpt_pseudotime", "leiden"])',
    "dotplot": 'lo.pl.dotplot(adata, markers, "cell_type", dendrogram=True)',
    "dpt_groups_pseudotime": "lo.pl.dpt_groups_pseudotime(tree)",
    "dpt_timeseries": "lo.pl.dpt_timeseries(tree)",
    "draw_graph": 'lo.pl.draw_graph(adata, color="cell_type")',
    "embedding": 'lo.pl.embedding(adata, "X_umap", color=genes[:2])',
    "embedding_density": 'lo.pl.embedding_density(adata, "umap", groupby="cell_type", ncols=3)',
    "filter_genes_dispersion": (
        "found = lo.pp.filter_genes_dispersion(adata.X, log=False)\n"
        "lo.pl.filter_genes_dispersion(found)"
    ),
    "heatmap": 'lo.pl.heatmap(adata, markers, "cell_type", swap_axes=True)',
    "highest_expr_genes": "lo.pl.highest_expr_genes(counts, n_top=15)",
    "highly_variable_genes": "lo.pl.highly_variable_genes(adata)",
    "histogram": 'lo.pl.histogram(counts, ["total_counts", "n_genes_by_counts"])',
    "matrixplot": 'lo.pl.matrixplot(adata, markers, "cell_type", standard_scale="var")',
    "mofa": (
        "rng, cells = np.random.default_rng(0), counts.copy()\n"
        'cells.obsm["X_mofa"] = rng.normal(size=(cells.n_obs, 3))\n'
        'lo.pl.mofa(cells, color="total_counts")'
    ),
    "paga": "lo.pl.paga(tree, threshold=0.1)",
    "paga_adjacency": "lo.pl.paga_adjacency(tree)",
    "paga_compare": 'lo.pl.paga_compare(tree, threshold=0.1, basis="umap")',
    "paga_path": (
        'lo.pl.paga_path(\n    tree, ["0", "1", "2"], tree.var_names[:8],'
        ' groups_key="dpt_groups", annotations=["dpt_pseudotime"]\n)'
    ),
    "pca": 'lo.pl.pca(adata, color="cell_type", annotate_var_explained=True)',
    "pca_loadings": "lo.pl.pca_loadings(adata)",
    "pca_overview": 'lo.pl.pca_overview(adata, color="cell_type")',
    "pca_scatter": 'lo.pl.pca_scatter(adata, color="cell_type", components=["1,2", "2,3"])',
    "pca_variance_ratio": "lo.pl.pca_variance_ratio(adata, n_pcs=20)",
    "rank_genes_groups": "lo.pl.rank_genes_groups(adata, n_genes=8, ncols=3)",
    "rank_genes_groups_dotplot": "lo.pl.rank_genes_groups_dotplot(adata, n_genes=3)",
    "rank_genes_groups_heatmap": "lo.pl.rank_genes_groups_heatmap(adata, n_genes=3)",
    "rank_genes_groups_matrixplot": "lo.pl.rank_genes_groups_matrixplot(adata, n_genes=3)",
    "rank_genes_groups_stacked_violin": (
        "lo.pl.rank_genes_groups_stacked_violin(adata, n_genes=3)"
    ),
    "rank_genes_groups_tracksplot": "lo.pl.rank_genes_groups_tracksplot(adata, n_genes=3)",
    "rank_genes_groups_violin": (
        'lo.pl.rank_genes_groups_violin(adata, groups=["type_0"], n_genes=6)'
    ),
    "scatter": (
        'lo.pl.scatter(\n    counts, "total_counts", "n_genes_by_counts",'
        ' color="pct_counts_mito"\n)'
    ),
    "scrublet_score_distribution": "lo.pl.scrublet_score_distribution(counts)",
    "spatial": (
        "rng, spots = np.random.default_rng(0), counts.copy()\n"
        'spots.obsm["spatial"] = 20 * rng.random((spots.n_obs, 2))\n'
        'lo.pl.spatial(spots, color="total_counts", spot_size=0.7)'
    ),
    "stacked_violin": 'lo.pl.stacked_violin(adata, markers, "cell_type")',
    "tracksplot": 'lo.pl.tracksplot(adata, markers, "cell_type")',
    "tsne": 'lo.pl.tsne(adata, color="cell_type", legend_loc="on data")',
    "umap": 'lo.pl.umap(adata, color=["cell_type", genes[0]])',
    "violin": 'lo.pl.violin(adata, genes[:3], groupby="cell_type")',
}

SETUP = """\
lo.datasets.simulate("cells.h5ad", n_obs=800, n_vars=500, n_types=6, seed=1)
counts = lo.read_h5ad("cells.h5ad")
lo.pp.calculate_qc_metrics(counts, qc_vars=["mito"], percent_top=None, inplace=True)
lo.pp.scrublet(counts)

adata = counts.copy()
lo.pp.normalize_total(adata, target_sum=1e4)
lo.pp.log1p(adata)
lo.pp.highly_variable_genes(adata, n_top_genes=250)
lo.pp.pca(adata, n_comps=30)
lo.pp.neighbors(adata)
lo.tl.umap(adata)
lo.tl.tsne(adata)
lo.tl.draw_graph(adata, layout="fr")
lo.tl.dendrogram(adata, "cell_type")
lo.tl.embedding_density(adata, "umap", groupby="cell_type")
lo.tl.rank_genes_groups(adata, "cell_type", method="t-test")

top = lo.get.rank_genes_groups_df(adata, None).groupby("group", observed=True)["names"]
markers = {group: names.head(2).tolist() for group, names in top}
genes = [gene for pair in markers.values() for gene in pair]

rng = np.random.default_rng(0)
arms, along = rng.normal(size=(3, 20)), rng.random((500, 1))
noise = 0.1 * rng.normal(size=(500, 20))
tree = lo.AnnData(along * arms[rng.integers(3, size=500)] + noise)
lo.pp.neighbors(tree, n_neighbors=30, use_rep="X")
lo.tl.diffmap(tree)
tree.uns["iroot"] = along.argmax()
lo.tl.dpt(tree, n_branchings=1)
lo.tl.umap(tree)
lo.tl.leiden(tree, flavor="igraph", n_iterations=2, directed=False)
lo.tl.paga(tree, "leiden")
lo.pl.paga(tree, show=False)
"""

PAGE = """\
Gallery
=======

Every function of ``lo.pl`` with a picture, drawn when this site was built. Values of genes are
read from the file when a function asks for them, all genes of a call in one pass. The cells are
those of a simulated file, and some along a path that branches:

.. code-block:: python

   import numpy as np

   import lazyomics as lo

{setup}

.. grid:: 2 2 3 3
   :gutter: 2
   :class-container: gallery

{cards}

{sections}
"""
CARD = """\
   .. grid-item-card:: {name}
      :img-top: {label}.png
      :link: gallery-{label}
      :link-type: ref
      :text-align: center
"""
SECTION = """\
.. _gallery-{label}:

{title}
{line}

:func:`lazyomics.pl.{name}`: {summary}

.. code-block:: python

{code}

.. image:: {label}.png
   :alt: {name}
"""


def write(folder: Path) -> None:
    """Draw the pictures and write the page.

    Parameters
    ----------
    folder
        Folder of both.

    Raises
    ------
    RuntimeError
        If the lines for a function draw nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(set(lo.pl.__all__) - NO_PICTURE)
    code = {}
    with tempfile.TemporaryDirectory() as scratch, mpl.rc_context(), _quiet():
        mpl.use("Agg")
        lo.pl.set_figure_params(dpi=80, dpi_save=110, figsize=(4, 4))
        values = _values(Path(scratch))
        for name in names:
            code[name] = LINES.get(name) or _example(name)
            _draw(name, code[name], values, folder / f"{_label(name)}.png")
    cards = "\n".join(CARD.format(name=name, label=_label(name)) for name in names)
    sections = "\n".join(_section(name, code[name]) for name in names)
    page = PAGE.format(setup=_indented(SETUP), cards=cards, sections=sections)
    (folder / "index.rst").write_text(page, encoding="utf-8")


@contextmanager
def _quiet() -> Iterator[None]:
    """Show no figure and say nothing of it."""
    shown = lo.settings.autoshow
    lo.settings.autoshow = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        lo.settings.autoshow = shown


def _values(scratch: Path) -> dict[str, Any]:
    values: dict[str, Any] = {"lo": lo, "np": np}
    lines = SETUP.replace('"cells.h5ad"', repr(str(scratch / "cells.h5ad")))
    exec(compile(lines, "gallery: data", "exec"), values)
    plt.close("all")
    return values


def _example(name: str) -> str:
    """Lines of the example in a docstring."""
    docstring = inspect.getdoc(getattr(lo.pl, name)) or ""
    return "".join(part.source for part in doctest.DocTestParser().get_examples(docstring)).strip()


def _draw(name: str, lines: str, values: dict[str, Any], path: Path) -> None:
    plt.close("all")
    exec(compile(lines, f"gallery: {name}", "exec"), dict(values))
    if not plt.get_fignums():
        raise RuntimeError(f"docs/generate/gallery.py: the lines for pl.{name} draw nothing")
    plt.savefig(path, bbox_inches="tight", dpi=80)
    plt.close("all")


def _section(name: str, lines: str) -> str:
    summary = (inspect.getdoc(getattr(lo.pl, name)) or "").partition("\n\n")[0].replace("\n", " ")
    line = "-" * len(name)
    return SECTION.format(
        name=name,
        label=_label(name),
        title=name,
        line=line,
        summary=summary,
        code=_indented(lines),
    )


def _label(name: str) -> str:
    """Name of files and labels, which do not tell ``DotPlot`` from ``dotplot``."""
    return name if name.islower() else f"{name.lower()}-class"


def _indented(lines: str) -> str:
    return "\n".join(f"   {line}".rstrip() for line in lines.splitlines())
