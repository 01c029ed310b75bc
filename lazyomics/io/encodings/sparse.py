"""Compressed sparse matrices that are small enough to be held in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, TypeAlias

import h5py
import numpy as np
import scipy.sparse as sp

from lazyomics.blocks.canonical import index_dtype
from lazyomics.errors import FileFormatError
from lazyomics.io.compress import CHUNK_BYTES
from lazyomics.io.encodings.checks import open_member
from lazyomics.io.encodings.damage import as_format_errors, damaged
from lazyomics.io.encodings.dataset_values import read_values, vector_length
from lazyomics.io.encodings.kinds import element_kind
from lazyomics.io.encodings.registry import mark, reads, refusal, writes

__all__ = [
    "check_as_many",
    "checked_shape",
    "compressed",
    "new_group",
    "read_sparse",
    "sparse_in_memory",
    "sparse_info",
    "sparse_parts",
    "write_sparse",
]

PARTS = ("data", "indices", "indptr")
Complaint: TypeAlias = Callable[..., FileFormatError]  # of expected= and found=


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
    shape = checked_shape(group.attrs[name], partial(damaged, group))
    return "csr" if kind == "csr_matrix" else "csc", shape


def checked_shape(stated: Any, error: Complaint) -> tuple[int, int]:
    """Shape of a sparse matrix as an attribute states it; ``error`` makes what is raised."""
    stored = np.asarray(stated)
    sizes = stored.shape == (2,) and stored.dtype.kind in "iuf" and np.isfinite(stored).all()
    if not sizes or (stored != np.floor(stored)).any():
        raise error(expected="a shape of two integers", found=f"{stored.tolist()}")
    if (stored < 0).any():
        raise error(expected="a shape that is not negative", found=f"{stored.tolist()}")
    return int(stored[0]), int(stored[1])


@reads("csr_matrix", "csc_matrix")
def read_sparse(group: Any) -> Any:
    """Read a sparse matrix into memory, as stored: unsorted and duplicate entries stay."""
    form, shape = sparse_info(group)
    parts = sparse_parts(group)
    return sparse_in_memory(form, shape, parts, read_values, partial(damaged, group))


def sparse_parts(group: h5py.Group) -> dict[str, h5py.Dataset]:
    """Open data, indices and indptr of a stored sparse matrix, each of one dimension."""
    parts = {name: open_member(group, name) for name in PARTS}
    for name, part in parts.items():
        vector_length(part, of=name)
    check_as_many(parts, partial(damaged, group))
    return parts


def check_as_many(parts: Mapping[str, Any], error: Complaint) -> None:
    """Refuse a sparse matrix that has not as many indices as values."""
    n_values, n_indices = parts["data"].shape[0], parts["indices"].shape[0]
    if n_indices != n_values:
        raise error(expected=f"as many indices as values ({n_values})", found=f"{n_indices}")


def sparse_in_memory(
    form: Literal["csr", "csc"],
    shape: tuple[int, int],
    parts: Mapping[str, Any],
    read: Callable[[Any], Any],
    error: Complaint,
) -> Any:
    """Read the parts of a sparse matrix of HDF5 or zarr, and put them together as scipy's.

    Parameters
    ----------
    form, shape
        Of the matrix.
    parts
        Data, indices and indptr, open and of one dimension each.
    read
        Reads one of them.
    error
        Makes the error of what is expected and what was found.
    """
    major, minor = shape if form == "csr" else shape[::-1]
    if parts["indptr"].shape[0] != major + 1:  # before anything of that size is allocated
        found = f"{parts['indptr'].shape[0]}"
        raise error(expected=f"indptr of length {major + 1}", found=found)
    indptr, indices = read(parts["indptr"]), read(parts["indices"])
    _check_positions(indptr, indices, minor, error)
    data = read(parts["data"])
    if indptr.dtype != indices.dtype or indptr.dtype not in (np.int32, np.int64):
        dtype = index_dtype(max(*shape, len(indices)))  # one for both: scipy takes no others
        indptr, indices = indptr.astype(dtype, copy=False), indices.astype(dtype, copy=False)
    matrix = (sp.csr_matrix if form == "csr" else sp.csc_matrix)(shape, dtype=data.dtype)
    # Assigned, not passed: the constructor would scan and copy what is checked above.
    matrix.data, matrix.indices, matrix.indptr = data, indices, indptr
    return matrix


def _check_positions(indptr: Any, indices: Any, minor: int, error: Complaint) -> None:
    for name, values in (("indptr", indptr), ("indices", indices)):
        if values.dtype.kind not in "iu":
            raise error(expected=f"integer {name}", found=f"{values.dtype}")
    rising = bool((indptr[1:] >= indptr[:-1]).all())
    if indptr[0] != 0 or indptr[-1] != len(indices) or not rising:
        raise error(
            expected=f"indptr rising from 0 to {len(indices)}",
            found=f"indptr from {indptr[0]} to {indptr[-1]}, rising: {rising}",
        )
    if len(indices) and (indices.min() < 0 or indices.max() >= minor):
        raise error(
            expected=f"indices from 0 to {minor - 1}",
            found=f"indices from {indices.min()} to {indices.max()}",
        )


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
    value = compressed(parent, name, value)
    group = new_group(parent, name, value.format, value.shape)
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


def compressed(parent: Any, name: str, value: Any) -> Any:
    """Return a sparse matrix of two dimensions as CSR or CSC."""
    if value.ndim != 2:
        raise refusal(parent, name, value, f"It has {value.ndim} dimensions: use two.")
    return value if value.format in {"csr", "csc"} else value.tocsr()


def new_group(parent: h5py.Group, name: str, form: str, shape: tuple[int, int]) -> h5py.Group:
    """Make the group of a CSR or CSC matrix, to which its three parts are to be added."""
    group = parent.create_group(name)
    mark(group, f"{form}_matrix", "0.1.0")
    group.attrs["shape"] = np.asarray(shape, dtype=np.int64)
    return group
