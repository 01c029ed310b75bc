from __future__ import annotations

import contextlib
import warnings
from importlib.metadata import version

import dask
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.io.hdf5 import count_reads
from lazyomics.lazy import recipe_of
from tests.comparing import assert_same_anndata
from tests.container.reference import reference

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")

NEW_ANNDATA = tuple(int(n) for n in version("anndata").split(".")[:2]) >= (0, 13)


def three(kinds=("csr", "csr", "csr")) -> list[ad.AnnData]:
    """Three objects with other genes in another order, other categories and other entries."""
    a, b, c = (reference(n, 12, kind) for n, kind in zip((30, 7, 11), kinds, strict=True))
    b = b[:, [3, 1, 2, 9, 8, 0]].copy()
    b.obs_names = [f"b{i}" for i in range(7)]
    b.obs["kind"] = pd.Categorical(["x10", "x2"] * 3 + ["a"])
    b.obs["text"] = ["s"] * 7
    b.obs.pop("good")
    c = c[:, 2:].copy()
    c.var_names = [f"gene{i}" for i in range(4, 14)]
    c.obs_names = [f"c{i}" for i in range(11)]
    c.obs["n"] = c.obs["n"].astype("float32")
    c.uns["deep"] = {"k": np.arange(3), "other": 1}
    c.obsm["more"] = np.ones((11, 2), "float32")
    c.layers["extra"] = np.ones(c.shape, "float32")
    c.obsp["far"] = sp.eye(11, format="csr", dtype="float32")
    return [a, b, c]


@pytest.fixture
def files(tmp_path):
    """Write objects and return where."""

    def write(objects):
        paths = [tmp_path / f"part{i}.h5ad" for i in range(len(objects))]
        for one, path in zip(objects, paths, strict=True):
            one.write_h5ad(path)
        return paths

    return write


@contextlib.contextmanager
def quiet():
    """The other package's warnings do not matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def theirs(paths, **options):
    with quiet():
        return ad.concat([ad.read_h5ad(p) for p in paths], **options)


def assert_like(ours, expected) -> None:
    """Equal to anndata's; types of dense matrices with gaps may be narrower than in 0.13."""
    made = ours.to_anndata()
    if NEW_ANNDATA:
        for name in list(expected.layers):
            if name is not None and isinstance(expected.layers[name], np.ndarray):
                expected.layers[name] = expected.layers[name].astype(made.layers[name].dtype)
        if isinstance(expected.X, np.ndarray):
            expected.X = expected.X.astype(made.X.dtype)
        for name, value in expected.obsm.items():
            if isinstance(value, np.ndarray):
                expected.obsm[name] = value.astype(made.obsm[name].dtype)
    assert_same_anndata(made, expected)


KINDS = [
    ("csr", "csr", "csr"),
    ("csc", "csc", "csc"),
    ("dense", "dense", "dense"),
    ("csr", "dense", "csc"),
]


@pytest.mark.parametrize("kinds", KINDS, ids="-".join)
@pytest.mark.parametrize("join", ["inner", "outer"])
@pytest.mark.parametrize("axis", ["obs", "var"])
def test_opened_files_equal_anndata(files, kinds, join, axis) -> None:
    objects = three(kinds)
    if axis == "var":
        objects = [o.T for o in objects]
        for o in objects:
            o.raw = None
    paths = files(objects)
    expected = theirs(paths, axis=axis, join=join)
    ours = lo.concat([lo.read_h5ad(p) for p in paths], axis=axis, join=join)
    assert_like(ours, expected)


@pytest.mark.parametrize("merge", [None, "same", "unique", "first", "only"])
@pytest.mark.parametrize("join", ["inner", "outer"])
def test_labels_keys_and_merging(files, merge, join) -> None:
    paths = files(three())
    options = {
        "join": join,
        "label": "from",
        "keys": ["k1", "k2", "k3"],
        "index_unique": "_",
        "merge": merge,
        "uns_merge": merge,
        "pairwise": True,
    }
    expected = theirs(paths, **options)
    ours = lo.concat([lo.read_h5ad(p) for p in paths], **options)
    assert recipe_of(ours.obsp["connectivities"]) is not None
    assert_like(ours, expected)


@pytest.mark.parametrize("fill", [0, 2.5, -1])
@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_fill_value(files, fill, kind) -> None:
    paths = files(three((kind,) * 3))
    expected = theirs(paths, join="outer", fill_value=fill)
    ours = lo.concat([lo.read_h5ad(p) for p in paths], join="outer", fill_value=fill)
    np.testing.assert_allclose(
        _dense(ours.X.compute()), _dense(expected.X), rtol=1e-7, equal_nan=True
    )
    np.testing.assert_array_equal(ours.obsm["X_pca"], expected.obsm["X_pca"])


