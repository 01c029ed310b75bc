"""The bar of a computation on a cluster."""

from __future__ import annotations

import dask
import numpy as np
import pytest

import lazyomics as lo
from lazyomics import lazy, progress


@pytest.fixture
def shown(monkeypatch) -> list[tuple[int, int]]:
    """Tasks done, and all tasks, as a bar is told of them."""
    told: list[tuple[int, int]] = []
    real = progress.Progress.show

    def show(self: progress.Progress, done: int, total: int) -> None:
        told.append((done, total))
        real(self, done, total)

    monkeypatch.setattr(progress.Progress, "show", show)
    return told


def slow_rows(block: object) -> np.ndarray:
    import time

    time.sleep(0.2)
    return np.ones(block.shape[0])


def failing_rows(block: object) -> np.ndarray:
    if block.shape[0]:
        raise ValueError("this block cannot be worked on")
    return np.ones(0)


def test_a_bar_counts_all_tasks_of_a_pass(client, counts, capsys, shown) -> None:
    x = lo.read_h5ad(counts).X
    blocks = x.numblocks[0]
    assert blocks > 4
    with dask.config.set({"lazyomics.progress": 1e-9}):
        (made,) = lazy.compute(lazy.collect_rows(x, slow_rows, dtype="f8").sum())
    assert made == x.shape[0]
    assert "100% Completed" in capsys.readouterr().out
    totals = {total for _, total in shown}
    assert len(totals) == 1
    assert totals.pop() >= blocks  # not just the one result
    assert len({done for done, _ in shown}) > 2


def test_a_bar_around_blocks_that_are_fetched_one_after_another(
    client, counts, capsys, shown
) -> None:
    adata = lo.read_h5ad(counts)
    with lo.ProgressBar():
        adata.to_memory()
    out = capsys.readouterr().out
    assert out.count("100% Completed") == 1
    assert out.endswith("\n")
    assert shown[-1] == (adata.X.numblocks[0], adata.X.numblocks[0])


def test_a_failure_is_not_shown_as_complete(client, counts, capsys) -> None:
    x = lo.read_h5ad(counts).X
    with lo.ProgressBar(), pytest.raises(ValueError, match="cannot be worked on"):
        lazy.compute(lazy.collect_rows(x, failing_rows, dtype="f8"))
    assert "100% Completed" not in capsys.readouterr().out


def test_no_bar_by_default(client, counts, capsys, shown) -> None:
    adata = lo.read_h5ad(counts)
    lo.pp.calculate_qc_metrics(adata, percent_top=None)
    adata.to_memory()
    assert capsys.readouterr().out == ""
    with lo.ProgressBar():
        pass
    assert not progress.Progress(after=None).bars
