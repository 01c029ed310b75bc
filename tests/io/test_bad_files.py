"""Damaged and hostile files end in an error that names the element: no crash, no huge memory."""

from __future__ import annotations

import os
import subprocess
import sys

import dask
import h5py
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import FileFormatError, LazyomicsError
from tests.container.reference import reference
from tests.peaks import PEAK

ad = pytest.importorskip("anndata", reason="anndata writes the files of these tests")

HUGE = 10**12


def use_everything(path) -> None:
    """Open a file and read each of its parts."""
    adata = lo.read_h5ad(path)
    repr(adata)
    adata.to_memory()


@pytest.fixture
def change(one_file):
    """Open the reference file to spoil it; returns its path."""

    def spoil(action):
        with h5py.File(one_file, "r+") as file:
            action(file)
        return one_file

    return spoil


def soft_to_itself(name):
    def action(file) -> None:
        del file[name]
        file[name] = h5py.SoftLink(f"/{name}")

    return action


@pytest.mark.parametrize("name", ["obs", "var", "X", "uns", "obsm", "layers", "raw", "obsm/X_pca"])
def test_soft_links_in_a_circle(change, name) -> None:
    path = change(soft_to_itself(name))
    with pytest.raises(FileFormatError, match=name):
        use_everything(path)


@pytest.mark.parametrize("name", ["obs/kind", "X/data", "X/indptr", "uns/deep", "raw/X", "raw/var"])
def test_links_that_lead_nowhere(change, name) -> None:
    def action(file) -> None:
        del file[name]
        file[name] = h5py.SoftLink("/nothing/there")

    path = change(action)
    with pytest.raises(FileFormatError, match=name.split("/")[-1]):
        use_everything(path)


def test_a_group_inside_itself(change, tmp_path) -> None:
    def action(file) -> None:
        file["uns/deep/again"] = file["uns"]

    path = change(action)
    with pytest.raises(FileFormatError, match="back to a parent"):
        use_everything(path)
    adata = lo.read_h5ad(path)
    assert adata.nbytes > 0
    with pytest.raises(FileFormatError, match="back to a parent"):
        adata.write_h5ad(tmp_path / "copy.h5ad")
    assert not (tmp_path / "copy.h5ad").exists()


@pytest.mark.parametrize("name", ["obs", "layers", "X", "varm"])
def test_a_root_inside_itself(change, name) -> None:
    def action(file) -> None:
        del file[name]
        file[name] = file["/"]

    path = change(action)
    with pytest.raises(LazyomicsError, match=name):
        use_everything(path)


@pytest.mark.parametrize(
    "name", ["obs", "var", "X", "uns", "obsm", "raw", "layers/counts", "X/data", "raw/X", "obs/n"]
)
def test_links_to_other_files(change, tmp_path, name) -> None:
    other = tmp_path / "other.h5ad"
    reference().write_h5ad(other)

    def action(file) -> None:
        del file[name]
        file[name] = h5py.ExternalLink(str(other), f"/{name}")

    path = change(action)
    with pytest.raises(FileFormatError, match=rf"{name}.*other\.h5ad.*external-files"):
        use_everything(path)
    with dask.config.set({"lazyomics.external-files": True}):
        use_everything(path)


def test_a_soft_link_by_way_of_another_file(change, tmp_path) -> None:
    other = tmp_path / "other.h5ad"
    reference().write_h5ad(other)

    def action(file) -> None:
        file["away"] = h5py.ExternalLink(str(other), "/")
        del file["X"]
        file["X"] = h5py.SoftLink("/away/X")

    path = change(action)
    with pytest.raises(FileFormatError, match=r"X.*other\.h5ad.*external-files"):
        use_everything(path)


@pytest.mark.parametrize("name", ["X/data", "X/indices", "X/indptr", "layers/dense", "obs/n"])
def test_virtual_datasets_over_other_files(change, tmp_path, name) -> None:
    other = tmp_path / "other.h5ad"
    reference().write_h5ad(other)

    def action(file) -> None:
        old = file[name]
        layout = h5py.VirtualLayout(shape=old.shape, dtype=old.dtype)
        layout[...] = h5py.VirtualSource(str(other), name, shape=old.shape)
        attributes = dict(old.attrs)
        del file[name]
        made = file.create_virtual_dataset(name, layout)
        made.attrs.update(attributes)

    path = change(action)
    with pytest.raises(FileFormatError, match=rf"{name}.*other files.*external-files"):
        use_everything(path)
    with dask.config.set({"lazyomics.external-files": True}):
        values = lo.read_h5ad(path).to_memory()
    np.testing.assert_array_equal(values.X.toarray(), reference().X.toarray())


