"""PCA of all genes: time, processor time, peak memory, passes, and the residuals that remain.

    python tests/bench/bench_pca_all_genes.py COUNTS.h5ad [--memory 512MiB] [--tol 1e-5]

Counts are normalised and logged; each run is one process.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import dask
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script

import lazyomics as lo
from lazyomics import lazy
from lazyomics.kernels.product import gram_product


def residuals(adata: lo.AnnData) -> np.ndarray[Any, Any]:
    """Of each component, relative to its variance, by one more pass in double precision."""
    axes = adata.varm["PCs"].astype(np.float64)
    x = lazy.as_lazy(adata.X)
    (state,) = lazy.compute(lazy.fold_runs(x, gram_product, vectors=axes, first=True))
    image = state.product - np.outer(state.sums / state.n, state.totals)
    values = np.einsum("pk,pk->k", axes, image)
    return np.linalg.norm(image - axes * values, axis=0) / values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--memory")
    parser.add_argument("--tol", type=float)
    parser.add_argument("--max-passes", type=int)
    given = parser.parse_args()
    if given.memory:
        dask.config.set({"lazyomics.memory": given.memory})
    adata = lo.read_h5ad(given.path)
    lo.pp.normalize_total(adata, target_sum=1e4)
    lo.pp.log1p(adata)
    started, worked = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        lo.pp.pca(adata, mask_var=None, tol=given.tol, max_passes=given.max_passes)
    wall, cpu = time.perf_counter() - started, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    left = residuals(adata)
    print(f"{wall:.1f} s, {cpu:.1f} s of processors, peak {peak} MiB")
    print(f"residuals up to {left.max():.1e}, of the first 10 up to {left[:10].max():.1e}")
    print(f"variance held {adata.uns['pca']['variance'].sum():.6f}")


if __name__ == "__main__":
    main()
