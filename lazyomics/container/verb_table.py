"""How often each verb passes over its matrix, and what it holds meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazyomics import config
from lazyomics.options import settings

__all__ = ["COSTS", "OTHER_NAMES", "Arguments", "Cost", "chosen_part"]

EXACT_GENES = 6000
KEPT_BYTES = 256 << 20  # of a matrix that tl.score_genes keeps

# Parameters by their names, the object as "adata", and as "reads_raw" whether raw is read.
Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Cost:
    """What a verb does with its matrix.

    Attributes
    ----------
    passes
        Passes over the matrix, by the size of it in memory, cells, genes and the arguments.
    state
        Bytes that each worker holds besides its block, by cells, genes and the arguments.
    totals
        Whether a pass only adds up rows, by the arguments.
    """

    passes: Callable[[float, int, int, Arguments], int]
    state: Callable[[int, int, Arguments], int]
    totals: Callable[[Arguments], bool] = lambda _: False


def _constant(passes: int, per_gene: int = 0, per_cell: int = 0) -> Cost:
    return Cost(lambda *_: passes, lambda n, p, _: per_gene * p + per_cell * n)


def _normalize(size: float, n: int, p: int, given: Arguments) -> int:
    totals = given["target_sum"] is None or given["key_added"] is not None or not given["inplace"]
    return int(totals) + int(bool(given["exclude_highly_expressed"]))


def _pca(size: float, n: int, p: int, given: Arguments) -> int:
    if size <= config.memory():
        return 1
    return 2 if p <= EXACT_GENES else int(given.get("max_passes") or 10)


def _lsi(size: float, n: int, p: int, given: Arguments) -> int:
    return 1 if size <= config.memory() else int(given.get("max_passes") or 10)


def _representation(size: float, n: int, p: int, given: Arguments) -> int:
    """Passes to have what neighbours are looked for in: components, a key of obsm, or X."""
    adata, chosen = given["adata"], given.get("use_rep")
    if given.get("distances") is not None or given.get("var_names") is not None:
        return int(given.get("var_names") is not None)
    if chosen is None and (given.get("n_pcs") == 0 or adata.n_vars <= settings.N_PCS):
        chosen = "X"
    if chosen == "X":
        return int("X" not in adata.obsm or given.get("use_rep") is None)
    needs_pca = chosen is None and "X_pca" not in adata.obsm
    return _pca(size, n, p, given) if needs_pca else 0


def _asks_for_genes(size: float, n: int, p: int, given: Arguments) -> int:
    return int(p > 0)


def _ranks(size: float, n: int, p: int, given: Arguments) -> int:
    return 2 if given["method"] == "wilcoxon" else 1


def _filtered_ranks(size: float, n: int, p: int, given: Arguments) -> int:
    ranked = given["adata"].uns.get(given["key"] or "rank_genes_groups", {})
    params, groupby, use_raw = ranked.get("params", {}), given["groupby"], given["use_raw"]
    same = groupby in (None, params.get("groupby")) and use_raw in (None, params.get("use_raw"))
    same = same and params.get("reference") == "rest"
    return int(not (same and "logfoldchanges" in ranked and "pts_rest" in ranked))


def _autocorrelation(size: float, n: int, p: int, given: Arguments) -> int:
    if given.get("vals") is not None or given.get("obsm") is not None or given.get("obsp"):
        return 0
    return 1 + int(np.ceil(size / config.memory())) if np.isfinite(size) else 1


def _score(size: float, n: int, p: int, given: Arguments) -> int:
    return 1 if size <= min(KEPT_BYTES, config.memory()) else 2


COSTS = {
    "pp.binarize": _constant(0),
    "pp.calculate_qc_metrics": _constant(1, 24, 8),
    "pp.clr": Cost(lambda s, n, p, given: int(given["axis"] == 0), lambda n, p, _: 8 * p),
    "pp.combat": _constant(1, 64),
    "pp.downsample_counts": Cost(
        lambda s, n, p, given: int(given["counts_per_cell"] is None),
        lambda n, p, _: 16 * n,
        lambda _: True,
    ),
    "pp.filter_cells": Cost(
        lambda *_: 1,
        lambda n, p, _: 8 * n,
        lambda given: given["min_genes"] is None and given["max_genes"] is None,
    ),
    "pp.filter_genes": _constant(1, 24),
    "pp.filter_genes_dispersion": _constant(1, 24),
    "pp.highly_variable_genes": Cost(
        lambda s, n, p, given: 2 if str(given["flavor"]).startswith("seurat_v3") else 1,
        lambda n, p, _: 48 * p,
    ),
    "pp.log1p": _constant(0),
    "pp.normalize_per_cell": Cost(
        lambda s, n, p, given: int(given["counts_per_cell"] is None),
        lambda n, p, _: 8 * n,
        lambda _: True,
    ),
    "pp.normalize_total": Cost(
        _normalize, lambda n, p, _: 8 * n, lambda given: not given["exclude_highly_expressed"]
    ),
    "pp.pca": Cost(_pca, lambda n, p, _: 8 * p * min(p, EXACT_GENES)),
    "pp.regress_out": _constant(1, 32, 8),
    "pp.sample": _constant(0),
    "pp.scale": _constant(1, 32),
    "pp.scrublet": _constant(3, 48, 16),
    "pp.sqrt": _constant(0),
    "pp.sample_obs": _constant(0),
    "pp.subsample": _constant(0),
    "pp.tfidf": _constant(1, 8),
    "tl.diffmap": _constant(0),
    "tl.leiden": _constant(0),
    "tl.louvain": _constant(0),
    "tl.paga": _constant(0),
    "tl.score_genes": Cost(_score, lambda n, p, _: 16 * p + 8 * n),
    "tl.umap": _constant(0),
    "get.aggregate": _constant(1, 64),
    "pp.filter_obs": _constant(0),
    "pp.filter_var": _constant(0),
    "pp.neighbors": Cost(_representation, lambda n, p, _: 0),
    "pp.recipe_seurat": _constant(4, 48, 16),
    "pp.recipe_weinreb17": Cost(
        lambda s, n, p, given: 2 + _pca(s, n, p, given), lambda n, p, _: 8 * p * p
    ),
    "pp.recipe_zheng17": _constant(5, 48, 16),
    "pp.scrublet_simulate_doublets": _constant(1),
    "tl.dendrogram": Cost(_representation, lambda n, p, _: 16 * p),
    "tl.dpt": Cost(
        lambda s, n, p, given: int("iroot" not in given["adata"].uns and _has_xroot(given)),
        lambda n, p, _: 8 * n,
    ),
    "tl.draw_graph": _constant(0),
    "tl.embedding_density": _constant(0),
    "tl.filter_rank_genes_groups": Cost(_filtered_ranks, lambda n, p, _: 64 * p),
    "tl.ingest": _constant(1),
    "tl.lsi": Cost(_lsi, lambda n, p, _: 1500 * p),
    "tl.marker_gene_overlap": _constant(0),
    # mofapy2 holds the chosen genes densely, and copies of them.
    "tl.mofa": Cost(lambda *_: 1, lambda n, p, _: 8 * n * p),
    "tl.paga_degrees": _constant(0),
    "tl.paga_expression_entropies": _constant(1, 0, 8),
    "tl.rank_genes_groups": Cost(_ranks, lambda n, p, _: 64 * p),
    "tl.score_genes_cell_cycle": Cost(_score, lambda n, p, _: 16 * p + 8 * n),
    "tl.tsne": Cost(_representation, lambda n, p, _: 0),
    "get.group_stats": Cost(_asks_for_genes, lambda n, p, _: 64 * p),
    "get.obs_df": Cost(_asks_for_genes, lambda n, p, _: 0),
    "get.rank_genes_groups_df": _constant(0),
    "get.var_df": Cost(_asks_for_genes, lambda n, p, _: 0),
    "metrics.gearys_c": Cost(_autocorrelation, lambda n, p, _: 8 * n),
    "metrics.modularity": _constant(0),
    "metrics.morans_i": Cost(_autocorrelation, lambda n, p, _: 8 * n),
    "experimental.pp.highly_variable_genes": _constant(2, 48, 8),
    "experimental.pp.normalize_pearson_residuals": _constant(1, 32, 8),
    "experimental.pp.normalize_pearson_residuals_pca": Cost(
        lambda s, n, p, given: 1 + _pca(s, n, p, given) + int(given["inplace"]),
        lambda n, p, given: 8 * p * (p + n * int(given["inplace"])),
    ),
    "experimental.pp.recipe_pearson_residuals": Cost(
        lambda s, n, p, given: 4 + _pca(s, n, p, given),
        lambda n, p, given: 8 * given["n_top_genes"] * n,
    ),
    "external.pp.bbknn": _constant(0),
    "external.pp.harmony_integrate": _constant(0),
    "external.pp.scanorama_integrate": _constant(0),
}
OTHER_NAMES = {
    "tl.pca": "pp.pca",
    "external.pp.scrublet": "pp.scrublet",
    "external.pp.scrublet_simulate_doublets": "pp.scrublet_simulate_doublets",
}


def _has_xroot(given: Arguments) -> bool:
    return "xroot" in given["adata"].uns or "xroot" in given["adata"].var


def chosen_part(name: str, given: Arguments, x: Any) -> Any:
    """Return the part of a matrix that a verb reads: some genes, or some cells.

    PCA takes the genes of its mask, which is all that it reads where genes are columns.
    """
    adata = given["adata"]
    if name in ("get.obs_df", "get.group_stats"):
        return x[:, _positions(given, "var_names" if name == "get.group_stats" else "keys", adata)]
    if name == "get.var_df":
        return x[_named(adata.obs_names, adata.var.columns, given.get("keys", ())), :]
    if name == "tl.mofa":
        return x[:, _genes_of_mofa(given, adata)]
    mask = given.get("mask_var")
    if name != "pp.pca":
        return x
    if isinstance(mask, str) or (mask is not None and np.ndim(mask) == 1):
        chosen = adata.var[mask] if isinstance(mask, str) else mask
    elif mask is not None and "highly_variable" in adata.var:
        chosen = adata.var["highly_variable"]
    else:
        return x
    return x[:, np.asarray(chosen, dtype=bool)]


def _genes_of_mofa(given: Arguments, adata: Any) -> Any:
    """Return the positions of the genes of its mask; all where no column has its name."""
    use_var = given["use_var"]
    names = adata.var_names
    if use_var is not None and use_var in adata.var:
        names = names[np.asarray(adata.var[use_var]).astype(bool)]
    return (adata.raw if given["reads_raw"] else adata).var_names.get_indexer(names)


def _positions(given: Arguments, parameter: str, adata: Any) -> Any:
    """Return the positions of the genes that are asked for."""
    table = adata.raw.var if given["reads_raw"] else adata.var
    symbols = given.get("gene_symbols")
    names = table.index if symbols is None else table[symbols]
    taken = adata.obs.columns if parameter == "keys" else ()
    return _named(names, taken, given.get(parameter, ()))


def _named(names: Any, columns: Any, keys: Any) -> Any:
    asked = [keys] if isinstance(keys, str) else list(keys)
    wanted = {key for key in asked if key not in columns}
    return np.flatnonzero([name in wanted for name in names])
