"""A small anndata object with something in every part."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from tests.comparing import assert_same_anndata

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")

N, M, R = 30, 12, 20


def reference(n: int = N, m: int = M, x: str = "csr") -> ad.AnnData:
    """An anndata object with something in every part."""
    rng = np.random.default_rng(0)
    make = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}[x]
    counts = rng.poisson(0.7, (n, m)).astype("float32")
    raw = ad.AnnData(
        sp.csr_matrix(rng.poisson(1, (n, R)).astype("float32")),
        obs=pd.DataFrame(index=[f"cell{i}" for i in range(n)]),
        var=pd.DataFrame({"full": np.arange(R)}, index=[f"raw{i}" for i in range(R)]),
    )
    obs = pd.DataFrame(
        {
            "kind": pd.Categorical(rng.choice(["a", "b", "c"], n), categories=["a", "b", "c", "d"]),
            "size": rng.random(n),
            "good": rng.random(n) > 0.5,
            "n": np.arange(n),
        },
        index=[f"cell{i}" for i in range(n)],
    )
    var = pd.DataFrame(
        {"chrom": pd.Categorical(["x", "y"] * (m // 2))}, index=[f"gene{i}" for i in range(m)]
    )
    graph = sp.random(n, n, 0.2, format="csr", random_state=1)
    return ad.AnnData(
        make(counts),
        obs=obs,
        var=var,
        uns={"kind_colors": np.array(["#a", "#b", "#c", "#d"]), "deep": {"k": np.arange(3)}},
        obsm={"X_pca": rng.random((n, 4)), "frame": pd.DataFrame({"u": np.arange(n)}, obs.index)},
        varm={"PCs": rng.random((m, 4))},
        layers={"counts": make(counts * 2), "dense": counts + 1},
        obsp={"connectivities": graph},
        varp={"similar": rng.random((m, m))},
        raw={"X": raw.X, "var": raw.var, "varm": {"load": rng.random((R, 2))}},
    )


def assert_same(ours, theirs) -> None:
    """All parts of a lazyomics object equal those of an anndata object."""
    assert_same_anndata(ours.to_anndata(), theirs)
