from __future__ import annotations

import subprocess
import sys

import dask
import dask.local
import dask.multiprocessing
import dask.threaded
import pytest

from lazyomics.lazy.scheduler import scheduler


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("threads", dask.threaded.get),
        ("synchronous", dask.local.get_sync),
        ("processes", dask.multiprocessing.get),
    ],
)
def test_the_users_choice_counts(name, function) -> None:
    with dask.config.set(scheduler=name):
        assert scheduler() is function


def test_without_a_choice_threads_run_the_graph() -> None:
    with dask.config.set(scheduler=None):
        assert scheduler() is dask.threaded.get


def test_computing_does_not_import_distributed(tmp_path) -> None:
    """It takes longer than reading part of a file does."""
    pytest.importorskip("distributed")
    code = f"""
import sys, lazyomics as lo
path = {str(tmp_path / "counts.h5ad")!r}
lo.datasets.simulate(path, n_obs=100, n_vars=50)
adata = lo.read_h5ad(path)
lo.pp.normalize_total(adata)
adata[:10].to_memory(), adata[:20].copy(filename=path + ".part")
print("distributed" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"
