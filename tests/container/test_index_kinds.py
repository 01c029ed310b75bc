"""What may stand between the brackets: the entries that anndata selects, or an error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")

pytestmark = pytest.mark.filterwarnings("ignore")
N = 5
NAMES = [f"n{k}" for k in range(N)]
MASK = np.array([True, False, True, True, False])
ORDER = [3, 1, 4, 0, 2]


def made(module: Any) -> Any:
    names = pd.DataFrame({"number": range(N)}, index=NAMES)
    x = np.arange(N * N, dtype="f4").reshape(N, N)
    adata = module.AnnData(x, obs=names, var=names)
    adata.raw = adata
    return adata


@pytest.fixture(params=["memory", "file", "selection", "raw", "mudata"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """An object of the names above along both axes, however it is held."""
    adata = made(lo)
    if request.param in ("file", "mudata"):
        adata.write_h5ad(tmp_path / "a.h5ad")
        adata = lo.read_h5ad(tmp_path / "a.h5ad")
    if request.param == "mudata":
        return lo.MuData({"rna": adata})
    if request.param == "selection":
        twice = lo.concat([adata, adata], index_unique="-", merge="same")
        adata = twice[[f"{name}-1" for name in NAMES]]
        adata.obs_names = NAMES
    return adata.raw if request.param == "raw" else adata


def selected(data: Any, axis: str, key: Any) -> list[str]:
    cut = data[key, :] if axis == "obs" else data[:, key]
    return list(getattr(cut, f"{axis}_names"))


def values(data: Any) -> Any:
    if isinstance(data, lo.MuData):
        data = data["rna"]
    return np.asarray(data.X)


SAME: dict[str, Any] = {
    "name": "n2",
    "position": -1,
    "list of names": ["n3", "n0"],
    "array of names": np.array(["n3", "n0"]),
    "objects that are names": np.array(["n3", "n0"], object),
    "Index of names": pd.Index(["n3", "n0"]),
    "names of pandas": pd.array(["n3", "n0"], dtype="string"),
    "names of numpy": [np.str_("n3"), "n0"],
    "categories": pd.Series(["n3", "n0"], dtype="category"),
    "list of positions": [3, 0],
    "positions of both": [3, np.int64(0)],
    "Int64": pd.array([3, 0], dtype="Int64"),
    "uint8": MASK.astype("u1"),
    "range": range(3),
    "mask": MASK,
    "list of bools": MASK.tolist(),
    "list of numpy's bools": list(MASK),
    "bools of both": [*MASK[:2].tolist(), *MASK[2:]],
    "boolean": pd.array(MASK, dtype="boolean"),
    "Series": pd.Series(MASK, index=NAMES),
    "Series without labels": pd.Series(MASK),
    "Series of boolean": pd.Series(MASK, index=NAMES, dtype="boolean"),
    "column": MASK[:, None],
    "row": MASK[None, :],
    "sparse row": sp.csr_matrix(MASK[None, :]),
    "sparse column": sp.csr_matrix(MASK[:, None]),
    "no entry": np.zeros(N, bool),
    "empty list": [],
    "empty objects": np.array([], object),
    "empty positions": np.array([], int),
    "names from to": slice("n1", "n3"),
    "steps": slice(None, None, -2),
    "all": Ellipsis,
}


@pytest.mark.parametrize("kind", SAME)
@pytest.mark.parametrize("axis", ["obs", "var"])
def test_selects_as_anndata(opened: Any, axis: str, kind: str) -> None:
    key = SAME[kind]
    expected = made(ad)[key, :] if axis == "obs" else made(ad)[:, key]
    assert selected(opened, axis, key) == list(getattr(expected, f"{axis}_names"))
    cut = opened[key, :] if axis == "obs" else opened[:, key]
    np.testing.assert_array_equal(values(cut), expected.X)


REORDERED = pd.Series(MASK, index=NAMES).iloc[ORDER]
OURS: dict[str, tuple[Any, list[int]]] = {  # anndata refuses these, or takes others
    "objects that are bools": (MASK.astype(object), [0, 2, 3]),
    "Series of objects": (REORDERED.astype(object), [0, 2, 3]),
    "Series in another order": (REORDERED, [0, 2, 3]),
    "boolean in another order": (REORDERED.astype("boolean"), [0, 2, 3]),
    "dask": (da.from_array(MASK, chunks=2), [0, 2, 3]),
    "empty floats": (np.array([]), []),
}


@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize("axis", ["obs", "var"])
def test_selects_what_is_meant(opened: Any, axis: str, kind: str) -> None:
    key, expected = OURS[kind]
    assert selected(opened, axis, key) == [NAMES[k] for k in expected]


def labelled(names: list[Any]) -> Any:
    return pd.Series(MASK[: len(names)], index=names)


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "other labels": (lambda: labelled(["x", *NAMES[1:]]), IndexError, "the labels of the mask"),
    "numbers as labels": (
        lambda: labelled([4, 1, 2, 3, 0]),
        IndexError,
        "first is '4', there 'n0'",
    ),
    "repeated labels": (lambda: labelled(["n0", *NAMES[:-1]]), IndexError, "labels of the mask"),
    "labels of levels": (
        lambda: pd.Series(MASK, pd.MultiIndex.from_arrays([NAMES, NAMES])),
        IndexError,
        "labels of the mask",
    ),
    "short Series": (lambda: labelled(NAMES[:3]), IndexError, "the mask has 3 values"),
    "short list": (lambda: [True, False], IndexError, "the mask has 2 values"),
    "empty mask": (lambda: np.array([], bool), IndexError, "the mask has 0 values"),
    "boolean with NA": (
        lambda: pd.array([True, None, True, True, False], dtype="boolean"),
        TypeError,
        "1 missing",
    ),
    "Series with NA": (
        lambda: pd.Series([True, None, True, None, False], NAMES, dtype="boolean"),
        TypeError,
        r"2 missing values.*fillna",
    ),
    "bools with NaN": (lambda: [True, np.nan, True, True, False], TypeError, "1 missing"),
    "set": (lambda: {"n1", "n2"}, TypeError, r"\(set\); use list.*sorted"),
    "dict": (lambda: {"n1": 1}, TypeError, r"\(dict\); use list"),
    "keys": (lambda: {"n1": 1}.keys(), TypeError, r"\(dict_keys\); use list"),
    "generator": (lambda: (n for n in NAMES), TypeError, r"\(generator\); use list"),
    "None": (lambda: None, TypeError, "cannot index by None"),
    "True": (lambda: True, TypeError, "cannot index by True"),
    "numpy's True": (lambda: np.True_, IndexError, "0 dimensions"),
    "table": (lambda: pd.DataFrame({"mask": MASK}), TypeError, "by a table"),
    "square": (lambda: np.ones((N, N), bool), IndexError, "2 dimensions"),
    "names and positions": (lambda: ["n1", 2], TypeError, "mixed-integer"),
    "bools and positions": (lambda: [True, 1, 0, 1, 0], TypeError, "mixed"),
    "names and bools": (lambda: ["n1", True], TypeError, "mixed"),
    "objects that are numbers": (lambda: np.array([1, 2], object), TypeError, r"astype\(int\)"),
    "numbers with NA": (lambda: pd.array([1, None], dtype="Int64"), TypeError, "<NA>"),
    "numbers": (lambda: np.array([1.0, 0.0]), IndexError, r"float64.*astype\(bool\)"),
    "complex": (lambda: np.array([1j]), TypeError, "complex128"),
    "dates": (lambda: pd.to_datetime(["2020"]), TypeError, "datetime64"),
    "bytes": (lambda: [b"n1"], TypeError, "names are text"),
    "levels": (lambda: pd.MultiIndex.from_tuples([("n1", 1)]), TypeError, "mixed"),
    "unknown names": (lambda: ["n1", "zz"], KeyError, "'zz'"),
    "missing names": (lambda: ["n1", None], KeyError, "None"),
    "too large": (lambda: [N], IndexError, "position 5"),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("axis", ["obs", "var"])
def test_refuses_what_is_not_clear(opened: Any, axis: str, kind: str) -> None:
    key, error, message = REFUSED[kind]
    with pytest.raises(error, match=message):
        selected(opened, axis, key())


def test_dots_stand_for_the_other_axes() -> None:
    ours, theirs = made(lo), made(ad)
    for key in (Ellipsis, (..., ["n1"]), (["n1"], ...), (["n1"], ["n2"], ...), (..., [1], [2])):
        assert ours[key].shape == theirs[key].shape
        assert list(ours[key].var_names) == list(theirs[key].var_names)
    with pytest.raises(IndexError, match="once"):
        ours[..., ..., 1]
    with pytest.raises(IndexError, match="3 parts"):
        ours[0, 0, 0]


def test_masks_of_a_selection_are_not_masks_of_the_whole() -> None:
    adata = made(lo)
    cut = adata[MASK]
    assert list(cut[cut.obs["number"] > 0].obs_names) == ["n2", "n3"]
    with pytest.raises(IndexError, match="has 5 values, the axis has 3"):
        cut[adata.obs["number"] > 0]
    with pytest.raises(IndexError, match="the labels of the mask are not obs_names"):
        cut[adata.obs["number"].iloc[:3] > 0]


@pytest.mark.parametrize("axis", ["obs", "var"])
def test_masks_of_verbs_are_aligned(axis: str) -> None:
    x = np.random.default_rng(0).random((8, 7)).astype("f4")
    verb: Any = {
        "var": lambda adata, mask: lo.pp.pca(adata, n_comps=2, mask_var=mask),
        "obs": lambda adata, mask: lo.pp.scale(adata, mask_obs=mask),
    }[axis]
    results = []
    for order in (range(7), [3, 1, 6, 4, 0, 2, 5]):
        adata = lo.AnnData(x if axis == "var" else x.T.copy())
        names = getattr(adata, f"{axis}_names")
        mask = pd.Series(np.arange(7) % 3 > 0, index=names).iloc[list(order)]
        verb(adata, mask)
        results.append(adata.varm["PCs"] if axis == "var" else adata.X)
        other = mask.set_axis([f"x{k}" for k in range(7)])
        with pytest.raises(IndexError, match="labels of the mask"):
            verb(adata, other)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("axis", ["obs", "var"])
def test_labels_of_a_table_as_x_are_those_of_obs_and_var(axis: str) -> None:
    table = pd.DataFrame(np.eye(3), index=list("abc"), columns=list("xyz"))
    names = table.index if axis == "obs" else table.columns
    fitting = pd.DataFrame({"n": range(3)}, index=names)
    for module in (lo, ad):
        assert list(getattr(module.AnnData(table, **{axis: fitting}), axis)["n"]) == [0, 1, 2]
        with pytest.raises(ValueError, match=axis):
            module.AnnData(table, **{axis: fitting.iloc[::-1]})
        with pytest.raises(ValueError, match=axis):
            module.AnnData(table, **{axis: {"n": range(3)}})
        plain = table.reset_index(drop=True) if axis == "obs" else table.T.reset_index(drop=True).T
        assert list(getattr(module.AnnData(plain, **{axis: fitting}), f"{axis}_names")) == list(
            names
        )


@pytest.mark.parametrize("place", ["obs", "var", "obsm", "varm", "raw", "X"])
def test_columns_of_several_levels_are_refused(place: str) -> None:
    columns = pd.MultiIndex.from_product([["a"], ["x", "y"]])
    table = pd.DataFrame(np.ones((2, 2)), index=["0", "1"], columns=columns)
    square = np.ones((2, 2))
    make: Any = {
        "obs": lambda: lo.AnnData(square, obs=table),
        "var": lambda: lo.AnnData(square, var=table),
        "obsm": lambda: lo.AnnData(square, obsm={"table": table}),
        "varm": lambda: lo.AnnData(square, varm={"table": table}),
        "raw": lambda: lo.AnnData(square, raw={"X": square, "var": table}),
        "X": lambda: lo.AnnData(table),
    }[place]
    with pytest.raises(ValueError, match="2 levels"):
        make()
