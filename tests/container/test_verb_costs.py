"""What `explain` announces of a verb is what it reads."""

from __future__ import annotations

from operator import attrgetter

import dask
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.container.verb_costs import COSTS
from lazyomics.io.hdf5 import count_reads

CALLS = {
    "pp.binarize": {},
    "pp.calculate_qc_metrics": {"percent_top": None},
    "pp.clr": {},
    "pp.combat": {"key": "batch"},
    "pp.downsample_counts": {"total_counts": 500},
    "pp.filter_cells": {"min_genes": 1},
    "pp.filter_cells, totals": {"min_counts": 1},
    "pp.filter_genes": {"min_cells": 1},
    "pp.filter_genes_dispersion": {"log": False},
    "pp.highly_variable_genes": {},
    "pp.highly_variable_genes, counts": {"flavor": "seurat_v3", "n_top_genes": 20},
    "pp.log1p": {},
    "pp.normalize_per_cell": {},
    "pp.normalize_total": {},
    "pp.normalize_total, target": {"target_sum": 1e4},
    "pp.normalize_total, few": {"exclude_highly_expressed": True},
    "pp.pca": {"n_comps": 4},
    "pp.regress_out": {"keys": "depth"},
    "pp.sample": {"fraction": 0.5},
    "pp.scale": {},
    "pp.scrublet": {"n_prin_comps": 5},
    "pp.sqrt": {},
    "pp.sample_obs": {"frac": 0.5},
    "pp.subsample": {"fraction": 0.5},
    "pp.tfidf": {},
    "tl.diffmap": {},
    "tl.leiden": {"flavor": "igraph", "n_iterations": 2},
    "tl.louvain": {},
    "tl.paga": {"groups": "batch"},
    "tl.score_genes": {"gene_list": ["1", "2"], "ctrl_size": 5},
    "tl.umap": {"maxiter": 2},
    "get.aggregate": {"by": "batch", "func": "mean"},
    "pp.filter_obs": {"var": "depth", "func": lambda depth: depth > 3},
    "pp.filter_var": {"var": ["1", "2"]},
    "pp.neighbors": {"n_neighbors": 5},
    "pp.neighbors, X": {"n_neighbors": 5, "use_rep": "X"},
    "pp.recipe_seurat": {},
    "pp.recipe_weinreb17": {"n_pcs": 4, "cv_threshold": 0},
    "pp.recipe_zheng17": {"n_top_genes": 20},
    "pp.scrublet_simulate_doublets": {},
    "tl.dendrogram": {"groupby": "batch"},
    "tl.dendrogram, genes": {"groupby": "batch", "var_names": ["1", "2"]},
    "tl.dpt": {"n_dcs": 4},
    "tl.draw_graph": {"layout": "fr"},
    "tl.embedding_density": {"basis": "pca"},
    "tl.filter_rank_genes_groups": {},
    "tl.ingest": {"embedding_method": "pca"},
    "tl.lsi": {"n_comps": 4},
    "tl.marker_gene_overlap": {"reference_markers": {"a": {"1"}}},
    "tl.mofa": {"use_var": None, "n_factors": 2, "n_iterations": 2},
    "tl.paga_degrees": {},
    "tl.paga_expression_entropies": {},
    "tl.rank_genes_groups": {"groupby": "batch"},
    "tl.rank_genes_groups, ranks": {"groupby": "batch", "method": "wilcoxon"},
    "tl.score_genes_cell_cycle": {"s_genes": ["1", "2"], "g2m_genes": ["3"]},
    "tl.tsne": {"perplexity": 5},
    "get.group_stats": {"var_names": ["1", "2"], "groupby": "batch"},
    "get.obs_df": {"keys": ["1", "batch"]},
    "get.obs_df, no gene": {"keys": ["batch"]},
    "get.rank_genes_groups_df": {"group": "a"},
    "get.var_df": {"keys": ["7"]},
    "metrics.gearys_c": {},
    "metrics.modularity": {"labels": "batch"},
    "metrics.morans_i": {},
    "experimental.pp.highly_variable_genes": {"n_top_genes": 20},
    "experimental.pp.normalize_pearson_residuals": {},
    "experimental.pp.normalize_pearson_residuals_pca": {"n_comps": 4},
    "experimental.pp.recipe_pearson_residuals": {"n_top_genes": 20, "n_comps": 4},
    "external.pp.bbknn": {},
    "external.pp.harmony_integrate": {"key": "batch"},
    "external.pp.scanorama_integrate": {"key": "batch"},
}
# Of chunks without a value of these genes, and of passes for totals, less is read.
AT_MOST = {"get.obs_df", "get.group_stats", "tl.dendrogram", "pp.recipe_zheng17"}
NEEDS = {"tl.leiden": "igraph", "tl.draw_graph": "igraph", "external.pp.bbknn": "bbknn"}
NEEDS |= {"tl.mofa": "mofapy2"}
NEEDS |= {"external.pp.scanorama_integrate": "scanorama"}
NEEDS |= {"external.pp.harmony_integrate": "harmonypy"}
COUNTS = np.random.default_rng(0).poisson(1.0, (300, 400)).astype("f4")


