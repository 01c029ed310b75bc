"""Every real file: opened, compared element by element, streamed to a new file, compared again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from tests.conftest import data_folder
from tests.io.differences import differences

pytest.importorskip("anndata", reason="compares with anndata")
pytest.importorskip("mudata", reason="compares with mudata")

FOLDER = data_folder()
NAMES = (
    []
    if FOLDER is None
    else sorted(p.name for p in FOLDER.iterdir() if p.suffix in (".h5ad", ".h5mu", ".h5"))
)


@pytest.mark.filterwarnings("ignore")  # those of scverse about old files
@pytest.mark.parametrize("name", NAMES or ["no files"])
def test_round_trip(name: str, data_file: Callable[[str], Path], tmp_path: Path) -> None:
    from tests.io.roundtrip_table import check_file

    path = data_file(name)
    if name.startswith("rust"):
        pytest.importorskip("hdf5plugin", reason="the file is compressed with Blosc")
    if name.endswith(".h5"):
        pytest.importorskip("scanpy", reason="reads files of 10x Genomics")
    outcome = check_file(path, tmp_path)
    assert outcome.opens == "yes"
    assert outcome.unexplained == []


def frame(**changes: object) -> pd.DataFrame:
    made = pd.DataFrame(
        {"kind": pd.Categorical(["a", "b", "a"]), "n": [1, 2, 3]},
        index=pd.Index(["x", "y", "z"], name="cell"),
    )
    return made.assign(**changes)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (frame(n=[1, 2, 4]), "other values"),
        (frame(n=[1.0, 2.0, 3.0]), "int64"),
        (frame(kind=pd.Categorical(["a", "b", "a"], ordered=True)), "ordered"),
        (frame(kind=pd.Categorical(["a", "b", "a"], categories=["b", "a"])), "categories"),
        (frame().rename_axis(None), "name"),
        (frame()[["n", "kind"]], "columns"),
    ],
)
def test_differences_of_tables_are_seen(other: pd.DataFrame, words: str) -> None:
    assert differences(frame(), frame()) == []
    assert any(words in text for text in differences(frame(), other))


def test_differences_of_values_are_seen() -> None:
    matrix = sp.csr_matrix(np.eye(3, dtype="float32"))
    value = {"m": matrix, "a": np.arange(3), "s": "text", "n": None, "f": float("nan")}
    assert differences(value, dict(value)) == []
    for key, other in {
        "m": matrix.tocsc(),
        "a": np.arange(3, dtype="int32"),
        "s": "other",
        "n": 0,
        "f": 1.0,
    }.items():
        (found,) = differences({**value, key: other}, value)
        assert found.startswith(f"/{key}: ")
    assert differences({}, value)
