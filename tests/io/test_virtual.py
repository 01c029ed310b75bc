"""Datasets made of others, and links: read, copied with their values, refused in a circle."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
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
N = 4
DATASETS = {
    "X": "dense",
    "X/data": "csr",
    "X/indptr": "csc",
    "layers/l": "dense",
    "layers/l/indices": "csr",
    "raw/X/data": "csr",
    "raw/var/_index": "csr",
    "obs/_index": "csr",
    "obs/n": "csr",
    "obs/g/codes": "csr",
    "obs/maybe/mask": "csr",
    "var/_index": "csr",
    "obsm/e": "csr",
    "obsm/table/u": "csr",
    "varm/e": "csr",
    "obsp/s/data": "csr",
    "uns/deep/x": "csr",
}


def write(path: Path, x: str) -> None:
    rng = np.random.default_rng(0)
    matrix = sp.random(N, N, 0.9, format="csr", dtype="f4", random_state=0)
    matrix = matrix.toarray() if x == "dense" else matrix.asformat(x)
    adata = ad.AnnData(matrix)
    adata.obs["n"] = rng.integers(0, 9, N)
    adata.obs["g"] = pd.Categorical(list("abab"))
    adata.obs["maybe"] = pd.array([1, None, 2, 3], dtype="Int64")
    adata.raw = adata
    adata.layers["l"] = matrix
    adata.obsm["e"], adata.varm["e"] = rng.random((N, 2)), rng.random((N, 2))
    adata.obsm["table"] = pd.DataFrame({"u": range(N)}, index=adata.obs_names)
    adata.obsp["s"] = sp.random(N, N, 0.5, format="csr", random_state=0)
    adata.uns["deep"] = {"x": np.arange(3)}
    adata.write_h5ad(path)


def replace(file: h5py.File, name: str, sources: list[tuple[str, str]]) -> None:
    """Make a dataset of others: each a file and a name, all of its own shape."""
    old = file[name]
    shape, dtype, attributes = old.shape, old.dtype, dict(old.attrs)
    del file[name]
    layout = h5py.VirtualLayout(shape, dtype)
    for source, member in sources:
        layout[...] = h5py.VirtualSource(source, member, shape, dtype)
    file.create_virtual_dataset(name, layout)
    file[name].attrs.update(attributes)


def virtual(file: h5py.File, name: str) -> None:
    file.copy(name, f"elsewhere/{name}")
    replace(file, name, [(".", f"elsewhere/{name}")])


def linked(file: h5py.File, name: str) -> None:
    file.move(name, f"elsewhere/{name}")
    file[name] = h5py.SoftLink(f"/elsewhere/{name}")


def soft_link_to_group(file: h5py.File, name: str) -> None:
    linked(file, name.rpartition("/")[0] or name)


@pytest.mark.parametrize("change", [virtual, linked, soft_link_to_group])
@pytest.mark.parametrize("name", DATASETS)
def test_copies_hold_the_values(
    tmp_path: Path, name: str, change: Callable[[h5py.File, str], None]
) -> None:
    path, copy = tmp_path / "a.h5ad", tmp_path / "copy.h5ad"
    write(path, DATASETS[name])
    expected = ad.read_h5ad(path)
    with h5py.File(path, "r+") as file:
        if change is virtual and (
            isinstance(file[name], h5py.Group) or h5py.check_string_dtype(file[name].dtype)
        ):
            pytest.skip("HDF5 makes no virtual datasets of text")
        change(file, name)
    lo.read_h5ad(path).write_h5ad(copy)
    path.unlink()
    assert_same_anndata(ad.read_h5ad(copy), expected)
    assert_same_anndata(lo.read_h5ad(copy).to_anndata(), expected)


def itself(file: h5py.File, name: str) -> None:
    replace(file, name, [(".", name)])


def itself_by_another_name(file: h5py.File, name: str) -> None:
    file["alias"] = h5py.SoftLink(f"/{name}")
    replace(file, name, [(".", "//./alias")])


def itself_by_file(file: h5py.File, name: str) -> None:
    replace(file, name, [(Path(file.filename).name, name)])


def circle(file: h5py.File, name: str) -> None:
    file.copy(name, "one")
    file.copy(name, "two")
    replace(file, "one", [(".", "two")])
    replace(file, "two", [(".", name)])
    replace(file, name, [(".", "one")])


def pattern(file: h5py.File, name: str) -> None:
    """HDF5 puts the numbers of blocks in the place of %b."""
    file.move(name, f"{name}0")
    old = file[f"{name}0"]
    block, unlimited = old.shape, h5py.h5s.UNLIMITED
    most, counts = (unlimited, *block[1:]), (unlimited, *[1] * (len(block) - 1))
    space = h5py.h5s.create_simple(block, most)
    space.select_hyperslab((0,) * len(block), counts, stride=block, block=block)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    part = f"{name}%b".encode()
    plist.set_virtual(space, b".", part, h5py.h5s.create_simple(block))
    made = h5py.h5s.create_simple(block, most)
    h5py.h5d.create(file.id, name.encode(), old.id.get_type(), made, plist)
    file[name].attrs.update(dict(old.attrs))


def chain(file: h5py.File, name: str) -> None:
    for k in range(40):
        file.copy(name, f"part{k}")
    for k in range(39):
        replace(file, f"part{k}", [(".", f"part{k + 1}")])
    replace(file, name, [(".", "part0")])


def many_times(file: h5py.File, name: str) -> None:
    """Few datasets of which HDF5 would read 8**12."""
    for k in range(13):
        file.copy(name, f"part{k}")
    for k in range(12):
        replace(file, f"part{k}", [(".", f"part{k + 1}")] * 8)
    replace(file, name, [(".", "part0")])


def nothing(file: h5py.File, name: str) -> None:
    """Of which HDF5 would show fill values."""
    replace(file, name, [(".", "missing")])


def a_group(file: h5py.File, name: str) -> None:
    replace(file, name, [(".", "obs")])


REFUSED = {
    itself: "values of itself",
    itself_by_another_name: "values of itself",
    itself_by_file: "values of itself|in other files",
    circle: "values of itself",
    pattern: "a pattern",
    chain: "at most 16 virtual datasets",
    many_times: "at most 65536 parts",
    nothing: "'?/missing'?: expected a group or dataset",
    a_group: "as part of another",
}
READ = """
import sys, dask, lazyomics as lo
from lazyomics.errors import FileFormatError
dask.config.set({"lazyomics.external-files": sys.argv[1] == "True"})
for path in sys.argv[2:]:
    for read in (lambda: lo.read_h5ad(path).to_memory(),
                 lambda: lo.read_h5ad(path).write_h5ad(path + ".copy"),
                 lambda: lo.read_h5ad(path)[:2].to_memory()):
        try:
            read()
            print("read")
        except FileFormatError as error:
            print(error, flush=True)
