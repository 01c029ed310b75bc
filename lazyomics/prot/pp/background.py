"""Protein counts relative to the background of empty droplets (dsb)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lazyomics import lazy
from lazyomics.container import AnnData
from lazyomics.container.choose import choose_modality
from lazyomics.container.mudata import MuData
from lazyomics.errors import warn_user
from lazyomics.kernels.sums import moments_of_logs
from lazyomics.lazy.kinds import to_memory_format
from lazyomics.names import choices
from lazyomics.pp.matrix_choice import choose_matrix

__all__ = ["dsb"]

Range = tuple[float, float]


def dsb(
    data: AnnData | MuData,
    data_raw: AnnData | MuData | None = None,
    pseudocount: float = 10,
    denoise_counts: bool = True,
    isotype_controls: Iterable[str] | None = None,
    empty_counts_range: Range | None = None,
    cell_counts_range: Range | None = None,
    scale_factor: Literal["standardize", "mean_subtract"] = "standardize",
    quantile_clipping: bool = False,
    quantile_clip: Range = (0.001, 0.9995),
    add_layer: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> MuData | None:
    """Denoise protein counts, scaled by the background of empty droplets, as muon does.

    Parameters
    ----------
    data
        Counts of cells, shape (n_obs, n_proteins), or a MuData with the modality ``"prot"``.
        Without ``data_raw`` a MuData of all droplets, with ``"rna"``, too.
    data_raw
        Counts of all droplets, with the same proteins: those whose names are not in ``data`` are
        empty. It stays on disk.
    pseudocount
        Added to counts before their logarithm.
    denoise_counts
        Whether to remove what varies with the background of each cell: the lower mean of two
        normal distributions that are fitted to its values.
    isotype_controls
        Names of proteins that bind to nothing; they are joined to the background of each cell.
    empty_counts_range, cell_counts_range
        Least and greatest ``log10(total + 1)`` of RNA of empty droplets and of cells. Both are
        needed without ``data_raw``; with it the first chooses among its droplets, if it has RNA.
    scale_factor
        ``"standardize"`` subtracts the mean of the background and divides by its standard
        deviation; ``"mean_subtract"`` only subtracts.
    quantile_clipping, quantile_clip
        Whether values beyond these quantiles of all values are moved to them.
    add_layer
        Write ``layers["dsb"]`` and leave X.
    random_state
        Seed of the fits. With an integer each cell has its own result, whatever cells are beside
        it; with None the global state of numpy is used.

    Returns
    -------
    None: X, or the layer, of the proteins is set, dense, shape (n_obs, n_proteins), float32 for
    float32 counts, else float64. Without ``data_raw`` a MuData of the cells.

    Raises
    ------
    KeyError
        If an isotype control is not in var_names.
    TypeError
        If proteins, or RNA, are missing.
    ValueError
        If ranges are missing or overlap, proteins differ, there are fewer than two empty
        droplets, or another argument is out of range.

    Notes
    -----
    Passes: 1 over the droplets, for mean and standard deviation of the empty ones, 1 over the
    cells; 1 over RNA where its counts choose. Peak memory: the result. The fits take about 10 ms
    a cell, most of the time.

    References
    ----------
    Mulè, M. P., Martins, A. J. & Tsang, J. S. (2022). Normalizing and denoising protein expression
    data from droplet-based single cell profiling. doi:10.1038/s41467-022-29356-8

    Examples
    --------
    >>> import lazyomics as lo
    >>> rng = np.random.default_rng(0)
    >>> droplets = lo.AnnData(rng.poisson([2.0, 3.0], (100, 2)))
    >>> cells = droplets[:5].copy()
    >>> cells.X[:, 0] += 40
    >>> lo.prot.pp.dsb(cells, droplets, denoise_counts=False)
    >>> bool((cells.X[:, 0] > 5).all())
    True
    """
    _check(pseudocount, scale_factor, quantile_clipping, quantile_clip)
    made: MuData | None = None
    if data_raw is None:
        made, empty = _split(data, empty_counts_range, cell_counts_range)
        cells = made.mod["prot"]
    else:
        cells = choose_modality(data, "prot")
        empty = _empty(cells, data_raw, empty_counts_range)
        if cell_counts_range is not None:
            warn_user("cell_counts_range is not used: the cells are those of data")
    if not cells.var_names.equals(empty.var_names):
        raise ValueError(
            f"proteins of cells and of droplets differ: {cells.n_vars} and {empty.n_vars}, or in "
            "another order; select with droplets[:, cells.var_names]"
        )
    controls = _positions(cells, isotype_controls)
    values = _scaled(cells, empty, pseudocount, standardize=scale_factor == "standardize")
    if denoise_counts:
        values = _denoised(values, controls, random_state)
    if quantile_clipping:
        low, high = np.quantile(values, quantile_clip)
        np.clip(values, min(low, high), max(low, high), out=values)
    if add_layer:
        cells.layers["dsb"] = values
    else:
        cells.X = values
    return made


def _check(pseudocount: float, scale_factor: str, clipping: bool, clip: Range) -> None:
    if pseudocount < 0:
        raise ValueError(f"pseudocount is not negative, found {pseudocount!r}")
    if scale_factor not in ("standardize", "mean_subtract"):
        raise ValueError(
            f"scale_factor is 'standardize' or 'mean_subtract', found {scale_factor!r}"
        )
    if clipping and not (np.shape(clip) == (2,) and all(0 <= q <= 1 for q in clip)):
        raise ValueError(f"quantile_clip is two numbers between 0 and 1, found {clip!r}")


def _split(
    data: Any, empty_range: Range | None, cell_range: Range | None
) -> tuple[MuData, AnnData]:
    """Cells as an object of their own, and the empty droplets, chosen by their RNA."""
    if empty_range is None or cell_range is None:
        raise ValueError(
            "without data_raw the data are of all droplets: give empty_counts_range and "
            "cell_counts_range, or data_raw"
        )
    if max(empty_range) > min(cell_range):
        raise ValueError(f"the ranges overlap: {empty_range} of empty droplets, {cell_range}")
    if not isinstance(data, MuData) or not {"prot", "rna"} <= set(data.mod):
        raise TypeError("without data_raw, data is a MuData with the modalities 'prot' and 'rna'")
    rna, prot = data.mod["rna"], data.mod["prot"]
    if not rna.obs_names.equals(prot.obs_names):
        raise ValueError(
            f"'rna' and 'prot' hold other droplets: {rna.n_obs} and {prot.n_obs}, or in another "
            "order; call lo.pp.intersect_obs(data)"
        )
    totals = _log_totals(rna)
    return data[prot.obs_names[_within(totals, cell_range)]].copy(), prot[
        np.flatnonzero(_within(totals, empty_range))
    ]


def _empty(cells: AnnData, data_raw: AnnData | MuData, empty_range: Range | None) -> AnnData:
    """Droplets that are no cells, of a range of RNA counts if there is one."""
    droplets = choose_modality(data_raw, "prot")
    empty = ~droplets.obs_names.isin(cells.obs_names)
    if empty_range is not None:
        if isinstance(data_raw, MuData) and "rna" in data_raw.mod:
            rna = data_raw.mod["rna"]
            chosen = rna.obs_names[_within(_log_totals(rna), empty_range)]
            empty &= droplets.obs_names.isin(chosen)
        else:
            warn_user(
                "empty_counts_range is not used: data_raw has no modality 'rna'. All droplets that "
                "are not among the cells are taken for empty"
            )
    return droplets[np.flatnonzero(empty)]


def _log_totals(rna: AnnData) -> NDArray[np.float64]:
    totals = choose_matrix(rna).sum(axis=1).compute()
    return np.log10(np.ravel(np.asarray(totals)).astype(np.float64) + 1)


def _within(values: NDArray[np.float64], bounds: Range) -> NDArray[np.bool_]:
    return (values >= min(bounds)) & (values < max(bounds))


def _positions(cells: AnnData, names: Iterable[str] | None) -> NDArray[np.int64] | None:
    if names is None:
        return None
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in cells.var_names:
            raise KeyError(f"isotype control {name!r}; {choices(name, cells.var_names)}")
    return np.flatnonzero(cells.var_names.isin(wanted))


def _scaled(
    cells: AnnData, empty: AnnData, pseudocount: float, *, standardize: bool
) -> NDArray[Any]:
    """Logarithms of the counts of cells, relative to those of empty droplets."""
    if empty.n_obs < 2:
        raise ValueError(f"a background needs two empty droplets or more, found {empty.n_obs}")
    fold = lazy.fold_rows(choose_matrix(empty), moments_of_logs, pseudocount=pseudocount)
    (state,) = lazy.compute(fold)
    n, sums, squares = empty.n_obs, state[0], state[1]
    (x,) = lazy.compute(choose_matrix(cells))
    block = to_memory_format(x)
    counts = block.toarray() if hasattr(block, "toarray") else np.asarray(block)
    dtype = counts.dtype if counts.dtype.kind == "f" else np.dtype(np.float64)
    values = np.log(counts + pseudocount, dtype=np.float64)
    # The moments are of log((x + p) / p), in which a count of 0 adds nothing.
    values -= sums / n + (np.log(pseudocount) if pseudocount else 0)
    if standardize:
        values /= np.sqrt(np.maximum(squares - sums**2 / n, 0) / (n - 1))
    return values.astype(dtype, copy=False)


def _denoised(
    values: NDArray[Any],
    controls: NDArray[np.int64] | None,
    random_state: int | np.random.RandomState | None,
) -> NDArray[Any]:
    """Values without what a line through the background of each cell explains."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LinearRegression
    from sklearn.mixture import GaussianMixture

    # From k-means, one of the variances would sometimes go to 0.
    models = [
        GaussianMixture(2, covariance_type=kind, init_params="random", random_state=random_state)
        for kind in ("tied", "full")
    ]
    background = np.empty((len(values), 1), values.dtype)
    for row, cell in enumerate(values):
        tied, full = (model.fit(cell[:, np.newaxis]) for model in models)
        chosen = tied if tied.bic(cell[:, np.newaxis]) < full.bic(cell[:, np.newaxis]) else full
        background[row] = chosen.means_.min()
    if controls is not None:
        pca = PCA(n_components=1, whiten=True)
        background = pca.fit_transform(np.hstack((values[:, controls], background)))
    # Relative to the mean background, so that the level of a protein stays.
    background = background - background.mean(axis=0)
    line = LinearRegression().fit(background, values)
    return np.asarray(values - (line.predict(background) - line.intercept_))
