"""Processes that save the same file again and again lose nothing of each other."""

from __future__ import annotations

import multiprocessing
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo

ad = pytest.importorskip("anndata", reason="reads the result")

COLUMNS = 40


def add_columns(path: str, tag: str, layers: bool) -> None:
    warnings.simplefilter("ignore")
    for number in range(COLUMNS):
        adata = lo.read_h5ad(path)
        adata.obs[f"{tag}{number}"] = np.arange(adata.n_obs)
        if layers and number % 4 == 0:
            adata.layers[f"{tag}{number}"] = adata.X * 2
        adata.write()


@pytest.mark.parametrize(("writers", "layers"), [(2, False), (2, True), (4, False), (4, True)])
def test_no_column_is_lost(tmp_path: Path, writers: int, layers: bool) -> None:
    path = tmp_path / "shared.h5ad"
    x = sp.random(60, 20, 0.2, format="csr", dtype="f4", random_state=0)
    lo.AnnData(x).write_h5ad(path)
    context = multiprocessing.get_context("spawn")
    tags = "abcd"[:writers]
    started = [context.Process(target=add_columns, args=(str(path), tag, layers)) for tag in tags]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0] * writers
    names = {f"{tag}{number}" for tag in tags for number in range(COLUMNS)}
    for found in (ad.read_h5ad(path), lo.read_h5ad(path)):
        assert set(found.obs.columns) == names
        made = found.layers.keys() - {None}  # anndata 0.13 has X among them, too
        assert len(made) == (writers * COLUMNS // 4 if layers else 0)