"""


@pytest.mark.parametrize("outside", [False, True], ids=["", "other files allowed"])
def test_circles_are_refused(tmp_path: Path, outside: bool) -> None:
    """In a process of its own: HDF5 would end it."""
    paths, expected = [], []
    for change, message in REFUSED.items():
        names = [n for n, x in DATASETS.items() if x == "csr" and not n.endswith("_index")]
        for name in ["X", *names] if change is itself else ["X", "obsm/e", "obs/n"]:
            path = tmp_path / f"{len(paths)}.h5ad"
            write(path, DATASETS[name])
            with h5py.File(path, "r+") as file:
                change(file, name)
            paths.append(path)
            expected.append(message)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(outside), *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 3 * len(paths), done.stderr
    for k, line in enumerate(lines):
        assert re.search(expected[k // 3], line), (paths[k // 3], line)


def test_circles_through_other_files_are_refused(tmp_path: Path) -> None:
    path, other = tmp_path / "a.h5ad", tmp_path / "b.h5"
    write(path, "csr")
    with h5py.File(path) as source, h5py.File(other, "w") as file:
        source.copy("obsm/e", file, "back")
        replace(file, "back", [("a.h5ad", "obsm/e")])
    with h5py.File(path, "r+") as file:
        replace(file, "obsm/e", [("b.h5", "back")])
    with dask.config.set({"lazyomics.external-files": True}):
        adata = lo.read_h5ad(path)
        with pytest.raises(FileFormatError, match="values of itself"):
            adata.obsm["e"]


def test_parts_in_other_files_are_read_where_that_is_allowed(tmp_path: Path) -> None:
    path, other = tmp_path / "a.h5ad", tmp_path / "b.h5"
    write(path, "csr")
    with h5py.File(path, "r+") as file, h5py.File(other, "w") as target:
        expected = file["obsm/e"][()]
        file.copy("obsm/e", target, "values")
        replace(file, "obsm/e", [("b.h5", "values")])
    with pytest.raises(FileFormatError, match="values in other files"):
        lo.read_h5ad(path).obsm["e"]
    with dask.config.set({"lazyomics.external-files": True}):
        np.testing.assert_array_equal(lo.read_h5ad(path).obsm["e"], expected)
        lo.read_h5ad(path).write_h5ad(tmp_path / "copy.h5ad")
    other.unlink()
    np.testing.assert_array_equal(lo.read_h5ad(tmp_path / "copy.h5ad").obsm["e"], expected)


@pytest.mark.parametrize("change", [virtual, linked])
def test_elements_of_unknown_encodings_are_not_copied_without_their_values(
    tmp_path: Path, change: Callable[[h5py.File, str], None]
) -> None:
    path = tmp_path / "a.h5ad"
    write(path, "csr")
    with h5py.File(path, "r+") as file:
        change(file, "uns/deep/x")
        file["uns/deep"].attrs["encoding-type"] = "new"
    adata: Any = lo.read_h5ad(path)
    with pytest.raises(FileFormatError, match="/uns/deep': expected an element that can be copied"):
        adata.write_h5ad(tmp_path / "copy.h5ad")
    assert not (tmp_path / "copy.h5ad").exists()