def test_raw_data_in_another_file(change, tmp_path) -> None:
    def action(file) -> None:
        del file["layers/dense"]
        place = [(str(tmp_path / "values.bin"), 0, h5py.h5f.UNLIMITED)]
        made = file.create_dataset("layers/dense", (30, 12), "float32", external=place)
        made.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})

    path = change(action)
    with pytest.raises(FileFormatError, match=r"layers/dense.*other files"):
        use_everything(path)


def resize(name, length):
    def action(file) -> None:
        old = file[name]
        if isinstance(old, h5py.Group):  # text with a mask
            for part in list(old):
                resize(f"{name}/{part}", length)(file)
            return
        values, attributes = old[:], dict(old.attrs)
        del file[name]
        file[name] = np.resize(values, length)
        file[name].attrs.update(attributes)

    return action


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("obs/_index", r"X.*shape \(29, 12\)"),
        ("obs/n", r"obs/n.*30 values.*29"),
        ("obs/kind/codes", r"obs/kind.*30 values.*29"),
        ("var/_index", r"X.*shape \(30, 29\)"),
        ("obsm/X_pca", r"obsm\['X_pca'\]"),
        ("obsp/connectivities/data", r"obsp/connectivities"),
        ("raw/var/_index", r"raw/X.*shape \(30, 29\)"),
    ],
)
def test_names_and_columns_of_the_wrong_length(change, name, message) -> None:
    path = change(resize(name, (29, 4) if "pca" in name else 29))
    with pytest.raises(ValueError, match=message):
        use_everything(path)


def huge_dataset(file, name, shape, dtype) -> None:
    attributes = dict(file[name].attrs) if name in file else {}
    if name in file:
        del file[name]
    chunks = (1 << 16,) * len(shape) if len(shape) == 1 else (8, 8)
    made = file.create_dataset(name, shape, dtype, chunks=chunks)
    made.attrs.update(attributes)


def huge_names(file) -> None:
    huge_dataset(file, "obs/_index", (HUGE,), h5py.string_dtype())


def huge_names_and_sparse(file) -> None:
    huge_names(file)
    file["X"].attrs["shape"] = np.array([HUGE, 12])


def huge_sparse(file) -> None:
    huge_names_and_sparse(file)
    huge_dataset(file, "X/indptr", (HUGE + 1,), "int64")


def huge_values(file) -> None:
    huge_dataset(file, "X/data", (HUGE,), "float32")
    huge_dataset(file, "X/indices", (HUGE,), "int32")


def huge_dense(file) -> None:
    huge_names(file)
    del file["X"]
    huge_dataset(file, "X", (HUGE, 12), "float32")
    file["X"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})


def huge_column(file) -> None:
    huge_dataset(file, "obs/n", (HUGE,), "int64")


def huge_obsm(file) -> None:
    huge_dataset(file, "obsm/X_pca", (30, HUGE), "float32")


def huge_width(file) -> None:
    huge_dataset(file, "var/_index", (HUGE,), h5py.string_dtype())
    file["X"].attrs["shape"] = np.array([30, HUGE])


def shape_beyond_int64(file) -> None:
    file["X"].attrs["shape"] = np.array([2**63 + 5, 12], dtype="uint64")


GUARDED = (
    PEAK.replace("{", "{{").replace("}", "}}")
    + """
sys.path.insert(0, {root!r})
limit = 6 << 30
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
import lazyomics as lo
from lazyomics.errors import LazyomicsError
good = lo.read_h5ad({good!r})
good.X.compute(), good.to_memory()  # what is imported and compiled on first use
before = peak()
for part in ("X", "obs", "all"):
    try:
        adata = lo.read_h5ad({path!r})
        repr(adata)
        if part == "X":
            adata.X.compute()
        elif part == "obs":
            adata.obs_names, adata.obs
        else:
            adata.to_memory()
    except LazyomicsError as error:
        print("refused", part, error)
used = peak() - before
print("used", used >> 20, "MiB")
assert used < 100 << 20
"""
)


