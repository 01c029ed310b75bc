"""Peak memory of a whole multiome, and of very many peaks, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import lazyomics as lo
from tests.peaks import MACHINE_CODE, PEAK

MB = 1 << 20

START = (
    PEAK
    + MACHINE_CODE
    + """
import dask
import numpy as np
import lazyomics as lo
import lazyomics.pp, lazyomics.tl, scipy.sparse.linalg, sklearn.utils.extmath
dask.config.set({"lazyomics.chunk-bytes": "4 MiB", "lazyomics.memory": "16 MiB", "num_workers": 2})
small, large, folder = sys.argv[1:]
"""
)

COMPUTE = """
lo.read_h5mu(small).compute()
opened = lo.read_h5mu(large)
before = peak()
loaded = opened.compute()
print(peak() - before, sum(part.nbytes for a in loaded.mod.values()
                           for part in (a.X.data, a.X.indices, a.X.indptr)))
"""

PEAKS = """
def work(path):
    mdata = lo.read_h5mu(path)
    lo.pp.binarize(mdata)
    lo.pp.tfidf(mdata)
    chosen = np.arange(mdata.n_obs) % 4 == 0
    subset = mdata[chosen].copy(filename=f"{folder}/subset.h5mu")
    with dask.config.set({"lazyomics.memory": "256 MiB"}):  # loaded, then decomposed
        lo.tl.lsi(subset, n_comps=5)
    assert subset["atac"].obsm["X_lsi"].shape == (chosen.sum(), 5)
    return lo.read_h5mu(path)[chosen].compute().shape

work(small)
before = peak()
work(large)
print(peak() - before)
"""


def run(program: str, *arguments: object) -> list[float]:
    """Run a program and return the numbers that it prints."""
    ran = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(lo.__file__).parent.parent,
    )
    assert ran.returncode == 0, ran.stderr
    return [float(value) for value in ran.stdout.split()]


def multiome(path: Path, n_obs: int, n_peaks: int, mean_counts: float = 3_000) -> Path:
    """Genes and sparse peaks of the same cells."""
    parts = {}
    for seed, (mod, n_vars, mean) in enumerate(
        [("rna", 2_000, 500.0), ("atac", n_peaks, mean_counts)]
    ):
        part = path.with_name(f"{path.stem}.{mod}.h5ad")
        lo.datasets.simulate(part, n_obs=n_obs, n_vars=n_vars, mean_counts=mean, seed=seed)
        parts[mod] = lo.read_h5ad(part)
    parts["atac"].var_names = [f"chr1:{500 * k}-{500 * k + 499}" for k in range(n_peaks)]
    lo.MuData(parts).write_h5mu(path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A file to warm up with, and one whose matrices are far larger than the bounds."""
    folder = tmp_path_factory.mktemp("multiomes")
    small = multiome(folder / "small.h5mu", 200, 300)
    return small, multiome(folder / "large.h5mu", 12_000, 60_000)


def test_computing_holds_little_more_than_the_result(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    added, result = run(START + COMPUTE, *files, tmp_path)
    assert result > 120 * MB
    assert added < result + 60 * MB


def test_no_step_of_peaks_makes_rows_dense(tmp_path: Path) -> None:
    """A dense block of these peaks takes more than 200 MB; what the steps need does not.

    Bounds are counted in variables: names of the modality and of the whole in the three objects
    that are alive, sums, loadings. What the allocator keeps differs by 5 MB between runs.
    """
    n_obs, n_peaks = 1_500, 120_000
    small = multiome(tmp_path / "small.h5mu", 200, 300)
    large = multiome(tmp_path / "large.h5mu", n_obs, n_peaks, mean_counts=1_000)
    (added,) = run(START + PEAKS, small, large, tmp_path)
    quarter = n_obs / 4 * 1_300 * 8
    assert added < quarter + n_peaks * 700 + 50 * MB, added / MB
