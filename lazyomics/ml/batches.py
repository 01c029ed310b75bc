"""Batches of shuffled cells, read from files in the background."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import scipy.sparse as sp
from dask.utils import parse_bytes
from numpy.typing import NDArray

from lazyomics import lazy
from lazyomics.container.choose import check_annotated, get_matrix
from lazyomics.container.slots import matrix_bytes
from lazyomics.errors import ShapeError, warn_user
from lazyomics.lazy.kinds import is_dask_array
from lazyomics.lazy.recipe import is_scanned_for_rows
from lazyomics.ml.order import Order, Rows

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData

__all__ = ["Batches", "batches"]

BUFFERS = 3  # one that is handed out, one that is read, and its parts while they are joined


def batches(
    adata: AnnData | Sequence[AnnData],
    batch_size: int = 1024,
    *,
    obs: str | Sequence[str] = (),
    layer: str | None = None,
    fields: Mapping[str, str] | None = None,
    shuffle: bool = True,
    seed: int = 0,
    weights: str | NDArray[Any] | Sequence[float] | None = None,
    drop_last: bool = False,
    dense: bool = False,
    block_size: int = 64,
    memory: int | str = "512MiB",
    rank: int = 0,
    ranks: int = 1,
) -> Batches:
    """Iterate over the cells of files in shuffled batches.

    Blocks of consecutive cells are read in the background, in random order; as many of them as
    the stated memory holds are shuffled together and handed out in batches. Each cell comes once
    in an epoch. The order depends on the parameters and the files alone.

    Parameters
    ----------
    adata
        One object or several with the same genes, opened or in memory. Selections and recorded
        steps (``pp.normalize_total``, ``pp.log1p``…) are followed as batches are read.
    batch_size
        Cells of a batch.
    obs
        Columns of obs to hand out: numbers as they are, categories and text as int64 codes of
        ``Batches.categories``, -1 where missing.
    layer
        Matrix that is handed out as ``"X"``: a layer instead of X.
    fields
        More to hand out: name and place of each, ``{"latent": "obsm/X_pca"}`` or
        ``{"counts": "layers/counts"}``.
    shuffle
        Whether cells are shuffled; if not, they come in the order of the files.
    seed
        Of the random numbers.
    weights
        How likely each cell is to be drawn, with replacement, shape (cells of all objects,): an
        array, a numeric column of obs, or a column of categories, each of which is then drawn
        equally often. An epoch has as many cells as without.
    drop_last
        Whether a last batch with fewer cells is left out; all ranks then have as many batches.
    dense
        Whether sparse matrices become arrays, batch by batch.
    block_size
        Consecutive cells that are read together. More are read faster and shuffled less.
    memory
        Bytes for the buffers in which cells are shuffled, in all.
    rank, ranks
        Which of several processes this is, as in distributed training, and how many there are.
        Each has other cells.

    Returns
    -------
    A :class:`Batches`: an iterable of dictionaries.

    Raises
    ------
    KeyError
        If a column, layer or field does not exist.
    ValueError
        If a parameter is out of its range, or weights are negative, missing or all zero.
    ShapeError
        If the objects have different genes.
    TypeError
        If what is given is no AnnData, or several objects hold a column or matrix of other types.

    Warns
    -----
    UserWarning
        If a matrix is stored by genes (CSC): every buffer then costs a pass over it.

    Notes
    -----
    Passes over X: one in an epoch; parts of chunks at the edges of blocks are decoded twice.
    Memory: ``memory``, a batch, 8 bytes for each cell and column of obs.

    In a file that is sorted by cell type, the share of a type in a batch varies more than that of
    independent draws: its variance is about 1 + batch_size × block_size / b times theirs, with `b`
    cells in a buffer, a third of ``memory``. With the defaults, and 10 kB a cell, that is 4.7.

    Examples
    --------
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.eye(5), obs={"kind": ["a", "b", "b", "a", "b"]})
    >>> chosen = lo.ml.batches(adata, 2, obs="kind")
    >>> for batch in chosen:
    ...     print(batch["X"].shape, batch["rows"], batch["kind"])
    (2, 5) [2 4] [1 1]
    (2, 5) [3 0] [0 0]
    (1, 5) [1] [1]
    >>> list(chosen.categories["kind"])
    ['a', 'b']
    """
    objects = [adata] if not isinstance(adata, Sequence) else list(adata)
    if not objects:
        raise ValueError("ml.batches takes an AnnData or several, found none")
    for each in objects:
        check_annotated(each, "ml.batches")
    _check_positive(batch_size=batch_size, block_size=block_size, ranks=ranks)
    if not 0 <= rank < ranks:
        raise ValueError(f"rank must be from 0 to {ranks - 1}, found {rank}")
    _check_genes(objects)
    places = {"X": "X" if layer is None else f"layers/{layer}", **(fields or {})}
    columns = [obs] if isinstance(obs, str) else list(obs)
    twice = {name for name in columns if name in places} | {"rows"} & {*places, *columns}
    if twice:
        raise ValueError(f"{sorted(twice)} would be in a batch twice; give fields other names")
    parts = {name: _parts(objects, place) for name, place in places.items()}
    sizes = tuple(each.n_obs for each in objects)
    held = sum(matrix_bytes(part) for name in parts for part in parts[name])
    cell = max(1, held // max(1, sum(sizes)))
    buffer = int(parse_bytes(memory)) // (BUFFERS * cell)
    if buffer < batch_size:
        raise ValueError(
            f"memory={memory!r} holds {buffer:,} cells of {cell:,} bytes in each of {BUFFERS} "
            f"buffers, fewer than a batch of {batch_size:,}; give at least "
            f"{BUFFERS * cell * batch_size:,} bytes"
        )
    codes, categories = _codes(objects, columns)
    drawn = None if weights is None else _weights(objects, weights, sum(sizes))
    order = Order(sizes, block_size, buffer, seed, shuffle, drawn, rank, ranks)
    return Batches(order, batch_size, parts, codes, categories, drop_last=drop_last, dense=dense)


class Batches:
    """Batches of cells; each ``iter`` goes through an epoch, the next one through the next.

    A batch is a dictionary: ``"X"`` and each field as csr_matrix or ndarray, shape
    (cells, columns); each column of obs, shape (cells,); and ``"rows"``, the int64 positions of
    its cells in the objects one after the other.

    Attributes
    ----------
    categories
        Of each column of obs with categories or text, what the codes stand for.
    epoch
        Number of the epoch that is gone through, or comes next.
    """

    def __init__(
        self,
        order: Order,
        batch_size: int,
        parts: Mapping[str, Sequence[Any]],
        codes: Mapping[str, NDArray[Any]],
        categories: Mapping[str, pd.Index],
        *,
        drop_last: bool,
        dense: bool,
    ) -> None:
        self._order = order
        self._parts = parts
        self._codes = codes
        self._drop_last = drop_last
        self._dense = dense
        self._resumed = 0
        self._handed_out = 0
        self.batch_size = batch_size
        self.categories = dict(categories)
        self.epoch = 0

    def __len__(self) -> int:
        """Batches of an epoch."""
        first, last = self._order.span()
        if self._drop_last:  # as many for each shard
            return self._order.n_rows // self._order.shards // self.batch_size
        return -(-(last - first) // self.batch_size)

    def shard(self, shard: int, shards: int) -> Self:
        """Return one of several parts of the epochs, for one of several workers.

        Parameters
        ----------
        shard, shards
            Which part, counted from 0, and how many there are. Parts share no cells. Their
            buffers together take the memory of one.
        """
        if not 0 <= shard < shards:
            raise ValueError(f"shard must be from 0 to {shards - 1}, found {shard}")
        part = copy(self)
        part._order = self._order.of_shard(shard, shards)
        size = max(self.batch_size, part._order.buffer_size // shards)
        part._order = part._order.with_buffer(size)
        return part

    def state_dict(self) -> dict[str, int]:
        """Return the epoch, and the batches of it that were handed out."""
        return {"epoch": self.epoch, "batch": self._handed_out}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on behind the batches of a :meth:`state_dict`; nothing before is read again."""
        self.epoch, self._resumed = int(state["epoch"]), int(state["batch"])
        self._handed_out = self._resumed

    def __iter__(self) -> Iterator[dict[str, Any]]:
        begin, self._resumed = self._resumed, 0
        self._handed_out = begin
        end = len(self)
        made = self._batches(self.epoch, begin)
        try:
            for _ in range(begin, end):
                batch = next(made)
                self._handed_out += 1
                yield batch
        finally:
            made.close()
        self.epoch += 1
        self._handed_out = 0

    def _batches(self, epoch: int, begin: int) -> Generator[dict[str, Any]]:
        rest: dict[str, Any] | None = None
        size = self.batch_size
        for buffer in self._buffers(epoch, begin * size):
            n, start = len(buffer["rows"]), 0
            if rest is not None:
                start = min(n, size - len(rest["rows"]))
                rest = _joined(rest, self._take(buffer, 0, start))
                if len(rest["rows"]) < size:
                    continue
                yield rest
            whole = start + (n - start) // size * size
            for first in range(start, whole, size):
                yield self._take(buffer, first, first + size)
            rest = self._take(buffer, whole, n) if whole < n else None
        if rest is not None:
            yield rest

    def _buffers(self, epoch: int, skip: int) -> Iterator[dict[str, Any]]:
        """Read one buffer while the one before is handed out."""
        wanted = self._order.buffers(epoch, skip)
        with ThreadPoolExecutor(1, thread_name_prefix="lazyomics-batches") as pool:
            ahead: Future[dict[str, Any]] | None = None
            for rows in wanted:
                coming = pool.submit(self._read, rows)
                if ahead is not None:
                    yield ahead.result()
                ahead = coming
            if ahead is not None:
                yield ahead.result()

    def _read(self, rows: Rows) -> dict[str, Any]:
        """Read some rows, each of them once and in the order of the files."""
        there, places = np.unique(rows, return_inverse=True)
        buffer: dict[str, Any] = {"rows": rows, "places": places}
        ends = np.cumsum(self._order.sizes)
        cuts = np.searchsorted(there, ends)
        for name, parts in self._parts.items():
            read, first = [], 0
            for part, end, last in zip(parts, ends, cuts, strict=True):
                if last > first:
                    local = there[first:last] - (end - part.shape[0])
                    values = part[local]
                    read.append(lazy.materialize(values) if is_dask_array(values) else values)
                first = int(last)
            buffer[name] = read[0] if len(read) == 1 else _stacked(read)
        return buffer

    def _take(self, buffer: Mapping[str, Any], first: int, last: int) -> dict[str, Any]:
        rows, places = buffer["rows"][first:last], buffer["places"][first:last]
        batch = {}
        for name in self._parts:
            values = buffer[name][places]
            batch[name] = values.toarray() if self._dense and sp.issparse(values) else values
        return batch | {name: codes[rows] for name, codes in self._codes.items()} | {"rows": rows}


