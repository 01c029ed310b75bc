"""How new datasets are compressed and chunked: the same choice for arrays of every type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from dask.utils import parse_bytes

from lazyomics.io.compress import filter_options

__all__ = ["DatasetOptions", "chunk_bytes_of", "dataset_options", "kwargs_for"]


@dataclass(frozen=True, eq=False)
class DatasetOptions(Mapping[str, Any]):
    """Options of ``h5py.Group.create_dataset``; :func:`kwargs_for` fits them to a type.

    As a mapping it holds what any dataset of numbers takes. It is false where nothing was asked
    for: elements are then copied as they are stored.

    Attributes
    ----------
    codec
        Name of the filter, or its number in HDF5's registry; ``"none"`` for no filter whatever was
        there before, None for no word on it.
    level
        Level of the filter.
    shuffle
        Whether bytes are shuffled before they are compressed. None: those of integers. Column
        positions rise slowly, so that their high bytes repeat, while counts and their logarithms
        are a few values over and over, which compressors find as they are.
    chunk_bytes
        Decoded bytes of a chunk of a matrix; None for the writer's default.
    dense
        Places in the file, such as ``"X"``, of sparse matrices that are to be stored dense.
    """

    codec: str | int | None = None
    level: Any = None
    shuffle: bool | None = None
    chunk_bytes: int | None = None
    dense: frozenset[str] = frozenset()

    def of(self, kind: str) -> dict[str, Any]:
        """Options for values of a NumPy kind: ``"i"``, ``"u"``, ``"f"``, …."""
        shuffle = kind in "iu" if self.shuffle is None else self.shuffle
        return filter_options(self.codec, self.level, shuffle=shuffle)

    def __bool__(self) -> bool:
        return self.codec is not None or self.chunk_bytes is not None

    @cached_property
    def _of_any(self) -> dict[str, Any]:
        return self.of("V")

    def __getitem__(self, key: str) -> Any:
        return self._of_any[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._of_any)

    def __len__(self) -> int:
        return len(self._of_any)


def dataset_options(
    compression: str | int | None = None,
    compression_opts: Any = None,
    *,
    shuffle: bool | None = None,
    chunk_bytes: int | str | None = None,
) -> DatasetOptions:
    """Options of new datasets as the write methods take them.

    Parameters
    ----------
    compression, compression_opts, shuffle
        As for :class:`DatasetOptions`.
    chunk_bytes
        Bytes, or a text such as ``"1 MiB"``.

    Raises
    ------
    ValueError
        If there is no such codec or level, or chunks would be empty or beyond HDF5's 4 GiB.
    MissingDependencyError
        If the codec is a plugin of HDF5 and hdf5plugin is not installed.

    Examples
    --------
    >>> options = dataset_options("gzip", 1)
    >>> kwargs_for(options, "float32")
    {'compression': 'gzip', 'compression_opts': 1}
    >>> kwargs_for(options, "int32")
    {'compression': 'gzip', 'compression_opts': 1, 'shuffle': True}
    """
    size = None if chunk_bytes is None else int(parse_bytes(chunk_bytes))
    if size is not None and not 0 < size < 1 << 32:
        raise ValueError(f"chunk_bytes: expected 1 byte to 4 GiB, found {chunk_bytes!r}")
    codec = compression.lower() if isinstance(compression, str) else compression
    options = DatasetOptions(codec, compression_opts, shuffle, size)
    options.of("f")  # says what is wrong now, not in the middle of a file
    return options


def kwargs_for(options: Mapping[str, Any], dtype: Any) -> dict[str, Any]:
    """Options for a dataset of a type; a plain mapping is taken as it is."""
    if isinstance(options, DatasetOptions):
        return options.of(np.dtype(dtype).kind)
    return dict(options)


def chunk_bytes_of(options: Mapping[str, Any], default: int) -> int:
    """Decoded bytes of a chunk."""
    asked = options.chunk_bytes if isinstance(options, DatasetOptions) else None
    return asked or default
