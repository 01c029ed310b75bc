"""Cells along branches, for verbs that build on the neighbour graph, and the same for scanpy."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pandas as pd
from scipy import sparse

import lazyomics as lo

GENES = [f"g{k}" for k in range(8)]


def branched(n_each=60, arms=3, *, apart=0, n_neighbors=8, dtype="f4", seed=0, sparse_x=True):
    """Arms from one origin; ``apart`` more cells in a place of their own.

    obs has the arm and the number of each cell, uns the neighbour graph.
    """
    random = np.random.default_rng(seed)
    directions = random.normal(size=(arms, len(GENES)))
    arm = np.repeat(np.arange(arms), n_each)
    along = np.concatenate([np.linspace(0, 1, n_each)] * arms)
    x = along[:, None] * directions[arm] * 10
    if apart:
        x = np.vstack([x, np.full((apart, len(GENES)), 60.0)])
        arm = np.append(arm, np.full(apart, arms))
    x = x + random.normal(scale=0.4, size=x.shape)
    x = np.where(random.random(x.shape) < 0.05, 0, x).astype(dtype)
    order = random.permutation(len(x))
    x, arm = x[order], arm[order]
    obs = pd.DataFrame(
        {
            "arm": pd.Categorical([f"arm{k}" for k in arm]),
            "half": pd.Categorical(np.where(np.arange(len(x)) % 2, "x", "y")),
            "score": x[:, 0] * 2,
            "text": [f"arm{k}" for k in arm],
        },
        index=[f"c{k}" for k in range(len(x))],
    )
    var = pd.DataFrame(index=GENES)
    adata = lo.AnnData(sparse.csr_matrix(x) if sparse_x else x, obs=obs, var=var)
    adata.uns["iroot"] = int(np.argmin(np.square(x).sum(axis=1)))
    lo.pp.neighbors(adata, n_neighbors=n_neighbors, use_rep="X")
    return adata


def for_scanpy(adata):
    """Return the same as an object of anndata, with a graph of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = adata.to_anndata()
    theirs.uns = copy.deepcopy({key: theirs.uns[key] for key in theirs.uns})
    return theirs