def _joined(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _stacked([a[name], b[name]]) for name in a}


def _stacked(parts: Sequence[Any]) -> Any:
    if sp.issparse(parts[0]):
        return sp.vstack(parts, format="csr")
    return np.concatenate(parts)


def _check_positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name} must be at least 1, found {number}")


def _check_genes(objects: Sequence[AnnData]) -> None:
    genes = objects[0].var_names
    for k, each in enumerate(objects[1:], 1):
        if not genes.equals(each.var_names):
            raise ShapeError(
                f"object {k} has other genes than object 0, or in another order "
                f"({each.n_vars:,} and {len(genes):,}); select the same of each: "
                "adata[:, genes]"
            )


def _parts(objects: Sequence[AnnData], place: str) -> list[Any]:
    """Return a matrix of each object, of the same columns and type of values."""
    parts = [_matrix(each, place, k) for k, each in enumerate(objects)]
    for k, part in enumerate(parts[1:], 1):
        found, expected = (part.shape[1:], part.dtype), (parts[0].shape[1:], parts[0].dtype)
        if found != expected or _is_sparse(part) != _is_sparse(parts[0]):
            raise TypeError(
                f"{place} of object {k} is {_described(part)}, that of object 0 "
                f"{_described(parts[0])}: batches hold one kind"
            )
    if any(_is_by_columns(part) for part in parts):
        warn_user(
            f"{place} is stored by genes (CSC): each buffer costs a pass over it. Store it by "
            "cells before: lazyomics.transpose_storage"
        )
    return parts


