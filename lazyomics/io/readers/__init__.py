"""Readers of stored matrices: small values that turn rows and columns into one block."""

from lazyomics.io.readers.compressed import CompressedReader
from lazyomics.io.readers.dense import DenseReader
from lazyomics.io.readers.open_matrix import reader_of, stored_numbers

__all__ = ["CompressedReader", "DenseReader", "reader_of", "stored_numbers"]
