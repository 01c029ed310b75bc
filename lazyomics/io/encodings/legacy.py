"""Elements without encoding attributes, and the layouts of anndata 0.5 and 0.6."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
import pandas as pd

from lazyomics.errors import FileFormatError
from lazyomics.io.encodings.arrays import read_array, read_fields, read_records
from lazyomics.io.encodings.damage import damaged
from lazyomics.io.encodings.dataset_values import read_values
from lazyomics.io.encodings.registry import reads

__all__ = [
    "categories_from_uns",
    "read_compound_mapping",
    "read_plain",
]


SUFFIX = "_categories"


def read_plain(dataset: Any) -> Any:
    """Read a dataset without encoding attributes, with text where it holds strings."""
    if dataset.dtype.names is not None:
        return read_records(dataset)
    info = h5py.check_string_dtype(dataset.dtype)
    if info is None:
        return read_array(dataset)
    values = read_values(dataset, as_text=True)
    if isinstance(values, np.ndarray) and info.length is not None and info.encoding == "ascii":
        return values.astype(str)  # numpy text, which is how anndata has always read these
    return values


@reads("legacy")
def read_unmarked(dataset: Any) -> Any:
    """Read a dataset outside of frames: one fixed-length text in an array is a scalar there."""
    values = read_plain(dataset)
    one_text = isinstance(values, np.ndarray) and values.dtype.kind == "U" and values.shape == (1,)
    return values[0] if one_text else values


def read_compound_mapping(dataset: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Read a compound dataset as one array per field (``obsm`` and ``varm`` before 0.7).

    Parameters
    ----------
    dataset
        An open compound dataset of shape (n,), its fields numbers or rows of numbers.

    Returns
    -------
    Arrays of shape (n, k); fields of single numbers give (n, 1).
    """
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.names is None:
        raise damaged(dataset, expected="a compound dataset", found="another element")
    fields = read_fields(dataset, list(dataset.dtype.names))
    return {k: v.reshape(-1, 1) if v.ndim == 1 else v for k, v in fields.items()}


def categories_from_uns(
    frame: pd.DataFrame, uns: Mapping[str, Any]
) -> tuple[pd.DataFrame, list[str]]:
    """Replace integer codes by the categories that old files keep in ``uns``.

    Parameters
    ----------
    frame
        ``obs`` or ``var`` read from a compound dataset.
    uns
        Its categories are the values under ``"<column>_categories"``.

    Returns
    -------
    A new frame, and the keys of ``uns`` that were used. Categories that are too few for the codes
    belong to a column of the same name on the other axis and are left alone.
    """
    frame = frame.copy(deep=False)
    used = []
    for key, categories in uns.items():
        column = key.removesuffix(SUFFIX)
        if column == key or column not in frame:
            continue
        codes: Any = frame[column].to_numpy()
        values: Any = np.atleast_1d(categories)
        if codes.dtype.kind in "iu" and (codes < len(values)).all() and (codes >= -1).all():
            try:
                frame[column] = pd.Categorical.from_codes(codes, categories=values)
            except (ValueError, TypeError) as error:
                raise FileFormatError(
                    f"uns[{key!r}]: expected the distinct categories of column {column!r}, found "
                    f"an error: {error}"
                ) from error
            used.append(key)
    return frame, used
