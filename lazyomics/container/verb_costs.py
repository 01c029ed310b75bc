"""What a call of a verb would read, hold and take, known before it runs."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyomics import config
from lazyomics.container.choose import check_annotated, get_matrix
from lazyomics.lazy import recipe_of, workers
from lazyomics.lazy.explain import MatrixPlan, explain_matrix, size_text, stored_bytes_of_totals
from lazyomics.lazy.html import page, table
from lazyomics.names import check_keywords, near

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData

__all__ = ["VerbPlan", "plan_of_verb"]

EXACT_GENES = 6000
KEPT_BYTES = 256 << 20  # of a matrix that tl.score_genes keeps

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
    "pp.subsample": _constant(0),
    "pp.tfidf": _constant(1, 8),
    "tl.diffmap": _constant(0),
    "tl.leiden": _constant(0),
    "tl.louvain": _constant(0),
    "tl.paga": _constant(0),
    "tl.score_genes": Cost(_score, lambda n, p, _: 16 * p + 8 * n),
    "tl.umap": _constant(0),
    "get.aggregate": _constant(1, 64),
}
OTHER_NAMES = {"tl.pca": "pp.pca"}


@dataclass(frozen=True, repr=False)
class VerbPlan:
    """What a call of a verb would do.

    Parameters
    ----------
    verb
        Its name, e.g. ``"pp.pca"``.
    passes
        Passes over the matrix, at most.
    stored_bytes
        Bytes that all passes read from the file; -1 where that is not known.
    matrix
        A pass over it; None for a verb that reads none.
    seconds
        Estimated time of reading, from the time that one block took just now; NaN if not known.
    peak_bytes
        Estimated memory: a block and its changed copy for each worker, and what the verb adds up.
    workers
        Blocks in flight.
    """

    verb: str
    passes: int
    stored_bytes: int
    matrix: MatrixPlan | None
    seconds: float
    peak_bytes: int
    workers: int

    def _facts(self) -> list[tuple[str, str]]:
        if self.matrix is None or not self.passes:
            return [("passes", "0: it reads no matrix, or only records what is to be done")]
        read = "not known" if self.stored_bytes < 0 else f"{size_text(self.stored_bytes)} stored"
        if self.matrix.element is None and self.stored_bytes < 0:
            read = "nothing from a file that is known"
        many = f"{self.passes}, each of {self.matrix.blocks:,} blocks"
        facts = [("passes", many), ("over", self.matrix.name), ("reads", read)]
        facts.append(("steps", " → ".join(self.matrix.steps) or "none"))
        if np.isfinite(self.seconds):
            facts.append(("time", f"about {self.seconds:.2g} s to read, with what is recorded"))
        memory = f"about {size_text(self.peak_bytes)} with {self.workers} workers, besides results"
        return [*facts, ("memory", memory)]

    def __repr__(self) -> str:
        return "\n".join([self.verb, *(f"  {name:<8} {text}" for name, text in self._facts())])

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from html import escape

        rows = [(escape(name), escape(text)) for name, text in self._facts()]
        return page(self.verb, ["nothing computed yet"], [table(rows)])


def plan_of_verb(adata: AnnData, verb: str, parameters: Arguments) -> VerbPlan:
    """Plan a call of a verb with an object and keywords."""
    check_annotated(adata, "explain")
    name = _full_name(verb)
    given = _arguments(name, parameters)
    cost = COSTS[name]
    n, p = adata.shape
    x, where = None, "X"
    if adata.X is not None or given.get("layer") is not None:
        use_raw = bool(given.get("use_raw")) and adata.raw is not None
        layer = given.get("layer")
        x = get_matrix(adata, layer=layer, use_raw=use_raw)
        where = "raw.X" if use_raw else "X" if layer is None else f"layers[{layer!r}]"
        x = _chosen_columns(adata, name, given, x)
        p = int(x.shape[1])
    matrix = None if x is None else explain_matrix(where, x)
    recipe = None if x is None else recipe_of(x)
    size = float("inf") if recipe is None else float(recipe.bytes_in_memory())
    passes = cost.passes(size, n, p, given) if x is not None else 0
    seconds = passes * _seconds_of_a_pass(recipe) if passes else 0.0
    peak = 0
    if matrix is not None and passes:
        peak = workers() * (2 * max(matrix.block_bytes, 0) + cost.state(n, p, given))
    stored = 0
    if matrix is not None and passes:
        each = stored_bytes_of_totals(x) if cost.totals(given) else matrix.stored_bytes
        stored = -1 if each < 0 else passes * each
    return VerbPlan(name, passes, stored, matrix, seconds, peak, workers())


def _full_name(verb: str) -> str:
    asked = str(verb).removeprefix("lo.").removeprefix("lazyomics.")
    asked = OTHER_NAMES.get(asked, asked)
    for name in (asked, f"pp.{asked}", f"tl.{asked}", f"get.{asked}"):
        if name in COSTS:
            return name
    close = near(asked, [*COSTS, *(name.partition(".")[2] for name in COSTS)])
    hint = f". Did you mean {' or '.join(map(repr, close))}?" if close else ""
    raise ValueError(f"explain knows no verb {verb!r}, only {', '.join(COSTS)}{hint}")


def _arguments(name: str, parameters: Arguments) -> dict[str, Any]:
    space, _, verb = name.partition(".")
    function = getattr(import_module(f"lazyomics.{space}"), verb)
    known = inspect.signature(function).parameters
    if not any(p.kind == p.VAR_KEYWORD for p in known.values()):
        check_keywords(name, parameters, list(known))
    defaults = {key: p.default for key, p in known.items() if p.default is not p.empty}
    return {**defaults, **parameters}


def _chosen_columns(adata: AnnData, name: str, given: Arguments, x: Any) -> Any:
    """Return the genes that PCA takes, which is all that it reads where genes are columns."""
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


def _seconds_of_a_pass(recipe: Any) -> float:
    """Estimate from the time that a block in the middle takes, with the workers that there are."""
    if recipe is None:
        return float("nan")
    bounds = recipe.bounds()
    middle = (len(bounds) - 1) // 2
    line = slice(bounds[middle], bounds[min(middle + 1, len(bounds) - 1)], 1)
    part = recipe.take_cols(line) if recipe.by_columns else recipe.take_rows(line)
    begun = time.perf_counter()
    part.load(part.cols if part.by_columns else part.rows, part.steps)
    took = time.perf_counter() - begun
    blocks = len(bounds) - 1
    return took * -(-blocks // max(1, min(workers(), blocks)))
