"""Every verb on every kind of matrix that an object may hold, compared with scanpy's on numpy."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sparse

import lazyomics as lo

ad = pytest.importorskip("anndata", reason="compares with scanpy")
sc = pytest.importorskip("scanpy", reason="compares with scanpy")

pytestmark = pytest.mark.filterwarnings(
    "ignore:The inplace keyword",  # scanpy with pandas 3.1
    "ignore::UserWarning",
    "ignore::FutureWarning",
    "ignore:the matrix subclass",
    "ignore:divide by zero:RuntimeWarning",  # scanpy, of batches of a gene without variance
    "ignore:invalid value:RuntimeWarning",
)

N, M = 60, 40
RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(np.linspace(0.1, 3, M), (N, M)).astype("f4")
OBS = pd.DataFrame(
    {
        "kind": pd.Categorical(RNG.choice(list("abc"), N)),
        "batch": RNG.choice(["p", "q"], N),
        "size": RNG.normal(size=N),
    },
    index=[f"c{k}" for k in range(N)],
)
VAR = pd.DataFrame({"mito": np.arange(M) % 5 == 0}, index=[f"g{k}" for k in range(M)])
STORED = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("matrices")
    for name, form in STORED.items():
        ad.AnnData(form(COUNTS), obs=OBS.copy(), var=VAR.copy()).write_h5ad(folder / f"{name}.h5ad")
    return folder


def held(x: Any) -> lo.AnnData:
    return lo.AnnData(x, obs=OBS.copy(), var=VAR.copy())


def cut(rows: int = 20, cols: int = M) -> da.Array:
    return da.from_array(COUNTS, chunks=(rows, cols))


def blocks(make: Any, says: Any = None, **chunks: int) -> da.Array:
    says = make if says is None else says
    return cut(**chunks).map_blocks(make, dtype="f4", meta=says((0, 0), dtype="f4"))


def read_only() -> np.ndarray:
    x = COUNTS.copy()
    x.setflags(write=False)
    return x


IN_MEMORY: dict[str, Callable[[], Any]] = {
    "ndarray": COUNTS.copy,
    "fortran order": lambda: np.asfortranarray(COUNTS),
    "read-only": read_only,
    "big-endian": lambda: COUNTS.astype(">f4"),
    "float64": lambda: COUNTS.astype("f8"),
    "longdouble": lambda: COUNTS.astype("g"),
    "int64": lambda: COUNTS.astype("i8"),
    "uint8": lambda: COUNTS.astype("u1"),
    "csr": lambda: sp.csr_matrix(COUNTS),
    "csc": lambda: sp.csc_matrix(COUNTS),
    "csr_array": lambda: sp.csr_array(COUNTS),
    "coo": lambda: sp.coo_matrix(COUNTS),
    "csr int32": lambda: sp.csr_matrix(COUNTS.astype("i4")),
    "given": cut,
    "given in columns": lambda: cut(7, 11),
    "given csr": lambda: blocks(sp.csr_matrix),
    "given csc": lambda: blocks(sp.csc_matrix, rows=N, cols=10),
    "given csr_array": lambda: blocks(sp.csr_array),
    "given COO": lambda: cut().map_blocks(sparse.COO.from_numpy),
    "given GCXS": lambda: cut().map_blocks(sparse.GCXS.from_numpy),
    "given numpy.matrix": lambda: cut().map_blocks(np.asmatrix),
    "given masked arrays that mask nothing": lambda: cut().map_blocks(
        np.ma.masked_invalid, dtype="f4", meta=np.empty((0, 0), "f4")
    ),
    "says csr, is csc": lambda: blocks(sp.csc_matrix, says=sp.csr_matrix),
    "says csr, is dense": lambda: blocks(np.copy, says=sp.csr_matrix),
}
OF_FILE: dict[str, Callable[[Any], Any]] = {
    "as it is": lambda x: x,
    "times one": lambda x: x * 1,
    "persisted": lambda x: x.persist(),
    "map_blocks": lambda x: x.map_blocks(lambda block: block * 1),
    "other chunks": lambda x: x.rechunk((7, 11)),
    "where": lambda x: da.where(x > 0, x, 0),
}
MATRICES = [*IN_MEMORY, *(f"{stored}, {how}" for stored in STORED for how in OF_FILE)]


def made(name: str, folder: Any) -> lo.AnnData:
    if name in IN_MEMORY:
        return held(IN_MEMORY[name]())
    stored, how = name.split(", ")
    adata = lo.read_h5ad(folder / f"{stored}.h5ad")
    if how != "as it is":
        adata.X = OF_FILE[how](adata.X)
    return adata


def dense(x: Any) -> np.ndarray:
    x = x.compute() if isinstance(x, da.Array) else x
    return np.asarray(x.toarray() if hasattr(x, "toarray") else x)


def logged(m: Any, a: Any) -> Any:
    m.pp.normalize_total(a, target_sum=100)
    m.pp.log1p(a)
    return a


def x_after(verb: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def run(m: Any, a: Any) -> Any:
        verb(m, a)
        return a.X

    return run


def after(get: Callable[[Any], Any], verb: Callable[[Any, Any], Any], log: bool = False) -> Any:
    def run(m: Any, a: Any) -> Any:
        verb(m, logged(m, a) if log else a)
        return get(a)

    return run


def numbers(a: Any) -> np.ndarray:
    frames = (a.obs.select_dtypes("number"), a.var.select_dtypes("number"))
    return np.concatenate([f.to_numpy(dtype="f8").ravel() for f in frames])


EVEN = np.arange(N) % 2 == 0
HALF = np.arange(M) < M // 2
VERBS: dict[str, Callable[[Any, Any], Any]] = {
    "normalize_total": x_after(lambda m, a: m.pp.normalize_total(a, target_sum=10)),
    "normalize_total, median": after(
        lambda a: np.c_[dense(a.X), a.obs["k"]], lambda m, a: m.pp.normalize_total(a, key_added="k")
    ),
    "normalize_total, excluding": x_after(
        lambda m, a: m.pp.normalize_total(a, exclude_highly_expressed=True, max_fraction=0.1)
    ),
    "normalize_total, returned": lambda m, a: m.pp.normalize_total(a, target_sum=10, inplace=False)[
        "X"
    ],
    "log1p": x_after(lambda m, a: m.pp.log1p(a)),
    "log1p, base": x_after(lambda m, a: m.pp.log1p(a, base=2)),
    "sqrt": x_after(lambda m, a: m.pp.sqrt(a)),
    "calculate_qc_metrics": after(
        numbers,
        lambda m, a: m.pp.calculate_qc_metrics(
            a, qc_vars=["mito"], percent_top=[3, 5], inplace=True
        ),
    ),
    "filter_cells, counts": after(
        lambda a: a.obs["n_counts"], lambda m, a: m.pp.filter_cells(a, min_counts=60)
    ),
    "filter_cells, genes": x_after(lambda m, a: m.pp.filter_cells(a, min_genes=25)),
    "filter_genes, counts": x_after(lambda m, a: m.pp.filter_genes(a, max_counts=90)),
    "filter_genes, cells": after(
        lambda a: a.var["n_cells"], lambda m, a: m.pp.filter_genes(a, min_cells=25)
    ),
    "scale": after(
        lambda a: np.r_[dense(a.X), a.var[["mean", "std"]].to_numpy().T],
        lambda m, a: m.pp.scale(a, max_value=2),
    ),
    "scale, sparse": x_after(lambda m, a: m.pp.scale(a, zero_center=False)),
    "scale, some": x_after(lambda m, a: m.pp.scale(a, zero_center=False, mask_obs=EVEN)),
    "highly_variable_genes": after(
        numbers, lambda m, a: m.pp.highly_variable_genes(a, n_top_genes=10), log=True
    ),
    # in bins of two genes, which 20 bins would have, all dispersions are the same but for rounding
    "highly_variable_genes, batches": after(
        numbers,
        lambda m, a: m.pp.highly_variable_genes(a, n_top_genes=10, n_bins=5, batch_key="batch"),
        log=True,
    ),
    "pca": after(lambda a: np.abs(a.obsm["X_pca"]), lambda m, a: m.pp.pca(a, 3), log=True),
    "pca, some": after(
        lambda a: np.abs(a.obsm["X_pca"]), lambda m, a: m.pp.pca(a, 3, mask_var=HALF), log=True
    ),
    "pca, not centred": after(
        lambda a: np.abs(a.obsm["X_pca"]),
        lambda m, a: m.pp.pca(a, 3, zero_center=False, svd_solver="arpack"),
        log=True,
    ),
    "neighbors": after(
        lambda a: a.obsp["distances"], lambda m, a: m.pp.neighbors(a, 5, use_rep="X"), log=True
    ),
    "dendrogram": after(
        lambda a: a.uns["dendrogram_kind"]["linkage"],
        lambda m, a: m.tl.dendrogram(a, "kind", use_rep="X"),
        log=True,
    ),
    "score_genes": after(
        lambda a: a.obs["score"],
        lambda m, a: m.tl.score_genes(a, ["g3", "g30"], ctrl_size=3, n_bins=5),
        log=True,
    ),
    "downsample_counts": x_after(lambda m, a: m.pp.downsample_counts(a, 30)),
    "normalize_per_cell": x_after(lambda m, a: m.pp.normalize_per_cell(a, min_counts=60)),
    "regress_out": x_after(lambda m, a: m.pp.regress_out(a, "size")),
    "regress_out, groups": x_after(lambda m, a: m.pp.regress_out(a, "kind")),
    "combat": x_after(lambda m, a: m.pp.combat(a)),
    "scrublet": after(
        lambda a: a.obs["doublet_score"],
        lambda m, a: m.pp.scrublet(a, n_prin_comps=2, threshold=0.3),
    ),
    "scrublet_simulate_doublets": lambda m, a: m.pp.scrublet_simulate_doublets(a).X,
    "sample": x_after(lambda m, a: m.pp.sample(a, n=20, rng=0)),
    "obs_df": lambda m, a: m.get.obs_df(a, ["g3", "g30"]),
    "var_df": lambda m, a: m.get.var_df(a, ["c3", "c30"]),
    # muon's, and our own: compared with the same verb on numpy
    "group_stats": lambda m, a: np.stack(m.get.group_stats(a, ["g3", "g30"], "kind")),
    "binarize": x_after(lambda m, a: m.pp.binarize(a)),
    "clr": x_after(lambda m, a: m.pp.clr(a)),
    "clr, cells": x_after(lambda m, a: m.pp.clr(a, axis=1)),
    "tfidf": x_after(lambda m, a: m.pp.tfidf(a)),
    "lsi": after(lambda a: np.abs(a.obsm["X_lsi"]), lambda m, a: m.tl.lsi(a, n_comps=3)),
}


@cache
def expected(verb: str) -> np.ndarray:
    theirs = not hasattr(lo.pp, verb.split(",")[0]) or hasattr(sc.pp, verb.split(",")[0])
    if verb in ("group_stats", "lsi") or not theirs:
        return dense(VERBS[verb](lo, held(COUNTS.copy())))
    return dense(VERBS[verb](sc, ad.AnnData(COUNTS.copy(), obs=OBS.copy(), var=VAR.copy())))


# Each way in which a verb reads a matrix with each kind of blocks; the rest with some of them.
FOR_EVERY_MATRIX = (
    "normalize_total, excluding",
    "calculate_qc_metrics",
    "filter_genes, counts",
    "scale, sparse",
    "highly_variable_genes",
    "pca",
)
FOR_EVERY_VERB = (
    "csc",
    "given in columns",
    "given csr",
    "given csc",
    "given GCXS",
    "csr, times one",
    "csc, persisted",
    "dense, map_blocks",
)
PAIRS = [(v, m) for v in VERBS for m in MATRICES if v in FOR_EVERY_MATRIX or m in FOR_EVERY_VERB]


@pytest.mark.parametrize(("verb", "matrix"), PAIRS)
def test_verbs_take_every_matrix(verb: str, matrix: str, files) -> None:
    found = dense(VERBS[verb](lo, made(matrix, files)))
    assert found.shape == expected(verb).shape
    np.testing.assert_allclose(
        found.astype("f8"), expected(verb).astype("f8"), rtol=2e-3, atol=2e-4
    )


OTHER_VALUES = {
    "text": COUNTS.astype(str),
    "objects": COUNTS.astype(object),
    "complex": COUNTS.astype("c8"),
    "dates": COUNTS.astype("M8[s]"),
    "lazy text": da.from_array(COUNTS.astype(str), chunks=20),
    "sparse complex": sp.csr_matrix(COUNTS.astype("c8")),
}


@pytest.mark.parametrize(
    "verb", [*FOR_EVERY_MATRIX, "log1p", "obs_df", "group_stats", "clr", "lsi"]
)
@pytest.mark.parametrize("values", OTHER_VALUES)
def test_verbs_refuse_what_are_no_numbers(verb: str, values: str) -> None:
    with pytest.raises(TypeError, match=r"X holds .*, expected real numbers; convert it"):
        VERBS[verb](lo, held(OTHER_VALUES[values]))


@pytest.mark.parametrize("place", ["layers", "raw", "obsm"])
def test_other_places_are_named(place: str) -> None:
    adata = held(COUNTS)
    text = COUNTS.astype(str)
    adata.layers["t"] = adata.obsm["t"] = text
    adata.raw = held(text)
    calls = {
        "layers": lambda: lo.pp.normalize_total(adata, layer="t"),
        "raw": lambda: lo.get.obs_df(adata, ["g1"], use_raw=True),
        "obsm": lambda: lo.pp.neighbors(adata, use_rep="t"),
    }
    names = {"layers": r"layers\['t'\]", "raw": r"raw\.X", "obsm": r"obsm\['t'\]"}
    with pytest.raises(TypeError, match=f"{names[place]} holds"):
        calls[place]()


def test_what_is_no_matrix_in_obsm() -> None:
    adata = held(COUNTS)
    adata.obsm["table"] = pd.DataFrame({"a": OBS["batch"]}, index=adata.obs_names)
    adata.obsm["box"] = np.zeros((N, 2, 2))
    for verb in (
        lambda key: lo.pp.neighbors(adata, use_rep=key),
        lambda key: lo.pp.scale(adata, obsm=key),
        lambda key: lo.pp.pca(adata, 1, obsm=key),
    ):
        for key in ("table", "box"):
            with pytest.raises(TypeError, match=rf"obsm\['{key}'\]"):
                verb(key)
