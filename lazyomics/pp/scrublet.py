"""Doublets among cells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lazyomics import lazy
from lazyomics.container.choose import check_annotated
from lazyomics.errors import ShapeError, warn_user
from lazyomics.kernels.batch_genes import DivideRows
from lazyomics.kernels.steps import Log1p, NormalizeRows
from lazyomics.names import choices
from lazyomics.pp.doublet_scores import Scoring, score_doublets
from lazyomics.pp.matrix_choice import choose_matrix
from lazyomics.pp.score_threshold import threshold_between_modes
from lazyomics.pp.scrublet_simulate_doublets import simulate
from lazyomics.pp.variable_counts import VariableCounts, sparse_rows, variable_counts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from lazyomics.container import AnnData
    from lazyomics.pp.matrix_choice import RowBlocks

__all__ = ["scrublet"]

TARGET = 1e6  # total of each cell and doublet where they are compared


def scrublet(
    adata: AnnData,
    adata_sim: AnnData | None = None,
    *,
    batch_key: str | None = None,
    sim_doublet_ratio: float = 2.0,
    expected_doublet_rate: float = 0.05,
    stdev_doublet_rate: float = 0.02,
    synthetic_doublet_umi_subsampling: float = 1.0,
    knn_dist_metric: Any = "euclidean",
    normalize_variance: bool = True,
    log_transform: bool = False,
    mean_center: bool = True,
    n_prin_comps: int = 30,
    use_approx_neighbors: bool | None = None,
    get_doublet_neighbor_parents: bool = False,
    n_neighbors: int | None = None,
    threshold: float | None = None,
    verbose: bool = True,
    copy: bool = False,
    random_state: Any = 0,
) -> AnnData | None:
    """Score cells by how many simulated doublets are among their neighbours, eagerly.

    Genes that fewer than 3 cells express and cells with fewer than 3 of the other genes are left
    out, the highly variable genes selected; pairs of cells are added up to doublets, cells and
    doublets normalised and projected on the principal components of the cells, and their nearest
    neighbours found.

    Parameters
    ----------
    adata
        Annotated data with counts of one sample, shape (n_obs, n_vars). With ``adata_sim``:
        normalised, and of the genes that were selected.
    adata_sim
        Doublets, normalised as the cells are: those of ``pp.scrublet_simulate_doublets``. Nothing
        is filtered or normalised then.
    batch_key
        Column of ``obs``: look for doublets in each batch by itself.
    sim_doublet_ratio
        Doublets that are simulated for each cell.
    expected_doublet_rate
        Share of the cells that are expected to be doublets.
    stdev_doublet_rate
        Accepted for compatibility: how uncertain that is says how uncertain the scores are, which
        scanpy does not return either.
    synthetic_doublet_umi_subsampling
        Share of the counts of a doublet that is kept, drawn at random.
    knn_dist_metric
        Distance between cells, as scikit-learn (exact search) and pynndescent know it.
    normalize_variance
        Divide each gene by its standard deviation among the cells.
    log_transform
        Take logarithms before normalising (of doublets those of their counts, as by scanpy).
    mean_center
        Components of a PCA; otherwise of a truncated singular value decomposition.
    n_prin_comps
        Number of components.
    use_approx_neighbors
        Take the neighbours that scanpy takes from pynndescent (True) or from an exact search
        (False). By default the latter for fewer than 8,192 cells and doublets, with another
        distance than the Euclidean one for fewer than 4,096. pynndescent itself is used for other
        distances than Euclidean, cosine and correlation only: these are searched exactly.
    get_doublet_neighbor_parents
        Also return the parents of the doublets among the neighbours of each cell.
    n_neighbors
        Neighbours among the cells alone, of which there are more with doublets; by default half
        the root of the number of cells.
    threshold
        Score above which a cell is a doublet; by default the minimum between the two modes of
        the scores of the doublets. No package is needed to find it.
    verbose
        Warn if no such minimum was found. Nothing else is said.
    copy
        Return a changed copy and leave ``adata`` as it is.
    random_state
        Seed, or a ``numpy.random.RandomState``; None goes on with NumPy's global generator.

    Returns
    -------
    None, or the copy. Sets ``obs["doublet_score"]`` (float64, NaN for cells that were left out) and
    ``obs["predicted_doublet"]`` (bool; False for all if there is no threshold), and
    ``uns["scrublet"]`` with ``"doublet_scores_sim"`` (float64, shape (m,)), ``"doublet_parents"``
    (int64, shape (m, 2), positions among the cells that were not left out), ``"parameters"``, if
    there is one ``"threshold"``, and if asked for ``"doublet_neighbor_parents"``. With
    ``batch_key``, ``uns["scrublet"]["batches"]`` has these for each batch, and
    ``uns["scrublet"]["batched_by"]`` is ``batch_key``.

    Raises
    ------
    ValueError
        If there is no such column, or cells have no batch; if a batch has too few cells or
        variable genes for the components; with ``adata_sim``, if genes do not vary.
    ShapeError
        If ``adata_sim`` has another number of genes.
    KeyError
        If it does not say which cells the doublets are made of.
    MissingDependencyError
        If pynndescent is needed and not installed.

    Warns
    -----
    UserWarning
        If no threshold was found.

    Notes
    -----
    Passes over X: 3, whatever the number of batches: cells that express each gene; totals of the
    cells and moments of the genes; counts of the variable genes. With ``adata_sim`` 1, and those
    of ``pp.pca``, of X, and 1 of the doublets.

    Peak memory: the counts of the variable genes as a sparse matrix (8 bytes for each that is not
    0, if they are float32), with several batches also those of one batch; p² × 8 bytes for each
    thread (p variable genes); coordinates of cells and doublets, twice n_prin_comps × 8 bytes for
    each. Doublets are made block by block, unless counts are drawn from: then those are held as a
    sparse matrix, too. The exact search holds 8,192 rows of neighbours, the approximate one those
    of all cells and doublets, 1.5 times the root of the number of cells for each by default.

    Doublets are those of scanpy for the same seed. With the exact search scores of cells are, too,
    up to rounding (1e-9), as long as no two neighbours are equally near. A doublet counts as its
    own neighbour unless others lie in the same place, as by scanpy: of these, rounding decides
    which comes first, so that all scores of doublets may differ by one neighbour.

    Where cells were left out, ``predicted_doublet`` is a nullable boolean with NA for them, of
    which scanpy makes objects that no file holds. With ``batch_key``, scanpy 1.11 fails if cells
    are left out, 1.12 makes all other columns of such cells NaN, and both add a column
    ``n_genes``; other columns stay as they are here.

    References
    ----------
    Wolock, S. L., Lopez, R. & Klein, A. M. (2019). Scrublet: computational identification of cell
    doublets in single-cell transcriptomic data. doi:10.1016/j.cels.2018.11.005

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> mean = np.exp(np.random.default_rng(0).normal(0, 1.5, (2, 200)))
    >>> counts = np.random.default_rng(1).poisson(np.repeat(mean, 60, axis=0))
    >>> adata = lo.AnnData(counts.astype("float32"))
    >>> lo.pp.scrublet(adata, n_prin_comps=5, threshold=0.3)
    >>> len(adata.uns["scrublet"]["doublet_scores_sim"])
    240
    """
    check_annotated(adata, "pp.scrublet")
    codes, batches = _batches(adata, batch_key)
    adata = adata.copy() if copy else adata
    names = ["pp.scrublet"] if batch_key is None else [f"batch {name!r}" for name in batches]
    how = _Options(
        log_transform,
        sim_doublet_ratio,
        synthetic_doublet_umi_subsampling,
        expected_doublet_rate,
        n_neighbors,
        threshold,
        verbose,
        random_state,
        Scoring(
            0,
            expected_doublet_rate,
            mean_center,
            normalize_variance,
            n_prin_comps,
            use_approx_neighbors,
            knn_dist_metric,
            get_doublet_neighbor_parents,
        ),
    )
    samples = _samples(adata, adata_sim, codes, names, how)
    scores = np.full(adata.n_obs, np.nan)
    predicted, kept = np.zeros((2, adata.n_obs), dtype=np.bool_)
    notes = []
    for sample, name in zip(samples, names, strict=True):
        scores[sample.positions], predicted[sample.positions], found = _judged(sample, name, how)
        kept[sample.positions] = True
        notes.append(found)
    adata.obs["doublet_score"] = scores
    adata.obs["predicted_doublet"] = (
        predicted if kept.all() else pd.arrays.BooleanArray(predicted, ~kept)
    )
    if batch_key is None:
        adata.uns["scrublet"] = notes[0]
    else:
        of_batches = dict(zip(batches, notes, strict=True))
        adata.uns["scrublet"] = {"batches": of_batches, "batched_by": batch_key}
    return adata if copy else None


@dataclass(frozen=True)
class _Options:
    """What holds for all batches; the parameters of ``scrublet`` of the same names."""

    log_transform: bool
    sim_doublet_ratio: float
    synthetic_doublet_umi_subsampling: float
    expected_doublet_rate: float
    n_neighbors: int | None
    threshold: float | None
    verbose: bool
    random_state: Any
    scoring: Scoring


@dataclass(frozen=True, eq=False)
class _Sample:
    """Cells and doublets of a batch, normalised, and what the doublets are made of."""

    positions: NDArray[np.int64]
    cells: RowBlocks
    doublets: RowBlocks
    parents: NDArray[Any]
    ratio: float | None


def _batches(adata: AnnData, batch_key: str | None) -> tuple[NDArray[np.int32], list[Any]]:
    """The batch of each cell, and what the batches are called."""
    if batch_key is None:
        return np.zeros(adata.n_obs, dtype=np.int32), [None]
    if batch_key not in adata.obs.columns:
        raise ValueError(
            "`batch_key` must be a column of .obs in the input AnnData object, but "
            f"{batch_key!r} is not one; {choices(batch_key, adata.obs.columns)}"
        )
    column = adata.obs[batch_key]
    if column.isna().any():
        raise ValueError(f"obs[{batch_key!r}] has missing values; leave these cells out")
    batches, codes = np.unique(np.asarray(column), return_inverse=True)
    return codes.astype(np.int32), list(batches)


def _samples(
    adata: AnnData,
    adata_sim: AnnData | None,
    codes: NDArray[np.int32],
    names: list[str],
    how: _Options,
) -> Iterator[_Sample]:
    x = choose_matrix(adata)
    if adata_sim is None:
        for batch in variable_counts(sparse_rows(x), codes, names):
            yield _simulated(batch, how)
        return
    doublets, parents, ratio = _given(adata_sim, adata.n_vars)
    for k in range(len(names)):
        positions = np.flatnonzero(codes == k)
        cells = x if len(names) == 1 else x[positions]
        yield _Sample(positions, cells, doublets, parents, ratio)


def _given(adata_sim: AnnData, n_vars: int) -> tuple[RowBlocks, NDArray[Any], float | None]:
    check_annotated(adata_sim, "pp.scrublet(adata_sim=)")
    if adata_sim.n_vars != n_vars:
        raise ShapeError(f"adata_sim has {adata_sim.n_vars} genes, but adata has {n_vars}")
    if "doublet_parents" not in adata_sim.obsm:
        raise KeyError(
            "adata_sim.obsm has no 'doublet_parents', which pp.scrublet_simulate_doublets sets"
        )
    parents = adata_sim.obsm["doublet_parents"]
    if not isinstance(parents, np.ndarray):
        parents = lazy.materialize(parents)
    noted = dict(dict(adata_sim.uns.get("scrublet", {})).get("parameters", {}))
    return choose_matrix(adata_sim), parents, noted.get("sim_doublet_ratio")


def _simulated(batch: VariableCounts, how: _Options) -> _Sample:
    made = simulate(
        batch.counts,
        how.sim_doublet_ratio,
        how.synthetic_doublet_umi_subsampling,
        how.random_state,
    )
    held = lazy.from_source(lazy.MemorySource.of(batch.counts))
    both = [lazy.map_rows(held, DivideRows(batch.divisors)), made.x]
    if how.log_transform:
        both = [lazy.map_rows(x, Log1p()) for x in both]
    cells, doublets = (lazy.map_rows(x, NormalizeRows(TARGET)) for x in both)
    return _Sample(batch.cells, cells, doublets, made.parents, how.sim_doublet_ratio)


def _judged(
    sample: _Sample, name: str, how: _Options
) -> tuple[NDArray[np.float64], NDArray[np.bool_], dict[str, Any]]:
    """Scores of the cells, which of them are doublets, and what ``uns`` says of it."""
    n_neighbors = how.n_neighbors
    if n_neighbors is None:
        n_neighbors = round(0.5 * float(np.sqrt(len(sample.positions))))
    scoring = replace(how.scoring, n_neighbors=n_neighbors)
    try:
        found = score_doublets(
            sample.cells, sample.doublets, sample.parents, scoring, how.random_state
        )
    except ValueError as error:
        raise type(error)(f"{name}: {error}") from error
    notes: dict[str, Any] = {
        "doublet_scores_sim": found.doublets,
        "doublet_parents": sample.parents,
        "parameters": {
            "expected_doublet_rate": how.expected_doublet_rate,
            "sim_doublet_ratio": sample.ratio,
            "n_neighbors": n_neighbors,
            "random_state": how.random_state,
        },
    }
    threshold = how.threshold
    if threshold is None:
        threshold = threshold_between_modes(found.doublets)
    if threshold is not None:
        notes["threshold"] = threshold
    elif how.verbose:
        warn_user(
            f"{name}: the scores of the doublets have no two modes, so that no threshold was found "
            "and no cell is predicted to be a doublet. Look at pl.scrublet_score_distribution and "
            "pass threshold="
        )
    if found.neighbor_parents is not None:
        notes["doublet_neighbor_parents"] = found.neighbor_parents
    # without a threshold no cell is predicted to be one, so that none is filtered by mistake
    return found.cells, found.cells > (np.inf if threshold is None else threshold), notes
