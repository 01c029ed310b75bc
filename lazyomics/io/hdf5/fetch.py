"""Fetch whole chunks of one dataset: read them in runs, decode each once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazyomics.errors import FileFormatError
from lazyomics.io.hdf5.codecs import DamagedChunkError
from lazyomics.io.hdf5.dataset import DatasetInfo, open_readonly, read_box, require_filters
from lazyomics.io.hdf5.layout import Grid, pipeline_of
from lazyomics.io.hdf5.pipeline import Decoding, Place, longest, runs
from lazyomics.io.hdf5.raw_files import RawFile
from lazyomics.lazy.indexer import Positions

__all__ = [
    "RUN_BYTES",
    "ChunkRequest",
    "Source",
]


# Chunks that follow each other on disk are read together up to this size.
RUN_BYTES = 1 << 20


@dataclass(frozen=True)
class ChunkRequest:
    """Chunks to fetch, each once.

    Parameters
    ----------
    numbers
        (n,), int64: row-major numbers in the grid, all different.
    targets
        (n,), int64: byte position in the output where the whole chunk goes, or -1.
    shared
        (n,), bool: whether a chunk is needed elsewhere, too; then it is also handed to ``place``.
    """

    numbers: Positions
    targets: Positions
    shared: np.ndarray[Any, np.dtype[np.bool_]]

    def only(self, which: Positions) -> ChunkRequest:
        """Some of them."""
        return ChunkRequest(self.numbers[which], self.targets[which], self.shared[which])


@dataclass(frozen=True)
class Source:
    """The chunks of one dataset in an opened file.

    Parameters
    ----------
    file, path, name
        The opened file; its path and the dataset's name for messages.
    known
        The dataset's layout and chunk table.
    """

    file: RawFile
    path: str
    name: str
    known: DatasetInfo

    @property
    def grid(self) -> Grid:
        """The boxes that are fetched."""
        return Grid.of(self.known.fingerprint)

    @property
    def is_plain(self) -> bool:
        """Whether stored bytes are values: any part of a chunk can be read."""
        fingerprint = self.known.fingerprint
        return fingerprint.kind != "other" and not fingerprint.filters

    def fetch(self, wanted: ChunkRequest, out: np.ndarray[Any, Any], place: Place) -> None:
        """Decode the wanted chunks into ``out``, or hand them to ``place``.

        Parameters
        ----------
        wanted
            The chunks.
        out
            C-contiguous array of the stored dtype.
        place
            Called for chunks without a target, and for shared ones.

        Raises
        ------
        FileFormatError
            If a chunk lies outside of the file or does not decode.
        MissingDependencyError
            If a filter's plugin is not installed.
        """
        fingerprint = self.known.fingerprint
        if fingerprint.kind == "other" or not pipeline_of(fingerprint).is_native():
            self._fetch_with_hdf5(wanted.numbers, range(len(wanted.numbers)), place)
            return
        rows = self.known.table.rows(wanted.numbers)
        for k in np.flatnonzero(rows < 0).tolist():
            place(k, np.broadcast_to(self.known.fill, self.grid.chunk))
        self._fetch_stored(wanted, rows, out, place)

    def locate(self, offset: Positions, size: Positions) -> None:
        """Check that stored bytes lie inside the file."""
        limit = self.file.state().size
        outside = (offset < 0) | (size < 0) | (offset > limit - size)
        if outside.any():
            k = int(np.flatnonzero(outside)[0])
            raise FileFormatError.at(
                self.path,
                self.name,
                expected=f"chunks inside the file's {limit:,} bytes",
                found=f"one at {int(offset[k]):,} with {int(size[k]):,} bytes",
                hint="The file is damaged or was cut short.",
            )

    def read(self, view: memoryview, position: int) -> None:
        """Read stored bytes, all of them."""
        if self.file.read_into(view, position) != len(view):
            raise FileFormatError.at(
                self.path,
                self.name,
                expected=f"{len(view):,} bytes at {position:,}",
                found="the end of the file",
                hint="The file was cut short.",
            )

    def _fetch_stored(
        self, wanted: ChunkRequest, rows: Positions, out: np.ndarray[Any, Any], place: Place
    ) -> None:
        table = self.known.table
        present = np.flatnonzero(rows >= 0)
        present = present[np.argsort(table.offset[rows[present]], kind="stable")]
        at = rows[present]
        offset, size = table.offset[at], table.size[at]
        self.locate(offset, size)
        self.file.expect(offset, size)
        bounds = runs(offset, size, RUN_BYTES)
        pipeline = pipeline_of(self.known.fingerprint)
        room = longest(offset, size, bounds)
        decoding = Decoding(pipeline, self.grid.chunk, out, place, room)
        columns = (present, offset, size, table.mask[at])
        places = (wanted.targets[present], wanted.shared[present])
        chunks = list(zip(*(c.tolist() for c in (*columns, *places)), strict=True))
        left: list[int] = []

        def damaged(k: int, size: int, error: DamagedChunkError) -> None:
            number = int(wanted.numbers[k])
            if size != pipeline.chunk_bytes or not self._reaches_over_the_edge(number):
                raise self._damaged(number, error) from error
            # A writer may leave such chunks unfiltered; only HDF5 knows.
            left.append(k)

        for a, b in itertools.pairwise(bounds):
            decoding.run(chunks[a:b], self.read, damaged)
        if left:
            self._fetch_with_hdf5(wanted.numbers, left, place)

    def _reaches_over_the_edge(self, number: int) -> bool:
        return any(
            part.stop - part.start < c
            for part, c in zip(self._box(number), self.grid.chunk, strict=True)
        )

    def _damaged(self, number: int, error: DamagedChunkError) -> FileFormatError:
        return FileFormatError.at(
            self.path,
            self.name,
            expected=error.expected,
            found=f"{error.found} (chunk {number})",
            hint="The file is damaged.",
        )

    def _box(self, number: int) -> tuple[slice, ...]:
        """Positions of a chunk along each axis, cut at the edge."""
        grid = self.grid
        corner = np.unravel_index(number, grid.counts)
        return tuple(
            slice(int(i) * c, min((int(i) + 1) * c, n))
            for i, c, n in zip(corner, grid.chunk, grid.shape, strict=True)
        )

    def _fetch_with_hdf5(self, numbers: Positions, which: Iterable[int], place: Place) -> None:
        require_filters(self.path, self.name, self.known.fingerprint)
        table = self.known.table
        rows = table.rows(numbers)
        with open_readonly(self.path) as file:
            for k in which:
                place(k, read_box(file, self.path, self.name, self._box(int(numbers[k]))))
                if rows[k] >= 0:
                    self.file.total += int(table.size[rows[k]])
