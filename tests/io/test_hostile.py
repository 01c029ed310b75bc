"""Files and objects that are made to do harm: bombs, lies, foreign links, pickles, names."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import FileFormatError, LazyomicsError, ShapeError
from lazyomics.io.encodings import read_element
from lazyomics.io.hdf5.layout import address_of
from tests.peaks import PEAK

ROOT = Path(__file__).parent.parent.parent
N, M = 30, 12


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A small file of lazyomics' own making."""
    rng = np.random.default_rng(0)
    counts = sp.csr_matrix(rng.poisson(1, (N, M)).astype("f4"))
    obs = pd.DataFrame(
        {"kind": pd.Categorical(["a", "b"] * 15), "n": np.arange(N)}, [f"c{k}" for k in range(N)]
    )
    adata = lo.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"g{k}" for k in range(M)]))
    adata.obsm["X_pca"] = rng.random((N, 3))
    adata.layers["dense"] = counts.toarray()
    adata.uns["text"] = "a text"
    adata.write_h5ad(tmp_path / "a.h5ad")
    return tmp_path / "a.h5ad"


def replace(file: h5py.File, name: str, **options: Any) -> h5py.Dataset:
    """Make a dataset anew, with the attributes of the old one."""
    attributes = dict(file[name].attrs) if name in file else {}
    if name in file:
        del file[name]
    made = file.create_dataset(name, **options)
    made.attrs.update(attributes)
    return made


def run(code: str, *arguments: object, **environment: str) -> str:
    """Run a program in a process of its own; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **environment},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


READ = """
import lazyomics as lo
from lazyomics.errors import LazyomicsError

def read(path, part):
    adata = lo.read_h5ad(path)
    repr(adata)
    {"X": lambda: adata.X.compute(), "obs": lambda: adata.obs,
     "layer": lambda: adata.layers["dense"].compute(), "all": adata.to_memory}[part]()

good, bad, part = sys.argv[1:]
read(good, part)  # what is imported and compiled on first use
before = peak()
try:
    read(bad, part)
    print("read", end=" ")
except LazyomicsError as error:
    print("refused", error, end=" ")
