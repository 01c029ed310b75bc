"""Whether parts of a file are so many that a compiled loop, which is loaded for it, reads them."""

from __future__ import annotations

import math

import numpy as np

from lazyomics.io.chunks.source import Source
from lazyomics.kernels.compiled import compiler_is_up

__all__ = ["is_worth_a_loop"]

# Parts for which a compiled loop is called, of a dataset for which the first process compiles it.
WORTH_A_LOOP, LARGE_DATASET = 16, 64 << 20
# Times as many and as large for numba to be loaded, if it is not yet: 0.35 s and 65 MB.
COMPILER_WEIGHS = 8
# Less of what lies between the first and the last part is a selection, not a pass over the file.
_SHARE_OF_A_PASS = 0.5
# The loop saves some 40 µs for each part: as many as took the time that loading it takes.
PARTS_LIKE_LOADING = 8192

_one_by_one = 0


def is_worth_a_loop(source: Source, parts: int, share: float) -> bool:
    """Choose for one read of ``parts``, which are a ``share`` of what lies between them.

    A pass over a large dataset loads the loop at once. How many reads a selection consists of is
    not known here: the loop is loaded when they have cost as much as loading it would have.
    """
    global _one_by_one
    is_up = compiler_is_up()
    weight = 1 if is_up else COMPILER_WEIGHS
    known = source.known.fingerprint
    size = math.prod(known.shape) * np.dtype(known.dtype).itemsize
    is_large = parts >= WORTH_A_LOOP * weight and size >= LARGE_DATASET * weight
    if not source.file.is_local or not is_large:
        return False
    if is_up or share >= _SHARE_OF_A_PASS:
        return True
    _one_by_one += parts  # by several threads at once: it need not be exact
    return _one_by_one > PARTS_LIKE_LOADING
