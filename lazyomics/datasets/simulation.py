"""Simulated single-cell files of any size, for tests, demonstrations and benchmarks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike

if TYPE_CHECKING:
    from lazyomics.datasets.expression_model import ExpressionModel

__all__ = ["simulate"]

WINDOW_TRANSCRIPTS = 4_000_000


def simulate(
    path: str | os.PathLike[str],
    *,
    n_obs: int = 10_000,
    n_vars: int = 2_000,
    n_types: int = 8,
    mean_counts: float = 2_000,
    markers_per_type: int | None = None,
    n_batches: int = 1,
    format: Literal["csr", "csc", "dense"] = "csr",
    dtype: DTypeLike = np.float32,
    compression: str | None = None,
    seed: int = 0,
    window: int | None = None,
) -> Path:
    """Write an ``.h5ad`` file with simulated counts, a window of cells at a time.

    A cell has a type, a batch, a size (lognormal), a share of mitochondrial transcripts (about 5 %)
    and a share of transcripts from a profile that all types have in common (about 15 %). Its
    transcripts are drawn one by one from the profile of its type and batch. Expression over genes
    is lognormal, so most genes are rare; markers are about 7-fold up in their type.

    Parameters
    ----------
    path
        File to write. An existing one is replaced once the new one is complete.
    n_obs, n_vars
        Number of cells and genes.
    n_types
        Number of cell types, of different frequency.
    mean_counts
        Expected sum of counts of a cell.
    markers_per_type
        Marker genes of each type; by default 50, or as many as ``n_vars`` allows.
    n_batches
        Number of batches. Expression differs by about 25 % between them.
    format
        Layout of ``X`` in the file.
    dtype
        Dtype of the stored counts.
    compression
        HDF5 filter of ``X``, e.g. ``"gzip"`` or ``"lzf"``.
    seed
        The file depends on this number and on the other parameters except ``window``. A cell does
        not depend on ``n_obs``: a longer simulation starts with the same cells.
    window
        Cells drawn and written at a time; by default about four million transcripts.

    Returns
    -------
    The path. The file holds ``X`` with counts, ``obs`` with ``cell_type`` and ``batch``, ``var``
    with ``marker_of`` (missing for most genes) and ``mito``, and the parameters in
    ``uns["simulation"]``.

    Raises
    ------
    ValueError
        If a number is out of range, or a count does not fit into ``dtype``.

    Notes
    -----
    Time: 50,000 cells with 20,000 genes take about 3 s without compression. Peak memory: one
    window, about 100 MB; with ``format="csc"`` 256 MB more, and the cells are drawn again for every
    16 million values.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import lazyomics as lo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = lo.datasets.simulate(Path(folder) / "small.h5ad", n_obs=100, n_vars=200)
    ...     adata = lo.read_h5ad(path)
    ...     adata.shape
    (100, 200)
    """
    parameters: dict[str, Any] = {
        "n_obs": n_obs,
        "n_vars": n_vars,
        "n_types": n_types,
        "mean_counts": mean_counts,
        "markers_per_type": _markers_per_type(markers_per_type, n_vars, n_types),
        "n_batches": n_batches,
        "seed": seed,
    }
    _check(parameters, format)
    from lazyomics.datasets.expression_model import ExpressionModel

    model = ExpressionModel.build(**{k: v for k, v in parameters.items() if k != "n_obs"})
    if window is None:
        window = max(1, int(WINDOW_TRANSCRIPTS / max(mean_counts, n_vars / 4)))
    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    options = {"layout": format, "dtype": np.dtype(dtype), "window": window}
    kwargs = {} if compression is None else {"compression": compression}
    try:
        _write(part, model, parameters, {**options, "dataset_kwargs": kwargs})
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return target


def _markers_per_type(wanted: int | None, n_vars: int, n_types: int) -> int:
    return wanted if wanted is not None else max(1, min(50, n_vars // (3 * max(n_types, 1))))


def _check(parameters: dict[str, Any], layout: str) -> None:
    for name, value in parameters.items():
        least = 0 if name in ("n_obs", "seed") else 1
        if value < least:
            raise ValueError(f"{name} must be at least {least}, found {value}")
    if layout not in ("csr", "csc", "dense"):
        raise ValueError(f"format must be 'csr', 'csc' or 'dense', found {layout!r}")


def _write(
    path: Path, model: ExpressionModel, parameters: dict[str, Any], options: dict[str, Any]
) -> None:
    import h5py

    from lazyomics.datasets.count_file import write_counts
    from lazyomics.io.encodings import write_element

    with h5py.File(path, "w") as file:
        file.attrs["encoding-type"] = "anndata"
        file.attrs["encoding-version"] = "0.1.0"
        write_counts(file, model, parameters["n_obs"], **options)
        write_element(file, "obs", _obs(model, parameters["n_obs"], options["window"]))
        write_element(file, "var", model.var())
        write_element(file, "uns", {"simulation": parameters})
        for name in ("layers", "obsm", "varm", "obsp", "varp"):
            write_element(file, name, {})


def _obs(model: ExpressionModel, n_obs: int, window: int) -> pd.DataFrame:
    cell_type, batch = np.empty(n_obs, np.int32), np.empty(n_obs, np.int32)
    for start in range(0, n_obs, window):
        stop = min(start + window, n_obs)
        cells = model.cells(start, stop)
        cell_type[start:stop], batch[start:stop] = cells.cell_type, cells.batch
    return model.obs(cell_type, batch)