print("|", (peak() - before) >> 20)
"""


def outcome(good: Path, bad: Path, part: str) -> tuple[str, int]:
    """What reading a part of a file printed, and how many MiB it took."""
    text, _, used = run(READ, good, bad, part).rpartition("|")
    return text, int(used)


BOMB = zlib.compress(bytes(1 << 29), 9)  # half a gigabyte of zeros in half a megabyte


@pytest.mark.parametrize(
    ("name", "part"), [("X/data", "X"), ("obs/n", "obs"), ("layers/dense", "layer")]
)
def test_chunks_that_inflate_beyond_their_size(path, tmp_path, name, part) -> None:
    bad = tmp_path / "bad.h5ad"
    bad.write_bytes(path.read_bytes())
    with h5py.File(bad, "r+") as file:
        old = file[name]
        made = replace(
            file, name, shape=old.shape, dtype=old.dtype, chunks=old.shape, compression="gzip"
        )
        made.id.write_direct_chunk((0,) * made.ndim, BOMB)
    text, used = outcome(path, bad, part)
    assert "refused" in text
    assert name in text
    assert used < 100


def test_chunks_far_larger_than_the_file(path, tmp_path) -> None:
    """One gigabyte to a chunk, of which a few bytes are stored."""
    bad = tmp_path / "bad.h5ad"
    bad.write_bytes(path.read_bytes())
    with h5py.File(bad, "r+") as file:
        nnz = len(file["X/data"])
        made = replace(
            file,
            "X/data",
            shape=(nnz,),
            maxshape=(None,),
            dtype="f4",
            chunks=(1 << 28,),
            compression="gzip",
        )
        made.id.write_direct_chunk((0,), zlib.compress(bytes(4 * nnz)))
    text, used = outcome(path, bad, "X")
    assert "refused" in text
    assert used < 100


def test_a_virtual_dataset_larger_than_its_parts(path, tmp_path) -> None:
    bad = tmp_path / "bad.h5ad"
    bad.write_bytes(path.read_bytes())
    with h5py.File(bad, "r+") as file:
        layout = h5py.VirtualLayout((N, 10**9), "f4")
        layout[:, :M] = h5py.VirtualSource(".", "layers/dense", (N, M))
        file.create_virtual_dataset("obsm/wide", layout)
        file["obsm/wide"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    text, used = outcome(path, bad, "all")
    assert "refused" in text
    assert "obsm/wide" in text
    assert used < 100


def test_values_that_were_never_written(path, tmp_path) -> None:
    """A layer of fill values is read as such, but not if a few bytes claim gigabytes."""
    with h5py.File(path, "r+") as file:
        made = replace(file, "layers/dense", shape=(N, M), dtype="f4", chunks=(5, 5), fillvalue=7)
    assert (lo.read_h5ad(path).layers["dense"].compute() == 7).all()
    large = lo.AnnData(sp.csr_matrix((10_000, 10_000), dtype="f4"))
    large.write_h5ad(tmp_path / "large.h5ad")
    with h5py.File(tmp_path / "large.h5ad", "r+") as file:
        made = file.create_dataset("layers/dense", (10_000, 10_000), "f4", chunks=(100, 100))
        made.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    with pytest.raises(FileFormatError, match=r"layers/dense.*0 stored bytes"):
        lo.read_h5ad(tmp_path / "large.h5ad").layers["dense"]


def test_a_page_of_zeros_where_texts_lie(path) -> None:
    """HDF5 itself searches such a heap forever."""
    content = bytearray(path.read_bytes())
    begin = content.find(b"GCOL")
    assert begin > 0
    while begin > 0:
        content[begin + 512 : begin + 1024] = bytes(512)
        begin = content.find(b"GCOL", begin + 4)
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="texts whose heap is damaged"):
        lo.read_h5ad(path).to_memory()


def test_a_root_that_cannot_be_opened(path) -> None:
    with h5py.File(path) as file:
        _, address = address_of(file["/"])
    content = bytearray(path.read_bytes())
    content[address] = 99  # version of the header
    path.write_bytes(content)
    with pytest.raises((OSError, LazyomicsError), match=r"a\.h5ad"):
        lo.read_h5ad(path)


def test_an_attribute_that_is_neither_text_nor_sequence(path) -> None:
    """HDF5 ends the process when it reads one of such a type."""
    content = bytearray(path.read_bytes())
    at = content.index(b"column-order\0\0\0\0") + 16
    assert content[at : at + 2] == b"\x19\x01"
    content[at + 1] = 5
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="damaged"):
        lo.read_h5ad(path).to_memory()


@pytest.mark.parametrize("size", [2**64 - 1, 2**64 - 24])
def test_a_text_whose_size_leads_back(path, size) -> None:
    """HDF5 goes round in circles in such a heap."""
    content = bytearray(path.read_bytes())
    first = content.index(b"GCOL") + 16
    step = 16 + -(-int.from_bytes(content[first + 8 : first + 16], "little") // 8) * 8
    content[first + step + 8 : first + step + 16] = size.to_bytes(8, "little")
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="texts whose heap is damaged"):
        lo.read_h5ad(path).to_memory()


def test_graphs_in_neighbors_of_another_encoding(path) -> None:
    """They stay where they are, and what claims to be of that encoding is carried along."""
    with h5py.File(path, "r+") as file:
        neighbors = file.create_group("uns/neighbors")
        neighbors.attrs.update({"encoding-type": "unknown", "encoding-version": "0.1.0"})
        graph = neighbors.create_group("distances")
        graph.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        graph.attrs["shape"] = (N, N)
        for part, values in (("data", [1.0]), ("indices", [0]), ("indptr", [0] + [1] * N)):
            graph[part] = values
    adata = lo.read_h5ad(path)
    assert list(adata.obsp) == []
    assert "OpaqueElement" in repr(adata.uns["neighbors"])


def test_a_text_that_is_longer_than_its_heap(path) -> None:
    with h5py.File(path, "r") as file:
        offset = file["obs/_index"].id.get_offset()
    assert offset is not None
    with path.open("r+b") as raw:
        raw.seek(offset)
        raw.write((2**31).to_bytes(4, "little"))
    with pytest.raises(FileFormatError, match=r"obs/_index.*texts whose heap is damaged"):
        list(lo.read_h5ad(path).obs_names)


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}, {"chunks": (7,)}])
def test_texts_in_all_layouts_are_accepted(tmp_path, options) -> None:
    """What is looked at before HDF5 reads is not refused by mistake, in files of both formats."""
    texts = np.array(["", "a", "ü" * 3000, "b" * 70_000, *map(str, range(3000))], dtype=object)
    for libver in ("earliest", "latest"):
        with h5py.File(tmp_path / "a.h5", "w", libver=libver, userblock_size=512) as file:
            made = file.create_dataset("x", data=texts, dtype=h5py.string_dtype(), **options)
            made.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
            made.attrs["many"] = list(texts[4:500])
        with h5py.File(tmp_path / "a.h5", "r") as file:
            group = file["/"]
            write_target = read_element(group)["x"]
        np.testing.assert_array_equal(write_target, texts)


@pytest.mark.parametrize("place", ["mod", "mod/rna", "obs", "obsm", "obsmap", "uns", "mod/rna/X"])
def test_links_to_other_files_from_an_h5mu(tmp_path, place) -> None:
    mdata = lo.MuData({"rna": lo.AnnData(sp.eye(3, format="csr"))})
    mdata.uns["k"] = 1
    for name in ("a.h5mu", "b.h5mu"):
        mdata.write_h5mu(tmp_path / name)
    with h5py.File(tmp_path / "a.h5mu", "r+") as file:
        if place in file:
            del file[place]
        file[place] = h5py.ExternalLink(str(tmp_path / "b.h5mu"), f"/{place}")
    with pytest.raises(FileFormatError, match=r"b\.h5mu.*external-files"):
        lo.read_h5mu(tmp_path / "a.h5mu").to_memory()


PICKLED = """
import lazyomics as lo, os
unpickled = []
sys.addaudithook(lambda event, args: unpickled.append(args) if event == "pickle.find_class" else 0)
import dask, pickle
dask.config.set(scheduler="synchronous")
adata = lo.read_h5ad(sys.argv[1])
pickle.loads(pickle.dumps(os.getcwd))
assert unpickled.pop()[1] == "getcwd", "the hook sees what is unpickled"
for key in list(adata.uns):
    try:
        repr(adata.uns[key])
    except lo.errors.LazyomicsError as error:
        print("refused", key)
