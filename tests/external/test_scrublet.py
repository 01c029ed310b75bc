"""Doublets under their old names."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import lazyomics as lo


@pytest.mark.parametrize("name", ["scrublet", "scrublet_simulate_doublets"])
def test_old_names_warn_and_do_the_same(name: str) -> None:
    rng = np.random.default_rng(0)
    mean = np.exp(rng.normal(0, 1.5, (2, 90)))[rng.integers(0, 2, 80)]
    made = []
    for space in (lo.pp, lo.external.pp):
        verb = getattr(space, name)
        adata = lo.AnnData(np.random.default_rng(1).poisson(mean).astype("f4"))
        given = {"n_prin_comps": 4, "threshold": 0.2, "copy": True} if name == "scrublet" else {}
        if space is lo.pp:
            found = verb(adata, **given)
        else:
            with pytest.warns(FutureWarning, match=rf"external\.pp\.{name} is deprecated"):
                found = verb(adata, **given)
        made.append(found)
    assert inspect.signature(lo.external.pp.scrublet) == inspect.signature(lo.pp.scrublet)
    key = "doublet_scores_sim"
    if name == "scrublet":
        first, second = (adata.uns["scrublet"][key] for adata in made)
    else:
        first, second = (adata.X.toarray() for adata in made)
    np.testing.assert_array_equal(first, second)
