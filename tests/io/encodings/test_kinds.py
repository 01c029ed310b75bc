from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from lazyomics.io.encodings import OpaqueElement, element_kind, read_element, write_element


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.zeros(2), "array"),
        (["a"], "string-array"),
        ("a", "string"),
        (1, "numeric-scalar"),
        (b"a", "bytes"),
        (None, "null"),
        ({}, "dict"),
        (pd.DataFrame(), "dataframe"),
        (pd.Categorical(["a"]), "categorical"),
        (pd.array([1]), "nullable-integer"),
        (pd.array([True]), "nullable-boolean"),
        (pd.array(["a"], dtype="string"), "nullable-string-array"),
        (np.zeros(1, dtype=[("a", "f4")]), "rec-array"),
        (sp.csr_matrix((1, 1)), "csr_matrix"),
        (sp.csc_array((1, 1)), "csc_matrix"),
    ],
)
def test_kind_of_what_is_written(h5: h5py.File, value: Any, kind: str) -> None:
    write_element(h5, "x", value)
    assert element_kind(h5["x"]) == kind


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.zeros(2), "array"),
        (np.array([b"a"]), "string-array"),
        ("a", "string"),
        (1, "numeric-scalar"),
        (h5py.Empty("f"), "null"),
        (np.zeros(1, dtype=[("a", "f4")]), "rec-array"),
    ],
)
def test_kind_without_attributes(h5: h5py.File, value: Any, kind: str) -> None:
    h5["x"] = value
    assert element_kind(h5["x"]) == kind


@pytest.mark.parametrize(
    ("attribute", "version", "kind"),
    [
        ("AnnData", "0.1.0", "anndata"),
        (b"MuData", b"0.1.0", "mudata"),
        (np.array([b"dict"]), np.array([b"0.1.0"]), "dict"),
        ("raw", "0.1.0", "raw"),
        ("csc", "0.1.0", "csc_matrix"),
        ("dict", "", "dict"),
        ("dict", "0.0.9", "dict"),
        ("dict", "0.2.0", "unknown"),
        ("dict", "next", "unknown"),
        ("ome-zarr", "0.4", "unknown"),
    ],
)
def test_attributes(h5: h5py.File, attribute: Any, version: Any, kind: str) -> None:
    h5.create_group("x").attrs.update({"encoding-type": attribute, "encoding-version": version})
    assert element_kind(h5["x"]) == kind


def test_frames_without_encoding(h5: h5py.File) -> None:
    write_element(h5, "x", pd.DataFrame({"a": [1]}))
    del h5["x"].attrs["encoding-type"]
    assert element_kind(h5["x"]) == "dataframe"


@pytest.mark.parametrize("kind", ["anndata", "raw", "mudata"])
def test_containers_are_left_to_their_readers(h5: h5py.File, kind: str) -> None:
    h5.create_group("x").attrs.update({"encoding-type": kind, "encoding-version": "0.1.0"})
    assert isinstance(read_element(h5["x"]), OpaqueElement)