def _matrix(adata: AnnData, place: str, number: int) -> Any:
    slot, _, key = place.partition("/")
    if slot in ("X", "layers"):
        x = get_matrix(adata, layer=key if slot == "layers" else None)
        return x if x.numblocks[1] == 1 else x.rechunk({1: -1})
    if slot != "obsm" or not key:
        raise ValueError(f"a field is 'X', 'layers/…' or 'obsm/…', found {place!r}")
    if key not in adata.obsm:
        raise KeyError(f"obsm has no {key!r} in object {number}: {sorted(adata.obsm)}")
    values = adata.obsm[key]
    if isinstance(values, pd.DataFrame):
        values = values.to_numpy()
    return values.tocsr() if sp.issparse(values) else values


def _is_sparse(x: Any) -> bool:
    if not is_dask_array(x):
        return bool(sp.issparse(x))
    return not isinstance(getattr(x, "_meta", None), np.ndarray)


def _is_by_columns(x: Any) -> bool:
    recipe = lazy.recipe_of(x) if is_dask_array(x) else None
    return recipe is not None and is_scanned_for_rows(recipe.source)


def _described(x: Any) -> str:
    return f"{'sparse' if _is_sparse(x) else 'dense'} {x.dtype}, {x.shape[1:]} columns"


def _codes(
    objects: Sequence[AnnData], columns: Sequence[str]
) -> tuple[dict[str, NDArray[Any]], dict[str, pd.Index]]:
    codes: dict[str, NDArray[Any]] = {}
    categories: dict[str, pd.Index] = {}
    for name in columns:
        values = _column(objects, name)
        if isinstance(values.dtype, pd.CategoricalDtype):
            codes[name] = values.cat.codes.to_numpy(np.int64)
            categories[name] = values.cat.categories
        else:
            codes[name] = values.to_numpy()
    return codes, categories