@pytest.mark.parametrize(
    "action",
    [
        huge_names,
        huge_names_and_sparse,
        huge_sparse,
        huge_values,
        huge_dense,
        huge_column,
        huge_obsm,
        huge_width,
        shape_beyond_int64,
    ],
)
def test_absurd_sizes(change, tmp_path, action) -> None:
    good = tmp_path / "good.h5ad"
    reference().write_h5ad(good)
    path = change(action)
    code = GUARDED.format(root=os.getcwd(), path=str(path), good=str(good))
    made = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    assert made.returncode == 0, made.stderr[-2000:]
    assert "refused all" in made.stdout


TRUNCATED = """
import sys
sys.path.insert(0, {root!r})
import lazyomics as lo
from lazyomics.errors import LazyomicsError
content = open({path!r}, "rb").read()
outcomes = dict(opened=0, refused=0)
for size in {sizes}:
    print("at", size, flush=True)
    with open({target!r}, "wb") as file:
        file.write(content[:size])
    try:
        adata = lo.read_h5ad({target!r})
        repr(adata)
        adata.to_memory()
        outcomes["opened"] += 1
    except (LazyomicsError, OSError) as error:
        assert {target!r} in str(error), repr(error)
        outcomes["refused"] += 1
print(outcomes)
"""


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_truncated_at_any_byte(tmp_path, compression) -> None:
    path, target = tmp_path / "whole.h5ad", tmp_path / "cut.h5ad"
    reference().write_h5ad(path, compression=compression)
    size = path.stat().st_size
    sizes = sorted({*range(0, 2200, 113), *np.linspace(0, size - 1, 60).astype(int).tolist()})
    code = TRUNCATED.format(root=os.getcwd(), path=str(path), target=str(target), sizes=sizes)
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert made.returncode == 0, made.stdout[-100:] + made.stderr[-2000:]


FLIPPED = TRUNCATED.replace("content[:size]", "spoiled(content, size)").replace(
    'outcomes["opened"]', 'adata.write_h5ad({copy!r}); outcomes["opened"]'
)
SPOIL = """
def spoiled(content, place):
    made = bytearray(content)
    made[place : place + 8] = bytes(255 - b for b in made[place : place + 8])
    return bytes(made)
"""


def test_bytes_that_were_overwritten(tmp_path) -> None:
    """Wherever eight bytes are wrong, either it is not noticed (values) or it is refused."""
    path, target = tmp_path / "whole.h5ad", tmp_path / "cut.h5ad"
    reference().write_h5ad(path, compression="gzip")
    size = path.stat().st_size
    places = np.random.default_rng(2).integers(0, size, 80).tolist()
    code = SPOIL + FLIPPED.format(
        root=os.getcwd(),
        path=str(path),
        target=str(target),
        sizes=places,
        copy=str(tmp_path / "copy.h5ad"),
    ).replace(f"assert {str(target)!r} in str(error), repr(error)", "pass")
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    if made.returncode < 0:
        pytest.skip(f"HDF5 itself crashed: {made.stderr[-80:]}")
    assert made.returncode == 0, made.stdout[-100:] + made.stderr[-3000:]


def test_mudata_and_anndata_are_told_apart(tmp_path, one_file) -> None:
    mudata = lo.MuData({"rna": lo.AnnData(sp.eye(3, format="csr"))})
    path = tmp_path / "two.h5mu"
    mudata.write_h5mu(path)
    with pytest.raises(FileFormatError, match=r"MuData.*'rna'.*read_h5mu"):
        lo.read_h5ad(path)
    with pytest.raises(FileFormatError, match=r"AnnData.*read_h5ad"):
        lo.read_h5mu(one_file)
    with pytest.raises(FileFormatError, match="10x"):
        lo.read_10x_h5(one_file)


@pytest.mark.parametrize("name", ["obs", "var", "uns", "obsm", "raw", "layers", "X"])
def test_a_number_where_a_group_belongs(change, name) -> None:
    def action(file) -> None:
        del file[name]
        file[name] = 7

    path = change(action)
    if name in ("obsm", "layers"):  # some old files have an empty dataset for nothing
        use_everything(path)
        return
    with pytest.raises(FileFormatError, match=name):
        use_everything(path)
