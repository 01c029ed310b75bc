"""What is said of wrong names and objects: every element and verb in the same way."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo
from lazyomics.names import near

pytest.importorskip("matplotlib", reason="plots")

GENES = ["CST3", "CD79A", "MS4A1", "NKG7", *(f"GENE{k}" for k in range(8))]
X = np.random.default_rng(0).poisson(1.0, (40, len(GENES))).astype("f4")


def small() -> lo.AnnData:
    obs = pd.DataFrame({"leiden": pd.Categorical(list("abcd") * 10), "depth": np.arange(40.0)})
    adata = lo.AnnData(
        X,
        obs=obs.set_axis([f"Cell{k}" for k in range(40)]),
        var=pd.DataFrame({"symbol": GENES, "used": True}, index=GENES),
        layers={"counts": X},
        obsm={"X_pca": X[:, :3]},
        uns={"colors": 1},
    )
    adata.obsp["weights"] = np.eye(40)
    return adata


WRONG: dict[str, tuple[Any, str]] = {
    "layers": (lambda a: a.layers["Counts"], "counts"),
    "layers, get_matrix": (lambda a: lo.pp.log1p(a, layer="count"), "counts"),
    "obsm": (lambda a: a.obsm["x_PCA"], "X_pca"),
    "obsm, del": (lambda a: a.obsm.__delitem__("X_PCA"), "X_pca"),
    "obsp": (lambda a: a.obsp["Weights"], "weights"),
    "uns": (lambda a: a.uns["colours"], "colors"),
    "var_names": (lambda a: a[:, "cst3"], "CST3"),
    "obs_names": (lambda a: a["cell7"], "Cell7"),
    "obs_vector": (lambda a: a.obs_vector("cst3"), "CST3"),
    "modality": (lambda a: lo.MuData({"rna": a})["RNA"], "rna"),
    "pp.neighbors": (lambda a: lo.pp.neighbors(a, use_rep="x_pca"), "X_pca"),
    "pp.regress_out": (lambda a: lo.pp.regress_out(a, "Depth"), "depth"),
    "pp.calculate_qc_metrics": (
        lambda a: lo.pp.calculate_qc_metrics(a, qc_vars="Used", percent_top=None),
        "used",
    ),
    "pp.hvg": (lambda a: lo.pp.highly_variable_genes(a, batch_key="Leiden"), "leiden"),
    "pp.combat": (lambda a: lo.pp.combat(a, "Leiden"), "leiden"),
    "pp.pca": (lambda a: lo.pp.pca(a, mask_var="Used"), "used"),
    "pp.scale": (lambda a: lo.pp.scale(a, obsm="X_PCA"), "X_pca"),
    "tl.dendrogram": (lambda a: lo.tl.dendrogram(a, "Leiden"), "leiden"),
    "tl.rank_genes_groups": (lambda a: lo.tl.rank_genes_groups(a, "Leiden"), "leiden"),
    "get.obs_df": (lambda a: lo.get.obs_df(a, ["cst3"]), "CST3"),
    "get.var_df": (lambda a: lo.get.var_df(a, ["cell3"]), "Cell3"),
    "get.aggregate": (lambda a: lo.get.aggregate(a, "Leiden", "sum"), "leiden"),
    "get.group_stats": (lambda a: lo.get.group_stats(a, ["cst3"], "leiden"), "CST3"),
    "get.group_stats, groups": (lambda a: lo.get.group_stats(a, ["CST3"], "Leiden"), "leiden"),
    "pl.embedding": (lambda a: lo.pl.embedding(a, "PCA"), "X_pca"),
    "pl.embedding, color": (lambda a: lo.pl.embedding(a, "pca", color="cst3"), "CST3"),
    "pl.violin": (lambda a: lo.pl.violin(a, "cst3"), "CST3"),
    "pl.violin, groupby": (lambda a: lo.pl.violin(a, "CST3", groupby="Leiden"), "leiden"),
    "pl.dotplot": (lambda a: lo.pl.dotplot(a, ["cst3"], "leiden"), "CST3"),
    "pl.dotplot, groupby": (lambda a: lo.pl.dotplot(a, ["CST3"], "Leiden"), "leiden"),
    "pl.scatter": (lambda a: lo.pl.scatter(a, "cst3", "CD79A"), "CST3"),
    "metrics.morans_i": (lambda a: lo.metrics.morans_i(a, use_graph="Weights"), "weights"),
}


@pytest.mark.parametrize("call", WRONG)
def test_near_names_are_told_without_regard_to_case(call: str) -> None:
    ask, meant = WRONG[call]
    with pytest.raises((KeyError, ValueError), match=rf"Did you mean .*'{meant}'"):
        ask(small())


FIRST: dict[str, Any] = {
    "lo.tl.umap": lambda a: lo.pl.umap(a),
    "lo.tl.tsne": lambda a: lo.pl.tsne(a),
    "lo.tl.diffmap": lambda a: lo.pl.diffmap(a),
    "lo.pp.pca": lambda a: lo.pl.pca(a),
    "lo.pp.pca(": lambda a: lo.pl.pca_variance_ratio(a),
    "lo.tl.paga": lambda a: lo.pl.paga(a),
    "lo.tl.draw_graph": lambda a: lo.pl.draw_graph(a),
    "lo.tl.rank_genes_groups": lambda a: lo.pl.rank_genes_groups(a),
    "lo.tl.rank_genes_groups(": lambda a: lo.get.rank_genes_groups_df(a, "a"),
    "lo.tl.rank_genes_groups(adata": lambda a: lo.tl.filter_rank_genes_groups(a),
    "lo.pp.neighbors": lambda a: lo.tl.umap(a),
    "lo.pp.neighbors(": lambda a: lo.tl.leiden(a),
    "lo.pp.neighbors(a": lambda a: lo.tl.louvain(a),
    "lo.pp.neighbors(ad": lambda a: lo.tl.paga(a, "leiden"),
    "lo.pp.neighbors(ada": lambda a: lo.tl.diffmap(a),
    "lo.tl.umap(": lambda a: lo.tl.embedding_density(a),
    "lo.pp.highly_variable_genes": lambda a: lo.pl.highly_variable_genes(a),
    "lo.tl.dpt": lambda a: lo.pl.dpt_timeseries(a),
    "lo.pp.scrublet": lambda a: lo.pl.scrublet_score_distribution(a),
}


@pytest.mark.parametrize("step", FIRST)
def test_the_step_before_is_named(step: str) -> None:
    adata = small()
    del adata.obsm["X_pca"]
    with pytest.raises((KeyError, ValueError), match=rf"(?i)run {re.escape(step)}"):
        FIRST[step](adata)


OBJECTS = {
    "lo.AnnData.from_anndata": lambda: pytest.importorskip("anndata").AnnData(X),
    "lo.MuData.from_mudata": lambda: pytest.importorskip("mudata").MuData(
        {"rna": pytest.importorskip("anndata").AnnData(X)}
    ),
    "lo.read_h5ad('a.h5ad')": lambda: "a.h5ad",
    "lo.read_h5mu('b/a.h5mu')": lambda: Path("b/a.h5mu"),
    "mdata['rna'], mdata['adt']": lambda: lo.MuData({"rna": small(), "adt": small()}),
    "adata.raw.to_adata()": lambda: lo.AnnData(X, raw=small()).raw,
}
TAKERS = {
    "pp.binarize": (lambda x: lo.pp.binarize(x), ()),
    "pp.combat": (lambda x: lo.pp.combat(x), ("from_anndata", "from_mudata")),
    "pp.log1p": (lambda x: lo.pp.log1p(x), ("from_anndata", "from_mudata")),
    "pp.filter_cells": (lambda x: lo.pp.filter_cells(x), ("from_anndata", "from_mudata")),
    "pl.violin": (lambda x: lo.pl.violin(x, "CST3"), ("from_anndata", "from_mudata")),
    "pl.dotplot": (lambda x: lo.pl.dotplot(x, "a", "b"), ("from_anndata", "from_mudata")),
    "pl.umap": (lambda x: lo.pl.umap(x), ("from_anndata", "from_mudata", "mdata")),
    "MuData": (lambda x: lo.MuData({"rna": x}), ("from_mudata", "mdata")),
    "write": (lambda x: lo.write("c.h5ad", x), ("mdata",)),
    "concat": (lambda x: lo.concat([x]), ("mdata",)),
}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:The inplace keyword")  # of mudata
@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("way_out", OBJECTS)
def test_what_is_given_instead_is_named(way_out: str, taker: str) -> None:
    call, taken = TAKERS[taker]
    if any(part in way_out for part in taken):
        pytest.skip("it is taken, or refused for another reason")
    with pytest.raises(TypeError, match=re.escape(way_out)):
        call(OBJECTS[way_out]())


KEYWORDS = {
    "pl.umap": (lambda a, **k: lo.pl.umap(a, **k), {"colour": "leiden"}, "color"),
    "pl.embedding": (lambda a, **k: lo.pl.embedding(a, "pca", **k), {"use_rw": 1}, "use_raw"),
    "pl.violin": (lambda a, **k: lo.pl.violin(a, "CST3", **k), {"goupby": "leiden"}, "groupby"),
    "pl.dotplot": (lambda a, **k: lo.pl.dotplot(a, "a", "b", **k), {"Layer": "a"}, "layer"),
    "pl.matrixplot": (lambda a, **k: lo.pl.matrixplot(a, "a", "b", **k), {"cmpa": 1}, "cmap"),
    "pl.scatter": (lambda a, **k: lo.pl.scatter(a, **k), {"colour": 1}, "color"),
    "pl.highest_expr_genes": (
        lambda a, **k: lo.pl.highest_expr_genes(a, **k),
        {"ntop": 1},
        "n_top",
    ),
    "pl.rank_genes_groups_dotplot": (
        lambda a, **k: lo.pl.rank_genes_groups_dotplot(a, **k),
        {"n_gene": 3},
        "n_genes",
    ),
    "pl.paga": (lambda a, **k: lo.pl.paga(a, **k), {"treshold": 1}, "threshold"),
    "tl.umap": (lambda a, **k: lo.tl.umap(a, **k), {"min_dst": 1}, "min_dist"),
    "pp.neighbors": (lambda a, **k: lo.pp.neighbors(a, **k), {"n_neighbours": 5}, "n_neighbors"),
}


@pytest.mark.parametrize("verb", KEYWORDS)
def test_unknown_keywords_are_named(verb: str) -> None:
    call, keywords, meant = KEYWORDS[verb]
    (given,) = keywords
    with pytest.raises(TypeError, match=rf"{verb} has no keyword '{given}'.*'{meant}'"):
        call(small(), **keywords)


@pytest.mark.parametrize("flavor", ["leidenalg", "igraph"])
def test_unknown_keywords_of_leiden_are_named(flavor: str) -> None:
    pytest.importorskip("leidenalg")
    adata = small()
    with pytest.raises(TypeError, match=r"tl.leiden has no keyword 'resolutoin'.*'resolution'"):
        lo.tl.leiden(adata, flavor=flavor, resolutoin=0.5)
    lo.pp.neighbors(adata, n_neighbors=5)
    lo.tl.leiden(adata, flavor=flavor, n_iterations=2, initial_membership=list(range(40)))


def test_properties_of_matplotlib_are_taken() -> None:
    for keywords in ({"edgecolor": "k"}, {"lw": 1}, {"rasterized": True}, {"s": 3}):
        lo.pl.embedding(small(), "pca", color="CST3", show=False, **keywords)
    lo.pl.violin(small(), "CST3", show=False, bw="scott", alpha=0.5, inner_kws={})
    lo.pl.highest_expr_genes(small(), n_top=3, show=False, notch=False, showfliers=False)


def test_near_names_of_60000_are_found_at_once() -> None:
    names = [f"ENSG{k:011d}" for k in range(60_000)]
    begun = time.perf_counter()
    assert near("ensg00000000007", names) == ["ENSG00000000007"]
    assert near("ms4a", [*names, "MS4A1"]) == ["MS4A1"]
    took = time.perf_counter() - begun
    begun = time.perf_counter()
    sorted(names, key=lambda name: sum(map(ord, name)))
    assert took < 60 * (time.perf_counter() - begun)


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_genes_of_raw_counts_are_refused_without_warnings(tmp_path, form: str) -> None:
    counts = np.random.default_rng(0).negative_binomial(0.3, 0.0005, (300, 60)).astype("f4")
    lo.AnnData(counts).write_h5ad(tmp_path / "a.h5ad")
    adata = lo.read_h5ad(tmp_path / "a.h5ad", chunks=40, as_sparse="X" if form == "sparse" else ())
    with pytest.raises(ValueError, match=r"run lo\.pp\.normalize_total"):
        lo.pp.highly_variable_genes(adata)  # pytest makes errors of warnings


ELSEWHERE = {
    "lo.pp.umap": r"there is lo\.tl\.umap",
    "lo.umap": r"there is lo\.tl\.umap",
    "lo.tl.lieden": r"Did you mean 'leiden'",
    "lo.readh5ad": r"Did you mean 'read_h5ad'",
    "lo.external.tl": r"adata\.apply\(scanpy\.external\.tl",
    "lo.external.pp.magic": r"adata\.apply\(scanpy\.external\.pp\.magic",
    "lo.atac.pl": r"lo\.pl\.umap\(mdata",
    "lo.atac.tl.rank_peaks_groups": r"lo\.tl\.rank_genes_groups",
    "lo.atac.tl.LSI": r"Did you mean 'lsi'",
    "lo.prot.pp.dbs": r"Did you mean 'dsb'",
    "lo.datasets.moignard15": r"from_anndata\(scanpy\.datasets\.moignard15\(",
    "lo.from_anndata": r"lo\.AnnData\.from_anndata",
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_names_that_are_elsewhere(name: str) -> None:
    with pytest.raises(AttributeError, match=ELSEWHERE[name]):
        eval(name, {"lo": lo})
