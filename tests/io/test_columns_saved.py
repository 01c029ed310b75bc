"""A column that replaces one of equal values, and the order of columns that changed their names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo

ad = pytest.importorskip("anndata", reason="reads the result")

NAMES = pd.Index([f"n{i}" for i in range(4)])
COLUMNS = {
    "text": np.array(["a", "b", "c", "d"], object),
    "categories": pd.Categorical(["a", "b", "c", "d"]),
    "other order": pd.Categorical(["a", "b", "c", "d"], categories=["d", "c", "b", "a"]),
    "ordered": pd.Categorical(["a", "b", "c", "d"], ordered=True),
    "unused": pd.Categorical(["a", "b", "c", "d"], categories=list("abcde")),
    "ints": np.array([0, 1, 1, 0]),
    "short ints": np.array([0, 1, 1, 0], "i2"),
    "masked ints": pd.array([0, 1, 1, 0], dtype="Int64"),
    "categories of ints": pd.Categorical([0, 1, 1, 0]),
    "floats": np.array([0, 1, 1, 0], "f8"),
    "bools": np.array([False, True, True, False]),
    "masked bools": pd.array([False, True, True, False], dtype="boolean"),
}
ALIKE = [[*list(COLUMNS)[:5]], [*list(COLUMNS)[5:]]]
PLACES: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], None]]] = {
    "obs": (lambda a: a.obs, lambda a, table: setattr(a, "obs", table)),
    "var": (lambda a: a.var, lambda a, table: setattr(a, "var", table)),
    "obsm": (lambda a: a.obsm["t"], lambda a, table: a.obsm.__setitem__("t", table)),
    "uns": (lambda a: a.uns["t"], lambda a, table: a.uns.__setitem__("t", table)),
}


def written(path: Path, place: str, table: pd.DataFrame) -> None:
    made = ad.AnnData(np.ones((4, 4), "f4"), obs=pd.DataFrame(index=NAMES))
    made.var_names = NAMES
    PLACES[place][1](made, table)
    if path.suffix == ".h5mu":
        import mudata

        mudata.MuData({"one": made}).write(path)
    else:
        made.write_h5ad(path)


def opened(path: Path) -> tuple[Any, Any]:
    """Return what is saved, and the object that has the table."""
    whole = lo.read(path)
    return whole, (whole["one"] if path.suffix == ".h5mu" else whole)


@pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore:.*obs_names|.*var_names", "ignore:.*inplace keyword"
)
@pytest.mark.parametrize("read_before", [False, True])
@pytest.mark.parametrize("ending", ["h5ad", "h5mu"])
@pytest.mark.parametrize("place", PLACES)
def test_equal_values_of_another_type_are_saved(tmp_path, place, ending, read_before) -> None:
    get, put = PLACES[place]
    pairs = [(a, b) for kinds in ALIKE for a, b in zip(kinds, kinds[1:] + kinds[:1], strict=True)]
    pairs += [(new, old) for old, new in pairs]
    before = pd.DataFrame({f"{old} to {new}": COLUMNS[old] for old, new in pairs}, index=NAMES)
    after = pd.DataFrame({f"{old} to {new}": COLUMNS[new] for old, new in pairs}, index=NAMES)
    path, expected = tmp_path / f"x.{ending}", tmp_path / f"expected.{ending}"
    written(path, place, before)
    written(expected, place, after)
    whole, adata = opened(path)
    if read_before:
        get(adata)
    put(adata, after.copy())
    whole.write()
    for reread in (lo.read(path), _peer(path)):
        table = get(reread["one"] if ending == "h5mu" else reread)
        right = get(_peer(expected)["one"] if ending == "h5mu" else _peer(expected))
        assert list(table.columns) == list(right.columns)
        for column in right:
            assert _same(table[column].array, right[column].array), column


@pytest.mark.parametrize("read_before", [False, True])
@pytest.mark.parametrize("place", ["obs", "var"])
@pytest.mark.parametrize(
    ("change", "order"),
    [
        (lambda t: t.rename(columns={"a": "z"}), "zbc"),
        (lambda t: t.rename(columns={"b": "z"}), "azc"),
        (lambda t: t.rename(columns={"c": "z"}), "abz"),
        (lambda t: t.rename(columns={"a": "z", "b": "y"}), "zyc"),
        (lambda t: t.rename(columns={"a": "b", "b": "a"}), "bac"),
        (lambda t: t.assign(z=1)[list("zabc")], "zabc"),
        (lambda t: t.assign(z=1, y=1)[list("azby")], "azby"),
        (lambda t: t[["c", "a"]].assign(z=1), "caz"),
        (lambda t: t[[]].assign(z=1, y=1), "zy"),
    ],
)
def test_new_columns_stand_where_they_were_put(tmp_path, place, read_before, change, order) -> None:
    table = pd.DataFrame({name: np.full(4, k) for k, name in enumerate("abc")}, index=NAMES)
    path = tmp_path / "x.h5ad"
    written(path, place, table)
    _, adata = opened(path)
    if read_before:
        PLACES[place][0](adata)
    PLACES[place][1](adata, change(table))
    adata.write()
    for shown in (adata, lo.read_h5ad(path), ad.read_h5ad(path)):
        found = PLACES[place][0](shown)
        assert list(found.columns) == list(order)
        pd.testing.assert_frame_equal(found, change(table), check_index_type=False)


def _peer(path: Path) -> Any:
    if path.suffix == ".h5mu":
        import mudata

        return mudata.read(path)
    return ad.read_h5ad(path)


def _same(found: Any, right: Any) -> bool:
    if isinstance(right, pd.Categorical):
        same = isinstance(found, pd.Categorical) and found.ordered == right.ordered
        return (
            same and list(found.categories) == list(right.categories) and list(found) == list(right)
        )
    return found.dtype == right.dtype and list(found) == list(right)


@pytest.mark.parametrize("looked_at", [False, True])
@pytest.mark.parametrize("key", [slice(None), ..., slice(0, 4)], ids=str)
@pytest.mark.parametrize("place", ["obs", "var"])
def test_categories_that_a_selection_of_all_drops(tmp_path, place, key, looked_at) -> None:
    """What the object shows is what is saved, colours included."""
    path = tmp_path / "x.h5ad"
    kinds = pd.Categorical(["b", "a", "a", "b"], categories=["c", "a", "b"])
    written(path, place, pd.DataFrame({"kind": kinds}, index=NAMES))
    adata = lo.read_h5ad(path)
    adata.uns["kind_colors"] = ["red", "green", "blue"]
    adata.write()
    selected = lo.read_h5ad(path)[key]
    get = PLACES[place][0]
    if looked_at:
        assert list(get(selected)["kind"].cat.categories) == ["a", "b"]
        assert list(selected.uns["kind_colors"]) == ["green", "blue"]
    selected.write()
    for shown in (selected, lo.read_h5ad(path), ad.read_h5ad(path)):
        assert list(get(shown)["kind"].cat.categories) == ["a", "b"]
        assert list(shown.uns["kind_colors"]) == ["green", "blue"]
