"""Verbs that read the file by passes of their own: the same on a cluster as with threads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo
from tests.distributed.test_same_results import by_threads


def logged(adata: lo.AnnData) -> lo.AnnData:
    lo.pp.normalize_total(adata, target_sum=1e4)
    lo.pp.log1p(adata)
    return adata


def with_batches(adata: lo.AnnData) -> lo.AnnData:
    n = np.arange(adata.n_obs)
    adata.obs["batch"] = pd.Categorical(np.where(n % 3, "x", "y"))
    adata.obs["size"] = np.random.default_rng(0).normal(size=adata.n_obs)
    return adata


def scores(adata: lo.AnnData) -> dict[str, np.ndarray]:
    lo.tl.score_genes(logged(adata), list(adata.var_names[::60]))
    return {"score": adata.obs["score"].to_numpy()}


def regressed(adata: lo.AnnData) -> dict[str, np.ndarray]:
    lo.pp.regress_out(with_batches(logged(adata)), ["size"])
    lo.pp.pca(adata, n_comps=5)
    return {"X": adata[::50].to_memory().X, "pca": adata.obsm["X_pca"]}


def combat(adata: lo.AnnData) -> dict[str, np.ndarray]:
    lo.pp.combat(with_batches(logged(adata)), "batch")
    return {"X": adata[::50].to_memory().X}


def markers(method: str) -> Callable[[lo.AnnData], dict[str, np.ndarray]]:
    def run(adata: lo.AnnData) -> dict[str, np.ndarray]:
        lo.tl.rank_genes_groups(with_batches(logged(adata)), "batch", method=method)
        found = adata.uns["rank_genes_groups"]
        return {key: found[key]["x"] for key in ("names", "scores", "pvals", "logfoldchanges")}

    return run


def aggregated(adata: lo.AnnData) -> dict[str, np.ndarray]:
    summed = lo.get.aggregate(with_batches(adata), "batch", ["sum", "mean", "var"])
    return dict(summed.layers)


def downsampled(adata: lo.AnnData) -> dict[str, np.ndarray]:
    lo.pp.downsample_counts(adata, 100)
    return {"X": adata.to_memory().X.toarray()}


def downsampled_in_all(adata: lo.AnnData) -> dict[str, np.ndarray]:
    lo.pp.downsample_counts(adata, total_counts=50_000)
    return {"X": adata.to_memory().X.toarray()}


def doublets(batch_key: str | None) -> Callable[[lo.AnnData], dict[str, np.ndarray]]:
    def run(adata: lo.AnnData) -> dict[str, np.ndarray]:
        part = with_batches(adata)[:900].copy()
        lo.pp.scrublet(part, batch_key=batch_key, n_prin_comps=5, threshold=0.3)
        found = part.uns["scrublet"]
        entry = found if batch_key is None else found["batches"]["x"]
        return {
            "cells": part.obs["doublet_score"].to_numpy(),
            "doublets": entry["doublet_scores_sim"],
            "parents": entry["doublet_parents"],
        }

    return run


def roots(adata: lo.AnnData) -> dict[str, np.ndarray]:
    lo.pp.sqrt(adata)
    return {"X": adata[::7].to_memory().X.toarray()}


def residual_components(adata: lo.AnnData) -> dict[str, np.ndarray]:
    lo.pp.filter_genes(adata, min_cells=1)
    lo.experimental.pp.normalize_pearson_residuals_pca(adata, n_comps=4)
    return {"pca": adata.obsm["X_pca"]}


def autocorrelated(adata: lo.AnnData) -> dict[str, np.ndarray]:
    places = np.random.default_rng(0).normal(size=(adata.n_obs, 2))
    adata.obsm["X_pca"] = places.astype("f4")
    lo.pp.neighbors(adata, use_rep="X_pca")
    chosen = logged(adata)[:, ::5]
    return {"C": lo.metrics.gearys_c(chosen), "of places": lo.metrics.morans_i(adata, obsm="X_pca")}


VERBS: dict[str, Callable[[lo.AnnData], dict[str, np.ndarray]]] = {
    "tl.score_genes": scores,
    "pp.regress_out, pp.pca": regressed,
    "pp.combat": combat,
    "tl.rank_genes_groups, t-test": markers("t-test"),
    "tl.rank_genes_groups, wilcoxon": markers("wilcoxon"),
    "get.aggregate": aggregated,
    "pp.downsample_counts": downsampled,
    "pp.downsample_counts, total": downsampled_in_all,
    "pp.scrublet": doublets(None),
    "pp.scrublet, batches": doublets("batch"),
    "pp.sqrt": roots,
    "experimental.pp.normalize_pearson_residuals_pca": residual_components,
    "metrics.gearys_c, metrics.morans_i": autocorrelated,
}


@pytest.mark.filterwarnings("ignore:.*variables were constant")
@pytest.mark.parametrize("verb", VERBS)
def test_same_as_with_threads(client, counts, count_passes, verb: str) -> None:
    """The workers read the file, this process does not."""
    with count_passes(counts) as in_this_process:
        found = VERBS[verb](lo.read_h5ad(counts))
    assert in_this_process.values == 0
    expected = by_threads(lambda: VERBS[verb](lo.read_h5ad(counts)))
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        if values.dtype.kind in "OUT":
            np.testing.assert_array_equal(found[name], values)
        else:
            scale = max(float(np.nanstd(values)), 1e-12)
            np.testing.assert_allclose(found[name], values, rtol=1e-6, atol=1e-5 * scale)
