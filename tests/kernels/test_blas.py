from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_info

from lazyomics.kernels.blas import one_blas_thread


def blas_threads() -> set[int]:
    import scipy.linalg.blas  # noqa: F401

    return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}


def task(_: int) -> set[int]:
    with one_blas_thread():
        np.eye(50) @ np.eye(50)
        return blas_threads()


def test_the_limit_holds_inside_and_ends_outside():
    before = blas_threads()
    with one_blas_thread():
        assert blas_threads() == {1}
        with ThreadPoolExecutor(4) as pool:
            assert all(found == {1} for found in pool.map(task, range(50)))
        assert blas_threads() == {1}
    assert blas_threads() == before
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(task, 0).result() == {1}
    assert blas_threads() == before
