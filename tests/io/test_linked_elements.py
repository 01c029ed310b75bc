"""Names that lead to what a save replaces or deletes keep what they stand for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import lazyomics as lo
from lazyomics.errors import FileFormatError
from tests.io.odd_saves import N, ad, change, write

pytestmark = pytest.mark.filterwarnings("ignore")

PAIRS = {
    "obs": ("obs/n", "obs/alias"),
    "var": ("var/n", "var/alias"),
    "raw.var": ("raw/var/n", "raw/var/alias"),
    "index": ("obs/_index", "obs/alias"),
    "obs and uns": ("obs/n", "uns/alias"),
    "layers": ("layers/l", "layers/alias"),
    "layers and X": ("layers/l", "X"),
    "layers and raw": ("layers/l", "raw/X"),
    "obsm": ("obsm/e", "obsm/alias"),
    "obsm and uns": ("obsm/e", "uns/alias"),
    "a table": ("obsm/table", "obsm/alias"),
    "a column of a table": ("obsm/table/n", "obs/alias"),
    "obsp": ("obsp/p", "obsp/alias"),
    "varm": ("varm/e", "varm/alias"),
    "uns": ("uns/a", "uns/alias"),
    "all of a table": ("obs", "uns/alias"),
}


def hard(file: h5py.File, target: str, alias: str) -> None:
    file[alias] = file[target]


def soft(file: h5py.File, target: str, alias: str) -> None:
    file[alias] = h5py.SoftLink(f"/{target}")


def relative(file: h5py.File, target: str, alias: str) -> None:
    """HDF5 knows no "..": only what is beside or below can be named so."""
    place, _, key = target.rpartition("/")
    same = place == alias.rpartition("/")[0]
    file[alias] = h5py.SoftLink(f"./{key}" if same else f"/.//{target}")


def chained(file: h5py.File, target: str, alias: str) -> None:
    """By a link to the group that holds it, and one to that link."""
    parent, _, key = target.rpartition("/")
    file["uns/way"] = h5py.SoftLink(f"/{parent}")
    file["uns/half"] = h5py.SoftLink(f"/uns/way/{key}")
    file[alias] = h5py.SoftLink("/uns/half")


def own_name(file: h5py.File, target: str, alias: str) -> None:
    """A link to a file, which is this one: anndata follows it, lazyomics only when told to."""
    file[alias] = h5py.ExternalLink(Path(file.filename).name, f"/{target}")


LINKS = {f.__name__: f for f in (hard, soft, relative, chained, own_name)}


def add_link(path: Path, kind: str, target: str, alias: str) -> None:
    def work(file: h5py.File) -> None:
        if alias in file:
            del file[alias]
        LINKS[kind](file, target, alias)
        parent, _, column = alias.rpartition("/")
        if parent and "column-order" in file[parent].attrs:
            order = [*file[parent].attrs["column-order"], column]
            file[parent].attrs["column-order"] = np.array(order, h5py.string_dtype())

    change(path, work)


def delete(adata: Any, target: str) -> None:
    held, key = holder(adata, target)
    if key == "_index":
        held.index = [f"x{k}" for k in range(N)]
    else:
        del held[key]


def replace(adata: Any, target: str) -> None:
    held, key = holder(adata, target)
    if key == "_index":
        held.index = [f"x{k}" for k in range(N)]
    elif hasattr(held[key], "columns"):
        held[key] = held[key] * 2 + 1
    else:
        held[key] = np.asarray(held[key]) * 2 + 1


def rename_all(adata: Any, target: str) -> None:
    """Write the table as a whole."""
    adata.obs_names = [f"x{k}" for k in range(N)]
    del adata.obs["n"]


def holder(adata: Any, name: str) -> tuple[Any, str]:
    *parts, key = name.split("/")
    held: Any = getattr(adata, parts[0])
    for part in parts[1:]:
        held = held.var if part == "var" else held[part]
    return held, key


CASES = [
    *((pair, "soft", change) for pair in PAIRS for change in (delete, replace)),
    *(("obs", kind, delete) for kind in LINKS if kind != "own_name"),
    *(("obsm and uns", kind, replace) for kind in LINKS),
    *(("layers and X", kind, replace) for kind in LINKS if kind != "own_name"),
]


@pytest.mark.parametrize(
    ("pair", "kind", "work"), CASES, ids=lambda v: v if isinstance(v, str) else v.__name__
)
def test_other_names_keep_their_values(
    tmp_path: Path, pair: str, kind: str, work: Callable[[Any, str], None]
) -> None:
    path = write(tmp_path, "h5ad")
    target, alias = PAIRS[pair]
    with h5py.File(path, "r") as file:
        expected = ad.io.read_elem(file[target])
    add_link(path, kind, target, alias)
    adata = lo.read_h5ad(path)
    (rename_all if target == "obs" else work)(adata, target)
    adata.write()
    with h5py.File(path, "r") as file:
        found = ad.io.read_elem(file[alias])
        if not target.endswith("_index"):  # text, of which anndata 0.13 has two kinds
            assert type(found) is type(expected)
        assert np.array_equal(found, expected)
        if work is not replace and target != "obs" and not target.endswith("_index"):
            assert target not in file
    ad.read_h5ad(path)
    lo.read_h5ad(path).to_memory()


@pytest.mark.parametrize("kind", ["hard", "soft"])
@pytest.mark.parametrize(
    ("shared", "alias"), [("obs", "uns/obs"), ("obsm", "uns/obsm"), ("var", "raw/var")]
)
def test_groups_with_two_names_are_changed_under_one(
    tmp_path: Path, shared: str, alias: str, kind: str
) -> None:
    """Whichever of the names is the link."""
    path = write(tmp_path, "h5ad")

    def work(file: h5py.File) -> None:
        if alias in file:
            del file[alias]
        file.copy(shared, alias)
        del file[shared]
        LINKS[kind](file, alias, shared)

    change(path, work)
    with h5py.File(path, "r") as file:
        expected = ad.io.read_elem(file[alias])
    adata = lo.read_h5ad(path)
    held: Any = getattr(adata, shared)
    held["new"] = np.arange(N)
    del held["e" if shared == "obsm" else "n"]
    adata.write()
    with h5py.File(path, "r") as file:
        found = ad.io.read_elem(file[alias])
        assert set(found) == set(expected)
        assert set(ad.io.read_elem(file[shared])) == (set(expected) - {"e", "n"}) | {"new"} | (
            {"table"} if shared == "obsm" else set()
        )
    ad.read_h5ad(path)


@pytest.mark.parametrize("work", [delete, replace], ids=["delete", "replace"])
def test_the_whole_refers_to_a_modality(tmp_path: Path, work: Callable[[Any, str], None]) -> None:
    path = write(tmp_path, "h5mu")
    change(path, lambda file: soft(file, "mod/rna/obsm/e", "obsm/shared"))
    change(path, lambda file: soft(file, "mod/rna/X", "mod/adt/layers/shared"))
    mdata = lo.read_h5mu(path)
    work(mdata["rna"], "obsm/e")
    mdata.write()
    np.testing.assert_array_equal(lo.read_h5mu(path).obsm["shared"], np.eye(N, 2))
    mdata = lo.read_h5mu(path)
    del mdata.mod["rna"]
    mdata.update()
    mdata.write(remove_modalities=True)
    found = lo.read_h5mu(path)["adt"].layers["shared"].compute()
    np.testing.assert_array_equal(found, np.arange(N * N).reshape(N, N))


@pytest.mark.parametrize("target", ["nothing", "uns/lost"])
def test_a_link_that_leads_nowhere_is_named(tmp_path: Path, target: str) -> None:
    path = write(tmp_path, "h5ad")
    change(path, lambda file: soft(file, target, "uns/lost"))
    before, adata = path.read_bytes(), lo.read_h5ad(path)
    adata.uns["lost"] = np.eye(N)
    with pytest.raises(FileFormatError, match="'/uns/lost'"):
        adata.write()
    assert path.read_bytes() == before
    adata = lo.read_h5ad(path)
    adata.obs["new"] = 1  # what is beside it can be saved
    del adata.obs["n"]
    adata.write()
    assert list(lo.read_h5ad(path).obs) == ["text", "new"]
