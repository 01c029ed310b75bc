"""get.aggregate against scanpy, its passes, and its refusals."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from typing import Any

import dask
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from tests.peaks import PEAK

KINDS = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}
EVERY = ["sum", "mean", "var", "count_nonzero", "median"]
N, M = 150, 40

pytestmark = [  # what anndata and scanpy cause while they compute the reference
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning:scanpy"),
]


def counts() -> np.ndarray:
    return np.random.default_rng(0).poisson(1.2, (N, M)).astype(np.float32)


def frames() -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(1)
    obs = pd.DataFrame(
        {
            "donor": pd.Categorical(
                rng.choice(["x", "y", "z"], N), categories=["z", "x", "q", "y"]
            ),
            "kind": rng.choice(["a", "b"], N),
            "number": rng.integers(0, 3, N),
            "chosen": rng.random(N) < 0.7,
        },
        index=[f"c{i}" for i in range(N)],
    )
    var = pd.DataFrame(
        {
            "chromosome": pd.Categorical(rng.choice(["1", "2", "X"], M)),
            "high": np.arange(M) % 2 > 0,
        },
        index=[f"g{i}" for i in range(M)],
    )
    return obs, var


def objects(kind: str, where: str, folder: Any, dtype: str = "float32") -> tuple[lo.AnnData, Any]:
    anndata = pytest.importorskip("anndata", reason="compares with anndata")
    x = KINDS[kind](counts().astype(dtype))
    obs, var = frames()
    theirs = anndata.AnnData(x.copy(), obs=obs, var=var, layers={"twice": x * 2})
    theirs.obsm["umap"] = np.random.default_rng(2).normal(size=(N, 2))
    theirs.obsm["table"] = pd.DataFrame({"one": np.arange(N) * 1.0}, index=obs.index)
    theirs.varm["loadings"] = np.random.default_rng(3).normal(size=(M, 3))
    theirs.write_h5ad(folder / "x.h5ad")
    ours = lo.read_h5ad(folder / "x.h5ad", backed=where != "memory")
    if where == "subset":
        rows = np.random.default_rng(4).permutation(N)[:100]
        return ours[rows], theirs[rows].copy()
    return ours, theirs


def assert_same(ours: Any, theirs: Any, *, dtypes: bool = True) -> None:
    """Layers close and of the same types; labels alike but for what scanpy 1.11 does not count."""
    assert ours.shape == theirs.shape
    for mine, other in ((ours.obs, theirs.obs), (ours.var, theirs.var)):
        if "n_obs_aggregated" not in other:
            mine = mine.drop(columns="n_obs_aggregated", errors="ignore")
        kinds = len(other.columns) > 0
        pd.testing.assert_frame_equal(mine, other, check_index_type=False, check_column_type=kinds)
    found, expected = dict(ours.layers), {k: v for k, v in theirs.layers.items() if k is not None}
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-6, err_msg=name)
        if dtypes:
            assert found[name].dtype == values.dtype, name


def is_new(sc: Any) -> bool:
    return tuple(int(part) for part in sc.__version__.split(".")[:2]) >= (1, 12)


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        ("csr", "file"),
        ("csr", "memory"),
        ("csr", "subset"),
        ("csc", "file"),
        ("csc", "memory"),
        ("dense", "file"),
        ("dense", "subset"),
    ],
)
@pytest.mark.parametrize("by", ["donor", ["kind", "donor", "number"]])
def test_equals_scanpy(tmp_path, kind, where, by):
    sc = pytest.importorskip("scanpy", reason="the reference")
    ours, theirs = objects(kind, where, tmp_path)
    found = lo.get.aggregate(ours, by, EVERY)
    assert_same(found, sc.get.aggregate(theirs, by, EVERY), dtypes=is_new(sc))


@pytest.mark.parametrize(
    "options",
    [
        {"layer": "twice", "func": "sum"},
        {"obsm": "umap", "func": ["mean", "var"], "dof": 0},
        {"obsm": "table", "func": ["sum"]},
        {"by": "chromosome", "axis": "var", "func": EVERY},
        {"by": "chromosome", "axis": 1, "layer": "twice", "func": ["mean", "var"]},
        {"by": "chromosome", "varm": "loadings", "func": ["mean", "median"]},
        {"mask": "chosen", "func": ["sum", "count_nonzero"]},
        {"by": "chromosome", "axis": 1, "mask": "high", "func": "sum"},
        {"func": "median"},
    ],
)
@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_options_equal_scanpy(tmp_path, options, kind):
    sc = pytest.importorskip("scanpy", reason="the reference")
    ours, theirs = objects(kind, "file", tmp_path)
    options = {"by": "donor", **options}
    expected = sc.get.aggregate(theirs, **options)
    assert_same(lo.get.aggregate(ours, **options), expected, dtypes=False)


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
def test_integers_stay_integers_as_in_scanpy(tmp_path, kind):
    sc = pytest.importorskip("scanpy", reason="the reference")
    ours, theirs = objects(kind, "file", tmp_path, "int32")
    found = lo.get.aggregate(ours, "kind", ["sum", "count_nonzero"])
    assert_same(
        found, sc.get.aggregate(theirs, "kind", ["sum", "count_nonzero"]), dtypes=is_new(sc)
    )


def test_masks_missing_groups_and_single_cells():
    obs = pd.DataFrame(
        {"kind": pd.Categorical(["a", "a", "b", None, "c"])}, index=[f"c{i}" for i in range(5)]
    )
    x = np.arange(10, dtype=np.float32).reshape(5, 2)
    ours = lo.AnnData(sp.csr_matrix(x), obs=obs)
    mask = np.array([True, False, True, True, False])
    with pytest.warns(RuntimeWarning, match="no more than 1 members"):
        found = lo.get.aggregate(ours, "kind", ["sum", "mean", "var"], mask=mask)
    assert found.obs["n_obs_aggregated"].tolist() == [1, 1, 0]
    np.testing.assert_array_equal(found.layers["sum"], [x[0], x[2], [0, 0]])
    np.testing.assert_array_equal(found.layers["mean"], [x[0], x[2], [np.nan, np.nan]])
    assert np.isnan(found.layers["var"]).all()


def test_recorded_steps_and_nan(tmp_path):
    ours, _ = objects("csr", "file", tmp_path)
    lo.pp.log1p(ours)
    found = lo.get.aggregate(ours, "donor", "mean").layers["mean"]
    codes = ours.obs["donor"].cat.remove_unused_categories().cat.codes.to_numpy()
    expected = [np.log1p(counts().astype(float))[codes == k].mean(axis=0) for k in range(3)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    x = counts()
    x[0, 0] = np.nan
    broken = lo.get.aggregate(lo.AnnData(x, obs=frames()[0]), "donor", ["mean", "var"])
    assert np.isnan(broken.layers["mean"]).sum() == np.isnan(broken.layers["var"]).sum() == 1


def test_passes(tmp_path, count_passes):
    ours, _ = objects("csr", "file", tmp_path)
    with count_passes(tmp_path / "x.h5ad") as passes:
        lo.get.aggregate(ours, ["donor", "kind"], ["sum", "mean", "var", "count_nonzero"])
    assert passes.values == 1
    with count_passes(tmp_path / "x.h5ad") as passes:
        lo.get.aggregate(ours, "donor", "median")
    assert passes.values == 2
    with count_passes(tmp_path / "x.h5ad") as passes:
        lo.get.aggregate(ours, "donor", ["median", "var"])
    assert passes.values == 2
    ours, _ = objects("csc", "file", tmp_path)
    with count_passes(tmp_path / "x.h5ad") as passes:
        lo.get.aggregate(ours, "donor", "median")
    assert passes.values == 1


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
def test_medians_of_full_and_negative_values(tmp_path, kind, dtype):
    """Of groups with an odd and an even number of cells, with few zeros and with many."""
    sc = pytest.importorskip("scanpy", reason="the reference")
    ours, theirs = objects(kind, "memory", tmp_path)
    rng = np.random.default_rng(0)
    share = np.linspace(0.1, 1, M)
    x = rng.integers(*((0, 30) if dtype == "uint8" else (-25, 15)), (N, M)) * (
        rng.random((N, M)) < share
    )
    for adata in (ours, theirs):
        adata.X = KINDS[kind](x.astype(dtype))
    found = lo.get.aggregate(ours, ["donor", "kind"], "median")
    expected = sc.get.aggregate(theirs, ["donor", "kind"], "median")
    assert (np.asarray(expected.layers["median"]) < 0).any() == (dtype != "uint8")
    np.testing.assert_array_equal(found.layers["median"], expected.layers["median"])
    assert found.layers["median"].dtype == expected.layers["median"].dtype


def test_medians_with_missing_values_and_in_parts(tmp_path, monkeypatch, count_passes):
    from lazyomics.lazy import gene_values

    x = counts().astype("f4")
    x[::5, 3] = np.nan
    obs = frames()[0]
    dense = lo.get.aggregate(lo.AnnData(x, obs=obs), "donor", "median").layers["median"]
    groups = obs["donor"].cat.remove_unused_categories()
    expected = [np.median(x[groups == donor], axis=0) for donor in groups.cat.categories]
    np.testing.assert_array_equal(dense, expected)
    assert np.isnan(dense[:, 3]).all()
    ours, _ = objects("csr", "file", tmp_path)
    whole = lo.get.aggregate(ours, "donor", "median").layers["median"]
    monkeypatch.setattr(gene_values, "AT_LEAST", 5 * 500)
    monkeypatch.setattr(gene_values, "AT_ONCE", 50)
    with (
        dask.config.set({"lazyomics.memory": "1 KiB"}),
        count_passes(tmp_path / "x.h5ad") as passes,
    ):
        parts = lo.get.aggregate(ours, "donor", "median").layers["median"]
    assert passes.values > 2
    np.testing.assert_array_equal(parts, whole)


def test_many_groups_are_sparse(tmp_path, monkeypatch):
    module = sys.modules["lazyomics.get.aggregate"]  # the name in the package is the function
    ours, _ = objects("csr", "file", tmp_path)
    statistics = ["sum", "mean", "var", "count_nonzero", "median"]
    whole = lo.get.aggregate(ours, ["donor", "kind"], statistics)
    monkeypatch.setattr(module, "DENSE_BYTES", 0)
    found = lo.get.aggregate(ours, ["donor", "kind"], statistics)
    for name, values in whole.layers.items():
        assert sp.issparse(found.layers[name])
        assert found.layers[name].dtype == values.dtype
        np.testing.assert_array_equal(found.layers[name].toarray(), values)


@pytest.mark.parametrize("kind", ["csr", "csc"])
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_more_groups_than_fit_are_taken_by_gene(tmp_path, monkeypatch, count_passes, kind, dtype):
    module = sys.modules["lazyomics.get.aggregate"]
    ours, _ = objects(kind, "file", tmp_path, dtype)
    by = ["donor", "kind", "number"]
    whole = lo.get.aggregate(ours, by, EVERY)
    monkeypatch.setattr(module, "DENSE_BYTES", 0)
    monkeypatch.setattr(module, "STATE_BYTES", 1 << 60)
    for statistics in (EVERY, ["mean"], ["count_nonzero", "var"]):
        found = lo.get.aggregate(ours, by, statistics)
        assert set(found.layers) == set(statistics)
        for name in statistics:
            values = found.layers[name]
            assert values.dtype == whole.layers[name].dtype
            np.testing.assert_allclose(values.toarray(), whole.layers[name], rtol=1e-13)
    with count_passes(tmp_path / "x.h5ad") as passes:
        lo.get.aggregate(ours, by, "sum")
    assert passes.values == (1 if kind == "csc" else 2)


PROGRAM = (
    PEAK
    + """
