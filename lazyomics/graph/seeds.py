"""Seeds from what scanpy's ``random_state`` may be."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["seed_of"]


def seed_of(random_state: Any) -> int:
    """Return a number from 0 to 2**63 - 1.

    Parameters
    ----------
    random_state
        A whole number, a ``numpy.random.RandomState`` or ``numpy.random.Generator``, of which
        one number is drawn, or None for another seed each time.

    Raises
    ------
    TypeError
        For anything else.

    Examples
    --------
    >>> from lazyomics.graph.seeds import seed_of
    >>> seed_of(7)
    7
    """
    if random_state is None:
        random_state = np.random.default_rng()
    if isinstance(random_state, int | np.integer):
        return int(random_state) % 2**63
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**63 - 1, dtype=np.int64))
    raise TypeError(
        "random_state must be a whole number, None, or a RandomState or Generator of "
        f"numpy.random, found {type(random_state).__name__}"
    )
