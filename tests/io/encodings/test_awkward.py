from __future__ import annotations

import importlib.util
from typing import Any

import h5py
import numpy as np
import pytest

from lazyomics.errors import FileFormatError, UnsupportedError
from lazyomics.io.encodings import OpaqueElement, element_kind, read_element, write_element

FORM = (
    '{"class": "ListOffsetArray", "offsets": "i64", "content": {"class": "NumpyArray", '
    '"primitive": "int64", "inner_shape": [], "parameters": {}, "form_key": "node1"}, '
    '"parameters": {}, "form_key": "node0"}'
)


@pytest.fixture
def stored(h5: h5py.File) -> h5py.Group:
    """``[[1, 2], [], [3]]`` as anndata stores it."""
    group = h5.create_group("a")
    group.attrs.update({"encoding-type": "awkward-array", "encoding-version": "0.1.0"})
    group.attrs.update({"form": FORM, "length": 3})
    write_element(group, "node0-offsets", np.array([0, 2, 2, 3]))
    write_element(group, "node1-data", np.array([1, 2, 3]))
    return group


def test_carried_unread_without_awkward(
    stored: h5py.Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    element = read_element(stored)
    assert isinstance(element, OpaqueElement)
    with pytest.raises(UnsupportedError, match="install awkward"):
        np.asarray(element)
    write_element(stored.file, "copy", element)
    assert element_kind(stored.file["copy"]) == "awkward-array"
    assert stored.file["copy/node1-data"][()].tolist() == [1, 2, 3]


def test_read_and_written_with_awkward(stored: h5py.Group, anndata_read: Any) -> None:
    pytest.importorskip("awkward", reason="reads ragged arrays")
    value = read_element(stored)
    assert value.to_list() == [[1, 2], [], [3]]
    write_element(stored.file, "copy", value[1:])
    assert read_element(stored.file["copy"]).to_list() == [[], [3]]
    assert anndata_read(stored.file["copy"]).to_list() == [[], [3]]
    assert dict(stored.file["copy"].attrs)["length"] == 2


def test_damaged(stored: h5py.Group) -> None:
    pytest.importorskip("awkward", reason="reads ragged arrays")
    del stored.attrs["form"]
    with pytest.raises(FileFormatError, match="awkward"):
        read_element(stored)
