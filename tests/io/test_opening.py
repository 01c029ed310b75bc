from __future__ import annotations

import numpy as np
import pytest

import lazyomics as lo
from lazyomics.errors import FileFormatError
from lazyomics.io.hdf5 import count_reads
from tests.comparing import assert_same_anndata

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")
h5py = pytest.importorskip("h5py")

REAL_FILES = [
    "anndataR_example_1845424.h5ad",
    "anndata_v0.11.4_adata.h5ad",
    "anndata_v0.5.0_adata.h5ad",
    "anndata_v0.7.0_adata.h5ad",
    "anndata_v0.7.8_adata.h5ad",
    "bpcells_mini_mat.anndata-v0.6.22.h5ad",
    "cellrank_adata_200.h5ad",
    "duckdb_comprehensive.h5ad",
    "rebuilt_pbmc3k_processed.h5ad",
    "rebuilt_pbmc3k_raw.h5ad",
    "rust_snapatac2_pbmc3k_raw.h5ad",
    "soma_pbmc-small-x-csc.h5ad",
    "zellkonverter_example_anndata.h5ad",
]

# what anndata itself says about files of its early versions
old_files = pytest.mark.filterwarnings(
    "ignore::FutureWarning",
    "ignore:.*written without encoding:",
    "ignore:.*very old version:",
    "ignore:.*are not unique:",
)


@old_files
@pytest.mark.parametrize("name", REAL_FILES)
def test_real_files_equal_what_anndata_reads(data_file, name) -> None:
    if name.startswith("rust"):
        pytest.importorskip("hdf5plugin", reason="the file is compressed with Blosc")
    path = data_file(name)
    assert_same_anndata(lo.read_h5ad(path).to_anndata(), ad.read_h5ad(path))


@old_files
@pytest.mark.parametrize("name", REAL_FILES)
def test_real_files_survive_being_written(data_file, tmp_path, name) -> None:
    if name.startswith("rust"):
        pytest.importorskip("hdf5plugin", reason="the file is compressed with Blosc")
    copy = tmp_path / "copy.h5ad"
    lo.read_h5ad(data_file(name)).write_h5ad(copy)
    assert_same_anndata(ad.read_h5ad(copy), ad.read_h5ad(data_file(name)))


def test_opening_and_looking_reads_no_values(stored) -> None:
    with count_reads() as counter:
        adata = lo.read_h5ad(stored)
        repr(adata)
        _ = adata.shape, adata.nbytes, adata.isbacked, adata.obs_names
        part = adata[[5, 2], 2:8]
        repr(part)
        lo.pp.log1p(part)
        _ = part.X, part.layers["counts"], part.raw.X
    read = {name for (_, name), count in counter.by_dataset.items() if count.bytes_read}
    assert all(name.endswith("indptr") for name in read)


def test_no_handle_stays_open(stored) -> None:
    adata = lo.read_h5ad(stored)
    _ = adata.X, adata.obs, adata.uns["deep"]
    with h5py.File(stored, "r+") as file:
        file.attrs["changed"] = 1
    np.testing.assert_array_equal(adata.X.sum().compute(), ad.read_h5ad(stored).X.sum())


@pytest.mark.parametrize("backed", [True, "r", "r+"])
def test_ways_to_open(one_file, backed) -> None:
    assert lo.read_h5ad(one_file, backed=backed).isbacked


def test_wrong_arguments(one_file) -> None:
    with pytest.raises(ValueError, match="backed"):
        lo.read_h5ad(one_file, backed="w")
    with pytest.raises(ValueError, match="chunks"):
        lo.read_h5ad(one_file, chunks=0)


def test_missing_and_foreign_files(tmp_path, data_file) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.h5ad"):
        lo.read_h5ad(tmp_path / "none.h5ad")
    with pytest.raises(IsADirectoryError, match="folder"):
        lo.read_h5ad(tmp_path)
    text = tmp_path / "text.h5ad"
    text.write_text("not hdf5")
    with pytest.raises(FileFormatError, match="signature"):
        lo.read_h5ad(text)
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["values"] = [1, 2]
    with pytest.raises(FileFormatError, match=r"'obs' and 'var'.*values"):
        lo.read_h5ad(other)
    with pytest.raises(FileFormatError, match=r"MuData.*rna"):
        lo.read_h5ad(data_file("rebuilt_pbmc1k_citeseq.h5mu"))


