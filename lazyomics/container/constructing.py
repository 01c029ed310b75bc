"""What the constructor of an AnnData makes of its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lazyomics.container.anndata_parts import AlignedParts
from lazyomics.container.raw import RawParts
from lazyomics.errors import ShapeError

__all__ = ["check_dimensions", "inferred_shape", "raw_parts"]


def check_dimensions(x: Any) -> None:
    """Refuse a vector as the matrix of a new object: nothing says whether it is a cell or a gene.

    Raises
    ------
    ShapeError
        If it has one dimension.
    """
    if getattr(x, "ndim", 2) == 1:
        raise ShapeError(
            f"X has shape {x.shape}, expected 2 dimensions. Give one gene as X.reshape(-1, 1), one "
            "cell as X.reshape(1, -1)"
        )


def inferred_shape(
    tables: tuple[Any, Any],
    layers: Mapping[str, Any] | None,
    aligned: tuple[Mapping[str, Any] | None, Mapping[str, Any] | None],
    pairs: tuple[Mapping[str, Any] | None, Mapping[str, Any] | None],
) -> tuple[int | None, int | None]:
    """Return the number of cells and genes as far as what is given tells them, else None.

    Parameters
    ----------
    tables
        obs and var; only a table decides, columns in a mapping follow the arrays.
    layers
        Matrices of the whole shape.
    aligned
        obsm and varm.
    pairs
        obsp and varp.
    """
    axes: list[int | None] = []
    for axis in (0, 1):
        if hasattr(tables[axis], "shape"):
            axes.append(int(tables[axis].shape[0]))
            continue
        values = [(value, axis) for value in (layers or {}).values()]
        for mapping in (aligned[axis], pairs[axis]):
            values += [(value, 0) for value in (mapping or {}).values()]
        axes.append(next((found for v, a in values if (found := _length(v, a)) is not None), None))
    return axes[0], axes[1]


def _length(value: Any, axis: int) -> int | None:
    shape = getattr(value, "shape", None)
    if shape is None:
        shape = np.shape(value) if isinstance(value, list | tuple) else ()
    if len(shape) > axis:
        return int(shape[axis])
    return len(value) if axis == 0 and hasattr(value, "__len__") else None


def raw_parts(value: Any, n_obs: int, make: Callable[..., AlignedParts]) -> RawParts | None:
    """Return what an object keeps of what is assigned to its raw.

    Parameters
    ----------
    value
        AnnData or Raw, of this package or anndata's, or a mapping with ``X``, ``var`` and
        ``varm``; None for nothing.
    n_obs
        Number of cells it must have.
    make
        Makes an object, which checks matrix and genes against each other.

    Raises
    ------
    TypeError
        If it is something else.
    ShapeError
        If it has another number of cells.
    """
    if value is None:
        return None
    held = getattr(value, "_parts", None)
    if isinstance(held, RawParts):
        parts = held.copy()
    elif isinstance(value, AlignedParts):
        parts = RawParts.of(value)
    else:
        parts = RawParts.of(make(**_fields(value)))
    if not parts.x.is_absent:
        n = parts.x.value.shape[0]
        if n != n_obs:
            raise ShapeError(f"raw has {n} cells, expected {n_obs}")
    return parts


def _fields(value: Any) -> dict[str, Any]:
    names = ("X", "var", "varm")
    if isinstance(value, Mapping):
        fields = {name: value.get(name) for name in names}
    elif hasattr(value, "X") and hasattr(value, "var"):
        fields = {name: getattr(value, name, None) for name in names}
    else:
        raise TypeError(
            f"raw is an AnnData, a Raw, or a mapping with X, var and varm; found "
            f"{type(value).__module__}.{type(value).__name__}"
        )
    fields["varm"] = dict(fields["varm"] or {})
    return fields
