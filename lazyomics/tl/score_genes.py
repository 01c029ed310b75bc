"""Scores of sets of genes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lazyomics import config, lazy, logging
from lazyomics.container.choose import check_annotated, get_matrix
from lazyomics.errors import warn_user
from lazyomics.kernels.gene_sets import known_totals, set_means
from lazyomics.pp.filter import row_cache_budget

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lazyomics.container import AnnData

__all__ = ["Scoring", "add_scores", "score_genes"]

KEPT_BYTES = 256 << 20  # a larger matrix is read again, and of it no more than the chosen columns


@dataclass(frozen=True)
class Scoring:
    """How gene sets are scored; the parameters of ``score_genes`` of the same names."""

    ctrl_as_ref: bool = True
    ctrl_size: int = 50
    gene_pool: Sequence[str] | pd.Index[Any] | None = None
    n_bins: int = 25
    random_state: Any = 0
    use_raw: bool | None = None
    layer: str | None = None


def score_genes(
    adata: AnnData,
    gene_list: Sequence[str] | pd.Index[Any],
    *,
    ctrl_as_ref: bool = True,
    ctrl_size: int = 50,
    gene_pool: Sequence[str] | pd.Index[Any] | None = None,
    n_bins: int = 25,
    score_name: str = "score",
    random_state: Any = 0,
    copy: bool = False,
    use_raw: bool | None = None,
    layer: str | None = None,
) -> AnnData | None:
    """Score each cell by a set of genes, eagerly.

    The score is the mean of the genes minus the mean of control genes, which are drawn from
    genes that are expressed as highly: all genes of the pool are ranked by their mean and cut into
    ``n_bins`` bins; of each bin with a gene of the set, ``ctrl_size`` genes are drawn.

    Parameters
    ----------
    adata
        Annotated data, shape (n_obs, n_vars), logarithmised as a rule.
    gene_list
        Names of the genes. Those that do not exist are left out, with a warning.
    ctrl_as_ref
        Let genes of the set take part in the draw; they are left out of the controls afterwards.
        Otherwise they are left out before.
    ctrl_size
        Control genes of each bin.
    gene_pool
        Genes that controls are drawn from; by default all. It has to include the genes of the set.
    n_bins
        Number of bins.
    score_name
        Column of ``obs`` for the result.
    random_state
        Seed; None goes on with NumPy's global generator.
    copy
        Return a changed copy and leave ``adata`` as it is.
    use_raw
        Read ``raw.X``; by default if there is one and no ``layer`` is named.
    layer
        Layer to use instead of X.

    Returns
    -------
    None, or the copy. Sets ``obs[score_name]``, float64, shape (n_obs,).

    Raises
    ------
    ValueError
        If none of the genes, or of the pool, exists, or names of genes are not unique.
    KeyError
        If a gene of the set is not in the pool, or its mean is not finite.
    RuntimeError
        If there are no control genes.

    Warns
    -----
    UserWarning
        If genes do not exist, or a bin has no control genes.

    Notes
    -----
    Passes over X: 1 if it surely fits in 256 MiB and in ``lazyomics.memory``, and is kept.
    Otherwise 2, one for the means of the genes, one for the scores, of which only the columns
    of the set and its controls are read where that costs less. Peak memory: what is kept, the
    blocks in flight, two numbers per gene for each, and one per cell.

    The control genes are those of scanpy for the same seed. Means are added up in float64, as by
    scanpy 1.12; scanpy 1.11 adds float32 values in float32, so that genes whose means differ by
    less than its rounding may change places there, and a bin of controls with them.

    References
    ----------
    Tirosh, I. et al. (2016). Dissecting the multicellular ecosystem of metastatic melanoma by
    single-cell RNA-seq. doi:10.1126/science.aad0501

    Satija, R. et al. (2015). Spatial reconstruction of single-cell gene expression data.
    doi:10.1038/nbt.3192

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import lazyomics as lo
    >>> var = pd.DataFrame(index=["a", "b", "c", "d"])
    >>> x = np.array([[4.0, 1.0, 1.0, 3.0], [0.0, 1.0, 3.0, 1.0]])
    >>> adata = lo.AnnData(x, var=var)
    >>> lo.tl.score_genes(adata, ["a"], n_bins=2)
    >>> adata.obs["score"].round(2).tolist()
    [2.33, -1.67]
    """
    check_annotated(adata, "tl.score_genes")
    adata = adata.copy() if copy else adata
    begun = logging.info(f"computing score {score_name!r}")
    how = Scoring(ctrl_as_ref, ctrl_size, gene_pool, n_bins, random_state, use_raw, layer)
    (controls,) = add_scores(adata, {score_name: gene_list}, how)
    deep = f"added\n    {score_name!r}, score of gene set (adata.obs).\n"
    deep += f"    {controls} total control genes are used."
    logging.info("    finished", time=begun, deep=deep)
    return adata if copy else None


def add_scores(adata: AnnData, sets: dict[str, Any], how: Scoring) -> list[int]:
    """Score several sets of genes, all in the same one or two passes.

    Parameters
    ----------
    adata
        Gets a column of ``obs`` for each set.
    sets
        Names of the genes by the name of the column. Each set is drawn controls for as if it were
        the only one: with the same seed.
    how
        The parameters that they share.

    Returns
    -------
    How many genes are the controls of each set.
    """
    use_raw = how.use_raw
    if use_raw is None:
        use_raw = how.layer is None and adata.raw is not None
    x = get_matrix(adata, layer=how.layer, use_raw=use_raw)
    raw = adata.raw if use_raw else None
    names = adata.var_names if raw is None else raw.var_names
    if not names.is_unique:
        raise ValueError(
            "tl.score_genes: names of genes are not unique; call adata.var_names_make_unique()"
        )
    chosen = {name: _existing(genes, names) for name, genes in sets.items()}
    pool = _pool(how.gene_pool, names)
    x = _kept(x)
    means = _gene_means(x, pool)
    # Missing values may leave a gene without a mean.
    known = np.isfinite(means)
    pool_size, pool, means = len(pool), pool[known], means[known]
    columns: list[NDArray[np.intp]] = []
    for found in chosen.values():
        genes = names.get_indexer(found)
        unknown = ~np.isin(genes, pool)
        if unknown.any():
            raise KeyError(
                f"genes of the set are not in the pool, or have no mean: {list(found[unknown])}"
            )
        columns += [genes, pool[_controls(np.isin(pool, genes), means, pool_size, how)]]
    used = np.unique(np.concatenate(columns))
    members = np.stack([np.isin(used, places) for places in columns])
    rows = lazy.collect_rows(
        x[:, used], set_means, dtype=np.float64, columns=len(columns), sets=members
    )
    (scores,) = lazy.compute(rows)
    for k, name in enumerate(chosen):
        adata.obs[name] = scores[:, 2 * k] - scores[:, 2 * k + 1]
    return [len(controls) for controls in columns[1::2]]


def _existing(genes: Any, names: pd.Index[Any]) -> pd.Index[Any]:
    given = pd.Index([genes] if isinstance(genes, str) else genes)
    unknown = given.difference(names, sort=False)
    if len(unknown):
        warn_user(f"genes are not in var_names and ignored: {list(unknown)}")
    found = given.intersection(names)
    if len(found) == 0:
        raise ValueError("No valid genes were passed for scoring.")
    return found


def _pool(genes: Any, names: pd.Index[Any]) -> NDArray[np.intp]:
    """Positions of the genes that controls are drawn from, in their own order."""
    if genes is None:
        return np.arange(len(names))
    pool = pd.Index(genes, dtype="string").intersection(names)
    if len(pool) == 0:
        raise ValueError("No valid genes were passed for reference set.")
    return names.get_indexer(pool)


def _kept(x: Any) -> Any:
    """The matrix, in memory if it is small: to read it again takes longer than all else."""
    recipe = lazy.recipe_of(x)
    if recipe and lazy.memory_source(x) and not recipe.steps:
        return x
    _, fits = row_cache_budget(x, min(KEPT_BYTES, config.memory()))
    return lazy.as_lazy(lazy.materialize(x)) if fits else x


def _gene_means(x: Any, pool: NDArray[np.intp]) -> NDArray[np.float64]:
    whole = len(pool) == x.shape[1]
    (state,) = lazy.compute(lazy.fold_rows(x if whole else x[:, pool], known_totals))
    # A pool of all genes may name them in another order, and so come the means (scanpy takes the
    # order of var for them, and thereby means of other genes).
    return np.asarray(state.means()[pool] if whole else state.means())


def _controls(
    in_set: NDArray[np.bool_], means: NDArray[np.float64], pool_size: int, how: Scoring
) -> NDArray[np.bool_]:
    """Draw control genes, in the same order and from the same numbers as scanpy.

    Parameters
    ----------
    in_set
        Which genes of the pool belong to the set, shape (p,).
    means
        Of the genes of the pool, finite, shape (p,).
    pool_size
        Number of genes of the pool, those without a mean included.
    how
        Parameters of the draw.

    Returns
    -------
    Which genes of the pool are controls, shape (p,).
    """
    draws = _generator(how.random_state)
    n_items = int(np.round(len(means) / (how.n_bins - 1)))
    cuts = pd.Series(means).rank(method="min").to_numpy() // n_items
    controls = np.zeros(len(means), dtype=np.bool_)
    for cut in np.unique(cuts[in_set]):
        mine = cuts == cut
        drawn = np.flatnonzero(mine if how.ctrl_as_ref else mine & ~in_set)
        if len(drawn) == 0:
            warn_user(
                f"No control genes for {cut=}. You might want to increase gene_pool size "
                f"(current size: {pool_size})"
            )
        if how.ctrl_size < len(drawn):
            drawn = pd.Series(drawn).sample(how.ctrl_size, random_state=draws).to_numpy()
        controls[drawn] = True
    if how.ctrl_as_ref:
        controls &= ~in_set
    if not controls.any():
        hint = " Try setting `ctrl_as_ref=False`." if how.ctrl_as_ref else ""
        raise RuntimeError(f"No control genes found in any cut.{hint}")
    return controls


def _generator(random_state: Any) -> Any:
    """What pandas draws from; None is NumPy's global generator."""
    if random_state is None or isinstance(random_state, np.random.RandomState):
        return random_state
    return np.random.RandomState(random_state)
