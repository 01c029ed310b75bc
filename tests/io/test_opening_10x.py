from __future__ import annotations

import warnings

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import FileFormatError
from lazyomics.io.hdf5 import count_reads
from tests.comparing import assert_same_anndata

sc = pytest.importorskip("scanpy", reason="scanpy is the reference of these tests")
ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")

N_CELLS, N_GENES = 20, 12


def theirs(path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sc.read_10x_h5(path, **options)


def assert_like_scanpy(path, **options) -> None:
    ours, expected = lo.read_10x_h5(path, **options), theirs(path, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that repeat
        made = ours.to_anndata()
        if not len(expected.obs.columns):
            expected.obs.columns = made.obs.columns
        assert_same_anndata(made, expected)
    in_memory = lo.read_10x_h5(path, backed=False, **options)
    assert sp.issparse(in_memory.X)


def write_matrix(group, dtype="int32", order=None) -> None:
    """A gene × cell matrix by columns, as 10x stores it."""
    rng = np.random.default_rng(3)
    counts = sp.csc_matrix(rng.poisson(0.6, (N_GENES, N_CELLS)).astype(dtype))
    group["data"], group["indices"] = counts.data, counts.indices.astype("int64")
    group["indptr"] = counts.indptr.astype("int64")
    group["shape"] = np.array(counts.shape, "int32")
    group["barcodes"] = np.array([f"CELL{i}-1" for i in range(N_CELLS)], "S")


def write_features(group, probes=False, **columns) -> None:
    features = group.create_group("features")
    features["id"] = np.array([f"ID{i}" for i in range(N_GENES)], "S")
    features["name"] = np.array([f"gene{i}" for i in range(N_GENES)], "S")
    kinds = ["Gene Expression"] * 6 + ["Antibody Capture"] * 3 + ["Peaks"] * 3
    features["feature_type"] = np.array(kinds, "S")
    features["genome"] = np.array(["GRCh38"] * 7 + ["mm10"] * 5, "S")
    features["_all_tag_keys"] = np.array([b"genome"])
    if probes:
        features["gene_id"] = np.array([f"ENSG{i // 2}" for i in range(N_GENES)], "S")
        features["filtered_probes"] = np.arange(N_GENES) % 3 == 0
        features["probe_region"] = np.array(["spliced"] * N_GENES, "S")
        group["filtered_barcodes"] = (np.arange(N_CELLS) % 2).astype("uint8")
        features["target_sets/whole"] = np.arange(3)
    for name, values in columns.items():
        features[name] = np.array(values, "S")


@pytest.fixture
def v3(tmp_path):
    path = tmp_path / "v3.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        write_matrix(group)
        write_features(group, pattern=["5P(BC)"] * N_GENES, read=["R2"] * N_GENES)
    return path


@pytest.fixture
def v2(tmp_path):
    path = tmp_path / "v2.h5"
    with h5py.File(path, "w") as file:
        for genome in ("hg19", "mm10"):
            group = file.create_group(genome)
            write_matrix(group)
            group["genes"] = np.array([f"{genome}_{i}" for i in range(N_GENES)], "S")
            group["gene_names"] = np.array([f"gene{i % 11}" for i in range(N_GENES)], "S")
    return path


@pytest.mark.parametrize("gex_only", [True, False])
def test_a_real_file(data_file, gex_only) -> None:
    assert_like_scanpy(data_file("10x_1k_pbmc_citeseq.h5"), gex_only=gex_only)


@pytest.mark.parametrize("options", [{}, {"gex_only": False}, {"genome": "mm10"}])
def test_v3(v3, options) -> None:
    assert_like_scanpy(v3, **options)


@pytest.mark.parametrize("gex_only", [True, False])
def test_probes(tmp_path, gex_only) -> None:
    path = tmp_path / "probes.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        write_matrix(group)
        write_features(group, probes=True)
    assert_like_scanpy(path, gex_only=gex_only)
    assert lo.read_10x_h5(path).obs["filtered_barcodes"].dtype == bool


@pytest.mark.parametrize("dtype", ["int64", "float32", "uint16"])
def test_other_types_of_values_stay(tmp_path, dtype) -> None:
    path = tmp_path / "v3.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        write_matrix(group, dtype)
        write_features(group)
    assert_like_scanpy(path)


@pytest.mark.parametrize("genome", ["hg19", "mm10"])
def test_v2(v2, genome) -> None:
    assert_like_scanpy(v2, genome=genome)


def test_opening_reads_no_values(data_file) -> None:
    with count_reads() as counter:
        adata = lo.read_10x_h5(data_file("10x_1k_pbmc_citeseq.h5"))
        _ = adata.X, adata[:5, ::7].X
    read = {name for (_, name), count in counter.by_dataset.items() if count.bytes_read}
    assert read <= {"matrix/indptr"}


def test_verbs_and_writing(data_file, tmp_path) -> None:
    path = data_file("10x_1k_pbmc_citeseq.h5")
    adata, expected = lo.read_10x_h5(path), theirs(path)
    adata.var_names_make_unique()
    expected.var_names_make_unique()
    lo.pp.calculate_qc_metrics(adata, inplace=True, percent_top=None)
    sc.pp.calculate_qc_metrics(expected, inplace=True, percent_top=None, log1p=False)
    pd.testing.assert_series_equal(
        adata.obs["total_counts"], expected.obs["total_counts"], check_dtype=False
    )
    adata.write_h5ad(tmp_path / "copy.h5ad")
    written = ad.read_h5ad(tmp_path / "copy.h5ad")
    np.testing.assert_array_equal(written.X.toarray(), expected.X.toarray())
    assert not adata.isbacked


def assert_like_muon(path, **options) -> None:
    """muon.read_10x_h5 is mudata.MuData of all that scanpy reads."""
    mudata = pytest.importorskip("mudata", reason="mudata is the reference")
    from tests.container.mudata_cases import assert_same_mudata, no_pulling, quiet

    ours = lo.read_10x_h5(path, modalities=True, **options)
    assert not ours.isbacked
    with no_pulling(), quiet():
        expected = mudata.MuData(theirs(path, gex_only=False, **options))
    assert_same_mudata(ours, expected)
    loaded = lo.read_10x_h5(path, modalities=True, backed=False, **options)
    assert all(sp.issparse(adata.X) for adata in loaded.mod.values())


def test_modalities_of_a_real_file(data_file) -> None:
    path = data_file("10x_1k_pbmc_citeseq.h5")
    assert list(lo.read_10x_h5(path, modalities=True).mod) == ["rna", "prot"]
    assert_like_muon(path)


def test_modalities_of_a_multiome(v3, v2, tmp_path) -> None:
    assert list(lo.read_10x_h5(v3, modalities=True).mod) == ["rna", "prot", "atac"]
    assert_like_muon(v3)
    assert_like_muon(v3, genome="mm10")
    assert_like_muon(v2, genome="hg19")
    assert list(lo.read_10x_h5(v3, modalities=True, gex_only=True).mod) == ["rna"]
    with h5py.File(v3, "r+") as file:
        kinds = ["Gene Expression"] * 6 + ["CRISPR Guide Capture"] * 6
        file["matrix/features/feature_type"][...] = np.array(kinds, "S20")[:]
    mdata = lo.read_10x_h5(v3, modalities=True)
    assert_like_muon(v3)
    assert mdata.copy(filename=tmp_path / "all.h5mu").shape == mdata.shape


def test_opening_modalities_reads_no_values(data_file) -> None:
    with count_reads() as counter:
        mdata = lo.read_10x_h5(data_file("10x_1k_pbmc_citeseq.h5"), modalities=True)
        _ = mdata["prot"].X, mdata[:5, ::7]["rna"].X
    read = {name for (_, name), count in counter.by_dataset.items() if count.bytes_read}
    assert read <= {"matrix/indptr"}


def test_read_opens_matrices_of_10x(v2, v3) -> None:
    assert lo.read(v3).shape == lo.read_10x_h5(v3).shape
    assert lo.read(v2, genome="mm10").shape == lo.read_10x_h5(v2, genome="mm10").shape
    with pytest.raises(ValueError, match="several genomes"):
        lo.read(v2)


def test_wrong_genomes(v2, v3) -> None:
    with pytest.raises(ValueError, match=r"several genomes.*hg19.*mm10") as raised:
        lo.read_10x_h5(v2)
    assert not isinstance(raised.value, FileFormatError)
    with pytest.raises(ValueError, match=r"no genome 'dm6'.*hg19.*mm10"):
        lo.read_10x_h5(v2, genome="dm6")
    with pytest.raises(ValueError, match=r"no genome 'dm6'.*GRCh38.*mm10"):
        lo.read_10x_h5(v3, genome="dm6")


@pytest.mark.parametrize("reader", [lo.read_h5ad, lo.read_h5mu])
@pytest.mark.parametrize("genomes", [1, 2])
def test_other_readers_name_the_one_for_it(reader, genomes, v2, v3) -> None:
    with pytest.raises(FileFormatError, match=r"10x Genomics: open it with lo\.read_10x_h5"):
        reader(v3)
    if genomes == 1:
        with h5py.File(v2, "r+") as file:
            del file["mm10"]
    expected = "open it with lo.read_10x_h5" if genomes == 1 else "hg19.*mm10.*genome="
    with pytest.raises(FileFormatError, match=expected):
        reader(v2)


def test_foreign_and_damaged_files(tmp_path, v3, data_file) -> None:
    with pytest.raises(FileFormatError, match=r"not one of 10x Genomics. Open it with read_h5ad"):
        lo.read_10x_h5(data_file("rebuilt_pbmc3k_raw.h5ad"))
    with pytest.raises(FileNotFoundError):
        lo.read_10x_h5(tmp_path / "none.h5")
    changes = {
        "matrix/data": "data",
        "matrix/features/name": "name",
        "matrix/barcodes": "barcodes",
        "matrix/features": "features",
    }
    content = v3.read_bytes()
    for element, named in changes.items():
        v3.write_bytes(content)
        with h5py.File(v3, "r+") as file:
            del file[element]
        with pytest.raises(FileFormatError, match=named):
            lo.read_10x_h5(v3)
    v3.write_bytes(content)
    with h5py.File(v3, "r+") as file:
        file["matrix/shape"][...] = [N_GENES, N_CELLS + 1]
    with pytest.raises(FileFormatError, match=r"12 features × 20 barcodes|20 row pointers|21"):
        lo.read_10x_h5(v3)
