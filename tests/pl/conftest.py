from __future__ import annotations

import logging
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import lazyomics as lo

N_OBS = 90
GENES = ["CD3E", "CD79A", "LYZ", "NKG7", "PPBP"]


@pytest.fixture(autouse=True)
def no_window():
    mpl = pytest.importorskip("matplotlib", reason="plots need matplotlib")
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    with mpl.rc_context():
        yield
    plt.close("all")


@pytest.fixture(autouse=True)
def figure_folder(tmp_path, monkeypatch):
    """Folder that ``save=True`` writes to; the settings are as they were after the test."""
    from lazyomics import settings

    for name in ("figdir", "file_format_figs", "frameon", "vector_friendly"):
        monkeypatch.setattr(settings, name, getattr(settings, name))
    settings.figdir = tmp_path / "figures"
    return settings.figdir


def _parts():
    random = np.random.default_rng(7)
    kinds = np.array(["T", "B", "Mono"])[random.integers(0, 3, N_OBS)]
    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical(kinds, categories=["T", "B", "Mono"]),
            "batch": pd.Categorical(random.choice(["x", "y"], N_OBS)),
            "text": random.choice(["lo", "hi"], N_OBS),
            "passed": random.random(N_OBS) > 0.4,
            "n_genes": random.integers(100, 2000, N_OBS),
            "score": random.normal(size=N_OBS),
            "gappy": np.where(random.random(N_OBS) < 0.3, np.nan, random.normal(size=N_OBS)),
            "partly": pd.Categorical(np.where(random.random(N_OBS) < 0.3, None, kinds)),
        },
        index=[f"cell{i}" for i in range(N_OBS)],
    )
    symbols = ["CD3", "MB1", "lysozyme", "NK7", "CXCL7"]
    var = pd.DataFrame({"symbol": symbols}, index=GENES)
    dense = random.poisson(1.0, (N_OBS, len(GENES))).astype(np.float32)
    return {
        "X": sparse.csr_matrix(dense),
        "obs": obs,
        "var": var,
        "obsm": {"X_umap": random.normal(size=(N_OBS, 2)), "X_pca": random.normal(size=(N_OBS, 4))},
        "layers": {"scaled": dense * 2 - 1},
    }


@pytest.fixture
def small():
    """90 cells with columns of every kind, in memory."""
    return lo.AnnData(**_parts())


@pytest.fixture
def small_scanpy():
    """The same for scanpy."""
    anndata = pytest.importorskip("anndata", reason="compared with scanpy's plot of an AnnData")
    return anndata.AnnData(**_parts())


@pytest.fixture
def pbmc(data_file):
    """PBMC 3k, opened in place."""
    return lo.read_h5ad(data_file("rebuilt_pbmc3k_processed.h5ad"))


@pytest.fixture
def pbmc_scanpy(data_file):
    """The same for scanpy."""
    anndata = pytest.importorskip("anndata", reason="compared with scanpy's plot of an AnnData")
    return anndata.read_h5ad(data_file("rebuilt_pbmc3k_processed.h5ad"))


@pytest.fixture
def sc():
    """scanpy's ``pl``, ``pp`` and ``tl``, whose own warnings are not ours to fix."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scanpy = pytest.importorskip("scanpy", reason="compared with scanpy's plot")
    scanpy.settings.verbosity = 0
    logging.getLogger("scanpy").setLevel(logging.CRITICAL)

    def quiet(function):
        def call(*args, **kwargs):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return function(*args, **kwargs)

        return call

    class Quiet:
        def __init__(self, module):
            self.module = module

        def __getattr__(self, name):
            return quiet(getattr(self.module, name))

    return SimpleNamespace(pl=Quiet(scanpy.pl), pp=Quiet(scanpy.pp), tl=Quiet(scanpy.tl))
