"""One BLAS thread per task: tasks already run side by side."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["one_blas_thread"]

_lock = threading.Lock()
_inside = 0
_controller: Any = None
_limit: Any = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread while any task of this process is inside.

    The limit of a BLAS library belongs to the process, not to a thread, so the first task to
    enter sets it and the last one to leave restores what was there.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.kernels.blas import one_blas_thread
    >>> with one_blas_thread():
    ...     np.eye(2) @ np.eye(2)
    array([[1., 0.],
           [0., 1.]])
    """
    global _inside, _limit
    with _lock:
        if _inside == 0:
            _limit = _blas_controller().limit(limits=1, user_api="blas")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _limit.restore_original_limits()
                _limit = None


def _blas_controller() -> Any:
    global _controller
    if _controller is None:
        import scipy.linalg.blas  # noqa: F401 (the controller finds only libraries that are loaded)
        from threadpoolctl import ThreadpoolController

        _controller = ThreadpoolController()
    return _controller