def _column(objects: Sequence[AnnData], name: str) -> pd.Series[Any]:
    """Return a column of all objects: numbers, or categories in the order of their first object."""
    parts = []
    for k, each in enumerate(objects):
        if name not in each.obs:
            raise KeyError(f"obs of object {k} has no column {name!r}: {list(each.obs.columns)}")
        parts.append(each.obs[name])
    numeric = [pd.api.types.is_numeric_dtype(p.dtype) for p in parts]
    if all(numeric):
        return pd.concat([p.reset_index(drop=True) for p in parts], ignore_index=True)
    if any(numeric):
        raise TypeError(f"obs[{name!r}] holds numbers in some objects, and other values in others")
    found = [p.cat.categories if hasattr(p, "cat") else sorted(set(p.dropna())) for p in parts]
    everything = list(dict.fromkeys(value for index in found for value in index))
    values = [value for p in parts for value in p]
    return pd.Series(pd.Categorical(values, categories=everything))


def _weights(
    objects: Sequence[AnnData], weights: str | NDArray[Any] | Sequence[float], n: int
) -> NDArray[np.float64]:
    if isinstance(weights, str):
        column = _column(objects, weights)
        if isinstance(column.dtype, pd.CategoricalDtype):
            sizes = column.value_counts()
            values: NDArray[Any] = (1 / column.map(sizes).astype(float)).fillna(0.0).to_numpy()
        else:
            values = column.to_numpy(np.float64, na_value=np.nan)
    else:
        values = np.asarray(weights, dtype=np.float64)
    if values.shape != (n,):
        raise ValueError(
            f"weights have the shape {values.shape}, expected ({n},): one for each cell"
        )
    if not np.isfinite(values).all() or (values < 0).any() or not values.any():
        raise ValueError("weights must be numbers from 0, not all of them 0, without missing ones")
    return values
