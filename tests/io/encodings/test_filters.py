from __future__ import annotations

import sys

import h5py
import numpy as np
import pytest

from lazyomics.errors import MissingDependencyError
from lazyomics.io.encodings import dataset_values, read_element


def test_plugins_are_loaded_when_needed(data_file: object) -> None:
    pytest.importorskip("hdf5plugin", reason="decodes Blosc")
    path = data_file("rust_snapatac2_pbmc3k_raw.h5ad")  # type: ignore[operator]
    with h5py.File(path, "r") as file:
        assert read_element(file["X"]).nnz == 2_286_884


def test_missing_plugin_says_what_to_install(
    h5: h5py.File, monkeypatch: pytest.MonkeyPatch
) -> None:
    h5.create_dataset("x", data=np.arange(10), compression="gzip")
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: False)
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    assert dataset_values.missing_filters(h5["x"]) == ["gzip"]
    with pytest.raises(MissingDependencyError, match=r"'/x' is compressed with gzip.*codecs"):
        read_element(h5["x"])


def test_plugin_that_does_not_offer_the_filter(
    h5: h5py.File, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hdf5plugin", reason="is asked for the filter")
    h5.create_dataset("x", data=np.arange(10), shuffle=True)
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: False)
    with pytest.raises(MissingDependencyError, match="does not offer"):
        read_element(h5["x"])
