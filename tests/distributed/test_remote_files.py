"""Workers fetch what they need of a file on a server themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazyomics as lo
from lazyomics import lazy
from tests.comparing import assert_same_value
from tests.io.remote.range_server import serving

pytest.importorskip("aiohttp", reason="http:// is opened through aiohttp")


def test_results_are_those_of_the_local_file(client: Any, counts: Path, tmp_path: Path) -> None:
    options = {"headers": {"Authorization": "Bearer word"}}
    with serving(counts.parent, token="Bearer word") as server:
        adata = lo.read_h5ad(server.url(counts.name), storage_options=options)
        lo.pp.normalize_total(adata, target_sum=1e4)
        lo.pp.log1p(adata)
        assert adata.X.npartitions > 3
        totals = adata.X.sum(axis=1).compute()
        adata[:700].write_h5ad(tmp_path / "some.h5ad")
    here = lo.read_h5ad(counts)
    lo.pp.normalize_total(here, target_sum=1e4)
    lo.pp.log1p(here)
    np.testing.assert_array_equal(totals, here.X.sum(axis=1).compute(scheduler="threads"))
    some = lo.read_h5ad(tmp_path / "some.h5ad")
    expected = lazy.materialize(here[:700].X)
    assert_same_value(lazy.materialize(some.X), expected, "X")
