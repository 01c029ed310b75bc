"""A matrix with a copy of itself stored by columns, and whether that copy still belongs to it.

The copy is an ordinary layer. Both it and the matrix carry the same random word, which is lost when
either is replaced, and the copy also carries a checksum over a sample of the matrix, which no
longer fits when values are overwritten where they are.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import h5py
import numpy as np

from lazyomics import config
from lazyomics.errors import FileFormatError, warn_user
from lazyomics.io.encodings import element_kind, has_member, open_member
from lazyomics.io.encodings.kinds import text
from lazyomics.io.readers import CompressedReader, reader_of
from lazyomics.io.remote.address import RemotePath
from lazyomics.lazy.indexer import Selector
from lazyomics.lazy.recipe import SHARE_OF_MEMORY_PER_CSC_WINDOW

__all__ = ["COPIED_FROM", "COPY", "PAIR", "SAMPLE", "PairedReader", "paired_reader", "sample_of"]

# Attributes of the matrix: key of the copy among the layers, and the word of the pair.
COPY, PAIR = "lazyomics-gene-major-copy", "lazyomics-gene-major-pair"
# Attributes of the copy, beside the word: what it copies, and the checksum of that.
COPIED_FROM, SAMPLE = "lazyomics-gene-major-of", "lazyomics-gene-major-sample"

SAMPLES, SAMPLE_LENGTH = 16, 256
WORTH_IT = 4  # times fewer bytes to decode
CHECKS_KEPT = 32


@dataclass(frozen=True)
class PairedReader(CompressedReader):
    """A CSR matrix, and its copy stored by columns, from which single columns are read.

    Attributes
    ----------
    by_gene
        The copy.
    sample
        What ``sample_of`` gave when it was made.
    """

    by_gene: CompressedReader
    sample: str

    def for_columns(self, rows: Selector, cols: Selector) -> CompressedReader | None:
        """The copy, if it holds the same values still and reading these columns costs less."""
        stored = self.by_gene.stored_per_line()[cols]
        value = self.dtype.itemsize + 4
        window = max(config.chunk_bytes(), config.memory() // SHARE_OF_MEMORY_PER_CSC_WINDOW)
        by_gene = int(stored.sum()) * value
        scans = 1 + by_gene // window  # each window of rows looks through all chosen columns
        if WORTH_IT * scans * by_gene > int(self.stored_per_line()[rows].sum()) * value:
            return None
        local = not isinstance(self.data.path, RemotePath)
        changed_ns = os.stat(self.data.path).st_mtime_ns if local else 0
        return self.by_gene if _still_fits(self, changed_ns) else None


@lru_cache(maxsize=CHECKS_KEPT)
def _still_fits(paired: PairedReader, changed_ns: int) -> bool:
    """Whether the sample is as it was; looked at once for each state of the file."""
    if sample_of(paired) == paired.sample:
        return True
    path, element = paired.by_gene.element
    warn_user(
        f"{path}: {element!r} was made as a copy by genes of {paired.element[1]!r}, which changed "
        "since: it is not used. Call add_gene_major again, or delete it."
    )
    return False


def sample_of(reader: CompressedReader) -> str:
    """Checksum of shape, type, number of values, and some of the pointers, indices and values.

    Reads 16 ranges of 256 of each, spread over the matrix.
    """
    digest = blake2b(digest_size=16)
    digest.update(repr((reader.shape, reader.dtype.str, reader.data.shape[0])).encode())
    for part in (reader.indptr, reader.indices, reader.data):
        starts = np.linspace(0, max(0, part.shape[0] - SAMPLE_LENGTH), SAMPLES).astype(np.int64)
        stops = np.minimum(starts + SAMPLE_LENGTH, part.shape[0])
        values = part.read_ranges(starts, stops)
        # positions are the same in whatever type they are stored
        digest.update((values if part is reader.data else values.astype(np.int64)).tobytes())
    return digest.hexdigest()


def paired_reader(obj: Any) -> Any:
    """Reader of an open matrix; with its copy by genes, if there is one that belongs to it.

    Reads only metadata.
    """
    reader = reader_of(obj)
    if not isinstance(reader, CompressedReader) or reader.format != "csr" or COPY not in obj.attrs:
        return reader
    try:
        copy = _copy_of(obj)
        by_gene = None if copy is None else reader_of(copy)
    except FileFormatError:  # damaged: reading the layer says so
        return reader
    if not isinstance(by_gene, CompressedReader) or by_gene.format != "csc":
        return reader
    assert copy is not None
    same = by_gene.shape == reader.shape and by_gene.dtype == reader.dtype
    if not same or by_gene.data.shape != reader.data.shape:
        return reader
    parts = {f.name: getattr(reader, f.name) for f in fields(CompressedReader)}
    return PairedReader(**parts, by_gene=by_gene, sample=text(copy.attrs[SAMPLE]))


def _copy_of(obj: h5py.Group) -> h5py.Group | None:
    """The layer that says it is the copy of a matrix, as the matrix says too."""
    key, above = text(obj.attrs[COPY]), obj.parent
    root = above.parent if str(above.name).endswith("/layers") else above
    if (
        "/" in key
        or not has_member(root, "layers")
        or not has_member(open_member(root, "layers"), key)
    ):
        return None
    copy = open_member(open_member(root, "layers"), key)
    if element_kind(copy) != "csc_matrix" or SAMPLE not in copy.attrs:
        return None
    pairs = {text(member.attrs.get(PAIR, "")) for member in (obj, copy)}
    return copy if len(pairs) == 1 and "" not in pairs else None
