"""Files written here and by anndata hold the same attributes, types, layouts and values."""

from __future__ import annotations

import io
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from lazyomics.io.encodings import read_element, write_element

RANDOM = np.random.default_rng(0)
SPARSE = sp.random(7, 5, density=0.4, format="csr", random_state=0, dtype=np.float32)


def frame(n: int = 4) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "float": np.linspace(0, 1, n, dtype="float32"),
            "int": np.arange(n),
            "uint8": np.arange(n, dtype="uint8"),
            "bool": np.arange(n) % 2 == 0,
            "text": np.array([f"é{i}" for i in range(n)], dtype=object),
            "category": pd.Categorical(["b", "a", None, "b"][:n], categories=["b", "a", "c"]),
            "ordered": pd.Categorical(["x"] * n, categories=["y", "x"], ordered=True),
            "numbers": pd.Categorical([3, 1, 3, 2][:n]),
            "Int64": pd.array([1, None, 3, 4][:n], dtype="Int64"),
            "UInt8": pd.array([1, None, 3, 4][:n], dtype="UInt8"),
            "boolean": pd.array([True, None, False, True][:n], dtype="boolean"),
        },
        index=[f"cell{i}" for i in range(n)],
    )


ZOO: dict[str, Any] = {
    "none": None,
    "true": True,
    "int": 3,
    "float": 1.5,
    "bool_": np.bool_(False),
    "float32": np.float32(2),
    "float16": np.float16(2),
    "uint64": np.uint64(2**64 - 1),
    "complex64": np.complex64(1j),
    "text": "naïve 日本",
    "empty text": "",
    "str_": np.str_("x"),
    "0-d": np.array(4.0),
    "0-d text": np.array("x"),
    "array": RANDOM.normal(size=(3, 4)),
    "fortran": np.asfortranarray(RANDOM.normal(size=(3, 4))),
    "strided": np.arange(10)[::3],
    "3-d": np.zeros((2, 3, 4), dtype="int16"),
    "bool array": np.array([True, False]),
    "complex array": np.array([1j, 2]),
    "big-endian": np.array([1, 2], dtype=">i4"),
    "bytes array": np.array([b"ab", b"c"]),
    "empty": np.zeros(0),
    "no columns": np.zeros((3, 0)),
    "list": [1, 2, 3],
    "empty list": [],
    "nested list": [[1, 2], [3, 4]],
    "list of text": ["a", "bc"],
    "U": np.array([["a", "bc"], ["d", "e"]]),
    "O": np.array(["a", "ü"], dtype=object),
    "T": np.array(["a", "ü"], dtype=np.dtypes.StringDType()),
    "no text": np.array([], dtype=object),
    "records": np.array([("a", 1, 2.0)], dtype=[("x", "U3"), ("y", "i4"), ("z", "f8")]),
    "recarray": np.rec.array([("a", True)], dtype=[("x", "O"), ("y", "?")]),
    "csr": SPARSE,
    "csc": SPARSE.tocsc(),
    "csr_array": sp.csr_array(SPARSE),
    "csc_array": sp.csc_array(SPARSE),
    "csr int64": sp.csr_matrix(
        (SPARSE.data, SPARSE.indices.astype("int64"), SPARSE.indptr.astype("int64")),
        shape=SPARSE.shape,
    ),
    "empty csr": sp.csr_matrix((0, 5), dtype="int32"),
    "bool csr": SPARSE.astype(bool),
    "categorical": pd.Categorical(["a", None, "b"]),
    "no categories": pd.Categorical([None, None]),
    "many categories": pd.Categorical(np.arange(300).astype(str)),
    "Int16": pd.array([1, None], dtype="Int16"),
    "boolean": pd.array([True, None], dtype="boolean"),
    "frame": frame(),
    "frame of 0 rows": frame().iloc[:0],
    "frame without columns": pd.DataFrame(index=["a", "b"]),
    "named index": frame().rename_axis("cell"),
    "index as column": frame().assign(cell=lambda f: f.index).rename_axis("cell"),
    "numbered": pd.DataFrame({"a": [1.0, 2.0]}),
    "int index": pd.DataFrame({"a": [1.0, 2.0]}, index=[7, 8]),
    "category index": pd.DataFrame({"a": [1]}, index=pd.CategoricalIndex(["x"])),
    "dict": {"a": 1, "nested": {"b": ["x"], "c": {}, "d": None}, "f": frame(2)},
    "empty dict": {},
}
NULLABLE_TEXT: dict[str, Any] = {
    "string": pd.array(["a", None, "c"], dtype="string"),
    "string, none missing": pd.array(["a", "b"], dtype="string"),
    "frame of string": pd.DataFrame({"s": pd.array(["a", None], dtype="string")}),
}


