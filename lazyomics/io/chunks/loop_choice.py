"""Whether parts of a file are so many that they are read in one call."""

from __future__ import annotations

import math

import numpy as np

from lazyomics.io.chunks.source import Source
from lazyomics.kernels.c_loops import c_loops_are_up

__all__ = ["is_worth_a_loop"]

# A call saves some 40 µs for each part. The first one of a process takes 0.04 s more: for a dataset
# of which some hundred parts may be read.
WORTH_A_LOOP, LARGE_DATASET = 16, 64 << 20


def is_worth_a_loop(source: Source, parts: int) -> bool:
    """Choose for one read of ``parts``."""
    if not source.file.is_local or parts < WORTH_A_LOOP:
        return False
    known = source.known.fingerprint
    size = math.prod(known.shape) * np.dtype(known.dtype).itemsize
    return c_loops_are_up() or size >= LARGE_DATASET
