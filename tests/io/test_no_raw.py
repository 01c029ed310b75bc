"""A raw that is a null or holds nothing, as other tools leave it, is no raw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import lazyomics as lo
from lazyomics.errors import FileFormatError

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")

pytestmark = pytest.mark.filterwarnings("ignore")


def small() -> Any:
    adata = ad.AnnData(np.arange(6, dtype="f4").reshape(3, 2))
    adata.obs["group"] = list("aba")
    return adata


def empty_group(group: h5py.Group) -> None:
    group.create_group("raw")


def marked_group(group: h5py.Group) -> None:
    group.create_group("raw").attrs.update({"encoding-type": "raw", "encoding-version": "0.1.0"})


def empty_members(group: h5py.Group) -> None:
    """What lazyomics made of an empty group once."""
    ad.io.write_elem(group, "raw", {"var": small().var.iloc[:0], "varm": {}})


def null(group: h5py.Group) -> None:
    ad.io.write_elem(group, "raw", None)


def nulls(group: h5py.Group) -> None:
    raw = group.create_group("raw")
    for name in ("X", "var", "varm"):
        ad.io.write_elem(raw, name, None)


def dotted_nulls(group: h5py.Group) -> None:
    for name in ("raw.X", "raw.var", "raw.varm"):
        group[name] = h5py.Empty("f")


ABSENT: dict[str, Callable[[h5py.Group], None]] = {
    made.__name__: made
    for made in (empty_group, marked_group, empty_members, null, nulls, dotted_nulls)
}


@pytest.fixture(params=["h5ad", "h5mu"])
def file_with(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Path]:
    """Makes a file with something in the place of raw, in a modality too."""

    def make(change: Callable[[h5py.Group], None]) -> Path:
        path = tmp_path / f"a.{request.param}"
        if request.param == "h5ad":
            small().write_h5ad(path)
        else:
            md = pytest.importorskip("mudata", reason="writes the file")
            md.MuData({"rna": small()}).write(path)
        with h5py.File(path, "r+") as file:
            group = file if request.param == "h5ad" else file["mod/rna"]
            if "raw" in group:
                del group["raw"]
            change(group)
        return path

    return make


def only(data: Any) -> Any:
    return data["rna"] if isinstance(data, lo.MuData) else data


def as_anndata_reads(path: Path) -> Any:
    if path.suffix == ".h5ad":
        return ad.read_h5ad(path)
    import mudata

    return mudata.read_h5mu(path)["rna"]


@pytest.mark.parametrize("kind", ABSENT)
def test_it_is_none(file_with: Callable[..., Path], kind: str, tmp_path: Path) -> None:
    path = file_with(ABSENT[kind])
    copy = tmp_path / f"copy{path.suffix}"
    for backed in (True, False):
        data = lo.read(path, backed=backed)
        assert only(data).raw is None
        assert only(data)[:2].raw is None
        assert only(data.to_memory()).raw is None
        data.write(copy)
        assert only(lo.read(copy)).raw is None
        assert as_anndata_reads(copy).raw is None
    if kind in ("empty_group", "marked_group", "null") and path.suffix == ".h5ad":
        assert ad.read_h5ad(path).raw is None


@pytest.mark.parametrize("kind", ABSENT)
def test_saves_leave_it_or_put_one_there(file_with: Callable[..., Path], kind: str) -> None:
    path = file_with(ABSENT[kind])
    data = lo.read(path)
    only(data).obs["more"] = range(3)
    data.write()
    assert only(data).raw is None
    only(data).raw = only(data)
    data.write()
    for opened in (data, lo.read(path)):
        assert only(opened).raw.shape == (3, 2)
        assert list(only(opened).obs["more"]) == [0, 1, 2]
    np.testing.assert_array_equal(as_anndata_reads(path).raw.X, small().X)


@pytest.mark.parametrize("part", ["uns", "obsm", "varm", "layers", "obsp", "varp", "X"])
def test_other_parts_may_be_nulls_too(file_with: Callable[..., Path], part: str) -> None:
    def change(group: h5py.Group) -> None:
        del group[part]
        ad.io.write_elem(group, part, None)

    adata = only(lo.read(file_with(change))).to_memory()
    assert getattr(adata, part) is None if part == "X" else not getattr(adata, part)


@pytest.mark.parametrize("how", ["write_elem", "write_dispatched"])
def test_whole_objects_written_by_anndata(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.h5ad"
    with h5py.File(path, "w") as file:
        if how == "write_elem":
            ad.io.write_elem(file, "/", small())
        else:
            ad.experimental.write_dispatched(
                file,
                "/",
                small(),
                callback=lambda write, store, key, value, *, dataset_kwargs, **_: write(
                    store, key, value, dataset_kwargs=dataset_kwargs
                ),
            )
    adata = lo.read_h5ad(path)
    assert adata.raw is None
    np.testing.assert_array_equal(adata.to_memory().X, small().X)


def test_two_of_them_are_refused(file_with: Callable[..., Path]) -> None:
    def both(group: h5py.Group) -> None:
        for name in ("raw/X", "raw.X"):
            group[name] = np.eye(3, 2)
        for name in ("raw/var", "raw.var"):
            group.copy("var", name)

    with pytest.raises(FileFormatError, match=r"/raw': expected one raw, found two"):
        lo.read(file_with(both))


def test_a_new_one_beside_nothing_of_the_old_layout(tmp_path: Path) -> None:
    """anndata takes the old one where the new group is empty."""
    path = tmp_path / "a.h5ad"
    small().write_h5ad(path)
    with h5py.File(path, "r+") as file:
        file.pop("raw", None)
        file.create_group("raw")
        file["raw.X"] = np.ones((3, 4))
        file["raw.var"] = np.array([(f"g{k}".encode(),) for k in range(4)], dtype=[("index", "S2")])
    assert list(lo.read_h5ad(path).raw.var_names) == list(ad.read_h5ad(path).raw.var_names)
