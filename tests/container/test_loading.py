"""Computing what is still in the file: the same as through lazy matrices, with fewer packages."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import dask
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import LazyomicsError
from lazyomics.io.stream import stream_matrix
from lazyomics.lazy import LazyMatrix
from lazyomics.lazy import load as load_module
from lazyomics.lazy.recipe import Recipe

N_OBS, N_VARS = 60, 17
LAYOUTS = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}


def counts() -> np.ndarray:
    return np.random.default_rng(4).poisson(0.7, (N_OBS, N_VARS))


def object_of(layout: str, dtype: str = "f4") -> lo.AnnData:
    dense = counts().astype(dtype)
    rng = np.random.default_rng(5)
    graph = sp.random(N_OBS, N_OBS, 0.1, "csr", random_state=rng)
    made = lo.AnnData(
        LAYOUTS[layout](dense),
        obs=pd.DataFrame({"n": np.arange(N_OBS)}, index=[f"c{k}" for k in range(N_OBS)]),
        layers={"twice": LAYOUTS[layout](dense * 2)},
        obsm={"place": rng.random((N_OBS, 2))},
        obsp={"near": graph},
    )
    made.raw = made[:, :9]
    return made


@pytest.fixture(scope="module", params=LAYOUTS)
def stored(request, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("loading") / f"{request.param}.h5ad"
    object_of(request.param).write_h5ad(path)
    return path


def opened(path: Path, **options) -> lo.AnnData:
    """With every matrix asked for, so that lazy ones are computed."""
    adata = lo.read_h5ad(path, **options)
    _ = adata.X, adata.layers["twice"], adata.raw.X, adata.obsp["near"]
    return adata


def assert_same_matrix(found, expected) -> None:
    assert type(found) is type(expected)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    if not sp.issparse(found):
        np.testing.assert_array_equal(found, expected)
        return
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(found, part), getattr(expected, part))
        assert getattr(found, part).dtype == getattr(expected, part).dtype


def assert_same(found: lo.AnnData, expected: lo.AnnData) -> None:
    for place in (lambda a: a.X, lambda a: a.layers["twice"], lambda a: a.raw.X):
        assert_same_matrix(place(found), place(expected))
    assert_same_matrix(found.obsp["near"], expected.obsp["near"])
    np.testing.assert_array_equal(found.obsm["place"], expected.obsm["place"])
    for table in ("obs", "var"):
        one, other = getattr(found, table), getattr(expected, table)
        # of no names pandas says that they are empty, or texts, as they came about
        pd.testing.assert_frame_equal(one, other, check_index_type=len(one) > 0)
    assert not found.isbacked


@pytest.fixture
def seen(monkeypatch) -> list[int]:
    """How many matrices were loaded at a time, without lazy ones."""
    seen: list[int] = []
    load = load_module.load_stored
    where = "lazyomics.container.annotated.load_stored"
    monkeypatch.setattr(where, lambda r, **kw: seen.append(len(r)) or load(r, **kw))
    return seen


ROWS = {
    "all": slice(None),
    "some": slice(5, 40),
    "none": slice(0, 0),
    "repeated": [9, 3, 3, -1],
    "mask": np.arange(N_OBS) % 3 == 0,
}
COLS = {
    "all": slice(None),
    "some": slice(2, 9),
    "turned": [4, 1],
    "repeated": [4, 4, 1],
    "none": [],
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("cols", COLS.values(), ids=COLS)
@pytest.mark.parametrize("scheduler", ["threads", "sync"])
def test_it_is_what_lazy_matrices_give(stored, rows, cols, scheduler, seen) -> None:
    for plan in ({}, {"chunks": 7}):
        with dask.config.set(scheduler=scheduler):
            found = lo.read_h5ad(stored, **plan)[rows, cols].compute()
            assert seen == [4]
            expected = opened(stored, **plan)[rows, cols].compute()
        assert seen == [4]  # lazy ones are computed by dask
        assert_same(found, expected)
        np.testing.assert_array_equal(
            found.X.toarray() if sp.issparse(found.X) else found.X,
            counts()[rows][:, cols].astype("f4"),
        )
        seen.clear()


@pytest.mark.parametrize("order", ["shuffled", "repeated"])
@pytest.mark.parametrize("layout", ["csr", "csc"])
@pytest.mark.parametrize("cols", COLS.values(), ids=COLS)
def test_lines_in_any_order(tmp_path, order, layout, cols, seen) -> None:
    rng = np.random.default_rng(6)
    path = tmp_path / "x.h5ad"
    object_of(layout).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        stored = file["X"]
        data, indices, indptr = (stored[p][:] for p in ("data", "indices", "indptr"))
        for a, b in pairwise(indptr):
            at = a + rng.permutation(b - a)
            data[a:b], indices[a:b] = data[at], indices[at]
            if order == "repeated" and b - a > 1:
                indices[a + 1] = indices[a]
        stored["data"][:], stored["indices"][:] = data, indices
    rows = [*range(20, 50), 3, 3]
    found = lo.read_h5ad(path, chunks=7)[rows, cols].compute()
    assert seen == [4]
    assert_same(found, opened(path, chunks=7)[rows, cols].compute())
    whole = {"csr": sp.csr_matrix, "csc": sp.csc_matrix}[layout]
    dense = whole((data, indices, indptr), shape=(N_OBS, N_VARS)).toarray()
    np.testing.assert_array_equal(found.X.toarray(), dense[rows][:, cols])


@pytest.mark.parametrize("dtype", ["f2", "f8", "i1", "u8", "?", "c8", ">f4"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_types_stay(tmp_path, dtype, layout) -> None:
    path = tmp_path / "x.h5ad"
    object_of(layout, "f4").write_h5ad(path)
    with h5py.File(path, "r+") as file:
        values = file["X"] if layout == "dense" else file["X/data"]
        name, attributes, values = values.name, dict(values.attrs), values[:].astype(dtype)
        del file[name]
        file[name] = values
        file[name].attrs.update(attributes)
    for cols in (slice(None), [3, 1], [2, 2]):
        found = lo.read_h5ad(path)[3:50, cols].compute()
        assert_same(found, opened(path)[3:50, cols].compute())


@pytest.mark.parametrize("change", ["step", "assigned", "progress", "processes"])
def test_what_is_not_as_stored_goes_through_dask(stored, change, seen, capsys) -> None:
    adata = lo.read_h5ad(stored)
    expected = counts().astype("f4")
    setting = {}
    if change == "step":
        lo.pp.log1p(adata)
        expected = np.log1p(expected)
    elif change == "assigned":
        adata.X = adata.X * 3
        expected = expected * 3
    elif change == "progress":
        setting = {"lazyomics.progress": 1e-9}
    else:
        setting = {"scheduler": "processes"}
    with dask.config.set(setting):
        found = adata[4:50].compute()
    assert seen == []
    x = found.X.toarray() if sp.issparse(found.X) else found.X
    np.testing.assert_allclose(x, expected[4:50], rtol=1e-6)
    assert ("100%" in capsys.readouterr().out) == (change == "progress")


def test_the_given_object_stays_as_it_is(stored) -> None:
    subset = lo.read_h5ad(stored)[3:9]
    before = subset.__sizeof__()
    made = subset.compute()
    assert subset.isbacked
    assert subset.__sizeof__() == before
    assert not subset._obs.is_loaded
    made.obs["n"] = 0
    assert subset.obs["n"].tolist() == list(range(3, 9))


@pytest.mark.parametrize("part", ["obs", "var", "X"])
def test_damage_is_named(tmp_path, part) -> None:
    path = tmp_path / "x.h5ad"
    object_of("csr").write_h5ad(path)
    with h5py.File(path, "r+") as file:
        if part == "X":
            file["X/indices"][3] = 99
        else:
            del file[part][file[part].attrs["_index"]]
            file[part]["_index"] = np.arange(3.0)
    with pytest.raises(LazyomicsError, match=part):
        lo.read_h5ad(path)[:, [1]].compute()


def stored_parts(path: Path) -> dict[str, tuple]:
    """Everything in a file, and how it is stored."""
    found = {}

    def note(name: str, member) -> None:
        how = sorted((k, str(v)) for k, v in member.attrs.items())
        found[name] = (how,)
        if isinstance(member, h5py.Dataset):
            filters = member.compression, member.shuffle, member.chunks, member.dtype
            found[name] = (how, filters, member[()].tolist())

    with h5py.File(path) as file:
        file.visititems(note)
    return found


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("cols", COLS.values(), ids=COLS)
@pytest.mark.parametrize("options", [{}, {"compression": "gzip", "chunk_bytes": 256}], ids=str)
def test_it_is_written_as_lazy_matrices_are(
    stored, rows, cols, options, tmp_path, monkeypatch
) -> None:
    streamed = []
    stream = "lazyomics.io.writing.stream_matrix"
    monkeypatch.setattr(stream, lambda *a, **kw: streamed.append(a[2]) or stream_matrix(*a, **kw))
    one, other = tmp_path / "one.h5ad", tmp_path / "other.h5ad"
    lo.read_h5ad(stored, chunks=7)[rows, cols].write_h5ad(one, **options)
    kinds = {type(x) for x in streamed} - {np.ndarray}  # obsm is in memory
    assert kinds <= {Recipe}  # none where all is copied as it is stored
    assert kinds or isinstance(rows, slice)
    streamed.clear()
    opened(stored, chunks=7)[rows, cols].write_h5ad(other, **options)
    assert {type(x) for x in streamed} - {np.ndarray} == {LazyMatrix}
    assert stored_parts(one) == stored_parts(other)
    assert_same(lo.read_h5ad(one).compute(), lo.read_h5ad(stored)[rows, cols].compute())


HEAVY = """
def heavy():
    return {"dask.array", "sparse", "numba", "lazyomics.blocks.block"} & set(sys.modules)
