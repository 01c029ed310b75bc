"""Which sparse matrices of a new file are stored by rows (CSR), and which by columns (CSC)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import dask.array as da
import h5py
import scipy.sparse as sp

from lazyomics.graph import lazy, recipe_of
from lazyomics.io.encodings import write_element
from lazyomics.io.stored import StoredElement
from lazyomics.io.stream import stream_matrix
from lazyomics.io.transposition.row_work import needs_turning, write_row_work
from lazyomics.io.transposition.scratch import ScratchPlan
from lazyomics.io.transposition.transposing import transpose_matrix
from lazyomics.kernels.block import SparseBlock

__all__ = ["StorageOrder", "checked_order"]


@dataclass(frozen=True)
class StorageOrder:
    """How sparse matrices are to be stored.

    Attributes
    ----------
    to
        ``"csr"`` or ``"csc"``.
    scratch
        Where transpositions put values aside.
    only
        The only matrix that is stored so, ``"X"``, ``"raw/X"`` or ``"layers/NAME"``; None for all.
    memory
        Bytes that a transposition may hold; by default ``lazyomics.memory``.
    """

    to: Literal["csr", "csc"]
    scratch: ScratchPlan
    only: str | None = None
    memory: int | None = None

    def covers(self, place: str) -> bool:
        """Whether it says something about a matrix."""
        if self.only is not None:
            return place == self.only
        if place.startswith("mod/"):  # of a modality
            place = place.split("/", 2)[-1]
        return place in ("X", "raw/X") or place.startswith("layers/")

    def write(self, group: h5py.Group, name: str, value: Any, options: Mapping[str, Any]) -> bool:
        """Write a matrix in this order; False if it has it already, or is dense."""
        if isinstance(value, StoredElement):
            return False
        if hasattr(value, "load") and not hasattr(value, "dtype"):
            value = value.load()
        if sp.issparse(value):
            if value.format == self.to:
                return False
            write_element(group, name, value.asformat(self.to), dataset_kwargs=options)
            return True
        if not isinstance(value, da.Array) or not isinstance(value._meta, SparseBlock):
            return False
        recipe = recipe_of(value)
        by_columns = recipe is not None and recipe.by_columns
        if recipe is not None and needs_turning(recipe) and self._turn(group, name, value, options):
            return True
        if not by_columns:
            value = lazy(value)
        if by_columns is (self.to == "csc"):
            if recipe is not None and recipe.is_plain and recipe.source.format == self.to:
                return False
            stream_matrix(group, name, value, dataset_kwargs=options)
            return True
        transpose_matrix(
            group,
            name,
            value,
            to=self.to,
            scratch=self.scratch,
            memory=self.memory,
            dataset_kwargs=options,
        )
        return True

    def _turn(self, group: h5py.Group, name: str, x: Any, options: Mapping[str, Any]) -> bool:
        recipe = recipe_of(x)
        assert recipe is not None
        return write_row_work(
            group,
            name,
            x,
            recipe,
            to=self.to,
            scratch=self.scratch,
            memory=self.memory,
            dataset_kwargs=options,
        )


def checked_order(to: str) -> Literal["csr", "csc"]:
    """Return a storage order, or say which there are."""
    if to == "csr":
        return "csr"
    if to == "csc":
        return "csc"
    raise ValueError(f"matrices are stored as 'csr' or 'csc', found {to!r}")
