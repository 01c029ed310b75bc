"""One BLAS thread per task: tasks already run side by side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

__all__ = ["one_blas_thread"]


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread.

    Depending on how BLAS was built, its limit belongs to the calling thread or to the process; in
    the second case the first thread to set it owns it. So it is entered twice: around the
    computation, where it holds for the whole process and outlives every task, and within each
    task, for builds that count by thread and for tasks that run in other processes.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.blas import one_blas_thread
    >>> with one_blas_thread():
    ...     np.eye(2) @ np.eye(2)
    array([[1., 0.],
           [0., 1.]])
    """
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> Any:
    """Find the BLAS libraries, once: looking for them costs more than a small product."""
    import scipy.linalg.blas  # noqa: F401 (only libraries that are loaded are found)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
