"""metrics.morans_i and gearys_c against scanpy, their passes and memory, and their refusals."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from tests.peaks import PEAK

VERBS = ("morans_i", "gearys_c")
KINDS = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}
N, M = 120, 30

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*variables were constant"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def values(dtype: str = "float32") -> np.ndarray:
    """Genes of few and of many values, two that are the same in all cells, negative ones."""
    rng = np.random.default_rng(0)
    x = rng.poisson(np.linspace(0.05, 3, M), (N, M)).astype(dtype)
    x[:, 3], x[:, 4] = 0, 2
    if dtype.startswith("f"):
        x[:, 5:8] = rng.normal(size=(N, 3)) * (rng.random((N, 3)) < 0.3)
    return x


def graph(seed: int = 0) -> sp.csr_matrix:
    """Not symmetric, as graphs need not be."""
    rng = np.random.default_rng(seed)
    return sp.random(N, N, density=0.06, format="csr", random_state=rng)


def objects(kind: str, where: str, folder: Any, dtype: str = "float32") -> tuple[Any, Any]:
    anndata = pytest.importorskip("anndata", reason="compares with anndata")
    x = KINDS[kind](values(dtype))
    theirs = anndata.AnnData(x, layers={"twice": x * 2})
    theirs.raw = theirs.copy()
    theirs = theirs[:, ::-1].copy()
    theirs.obsm["X_pca"] = np.random.default_rng(1).normal(size=(N, 4)).astype("f4")
    theirs.obsm["table"] = pd.DataFrame(
        theirs.obsm["X_pca"], index=theirs.obs_names, columns=list("abcd")
    )
    theirs.obsp["connectivities"], theirs.obsp["other"] = graph(), graph(1)
    theirs.uns["neighbors"] = {"connectivities_key": "connectivities", "params": {}}
    theirs.write_h5ad(folder / "x.h5ad")
    ours = lo.read_h5ad(folder / "x.h5ad", backed=where != "memory")
    if where == "subset":
        rows = np.random.default_rng(2).permutation(N)[:90]
        return ours[rows], theirs[rows].copy()
    return ours, theirs


@pytest.fixture(scope="module")
def sc() -> Any:
    return pytest.importorskip("scanpy", reason="the reference")


def assert_same(found: Any, expected: Any) -> None:
    assert np.asarray(found).dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("where", ["file", "memory", "subset"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", VERBS)
def test_equals_scanpy(tmp_path, sc, verb, kind, where):
    ours, theirs = objects(kind, where, tmp_path)
    for options in ({}, {"layer": "twice"}, {"use_raw": True}):
        expected = getattr(sc.metrics, verb)(theirs, **options)
        assert np.isnan(expected).sum() == 2
        assert_same(getattr(lo.metrics, verb)(ours, **options), expected)
    for options in ({"obsm": "X_pca"}, {"obsp": "other"}):
        expected = getattr(sc.metrics, verb)(theirs, **options)
        assert_same(getattr(lo.metrics, verb)(ours, **options), expected)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float64", "bool"])
@pytest.mark.parametrize("verb", VERBS)
def test_values_of_any_kind_equal_scanpys(sc, verb, dtype):
    x, weights = values(dtype).T.copy(), graph()
    expected = getattr(sc.metrics, verb)(weights, x.astype("f8"))
    given = {
        "ndarray": x,
        "frame": pd.DataFrame(x),
        "csr": sp.csr_matrix(x),
        "csc": sp.csc_matrix(x),
        "coo array": sp.coo_array(x),
        "dask": da.from_array(x, chunks=(7, 50)),
    }
    for name, vals in given.items():
        np.testing.assert_allclose(
            getattr(lo.metrics, verb)(weights, vals), expected, rtol=1e-10, err_msg=name
        )
    adata = lo.AnnData(obs=pd.DataFrame(index=[f"c{k}" for k in range(N)]))
    adata.obsp["connectivities"] = weights
    assert_same(getattr(lo.metrics, verb)(adata, x), expected)
    one = x[9].astype("f8")
    expected = getattr(sc.metrics, verb)(weights, one)
    for vals in (one, pd.Series(one), da.from_array(one, chunks=50)):
        found = getattr(lo.metrics, verb)(weights, vals)
        assert_same(found, expected)
        assert np.ndim(found) == 0


@pytest.mark.parametrize("verb", VERBS)
def test_graphs_by_name(tmp_path, sc, verb):
    ours, _ = objects("csr", "file", tmp_path)
    ours.uns["mine"] = {"connectivities_key": "other", "params": {}}
    expected = getattr(sc.metrics, verb)(graph(1), ours.to_memory().X.T.tocsr())
    assert_same(getattr(lo.metrics, verb)(ours, use_graph="other"), expected)
    assert_same(getattr(lo.metrics, verb)(ours, neighbors_key="mine"), expected)
    table = getattr(lo.metrics, verb)(ours, obsm="table")
    assert_same(table, getattr(lo.metrics, verb)(ours, obsm="X_pca"))


@pytest.mark.parametrize("verb", VERBS)
def test_nan_recorded_steps_and_far_from_zero(sc, verb):
    x = np.abs(values("float64"))
    x[0, 0] = np.nan
    ours = lo.AnnData(sp.csr_matrix(x))
    ours.obsp["connectivities"] = graph()
    found = getattr(lo.metrics, verb)(ours)
    assert np.isnan(found[[0, 3, 4]]).all()
    assert not np.isnan(found[5:]).any()
    lo.pp.log1p(ours)
    logged = np.log1p(np.abs(values("float64")))
    expected = getattr(sc.metrics, verb)(graph(), logged.T)
    np.testing.assert_allclose(
        getattr(lo.metrics, verb)(ours)[8:], expected[8:], rtol=1e-10, atol=1e-12
    )
    far = values("float64").T + 1e6  # deviations keep their digits beside the mean
    np.testing.assert_allclose(
        getattr(lo.metrics, verb)(graph(), far)[5:],
        getattr(lo.metrics, verb)(graph(), far - 1e6)[5:],
        rtol=1e-6,
        atol=1e-8,
    )


def test_constant_features_are_told():
    with pytest.warns(UserWarning, match="2 variables were constant, will return nan for these"):
        lo.metrics.morans_i(graph(), values().T)
    with pytest.warns(UserWarning, match="1 variables were constant"):
        assert np.isnan(lo.metrics.gearys_c(graph(), np.ones(N)))


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
def test_passes_and_parts(tmp_path, monkeypatch, count_passes, kind):
    from lazyomics.lazy import gene_values

    ours, _ = objects(kind, "file", tmp_path)
    with count_passes(tmp_path / "x.h5ad") as passes:
        whole = lo.metrics.morans_i(ours)
    assert passes.values == (1 if kind == "csc" else 2)
    monkeypatch.setattr(gene_values, "AT_LEAST", 4000)
    monkeypatch.setattr(gene_values, "AT_ONCE", 50)
    with dask.config.set({"lazyomics.memory": "1 KiB"}):
        np.testing.assert_array_equal(lo.metrics.morans_i(ours), whole)


PROGRAM = (
    PEAK
    + """
