"""Files written anew with another codec, other chunks, another order: what others read of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import FileFormatError, MissingDependencyError, UnsupportedError
from lazyomics.io import repack, stream
from lazyomics.io import repack as repack_module
from tests.comparing import assert_same_anndata
from tests.container.mudata_cases import assert_same_mudata, modalities, read_with_mudata
from tests.io.transaction.crashes import elements
from tests.peaks import PEAK

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")

CODECS = ["none", "gzip", "lzf", "zstd", "lz4", "blosc"]
PLUGINS = ("zstd", "lz4", "blosc")
NUMBERS = {"none": None, "gzip": 1, "lzf": 32000, "zstd": 32015, "lz4": 32004, "blosc": 32001}


@pytest.fixture
def tiny(monkeypatch) -> None:
    """Chunks of 16 float32 values and runs of three of them, and nothing is too small."""
    monkeypatch.setattr(repack_module, "CHUNK_BYTES", 64)
    monkeypatch.setattr(stream, "CHUNK_BYTES", 64)
    monkeypatch.setattr(repack_module, "RUN_BYTES", 192)
    monkeypatch.setattr(repack, "SMALL", 0)


def need(codec: str) -> None:
    if codec in PLUGINS:
        pytest.importorskip("hdf5plugin", reason="it holds this filter")


def filters(dataset: h5py.Dataset) -> list[int]:
    properties = dataset.id.get_create_plist()
    return [properties.get_filter(k)[0] for k in range(properties.get_nfilters())]


def example(n: int = 60, m: int = 23) -> Any:
    """All kinds of matrices and columns, as anndata writes them."""
    rng = np.random.default_rng(0)
    x = sp.random(n, m, 0.3, format="csr", dtype="f4", random_state=0)
    made = ad.AnnData(
        x,
        obs=pd.DataFrame(
            {
                "group": pd.Categorical(rng.choice(["a", "b"], n)),
                "flag": rng.random(n) > 0.5,
                "size": rng.random(n),
            },
            index=[f"cell {i}" for i in range(n)],
        ),
        var=pd.DataFrame(index=[f"gene {i}" for i in range(m)]),
    )
    made.layers["csc"] = sp.csc_matrix(x * 2)
    made.layers["dense"] = rng.normal(size=(n, m))
    made.layers["counts"] = rng.poisson(1, (n, m)).astype("i8")
    made.obsm["X_pca"] = rng.normal(size=(n, 3)).astype("f4")
    made.obsp["near"] = sp.random(n, n, 0.1, format="csr", random_state=0)
    made.uns["deep"] = {"cube": rng.normal(size=(3, 4, 5)), "text": "é", "flags": [True, False]}
    made.raw = made.copy()
    return made


@pytest.fixture
def file(tmp_path) -> Path:
    example().write_h5ad(tmp_path / "a.h5ad", compression="gzip")
    return tmp_path / "a.h5ad"


@pytest.mark.parametrize("codec", CODECS)
def test_anndata_reads_the_same_of_every_codec(file, codec, tiny) -> None:
    need(codec)
    expected, before = ad.read_h5ad(file), elements(file)
    done = lo.repack(file, codec=codec)
    assert done.after == file.stat().st_size
    assert elements(file) == before  # types, shapes, values, attributes
    assert_same_anndata(ad.read_h5ad(file), expected)
    assert_same_anndata(lo.read_h5ad(file).to_anndata(), expected)
    with h5py.File(file) as stored:
        for name in ("X/data", "layers/dense", "obs/size", "uns/deep/cube"):
            assert filters(stored[name]) == ([] if codec == "none" else [NUMBERS[codec]]), name
        assert stored["X/data"].chunks == (16,)
        assert stored["X/data"].maxshape == (None,)
        shuffled = codec in ("gzip", "lzf", "zstd", "lz4")
        assert (2 in filters(stored["X/indices"])) is shuffled


@pytest.mark.parametrize("codec", ["none", "gzip", "lz4"])
def test_mudata_reads_the_same(tmp_path, codec, tiny) -> None:
    pytest.importorskip("mudata", reason="mudata is the reference of this test")
    need(codec)
    path = tmp_path / "a.h5mu"
    lo.MuData(modalities("partial")).write_h5mu(path, compression="gzip")
    before, start = elements(path), path.read_bytes()[:512]
    lo.repack(path, codec=codec)
    assert elements(path) == before
    assert path.read_bytes()[:512] == start
    assert_same_mudata(lo.read_h5mu(path), read_with_mudata(path))


@pytest.mark.parametrize("codec", ["gzip", "zstd", "lz4", "blosc"])
@pytest.mark.parametrize("shuffle", [None, True, False])
def test_whole_objects_are_written_with_the_same_options(file, tmp_path, codec, shuffle) -> None:
    need(codec)
    chosen: dict[str, Any] = {"compression": codec, "shuffle": shuffle, "chunk_bytes": "1 kiB"}
    expected, target = ad.read_h5ad(file), tmp_path / "b.h5ad"
    opened = lo.read_h5ad(file).copy(filename=target, **chosen)
    assert_same_anndata(opened.to_anndata(), expected)
    assert_same_anndata(ad.read_h5ad(target), expected)
    with h5py.File(target) as stored:
        assert stored["X/data"].chunks == (256,)
        assert stored["layers/dense"].chunks == (5, 23)
        assert NUMBERS[codec] in filters(stored["layers/dense"])
        if codec != "blosc":
            assert (2 in filters(stored["X/data"])) is (shuffle is True)
            assert (2 in filters(stored["X/indices"])) is (shuffle is not False)


def test_mudata_is_written_with_the_same_options(tmp_path) -> None:
    mdata = lo.MuData(modalities())
    opened = mdata.copy(filename=tmp_path / "a.h5mu", compression="gzip", chunk_bytes=64)
    with h5py.File(tmp_path / "a.h5mu") as stored:
        assert stored["mod/rna/X/data"].chunks == (16,)
        assert filters(stored["mod/rna/X/indices"]) == [2, 1]
    assert opened.shape == mdata.shape
    opened.write_h5mu(tmp_path / "b.h5mu", storage="csc")
    with h5py.File(tmp_path / "b.h5mu") as stored:
        assert stored["mod/rna/X"].attrs["encoding-type"] == "csc_matrix"
    np.testing.assert_array_equal(
        lo.read_h5mu(tmp_path / "b.h5mu")["rna"].to_df(), mdata["rna"].to_df()
    )


def test_another_file_leaves_the_first_alone(file, tmp_path) -> None:
    before = file.read_bytes()
    done = lo.repack(file, codec="gzip", out=tmp_path / "b.h5ad")
    assert file.read_bytes() == before
    assert done.path == tmp_path / "b.h5ad"
    assert (done.before, done.after) == (len(before), done.path.stat().st_size)
    assert elements(done.path) == elements(file)
    assert repr(done).startswith(f"{done.path}: ")


def test_other_chunks_keep_the_filter(file, tiny) -> None:
    before = elements(file)
    lo.repack(file, chunk_bytes=128)
    assert elements(file) == before
    with h5py.File(file) as stored:
        assert stored["X/data"].chunks == (32,)
        assert filters(stored["X/data"]) == [1]


@pytest.mark.parametrize("stored_as", ["i8", "u2", "u4"])
def test_positions_of_other_types_become_what_scanpy_works_with(file, stored_as) -> None:
    sc = pytest.importorskip("scanpy", reason="it refuses positions of other types")
    expected = ad.read_h5ad(file)
    with h5py.File(file, "r+") as stored:
        for part in ("indices", "indptr"):
            values = stored[f"X/{part}"][:].astype(stored_as if part == "indices" else "i8")
            del stored[f"X/{part}"]
            stored.create_dataset(f"X/{part}", data=values, maxshape=(None,))
    lo.repack(file, codec="gzip")
    with h5py.File(file) as stored:
        assert stored["X/indices"].dtype == stored["X/indptr"].dtype == np.int32
    found = ad.read_h5ad(file)
    sc.pp.normalize_total(expected)
    sc.pp.normalize_total(found)
    assert_same_anndata(found, expected)


def test_positions_that_do_not_fit_are_damage(file, tiny) -> None:
    with h5py.File(file, "r+") as stored:
        values = stored["X/indices"][:].astype("i8")
        values[-1] = 2**31
        del stored["X/indices"]
        stored.create_dataset("X/indices", data=values, maxshape=(None,))
    before = file.read_bytes()
    with pytest.raises(FileFormatError, match=r"X/indices.*2147483648"):
        lo.repack(file, codec="gzip")
    assert file.read_bytes() == before
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_damaged_chunks_leave_the_file_as_it_was(file) -> None:
    with h5py.File(file) as stored:
        chunk = stored["X/data"].id.get_chunk_info(0)
    with file.open("r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(bytes(chunk.size))
    before = file.read_bytes()
    with pytest.raises(FileFormatError, match="X/data"):
        lo.repack(file, codec="none")
    assert file.read_bytes() == before
    assert [p.name for p in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("storage", ["csr", "csc"])
@pytest.mark.parametrize("codec", [None, "gzip"])
def test_matrices_are_turned_over(file, storage, codec) -> None:
    expected = ad.read_h5ad(file)
    lo.repack(file, storage=storage, codec=codec)
    found = ad.read_h5ad(file)
    with h5py.File(file) as stored:
        for name in ("X", "raw/X", "layers/csc"):
            assert stored[name].attrs["encoding-type"] == f"{storage}_matrix"
            assert 1 in filters(stored[f"{name}/data"])
        assert stored["obsp/near"].attrs["encoding-type"] == "csr_matrix"
    for layer in expected.layers:
        a, b = found.layers[layer], expected.layers[layer]
        np.testing.assert_array_equal(*(v.toarray() if sp.issparse(v) else v for v in (a, b)))
    np.testing.assert_array_equal(found.X.toarray(), expected.X.toarray())
    assert found.X.format == storage


def test_modalities_are_turned_over(tmp_path) -> None:
    path = tmp_path / "a.h5mu"
    mdata = lo.MuData(modalities())
    mdata.write_h5mu(path)
    lo.repack(path, storage="csc")
    with h5py.File(path) as stored:
        assert stored["mod/rna/X"].attrs["encoding-type"] == "csc_matrix"
    np.testing.assert_array_equal(lo.read_h5mu(path)["rna"].to_df(), mdata["rna"].to_df())


def test_matrices_of_the_first_layout_are_not_turned_over(file) -> None:
    with h5py.File(file, "r+") as stored:
        for key in list(stored["X"].attrs):
            del stored["X"].attrs[key]
        stored["X"].attrs.update({"h5sparse_format": b"csr", "h5sparse_shape": (60, 23)})
    with pytest.raises(UnsupportedError, match="write_h5ad"):
        lo.repack(file, storage="csc")


def test_what_was_written_with_a_plugin_needs_none_afterwards(tmp_path) -> None:
    plugins = pytest.importorskip("hdf5plugin", reason="it holds the filter")
    path = tmp_path / "a.h5ad"
    chosen = plugins.Zstd(clevel=5)
    example().write_h5ad(path, compression=chosen.filter_id, compression_opts=chosen.filter_options)
    expected = ad.read_h5ad(path)
    lo.repack(path, codec="gzip")
    program = (
        "import sys; sys.modules['hdf5plugin'] = None\n"
        "import anndata, warnings; warnings.simplefilter('ignore')\n"
        "x = anndata.read_h5ad(sys.argv[1]); print(x.X.sum(), *x.obs['group'][:3])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [str(expected.X.sum()), *expected.obs["group"][:3]], done.stderr
    assert_same_anndata(ad.read_h5ad(path), expected)


def test_filters_by_number_as_anndata_takes_them(file, tmp_path) -> None:
    plugins = pytest.importorskip("hdf5plugin", reason="it holds the filter")
    chosen = plugins.Zstd(clevel=5)
    lo.read_h5ad(file).write_h5ad(
        tmp_path / "b.h5ad",
        compression=chosen.filter_id,
        compression_opts=chosen.filter_options,
    )
    with h5py.File(tmp_path / "b.h5ad") as stored:
        properties = stored["X/data"].id.get_create_plist()
        assert properties.get_filter(0)[0] == chosen.filter_id
        assert properties.get_filter(0)[2] == (5,)
    assert_same_anndata(ad.read_h5ad(tmp_path / "b.h5ad"), ad.read_h5ad(file))


@pytest.mark.parametrize("codec", ["none", "gzip"])
def test_whatever_numbers_a_file_holds(tmp_path, codec, tiny) -> None:
    path, rng = tmp_path / "a.h5", np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        some = {"chunks": True, "compression": "gzip"}
        file.create_dataset("big-endian", data=rng.random(50).astype(">f4"), **some)
        file.create_dataset("complex", data=rng.random(50) * 1j, **some)
        file.create_dataset("flags", data=rng.random(50) > 0.5, **some)
        logical = h5py.enum_dtype({"FALSE": 0, "TRUE": 1, "NA": 2}, basetype="i1")
        file.create_dataset("logical", data=rng.integers(0, 3, 50), dtype=logical, **some)
        file.create_dataset("half", data=rng.random((7, 3, 5, 2)).astype("f2"), **some)
        file.create_dataset("bytes", data=np.array([b"ab", b"c"] * 20), **some)
        file.create_dataset("checked", data=rng.integers(0, 9, 50), fletcher32=True, **some)
        file.create_dataset("scaled", data=rng.integers(0, 9, 50), scaleoffset=0, chunks=True)
        file.create_dataset("filled", shape=(40,), dtype="i4", fillvalue=7, **some)[3:5] = 1
        file.create_dataset("nothing", shape=(0,), maxshape=(None,), dtype="f4", **some)
        file.create_dataset("records", data=np.zeros(4, [("a", "i4"), ("b", "S3")]), **some)
        file.create_dataset("wide", data=rng.random((3, 100)), maxshape=(None, 200), **some)
        group = file.create_group("ordered", track_order=True)
        for name in "zyx":
            group.create_dataset(name, data=np.arange(40), **some)
        file["again"] = file["ordered/z"]
        file["soft"] = h5py.SoftLink("/flags")
        file["flags"].attrs["of"] = file["logical"].ref
    before = elements(path)
    reference = before.pop("flags")
    lo.repack(path, codec=codec)
    after = elements(path)
    assert after.pop("flags")[:3] == reference[:3]
    assert after == before
    with h5py.File(path) as file:
        assert file["again"] == file["ordered/z"]
        assert list(file["ordered"]) == ["z", "y", "x"]
        assert h5py.check_enum_dtype(file["logical"].dtype) == {"FALSE": 0, "TRUE": 1, "NA": 2}
        assert file["flags"].dtype == bool
        assert file["filled"].fillvalue == 7
        assert file["wide"].maxshape == (None, 200)
        assert file["checked"].fletcher32
        assert file[file["flags"].attrs["of"]] == file["logical"]
        assert isinstance(file.get("soft", getlink=True), h5py.SoftLink)


def test_what_is_wrong_is_said_before_anything_is_written(file, tmp_path, monkeypatch) -> None:
    before = file.read_bytes()
    with pytest.raises(ValueError, match=r"expected one of .*'lz4'.*found 'snappy'"):
        lo.repack(file, codec="snappy")
    with pytest.raises(ValueError, match="0 to 9, found 11"):
        lo.repack(file, codec="gzip", level=11)
    with pytest.raises(ValueError, match="lzf has no levels"):
        lo.read_h5ad(file).write_h5ad(tmp_path / "b", compression="lzf", compression_opts=1)
    with pytest.raises(ValueError, match="needs a codec"):
        lo.read_h5ad(file).write_h5ad(tmp_path / "b", compression_opts=1)
    with pytest.raises(ValueError, match="4 GiB, found 0"):
        lo.repack(file, chunk_bytes=0)
    with pytest.raises(ValueError, match="'csr' or 'csc'"):
        lo.repack(file, storage="coo")
    with pytest.raises(TypeError, match=r"compression.*filename"):
        lo.read_h5ad(file).copy(compression="gzip")
    with pytest.raises(ValueError, match="another filename"):
        lo.read_h5ad(file).write_h5ad(storage="csr")
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    with pytest.raises(MissingDependencyError, match=r"lazyomics\[codecs\]"):
        lo.repack(file, codec="lz4")
    assert file.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [file.name]


def test_sizes_are_printed_where_progress_is_asked_for(file, capsys) -> None:
    import dask

    lo.repack(file)
    assert not capsys.readouterr().out
    with dask.config.set({"lazyomics.progress": True}):
        done = lo.repack(file, codec="gzip")
    assert str(done) in capsys.readouterr().out


MEMORY = (
    PEAK
    + """
