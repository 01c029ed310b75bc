"""Marker genes of groups of cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics import logging
from lazyomics.container.categories import categorise
from lazyomics.container.choose import check_annotated
from lazyomics.errors import warn_user
from lazyomics.names import choices
from lazyomics.pp.matrix_choice import boolean_mask, choose_matrix
from lazyomics.tl.marker_tests import (
    Basics,
    Comparison,
    Tested,
    logistic_regression,
    measured,
    rank_sum_test,
    t_test,
)

if TYPE_CHECKING:
    from lazyomics.container import AnnData

__all__ = ["rank_genes_groups"]


Method = Literal["logreg", "t-test", "wilcoxon", "t-test_overestim_var"]
METHODS = ("logreg", "t-test", "wilcoxon", "t-test_overestim_var")
CORRECTIONS = ("benjamini-hochberg", "bonferroni")
DTYPES = {
    "names": "O",
    "scores": "float32",
    "logfoldchanges": "float32",
    "pvals": "float64",
    "pvals_adj": "float64",
}


def rank_genes_groups(
    adata: AnnData,
    groupby: str,
    *,
    mask_var: NDArray[np.bool_] | str | None = None,
    use_raw: bool | None = None,
    groups: Literal["all"] | Iterable[str] = "all",
    reference: str = "rest",
    n_genes: int | None = None,
    rankby_abs: bool = False,
    pts: bool = False,
    key_added: str | None = None,
    copy: bool = False,
    method: Method | None = None,
    corr_method: Literal["benjamini-hochberg", "bonferroni"] = "benjamini-hochberg",
    tie_correct: bool = False,
    layer: str | None = None,
    **kwds: Any,
) -> AnnData | None:
    """Rank genes by how they differ between groups of cells, eagerly.

    Parameters
    ----------
    adata
        Annotated data with logarithmised values, shape (n_obs, n_vars).
    groupby
        Categorical column of ``obs``; a column of text is made categorical.
    mask_var
        Genes to test: a mask of shape (n_vars,) or the name of a boolean column of ``var``.
    use_raw
        Take ``adata.raw``; by default if it is there.
    groups
        Groups to rank genes for; with a reference, no other cells take part.
    reference
        Group to compare with; "rest" compares each group with all other cells.
    n_genes
        How many genes of each group are kept; all by default.
    rankby_abs
        Order genes by absolute scores (the scores kept have their signs).
    pts
        Also give the share of cells with values other than zero.
    key_added
        Key of ``uns``, ``"rank_genes_groups"`` by default.
    copy
        Return a changed copy and leave ``adata`` as it is.
    method
        "t-test" (default): Welch's; "t-test_overestim_var": the same with an overestimated
        variance; "wilcoxon": rank sums, in the normal approximation; "logreg": logistic regression.
    corr_method
        Correction of p-values for many genes.
    tie_correct
        Correct the variance of rank sums for ties.
    layer
        Layer to use instead of X.
    **kwds
        Passed to ``sklearn.linear_model.LogisticRegression``.

    Returns
    -------
    None, or the copy. Sets ``uns[key_added]``, a dict with ``params`` and structured arrays with a
    field for each group and min(n_genes, n_vars) rows, in descending order of scores: ``names``
    (object), ``scores`` (float32), and, but for "logreg", ``logfoldchanges`` (float32, log2 of the
    ratio of ``expm1`` of the means), ``pvals`` and ``pvals_adj`` (float64). With ``pts`` also
    ``pts`` and, without a reference, ``pts_rest``: data frames of n_vars × groups, float64.

    Raises
    ------
    ValueError
        If ``groupby`` is no categorical column, a group or the reference is unknown or has fewer
        than two cells, method or correction are unknown, or both a layer and raw are asked for.
    KeyError
        If the layer does not exist.
    TypeError
        If the matrix holds no numbers, or unknown arguments are given.

    Warns
    -----
    UserWarning
        If the values look like counts.

    Notes
    -----
    Passes over the matrix: 1 for both t-tests with all groups and shares. "wilcoxon": 1 + the
    number of parts in which its genes fit in memory: 5 bytes for each value other than zero (9 for
    values of 64 bits; more for over 256 groups) in ``lazyomics.memory``; mostly 2. A matrix that is
    stored by columns is read once for the ranks, gene by gene; with recorded steps, each of these
    passes costs as many as there are windows of rows. "logreg": 1.

    Peak memory: the blocks in flight, some 60 bytes × n_groups × n_genes, for "wilcoxon"
    ``lazyomics.memory``. "logreg" needs the chosen rows and genes in memory as a whole.

    Scores and p-values of "wilcoxon" are scanpy's to the last bit; those of the t-tests agree up to
    rounding, as sums here are taken in float64 throughout. NaN ranks above all values and ties with
    NaN, where scanpy's ranks depend on the order of an unstable sort.

    References
    ----------
    Welch, B. L. (1947). The generalization of 'Student's' problem when several different
    population variances are involved. doi:10.1093/biomet/34.1-2.28

    Wilcoxon, F. (1945). Individual comparisons by ranking methods. doi:10.2307/3001968

    Benjamini, Y. & Hochberg, Y. (1995). Controlling the false discovery rate.
    doi:10.1111/j.2517-6161.1995.tb02031.x

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import lazyomics as lo
    >>> obs = pd.DataFrame({"kind": pd.Categorical(list("aaabbb"))}, index=list("uvwxyz"))
    >>> x = np.array([[5.1, 0], [4.2, 1.5], [4.9, 0], [0, 0], [0.3, 1.5], [0, 2.5]])
    >>> adata = lo.AnnData(x, obs=obs, var=pd.DataFrame(index=["g1", "g2"]))
    >>> lo.tl.rank_genes_groups(adata, "kind", method="wilcoxon")
    >>> adata.uns["rank_genes_groups"]["names"]["a"].tolist()
    ['g1', 'g2']
    """
    check_annotated(adata, "tl.rank_genes_groups")
    method = "t-test" if method is None else method
    if "only_positive" in kwds:  # an argument of early scanpy
        rankby_abs = not kwds.pop("only_positive")
    if method not in METHODS:
        raise ValueError(f"Method must be one of {METHODS}, found {method!r}.")
    if corr_method not in CORRECTIONS:
        raise ValueError(f"Correction method must be one of {CORRECTIONS}, found {corr_method!r}.")
    if kwds and method != "logreg":
        raise TypeError(f"rank_genes_groups: method={method!r} takes no {', '.join(kwds)}")
    if use_raw is None:
        use_raw = adata.raw is not None
    elif use_raw and adata.raw is None:
        raise ValueError("Received `use_raw=True`, but `adata.raw` is empty.")
    if layer is not None and use_raw:
        raise ValueError("Cannot specify `layer` and have `use_raw=True`.")
    begun = logging.info("ranking genes")
    adata = adata.copy() if copy else adata
    labels = _labels(adata, groupby)
    chosen = _chosen(labels, groupby, groups, reference)
    x, var_names = _matrix(adata, mask_var, layer=layer, use_raw=use_raw)
    names = [str(name) for name in labels.categories[chosen]]
    result: dict[str, Any] = {
        "params": {
            "groupby": groupby,
            "reference": reference,
            "method": method,
            "use_raw": use_raw,
            "layer": layer,
            "corr_method": corr_method,
        }
    }
    basics = None
    tests: Iterator[Tested]
    comparison = _comparison(labels, chosen, reference)
    if method == "logreg":
        tests = logistic_regression(x, labels.codes.astype(np.int64), chosen, **kwds)
    else:
        basics = measured(x, comparison)
        if basics.are_counts:
            warn_user(
                "It seems you use rank_genes_groups on the raw count data. Please logarithmize "
                "your data before calling rank_genes_groups."
            )
        if method == "wilcoxon":
            tests = rank_sum_test(x, basics, comparison, tie_correct=tie_correct)
        else:
            tests = t_test(basics, comparison, overestimate=method != "t-test")
    if pts and basics is not None:
        result.update(_shares(basics, comparison, var_names, names))
    base = adata.uns.get("log1p", {}).get("base")
    table = _Table(var_names, n_genes, corr_method, base, rankby_abs=rankby_abs)
    for test in tests:
        table.add(names[test.group], test, basics)
    result.update(table.records())
    key_added = "rank_genes_groups" if key_added is None else key_added
    adata.uns[key_added] = result
    logging.info("    finished", time=begun, deep=_added(key_added, method))
    return adata if copy else None


def _matrix(
    adata: AnnData, mask_var: Any, *, layer: str | None, use_raw: bool
) -> tuple[Any, pd.Index[Any]]:
    """The matrix whose genes are ranked, and their names."""
    x = choose_matrix(adata, layer=layer, use_raw=use_raw)
    var_names = adata.raw.var_names if use_raw and adata.raw is not None else adata.var_names
    if mask_var is None:
        return x, var_names
    kept = np.flatnonzero(boolean_mask(adata, mask_var, "var"))
    if x.shape[1] != adata.n_vars:
        raise ValueError(
            f"mask_var marks genes of adata ({adata.n_vars}), but raw has {x.shape[1]}: "
            "use_raw=False takes X"
        )
    return x[:, kept], var_names[kept]


def _shares(
    basics: Basics, comparison: Comparison, var_names: pd.Index[Any], names: list[str]
) -> dict[str, pd.DataFrame]:
    """Which share of the cells of each group, and of all others, expresses each gene."""
    shares = {"pts": basics.share[: len(names)]}
    if comparison.reference is None:
        shares["pts_rest"] = basics.share_rest
    return {
        key: pd.DataFrame(values.T, index=var_names, columns=names)
        for key, values in shares.items()
    }


def _added(key: str, method: str) -> str:
    """What scanpy says of the result."""
    found = ["names", "scores", "logfoldchanges", "pvals", "pvals_adj"]
    found = found[:2] if method == "logreg" else found
    lines = [f"    {name!r}, sorted np.recarray to be indexed by group ids" for name in found]
    return "\n".join([f"added to `.uns[{key!r}]`", *lines])


def _labels(adata: AnnData, groupby: str) -> pd.Categorical[Any]:
    if groupby not in adata.obs:
        raise ValueError(
            f"groupby={groupby!r} is not a column of adata.obs; "
            f"{choices(groupby, adata.obs.columns)}"
        )
    categorise(adata.obs, [groupby])
    column = adata.obs[groupby]
    if pd.api.types.is_string_dtype(column) and not isinstance(column.dtype, pd.CategoricalDtype):
        adata.obs[groupby] = column = column.astype("category")
    if not isinstance(column.dtype, pd.CategoricalDtype):
        raise ValueError(
            f"groupby={groupby!r} must be categorical, found {column.dtype}. Convert it: "
            f"adata.obs[{groupby!r}] = adata.obs[{groupby!r}].astype('category')"
        )
    return pd.Categorical(column)


def _chosen(
    labels: pd.Categorical[Any], groupby: str, groups: Any, reference: str
) -> NDArray[np.int64]:
    """Codes of the categories to test, in the order asked for, with that of the reference."""
    categories = labels.categories
    if reference != "rest" and reference not in categories:
        raise ValueError(
            f"reference = {reference} needs to be one of groupby = {categories.tolist()}."
        )
    if isinstance(groups, str) and groups == "all":
        wanted = categories.tolist()
    elif isinstance(groups, str | int):
        raise ValueError("Specify a sequence of groups")
    else:
        wanted = list(dict.fromkeys(groups))
        if wanted and isinstance(wanted[0], int) and wanted[0] not in categories:
            wanted = [str(name) for name in wanted]
        if reference != "rest" and reference not in wanted:
            wanted.append(reference)
    unknown = [name for name in wanted if name not in categories]
    if unknown or not wanted:
        raise ValueError(
            f"groups {unknown or 'is empty: name some'} of obs[{groupby!r}]; "
            f"{choices(unknown, categories)}"
        )
    codes = categories.get_indexer(pd.Index(wanted, dtype=categories.dtype)).astype(np.int64)
    cells = np.bincount(labels.codes[labels.codes >= 0], minlength=len(categories))[codes]
    small = [str(name) for name, n in zip(wanted, cells, strict=True) if n < 2]
    if small:
        raise ValueError(
            f"Could not calculate statistics for groups {', '.join(small)} since they only contain "
            "one sample."
        )
    return codes


def _comparison(
    labels: pd.Categorical[Any], chosen: NDArray[np.int64], reference: str
) -> Comparison:
    others = len(chosen) if reference == "rest" else -1
    # one place more, for the code −1 of cells without a label
    new_codes = np.full(len(labels.categories) + 1, others, dtype=np.int64)
    new_codes[chosen] = np.arange(len(chosen))
    beside = None
    if reference != "rest":
        beside = int(new_codes[labels.categories.get_loc(reference)])
    return Comparison(new_codes[labels.codes], len(chosen), beside)


class _Table:
    """Columns of the result, group by group."""

    def __init__(
        self,
        var_names: pd.Index[Any],
        n_genes: int | None,
        corr_method: str,
        base: float | None,
        *,
        rankby_abs: bool,
    ) -> None:
        self.var_names = var_names
        self.n_top = len(var_names) if n_genes is None else min(n_genes, len(var_names))
        self.corr_method, self.base, self.rankby_abs = corr_method, base, rankby_abs
        self.columns: dict[str, dict[str, Any]] = {}

    def add(self, name: str, test: Tested, basics: Basics | None) -> None:
        """Order the genes of one group and keep the first ones."""
        top = _top(np.abs(test.scores) if self.rankby_abs else test.scores, self.n_top)
        self._put("names", name, self.var_names[top])
        self._put("scores", name, test.scores[top])
        if test.pvals is not None:
            pvals = np.where(np.isnan(test.pvals), 1, test.pvals)
            self._put("pvals", name, pvals[top])
            self._put("pvals_adj", name, _adjusted(pvals, self.corr_method)[top])
        if basics is not None:
            with np.errstate(all="ignore"):
                inside, outside = (
                    np.expm1(mean if self.base is None else mean * np.log(self.base))
                    for mean in (basics.mean[test.group], basics.mean_rest[test.group])
                )
                change = np.log2(((inside + 1e-9) / (outside + 1e-9))[top])
            self._put("logfoldchanges", name, change)

    def _put(self, key: str, name: str, values: Any) -> None:
        self.columns.setdefault(key, {})[name] = values

    def records(self) -> dict[str, Any]:
        """Structured arrays as scanpy makes them, in the order in which it does."""
        return {
            key: pd.DataFrame(columns).to_records(index=False, column_dtypes=DTYPES[key])
            for key, columns in self.columns.items()
        }


def _top(scores: NDArray[Any], n: int) -> NDArray[np.int64]:
    """Positions of the largest scores in descending order; ties in the order that scanpy gives."""
    if n == 0:
        return np.empty(0, dtype=np.int64)
    partition = np.argpartition(scores, -n)[-n:]
    return partition[np.argsort(scores[partition])[::-1]]


def _adjusted(pvals: NDArray[np.float64], method: str) -> NDArray[np.float64]:
    """Correct p-values for their number."""
    if method == "bonferroni":
        return np.minimum(pvals * len(pvals), 1.0)
    order = np.argsort(pvals)
    # p divided by its share of all, not multiplied by the inverse: the last bits are scanpy's
    raw = pvals[order] / (np.arange(1, len(pvals) + 1) / float(len(pvals)))
    adjusted = np.empty(len(pvals))
    adjusted[order] = np.minimum(np.minimum.accumulate(raw[::-1])[::-1], 1)
    return adjusted
