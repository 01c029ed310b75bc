from __future__ import annotations

import bz2
import gzip
import inspect
import os
import subprocess
import sys
import warnings
from pathlib import Path

import dask
import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.io import mmwrite

import lazyomics as lo
from lazyomics.errors import FileFormatError, UnsupportedError
from tests.comparing import assert_same_anndata
from tests.peaks import MACHINE_CODE, PEAK

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")
sc = pytest.importorskip("scanpy", reason="scanpy is the reference of these tests")

N_GENES, N_CELLS = 30, 40
HEADER = "%%MatrixMarket matrix coordinate integer general\n%\n"
STARSOLO = "compressed" in inspect.signature(sc.read_10x_mtx).parameters


def counts(seed=0) -> sp.csc_matrix:
    """Counts of genes × cells, with empty cells at both ends and a gene without any."""
    rng = np.random.default_rng(seed)
    dense = rng.poisson(0.4, (N_GENES, N_CELLS))
    dense[:, [0, 1, 20, -1]] = 0
    dense[7] = 0
    return sp.csc_matrix(dense)


def write_text(path: Path, text: str) -> None:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt") as file:
        file.write(text)


def entries_text(matrix, order="cells") -> str:
    """Lines of the format: cell by cell, gene by gene, genes of a cell backwards, or shuffled."""
    coo = matrix.tocoo()
    by = {
        "cells": np.lexsort((coo.row, coo.col)),
        "backwards": np.lexsort((-coo.row, coo.col)),
        "genes": np.lexsort((coo.col, coo.row)),
        "shuffled": np.random.default_rng(1).permutation(coo.nnz),
    }[order]
    lines = [f"{coo.row[k] + 1} {coo.col[k] + 1} {coo.data[k]}\n" for k in by]
    return f"{HEADER}{matrix.shape[0]} {matrix.shape[1]} {coo.nnz}\n{''.join(lines)}"


@pytest.fixture
def folder(tmp_path):
    """Write a folder as Cell Ranger does."""

    def write(*, legacy=False, prefix="", gz=True, order="cells", seed=0) -> Path:
        end = ".gz" if gz and not legacy else ""
        types = ["Gene Expression", "Antibody Capture"]
        genes = [f"ENSG{k}\tG{k % 25}" + f"\t{types[k % 7 == 3]}" * (not legacy) for k in range(30)]
        write_text(tmp_path / f"{prefix}matrix.mtx{end}", entries_text(counts(seed), order))
        kind = "genes" if legacy else "features"
        write_text(tmp_path / f"{prefix}{kind}.tsv{end}", "".join(f"{g}\n" for g in genes))
        cells = "".join(f"CELL{k}-1\n" for k in range(N_CELLS))
        write_text(tmp_path / f"{prefix}barcodes.tsv{end}", cells)
        return tmp_path

    return write