import dask
import lazyomics as lo

dask.config.set({"lazyomics.chunk-bytes": "1 MiB", "lazyomics.memory": "16 MiB", "num_workers": 2})
small, large, *statistics = sys.argv[1:]
lo.get.aggregate(lo.read_h5ad(small), "group", statistics)
before = peak()
found = lo.get.aggregate(lo.read_h5ad(large), "group", statistics)
size = sum(v.data.nbytes + v.indices.nbytes for v in found.layers.values())
print(peak() - before, size)
"""
)


@pytest.mark.slow
@pytest.mark.parametrize("statistics", [["sum"], ["median"], ["mean", "var"]])
def test_memory_of_very_many_groups(tmp_path, statistics):
    """Twice the result and what the settings allow: not groups × genes, nor so for each block."""
    rng = np.random.default_rng(0)
    paths = []
    for name, n, n_groups in (("small", 4000, 3000), ("large", 24_000, 8000)):
        x = sp.random(n, 12_000, density=0.02, format="csr", dtype="f4", random_state=rng)
        groups = pd.Categorical.from_codes(
            np.arange(n) % n_groups, [f"g{k}" for k in range(n_groups)]
        )
        obs = pd.DataFrame({"group": groups}, index=[f"c{k}" for k in range(n)])
        paths.append(tmp_path / f"{name}.h5ad")
        lo.AnnData(x, obs=obs).write_h5ad(paths[-1])
    command = [sys.executable, "-c", PROGRAM, *map(str, paths), *statistics]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    more, size = map(int, done.stdout.split())
    assert more < 2.5 * size + (90 << 20)
    assert more < 8000 * 12_000 * 8 / 2


def test_states_merge_in_any_order():
    from lazyomics.kernels.group_sums import group_sums

    rng = np.random.default_rng(5)
    x = rng.normal(5, 1, (60, 7)) * (rng.random((60, 7)) < 0.6)
    codes = rng.integers(-1, 4, 60)
    cuts = [0, 1, 2, 30, 31, 60]
    states = [group_sums(x[a:b], codes[a:b], n_groups=5) for a, b in pairwise(cuts)]
    for order in (states, states[::-1]):
        total = order[0]
        for state in order[1:]:
            total = total + state
        for group in range(5):
            mine = x[codes == group]
            assert total.n[group] == len(mine)
            if len(mine):
                np.testing.assert_allclose(total.variance(0)[group], mine.var(axis=0))
                np.testing.assert_allclose(total.sums()[group], mine.sum(axis=0))
                np.testing.assert_array_equal(total.nonzero()[group], (mine != 0).sum(axis=0))


@pytest.mark.parametrize(
    ("by", "options", "error", "message"),
    [
        ("nothing", {}, KeyError, "nothing"),
        ([], {}, KeyError, "no column"),
        ("donor", {"func": "mode"}, ValueError, "mode"),
        ("donor", {"layer": "twice", "obsm": "umap"}, TypeError, "only provide one"),
        ("donor", {"varm": "loadings", "axis": 0}, ValueError, "varm can only"),
        ("donor", {"obsm": "umap", "axis": 1}, ValueError, "obsm can only"),
        ("donor", {"axis": 2}, ValueError, "axis must be"),
        ("donor", {"layer": "missing"}, KeyError, "missing"),
        ("donor", {"obsm": "missing"}, KeyError, "missing"),
        ("donor", {"mask": "missing"}, KeyError, "missing"),
        ("donor", {"mask": np.ones(3, bool)}, ValueError, "must hold 150 booleans"),
    ],
)
def test_bad_arguments(tmp_path, by, options, error, message):
    ours, _ = objects("csr", "file", tmp_path)
    with pytest.raises(error, match=message):
        lo.get.aggregate(ours, by, **{"func": "sum", **options})
