"""Shares of cells that muon draws, too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo

N = 47


def data(folder: Path, form: str) -> lo.AnnData | lo.MuData:
    kinds = pd.Categorical(["a"] * 30 + ["b"] * 12 + ["c"] * 5, categories=["c", "a", "b", "none"])
    obs = pd.DataFrame({"kind": kinds, "text": list("xy") * 23 + ["x"]})
    obs.index = [f"cell{k}" for k in range(N)]
    adata = lo.AnnData(sp.csr_matrix(np.arange(N * 3.0).reshape(N, 3)), obs=obs)
    if form == "memory":
        return adata
    if form == "h5ad":
        adata.write_h5ad(folder / "a.h5ad")
        return lo.read_h5ad(folder / "a.h5ad")
    mdata = lo.MuData({"rna": adata})
    mdata.obs["kind"] = kinds
    mdata.obs["text"] = obs["text"]
    mdata.write_h5mu(folder / "a.h5mu")
    return lo.read_h5mu(folder / "a.h5mu")


def as_muon(names, kinds, frac: float, min_n: int | None) -> list[str]:
    """What muon's sample_obs draws, group after group."""
    drawn = []
    for members in [names] if kinds is None else [names[kinds == c] for c in kinds.categories]:
        count = int(np.ceil(len(members) * frac))
        count = count if min_n is None else max(count, min_n)
        drawn += list(np.random.choice(members.values, size=count, replace=False))  # noqa: NPY002
    return drawn


@pytest.mark.parametrize("form", ["memory", "h5ad", "h5mu"])
@pytest.mark.parametrize(("groupby", "min_n"), [(None, None), (None, 20), ("kind", None)])
@pytest.mark.parametrize("frac", [0.0, 0.1, 0.5, 1.0])
def test_the_cells_are_those_of_muon(tmp_path, form, groupby, min_n, frac) -> None:
    whole = data(tmp_path, form)
    np.random.seed(3)  # noqa: NPY002
    drawn = lo.pp.sample_obs(whole, frac, groupby, min_n)
    assert type(drawn) is type(whole)
    np.random.seed(3)  # noqa: NPY002
    kinds = None if groupby is None else pd.Categorical(whole.obs[groupby])
    assert drawn.obs_names.tolist() == as_muon(whole.obs_names, kinds, frac, min_n)
    assert whole.n_obs == N
    part = drawn["rna"] if form == "h5mu" else drawn
    rows = [int(name[4:]) for name in part.obs_names]
    x = part.to_memory().X.toarray()
    np.testing.assert_array_equal(x, np.arange(N * 3.0).reshape(N, 3)[rows])


def test_slips_are_named(tmp_path: Path) -> None:
    adata = data(tmp_path, "memory")
    for wrong, error, message in (
        ({"groupby": "knd"}, KeyError, "kind"),
        ({"groupby": "text"}, TypeError, "categorical"),
        ({"groupby": "kind", "min_n": 6}, ValueError, "'c' of 'kind' has 5 cells"),
        ({"min_n": 48}, ValueError, "there are 47 cells"),
        ({"frac": 1.5}, ValueError, "between 0 and 1"),
    ):
        with pytest.raises(error, match=message):
            lo.pp.sample_obs(adata, **wrong)
    with pytest.raises(TypeError):
        lo.pp.sample_obs(np.ones((3, 2)))
