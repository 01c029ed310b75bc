"""Compressed sparse matrices that are small enough to be held in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import h5py
import numpy as np
import scipy.sparse as sp

from lazyomics.io.compress import CHUNK_BYTES
from lazyomics.io.encodings.checks import open_member
from lazyomics.io.encodings.damage import as_format_errors, damaged
from lazyomics.io.encodings.dataset_values import read_values, vector_length
from lazyomics.io.encodings.kinds import element_kind
from lazyomics.io.encodings.registry import mark, reads, refusal, writes

__all__ = ["read_sparse", "sparse_info", "write_sparse"]

INT32_MAX = np.iinfo(np.int32).max


@as_format_errors
def sparse_info(group: Any) -> tuple[Literal["csr", "csc"], tuple[int, int]]:
    """Format and shape of a stored sparse matrix, from its attributes alone.

    Parameters
    ----------
    group
        An open group, of the current encoding or with ``h5sparse_format`` and ``h5sparse_shape``.

    Returns
    -------
    ``"csr"`` or ``"csc"``, and the shape.

    Raises
    ------
    FileFormatError
        If the group is no sparse matrix, or its shape is missing or impossible.
    """
    kind = element_kind(group)
    if kind not in {"csr_matrix", "csc_matrix"} or not isinstance(group, h5py.Group):
        raise damaged(group, expected="a CSR or CSC matrix", found=kind)
    name = "h5sparse_shape" if "h5sparse_shape" in group.attrs else "shape"
    if name not in group.attrs:
        raise damaged(group, expected="an attribute 'shape'", found="none")
    stored = np.asarray(group.attrs[name])
    if stored.shape != (2,) or stored.dtype.kind not in "iuf" or (stored != np.floor(stored)).any():
        raise damaged(group, expected="a shape of two integers", found=f"{stored.tolist()}")
    if (stored < 0).any():
        raise damaged(group, expected="a shape that is not negative", found=f"{stored.tolist()}")
    n_rows, n_cols = (int(size) for size in stored)
    return "csr" if kind == "csr_matrix" else "csc", (n_rows, n_cols)


@reads("csr_matrix", "csc_matrix")
def read_sparse(group: Any) -> Any:
    """Read a sparse matrix into memory, as stored: unsorted and duplicate entries stay."""
    form, shape = sparse_info(group)
    major, minor = shape if form == "csr" else shape[::-1]
    _check_lengths(group, major)
    indptr = read_values(open_member(group, "indptr"))
    indices = read_values(open_member(group, "indices"))
    _check_positions(group, indptr, indices, minor)
    data = read_values(open_member(group, "data"))
    indptr, indices = _one_index_type(indptr, indices, shape)
    matrix = (sp.csr_matrix if form == "csr" else sp.csc_matrix)(shape, dtype=data.dtype)
    # Assigned, not passed: the constructor would scan and copy what is checked above.
    matrix.data, matrix.indices, matrix.indptr = data, indices, indptr
    return matrix


def _check_lengths(group: h5py.Group, major: int) -> None:
    """Compare the declared lengths, before anything of that size is allocated."""
    n_pointers = vector_length(open_member(group, "indptr"), of="indptr")
    n_indices = vector_length(open_member(group, "indices"), of="indices")
    n_values = vector_length(open_member(group, "data"), of="data")
    if n_pointers != major + 1:
        raise damaged(group, expected=f"indptr of length {major + 1}", found=f"{n_pointers}")
    if n_indices != n_values:
        raise damaged(
            group, expected=f"as many indices as values ({n_values})", found=f"{n_indices}"
        )


def _check_positions(group: h5py.Group, indptr: Any, indices: Any, minor: int) -> None:
    for name, values in (("indptr", indptr), ("indices", indices)):
        if values.dtype.kind not in "iu":
            raise damaged(group, expected=f"integer {name}", found=f"{values.dtype}")
    if indptr[0] != 0 or indptr[-1] != len(indices) or (indptr[1:] < indptr[:-1]).any():
        raise damaged(
            group,
            expected=f"indptr rising from 0 to {len(indices)}",
            found=f"indptr from {indptr[0]} to {indptr[-1]}, rising: "
            f"{bool((indptr[1:] >= indptr[:-1]).all())}",
        )
    if len(indices) and (indices.min() < 0 or indices.max() >= minor):
        raise damaged(
            group,
            expected=f"indices from 0 to {minor - 1}",
            found=f"indices from {indices.min()} to {indices.max()}",
        )


def _one_index_type(indptr: Any, indices: Any, shape: tuple[int, int]) -> tuple[Any, Any]:
    """Both index arrays as int32 or both as int64, which is all that scipy works with."""
    if indptr.dtype == indices.dtype and indptr.dtype in (np.int32, np.int64):
        return indptr, indices
    largest = max(*shape, len(indices))
    dtype = np.int32 if largest <= INT32_MAX else np.int64
    return indptr.astype(dtype, copy=False), indices.astype(dtype, copy=False)


@writes(
    sp.dok_matrix,
    sp.dok_array,
    sp.csr_matrix,
    sp.csr_array,
    sp.csc_matrix,
    sp.csc_array,
    sp.spmatrix,
    sp.sparray,
)
def write_sparse(parent: h5py.Group, name: str, value: Any, options: Mapping[str, Any]) -> None:
    """Write a sparse matrix; formats other than CSR and CSC are converted to CSR."""
    if value.ndim != 2:
        raise refusal(parent, name, value, f"It has {value.ndim} dimensions: use two.")
    if value.format not in {"csr", "csc"}:
        value = value.tocsr()
    group = parent.create_group(name)
    mark(group, f"{value.format}_matrix", "0.1.0")
    group.attrs["shape"] = value.shape
    options = dict(options)
    pointer_dtype = options.pop("indptr_dtype", value.indptr.dtype)
    for part, dtype in (
        ("data", value.data.dtype),
        ("indices", value.indices.dtype),
        ("indptr", pointer_dtype),
    ):
        # Resizable, so that rows can be appended in place.
        values, layout = getattr(value, part), {"maxshape": (None,), "dtype": dtype, **options}
        if values.nbytes > CHUNK_BYTES:  # HDF5's own choice would be of a tenth of the size
            layout.setdefault("chunks", (CHUNK_BYTES // values.itemsize,))
        group.create_dataset(part, data=values, **layout)
