"""Whole files in every layout met so far: opened lazily, subset, streamed to a new file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import UnsupportedError
from lazyomics.io.hdf5 import count_reads
from tests.comparing import assert_same_anndata, assert_same_value
from tests.container.reference import M, N, reference
from tests.io.plain_texts import write_plain

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")

ROWS = slice(None, None, -2)
WIDEST = 3_088_286_401

Change = Callable[[h5py.File], None]


@pytest.fixture
def file_with(tmp_path: Path) -> Callable[..., Path]:
    def make(*changes: Change, x: str = "csr") -> Path:
        path = tmp_path / "layout.h5ad"
        write_plain(reference(x=x), path)
        with h5py.File(path, "r+") as file:
            for change in changes:
                change(file)
        return path

    return make


def replace(name: str, value: Any, **options: Any) -> Change:
    """Store other values under a name that keeps its attributes."""

    def change(file: h5py.File) -> None:
        attributes = dict(file[name].attrs)
        del file[name]
        file.create_dataset(name, data=value, **options)
        file[name].attrs.update(attributes)

    return change


def astype(name: str, dtype: Any) -> Change:
    def change(file: h5py.File) -> None:
        replace(name, file[name][()].astype(dtype))(file)

    return change


def attribute(name: str, key: str, value: Any) -> Change:
    return lambda file: file[name].attrs.__setitem__(key, value)


def without(name: str, *keys: str) -> Change:
    def change(file: h5py.File) -> None:
        for key in keys:
            del file[name].attrs[key]

    return change


def all_without_encoding(file: h5py.File) -> None:
    """As programs write that know the layout before 0.7 only."""

    def visit(_: str, obj: Any) -> None:
        if "encoding-type" in obj.attrs and obj.attrs["encoding-type"] in ("dict", "array", "raw"):
            del obj.attrs["encoding-type"], obj.attrs["encoding-version"]

    file.visititems(visit)
    del file.attrs["encoding-type"], file.attrs["encoding-version"]


def bytes_everywhere(file: h5py.File) -> None:
    """Attributes of text as fixed-length bytes, as R and Julia write them."""

    def visit(_: str, obj: Any) -> None:
        for key, value in list(obj.attrs.items()):
            if isinstance(value, str):
                obj.attrs[key] = np.bytes_(value)
            elif h5py.check_string_dtype(obj.attrs.get_id(key).dtype) is not None:
                obj.attrs[key] = np.array([np.bytes_(v) for v in value])

    file.visititems(visit)


def in_capitals(file: h5py.File) -> None:
    file.attrs["encoding-type"] = "AnnData"
    file["raw"].attrs["encoding-type"] = "Raw"


def fixed_length_names(file: h5py.File) -> None:
    for name in ("obs/_index", "var/_index", "raw/var/_index", "obs/kind/categories"):
        replace(name, np.array([v.decode() for v in file[name][()]], dtype="S16"))(file)


def h5sparse(file: h5py.File) -> None:
    group = file["X"]
    kind, shape = group.attrs["encoding-type"][:3], group.attrs["shape"]
    for key in list(group.attrs):
        del group.attrs[key]
    group.attrs.update({"h5sparse_format": kind, "h5sparse_shape": shape})


def dotted_raw(file: h5py.File) -> None:
    for part in ("X", "var", "varm"):
        file.move(f"raw/{part}", f"raw.{part}")
    del file["raw"]


def float_column_order(file: h5py.File) -> None:
    assert file["raw/var"].attrs["column-order"].tolist() == ["full"]
    assert file["obsm/frame"].attrs["column-order"].tolist() == ["u"]


SAME: dict[str, list[Change]] = {
    "as anndata writes it": [],
    "indices of 8 bits": [astype("X/indices", "uint8"), astype("raw/X/indices", "uint8")],
    "indices of 64 bits without sign": [astype("X/indices", "uint64")],
    "pointers longer than indices": [astype("X/indptr", "int64")],
    "pointers shorter than indices": [
        astype("X/indices", "int64"),
        astype("X/indptr", "int32"),
    ],
    "tag csr": [attribute("X", "encoding-type", "csr"), attribute("raw/X", "encoding-type", "CSR")],
    "h5sparse": [h5sparse],
    "attributes of bytes": [bytes_everywhere],
    "encoding in capitals": [in_capitals],
    "no encoding of groups and arrays": [all_without_encoding],
    "no name of the index": [without("obs", "_index"), without("raw/var", "_index")],
    "no order of columns": [without("var", "column-order"), without("raw/var", "column-order")],
    "names of fixed length": [fixed_length_names],
    "codes without sign": [astype("obs/kind/codes", "uint8")],
    "codes of 64 bits": [astype("obs/kind/codes", "int64")],
    "categories of text of fixed length": [astype("var/chrom/categories", "S1")],
    "dense in chunks": [
        lambda f: replace("layers/dense", f["layers/dense"][()], chunks=(7, 5), shuffle=True)(f)
    ],
    "raw in three parts": [dotted_raw],
    "shape as a list of floats": [attribute("X", "shape", [float(N), float(M)])],
    "version 0.1.0 of frames": [attribute("obsm/frame", "encoding-version", "0.1.0")],
}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:.*written without encoding")
@pytest.mark.parametrize("name", SAME)
def test_the_same_in_another_layout(file_with: Any, tmp_path: Path, name: str) -> None:
    path = file_with(*SAME[name])
    expected = reference()
    with count_reads() as counter:
        ours = lo.read_h5ad(path)
        assert repr(ours).count("\n") >= 8
    assert counter.bytes_read == 0
    assert_same_anndata(ours.to_anndata(), expected)
    lo.read_h5ad(path).write_h5ad(tmp_path / "new.h5ad")
    assert_same_anndata(ad.read_h5ad(tmp_path / "new.h5ad"), expected)
    lo.read_h5ad(path)[ROWS].write_h5ad(tmp_path / "part.h5ad")
    part = expected[ROWS].copy()
    part.write_h5ad(tmp_path / "expected.h5ad")
    assert_same_anndata(
        ad.read_h5ad(tmp_path / "part.h5ad"), ad.read_h5ad(tmp_path / "expected.h5ad")
    )


@pytest.mark.parametrize("name", SAME)
def test_saved_in_another_layout(file_with: Any, name: str) -> None:
    """An in-place save leaves a file that anndata reads, whatever the layout was."""
    path = file_with(*SAME[name])
    adata = lo.read_h5ad(path)
    adata.obs["added"] = np.arange(N) / 2
    adata.obsm["X_new"] = np.ones((N, 2))
    adata.write()
    again = lo.read_h5ad(path)
    assert again.obs["added"].tolist() == (np.arange(N) / 2).tolist()
    assert list(again.obs.columns) == [*reference().obs.columns, "added"]
    np.testing.assert_array_equal(again.X.compute().todense(), reference().X.toarray())
    assert again.obsm["X_new"].shape == (N, 2)


@pytest.mark.parametrize("tag", ["csc", "CSC_matrix"])
def test_columns_with_a_short_tag(file_with: Any, tag: str) -> None:
    path = file_with(attribute("X", "encoding-type", tag), x="csc")
    adata = lo.read_h5ad(path)
    np.testing.assert_array_equal(adata[ROWS].X.compute().todense(), reference().X.toarray()[ROWS])


def x_null(file: h5py.File) -> None:
    del file["X"]
    file["X"] = h5py.Empty("f")
    file["X"].attrs.update({"encoding-type": "null", "encoding-version": "0.1.0"})


def x_absent(file: h5py.File) -> None:
    del file["X"]


@pytest.mark.parametrize("change", [x_null, x_absent])
def test_no_x(file_with: Any, tmp_path: Path, change: Change) -> None:
    path = file_with(change)
    adata = lo.read_h5ad(path)
    assert adata.X is None
    assert adata.shape == (N, M)
    adata[ROWS].write_h5ad(tmp_path / "part.h5ad")
    theirs = ad.read_h5ad(tmp_path / "part.h5ad")
    assert theirs.X is None
    np.testing.assert_array_equal(
        theirs.layers["counts"].toarray(), reference().layers["counts"].toarray()[ROWS]
    )
    adata.obs["new"] = 1
    adata.write()
    assert lo.read_h5ad(path).X is None


def test_names_that_repeat(file_with: Any, tmp_path: Path) -> None:
    repeated = np.array(["same"] * M, dtype=object)
    path = file_with(
        lambda file: file["obsm"].__delitem__("frame"),  # it has names of its own
        replace("var/_index", repeated, dtype=h5py.string_dtype()),
        replace("obs/_index", ["c", "c", *map(str, range(N - 2))], dtype=h5py.string_dtype()),
    )
    adata = lo.read_h5ad(path)
    assert list(adata.var_names) == ["same"] * M
    adata[3:9, [5, 2]].write_h5ad(tmp_path / "part.h5ad")
    with pytest.warns(UserWarning, match="not unique"):
        theirs = ad.read_h5ad(tmp_path / "part.h5ad")
    np.testing.assert_array_equal(theirs.X.toarray(), reference().X.toarray()[3:9][:, [5, 2]])
    with pytest.raises((KeyError, ValueError), match=r"unique|repeat|several"):
        adata[:, "same"]


NULLABLE = {
    "integers": pd.array([1, None, 3] * (N // 3), dtype="Int16"),
    "booleans": pd.array([True, None, False] * (N // 3), dtype="boolean"),
    "ordered": pd.Categorical(["low", "high", None] * (N // 3), ["low", "high"], ordered=True),
    "numbers": pd.Categorical([2.5, 1.5, 1.5] * (N // 3)),
    "text": pd.array(["x", None, ""] * (N // 3), dtype="string"),
}


@pytest.mark.parametrize("name", NULLABLE)
def test_columns_of_every_type(file_with: Any, tmp_path: Path, name: str) -> None:
    value = NULLABLE[name]
    made = reference()
    made.obs["x"] = value
    path = tmp_path / "columns.h5ad"
    with ad.settings.override(allow_write_nullable_strings=True):
        made.write_h5ad(path)
    for rows in (slice(None), ROWS):
        lo.read_h5ad(path)[rows].write_h5ad(tmp_path / "new.h5ad")
        ours, theirs = (ad.read_h5ad(p).obs["x"] for p in (tmp_path / "new.h5ad", path))
        pd.testing.assert_series_equal(ours, theirs.iloc[rows])
        assert_same_value(ours.array, theirs.iloc[rows].array, name)


def records() -> np.ndarray[Any, Any]:
    fields = [("names", h5py.string_dtype()), ("scores", "f4"), ("pair", "i4", (2,))]
    return np.array([("a", 1.5, (1, 2)), ("bé", np.nan, (3, 4))], dtype=fields)


UNS: dict[str, Any] = {
    "records": np.rec.fromarrays([["a", "b"], [1.0, 2.0]], dtype=[("t", "O"), ("k", "f4")]),
    "sparse": sp.random(7, 5, 0.4, format="csc", random_state=0),
    "nested": {"a": {"b": {"c": np.arange(3), "text": "x", "none": None}}},
    "frame": pd.DataFrame({"k": pd.Categorical(["a", "b"])}, index=["r", "s"]),
    "texts": np.array([["a", "b"], ["c", ""]], dtype=object),
    "empty": np.zeros((0, 3)),
    "scalar": np.float32(2.5),
    "flag": True,
    "complex": np.array([1 + 2j]),
}


@pytest.mark.parametrize("name", UNS)
def test_unstructured_values(tmp_path: Path, name: str) -> None:
    made = reference()
    made.uns["x"] = UNS[name]
    made.write_h5ad(tmp_path / "a.h5ad")
    ours = lo.read_h5ad(tmp_path / "a.h5ad")
    ours[ROWS].write_h5ad(tmp_path / "part.h5ad")
    ours.write_h5ad(tmp_path / "new.h5ad", compression="gzip")
    expected = ad.read_h5ad(tmp_path / "a.h5ad").uns["x"]
    for target in ("part.h5ad", "new.h5ad"):
        assert_same_value(ad.read_h5ad(tmp_path / target).uns["x"], expected, name)


@pytest.mark.parametrize("form", ["csr", "csc"])
def test_sparse_matrices_of_cells_and_genes(tmp_path: Path, form: str) -> None:
    made = reference()
    made.obsm["peaks"] = sp.random(N, 50, 0.1, format=form, random_state=0)
    made.varm["motifs"] = sp.random(M, 9, 0.3, format=form, random_state=1)
    made.write_h5ad(tmp_path / "a.h5ad")
    ours = lo.read_h5ad(tmp_path / "a.h5ad")[ROWS, 3:8]
    ours.write_h5ad(tmp_path / "part.h5ad")
    theirs = ad.read_h5ad(tmp_path / "part.h5ad")
    for mapping, key, cut in (("obsm", "peaks", ROWS), ("varm", "motifs", slice(3, 8))):
        expected = getattr(made, mapping)[key].tocsr()[cut].toarray()
        np.testing.assert_array_equal(getattr(theirs, mapping)[key].toarray(), expected)


def test_more_columns_than_int32_counts(tmp_path: Path) -> None:
    """Fragments by base pair, as snapatac2 stores them."""
    made = reference()
    rng = np.random.default_rng(0)
    place = np.sort(rng.integers(0, WIDEST, (N, 20)), axis=1)
    place[0, -1] = WIDEST - 1
    wide = sp.csr_matrix(
        (np.ones(N * 20, "f4"), place.ravel(), np.arange(0, N * 20 + 1, 20)), shape=(N, WIDEST)
    )
    made.obsm["insertion"] = wide
    made.write_h5ad(tmp_path / "a.h5ad")
    ours = lo.read_h5ad(tmp_path / "a.h5ad")
    part = ours[ROWS]
    assert part.obsm["insertion"].shape == (N // 2, WIDEST)
    part.write_h5ad(tmp_path / "part.h5ad")
    found = ad.read_h5ad(tmp_path / "part.h5ad").obsm["insertion"]
    expected = wide[ROWS]
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def unknown(name: str) -> Change:
    def change(file: h5py.File) -> None:
        if name in file:
            del file[name]
        group = file.create_group(name)
        group.attrs.update({"encoding-type": "image-pyramid", "encoding-version": "9.0"})
        group["level0"] = np.arange(N)

    return change


@pytest.mark.parametrize("place", ["uns/image", "obsm/image", "layers/image", "varm/image"])
def test_unknown_encodings_are_carried(file_with: Any, tmp_path: Path, place: str) -> None:
    path = file_with(unknown(place))
    ours = lo.read_h5ad(path)
    assert "image" in repr(ours)
    ours.write_h5ad(tmp_path / "new.h5ad")
    with h5py.File(tmp_path / "new.h5ad") as file:
        assert file[place].attrs["encoding-type"] == "image-pyramid"
        assert file[place]["level0"][()].tolist() == list(range(N))
    ours.obs["new"] = 1
    ours.write()
    with h5py.File(path) as file:
        assert file[place].attrs["encoding-type"] == "image-pyramid"
    mapping, _, key = place.partition("/")
    with pytest.raises((UnsupportedError, ValueError), match="image"):
        np.asarray(getattr(lo.read_h5ad(path), mapping)[key])


def test_frames_of_many_columns(tmp_path: Path) -> None:
    n = 4200
    made = ad.AnnData(np.eye(3, dtype="f4"))
    path = tmp_path / "wide.h5ad"
    ours = lo.AnnData(made.X)
    names = [f"column with a long name, number {k}" for k in range(n)]
    ours.obsm["many"] = pd.DataFrame(np.ones((3, n)), index=ours.obs_names, columns=names)
    ours.write_h5ad(path)
    lo.read_h5ad(path)[:2].write_h5ad(tmp_path / "part.h5ad")
    assert list(ad.read_h5ad(tmp_path / "part.h5ad").obsm["many"].columns) == names
