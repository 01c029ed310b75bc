"""Columns of text that name groups become categorical in the object, as by scanpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo

ad = pytest.importorskip("anndata", reason="compares with scanpy")
sc = pytest.importorskip("scanpy", reason="compares with scanpy")

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::FutureWarning", "ignore:divide by zero", "ignore:invalid value"
)
VERBS: dict[str, Callable[[Any, Any], Any]] = {
    "combat": lambda m, a: m.pp.combat(a, key="kind"),
    "regress_out": lambda m, a: m.pp.regress_out(a, "kind"),
    "highly_variable_genes": lambda m, a: m.pp.highly_variable_genes(a, batch_key="kind"),
    "rank_genes_groups": lambda m, a: m.tl.rank_genes_groups(a, "kind"),
}


def made(module: Any) -> Any:
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {
            "kind": ["c10", "c2", "c1", "c2"] * 10,
            "batch": pd.Categorical(["a", "b", "b", "a", "a"] * 8),
        },
        index=[f"cell{i}" for i in range(40)],
    )
    return module.AnnData(rng.gamma(2, size=(40, 30)).astype("f4"), obs=obs)


@pytest.mark.parametrize("verb", VERBS)
def test_groups_of_text_become_categorical(verb: str) -> None:
    mine, theirs = made(lo), made(ad)
    VERBS[verb](lo, mine)
    VERBS[verb](sc, theirs)
    assert list(mine.obs["kind"].cat.categories) == ["c1", "c2", "c10"]
    pd.testing.assert_series_equal(mine.obs["kind"], theirs.obs["kind"])
    if verb == "rank_genes_groups":
        found, expected = (a.uns["rank_genes_groups"]["names"].dtype for a in (mine, theirs))
        assert found.names == expected.names
