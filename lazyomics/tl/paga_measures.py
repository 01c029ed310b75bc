"""Measures of abstracted graphs: degrees, entropies of groups, paths that two graphs share."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lazyomics import lazy
from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated, get_matrix
from lazyomics.graph.abstraction import neighbor_lists, shortest_path
from lazyomics.kernels.whole_rows import row_medians
from lazyomics.names import choices

__all__ = [
    "PAGAComparePathsResult",
    "paga_compare_paths",
    "paga_degrees",
    "paga_expression_entropies",
]


def paga_degrees(adata: AnnData) -> list[float]:
    """Sum the connectivities of each group.

    Parameters
    ----------
    adata
        Annotated matrix after :func:`lazyomics.tl.paga`.

    Returns
    -------
    A number for each group, in the order of the categories.

    Raises
    ------
    ValueError
        If there is no abstracted graph.

    Notes
    -----
    Passes over X: 0. Peak memory: the abstracted graph.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> import lazyomics as lo
    >>> graph = sparse.csr_matrix([[0, 0.5, 0], [0.5, 0, 1], [0, 1, 0]])
    >>> adata = lo.AnnData(np.eye(3), uns={"paga": {"connectivities": graph, "groups": "g"}})
    >>> lo.tl.paga_degrees(adata)
    [0.5, 1.5, 1.0]
    """
    check_annotated(adata, "tl.paga_degrees")
    lists = neighbor_lists(_stored(adata, "connectivities"))
    return [float(sum(neighbors.values())) for neighbors in lists]


def paga_expression_entropies(adata: AnnData) -> list[float]:
    """Compute the entropy of the median expression of the cells of each group, in one pass.

    The medians of the cells over all genes are scaled to 0 to 1 in each group, and taken for
    probabilities.

    Parameters
    ----------
    adata
        Annotated matrix after :func:`lazyomics.tl.paga`.

    Returns
    -------
    A number for each group, in the order of the categories; NaN where all medians are equal.

    Raises
    ------
    ValueError
        If there is no abstracted graph, or its groups are no categorical column of obs.

    Notes
    -----
    Passes over X: 1. Peak memory: 16 MiB of dense rows for each thread, and n_obs values.
    scanpy's function fails for fewer than 600 genes; for more it takes no medians, and returns an
    entropy for each gene.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import lazyomics as lo
    >>> obs = pd.DataFrame({"g": pd.Categorical(["x", "x", "x"])}, index=["a", "b", "c"])
    >>> adata = lo.AnnData(np.array([[0.0], [2.0], [2.0]]), obs=obs, uns={"paga": {"groups": "g"}})
    >>> [round(entropy, 3) for entropy in lo.tl.paga_expression_entropies(adata)]
    [0.693]
    """
    from scipy.stats import entropy

    check_annotated(adata, "tl.paga_expression_entropies")
    groups = _groups(adata)
    (medians,) = lazy.compute(lazy.collect_rows(get_matrix(adata), row_medians, dtype=np.float64))
    found = []
    for code in range(len(groups.categories)):
        of_group = medians[groups.codes == code]
        if np.isnan(of_group).all() or np.ptp(of_group[~np.isnan(of_group)]) == 0:
            found.append(float("nan"))
            continue
        low, high = np.nanmin(of_group), np.nanmax(of_group)
        found.append(float(entropy((of_group - low) / (high - low))))
    return found


class PAGAComparePathsResult(NamedTuple):
    """How far paths of two abstracted graphs agree.

    Attributes
    ----------
    frac_steps, n_steps
        Share of steps that agree, and number of steps.
    frac_paths, n_paths
        Share of paths that agree, and number of paths. All four are NaN if there are no paths.
    """

    frac_steps: float
    n_steps: float
    frac_paths: float
    n_paths: float


def paga_compare_paths(
    adata1: AnnData,
    adata2: AnnData,
    adjacency_key: str = "connectivities",
    adjacency_key2: str | None = None,
) -> PAGAComparePathsResult:
    """Compare the paths between leaves of two abstracted graphs of the same cells.

    Parameters
    ----------
    adata1, adata2
        Annotated matrices of the same cells after :func:`lazyomics.tl.paga`. The grouping is the
        column ``adata1.uns["paga"]["groups"]`` of both.
    adjacency_key
        Matrix in ``uns["paga"]``.
    adjacency_key2
        Matrix in that of ``adata2``, if it has another name.

    Returns
    -------
    PAGAComparePathsResult

    Raises
    ------
    ValueError
        If there is no abstracted graph, the groups are no categorical column of both, or the
        objects have other numbers of cells.

    Notes
    -----
    Passes over X: 0. Peak memory: a few values a cell. Groups may have any names; in scanpy they
    must be ``"0"``, ``"1"``, ….

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from scipy import sparse
    >>> import lazyomics as lo
    >>> obs = pd.DataFrame({"g": pd.Categorical(["x", "y", "z"])}, index=["a", "b", "c"])
    >>> line = sparse.csr_matrix([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    >>> adata = lo.AnnData(np.eye(3), obs=obs, uns={"paga": {"groups": "g", "t": line}})
    >>> lo.tl.paga_compare_paths(adata, adata, "t")
    PAGAComparePathsResult(frac_steps=1.0, n_steps=2, frac_paths=1.0, n_paths=1)
    """
    for adata in (adata1, adata2):
        check_annotated(adata, "tl.paga_compare_paths")
    second_key = adjacency_key if adjacency_key2 is None else adjacency_key2
    lists1 = neighbor_lists(_stored(adata1, adjacency_key))
    lists2 = neighbor_lists(_stored(adata2, second_key))
    groups1 = _groups(adata1)
    groups2 = _groups(adata2, str(_entry(adata1)["groups"]))
    if len(groups1) != len(groups2):
        raise ValueError(
            f"paths are compared for the same cells, found {len(groups1)} and {len(groups2)}"
        )
    to2, to1 = _explained_by(groups1, groups2), _explained_by(groups2, groups1)
    n_steps = n_agreeing = n_paths = n_agreeing_paths = 0
    leaves = [group for group, near in enumerate(lists1) if _degree(group, near) == 1]
    for r, s in combinations(leaves, 2):
        path1 = shortest_path(lists1, r, s)
        path2 = shortest_path(lists2, to2[r][0], to2[s][0])
        n_paths += 1
        if path1 is None or path2 is None:
            agrees = path1 is None and path2 is None
            n_steps += 1
            n_agreeing += agrees
            n_agreeing_paths += agrees
            continue
        if len(path1) >= len(path2):
            steps, mapped = path2, [to2[group] for group in path1]
        else:
            steps, mapped = path1, [to1[group] for group in path2]
        agreeing = _agreeing_steps(steps, mapped)
        n_steps += len(steps) - 1
        n_agreeing += agreeing
        n_agreeing_paths += agreeing == len(steps) - 1
    if n_steps == 0:
        return PAGAComparePathsResult(*[float("nan")] * 4)
    return PAGAComparePathsResult(
        n_agreeing / n_steps, n_steps, n_agreeing_paths / n_paths, n_paths
    )


def _degree(group: int, neighbors: Mapping[int, float]) -> int:
    return len(neighbors) + (group in neighbors)  # a loop has two ends


def _explained_by(groups: pd.Categorical, others: pd.Categorical) -> dict[int, list[int]]:
    """For each group the other groups that it overlaps with, the best first.

    As good as each other, the last in the order of their names comes first, as in scanpy.
    """
    table = np.zeros((len(groups.categories), len(others.categories)))
    known = (groups.codes >= 0) & (others.codes >= 0)
    np.add.at(table, (groups.codes[known], others.codes[known]), 1)
    sizes, other_sizes = table.sum(axis=1), table.sum(axis=0)
    by_name = np.argsort(np.array([str(name) for name in others.categories]))
    explained = {}
    for group in np.flatnonzero(sizes).tolist():
        overlapping = by_name[table[group, by_name] > 0]
        counts = table[group, overlapping]
        worse = np.minimum(counts / other_sizes[overlapping], counts / sizes[group])
        explained[group] = overlapping[np.argsort(worse)[::-1]].tolist()
    return explained


def _agreeing_steps(steps: list[int], mapped: list[list[int]]) -> int:
    """Count steps of a path that the longer path, in terms of its groups, makes in order."""
    agreeing = reached = 0
    for here, there in pairwise(steps):
        for at in range(reached, len(mapped) - 1):
            if here not in mapped[at] or there not in mapped[at + 1]:
                continue
            if all(here in mapped[back - 1] for back in range(at, reached, -1)):
                agreeing += 1
                reached = at + 1
                break
    return agreeing


def _entry(adata: AnnData) -> Mapping[str, Any]:
    if "paga" not in adata.uns:
        raise ValueError("adata.uns has no 'paga': run lo.tl.paga first")
    entry: Mapping[str, Any] = adata.uns["paga"]
    return entry


def _stored(adata: AnnData, key: str) -> Any:
    entry = _entry(adata)
    if key not in entry:
        raise ValueError(
            f"adata.uns['paga'] has no {key!r}; {choices(key, entry, step='lo.tl.paga')}"
        )
    return lazy.materialize(entry[key]) if hasattr(entry[key], "compute") else entry[key]


def _groups(adata: AnnData, name: str | None = None) -> pd.Categorical:
    name = str(_entry(adata)["groups"]) if name is None else name
    if name not in adata.obs or not isinstance(adata.obs[name].dtype, pd.CategoricalDtype):
        raise ValueError(f"adata.obs has no categorical column {name!r}: run lo.tl.paga again")
    return pd.Categorical(adata.obs[name])
