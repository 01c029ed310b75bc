"""Workers that die in the middle, and workers that do not see the file."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import dask
import numpy as np
import pytest

import lazyomics as lo
from lazyomics import lazy
from lazyomics.kernels.steps import Step
from lazyomics.kernels.sums import row_totals
from tests.comparing import assert_same_anndata
from tests.distributed.conftest import SMALL_BLOCKS

distributed = pytest.importorskip("distributed", reason="starts worker processes")


def die_once(marker: str) -> None:
    """Kill this worker process, as the system does when memory runs out, unless that was done."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    if distributed_worker():
        os.kill(os.getpid(), signal.SIGKILL)


def distributed_worker() -> bool:
    try:
        return distributed.get_worker() is not None
    except ValueError:
        return False


def total_of_block(block: Any, rows: Any, *, marker: str) -> float:
    if len(rows) and rows[0] > 1000:
        die_once(marker)
    return float(row_totals(block).sum())


@dataclass(frozen=True, eq=False)
class Deadly(Step):
    """Leaves a block as it is; kills the first worker that comes to one of the later ones."""

    marker: str
    rows: Any
    ROW_FIELDS: ClassVar[tuple[str, ...]] = ("rows",)

    def __call__(self, block: Any) -> Any:
        if len(self.rows) and self.rows[0] > 1000:
            die_once(self.marker)
        return block


@pytest.mark.parametrize("job", ["pass", "compute", "write"])
def test_a_killed_worker_changes_nothing(client, counts, tmp_path, job) -> None:
    marker, target = tmp_path / "killed", tmp_path / "written.h5ad"
    adata = lo.read_h5ad(counts)
    rows = np.arange(adata.n_obs)
    before = set(client.run(os.getpid).values())
    if job == "pass":
        fold = lazy.fold_rows(adata.X, total_of_block, rows=(rows,), marker=str(marker))
        (found,) = lazy.compute(fold)
        with dask.config.set(scheduler="threads"):
            assert found == adata.X.sum().compute()
    else:
        lo.pp.log1p(adata)
        with dask.config.set(SMALL_BLOCKS, scheduler="threads"):
            expected = adata[::2].compute()
        adata.X = lazy.map_rows(adata.X, Deadly(str(marker), rows))
        made = adata[::2]
        made = made.compute() if job == "compute" else made.copy(filename=target).compute()
        assert_same_anndata(made, expected)
    assert marker.exists()
    client.wait_for_workers(2)
    assert len(before - set(client.run(os.getpid).values())) == 1


def test_a_file_that_workers_do_not_see(client, counts, tmp_path) -> None:
    """On one machine all see the same: the file is moved away after this process opened it."""
    path = tmp_path / "only_here.h5ad"
    path.write_bytes(Path(counts).read_bytes())
    adata = lo.read_h5ad(path)
    _ = adata.X, adata.obs, adata.var
    path.rename(tmp_path / "elsewhere.h5ad")
    message = r"worker \d on .*its path must be visible to all workers.*only_here\.h5ad"
    for act in (adata.compute, lambda: lo.pp.calculate_qc_metrics(adata), adata.X.sum().compute):
        with pytest.raises(FileNotFoundError, match=message):
            act()
    with pytest.raises(FileNotFoundError, match=message):
        lo.AnnData(adata.X).write_h5ad(tmp_path / "copy.h5ad")
    assert not (tmp_path / "copy.h5ad").exists()
