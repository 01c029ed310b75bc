"""An AnnData in uns: read as one, written as anndata writes it, damaged ones named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import FileFormatError
from tests.comparing import assert_same_anndata

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")

pytestmark = pytest.mark.filterwarnings("ignore")


def plain(n: int = 3) -> Any:
    return ad.AnnData(np.arange(n * n, dtype="f4").reshape(n, n))


def full() -> Any:
    adata = plain(4)
    adata.X = sp.csr_matrix(adata.X)
    adata.obs["kind"] = pd.Categorical(list("abab"))
    adata.obs["maybe"] = pd.array([1, None, 2, 3], dtype="Int64")
    adata.var_names = list("wxyz")
    adata.raw = adata
    adata.layers["l"] = adata.X.tocsc()
    adata.obsm["e"] = np.eye(4)
    adata.obsm["table"] = pd.DataFrame({"u": range(4)}, index=adata.obs_names)
    adata.varp["p"] = sp.eye(4, format="csr")
    adata.uns["deep"] = {"x": np.arange(3), "none": None, "inner": plain(2)}
    return adata


def without_x() -> Any:
    tables = {"obs": pd.DataFrame({"n": [1, 2]}, list("ab")), "var": pd.DataFrame(index=["x"])}
    return ad.AnnData(**tables)


OBJECTS = {made.__name__: made for made in (plain, full, without_x)}


def held_by(data: Any) -> Any:
    return data.uns["deep"]["inner"]


def put(data: Any, inner: Any) -> Any:
    data.uns["deep"] = {"inner": inner}
    data.uns["at the top"] = inner
    return data


@pytest.fixture(params=["h5ad", "modality", "h5mu"])
def outer(request: pytest.FixtureRequest) -> Callable[[Any], tuple[Any, str, Callable[..., Any]]]:
    """Makes an object of scverse that holds a value, the name of its file, and finds the holder."""

    def make(inner: Any) -> tuple[Any, str, Callable[..., Any]]:
        if request.param == "h5ad":
            return put(plain(), inner), "a.h5ad", lambda data: data
        md = pytest.importorskip("mudata", reason="writes the file")
        if request.param == "modality":
            data = md.MuData({"rna": put(plain(), inner)})
            return data, "a.h5mu", lambda data: data["rna"]
        return put(md.MuData({"rna": plain()}), inner), "a.h5mu", lambda data: data

    return make


def reads(path: Path) -> Any:
    if path.suffix == ".h5ad":
        return ad.read_h5ad(path)
    import mudata

    return mudata.read_h5mu(path)


@pytest.mark.parametrize("kind", OBJECTS)
def test_read_and_written(outer: Any, kind: str, tmp_path: Path) -> None:
    expected = OBJECTS[kind]()
    data, name, holder = outer(expected)
    path, copy, changed = tmp_path / name, tmp_path / f"copy_{name}", tmp_path / f"changed_{name}"
    data.write(path)
    opened = lo.read(path)
    opened.write(copy)  # nobody looked at it
    for found in (opened, opened.to_memory(), lo.read(path, backed=False), lo.read(copy)):
        inner = held_by(holder(found))
        assert type(inner) is lo.AnnData
        assert_same_anndata(inner.to_anndata(), expected)
        assert_same_anndata(holder(found).uns["at the top"].to_anndata(), expected)
    assert_same_anndata(held_by(holder(reads(copy))), expected)
    held_by(holder(opened)).obs["new"] = 1
    opened.write(changed)
    expected.obs["new"] = 1
    assert_same_anndata(held_by(holder(reads(changed))), expected)


@pytest.mark.parametrize("kind", OBJECTS)
def test_saved_in_place(outer: Any, kind: str, tmp_path: Path) -> None:
    expected = OBJECTS[kind]()
    data, name, holder = outer(expected)
    path = tmp_path / name
    data.write(path)
    before = path.read_bytes()
    opened = lo.read(path)
    held_by(holder(opened))
    opened.write()
    assert path.read_bytes() == before
    held_by(holder(opened)).obs["new"] = expected.obs["new"] = 1
    opened.write()
    assert_same_anndata(held_by(holder(reads(path))), expected)
    assert_same_anndata(held_by(holder(lo.read(path))).to_anndata(), expected)


@pytest.mark.parametrize("package", [lo, ad], ids=["ours", "anndata's"])
@pytest.mark.parametrize("kind", OBJECTS)
@pytest.mark.parametrize("saving", ["in place", "new file"])
def test_assigned(tmp_path: Path, package: Any, kind: str, saving: str) -> None:
    path, other = tmp_path / "a.h5ad", tmp_path / "b.h5ad"
    plain().write_h5ad(path)
    expected = OBJECTS[kind]()
    adata = lo.read_h5ad(path)
    put(adata, expected if package is ad else lo.AnnData.from_anndata(expected))
    for copied in (adata[:2], adata.copy(), adata.to_memory()):
        assert held_by(copied).shape == expected.shape
    assert_same_anndata(held_by(adata.to_anndata()), expected)
    assert type(held_by(lo.AnnData.from_anndata(adata.to_anndata()))) is lo.AnnData
    adata.write(other if saving == "new file" else None)
    target = other if saving == "new file" else path
    assert_same_anndata(held_by(ad.read_h5ad(target)), expected)
    assert_same_anndata(ad.read_h5ad(target).uns["at the top"], expected)
    assert_same_anndata(held_by(lo.read_h5ad(target)).to_anndata(), expected)


@pytest.mark.parametrize("saving", ["in place", "new file"])
def test_lazy_ones_of_the_same_file(tmp_path: Path, saving: str) -> None:
    path, other = tmp_path / "a.h5ad", tmp_path / "b.h5ad"
    full().write_h5ad(path)
    adata, expected = lo.read_h5ad(path), ad.read_h5ad(path)
    adata.uns["before"] = {"all": lo.read_h5ad(path), "some": lo.read_h5ad(path)[[2, 0]]}
    adata.write(other if saving == "new file" else None)
    found = ad.read_h5ad(other if saving == "new file" else path).uns["before"]
    assert_same_anndata(found["all"], expected)
    np.testing.assert_array_equal(found["some"].X.toarray(), expected[[2, 0]].X.toarray())


def test_to_and_from_mudata() -> None:
    md = pytest.importorskip("mudata", reason="is the other object")
    mdata = put(lo.MuData({"rna": lo.AnnData(np.eye(3))}), lo.AnnData(np.eye(2)))
    assert type(held_by(mdata.to_mudata())) is ad.AnnData
    assert type(held_by(lo.MuData.from_mudata(put(md.MuData({"rna": plain()}), plain())))) is (
        lo.AnnData
    )


@pytest.mark.parametrize("saving", ["in place", "new file"])
@pytest.mark.parametrize("kind", ["itself", "MuData", "part of it"])
def test_what_cannot_be_written_is_named(tmp_path: Path, kind: str, saving: str) -> None:
    path, other = tmp_path / "a.h5ad", tmp_path / "b.h5ad"
    plain().write_h5ad(path)
    before, adata = path.read_bytes(), lo.read_h5ad(path)
    inner: Any = lo.AnnData(np.eye(2))
    if kind == "itself":
        inner.uns["again"] = inner
    elif kind == "part of it":
        inner.uns["again"] = {1, 2}
    else:
        inner = lo.MuData({"rna": inner})
    adata.uns["inner"] = inner
    message = "MuData.*modalities" if kind == "MuData" else "/uns/inner/uns/again"
    with pytest.raises(TypeError, match=message):
        adata.write(other if saving == "new file" else None)
    assert path.read_bytes() == before
    assert not other.exists()


DAMAGE: dict[str, tuple[Callable[[h5py.Group], None], str]] = {
    "shape of obsm": (lambda g: replace(g, "obsm/e", np.eye(3)), "obsm"),
    "shape of X": (lambda g: replace(g, "layers/l", np.eye(3)), "layers"),
    "no column": (lambda g: g["obs"].__delitem__("kind"), "/obs/kind"),
    "missing name": (lambda g: replace(g, "obs/_index", np.array([1, np.nan, 2, 3])), "obs/_index"),
    "link to itself": (lambda g: g["uns"].__setitem__("loop", g), "a link back to a parent"),
    "link to above": (lambda g: g["uns"].__setitem__("loop", g.parent), "link back to a parent"),
    "soft link": (lambda g: g["uns"].__setitem__("loop", h5py.SoftLink("/uns/inner")), "link back"),
    "dataset": (lambda g: replace(g.parent, "inner/obs", np.eye(3)), "/uns/inner/obs"),
    "obsm of another": (lambda g: replace(g, "obsm", 3), "/uns/inner/obsm"),
}


def replace(group: h5py.Group, name: str, value: Any) -> None:
    attributes = dict(group[name].attrs)
    del group[name]
    group[name] = value
    if isinstance(value, np.ndarray):
        attributes = {"encoding-type": "array", "encoding-version": "0.2.0"}
    group[name].attrs.update(attributes)


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.h5ad"
    outer = plain()
    outer.uns["inner"] = full()
    outer.write_h5ad(path)
    change, message = DAMAGE[kind]
    with h5py.File(path, "r+") as file:
        change(file["uns/inner"])
    adata = lo.read_h5ad(path)
    assert adata.shape == (3, 3)
    with pytest.raises(FileFormatError, match=message):
        adata.uns["inner"]


def test_links_that_multiply_are_stopped(tmp_path: Path) -> None:
    """A small file that is a tree of 2**40 objects."""
    path = tmp_path / "a.h5ad"
    plain().write_h5ad(path)
    with h5py.File(path, "r+") as file:
        ad.io.write_elem(file["uns"], "level0", plain(2))
        for k in range(40):
            ad.io.write_elem(file["uns"], f"level{k + 1}", plain(2))
            for name in ("one", "two"):
                file[f"uns/level{k + 1}/uns/{name}"] = file[f"uns/level{k}"]
    with pytest.raises(FileFormatError, match=r"links to groups|recursion"):
        lo.read_h5ad(path).uns["level40"]


def test_other_places_hold_none(tmp_path: Path) -> None:
    path = tmp_path / "a.h5ad"
    full().write_h5ad(path)
    with h5py.File(path, "r+") as file:
        del file["obsm/e"], file["obs/kind"]
        ad.io.write_elem(file["obsm"], "e", plain(4))
        ad.io.write_elem(file["obs"], "kind", plain(4))
    adata = lo.read_h5ad(path)
    for use in (lambda: adata.obsm["e"], lambda: adata.obs):
        with pytest.raises((FileFormatError, NotImplementedError, lo.errors.ShapeError)):
            use()


@pytest.mark.parametrize("both", [False, True])
def test_changes_of_others(tmp_path: Path, both: bool) -> None:
    """An AnnData in uns is one value in a merge: taken as a whole, or a conflict."""
    path = tmp_path / "a.h5ad"
    outer = plain()
    outer.uns["deep"] = {"inner": full(), "beside": 1}
    outer.write_h5ad(path)
    mine, other = lo.read_h5ad(path), lo.read_h5ad(path)
    held_by(mine)
    held_by(other).obs["theirs"] = 1
    other.write()
    mine.uns["deep"]["beside"] = 2
    if both:
        held_by(mine).X[0, 0] = 50
        with pytest.raises(lo.errors.ConflictError, match="uns/deep/inner"):
            mine.write()
        mine.write(on_conflict="mine")
    else:
        mine.write()
    found = ad.read_h5ad(path)
    assert ("theirs" in held_by(found).obs) is not both
    assert ("theirs" in held_by(mine).obs) is not both
    assert held_by(found).X[0, 0] == (50 if both else 0)
    assert found.uns["deep"]["beside"] == 2


@pytest.mark.parametrize("saving", ["repacked", "copied", "replaced"])
def test_other_ways(tmp_path: Path, saving: str) -> None:
    path, copy = tmp_path / "a.h5ad", tmp_path / "copy.h5ad"
    put(plain(), full()).write_h5ad(path)
    adata = lo.read_h5ad(path)
    if saving == "repacked":
        lo.repack(path)
    elif saving == "copied":
        adata.copy(filename=copy)
        path = copy
    else:
        adata.X = adata.X * 2
        adata.write(overwrite_x=True)
    assert_same_anndata(held_by(ad.read_h5ad(path)), full())
    assert_same_anndata(held_by(lo.read_h5ad(path)).to_anndata(), full())
