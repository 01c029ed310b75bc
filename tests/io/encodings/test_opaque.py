from __future__ import annotations

import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from lazyomics.errors import FileFormatError, UnsupportedError
from lazyomics.io.encodings import OpaqueElement, read_element, write_element


@pytest.fixture
def source(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "source.h5ad", "w") as file:
        group = file.create_group("uns/tree")
        group.attrs.update({"encoding-type": "newick", "encoding-version": "2.0"})
        group.attrs["note"] = np.array([1, 2], dtype="i2")
        group["deep/data"] = np.arange(5)
        group["deep/data"].attrs["unit"] = "µm"
    return tmp_path / "source.h5ad"


def read(source: Path) -> OpaqueElement:
    with h5py.File(source, "r") as file:
        element = read_element(file["uns"])["tree"]
    assert isinstance(element, OpaqueElement)
    return element


def test_shown_and_kept(source: Path) -> None:
    element = read(source)
    assert "newick 2.0" in repr(element)
    assert (element.path, element.name) == (str(source), "/uns/tree")
    assert pickle.loads(pickle.dumps(element)) == element
    assert hash(element) == hash(read(source))


def test_copied_verbatim(source: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "copy.h5", "w") as copy:
        write_element(copy, "uns", {"tree": read(source)}, dataset_kwargs={"compression": "gzip"})
        tree = copy["uns/tree"]
        assert dict(tree.attrs)["encoding-type"] == "newick"
        assert tree.attrs["note"].dtype == "int16"
        assert tree["deep/data"][()].tolist() == [0, 1, 2, 3, 4]
        assert tree["deep/data"].attrs["unit"] == "µm"


def test_copied_inside_its_own_file(source: Path) -> None:
    element = read(source)
    relative = os.path.relpath(source)
    with h5py.File(relative, "r+") as file:
        write_element(file["uns"], "second", element)
        assert list(file["uns/second"]) == ["deep"]


def test_gone_from_its_file(source: Path, h5: h5py.File) -> None:
    element = read(source)
    with h5py.File(source, "r+") as file:
        del file["uns/tree"]
    with pytest.raises(FileFormatError, match=r"source\.h5ad: element '/uns/tree'.*any more"):
        write_element(h5, "x", element)


def test_only_its_value_is_an_error(source: Path) -> None:
    element = read(source)
    for use in (
        lambda: element.value,
        lambda: np.asarray(element),
        lambda: element["deep"],
        lambda: list(element),
    ):
        with pytest.raises(UnsupportedError, match=r"'/uns/tree' has the encoding 'newick 2.0'"):
            use()