def _dense(x):
    return x.toarray() if hasattr(x, "toarray") else np.asarray(x)


@pytest.mark.parametrize("join", ["inner", "outer"])
@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
def test_objects_in_memory(kind, join) -> None:
    objects = three((kind,) * 3)
    with quiet():
        expected = ad.concat({"u": objects[0], "v": objects[1]}, join=join, label="from")
    mine = [lo.AnnData.from_anndata(o) for o in objects[:2]]
    ours = lo.concat(dict(zip("uv", mine, strict=True)), join=join, label="from")
    assert isinstance(ours.X, type(expected.X))
    assert_like(ours, expected)


def test_one_object_is_copied() -> None:
    one = lo.AnnData(np.ones((2, 2)))
    joined = lo.concat([one])
    joined.X[0, 0] = 7
    assert one.X[0, 0] == 1
    sparse = lo.AnnData(sp.eye(3, format="csr"))
    joined = lo.concat([sparse])
    joined.X.data[:] = 7
    assert sparse.X.sum() == 3


@pytest.mark.parametrize("join", ["inner", "outer"])
def test_nothing_is_read(files, join) -> None:
    opened = [lo.read_h5ad(p) for p in files(three())]
    with count_reads() as counter:
        joined = lo.concat(opened, join=join, merge="same")
        lo.pp.normalize_total(joined, target_sum=10)
        part = joined[::3, [1, 0]]
        repr(part)
        _ = joined.X, joined.layers["counts"], part.X, joined.raw.X
    read = {name for (_, name), count in counter.by_dataset.items() if count.bytes_read}
    matrices = {name for name in read if not name.startswith("varp")}  # compared by merge
    assert all(name.endswith("indptr") for name in matrices)


@pytest.mark.parametrize("kinds", KINDS, ids="-".join)
@pytest.mark.parametrize("join", ["inner", "outer"])
@pytest.mark.parametrize("axis", [0, 1])
def test_selections(files, kinds, join, axis) -> None:
    objects = three(kinds)
    if axis == 1:
        objects = [o.T for o in objects]
        for o in objects:
            o.raw = None
    paths = files(objects)
    expected = _dense(theirs(paths, join=join, axis=axis).X)
    x = lo.concat([lo.read_h5ad(p) for p in paths], join=join, axis=axis).X
    rng = np.random.default_rng(1)
    n, m = expected.shape
    rows = rng.integers(0, n, 20)
    cols = rng.integers(0, m, 7)
    same = np.testing.assert_array_equal
    same(_dense(x[rows].compute()), expected[rows])
    same(_dense(x[:, cols].compute()), expected[:, cols])
    same(_dense(x[rows][:, cols].compute()), expected[rows][:, cols])
    same(_dense(x[2:9, 1:3].compute()), expected[2:9, 1:3])
    same(_dense(x[[]].compute()), expected[[]])
    same(_dense(x[:, []].compute()), expected[:, []])
    mask = rng.random(n) > 0.5
    same(_dense(x[mask].compute()), expected[mask])
    same(_dense(x.sum(axis=0).compute()), expected.sum(axis=0))


def test_selection_reads_only_the_parts_it_touches(files) -> None:
    paths = files(three())
    joined = lo.concat([lo.read_h5ad(p) for p in paths])
    x = joined[30:37].X
    with count_reads() as counter:
        x.compute()
    assert {path for (path, name) in counter.by_dataset if name == "X/data"} == {str(paths[1])}


@pytest.mark.parametrize("chunk", ["300 B", "4 kB", "32 MiB"])
def test_blocks_do_not_matter(files, chunk) -> None:
    paths = files(three())
    expected = theirs(paths, join="outer")
    with dask.config.set({"lazyomics.chunk-bytes": chunk}):
        joined = lo.concat([lo.read_h5ad(p) for p in paths], join="outer")
        np.testing.assert_array_equal(joined.X.compute().toarray(), expected.X.toarray())


@pytest.mark.filterwarnings("ignore:Some cells have zero counts")
def test_verbs_and_writing(files, tmp_path) -> None:
    sc = pytest.importorskip("scanpy", reason="scanpy is the reference of this test")
    paths = files(three())
    joined = lo.concat([lo.read_h5ad(p) for p in paths], label="from")
    expected = theirs(paths, label="from")
    sc.pp.normalize_total(expected, target_sum=1e3)
    sc.pp.log1p(expected)
    lo.pp.normalize_total(joined, target_sum=1e3)
    lo.pp.log1p(joined)
    target = tmp_path / "joined.h5ad"
    joined.write_h5ad(target)
    written = ad.read_h5ad(target)
    np.testing.assert_allclose(written.X.toarray(), expected.X.toarray(), rtol=1e-6)
    pd.testing.assert_series_equal(written.obs["from"], expected.obs["from"])


