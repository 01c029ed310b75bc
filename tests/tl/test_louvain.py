"""tl.louvain beside scanpy's igraph flavor on real cells, and its refusals."""

from __future__ import annotations

import random
import sys

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo
from tests.tl.test_leiden import PBMC, with_neighbors

pytestmark = pytest.mark.filterwarnings(
    "ignore:The 'future.infer_string' option:DeprecationWarning",
    "ignore:The function louvain is deprecated:FutureWarning",  # of scanpy 1.12
)


@pytest.mark.parametrize(
    "options", [{}, {"use_weights": True}, {"restrict_to": ("louvain", ["CD4 T cells"])}]
)
def test_equals_scanpy(data_file, options):
    """From the same random numbers: scanpy's igraph takes those of Python, which have no seed."""
    sc = pytest.importorskip("scanpy", reason="the reference")
    theirs, ours = with_neighbors(sc, data_file(PBMC), "subset")
    state = random.getstate()
    random.seed(0)
    sc.tl.louvain(theirs, flavor="igraph", key_added="found", **options)
    random.setstate(state)
    for flavor in ("igraph", "vtraag"):
        assert lo.tl.louvain(ours, flavor=flavor, key_added="found", **options) is None
        assert ours.uns["found"] == theirs.uns["found"]
        pd.testing.assert_series_equal(ours.obs["found"], theirs.obs["found"])


def test_resolution_and_copy(data_file):
    ours = lo.read_h5ad(data_file(PBMC))
    fine = lo.tl.louvain(ours, 3.0, copy=True, key_added="found")
    assert "found" not in ours.obs
    lo.tl.louvain(ours, 0.3, key_added="found")
    assert len(fine.obs["found"].cat.categories) > len(ours.obs["found"].cat.categories)
    assert fine.uns["found"]["params"] == {"resolution": 3.0, "random_state": 0}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"flavor": "rapids"}, ValueError, "flavor must be one of"),
        ({"partition_type": object}, ValueError, "belong to the package louvain"),
        ({"partition_kwargs": {"node_sizes": [1]}}, ValueError, "belong to the package louvain"),
        ({"obsp": "nothing"}, KeyError, "no 'nothing'"),
    ],
)
def test_bad_arguments(options, error, message):
    ours = lo.AnnData(np.random.default_rng(0).normal(size=(30, 4)))
    lo.pp.neighbors(ours, n_neighbors=5)
    with pytest.raises(error, match=message):
        lo.tl.louvain(ours, **options)


def test_missing_package(monkeypatch):
    ours = lo.AnnData(np.random.default_rng(0).normal(size=(30, 4)))
    lo.pp.neighbors(ours, n_neighbors=5)
    monkeypatch.setitem(sys.modules, "igraph", None)
    with pytest.raises(lo.errors.MissingDependencyError, match=r"lazyomics\[cluster\]"):
        lo.tl.louvain(ours)
