"""A copy by genes beside X: one gene is read alone, and a copy that is out of date is not used."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import dask
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.io.gene_major import PairedReader, sample_of
from lazyomics.io.hdf5 import count_reads
from lazyomics.io.readers import reader_of

ad = pytest.importorskip("anndata", reason="anndata reads what is written")

N, M = 3000, 700
GENE = 17


def counts(seed: int = 0) -> sp.csr_matrix:
    matrix = sp.random(N, M, 0.05, format="csr", random_state=seed, dtype="float64")
    matrix.data = np.ceil(matrix.data * 9)
    return matrix.astype("float32")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = ad.AnnData(counts(), obs=pd.DataFrame({"n": np.arange(N)}, [f"c{k}" for k in range(N)]))
    made.layers["other"] = counts(1)
    made.write_h5ad(tmp_path / "a.h5ad", compression="gzip")
    return tmp_path / "a.h5ad"


@pytest.fixture
def paired(path: Path) -> Path:
    lo.add_gene_major(lo.read_h5ad(path))
    return path


def column(adata: Any, gene: int = GENE) -> np.ndarray:
    return np.ravel(adata[:, gene].X.compute().todense())


def elements_read(action: Any) -> dict[str, int]:
    """Chunks that an action decodes, by element."""
    with count_reads() as counter:
        action()
    return {name: c.chunks for (_, name), c in counter.by_dataset.items() if c.bytes_decoded}


def uses_copy(adata: Any, key: str = "X_by_gene") -> bool:
    adata[:, GENE].X.compute()  # the sample is looked at once
    read = elements_read(lambda: adata[:, GENE].X.compute())
    return set(read) == {f"layers/{key}/data", f"layers/{key}/indices"}


def test_one_gene_is_read_alone(paired: Path) -> None:
    adata = lo.read_h5ad(paired)
    np.testing.assert_array_equal(column(adata), counts()[:, [GENE]].toarray().ravel())
    with h5py.File(paired) as file:
        per_chunk = file["layers/X_by_gene/data"].chunks[0]
    bounds = np.cumsum(np.diff(counts().tocsc().indptr))[[GENE - 1, GENE]]
    chunks = (bounds[1] - 1) // per_chunk - bounds[0] // per_chunk + 1
    expected = {"layers/X_by_gene/data": chunks, "layers/X_by_gene/indices": chunks}
    assert elements_read(lambda: column(adata)) == expected
    assert elements_read(lambda: adata.obs_vector(adata.var_names[GENE])) == expected
    assert elements_read(lambda: lo.get.obs_df(adata, [adata.var_names[GENE]])) == expected


def test_a_plot_of_a_gene_uses_it(paired: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots")
    adata = lo.read_h5ad(paired)
    adata.obsm["X_umap"] = np.random.default_rng(0).random((N, 2))
    assert uses_copy(adata)
    draw = lambda: lo.pl.umap(adata, color=adata.var_names[GENE], show=False)  # noqa: E731
    assert set(elements_read(draw)) == {"layers/X_by_gene/data", "layers/X_by_gene/indices"}
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.mark.parametrize(
    "rows", [slice(None, None, -2), np.arange(N) % 7 == 3, [5, 5, 0, 2999], slice(10, 500)]
)
@pytest.mark.parametrize("cols", [[GENE], [40, 3, 3], slice(6, 9)])
def test_selections_of_cells(paired: Path, rows: Any, cols: Any) -> None:
    adata = lo.read_h5ad(paired)
    expected = counts()[rows][:, cols].toarray()
    ways = (
        lambda: adata[rows, cols],
        lambda: adata[rows][:, cols],
        lambda: adata[:, cols][rows],
        lambda: adata[:, :60][rows][:, cols],
    )
    for way in ways:
        values = way().X.compute()
        assert type(values).__name__ == "CSRBlock"
        np.testing.assert_array_equal(values.todense(), expected)
    adata[:, cols].X.compute()
    if len(expected) > 100:  # some cells are read from the matrix itself
        read = elements_read(lambda: adata[:, cols][rows].X.compute())
        assert set(read) == {"layers/X_by_gene/data", "layers/X_by_gene/indices"}


def test_everything_else_reads_the_matrix(paired: Path, count_passes: Any) -> None:
    adata = lo.read_h5ad(paired)
    assert isinstance(adata.X.recipe.source, PairedReader)
    with count_passes(paired, "layers/X_by_gene") as passes:
        np.testing.assert_array_equal(adata.X.compute().todense(), counts().toarray())
        adata[:10].X.compute()
        adata[:, : M // 2].X.compute()  # half of the genes: no cheaper from the copy
    assert passes.values == 0
    with count_passes(paired) as passes:
        adata[:, :5].X.compute()
    assert passes.values <= 1  # a sample at most


def test_recorded_steps(paired: Path) -> None:
    """Elementwise steps stay above; normalisation needs whole cells, and so the matrix."""
    adata = lo.read_h5ad(paired)
    lo.pp.log1p(adata)
    assert uses_copy(adata)
    np.testing.assert_allclose(
        column(adata), np.log1p(counts()[:, [GENE]].toarray().ravel()), rtol=1e-6
    )
    adata = lo.read_h5ad(paired)
    lo.pp.normalize_total(adata, target_sum=100)
    assert not uses_copy(adata)
    dense = counts().toarray()
    totals = dense.sum(axis=1)
    scaled = dense[:, GENE] * 100 / np.where(totals == 0, 1, totals)
    np.testing.assert_allclose(column(adata), scaled, rtol=1e-5)
    adata.X = adata.X * 2
    assert not uses_copy(adata)


def test_a_layer_of_normalised_values(path: Path) -> None:
    adata = lo.read_h5ad(path)
    lo.pp.normalize_total(adata)
    lo.pp.log1p(adata)
    adata.layers["lognorm"] = adata.X
    adata.X = lo.read_h5ad(path).X
    with pytest.raises(ValueError, match=r"layers/lognorm.*save it first"):
        lo.add_gene_major(adata, layer="lognorm")
    adata.write()
    lo.add_gene_major(adata, layer="lognorm")
    expected = lo.read_h5ad(path).layers["lognorm"].compute().todense()[:, GENE]
    values = adata[:, GENE].layers["lognorm"]
    read = elements_read(lambda: values.compute())
    assert set(read) == {"layers/lognorm_by_gene/data", "layers/lognorm_by_gene/indices"}
    np.testing.assert_array_equal(np.ravel(values.compute().todense()), np.ravel(expected))
    name = adata.var_names[GENE]
    read = elements_read(lambda: lo.get.obs_df(adata, [name], layer="lognorm"))
    assert all(element.startswith("layers/lognorm_by_gene/") for element in read)


def test_anndata_reads_an_ordinary_layer(paired: Path, tmp_path: Path) -> None:
    theirs = ad.read_h5ad(paired)
    copy = theirs.layers["X_by_gene"]
    assert copy.format == "csc"
    assert copy.has_sorted_indices
    assert (copy != counts().tocsc()).nnz == 0
    np.testing.assert_array_equal(theirs.X.toarray(), counts().toarray())
    theirs.write_h5ad(tmp_path / "theirs.h5ad")
    ours = lo.read_h5ad(tmp_path / "theirs.h5ad")
    assert not uses_copy(ours)
    np.testing.assert_array_equal(column(ours), counts()[:, [GENE]].toarray().ravel())


def test_copies_of_the_file_keep_it(paired: Path, tmp_path: Path) -> None:
    lo.read_h5ad(paired).write_h5ad(tmp_path / "copy.h5ad")
    assert uses_copy(lo.read_h5ad(tmp_path / "copy.h5ad"))
    lo.repack(paired)
    assert uses_copy(lo.read_h5ad(paired))
    with h5py.File(paired, "r+") as file:  # positions of another type, as repacking may leave them
        values = file["X/indices"][()].astype("int64")
        del file["X/indices"]
        file["X/indices"] = values
    assert uses_copy(lo.read_h5ad(paired))
    lo.repack(paired, codec="lzf")
    assert uses_copy(lo.read_h5ad(paired))
    lo.read_h5ad(paired)[:500].write_h5ad(tmp_path / "part.h5ad")
    part = lo.read_h5ad(tmp_path / "part.h5ad")
    assert not uses_copy(part)
    np.testing.assert_array_equal(column(part), counts()[:500, [GENE]].toarray().ravel())


def replaced_by_lazyomics(path: Path) -> None:
    adata = lo.read_h5ad(path)
    adata.X = adata.X * 3
    adata.write(overwrite_x=True)


def replaced_by_anndata(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["X"]
        ad.io.write_elem(file, "X", counts() * 3)


def overwritten_in_place(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["X/data"][...] = file["X/data"][...] * 3


def copy_replaced(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["layers/X_by_gene"]
        ad.io.write_elem(file["layers"], "X_by_gene", counts(2).tocsc())


def copy_deleted(path: Path) -> None:
    adata = lo.read_h5ad(path)
    del adata.layers["X_by_gene"]
    adata.write()


def copy_of_another_form(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["layers/X_by_gene"].attrs["encoding-type"] = "csr_matrix"


@pytest.mark.filterwarnings("ignore:.*add_gene_major again")
@pytest.mark.parametrize(
    ("change", "factor"),
    [
        (replaced_by_lazyomics, 3),
        (replaced_by_anndata, 3),
        (overwritten_in_place, 3),
        (copy_replaced, 1),
        (copy_deleted, 1),
        (copy_of_another_form, 1),
    ],
)
def test_a_copy_that_is_out_of_date_is_not_used(paired: Path, change: Any, factor: int) -> None:
    assert uses_copy(lo.read_h5ad(paired))
    change(paired)
    adata = lo.read_h5ad(paired)
    assert not uses_copy(adata)
    np.testing.assert_array_equal(column(adata), factor * counts()[:, [GENE]].toarray().ravel())


def test_it_says_that_it_is_out_of_date(paired: Path) -> None:
    overwritten_in_place(paired)
    adata = lo.read_h5ad(paired)
    with pytest.warns(UserWarning, match=r"'layers/X_by_gene'.*copy by genes of 'X'.*again"):
        _ = adata[:, GENE].X
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _ = adata[:, GENE].X  # once
    lo.add_gene_major(adata)
    assert uses_copy(adata)
    assert uses_copy(lo.read_h5ad(paired))


def test_the_opened_object_goes_on(path: Path) -> None:
    adata = lo.read_h5ad(path, chunks=100)
    adata.obs["new"] = 1.0
    before = adata.X
    lo.add_gene_major(adata, compression=None)
    assert list(adata.layers) == ["other", "X_by_gene"]
    assert adata.X.chunks == before.chunks
    assert adata[:, GENE].X.numblocks == (1, 1)
    assert uses_copy(adata)
    assert "new" not in lo.read_h5ad(path).obs
    adata.write()
    assert uses_copy(lo.read_h5ad(path))
    assert lo.read_h5ad(path).obs["new"].eq(1).all()
    del adata.layers["X_by_gene"]
    adata.write()
    assert list(lo.read_h5ad(path).layers) == ["other"]


def test_in_bounded_memory_and_other_processes(path: Path) -> None:
    adata = lo.read_h5ad(path)
    with dask.config.set({"lazyomics.chunk-bytes": "64 KiB"}):
        lo.add_gene_major(adata, key_added="genes", memory="200 KiB", scratch_bytes="1 MiB")
    assert uses_copy(adata, "genes")
    again = pickle.loads(pickle.dumps(adata[:, GENE].X))
    np.testing.assert_array_equal(np.ravel(again.compute().todense()), column(adata))
    again = pickle.loads(pickle.dumps(adata.X))
    np.testing.assert_array_equal(np.ravel(again[:, [GENE]].compute().todense()), column(adata))


def test_a_modality(tmp_path: Path) -> None:
    names = [f"c{k}" for k in range(N)]
    mods = {
        mod: lo.AnnData(counts(k), obs=pd.DataFrame(index=names))
        for k, mod in enumerate(("rna", "atac"))
    }
    for mod, adata in mods.items():
        adata.var_names = [f"{mod}{k}" for k in range(M)]
    lo.MuData(mods).write_h5mu(tmp_path / "a.h5mu")
    mdata = lo.read_h5mu(tmp_path / "a.h5mu")
    lo.add_gene_major(mdata["rna"])
    mdata.write()
    for opened in (mdata, lo.read_h5mu(tmp_path / "a.h5mu")):
        adata = opened["rna"]
        adata[:, GENE].X.compute()
        read = elements_read(lambda: opened["rna"][:, GENE].X.compute())  # noqa: B023
        parts = ("data", "indices")
        assert set(read) == {f"mod/rna/layers/X_by_gene/{part}" for part in parts}
        np.testing.assert_array_equal(column(adata), counts()[:, [GENE]].toarray().ravel())


def test_joined_files(paired: Path, tmp_path: Path) -> None:
    second = tmp_path / "b.h5ad"
    ad.AnnData(counts(3)).write_h5ad(second)
    joined = lo.concat([lo.read_h5ad(paired), lo.read_h5ad(second)], index_unique="-")
    both = sp.vstack([counts(), counts(3)])[:, [GENE]].toarray().ravel()
    np.testing.assert_array_equal(column(joined), both)


def test_wrong_arguments(path: Path, tmp_path: Path) -> None:
    adata = lo.read_h5ad(path)
    with pytest.raises(KeyError, match=r"no layer 'nope'.*other"):
        lo.add_gene_major(adata, layer="nope")
    with pytest.raises(ValueError, match=r"layer 'other'.*key_added"):
        lo.add_gene_major(adata, key_added="other")
    with pytest.raises(ValueError, match="a selection"):
        lo.add_gene_major(adata[:5])
    with pytest.raises(ValueError, match="not opened from a file"):
        lo.add_gene_major(lo.AnnData(counts()))
    lo.pp.log1p(adata)
    with pytest.raises(ValueError, match="X was changed"):
        lo.add_gene_major(adata)
    for name, matrix in {"csc": counts().tocsc(), "dense": np.ones((3, 2))}.items():
        ad.AnnData(matrix).write_h5ad(tmp_path / f"{name}.h5ad")
        with pytest.raises(ValueError, match=f"stored as {name}"):
            lo.add_gene_major(lo.read_h5ad(tmp_path / f"{name}.h5ad"))
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (4, 3)])
def test_empty_matrices(tmp_path: Path, shape: tuple[int, int]) -> None:
    ad.AnnData(sp.csr_matrix(shape, dtype="float32")).write_h5ad(tmp_path / "e.h5ad")
    adata = lo.read_h5ad(tmp_path / "e.h5ad")
    lo.add_gene_major(adata)
    assert adata[:, : min(1, shape[1])].X.compute().shape == (shape[0], min(1, shape[1]))


def test_what_the_sample_notices(path: Path) -> None:
    def sample() -> str:
        with h5py.File(path) as file:
            return sample_of(reader_of(file["X"]))

    before = sample()
    assert sample() == before
    for part, place in (("data", 0), ("data", -1), ("indices", 0), ("indptr", N // 2)):
        with h5py.File(path, "r+") as file:
            old = file[f"X/{part}"][place]
            file[f"X/{part}"][place] = old + 1
        assert part == "indptr" or sample() != before
        with h5py.File(path, "r+") as file:
            file[f"X/{part}"][place] = old
