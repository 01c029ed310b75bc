"""Small matrices in every storage, lazily read from memory in odd blocks."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from lazyomics.lazy import MemorySource, from_source


def random_csr(n=53, m=17, density=0.3, dtype=np.float32, seed=0) -> sp.csr_matrix:
    """Random counts with an empty row, an empty column and rows of different lengths."""
    matrix = sp.random(n, m, density, format="lil", random_state=seed)
    matrix[n // 2] = 0
    matrix[:, m // 2] = 0
    counts = sp.csr_matrix(matrix)
    counts.data = np.ceil(counts.data * 9)
    counts.eliminate_zeros()
    return counts.astype(dtype)


@pytest.fixture
def dense() -> np.ndarray:
    return random_csr().toarray()


@pytest.fixture(params=["csr", "csc", "dense"])
def matrix(request, dense):
    """The same values in memory, as CSR, CSC or ndarray."""
    return {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}[request.param](dense)


@pytest.fixture
def lazy_matrix(matrix):
    """The same values as a lazy matrix of blocks of 7 rows (columns of a CSC)."""
    return from_source(MemorySource.of(matrix), lines_per_block=7)
