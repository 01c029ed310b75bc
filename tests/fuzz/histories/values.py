"""Values that histories assign, each made anew from a kind, a shape and a number."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

__all__ = ["COLUMNS", "MATRICES", "UNS", "column", "matrix", "table", "uns_value"]

MATRICES = (
    "dense float32",
    "dense float64",
    "dense int64",
    "dense bool",
    "fortran float32",
    "gaps float32",
    "csr float32",
    "csr float64",
    "csr int32",
    "csc float32",
    "csc int64",
    "csr_array float32",
    "csc_array float32",
    "empty_csr float32",
)
COLUMNS = (
    "int",
    "int8",
    "float",
    "float32",
    "gaps",
    "bool",
    "text",
    "repeated text",
    "text with gaps",
    "category",
    "ordered",
    "category with gaps",
    "unused categories",
    "category of numbers",
    "Int64",
    "boolean",
    "string",
)
UNS = (
    "int",
    "float",
    "nan",
    "text",
    "bool",
    "numpy int",
    "numpy float",
    "list",
    "list of text",
    "ints",
    "floats",
    "bools",
    "texts",
    "square",
    "csr",
    "csc",
    "frame",
    "categorical",
    "ordered",
    "Int64",
    "boolean",
    "string",
    "records",
    "nested",
    "empty dict",
    "empty list",
    "groups",
)
WORDS = ("b", "a", "x10", "x2", "ü", "d e")


def matrix(kind: str, rows: int, cols: int, seed: int) -> Any:
    """Return a matrix of shape (rows, cols)."""
    rng = np.random.default_rng(seed)
    form, dtype = kind.split(" ")
    values = rng.integers(0, 6, (rows, cols)) * (rng.random((rows, cols)) < 0.5)
    dense = values.astype(dtype)
    if form == "dense":
        return dense
    if form == "fortran":
        return np.asfortranarray(dense)
    if form == "gaps":
        return np.where(values > 0, dense, np.float32("nan"))
    if form == "empty_csr":
        return sp.csr_matrix((rows, cols), dtype=dtype)
    make = {
        "csr": sp.csr_matrix,
        "csc": sp.csc_matrix,
        "csr_array": sp.csr_array,
        "csc_array": sp.csc_array,
        "coo": sp.coo_matrix,
    }
    return make[form](dense)


def column(kind: str, n: int, seed: int) -> Any:
    """Return the values of a column of n rows."""
    rng = random.Random(seed)
    few = [rng.choice(WORDS[:4]) for _ in range(n)]
    numbers = [rng.randrange(5) for _ in range(n)]
    missing = [rng.random() < 0.3 for _ in range(n)]
    holes = [None if gap else word for gap, word in zip(missing, few, strict=True)]
    gaps = [pd.NA if gap else k for gap, k in zip(missing, numbers, strict=True)]
    if kind in ("int", "int8", "float32"):
        return np.array(numbers, dtype=kind.replace("int", "int64") if kind == "int" else kind)
    if kind == "float":
        return np.array(numbers) / 2
    if kind == "gaps":
        return np.array([np.nan if gap else k for gap, k in zip(missing, numbers, strict=True)])
    if kind == "bool":
        return np.array(missing, dtype=bool)
    if kind == "text":
        return np.array([f"{word}{k}" for k, word in enumerate(few)], dtype=object)
    if kind == "repeated text":
        return np.array(few, dtype=object)
    if kind == "text with gaps":
        return np.array(holes, dtype=object)
    if kind == "category":
        return pd.Categorical(few)
    if kind == "ordered":
        return pd.Categorical(few, categories=[*WORDS[:4]], ordered=True)
    if kind == "category with gaps":
        return pd.Categorical(holes, categories=["x2", "x10", "b", "a"])
    if kind == "unused categories":
        return pd.Categorical(few, categories=[*WORDS])
    if kind == "category of numbers":
        return pd.Categorical(numbers)
    if kind == "Int64":
        return pd.array(gaps, dtype=kind)
    if kind == "boolean":
        truth = [pd.NA if gap else k > 2 for gap, k in zip(missing, numbers, strict=True)]
        return pd.array(truth, dtype="boolean")
    assert kind == "string", kind
    return pd.array(holes, dtype="string")


def table(kinds: list[str], names: Any, seed: int) -> pd.DataFrame:
    """Return a table with a column of each kind."""
    columns = {f"t{k}": column(kind, len(names), seed + k) for k, kind in enumerate(kinds)}
    return pd.DataFrame(columns, index=pd.Index(names))


def uns_value(kind: str, seed: int) -> Any:
    """Return an entry of uns."""
    rng = random.Random(seed)
    number = rng.randrange(100)
    if kind in ("Int64", "boolean", "string"):
        return column(kind, 4, seed)
    if kind in ("csr", "csc"):
        return matrix(f"{kind} float32", 3, 4, seed)
    if kind in ("categorical", "ordered"):
        return column({"categorical": "category"}.get(kind, kind), 5, seed)
    if kind == "frame":
        kinds = [rng.choice(COLUMNS) for _ in range(2)]
        return table(kinds, [f"u{k}" for k in range(4)], seed)
    if kind == "records":
        fields = [("a", "i4"), ("x2", "f8"), ("b", "U3")]
        return np.array([(number, 0.5, "m"), (2, 1.5, "nn")], dtype=fields).view(np.recarray)
    if kind == "nested":
        inner = [rng.choice(UNS) for _ in range(3)]
        return {f"n{k}": uns_value(each, seed + k + 1) for k, each in enumerate(inner)}
    if kind == "groups":
        fields = [(word, "f4") for word in sorted(WORDS[: rng.randrange(2, 5)])]
        records = np.zeros(3, dtype=fields)
        return {"params": {"groupby": rng.choice(("c0", "c1", "c2"))}, "scores": records}
    plain = {
        "int": number,
        "float": number / 4,
        "nan": float("nan"),
        "text": f"text {number}",
        "bool": number > 50,
        "numpy int": np.int32(number),
        "numpy float": np.float32(number),
        "list": [number, 2, 3],
        "list of text": ["b", "a", str(number)],
        "ints": np.arange(number % 5, dtype=np.int16),
        "floats": np.array([0.5, np.nan, number]),
        "bools": np.array([True, False]),
        "texts": np.array(["b", "ü", str(number)], dtype=object),
        "square": np.arange(4.0).reshape(2, 2) + number,
        "empty dict": {},
        "empty list": [],
    }
    return plain[kind]