@pytest.mark.parametrize("keep", [0, 7, 600, 5_000, 0.5, 0.99])
def test_truncated_files(one_file, tmp_path, keep) -> None:
    content = one_file.read_bytes()
    size = int(len(content) * keep) if isinstance(keep, float) else keep
    broken = tmp_path / "broken.h5ad"
    broken.write_bytes(content[:size])
    with pytest.raises(FileFormatError, match=r"broken\.h5ad"):
        lo.read_h5ad(broken)


def damaged(path, change) -> None:
    with h5py.File(path, "r+") as file:
        change(file)


def set_values(name, place, value):
    def change(file) -> None:
        file[name][place] = value

    return change


def set_shape(file) -> None:
    file["X"].attrs["shape"] = np.array([31, 12])


def shorten_indices(file) -> None:
    kept = file["X/indices"][:-3]
    del file["X/indices"]
    file["X/indices"] = kept


def shorten_pointers(file) -> None:
    kept = file["X/indptr"][:-1]
    del file["X/indptr"]
    file["X/indptr"] = kept


def drop_data(file) -> None:
    del file["X/data"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_values("X/indices", 4, 999), r"X/indices.*positions from 0 to 11.*999"),
        (set_values("X/indices", 4, -1), r"X/indices.*positions from 0 to 11.*-1"),
        (set_values("X/indptr", 3, 10_000), r"X/indptr.*never decrease"),
        (set_values("X/indptr", 0, 1), r"X/indptr.*pointers from 0"),
        (set_values("X/indptr", 30, 10_000), r"X/indptr.*pointers from 0"),
        (set_shape, r"X.*shape \(30, 12\).*\(31, 12\)"),
        (shorten_indices, r"X.*as many indices as values"),
        (shorten_pointers, r"X/indptr.*31 row pointers"),
        (drop_data, r"X/data.*only the members"),
    ],
)
def test_damaged_matrices_are_recognised(one_file, change, message) -> None:
    damaged(one_file, change)
    with pytest.raises(FileFormatError, match=message):
        lo.read_h5ad(one_file).X.compute()


def test_unsorted_and_duplicate_indices(tmp_path) -> None:
    import scipy.sparse as sp

    path = tmp_path / "unsorted.h5ad"
    matrix = sp.csr_matrix(
        (np.arange(1.0, 7), np.array([4, 1, 1, 0, 3, 2]), np.array([0, 3, 3, 6])), shape=(3, 5)
    )
    expected = matrix.toarray()
    ad.AnnData(sp.csr_matrix((3, 5))).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        for part in ("data", "indices", "indptr"):
            del file[f"X/{part}"]
            file[f"X/{part}"] = getattr(matrix, part)
    x = lo.read_h5ad(path).X
    np.testing.assert_array_equal(x.compute().toarray(), expected)
    np.testing.assert_array_equal(np.log1p(x).compute().toarray(), np.log1p(expected))
    np.testing.assert_array_equal(x[:, [3, 1]].compute().toarray(), expected[:, [3, 1]])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int64"])
def test_index_types(one_file, dtype) -> None:
    with h5py.File(one_file, "r+") as file:
        for part in ("indices", "indptr"):
            values = file[f"X/{part}"][:]
            del file[f"X/{part}"]
            file[f"X/{part}"] = values.astype(dtype)
    x = lo.read_h5ad(one_file).X
    np.testing.assert_array_equal(x.compute().toarray().sum(), x.sum().compute())
    assert x[:, [3]].compute().shape == (30, 1)


def test_files_without_x(tmp_path) -> None:
    path = tmp_path / "no_x.h5ad"
    ad.AnnData(obs={"a": np.arange(3)}, layers={"counts": np.eye(3)}).write_h5ad(path)
    adata = lo.read_h5ad(path)
    assert adata.X is None
    assert adata[[1]].layers["counts"].compute().tolist() == [[0, 1, 0]]
    with pytest.raises(ValueError, match="no X"):
        lo.pp.log1p(adata)