def test_parts_with_steps_and_selections(files) -> None:
    paths = files(three())
    parts, reference_parts = [], []
    for path in paths:
        part, other = lo.read_h5ad(path), ad.read_h5ad(path)
        lo.pp.normalize_total(part, target_sum=100)
        values = other.X.toarray()
        totals = values.sum(axis=1, keepdims=True)
        other.X = values * np.divide(100, totals, out=np.ones_like(totals), where=totals > 0)
        parts.append(part[::2, ::-1])
        reference_parts.append(other[::2, ::-1].copy())
    joined = lo.concat(parts, join="outer", fill_value=0)
    with quiet():
        expected = ad.concat(reference_parts, join="outer", fill_value=0)
    np.testing.assert_allclose(joined.X.compute().toarray(), expected.X, rtol=1e-6)


@pytest.mark.parametrize("kind", ["csr", "dense"])
@pytest.mark.parametrize("join", ["inner", "outer"])
@pytest.mark.parametrize("axis", [0, 1])
def test_changed_dask_arrays(files, kind, join, axis) -> None:
    objects = three((kind, "csr" if kind == "csr" else "dense", kind))
    if axis == 1:
        objects = [o.T for o in objects]
        for o in objects:
            o.raw = None
    paths = files(objects)
    with quiet():
        read = [ad.read_h5ad(p) for p in paths]
        read[0].X = read[0].X * 2
        expected = _dense(ad.concat(read, join=join, axis=axis).X)
    opened = [lo.read_h5ad(p) for p in paths]
    opened[0].X = opened[0].X * 2
    joined = lo.concat(opened, join=join, axis=axis)
    assert recipe_of(joined.X) is None
    np.testing.assert_array_equal(_dense(joined.X.compute()), expected)
    logged = lo.pp.log1p(joined, copy=True).X.compute()
    np.testing.assert_allclose(_dense(logged), np.log1p(expected), rtol=1e-6)
    assert joined[[1, 0]].X.shape == (2, expected.shape[1])
    np.testing.assert_array_equal(_dense(joined[[1, 0]].X.compute()), expected[[1, 0]])


def test_pickle_and_join_of_joins(files) -> None:
    import pickle

    paths = files(three())
    first = lo.concat([lo.read_h5ad(p) for p in paths[:2]])
    joined = lo.concat([first, lo.read_h5ad(paths[2])], join="outer")
    with quiet():
        inner = ad.concat([ad.read_h5ad(p) for p in paths[:2]])
        expected = ad.concat([inner, ad.read_h5ad(paths[2])], join="outer")
    again = pickle.loads(pickle.dumps(joined.X))
    np.testing.assert_array_equal(again.compute().toarray(), expected.X.toarray())


def test_x_that_only_some_have(files) -> None:
    objects = three()
    del objects[1].X
    opened = [lo.read_h5ad(p) for p in files(objects)]
    with pytest.warns(UserWarning, match="no X"):
        assert lo.concat(opened).X is None
    joined = lo.concat(opened, join="outer")
    assert joined.X[30:37].compute().nnz == 0
    for one in opened:
        one.raw = None
    for one in opened:
        one.X = None
    assert lo.concat(opened, join="outer").X is None


def test_raw_that_only_some_have(files) -> None:
    opened = [lo.read_h5ad(p) for p in files(three())]
    opened[2].raw = None
    with pytest.warns(UserWarning, match="raw"):
        assert lo.concat(opened).raw is None


def test_wrong_arguments(files) -> None:
    paths = files(three())
    opened = [lo.read_h5ad(p) for p in paths]
    with pytest.raises(ValueError, match="at least one"):
        lo.concat([])
    with pytest.raises(TypeError, match="from_anndata"):
        lo.concat([ad.read_h5ad(paths[0])])
    with pytest.raises(TypeError, match="keys"):
        lo.concat({"a": opened[0]}, keys=["b"])
    with pytest.raises(ValueError, match="2 keys for 3"):
        lo.concat(opened, keys=["a", "b"])
    with pytest.raises(ValueError, match="axis"):
        lo.concat(opened, axis=2)
    with pytest.raises(ValueError, match="join"):
        lo.concat(opened, join="left")
    with pytest.raises(ValueError, match="merge"):
        lo.concat(opened, merge="most")
    opened[0].var_names = ["g"] * 12
    with pytest.raises(ValueError, match="var_names_make_unique"):
        lo.concat(opened)
    first = lo.read_h5ad(paths[0])
    first.var_names = ["g"] * 12
    assert lo.concat([first, first]).shape == (60, 12)
