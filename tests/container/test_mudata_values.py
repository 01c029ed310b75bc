"""Columns, variables and embeddings of a MuData by one name."""

from __future__ import annotations

import numpy as np
import pytest

import lazyomics as lo
from lazyomics.container.mudata.values import cell_coordinates, cell_values
from tests.container.mudata_cases import dense, modalities


@pytest.fixture
def mdata() -> lo.MuData:
    made = lo.MuData(modalities("partial"))
    made.obs["donor"] = "d"
    made.obsm["X_joint"] = np.ones((made.n_obs, 2))
    return made


def test_columns_and_variables(mdata: lo.MuData) -> None:
    assert set(cell_values(mdata, "donor")) == {"d"}
    assert cell_values(mdata, "rna:leiden").isna().sum() == mdata.n_obs - 8
    for key in ("atac:atac-g3", "atac-g3"):
        values = cell_values(mdata, key)
        assert list(values.index) == list(mdata.obs_names)
        held = np.ravel(mdata.obsm["atac"])
        np.testing.assert_array_equal(
            values[held],
            dense(mdata["atac"].X)[mdata.obsmap["atac"][held].astype(int) - 1, 3],
        )
        assert values[~held].isna().all()
    layer = cell_values(mdata, "atac-g3", layer="counts")
    np.testing.assert_array_equal(layer.dropna(), 2 * cell_values(mdata, "atac-g3").dropna())


def test_raw_is_preferred_as_in_muon(mdata: lo.MuData) -> None:
    rna = mdata["rna"]
    rna.raw = rna.copy()
    rna.X = rna.X * 5
    raw = cell_values(mdata, "rna-g1").dropna()
    np.testing.assert_array_equal(cell_values(mdata, "rna-g1", use_raw=False).dropna(), 5 * raw)
    np.testing.assert_array_equal(cell_values(mdata, "rna-g1", layer="counts").dropna(), 2 * raw)


def test_embeddings(mdata: lo.MuData) -> None:
    assert cell_coordinates(mdata, "joint").shape == (mdata.n_obs, 2)
    for key in ("rna:X_umap", "rna:umap"):
        values = cell_coordinates(mdata, key)
        assert np.isnan(values[:, 0]).sum() == mdata.n_obs - 8
        np.testing.assert_array_equal(values[:8], mdata["rna"].obsm["X_umap"])


def test_what_is_not_there(mdata: lo.MuData) -> None:
    with pytest.raises(KeyError, match="rna:leiden"):
        cell_values(mdata, "nothing")
    with pytest.raises(KeyError, match=r"'X_joint'.*'rna:X_umap'"):
        cell_coordinates(mdata, "rna:X_tsne")
    twice = lo.MuData(modalities("same", "in common"))
    with pytest.raises(KeyError, match="ask for 'rna:g0'"):
        cell_values(twice, "g0")
