"""transpose_storage: a new file with a matrix stored by the other axis."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dask.utils import parse_bytes

from lazyomics.container.anndata import AnnData
from lazyomics.io.compress import dataset_options
from lazyomics.io.opening import read_h5ad
from lazyomics.io.transpose import ScratchPlan, StorageOrder, checked_order
from lazyomics.io.writing import write_new
from lazyomics.names import choices

__all__ = [
    "transpose_storage",
]


def transpose_storage(
    adata: AnnData,
    target: str | os.PathLike[str],
    *,
    to: str = "csr",
    layer: str | None = None,
    compression: str | int | None = None,
    compression_opts: Any = None,
    shuffle: bool | None = None,
    chunk_bytes: int | str | None = None,
    memory: int | str | None = None,
    scratch_dir: str | os.PathLike[str] | None = None,
    scratch_bytes: int | str | None = None,
) -> AnnData:
    """Write an object to a new file with X, or a layer, stored by rows or by columns.

    Work on cells reads a matrix that is stored by columns (CSC) as a whole for each window of
    cells, work on a few genes one that is stored by rows (CSR) as a whole: transpose it once.

    Parameters
    ----------
    adata
        Any object; it stays as it is.
    target
        The new file. Everything else in it is as in ``adata``.
    to
        ``"csr"``: by rows, for work on cells. ``"csc"``: by columns, for work on single genes.
    layer
        The layer to transpose; by default X. For a copy by genes beside X in the same file see
        :func:`add_gene_major`.
    compression, compression_opts, shuffle, chunk_bytes
        How new matrices and arrays are stored: see :meth:`AnnData.write_h5ad`.
    memory
        Bytes (or a text such as ``"2 GiB"``) to hold; by default ``lazyomics.memory``.
    scratch_dir
        Folder of the scratch file; by default that of ``target``. The file has no name: nothing
        is left of it, whatever happens.
    scratch_bytes
        The most it may take, at 8 bytes a value more than the values do; by default half of what
        is free there. With less than the matrix needs (also 0) the source is read more often.

    Returns
    -------
    The object, opened from the new file.

    Raises
    ------
    ValueError
        For another order.
    KeyError
        If there is no such layer.

    Notes
    -----
    Passes over X: 2, of which one over the indices only. If the scratch budget does not hold the
    matrix: 1 + the number of parts that it holds, without one of parts that fit a sixth of
    ``memory``. The same where row-wise steps are recorded on a matrix that is stored by columns;
    back to columns (``to="csc"``) the changed values are put aside, too, and read from there twice.
    Peak memory: ``memory``.

    Examples
    --------
    >>> import tempfile
    >>> import scipy.sparse as sp
    >>> folder = tempfile.TemporaryDirectory()
    >>> adata = AnnData(sp.eye(3, format="csr"))
    >>> transpose_storage(adata, f"{folder.name}/t.h5ad", to="csc").X.compute().tocsc().nnz
    3
    >>> folder.cleanup()
    """
    if layer is not None and layer not in adata.layers:
        raise KeyError(f"no layer {layer!r}; {choices(layer, adata.layers)}")
    path = Path(target)
    order = StorageOrder(
        to=checked_order(to),
        scratch=ScratchPlan(
            Path(scratch_dir) if scratch_dir is not None else path.absolute().parent,
            None if scratch_bytes is None else int(parse_bytes(scratch_bytes)),
        ),
        only="X" if layer is None else f"layers/{layer}",
        memory=None if memory is None else int(parse_bytes(memory)),
    )
    options = dataset_options(
        compression, compression_opts, shuffle=shuffle, chunk_bytes=chunk_bytes
    )
    write_new(adata, path, options=options, order=order)
    return read_h5ad(path)
