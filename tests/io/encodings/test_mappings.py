from __future__ import annotations

import collections
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dask.config
import h5py
import numpy as np
import pytest

from lazyomics.errors import FileFormatError
from lazyomics.io.encodings import read_element, read_mapping, write_element


@pytest.mark.parametrize(
    "kind", [dict, collections.OrderedDict, lambda d: collections.defaultdict(list, d)]
)
def test_mappings_of_any_kind(h5: h5py.File, kind: Any) -> None:
    write_element(h5, "x", kind({"b": 1, "a": kind({"c": "text"})}))
    assert read_element(h5["x"]) == {"a": {"c": "text"}, "b": 1}


@pytest.mark.parametrize("key", [1, None, ("a", "b"), b"a"])
def test_keys_are_text(h5: h5py.File, key: Any) -> None:
    with pytest.raises(TypeError, match=r"in '/x/params': names of elements are text"):
        write_element(h5, "x", {"params": {key: 1}})
    assert list(h5) == []


def test_keys_with_slashes(h5: h5py.File) -> None:
    with pytest.raises(ValueError, match=r"in '/x': 'a/b' cannot be the name"):
        write_element(h5, "x", {"a/b": 1})


def test_old_groups_without_attributes(h5: h5py.File, anndata_read: Any, same: Any) -> None:
    h5["uns/pca/params/zero_center"] = True
    h5["uns/pca/variance"] = np.arange(3.0)
    h5["uns/name"] = "text"
    h5["uns/old_name"] = np.array([b"text"])
    h5["uns/old_names"] = np.array([b"text", b"more"])
    h5.create_group("uns/empty")
    same(read_element(h5["uns"]), anndata_read(h5["uns"]))


def test_committed_types_are_carried(h5: h5py.File) -> None:
    h5["x/type"] = np.dtype("f4")
    assert "type" in read_mapping(h5["x"])


def test_a_dataset_is_no_mapping(h5: h5py.File) -> None:
    write_element(h5, "x", 1)
    h5["x"].attrs["encoding-type"] = "dict"
    h5["x"].attrs["encoding-version"] = "0.1.0"
    with pytest.raises(FileFormatError, match="expected a group"):
        read_element(h5["x"])


@pytest.mark.parametrize("soft", [True, False])
def test_cycles(h5: h5py.File, soft: bool) -> None:
    group = h5.create_group("uns/a/b")
    group["up"] = h5py.SoftLink("/uns/a") if soft else h5["uns/a"]
    with pytest.raises(FileFormatError, match="link back to a parent"):
        read_element(h5["uns"])


def test_links_that_multiply(h5: h5py.File) -> None:
    group = h5.create_group("level0")
    for level in range(1, 60):
        below = h5.create_group(f"level{level}")
        group["left"], group["right"] = below, below
        group = below
    with pytest.raises(FileFormatError, match="links to groups that were read already"):
        read_element(h5["level0"])


def test_a_group_linked_twice_is_read_twice(h5: h5py.File) -> None:
    write_element(h5, "uns", {"a": {"n": 1}})
    h5["uns"]["b"] = h5py.SoftLink("/uns/a")
    assert read_element(h5["uns"]) == {"a": {"n": 1}, "b": {"n": 1}}


@pytest.mark.parametrize("target", ["/nowhere", "/uns/self"])
def test_links_to_nothing(h5: h5py.File, target: str) -> None:
    h5.create_group("uns")["self"] = h5py.SoftLink(target)
    with pytest.raises(FileFormatError, match="/uns/self"):
        read_element(h5["uns"])


def test_links_to_other_files(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        write_element(other, "n", 7)
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file.create_group("uns")["n"] = h5py.ExternalLink("other.h5", "/n")
        with pytest.raises(FileFormatError, match=r"/uns/n.*a link to 'other\.h5'.*external-files"):
            read_element(file["uns"])
        with dask.config.set({"lazyomics.external-files": True}):
            assert read_element(file["uns"]) == {"n": 7}


def test_failure_leaves_nothing(h5: h5py.File) -> None:
    with pytest.raises(TypeError, match="set"):
        write_element(h5, "uns", {"a": 1, "b": {"c": {1, 2}}})
    assert list(h5) == []


def test_read_only_mappings(h5: h5py.File) -> None:
    write_element(h5, "x", dict(MappingProxyType({"a": 1})))
    assert read_element(h5["x"]) == {"a": 1}
