"""Damaged and hostile files end in an error that names file and element."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from lazyomics.errors import FileFormatError, LazyomicsError, UnsupportedError
from lazyomics.io.encodings import open_member, read_element, read_frame, write_element


def test_names_of_file_and_element(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "cells.h5ad", "w") as file:
        write_element(file, "uns", {"a": {"b": pd.Categorical(["x"])}})
        del file["uns/a/b/codes"]
        with pytest.raises(FileFormatError) as caught:
            read_element(file["uns"])
    message = str(caught.value)
    for part in ("cells.h5ad", "'/uns/a/b/codes'", "expected", "found", "write it again"):
        assert part in message


def test_absurd_shapes_allocate_nothing(h5: h5py.File) -> None:
    for name, shape in (("flat", (10**14,)), ("wide", (10**7, 10**7))):
        h5.create_dataset(name, shape=shape, dtype="f8", chunks=(1000,) * len(shape))
        with pytest.raises(FileFormatError, match=r"0 stored bytes .* found shape"):
            read_element(h5[name])


def test_values_in_other_files(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "values.h5", "w") as other:
        other["v"] = np.arange(4)
    with h5py.File(tmp_path / "file.h5", "w") as file:
        layout = h5py.VirtualLayout(shape=(4,), dtype="i8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "values.h5"), "v", shape=(4,))
        file.create_virtual_dataset("virtual", layout)
        (tmp_path / "raw.bin").write_bytes(bytes(32))
        file.create_dataset(
            "external", shape=(4,), dtype="i8", external=[(str(tmp_path / "raw.bin"), 0, 32)]
        )
        for name in ("virtual", "external"):
            with pytest.raises(FileFormatError, match="values in other files"):
                read_element(file[name])


def test_virtual_datasets_inside_the_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["v"] = np.arange(4)
        layout = h5py.VirtualLayout(shape=(4,), dtype="i8")
        layout[:] = h5py.VirtualSource(".", "v", shape=(4,))
        file.create_virtual_dataset("virtual", layout)
        assert read_element(file["virtual"]).tolist() == [0, 1, 2, 3]


def test_text_that_is_not_utf8(h5: h5py.File) -> None:
    h5.create_dataset("x", data=np.array([b"\xff\xfe"], dtype="S2"))
    h5["x"].attrs["encoding-type"] = "string-array"
    with pytest.raises(FileFormatError, match="UTF-8"):
        read_element(h5["x"])


@pytest.mark.parametrize("kind", ["string", "string-array"])
def test_numbers_that_claim_to_be_text(h5: h5py.File, kind: str) -> None:
    h5["x"] = [1, 2]
    h5["x"].attrs["encoding-type"] = kind
    with pytest.raises(FileFormatError, match="strings, found dtype int64"):
        read_element(h5["x"])


@pytest.mark.parametrize("kind", ["array", "string-array", "rec-array", "numeric-scalar"])
def test_groups_that_claim_to_be_datasets(h5: h5py.File, kind: str) -> None:
    h5.create_group("x").attrs["encoding-type"] = kind
    with pytest.raises(FileFormatError, match="expected a dataset, found a group"):
        read_element(h5["x"])


@pytest.mark.parametrize(
    "kind", ["dataframe", "categorical", "nullable-integer", "csr_matrix", "dict"]
)
def test_datasets_that_claim_to_be_groups(h5: h5py.File, kind: str) -> None:
    h5["x"] = [1, 2]
    h5["x"].attrs["encoding-type"] = kind
    with pytest.raises(FileFormatError, match="'/x'"):
        read_element(h5["x"])


def test_missing_members(h5: h5py.File) -> None:
    write_element(h5, "uns", {"a": 1})
    with pytest.raises(FileFormatError, match=r"/uns/b.*only the members \['a'\]"):
        open_member(h5["uns"], "b")


def zoo() -> dict[str, Any]:
    frame = pd.DataFrame(
        {"c": pd.Categorical(["a", "b"]), "i": pd.array([1, None]), "t": ["x", "y"]}
    )
    return {"frame": frame, "text": ["long text " * 9] * 20, "array": np.arange(400.0)}


@pytest.mark.parametrize("share", np.linspace(0, 0.999, 25))
def test_truncated(tmp_path: Path, share: float) -> None:
    path = tmp_path / "damaged.h5"
    with h5py.File(path, "w") as file:
        write_element(file, "uns", zoo())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    # HDF5 itself notices when it opens the file, or else reading does.
    with pytest.raises((OSError, LazyomicsError)), h5py.File(path, "r") as file:
        read_element(open_member(file, "uns"))


@pytest.mark.parametrize("name", ["frame/c/codes", "array", "text"])
def test_damaged_chunks(tmp_path: Path, name: str) -> None:
    path = tmp_path / "damaged.h5"
    with h5py.File(path, "w") as file:
        write_element(file, "uns", zoo(), dataset_kwargs={"compression": "gzip"})
        chunk = file["uns"][name].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(content)
    with (
        h5py.File(path, "r") as file,
        pytest.raises(FileFormatError, match=f"damaged.h5: element '/uns/{name}'.*deflate chunk"),
    ):
        read_element(file["uns"])


@pytest.mark.parametrize("attribute", ["_index", "column-order"])
def test_attributes_of_a_wrong_type(h5: h5py.File, attribute: str) -> None:
    write_element(h5, "uns", zoo())
    frame = h5["uns/frame"]
    for value in (np.arange(3.0), h5["uns"].ref, np.zeros(2, dtype=[("a", "f4")])):
        frame.attrs[attribute] = value
        with pytest.raises((FileFormatError, UnsupportedError)):
            list(read_frame(frame)["c"])


def test_reference_to_a_group(h5: h5py.File) -> None:
    h5["codes"] = np.array([0], dtype="i1")
    h5["codes"].attrs["categories"] = h5.create_group("g").ref
    with pytest.raises(FileFormatError, match="expected a dataset, found a group"):
        read_element(h5["codes"])
