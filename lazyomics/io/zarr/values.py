"""Values written as elements of a zarr store, as anndata encodes them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from dask.utils import parse_bytes
from numpy.typing import NDArray

from lazyomics.blocks.canonical import index_dtype
from lazyomics.container.anndata import AnnData
from lazyomics.container.deferred import computed, is_deferred
from lazyomics.errors import LazyomicsError, UnsupportedError
from lazyomics.io.compress import CHUNK_BYTES
from lazyomics.io.encodings.arrays import FIELD, NOT_TEXT, TIME
from lazyomics.io.encodings.frames import column_names, index_name
from lazyomics.io.encodings.kinds import NEWEST
from lazyomics.io.encodings.registry import (
    REFUSED,
    OpaqueElement,
    check_name,
    element_path,
    refusal,
)
from lazyomics.io.encodings.sparse import compressed
from lazyomics.io.stream import MatrixBlocks, chunk_shape, joined_pointers, streamable
from lazyomics.lazy.kinds import is_dask_array
from lazyomics.lazy.recipe import Recipe

__all__ = ["ZarrLayout", "marks", "write_value"]

VERSIONS = {kind: ".".join(map(str, newest)) for kind, newest in NEWEST.items()}
CHUNKS_AT_ONCE = 8  # which zarr compresses in its threads
Later = list[Callable[[], None]]


@dataclass(frozen=True)
class ZarrLayout:
    """How arrays are stored.

    Attributes
    ----------
    zarr_format
        2 or 3.
    compressors
        As ``zarr.create_array`` takes them.
    chunk_bytes, shard_bytes
        Decoded bytes of a chunk and a shard of a matrix; no shards if the latter is None.
    chunks
        Shape of the chunks of dense X, as anndata takes it.
    """

    zarr_format: int
    compressors: Any
    chunk_bytes: int
    shard_bytes: int | None
    chunks: tuple[int, ...] | None

    @classmethod
    def of(
        cls, zarr_format: int, compressors: Any, chunk_bytes: Any, shard_bytes: Any, chunks: Any
    ) -> ZarrLayout:
        """From what a user says; refuses sizes that are none."""
        chunk = CHUNK_BYTES if chunk_bytes is None else parse_bytes(chunk_bytes)
        shard = None if shard_bytes is None else parse_bytes(shard_bytes)
        if chunk < 1 or (shard is not None and shard < chunk):
            raise ValueError(
                f"chunk_bytes is positive and at most shard_bytes, found {chunk_bytes!r} and "
                f"{shard_bytes!r}"
            )
        shard = None if shard is None else int(shard)
        return cls(zarr_format, compressors, int(chunk), shard, chunks)

    def create(self, group: Any, name: str, shape: Any, dtype: Any, kind: str = "") -> Any:
        """Make an array for a value of moderate size, of one chunk or a few."""
        options: dict[str, Any] = {"attributes": marks(kind)}
        if shape and prod(shape):
            options["compressors"] = self.compressors
            itemsize = getattr(dtype, "itemsize", 0) or 16
            options["chunks"] = chunk_shape(shape, itemsize, max(self.chunk_bytes, CHUNK_BYTES))
        return group.create_array(name, shape=shape, dtype=dtype, **options)

    def create_matrix(
        self, group: Any, name: str, shape: Any, dtype: np.dtype[Any], chunk: Any, kind: str = ""
    ) -> Any:
        """Make an array of chunks, in shards if these are asked for."""
        options: dict[str, Any] = {"chunks": chunk, "compressors": self.compressors}
        options["attributes"] = marks(kind)
        if self.shard_bytes is not None:
            rows = max(1, self.shard_bytes // max(1, prod(chunk) * dtype.itemsize))
            most = -(-shape[0] // chunk[0]) or 1
            options["shards"] = (min(rows, most) * chunk[0], *chunk[1:])
        return group.create_array(name, shape=shape, dtype=dtype, **options)


def marks(kind: str, **more: Any) -> dict[str, Any]:
    """Return the attributes of an element of an encoding; none for a part of one."""
    return {"encoding-type": kind, "encoding-version": VERSIONS[kind], **more} if kind else more


def write_value(
    group: Any, name: str, value: Any, layout: ZarrLayout, later: Later | None = None
) -> None:
    """Write one value, held in memory, lazy, or still stored elsewhere.

    Parameters
    ----------
    group
        An open group, writable.
    name
        Of the new element.
    value
        What ``write_h5ad`` writes.
    layout
        How arrays are stored.
    later
        Where what writes lazy matrices is put, which is called afterwards.

    Raises
    ------
    TypeError
        If the format has no encoding for the type; the message says what to do instead.
    ValueError
        If the name or the value cannot be stored.
    """
    check_name(str(group.name), name)
    if is_deferred(value):
        value = streamable(value)
    if isinstance(value, Recipe) or (is_dask_array(value) and value.ndim == 2):
        write = partial(write_matrix, group, name, value, layout)
        write() if later is None else later.append(write)
        return
    if is_dask_array(value):
        value = value.compute()
    if callable(getattr(value, "to_scipy", None)):
        value = value.to_scipy()
    value = computed(value) if isinstance(value, Mapping) else value
    if _is_large_matrix(value, layout):
        write_matrix(group, name, value, layout)
        return
    writer = _writer_for(group, name, value)
    try:
        writer(group, name, value, layout)
    except (TypeError, ValueError) as error:
        path = element_path(group, name)
        if isinstance(error, LazyomicsError) or path in str(error):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{path}: cannot store the value: {error}") from error


def _is_large_matrix(value: Any, layout: ZarrLayout) -> bool:
    """Whether a value in memory is a matrix of numbers of more than a chunk."""
    if sp.issparse(value):
        is_matrix = value.ndim == 2 and value.format in ("csr", "csc")
        return is_matrix and value.data.nbytes > layout.chunk_bytes
    is_matrix = type(value) is np.ndarray and value.ndim == 2 and value.dtype.kind in "iuf"
    return is_matrix and value.nbytes > layout.chunk_bytes


def _writer_for(group: Any, name: str, value: Any) -> Callable[..., None]:
    for cls in type(value).__mro__:
        if cls in WRITERS:
            return WRITERS[cls]
        if cls in REFUSED:
            raise refusal(group, name, value, REFUSED[cls])
    package = type(value).__module__.partition(".")[0]
    if package == "awkward":
        return _write_awkward
    if package == "anndata" and type(value).__name__ == "AnnData":
        return _write_scverse
    raise refusal(
        group,
        name,
        value,
        "Store arrays, data frames, sparse matrices, text, numbers, None, or dicts of these.",
    )


def _write_scalar(group: Any, name: str, value: Any, layout: ZarrLayout) -> None:
    data = np.array(value)
    if data.dtype.kind == "O":
        raise refusal(group, name, value, "It does not fit 64 bits: store it as text or float.")
    kind = "bytes" if data.dtype.kind == "S" else "numeric-scalar"
    layout.create(group, name, (), data.dtype, kind)[...] = data


def _write_null(group: Any, name: str, value: None, layout: ZarrLayout) -> None:
    layout.create(group, name, (), np.dtype(bool), "null")


def _write_text(group: Any, name: str, value: str, layout: ZarrLayout) -> None:
    _check_text(group, name, [value])
    layout.create(group, name, (), str, "string")[...] = np.array(str(value), dtype=object)


def _check_text(group: Any, name: str, texts: Any) -> None:
    for item in texts:
        if any("\ud800" <= character <= "\udfff" for character in item):
            raise ValueError(
                f"{element_path(group, name)}: {item!r} cannot be stored, because it holds lone "
                "surrogates, which are no text. Replace them."
            )


def _write_texts(group: Any, name: str, value: Any, layout: ZarrLayout) -> None:
    texts = value.astype(object)
    for item in texts.flat:
        if not isinstance(item, str):
            raise refusal(
                group, name, value, f"It holds {item!r} ({type(item).__name__}). {NOT_TEXT}"
            )
    _check_text(group, name, texts.flat)
    array = layout.create(group, name, texts.shape, str, "string-array")
    if texts.size:
        array[...] = texts


def _write_array(group: Any, name: str, value: Any, layout: ZarrLayout) -> None:
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise refusal(
                group, name, value, "Some entries are masked: fill them, e.g. .filled(np.nan)."
            )
        value = value.data
    value = np.asarray(value)
    if value.dtype.names is not None:
        _write_records(group, name, value, layout)
    elif value.shape == ():
        write_value(group, name, value[()], layout)
    elif value.dtype.kind in "UOT":
        _write_texts(group, name, value, layout)
    elif value.dtype.kind in "biufcS":
        array = layout.create(group, name, value.shape, value.dtype, "array")
        if value.size:
            array[...] = value
    else:
        advice = TIME if value.dtype.kind in "mM" else "Name the fields of the dtype."
        raise refusal(group, name, value, f"Its dtype is {value.dtype}. {advice}")


def _write_records(group: Any, name: str, value: Any, layout: ZarrLayout) -> None:
    """Write a structured array, its texts of fixed length, as anndata does."""
    value = np.asarray(value)
    if value.dtype.names is None:
        raise refusal(group, name, value, "Name the fields of the dtype.")
    fields: list[tuple[Any, ...]] = []
    for key in value.dtype.names:
        base, shape = value.dtype[key].base, value.dtype[key].shape
        if base.kind in "mMV":
            raise refusal(group, name, value, f"Its field {key!r} is {base}: use text or numbers.")
        if base.kind in "OT":
            if not all(isinstance(item, str) for item in value[key].flat):
                raise refusal(group, name, value, FIELD.format(key))
            longest = max((len(item) for item in value[key].flat), default=0)
            base = np.dtype(f"U{max(1, longest)}")
        fields.append((key, base, shape))
    made = value.astype(fields)
    attributes = marks("rec-array")
    array = group.create_array(name, shape=made.shape, dtype=made.dtype, attributes=attributes)
    if made.size:
        array[...] = made


def _write_sequence(group: Any, name: str, value: Any, layout: ZarrLayout) -> None:
    try:
        array = np.array(value)
    except ValueError as error:
        raise ValueError(
            f"{element_path(group, name)}: cannot store a {type(value).__name__} of parts with "
            f"different lengths ({error}). Store a dict of arrays, or pad the parts."
        ) from error
    if array.dtype.kind == "O" and not all(isinstance(item, str) for item in array.flat):
        raise refusal(group, name, value, "Its items do not form an array of numbers or of text.")
    write_value(group, name, array, layout)


def _write_mapping(group: Any, name: str, value: Any, layout: ZarrLayout) -> None:
    made = group.create_group(name, attributes=marks("dict"))
    for key, item in value.items():
        write_value(made, key, item, layout)


def _write_frame(group: Any, name: str, frame: pd.DataFrame, layout: ZarrLayout) -> None:
    path = element_path(group, name)
    index, columns = index_name(path, frame), column_names(path, frame)
    stated = marks("dataframe", **{"column-order": columns, "_index": index})
    made = group.create_group(name, attributes=stated)
    parts: list[tuple[str, Any, str]] = []
    parts += [] if index in columns else [(index, frame.index, "the index")]
    parts += [(c, frame.iloc[:, k], f"column {c!r}") for k, c in enumerate(columns)]
    for key, values, what in parts:
        array: Any = values.array
        if type(array) is pd.arrays.NumpyExtensionArray:
            array = values.to_numpy()
        try:
            write_value(made, key, array, layout)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"data frame {made.name!r}, {what}: {error}") from error


def _write_categorical(group: Any, name: str, value: Any, layout: ZarrLayout) -> None:
    stated = marks("categorical", ordered=bool(value.ordered))
    made = group.create_group(name, attributes=stated)
    write_value(made, "codes", value.codes, layout)
    write_value(made, "categories", value.categories.to_numpy(), layout)


def _write_masked(group: Any, name: str, value: Any, layout: ZarrLayout) -> None:
    is_boolean = isinstance(value, pd.arrays.BooleanArray)
    kind = "nullable-boolean" if is_boolean else "nullable-integer"
    made = group.create_group(name, attributes=marks(kind))
    values = value.to_numpy(na_value=0, dtype=value.dtype.numpy_dtype)
    write_value(made, "values", values, layout)
    write_value(made, "mask", np.asarray(value.isna()), layout)


def _write_masked_strings(group: Any, name: str, value: Any, layout: ZarrLayout) -> None:
    as_nan, missing = value.dtype.na_value is not pd.NA, np.asarray(value.isna())
    stated = marks("nullable-string-array", **{"na-value": "NaN" if as_nan else "NA"})
    made = group.create_group(name, attributes=stated)
    write_value(made, "values", value.to_numpy(dtype=object, na_value=""), layout)
    write_value(made, "mask", missing, layout)


def _write_awkward(group: Any, name: str, value: Any, layout: ZarrLayout) -> None:
    ak = importlib.import_module("awkward")
    form, length, buffers = ak.to_buffers(ak.to_packed(value))
    stated = marks("awkward-array", length=int(length), form=form.to_json())
    made = group.create_group(name, attributes=stated)
    for key, buffer in buffers.items():
        write_value(made, key, buffer, layout)


def _write_sparse(group: Any, name: str, value: Any, layout: ZarrLayout) -> None:
    value = compressed(group, name, value)
    stated = marks(f"{value.format}_matrix", shape=[int(n) for n in value.shape])
    made = group.create_group(name, attributes=stated)
    for part in ("data", "indices", "indptr"):
        values = getattr(value, part)
        array = layout.create(made, part, values.shape, values.dtype)
        if values.size:
            array[...] = values


def _write_nested(group: Any, name: str, value: AnnData, layout: ZarrLayout) -> None:
    writing = importlib.import_module("lazyomics.io.zarr.writing")
    writing.write_anndata(group.create_group(name), value, layout)


def _write_scverse(group: Any, name: str, value: Any, layout: ZarrLayout) -> None:
    _write_nested(group, name, AnnData.from_anndata(value), layout)


def _refuse_opaque(group: Any, name: str, value: OpaqueElement, layout: ZarrLayout) -> None:
    raise UnsupportedError(
        f"{element_path(group, name)}: an element of the encoding {value.encoding!r}, which "
        "lazyomics cannot read, is not written to zarr. Delete it, or write an HDF5 file"
    )


WRITERS: dict[type, Callable[..., None]] = {
    **dict.fromkeys((bool, int, float, complex, bytes, np.bool_, np.number), _write_scalar),
    **dict.fromkeys((sp.spmatrix, sp.sparray), _write_sparse),
    **dict.fromkeys((pd.arrays.IntegerArray, pd.arrays.BooleanArray), _write_masked),
    **dict.fromkeys((pd.arrays.StringArray, pd.arrays.ArrowStringArray), _write_masked_strings),
    **dict.fromkeys((list, tuple), _write_sequence),
    **dict.fromkeys((dict, Mapping), _write_mapping),
    AnnData: _write_nested,
    OpaqueElement: _refuse_opaque,
    type(None): _write_null,
    str: _write_text,
    np.ndarray: _write_array,
    np.void: _write_records,
    pd.Categorical: _write_categorical,
    pd.DataFrame: _write_frame,
}


class _Appending:
    """Writes whole chunks (or shards) of an array as values arrive."""

    def __init__(self, array: Any, unit: int) -> None:
        self.array, self.unit = array, unit
        self.waiting: list[NDArray[Any]] = []
        self.length = self.held = 0

    def append(self, values: NDArray[Any]) -> None:
        """Take values, and write what fills some units."""
        if len(values):
            self.waiting.append(values)
            self.held += len(values)
        if self.held >= self.unit:
            self._write(self.held // self.unit * self.unit)

    def close(self) -> None:
        """Write the rest, and give the array its length."""
        self._write(self.held)
        if self.array.shape[0] != self.length:
            self.array.resize((self.length, *self.array.shape[1:]))

    def _write(self, count: int) -> None:
        if not count:
            return
        values = self.waiting[0] if len(self.waiting) == 1 else np.concatenate(self.waiting)
        self.array[self.length : self.length + count] = values[:count]
        self.length += count
        self.waiting = [values[count:]] if count < self.held else []
        self.held -= count


def write_matrix(group: Any, name: str, value: Any, layout: ZarrLayout) -> None:
    """Write a lazy matrix, or the recipe of a stored one, block by block.

    Parameters
    ----------
    group, name
        Open group, writable, and the name of the new element.
    value
        Dask matrix of shape (n, m), or a recipe.
    layout
        How arrays are stored.

    Notes
    -----
    Passes over the matrix: 1. Peak memory: two windows of one block for each worker, and eight
    chunks (or a shard) of values and as many of positions.
    """
    matrix = MatrixBlocks.of(value)
    with closing(matrix.in_order()) as blocks:
        if matrix.kind == "dense":
            _write_dense(group, name, matrix, blocks, layout)
            return
        stated = marks(f"{matrix.kind}_matrix", shape=[int(n) for n in matrix.shape])
        made = group.create_group(name, attributes=stated)
        index = index_dtype(matrix.shape[1 if matrix.kind == "csr" else 0])
        most, counts = max(1, matrix.most), []
        parts = {}
        for part, dtype in (("data", matrix.dtype), ("indices", index)):
            chunk = chunk_shape((most,), dtype.itemsize, layout.chunk_bytes)
            array = layout.create_matrix(made, part, (most,), dtype, chunk)
            parts[part] = _Appending(array, _unit(array))
        for block in blocks:
            counts.append(np.diff(block.indptr))
            parts["data"].append(np.asarray(block.data))
            parts["indices"].append(np.asarray(block.indices).astype(index, copy=False))
        for appending in parts.values():
            appending.close()
        pointers = joined_pointers(counts)
        layout.create(made, "indptr", pointers.shape, pointers.dtype)[...] = pointers


def _unit(array: Any) -> int:
    """Rows that are written at once: whole shards, or some chunks."""
    return int(array.shards[0] if array.shards else array.chunks[0] * CHUNKS_AT_ONCE)


def _write_dense(group: Any, name: str, x: Any, blocks: Any, layout: ZarrLayout) -> None:
    chunk = chunk_shape(x.shape, x.dtype.itemsize, layout.chunk_bytes)
    if layout.chunks is not None and name == "X":
        chunk = tuple(min(int(c), max(1, n)) for c, n in zip(layout.chunks, x.shape, strict=True))
    if not prod(x.shape):
        layout.create(group, name, x.shape, x.dtype, "array")
        return
    array = layout.create_matrix(group, name, x.shape, x.dtype, chunk, "array")
    appending = _Appending(array, _unit(array))
    for block in blocks:
        appending.append(np.asarray(block))
    appending.close()