loaded = adata.to_memory()
del loaded.uns["void"]  # plain bytes of no encoding
loaded.write_h5ad(sys.argv[2])
print("unpickled", [name for _, name in unpickled if name in ("mkdir", "Evil")])
"""


class Evil:
    """Would create a file if it were unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("unpickled-by-mistake",)


def test_pickled_objects_stay_bytes(path, tmp_path) -> None:
    payload = pickle.dumps(Evil())
    with h5py.File(path, "r+") as file:
        uns = file["uns"]
        uns.create_dataset("void", data=np.void(payload))
        uns.create_dataset("bytes", data=np.bytes_(payload.replace(b"\0", b"\1")))
        uns["bytes"].attrs.update({"encoding-type": "bytes", "encoding-version": "0.2.0"})
        uns.create_dataset("numbers", data=np.frombuffer(payload, "u1"))
        kind = h5py.h5t.create(h5py.h5t.OPAQUE, len(payload))
        kind.set_tag(b"PYTHON:OBJECT")
        space = h5py.h5s.create_simple((1,))
        made = h5py.h5d.create(uns.id, b"tagged", kind, space)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([np.void(payload)]), kind)
        uns["tagged"].attrs["PYTHON:pickle"] = np.void(payload)
    text = run(PICKLED, path, tmp_path / "copy.h5ad")
    assert text.endswith("unpickled []\n")
    assert not (ROOT / "unpickled-by-mistake").exists()


def test_attributes_of_megabytes(path) -> None:
    """As dense storage allows them: read where they mean something, carried along elsewhere."""
    with (
        h5py.File(path, "r") as file,
        h5py.File(path.with_name("b.h5ad"), "w", libver="latest") as target,
    ):
        for key in set(file) - {"uns"}:
            file.copy(key, target)
        target.create_group("uns")
        target["uns/text"] = "a text"
        target["uns"].attrs["large"] = np.zeros(1 << 20)
        made = target.create_group("obsm/frame", track_order=True)
        made.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0"})
        made.attrs["column-order"] = [f"{'x' * 90}{k}" for k in range(20_000)]
        made.attrs["_index"] = "_index"
        made["_index"] = [f"c{k}" for k in range(N)]
    adata = lo.read_h5ad(path.with_name("b.h5ad"))
    assert adata.uns["text"] == "a text"
    with pytest.raises(FileFormatError, match="obsm/frame"):
        adata.obsm["frame"]


