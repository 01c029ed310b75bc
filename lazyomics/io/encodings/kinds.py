"""Encoding of an element, whatever generation or language wrote it."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from lazyomics.io.encodings.damage import as_format_errors

__all__ = [
    "element_kind",
    "encoding",
    "holds_references",
    "is_legacy",
    "parsed_version",
    "text",
]


def text(value: Any) -> str:
    """Python text of a string attribute: ``str``, UTF-8 ``bytes``, or an array of one of them."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)


# The newest version of each encoding that is understood. Older ones are read too; a newer one may
# mean something else, so it counts as unknown.
NEWEST = {
    "anndata": (0, 1, 0),
    "array": (0, 2, 0),
    "awkward-array": (0, 1, 0),
    "bytes": (0, 2, 0),
    "categorical": (0, 2, 0),
    "csc_matrix": (0, 1, 0),
    "csr_matrix": (0, 1, 0),
    "dataframe": (0, 2, 0),
    "dict": (0, 1, 0),
    "mudata": (0, 1, 0),
    "null": (0, 1, 0),
    "nullable-boolean": (0, 1, 0),
    "nullable-integer": (0, 1, 0),
    "nullable-string-array": (0, 1, 0),
    "numeric-scalar": (0, 2, 0),
    "raw": (0, 1, 0),
    "rec-array": (0, 2, 0),
    "string": (0, 2, 0),
    "string-array": (0, 2, 0),
}

ALIASES = {"csc": "csc_matrix", "csr": "csr_matrix"}


@as_format_errors
def encoding(obj: Any) -> tuple[str, str]:
    """``encoding-type`` and ``encoding-version`` as text, ``""`` where an attribute is absent.

    Fixed-length bytes, arrays of one element and capital letters (files from R and Julia) are
    normalised.
    """
    kind = text(obj.attrs["encoding-type"]).lower() if "encoding-type" in obj.attrs else ""
    version = text(obj.attrs["encoding-version"]) if "encoding-version" in obj.attrs else ""
    return ALIASES.get(kind, kind), version


@as_format_errors
def is_legacy(obj: Any) -> bool:
    """Whether the element carries no encoding attribute, as before anndata 0.8."""
    return "encoding-type" not in obj.attrs


@as_format_errors
def element_kind(obj: Any) -> str:
    """Name of the encoding of an element, from its attributes or, without them, its layout.

    Reads nothing but attributes.

    Parameters
    ----------
    obj
        An open group or dataset.

    Returns
    -------
    An ``encoding-type`` of the AnnData format (``"array"``, ``"csr_matrix"``, ``"dataframe"``,
    ``"categorical"``, ``"dict"``, ``"string-array"``, …), or ``"unknown"``.

    Examples
    --------
    >>> import h5py, io
    >>> with h5py.File(io.BytesIO(), "w") as file:
    ...     group = file.create_group("old")
    ...     group.attrs["h5sparse_format"] = b"csc"
    ...     element_kind(group), element_kind(file.create_dataset("x", data=[1, 2]))
    ('csc_matrix', 'array')
    """
    kind, version = encoding(obj)
    if not kind:
        return _legacy_kind(obj)
    newest = NEWEST.get(kind)
    if isinstance(obj, h5py.Dataset) and _means_nothing_here(obj):
        return "unknown"
    if newest is None or parsed_version(version) is None:
        return "unknown"
    return kind if (parsed_version(version) or ()) <= newest else "unknown"


def _means_nothing_here(dataset: h5py.Dataset) -> bool:
    """Whether values are references, or bytes that a tag gives to some other program."""
    if dataset.dtype.kind == "V" and dataset.dtype.names is None:
        kind = dataset.id.get_type()
        tag = kind.get_tag() if isinstance(kind, h5py.h5t.TypeOpaqueID) else b""
        return bool(tag) and not tag.startswith(b"NUMPY:")
    return holds_references(dataset.dtype)


def holds_references(dtype: np.dtype[Any]) -> bool:
    """Whether elements point to other places of their file: they mean nothing outside of it."""
    if h5py.check_ref_dtype(dtype) is not None:
        return True
    if dtype.subdtype is not None:
        return holds_references(dtype.subdtype[0])
    if dtype.names is not None:
        return any(holds_references(dtype[name]) for name in dtype.names)
    inner = h5py.check_vlen_dtype(dtype)
    return isinstance(inner, np.dtype) and holds_references(inner)


def parsed_version(version: str) -> tuple[int, ...] | None:
    """Numbers of a version; None if they are none."""
    try:
        return tuple(int(part) for part in version.split(".")) if version else ()
    except ValueError:
        return None


def _legacy_kind(obj: Any) -> str:
    if isinstance(obj, h5py.Group):
        if "h5sparse_format" in obj.attrs:
            form = text(obj.attrs["h5sparse_format"]).lower()
            return ALIASES.get(form, "unknown")
        return "dataframe" if "column-order" in obj.attrs else "dict"
    if not isinstance(obj, h5py.Dataset):
        return "unknown"
    if obj.shape is None:
        return "null"
    if "categories" in obj.attrs:
        return "categorical"
    if _means_nothing_here(obj):
        return "unknown"
    if obj.dtype.names is not None:
        return "rec-array"
    if h5py.check_string_dtype(obj.dtype) is not None:
        return "string" if obj.shape == () else "string-array"
    return "numeric-scalar" if obj.shape == () else "array"