def theirs(path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = sc.read_10x_mtx(path, **options)
    found.X = found.X.tocsr()  # theirs is the transpose of what was read
    return found


def assert_like(ours, expected) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that repeat
        made = ours.to_anndata()
        if not len(expected.obs.columns):
            expected.obs.columns = made.obs.columns
        assert_same_anndata(made, expected)


def written_anew(adata, folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adata.write_h5ad(folder / "theirs.h5ad")
        return ad.read_h5ad(folder / "theirs.h5ad")


@pytest.fixture
def cachedir(tmp_path):
    """One folder for the caches of both."""
    before = lo.settings.cachedir, sc.settings.cachedir
    lo.settings.cachedir = sc.settings.cachedir = tmp_path / "kept" / "cache"
    yield tmp_path / "kept" / "cache"
    lo.settings.cachedir, sc.settings.cachedir = before


def in_pieces(memory="1 KiB"):
    return dask.config.set({"lazyomics.memory": memory})


@pytest.mark.parametrize(
    ("written", "options"),
    [
        ({}, {}),
        ({}, {"gex_only": False, "make_unique": False}),
        ({}, {"var_names": "gene_ids"}),
        ({"legacy": True}, {}),
        ({"legacy": True, "prefix": "a_"}, {"prefix": "a_", "var_names": "gene_ids"}),
        ({"prefix": "p.1_"}, {"prefix": "p.1_"}),
        ({"order": "backwards"}, {}),
        ({"order": "genes"}, {}),
        ({"order": "shuffled"}, {"gex_only": False}),
    ],
    ids=str,
)
def test_folders(folder, tmp_path, written, options) -> None:
    path = folder(**written)
    expected = theirs(path, **options)
    ours = lo.read_10x_mtx(path, **options)
    assert isinstance(ours.X, sp.csr_matrix)
    assert ours.X.has_canonical_format
    assert_like(ours, expected)
    expected = written_anew(expected, tmp_path)  # texts become categories
    with in_pieces():
        if written.get("order") in ("genes", "shuffled"):
            assert_like(
                lo.read_10x_mtx(str(path), filename=tmp_path / "a.h5ad", **options), expected
            )
        opened = lo.read_10x_mtx(path, filename=tmp_path / "a.h5ad", **options)
        assert opened.isbacked
        assert opened.X.shape == expected.shape
    assert_like(opened, expected)
    with h5py.File(tmp_path / "a.h5ad") as file:
        assert file["X"].attrs["encoding-type"] == "csr_matrix"


def test_uncompressed_folders(folder, tmp_path) -> None:
    path = folder(gz=False)
    ours = lo.read_10x_mtx(path, compressed=False)
    assert_like(lo.read_10x_mtx(path), ours.to_anndata())
    if STARSOLO:
        assert_like(ours, theirs(path, compressed=False))
    for name in ("matrix.mtx", "features.tsv", "barcodes.tsv"):
        write_text(tmp_path / f"{name}.gz", (tmp_path / name).read_text())
    assert_like(ours, theirs(path))


def test_cached(folder, tmp_path, cachedir) -> None:
    path, expected = folder(), theirs(folder())
    with in_pieces():
        for _ in range(2):
            adata = lo.read_10x_mtx(path, cache=True)
            assert not adata.isbacked
            assert_like(adata, expected)
    (kept,) = cachedir.iterdir()
    with h5py.File(kept) as file:
        assert file["X/data"].compression == "lzf"
    assert (theirs(path, cache=True).X != expected.X).nnz == 0  # the same file
    folder(seed=5)
    os.utime(kept, (1, 1))
    changed = theirs(path)
    assert (changed.X != expected.X).nnz
    adata = lo.read_10x_mtx(path, cache=True, cache_compression=None, gex_only=False)
    assert_like(adata[:, adata.var["feature_types"] == "Gene Expression"], changed)
    kept.unlink()
    theirs(path, cache=True)
    adata = lo.read_10x_mtx(path, cache=True)
    assert (adata.to_memory().X != changed.X).nnz == 0  # theirs is stored by genes
    (path / "matrix.mtx.gz").unlink()
    assert lo.read_10x_mtx(path, cache=True).shape == changed.shape
    with pytest.raises(ValueError, match="give one of them"):
        lo.read_10x_mtx(path, cache=True, filename=tmp_path / "a.h5ad")


def test_what_does_not_fit_is_refused(folder, tmp_path) -> None:
    with in_pieces():
        with pytest.raises(MemoryError, match=r"filename='new.h5ad'"):
            lo.read_10x_mtx(folder())
        with pytest.raises(MemoryError, match=r"target='new.h5ad'"):
            lo.read_mtx(tmp_path / "matrix.mtx.gz")


def assert_matrix(path, *, exact=True, **options) -> None:
    expected, ours = ad.io.read_mtx(path, **options), lo.read_mtx(path, **options)
    assert ours.X.dtype == expected.X.dtype
    np.testing.assert_array_equal(ours.X.toarray(), expected.X.toarray())
    assert ours.X.nnz == expected.X.nnz
    assert list(ours.obs_names) == list(expected.obs_names)
    target = path.with_name("target.h5ad")
    with in_pieces():
        opened = lo.read_mtx(path, target=target, **options)
    np.testing.assert_array_equal(opened.to_memory().X.toarray(), expected.X.toarray())


@pytest.mark.parametrize("order", ["cells", "genes", "shuffled"])
@pytest.mark.parametrize("end", ["", ".gz", ".bz2"])
def test_matrices(tmp_path, order, end) -> None:
    path = tmp_path / f"a.mtx{end}"
    text = entries_text(counts(), order).encode()
    path.write_bytes({"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}[end](text))
    assert_matrix(path)


@pytest.mark.parametrize("symmetry", ["general", "symmetric", "skew-symmetric"])
@pytest.mark.parametrize("field", ["integer", "real", "pattern"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_fields(tmp_path, symmetry, field, dtype) -> None:
    if (symmetry, field) == ("skew-symmetric", "pattern"):
        pytest.skip("the format has none")
    rng = np.random.default_rng(2)
    matrix = sp.random(30, 30, 0.2, random_state=rng, data_rvs=lambda n: rng.normal(size=n) * 9)
    matrix = matrix if symmetry == "general" else sp.triu(matrix, 1).tocoo()
    if symmetry != "general":
        matrix = matrix - matrix.T if symmetry == "skew-symmetric" else matrix + matrix.T
    matrix = matrix.tocoo()
    matrix.data = matrix.data * 10.0 ** (3 * np.sign(matrix.data))
    path = tmp_path / "a.mtx"
    if field == "integer":
        matrix = matrix.astype(np.int64)
    mmwrite(path, matrix, field=field, symmetry=symmetry)
    assert_matrix(path, dtype=dtype)


def test_numbers_are_those_of_python(tmp_path) -> None:
    texts = ["1", "-0.5", "+3.25e2", "1e-300", "0.1", "2.5E+3", "123456789012345678", "inf", ".5"]
    texts += ["0.30000000000000004", "1e22", "1e23", "8.", "nan", "00012", "9007199254740993"]
    lines = "".join(f" 1\t{k + 1}  {t} \r\n" for k, t in enumerate(texts))
    path = tmp_path / "a.mtx"
    head = "%%MatrixMarket MATRIX coordinate Real general\n% a\n\n"
    path.write_text(f"{head}1 {len(texts)} {len(texts)}\n\n{lines}\n")
    found = lo.read_mtx(path, dtype="float64").X.toarray()[0]
    np.testing.assert_array_equal(found, [float(t) for t in texts])


def test_entries_of_the_same_place_are_added(tmp_path) -> None:
    path = tmp_path / "a.mtx"
    path.write_text(f"{HEADER}3 3 5\n1 1 2\n1 1 3\n3 2 1\n3 2 -1\n3 1 0\n")
    assert_matrix(path)


@pytest.mark.parametrize("size", ["0 0", "0 4", "4 0", "3 5"])
def test_nothing_stored(tmp_path, size) -> None:
    path = tmp_path / "a.mtx"
    path.write_text(f"{HEADER}{size} 0\n")
    adata = lo.read_mtx(path)
    assert adata.shape == tuple(map(int, size.split()))
    assert lo.read_mtx(path, target=tmp_path / "a.h5ad").shape == adata.shape


def test_files_of_all_values(tmp_path) -> None:
    path = tmp_path / "a.mtx"
    mmwrite(path, np.arange(12.0).reshape(3, 4))
    found = lo.read_mtx(path)
    np.testing.assert_array_equal(found.X.toarray(), ad.io.read_mtx(path).X.toarray())
    path.write_text("\n".join(path.read_text().splitlines()[:-2]))
    with pytest.raises(FileFormatError, match="12 values"):
        lo.read_mtx(path)


GOOD = "2 3 2\n1 2 5\n2 3 7\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"line 1.*%%MatrixMarket"),
        ("a,b\n1,2\n", r"line 1.*found 'a,b'"),
        (HEADER.replace("integer", "number") + GOOD, r"line 1.*'integer'"),
        (HEADER, r"line 3.*rows, columns.*the end of the file"),
        (HEADER + "2 -3 2\n", r"line 3.*'2 -3 2'"),
        (HEADER + "2 3 3\n1 2 5\n2 3 7\n", r"line 6.*3 entries.*after 2"),
        (HEADER + "2 3 1\n1 2 5\n2 3 7\n", r"1 entries.*at least 2"),
        (HEADER + "2 3 2\n1 2 5\n3 3 7\n", r"line 5.*a row of the matrix \(1 to 2\).*'3 3 7'"),
        (HEADER + "2 3 2\n1 4 5\n2 3 7\n", r"line 4.*a column of the matrix \(1 to 3\)"),
        (HEADER + "2 3 2\n0 2 5\n2 3 7\n", r"line 4.*a row of the matrix"),
        (HEADER + "2 3 2\n1 2 5\nx 3 7\n", r"line 5.*the number of a row.*'x 3 7'"),
        (HEADER + "2 3 2\n1 2.0 5\n2 3 7\n", r"line 4.*the number of a column"),
        (HEADER + "2 3 2\n1 2\n2 3 7\n", r"line 4.*a value"),
        (HEADER + "2 3 2\n1 2 5 6\n2 3 7\n", r"line 4.*the end of the line"),
        (HEADER + "2 3 2\n1 2 5\n2 3 7.5\n", r"line 5.*an integer.*'7.5'"),
        (HEADER + "2 3 2\n1 2 5\n2 3 seven\n", r"line 5.*an integer.*'seven'"),
        (HEADER.replace("integer", "real") + "2 3 1\n1 2 1_0\n", r"line 4.*a number.*'1_0'"),
    ],
)
def test_damaged_files(tmp_path, text, message) -> None:
    path, target = tmp_path / "a.mtx", tmp_path / "target.h5ad"
    path.write_text(text)
    for options in ({}, {"target": target}):
        with pytest.raises(FileFormatError, match=message) as caught:
            lo.read_mtx(path, **options)
        assert str(path) in str(caught.value)
    assert os.listdir(tmp_path) == ["a.mtx"]


def test_torn_files(folder, tmp_path) -> None:
    path = folder()
    matrix, target = path / "matrix.mtx.gz", tmp_path / "target.h5ad"
    whole = matrix.read_bytes()
    for torn in (whole[: len(whole) // 2], whole[:30] + b"\0\0\0\0" + whole[34:], b"text"):
        matrix.write_bytes(torn)
        with pytest.raises(FileFormatError, match="compressed file"):
            lo.read_10x_mtx(path, filename=target)
    matrix.write_bytes(whole)
    write_text(path / "barcodes.tsv.gz", "A\nB\n")
    with pytest.raises(FileFormatError, match=r"30 features × 2 barcodes.*30 × 40"):
        lo.read_10x_mtx(path, filename=target)
    assert not target.exists()
    write_text(path / "features.tsv.gz", "A\tB\n" * 30)
    with pytest.raises(FileFormatError, match=r"features.tsv.gz.*3 columns.*2"):
        lo.read_10x_mtx(path)
    (path / "features.tsv.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"features.tsv.gz does not exist"):
        lo.read_10x_mtx(path)


def test_bad_arguments(tmp_path) -> None:
    with pytest.raises(ValueError, match="gene_names"):
        lo.read_10x_mtx(tmp_path, var_names="gene_names")
    with pytest.raises(FileNotFoundError, match="no folder"):
        lo.read_10x_mtx(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match=r"matrix.mtx.gz does not exist"):
        lo.read_10x_mtx(tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        lo.read_mtx(tmp_path / "absent.mtx")
    with pytest.raises(IsADirectoryError):
        lo.read_mtx(tmp_path)
    with pytest.raises(UnsupportedError, match="on a server"):
        lo.read_mtx("https://host/a.mtx")
    path = tmp_path / "a.mtx"
    path.write_text("%%MatrixMarket matrix coordinate complex general\n1 1 1\n1 1 2 3\n")
    with pytest.raises(UnsupportedError, match="complex"):
        lo.read_mtx(path)


PROGRAM = (
    PEAK
    + MACHINE_CODE
    + """
import dask, lazyomics as lo
dask.config.set({"lazyomics.chunk-bytes": "4 MiB", "lazyomics.memory": "12 MiB", "num_workers": 2})
small, large, target = sys.argv[1:]
lo.read_mtx(small, target=target)
before = peak()
x = lo.read_mtx(large, target=target).X
print(peak() - before)
"""
)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")
@pytest.mark.parametrize("order", ["rows", "columns"])
def test_streaming_takes_little_memory(tmp_path, order) -> None:
    n, m, each = 100_000, 5_000, 150
    across = np.arange(each) * 31
    template = b"".join((b"L %d 3\n" if order == "rows" else b"%d L 3\n") % (k + 1) for k in across)
    body = b"".join(template.replace(b"L", b"%d" % (line + 1)) for line in range(n))
    n_rows, n_cols = (n, m) if order == "rows" else (m, n)
    for name, stored in (("small", 1), ("large", n * each)):
        head = f"{HEADER}{n_rows} {n_cols} {stored}\n".encode()
        text = head + (body if name == "large" else b"5 5 3\n")
        (tmp_path / f"{name}.mtx.gz").write_bytes(gzip.compress(text, 1))
    files = [str(tmp_path / name) for name in ("small.mtx.gz", "large.mtx.gz", "t.h5ad")]
    command = [sys.executable, "-c", PROGRAM, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 80 << 20  # the matrix takes 114 MiB
    x = lo.read_h5ad(tmp_path / "t.h5ad").X
    assert x.shape == (n_rows, n_cols)
    found = (x[500:700] if order == "rows" else x[:, 500:700].T).compute().tocsr()
    assert found.nnz == 200 * each
    assert found.indices.reshape(200, each).tolist() == [across.tolist()] * 200