def reference() -> lo.AnnData:
    """Cells in memory, with components and neighbours."""
    adata = lo.AnnData(COUNTS[:100].copy())
    lo.pp.pca(adata, n_comps=4)
    lo.pp.neighbors(adata, n_neighbors=5)
    return adata


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    obs = pd.DataFrame(
        {"batch": pd.Categorical(["a"] * 150 + ["b"] * 150), "depth": np.arange(300.0)}
    )
    adata = lo.AnnData(sp.csr_matrix(COUNTS), obs=obs, obsm={"X_pca": COUNTS[:, :5]})
    lo.pp.neighbors(adata, n_neighbors=5)
    lo.tl.paga(adata, "batch")
    lo.tl.diffmap(adata, n_comps=4)
    lo.tl.rank_genes_groups(adata, "batch", method="t-test")
    adata.uns["iroot"] = 0
    path = tmp_path_factory.mktemp("costs") / "a.h5ad"
    adata.write_h5ad(path, compression="gzip", chunk_bytes=1024)
    return path


def test_every_cost_is_tried() -> None:
    assert {name.partition(",")[0] for name in CALLS} == set(COSTS)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", CALLS)
def test_passes_and_bytes_are_those_announced(path, name: str, count_passes) -> None:
    verb, options = name.partition(",")[0], CALLS[name]
    pytest.importorskip(NEEDS.get(verb, "numpy"))
    adata = lo.read_h5ad(path, chunks=50)
    plan = lo.explain(adata, verb, **options)
    assert verb in repr(plan)
    function = attrgetter(verb)(lo)
    adata = adata[:40] if verb == "tl.tsne" else adata  # which takes long
    if verb == "tl.ingest":
        options = {**options, "adata_ref": reference()}
    with count_passes(path, "X") as passes, count_reads() as counter:
        function(adata, **options)
    read = sum(
        v.bytes_read for k, v in counter.by_dataset.items() if k[1] in ("X/data", "X/indices")
    )
    share = 1.0 if plan.matrix is None else plan.matrix.shape[0] / len(COUNTS)
    if verb in AT_MOST:
        assert 0.5 * plan.passes <= passes.values <= plan.passes * 1.05
        assert 0.5 * plan.stored_bytes <= read <= plan.stored_bytes * 1.05
        return
    assert plan.passes * share == pytest.approx(passes.values, rel=0.15, abs=0.1)
    assert plan.stored_bytes == pytest.approx(read, rel=0.15)


def test_what_is_there_and_the_memory_decide(path) -> None:
    adata = lo.read_h5ad(path)
    adata.raw = adata
    assert lo.explain(adata, "rank_genes_groups", groupby="batch").matrix.name == "raw.X"
    assert lo.explain(adata, "rank_genes_groups", groupby="batch", use_raw=False).matrix.name == "X"
    assert lo.explain(adata, "filter_rank_genes_groups", use_raw=True).passes == 1
    assert lo.explain(adata, "get.obs_df", keys=["1", "2"], use_raw=True).matrix.shape == (300, 2)
    del adata.obsm["X_pca"], adata.uns["iroot"]
    adata.var["xroot"] = 1.0
    assert lo.explain(adata, "dpt").passes == 1
    assert [lo.explain(adata, v).passes for v in ("neighbors", "tsne", "umap")] == [1, 1, 0]
    with dask.config.set({"lazyomics.memory": "1 kiB"}):
        passes = [
            lo.explain(adata, v).passes for v in ("neighbors", "lsi", "score_genes_cell_cycle")
        ]
    assert passes == [2, 10, 2]


def test_mofa_reads_the_genes_of_its_mask_from_what_it_is_told(path) -> None:
    adata = lo.read_h5ad(path)
    adata.raw = adata
    adata.var["highly_variable"] = np.arange(400) < 30
    adata.layers["other"] = adata.X
    plans = [
        lo.explain(adata, "mofa", **options)
        for options in ({}, {"use_raw": True}, {"use_raw": True, "use_layer": "other"})
    ]
    assert [plan.matrix.name for plan in plans] == ["X", "raw.X", "layers['other']"]
    assert [plan.matrix.shape for plan in plans] == [(300, 30)] * 3
    assert [plan.passes for plan in plans] == [1] * 3


def test_the_parameters_are_those_of_the_verb(path) -> None:
    adata = lo.read_h5ad(path)
    assert lo.explain(adata, "pca", n_comps=3).verb == "pp.pca"
    with pytest.raises(TypeError, match=r"pp.pca has no keyword 'n_comp'.*'n_comps'"):
        lo.explain(adata, "pca", n_comp=3)
    with pytest.raises(ValueError, match=r"knows no verb 'pac'"):
        lo.explain(adata, "pac")
    with pytest.raises(TypeError, match="none is named"):
        lo.explain(adata, n_comps=3)
    assert lo.explain(adata, "external.pp.scrublet").verb == "pp.scrublet"
    assert lo.explain(adata, "lo.metrics.morans_i").verb == "metrics.morans_i"
    html = lo.explain(adata, "scale")._repr_html_()
    assert "pp.scale" in html
    assert "passes" in html