@pytest.mark.parametrize("depth", [50, 3000])
def test_groups_inside_groups(path, tmp_path, depth) -> None:
    with h5py.File(path, "r+") as file:
        group = file["uns"]
        for _ in range(depth):
            group = group.create_group("g")
        group["end"] = 1
    adata = lo.read_h5ad(path)
    if depth < 200:
        adata.write_h5ad(tmp_path / "copy.h5ad")
        adata = lo.read_h5ad(tmp_path / "copy.h5ad")
        assert list(adata.uns["g"]) == ["g"]
        return
    with pytest.raises(FileFormatError, match="groups inside groups"):
        adata.uns["g"]
    with pytest.raises(LazyomicsError):
        adata.write_h5ad(tmp_path / "copy.h5ad")
    assert not (tmp_path / "copy.h5ad").exists()


WRITABLE = ["..", "...", "a b", "ü\u202e", "\n", "__categories", "x" * 5000, "None", "%00", "a\\b"]
UNWRITABLE = ["a/b", "/", "../x", ".", "", "\0x", "a\0b", "\udcff", "a\udfffb"]
PLACES = ["uns", "nested", "obs", "var", "obsm", "layers", "obsp"]


def put(adata: lo.AnnData, place: str, name: str) -> None:
    n = adata.n_obs
    values: dict[str, Any] = {"obsm": np.ones((n, 2)), "obsp": sp.eye(n, format="csr")}
    if place == "nested":
        adata.uns["nested"] = {name: 1}
    elif place == "uns":
        adata.uns[name] = 1
    elif place in ("obs", "var"):
        getattr(adata, place)[name] = range(n if place == "obs" else adata.n_vars)
    else:
        getattr(adata, place)[name] = values.get(place, np.ones(adata.shape, "f4"))


def names_in(adata: lo.AnnData, place: str) -> list[str]:
    return list(adata.uns["nested"] if place == "nested" else getattr(adata, place))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", WRITABLE)
def test_strange_names_come_back(path, tmp_path, place, name) -> None:
    adata = lo.read_h5ad(path)
    put(adata, place, name)
    adata.write_h5ad(tmp_path / "new.h5ad")
    adata.write()
    for written in (path, tmp_path / "new.h5ad"):
        again = lo.read_h5ad(written)
        assert name in names_in(again, place)
        again.to_memory()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", UNWRITABLE)
def test_impossible_names_are_refused_before_anything_changes(path, tmp_path, place, name) -> None:
    """anndata leaves half a file behind, or stores them under other names."""
    adata, before = lo.read_h5ad(path), path.read_bytes()
    put(adata, place, name)
    with pytest.raises(ValueError, match=r"cannot (be the name|hold '/')"):
        adata.write_h5ad(tmp_path / "new.h5ad")
    with pytest.raises(ValueError, match=r"cannot (be the name|hold '/')"):
        adata.write()
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.h5ad"]


@pytest.mark.parametrize("where", ["index", "category", "text", "column"])
@pytest.mark.parametrize("text", ["a\0b", "\udcff"])
def test_impossible_texts_are_refused_before_anything_changes(path, tmp_path, where, text) -> None:
    adata, before = lo.read_h5ad(path), path.read_bytes()
    if where == "index":
        adata.obs_names = [text, *adata.obs_names[1:]]
    elif where == "category":
        adata.obs["kind"] = pd.Categorical([text, "b"] * 15)
    elif where == "text":
        adata.uns["text"] = text
    else:
        adata.obs["free"] = [text + str(k) for k in range(N)]
    with pytest.raises(ValueError, match="cannot be stored"):
        adata.write_h5ad(tmp_path / "new.h5ad")
    with pytest.raises(ValueError, match="cannot be stored"):
        adata.write()
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.h5ad"]


def test_names_in_a_file_that_are_no_text(path) -> None:
    with h5py.File(path, "r+") as file:
        h5py.h5o.link(file["layers/dense"].id, file["layers"].id, b"\xff\xfe")
        h5py.h5o.link(file["uns/text"].id, file["uns"].id, b"..")
    adata = lo.read_h5ad(path)
    assert adata.uns[".."] == "a text"
    assert adata.layers["dense"].compute().shape == adata.shape
    with pytest.raises(FileFormatError, match=r"layers.*no UTF-8"):
        adata.layers["\udcff\udcfe"]