import dask
import lazyomics as lo
dask.config.set(num_workers=2)
small, large = sys.argv[1:]
lo.repack(small, codec="gzip", level=1)
before = peak()
lo.repack(large, codec="gzip", level=1)
print(peak() - before)
"""
)


@pytest.mark.slow
def test_memory_is_that_of_a_few_runs(tmp_path) -> None:
    for name, n in (("small", 1000), ("large", 30_000_000)):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            values = file.create_dataset(
                "x", (n,), "f4", chunks=(250,) if n == 1000 else (1 << 18,)
            )
            values[: n // 2] = 1
    command = [
        sys.executable,
        "-c",
        MEMORY,
        *(str(tmp_path / f"{n}.h5") for n in ("small", "large")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 80 << 20  # of 120 MB


def test_saves_into_the_opened_file_take_the_options(file) -> None:
    adata = lo.read_h5ad(file)
    adata.layers["memory"] = np.arange(60 * 23, dtype="f4").reshape(60, 23)
    adata.layers["lazy"] = adata.X * 2
    adata.write(compression="gzip", compression_opts=1, chunk_bytes=256)
    with h5py.File(file) as stored:
        assert stored["layers/lazy/data"].chunks == (64,)
        assert filters(stored["layers/lazy/indices"]) == [2, 1]
        assert filters(stored["layers/memory"]) == [1]
    np.testing.assert_array_equal(
        ad.read_h5ad(file).layers["lazy"].toarray(), 2 * ad.read_h5ad(file).X.toarray()
    )


def test_selections_are_streamed_with_every_codec(file, tmp_path) -> None:
    expected = ad.read_h5ad(file)[7:40:3].copy()
    for codec in CODECS:
        need(codec)
        lo.read_h5ad(file)[7:40:3].write_h5ad(tmp_path / codec, compression=codec)
        found = ad.read_h5ad(tmp_path / codec)
        np.testing.assert_array_equal(found.X.toarray(), expected.X.toarray())
        np.testing.assert_array_equal(found.layers["dense"], expected.layers["dense"])
        assert list(found.obs_names) == list(expected.obs_names)


def test_large_matrices_in_memory_get_large_chunks(tmp_path) -> None:
    x = sp.random(2000, 1500, 0.2, format="csr", dtype="f4", random_state=0)
    lo.AnnData(x).write_h5ad(tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "a.h5ad") as stored:
        assert stored["X/data"].chunks == stored["X/indices"].chunks == (1 << 18,)
        assert stored["X/indptr"].maxshape == (None,)
    assert (x != ad.read_h5ad(tmp_path / "a.h5ad").X).nnz == 0
