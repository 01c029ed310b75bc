"""What `explain` announces of a verb is what it reads."""

from __future__ import annotations

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
    "pp.subsample": {"fraction": 0.5},
    "pp.tfidf": {},
    "tl.diffmap": {},
    "tl.leiden": {"flavor": "igraph", "n_iterations": 2},
    "tl.louvain": {},
    "tl.paga": {"groups": "batch"},
    "tl.score_genes": {"gene_list": ["1", "2"], "ctrl_size": 5},
    "tl.umap": {"maxiter": 2},
    "get.aggregate": {"by": "batch", "func": "mean"},
}
COUNTS = np.random.default_rng(0).poisson(1.0, (300, 60)).astype("f4")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    obs = pd.DataFrame({"batch": pd.Categorical(list("ab") * 150), "depth": np.arange(300.0)})
    adata = lo.AnnData(sp.csr_matrix(COUNTS), obs=obs, obsm={"X_pca": COUNTS[:, :5]})
    lo.pp.neighbors(adata, n_neighbors=5)
    path = tmp_path_factory.mktemp("costs") / "a.h5ad"
    adata.write_h5ad(path, compression="gzip", chunk_bytes=1024)
    return path


def test_every_cost_is_tried() -> None:
    assert {name.partition(",")[0] for name in CALLS} == set(COSTS)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", CALLS)
def test_passes_and_bytes_are_those_announced(path, name: str, count_passes) -> None:
    verb, options = name.partition(",")[0], CALLS[name]
    if verb == "tl.leiden":
        pytest.importorskip("igraph")
    adata = lo.read_h5ad(path, chunks=50)
    plan = lo.explain(adata, verb, **options)
    space, _, function = verb.partition(".")
    with count_passes(path, "X") as passes, count_reads() as counter:
        getattr(getattr(lo, space), function)(adata, **options)
    read = sum(
        v.bytes_read for k, v in counter.by_dataset.items() if k[1] in ("X/data", "X/indices")
    )
    assert plan.passes == pytest.approx(passes.values, rel=0.15, abs=0.1)
    assert plan.stored_bytes == pytest.approx(read, rel=0.15)
    assert verb in repr(plan)


def test_the_parameters_are_those_of_the_verb(path) -> None:
    adata = lo.read_h5ad(path)
    assert lo.explain(adata, "pca", n_comps=3).verb == "pp.pca"
    with pytest.raises(TypeError, match=r"pp.pca has no keyword 'n_comp'.*'n_comps'"):
        lo.explain(adata, "pca", n_comp=3)
    with pytest.raises(ValueError, match=r"knows no verb 'pac'"):
        lo.explain(adata, "pac")
    with pytest.raises(TypeError, match="none is named"):
        lo.explain(adata, n_comps=3)
    html = lo.explain(adata, "scale")._repr_html_()
    assert "pp.scale" in html
    assert "passes" in html