import dask
import lazyomics as lo

dask.config.set({"lazyomics.chunk-bytes": "1 MiB", "lazyomics.memory": "16 MiB", "num_workers": 2})
small, large = sys.argv[1:]
lo.metrics.morans_i(lo.read_h5ad(small))
before = peak()
lo.metrics.morans_i(lo.read_h5ad(large))
print(peak() - before)
"""
)


@pytest.mark.slow
def test_memory(tmp_path):
    """What the settings allow, and the graph: not the values of all genes."""
    rng = np.random.default_rng(0)
    paths = []
    for name, n in (("small", 1000), ("large", 20_000)):
        genes = np.arange(0, 8000, 10) + rng.integers(0, 10, (n, 800))
        parts = np.ones(genes.size, "f4"), genes.ravel(), np.arange(0, genes.size + 1, 800)
        adata = lo.AnnData(sp.csr_matrix(parts, shape=(n, 8000)))
        others = np.arange(n)[:, None] + np.arange(1, 6)
        places = np.repeat(np.arange(n), 5), others.ravel() % n
        adata.obsp["connectivities"] = sp.csr_matrix((np.ones(5 * n), places), shape=(n, n))
        paths.append(tmp_path / f"{name}.h5ad")
        adata.write_h5ad(paths[-1])
    command = [sys.executable, "-c", PROGRAM, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 70 << 20  # X takes 122 MiB


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"use_graph": "nothing"}, KeyError, "no 'nothing'"),
        ({"use_graph": "other", "neighbors_key": "neighbors"}, TypeError, "both name a graph"),
        ({"neighbors_key": "nothing"}, ValueError, "no 'nothing'"),
        ({"layer": "nothing"}, KeyError, "nothing"),
        ({"obsm": "nothing"}, KeyError, "no 'nothing'"),
        ({"layer": "twice", "obsm": "X_pca"}, ValueError, "layer, obsm each name"),
        ({"use_raw": 1}, TypeError, "True or False"),
        ({"layer": "twice", "vals": values().T}, TypeError, "vals and layer"),
        ({"vals": values()}, lo.errors.ShapeError, "the graph is of 120 cells"),
        ({"vals": values().tolist()}, TypeError, "vals is a list"),
        ({"vals": values().astype(str).T}, TypeError, "real numbers"),
        ({"vals": values()[None]}, lo.errors.ShapeError, "one or two dimensions"),
    ],
)
def test_bad_arguments(tmp_path, options, error, message):
    ours, _ = objects("csr", "memory", tmp_path)
    for verb in VERBS:
        with pytest.raises(error, match=message):
            getattr(lo.metrics, verb)(ours, options.get("vals"), **_without_vals(options))


def _without_vals(options: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key != "vals"}


@pytest.mark.parametrize("verb", VERBS)
def test_bad_graphs(verb):
    call, x = getattr(lo.metrics, verb), values().T
    with pytest.raises(TypeError, match=f"metrics.{verb} takes an AnnData.* found ndarray"):
        call(np.eye(3))
    with pytest.raises(TypeError, match="without vals"):
        call(graph())
    with pytest.raises(TypeError, match="layer, use_graph belong to an AnnData"):
        call(graph(), x, use_graph="a", layer="b")
    with pytest.raises(lo.errors.ShapeError, match="expected as many columns"):
        call(graph()[:7], x)
    with pytest.raises(ValueError, match="sum to 0"):
        call(sp.csr_matrix((N, N)), x)
    with pytest.raises(ValueError, match="no 'neighbors'"):
        call(lo.AnnData(values()))