"""
PROGRAM = f"""
import sys
import lazyomics as lo
{HEAVY}
path, genes = sys.argv[1:]
part = lo.read_h5ad(path)[::2, eval(genes)]
part.write_h5ad(path + ".part", compression="gzip")
found = part.compute()
written = lo.read_h5ad(path + ".part")
assert (written.compute().X != found.X).sum() == 0
written.obs["new"] = 1.0
written.write()
assert lo.read_h5ad(path + ".part").obs["new"].sum() == written.n_obs
print(found.X.sum(), sorted(heavy()))
"""


def output_of(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("genes", ["slice(None)", "[3, 1]"])
@pytest.mark.parametrize("copy_by_genes", [False, True])
def test_packages_that_are_not_needed_are_not_imported(
    stored, genes, copy_by_genes, tmp_path
) -> None:
    path = tmp_path / "x.h5ad"
    path.write_bytes(stored.read_bytes())
    if copy_by_genes and stored.stem == "csr":
        lo.add_gene_major(lo.read_h5ad(path))
    total = np.float32(counts()[::2, eval(genes)].sum())
    assert output_of(PROGRAM, str(path), genes) == f"{total} []\n"


PROGRAM_OF_MODALITIES = f"""
import sys
import lazyomics as lo
{HEAVY}
part = lo.read_h5mu(sys.argv[1])[3:40]
part.write_h5mu(sys.argv[1] + ".h5mu")
found = part.compute()
print(*(float(found[mod].X.sum()) for mod in found.mod), sorted(heavy()))
"""


def test_nor_for_modalities(tmp_path) -> None:
    path = tmp_path / "x.h5mu"
    mods = {kind: object_of(kind) for kind in LAYOUTS}
    for kind, adata in mods.items():
        adata.var_names = [f"{kind}{k}" for k in range(N_VARS)]
    lo.MuData(mods).write_h5mu(path)
    totals = " ".join([str(float(counts()[3:40].sum()))] * len(mods))
    assert output_of(PROGRAM_OF_MODALITIES, str(path)) == f"{totals} []\n"
