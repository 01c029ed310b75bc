"""Attributes, datasets and names that HDF5 allows and the format does not."""

from __future__ import annotations

import random
from typing import Any

import h5py
import numpy as np

__all__ = ["ATTRIBUTES", "ODD_NAMES", "odd_attribute", "odd_dataset"]

ATTRIBUTES = (
    "encoding-type",
    "encoding-version",
    "shape",
    "h5sparse_format",
    "h5sparse_shape",
    "_index",
    "column-order",
    "ordered",
    "categories",
    "na-value",
    "axis",
    "mod-order",
    "length",
    "form",
)
KINDS = (
    "anndata",
    "array",
    "awkward-array",
    "bytes",
    "categorical",
    "csc_matrix",
    "csr_matrix",
    "dataframe",
    "dict",
    "mudata",
    "null",
    "nullable-boolean",
    "nullable-integer",
    "nullable-string-array",
    "numeric-scalar",
    "raw",
    "rec-array",
    "string",
    "string-array",
    "csr",
    "CSR_matrix",
    "unknown",
)
ODD_NAMES = (
    "..",
    ".",
    "é",
    "\udcff\udcfe",
    "a\nb",
    "x" * 60_000,
    "_index",
    "__categories",
    "codes",
    "mask",
    "values",
    "data",
    "neighbors",
    "kind_categories",
    "None",
    "\u202e",
    " ",
)
HUGE = (2**31, 10**12, 2**62)


def odd_attribute(rng: random.Random, file: h5py.File, name: str) -> Any:
    """A value for an attribute: of its own kind but wrong, or of any type."""
    if name == "encoding-type" and rng.random() < 0.8:
        return rng.choice(KINDS)
    if "shape" in name and rng.random() < 0.7:
        numbers = (0, 1, -1, 7, 12, 13, *HUGE)
        dtype = rng.choice(("i8", "i4", "u8", "f8"))
        few = [rng.choice(numbers) for _ in range(rng.choice((0, 1, 2, 2, 2, 3)))]
        with np.errstate(all="ignore"):
            return np.array(few, "f8").astype(dtype)
    if name in ("_index", "column-order", "mod-order") and rng.random() < 0.7:
        words = ("kind", "n", "/X", "../var", "..", ".", "", "missing", "_index", "/")
        few = [rng.choice(words) for _ in range(rng.choice((1, 1, 2, 9)))]
        return few if name != "_index" or rng.random() < 0.2 else few[0]
    return rng.choice(any_values(rng, file))


def any_values(rng: random.Random, file: h5py.File) -> list[Any]:
    """Values of every type that an attribute can have."""
    pair = np.dtype([("a", "f4"), ("b", "S3")])
    return [
        "",
        "text",
        b"\xff\xfe",
        np.bytes_(b"csr"),
        "0.99.0",
        "x" * 50_000,
        ["csr", "csc"],
        0,
        -1,
        2.5,
        np.nan,
        True,
        np.arange(3),
        np.zeros((0,)),
        np.zeros((2, 2)),
        np.zeros(2, pair),
        np.void(b"\x80\x04K\x01."),
        h5py.Empty("S1"),
        h5py.Empty("f8"),
        file["/"].ref,
        file[rng.choice(list(file))].ref,
        np.zeros(5_000),
        2**63 + 5,
        1j,
    ]


def odd_dataset(rng: random.Random, parent: Any, key: str, shape: Any, dtype: Any) -> Any:
    """A dataset that has something to do with the wanted shape and type, or nothing."""
    shape = shape if shape else (12,)
    if rng.random() < 0.3:
        return _huge(rng, parent, key, shape, dtype)
    if rng.random() < 0.2:
        layout = h5py.VirtualLayout(shape, dtype)
        source = rng.choice((".", "/etc/passwd", "other.h5", "%b.h5"))
        layout[...] = h5py.VirtualSource(source, rng.choice((parent.name, "X", "/")), shape)
        return parent.create_virtual_dataset(key, layout)
    shapes = (shape, shape, shape, (), (0,), shape[::-1], (*shape, 2), (shape[0] + 1,), (1,))
    options: dict[str, Any] = {}
    if rng.random() < 0.2:
        options["fillvalue"] = rng.choice((1, -1, 7))
    return parent.create_dataset(key, rng.choice(shapes), dtype=_odd_type(rng), **options)


def _huge(rng: random.Random, parent: Any, key: str, shape: Any, dtype: Any) -> Any:
    """A size that nothing stored backs up, in large or small chunks."""
    size = rng.choice((2**20, *HUGE))
    shapes = ((size,), (size, *shape[1:]), (*shape[:-1], size), (2**20, 2**20))
    chosen = rng.choice(shapes)
    chunks = tuple(min(n, rng.choice((8, 2**10, 2**14))) for n in chosen)
    options: dict[str, Any] = {"compression": "gzip"} if rng.random() < 0.3 else {}
    return parent.create_dataset(key, chosen, dtype=dtype, chunks=chunks, **options)


def _odd_type(rng: random.Random) -> Any:
    return rng.choice(
        [
            *(
                "i1",
                "u1",
                "i2",
                ">i4",
                "u4",
                "i8",
                "u8",
                "f2",
                "f4",
                ">f8",
                "f16",
                "c8",
                "c16",
                "?",
            ),
            *("S1", "S20"),
            h5py.string_dtype(),
            h5py.string_dtype("ascii"),
            h5py.string_dtype(length=5),
            h5py.enum_dtype({"FALSE": 0, "TRUE": 1}),
            h5py.enum_dtype({"FALSE": 0, "TRUE": 1, "NA": 2}),
            h5py.enum_dtype({"a": 3, "b": 4}, "u2"),
            h5py.vlen_dtype("i4"),
            h5py.vlen_dtype(h5py.string_dtype()),
            h5py.ref_dtype,
            h5py.regionref_dtype,
            h5py.opaque_dtype("M8[ns]"),
            "V8",
            [("a", "f4"), ("b", "S3")],
            [("a", h5py.string_dtype()), ("b", "f8", (2, 2))],
            [("only", "i4")],
            [("a", [("deep", "f4")])],
            np.dtype(("f4", (3,))),
        ]
    )
