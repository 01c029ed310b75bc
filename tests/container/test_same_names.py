"""Objects have the names of anndata's and mudata's; what is missing is in docs/anndata.md."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import lazyomics as lo
from lazyomics.container import Raw

anndata = pytest.importorskip("anndata", reason="anndata is the reference of these tests")
mudata = pytest.importorskip("mudata", reason="mudata is the reference of these tests")
scanpy = pytest.importorskip("scanpy", reason="scanpy is the reference of these tests")

PAGE = Path(__file__).parents[2] / "docs" / "anndata.md"
ROW = re.compile(r"^\| `([\w.]+(?:\(\w+\))?)` \|", re.MULTILINE)

CLASSES = {
    "AnnData": (anndata.AnnData, lo.AnnData),
    "Raw": (anndata.Raw, Raw),
    "MuData": (mudata.MuData, lo.MuData),
    "AlignedMapping": tuple(type(m.AnnData(shape=(1, 1)).obsm) for m in (anndata, lo)),
}
FUNCTIONS = {
    "concat": [anndata.concat, mudata.concat],
    "read": [scanpy.read, mudata.read],
    "read_10x_h5": [scanpy.read_10x_h5],
    "read_h5ad": [anndata.read_h5ad, mudata.read_h5ad],
    "read_h5mu": [mudata.read_h5mu],
    "write": [mudata.write],
    "write_h5ad": [mudata.write_h5ad],
    "write_h5mu": [mudata.write_h5mu],
}
# anndata's mapping is made by its object only
NOT_CALLED = {"AlignedMapping.__init__"}


def listed() -> set[str]:
    """Names in the first table of the page."""
    text = PAGE.read_text(encoding="utf-8")
    return set(ROW.findall(text[: text.index("## What differs by intention")]))


def parameters(function: Any) -> dict[str, inspect.Parameter]:
    found = inspect.signature(function).parameters
    stars = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {name: p for name, p in found.items() if p.kind not in stars}


def missing_parameters(name: str, theirs: Any, ours: Any) -> set[str]:
    mine = parameters(ours)
    return {f"{name}({p})" for p in parameters(theirs) if p not in mine}


def missing(label: str, theirs: type, ours: type) -> set[str]:
    found = set()
    for name in [*(n for n in dir(theirs) if not n.startswith("_")), "__init__"]:
        full = f"{label}.{name}"
        if not hasattr(ours, name):
            found.add(full)
            continue
        a, b = (inspect.getattr_static(kind, name) for kind in (theirs, ours))
        if isinstance(a, property):
            assert hasattr(b, "fget"), full
            assert b.fset or not a.fset, f"{full} cannot be assigned"
            assert b.fdel or not a.fdel, f"{full} cannot be deleted"
        elif callable(getattr(theirs, name)) and full not in NOT_CALLED:
            found |= missing_parameters(full, getattr(theirs, name), getattr(ours, name))
    return found


def all_missing() -> set[str]:
    found = set()
    for label, kinds in CLASSES.items():
        found |= missing(label, *kinds)
    for name, references in FUNCTIONS.items():
        for reference in references:
            found |= missing_parameters(name, reference, getattr(lo, name))
    return found


def test_names_that_are_missing_are_listed_with_the_reason() -> None:
    found = all_missing()
    assert found <= listed()
    of_other_versions = {
        "AnnData.__init__(dtype)",
        "AnnData.unwriteable",
        "AnnData.write_zarr(consolidate_metadata)",
    }
    assert listed() - found <= of_other_versions


@pytest.mark.parametrize("label", CLASSES)
def test_parameters_are_in_the_same_order(label) -> None:
    theirs, ours = CLASSES[label]
    for name in (n for n in dir(theirs) if not n.startswith("_") and hasattr(ours, n)):
        if not inspect.isfunction(inspect.getattr_static(ours, name)):
            continue
        mine, same = parameters(getattr(ours, name)), parameters(getattr(theirs, name))
        by_place = [n for n, p in same.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        wanted = [n for n in by_place if n in mine]
        assert [n for n in mine if n in wanted] == wanted, name
        for parameter in wanted:
            kind = mine[parameter].kind
            assert kind is not inspect.Parameter.KEYWORD_ONLY, (name, parameter)


def test_parts_can_be_deleted() -> None:
    adata, mdata = lo.AnnData(shape=(2, 2)), lo.MuData({"a": lo.AnnData(shape=(2, 2))})
    for part in ("X", "layers", "obs", "var", "uns", "obsm", "varm", "obsp", "varp", "raw"):
        delattr(adata, part)
    for part in ("uns", "obsm", "varm", "obsp", "varp"):
        delattr(mdata, part)
    assert adata.shape == mdata.shape == (2, 2)