def test_references_are_carried_along(path, tmp_path) -> None:
    with h5py.File(path, "r+") as file:
        file["uns"].create_dataset("reference", data=file["X"].ref, dtype=h5py.ref_dtype)
    adata = lo.read_h5ad(path)
    assert "OpaqueElement" in repr(adata.uns["reference"])
    adata[:3].to_memory()


def broken_matrices() -> dict[str, Any]:
    """Scipy matrices whose arrays were assigned one by one."""

    def broken(form: str, part: str, at: int, value: int) -> Any:
        made = sp.random(40, 20, 0.3, format=form, dtype="f4", random_state=0)
        made.data += 1
        getattr(made, part)[at] = value
        return made

    found = {
        f"{form} {part} {value}": broken(form, part, at, value)
        for form in ("csr", "csc")
        for part, at, value in (
            ("indices", 3, 10**6),
            ("indices", -1, -1),
            ("indptr", 5, 10**6),
            ("indptr", -1, 10**6),
            ("indptr", 5, -1),
        )
    }
    short = sp.random(40, 20, 0.3, format="csr", dtype="f4", random_state=0)
    short.data = short.data[:5]
    return {**found, "few values": short}


@pytest.mark.parametrize("kind", list(broken_matrices()))
def test_broken_matrices_of_users_reach_no_loop(kind) -> None:
    adata = lo.AnnData(sp.csr_matrix((40, 20), dtype="f4"))
    adata._x._value = broken_matrices()[kind]
    for verb in (
        lo.pp.normalize_total,
        lo.pp.calculate_qc_metrics,
        lo.pp.highly_variable_genes,
        lo.pp.pca,
        lo.pp.filter_genes,
    ):
        with pytest.raises(ShapeError, match="sparse matrix"):
            verb(adata, **({"min_cells": 1} if verb is lo.pp.filter_genes else {}))


def test_what_scipy_leaves_behind_the_last_line_is_left_out() -> None:
    matrix = sp.csr_matrix(np.eye(3, dtype="f4"))
    matrix.data = np.append(matrix.data, 100).astype("f4")
    matrix.indices = np.append(matrix.indices, 1).astype("i4")
    adata = lo.AnnData(sp.csr_matrix((3, 3), dtype="f4"))
    adata._x._value = matrix
    lo.pp.calculate_qc_metrics(adata, percent_top=None, inplace=True)
    assert adata.var["total_counts"].tolist() == [1, 1, 1]


BOUNDS = """
import numpy as np, scipy.sparse as sp, h5py, warnings
import lazyomics as lo
from lazyomics.errors import LazyomicsError
from lazyomics.kernels.gram import _add_rows
warnings.simplefilter("ignore")
try:
    _add_rows(np.ones(2, "f4"), np.array([0, 99], "i4"), np.array([0, 2]), np.zeros((1, 3)))
except IndexError:
    print("bounds are checked")
rng = np.random.default_rng(0)
refused = ran = 0
for damage in (None, 10**6, -1, 300, 2**31 - 1):
    for form in ("csr", "csc"):
        made = sp.random(300, 40, 0.3, format=form, dtype="f4", random_state=0)
        made.data = np.ceil(made.data * 9)
        lo.AnnData(made).write_h5ad(sys.argv[1])
        if damage is not None:
            with h5py.File(sys.argv[1], "r+") as file:
                file["X/indices"][7] = damage
        for verb, options in (
            (lo.pp.calculate_qc_metrics, {"percent_top": (10,)}),
            (lo.pp.highly_variable_genes, {"flavor": "seurat"}),
            (lo.pp.pca, {"n_comps": 5}),
            (lo.pp.pca, {"n_comps": 5, "svd_solver": "randomized"}),
        ):
            adata = lo.read_h5ad(sys.argv[1])
            try:
                verb(adata, **options)
                ran += 1
            except LazyomicsError:
                refused += 1
print(ran, refused)
"""


def test_positions_in_files_reach_no_loop_unchecked(tmp_path) -> None:
    """Compiled with bounds checked, no loop ever steps outside: an IndexError would end this."""
    text = run(
        BOUNDS, tmp_path / "a.h5ad", NUMBA_BOUNDSCHECK="1", NUMBA_CACHE_DIR=str(tmp_path / "cache")
    )
    assert text.splitlines() == ["bounds are checked", "8 32"]
