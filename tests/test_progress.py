from __future__ import annotations

import dask
import numpy as np

import lazyomics as lo


def small() -> lo.AnnData:
    return lo.AnnData(np.arange(12.0).reshape(4, 3))


def test_a_bar_around_a_computation(capsys) -> None:
    with lo.ProgressBar():
        lo.pp.calculate_qc_metrics(small(), percent_top=None)
    assert "100% Completed" in capsys.readouterr().out


def test_a_bar_by_configuration(capsys) -> None:
    with dask.config.set({"lazyomics.progress": True}):
        lo.pp.calculate_qc_metrics(small(), percent_top=None)
    assert "100% Completed" in capsys.readouterr().out


def test_no_bar_by_default(capsys) -> None:
    lo.pp.calculate_qc_metrics(small(), percent_top=None)
    assert capsys.readouterr().out == ""


def test_a_bar_for_neighbours_and_layout(capsys) -> None:
    adata = lo.AnnData(np.random.default_rng(0).normal(size=(1200, 4)))
    with lo.ProgressBar():
        lo.pp.neighbors(adata, n_neighbors=5)
        searched = capsys.readouterr().out
        lo.tl.umap(adata, maxiter=3)
    assert "100% Completed" in searched
    assert "100% Completed" in capsys.readouterr().out