def tree(obj: Any) -> dict[str, Any]:
    """All that is stored under an element, by path, attributes with their exact types."""
    members = {"": obj}
    if isinstance(obj, h5py.Group):
        obj.visititems(lambda name, member: members.setdefault(name, member) and None)
    return {name: facts(member) for name, member in members.items()}


def facts(obj: Any) -> dict[str, Any]:
    attrs = {}
    for name in obj.attrs:
        low = obj.attrs.get_id(name)
        value = obj.attrs[name]
        attrs[name] = (low.get_type().encode(), low.shape, np.asarray(value).tolist())
    found: dict[str, Any] = {"attrs": attrs}
    if isinstance(obj, h5py.Dataset):
        found["type"] = obj.id.get_type().encode()
        found["layout"] = (obj.shape, obj.chunks, obj.maxshape, obj.compression)
        if obj.shape is not None:
            found["values"] = np.asarray(obj[()]).tolist()
    return found


@pytest.mark.parametrize("options", [{}, {"compression": "gzip", "compression_opts": 3}])
@pytest.mark.parametrize("key", ZOO)
def test_zoo(
    key: str,
    options: dict[str, Any],
    anndata_read: Any,
    anndata_write: Any,
    same: Any,
    h5: h5py.File,
) -> None:
    write_element(h5, "ours", ZOO[key], dataset_kwargs=options)
    anndata_write(h5, "theirs", ZOO[key], dataset_kwargs=options)
    assert tree(h5["ours"]) == tree(h5["theirs"])
    same(read_element(h5["theirs"]), anndata_read(h5["ours"]), key)
    same(read_element(h5["ours"]), anndata_read(h5["theirs"]), key)


@pytest.mark.parametrize("key", NULLABLE_TEXT)
def test_nullable_text(
    key: str, anndata_read: Any, anndata_write: Any, same: Any, h5: h5py.File
) -> None:
    write_element(h5, "ours", NULLABLE_TEXT[key])
    anndata_write(h5, "theirs", NULLABLE_TEXT[key], nullable_text=True)
    ours, theirs = tree(h5["ours"]), tree(h5["theirs"])
    for name, member in ours.items():
        if "na-value" not in theirs[name]["attrs"]:  # anndata 0.12 leaves the default out
            assert member["attrs"].pop("na-value", (0, 0, "NA"))[2] == "NA"
    if key.startswith("string"):
        assert ours == theirs
    same(read_element(h5["theirs"]), anndata_read(h5["ours"]), key)
    same(read_element(h5["ours"]), anndata_read(h5["theirs"]), key)


def test_more_names_than_an_object_header_holds(anndata_read: Any, same: Any) -> None:
    for n_columns in (4_000, 4_095):
        wide = pd.DataFrame(np.zeros((2, n_columns)), columns=[f"c{i}" for i in range(n_columns)])
        with h5py.File(io.BytesIO(), "w") as file:
            write_element(file, "wide", wide)
            names = file["wide"].attrs["column-order"]
            assert list(names) == list(wide.columns)
            if n_columns == 4_095:
                same(read_element(file["wide"]), anndata_read(file["wide"]))
