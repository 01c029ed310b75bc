"""A small file, and the command line called inside of this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from click.testing import CliRunner, Result

import lazyomics as lo
from lazyomics.cli.main import cli

KINDS = ["B cells", "NK cells", "T cells"]


def made(n_obs: int = 60, n_vars: int = 30, seed: int = 0) -> lo.AnnData:
    """Counts with tables, a layer, coordinates and raw."""
    random = np.random.default_rng(seed)
    counts = sp.random(n_obs, n_vars, 0.4, "csr", np.float32, rng=random)
    counts.data = np.ceil(counts.data * 9).astype(np.float32)
    obs = pd.DataFrame(
        {
            "kind": pd.Categorical(random.choice(KINDS, n_obs), KINDS),
            "donor": pd.Categorical(random.choice(["d1", "d2"], n_obs)),
            "n_genes": np.diff(counts.indptr).astype(np.int64),
            "a score": random.random(n_obs),
            "maybe": pd.array([True, None, False] * (n_obs // 3), dtype="boolean"),
        },
        index=[f"c{k}" for k in range(n_obs)],
    )
    names = [f"MT-{k}" if k < 3 else f"g{k}" for k in range(n_vars)]
    var = pd.DataFrame({"chosen": np.arange(n_vars) % 2 == 0}, index=names)
    adata = lo.AnnData(counts, obs=obs, var=var, layers={"counts": counts.copy()})
    adata.obsm["X_umap"] = random.random((n_obs, 2))
    adata.uns["colours"] = np.array(["red", "blue"], dtype=object)
    adata.raw = adata.copy()
    return adata


@pytest.fixture
def adata() -> lo.AnnData:
    return made()


@pytest.fixture
def small(adata, tmp_path) -> Path:
    path = tmp_path / "small.h5ad"
    adata.write_h5ad(path)
    return path


@pytest.fixture
def call() -> Callable[..., Result]:
    """Call a command, and make sure of its exit code and that errors are one line."""

    def run(*args: object, code: int = 0, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(cli, [str(arg) for arg in args], input=stdin)
        assert result.exit_code == code, (result.stdout, result.stderr)
        if code > 1 and "--debug" not in args:
            assert len([x for x in result.stderr.splitlines() if "error:" in x]) == 1
            assert result.stderr.splitlines()[-1].startswith("lazyomics: error: ")
        assert "Traceback" not in result.stderr or "--debug" in args
        return result

    return run
