"""What a call of a verb would read, hold and take, known before it runs."""

from __future__ import annotations

import inspect
import time
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyomics.container.choose import check_annotated, get_matrix
from lazyomics.container.verb_table import COSTS, OTHER_NAMES, Arguments, chosen_part
from lazyomics.lazy import recipe_of, workers
from lazyomics.lazy.explain import MatrixPlan, explain_matrix, size_text, stored_bytes_of_totals
from lazyomics.lazy.html import page, table
from lazyomics.names import check_keywords, near

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData

__all__ = ["VerbPlan", "plan_of_verb"]

SPACES = ("pp", "tl", "get", "metrics", "experimental.pp", "external.pp")


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
            facts.append(
                ("time", f"about {_seconds_text(self.seconds)} to read, with what is recorded")
            )
        memory = f"about {size_text(self.peak_bytes)} with {self.workers} workers, besides results"
        return [*facts, ("memory", memory)]

    def __repr__(self) -> str:
        return "\n".join([self.verb, *(f"  {name:<8} {text}" for name, text in self._facts())])

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from html import escape

        rows = [(escape(name), escape(text)) for name, text in self._facts()]
        return page(self.verb, ["nothing computed yet"], [table(rows)])


def _seconds_text(seconds: float) -> str:
    if seconds >= 100:
        return f"{round(seconds / 60):,} min"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def plan_of_verb(adata: AnnData, verb: str, parameters: Arguments) -> VerbPlan:
    """Plan a call of a verb with an object and keywords."""
    check_annotated(adata, "explain")
    name = _full_name(verb)
    given = _arguments(name, parameters, adata)
    cost = COSTS[name]
    n, p = adata.shape
    x, where = None, "X"
    layer = given.get("layer", given.get("use_layer"))
    if adata.X is not None or layer is not None:
        use_raw = given["reads_raw"]
        x = get_matrix(adata, layer=layer, use_raw=use_raw)
        where = "raw.X" if use_raw else "X" if layer is None else f"layers[{layer!r}]"
        x = chosen_part(name, given, x)
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
    for space in ("", *(f"{space}." for space in SPACES)):
        name = OTHER_NAMES.get(space + asked, space + asked)
        if name in COSTS:
            return name
    close = near(asked, [*COSTS, *(name.partition(".")[2] for name in COSTS)])
    hint = f". Did you mean {' or '.join(map(repr, close))}?" if close else ""
    raise ValueError(f"explain knows no verb {verb!r}, only {', '.join(COSTS)}{hint}")


def _arguments(name: str, parameters: Arguments, adata: AnnData) -> dict[str, Any]:
    space, _, verb = name.rpartition(".")
    function = getattr(import_module(f"lazyomics.{space}"), verb)
    known = inspect.signature(function).parameters
    if not any(p.kind == p.VAR_KEYWORD for p in known.values()):
        check_keywords(name, parameters, list(known))
    defaults = {key: p.default for key, p in known.items() if p.default is not p.empty}
    given = {**defaults, **parameters, "adata": adata}
    # None means raw, where there is one and no layer is named.
    means_raw = "use_raw" in given and given["use_raw"] is None and given.get("layer") is None
    asks_for_raw = given.get("use_raw") and given.get("use_layer") is None
    given["reads_raw"] = adata.raw is not None and bool(means_raw or asks_for_raw)
    return given


def _seconds_of_a_pass(recipe: Any) -> float:
    """Estimate from the time that a block in the middle takes, with the workers that there are."""
    if recipe is None:
        return float("nan")
    bounds = recipe.bounds()
    middle = (len(bounds) - 1) // 2
    line = slice(bounds[middle], bounds[min(middle + 1, len(bounds) - 1)], 1)
    part = recipe.take_cols(line) if recipe.by_columns else recipe.take_rows(line)
    first = part.take_cols(slice(0, 1, 1)) if part.by_columns else part.take_rows(slice(0, 1, 1))
    first.load(first.cols if first.by_columns else first.rows, first.steps)  # compiles the loops
    begun = time.perf_counter()
    part.load(part.cols if part.by_columns else part.rows, part.steps)
    took = time.perf_counter() - begun
    blocks = len(bounds) - 1
    return took * -(-blocks // max(1, min(workers(), blocks)))
