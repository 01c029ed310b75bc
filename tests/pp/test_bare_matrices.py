"""Verbs on matrices that are given without an AnnData: what scanpy takes, returned as it does."""

from __future__ import annotations

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
    "ignore:zero-centering:UserWarning", "ignore:the matrix subclass"
)

COUNTS = np.random.default_rng(0).poisson(1.0, (40, 12))
COUNTS[:, 3] = 0
EVEN = np.arange(40) % 2 == 0


def dense(x):
    x = x.compute() if isinstance(x, da.Array) else x
    return np.asarray(x.toarray() if hasattr(x, "toarray") else x)


def in_blocks(kind, dtype):
    lazy = da.from_array(COUNTS.astype(dtype), chunks=(15, -1))
    return lazy.map_blocks(kind, dtype=dtype, meta=kind((0, 0), dtype=dtype))


MATRICES = {
    "ndarray": lambda dtype: COUNTS.astype(dtype),
    "fortran order": lambda dtype: np.asfortranarray(COUNTS.astype(dtype)),
    "csr_matrix": lambda dtype: sp.csr_matrix(COUNTS.astype(dtype)),
    "csc_matrix": lambda dtype: sp.csc_matrix(COUNTS.astype(dtype)),
    "csr_array": lambda dtype: sp.csr_array(COUNTS.astype(dtype)),
    "dask": lambda dtype: da.from_array(COUNTS.astype(dtype), chunks=(15, -1)),
    "dask csr_matrix": lambda dtype: in_blocks(sp.csr_matrix, dtype),
}
VERBS = {
    "log1p": lambda m, x, **o: m.pp.log1p(x, **o),
    "log1p, base": lambda m, x, **o: m.pp.log1p(x, base=2, **o),
    "scale": lambda m, x, **o: m.pp.scale(x, **o),
    "scale, clipped": lambda m, x, **o: m.pp.scale(x, max_value=1, **o),
    "scale, not centred": lambda m, x, **o: m.pp.scale(x, zero_center=False, **o),
    "scale, some": lambda m, x, **o: m.pp.scale(x, zero_center=False, mask_obs=EVEN, **o),
    "scale, some centred": lambda m, x, **o: m.pp.scale(x, mask_obs=EVEN, **o),
}


@pytest.mark.parametrize(
    ("dtype", "copy"), [("f4", False), ("f4", True), ("f8", False), ("i4", False), ("u1", True)]
)
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("verb", VERBS)
def test_changed_matrices_are_scanpys(verb: str, matrix: str, dtype: str, copy: bool) -> None:
    theirs, ours = MATRICES[matrix](dtype), MATRICES[matrix](dtype)
    if verb == "scale, some centred" and (sp.issparse(ours) or "dask" in matrix):
        pytest.skip("scanpy cannot do it")
    if verb == "scale, some" and "dask" in matrix:
        pytest.skip("scanpy cannot do it")
    if matrix == "csr_array":  # not every scanpy takes them
        theirs = sp.csr_matrix(theirs)
    before = dense(ours).copy()
    expected, found = (VERBS[verb](m, x, copy=copy) for m, x in ((sc, theirs), (lo, ours)))
    np.testing.assert_allclose(dense(found), dense(expected), rtol=1e-5, atol=1e-6)
    assert isinstance(found, da.Array) == isinstance(expected, da.Array)
    if isinstance(found, da.Array):
        assert type(found.compute()) is type(expected.compute()) is type(found._meta)
    else:
        assert found.dtype == expected.dtype
        assert sp.issparse(found) == sp.issparse(expected)
    if sp.issparse(found):
        assert found.format == expected.format
        assert isinstance(found, sp.sparray) == isinstance(ours, sp.sparray)
    if "dask" in matrix or copy or dtype[0] in "iu":
        np.testing.assert_array_equal(dense(ours), before)
    elif not sp.issparse(ours):
        assert found is ours
    else:
        np.testing.assert_allclose(dense(ours), dense(theirs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("matrix", MATRICES)
def test_filters_and_pca_are_scanpys(matrix: str) -> None:
    x = MATRICES[matrix]("f4")
    of_theirs = sp.csr_matrix(x) if matrix == "csr_array" else x  # not every scanpy takes them
    for call in (
        lambda m, x: m.pp.filter_cells(x, min_counts=12),
        lambda m, x: m.pp.filter_cells(x, max_genes=8),
        lambda m, x: m.pp.filter_genes(x, min_cells=20),
        lambda m, x: m.pp.filter_genes(x, max_counts=40),
    ):
        for ours, theirs in zip(call(lo, x), call(sc, of_theirs), strict=True):
            np.testing.assert_array_equal(dense(ours), dense(theirs).ravel())
    plain = MATRICES["ndarray"]("f4")
    np.testing.assert_allclose(
        np.abs(lo.pp.pca(x, 3)), np.abs(sc.pp.pca(plain, 3)), rtol=1e-3, atol=1e-4
    )
    mask = np.arange(12) < 6
    ours = lo.pp.pca(x, 3, mask_var=mask, return_info=True)
    theirs = sc.pp.pca(plain[:, mask], 3, return_info=True)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.abs(a), np.abs(b), rtol=1e-3, atol=1e-4)


def test_values_stored_twice_are_one_value() -> None:
    x = sp.csr_matrix((np.ones(3), [1, 1, 0], [0, 2, 3]), shape=(2, 3))
    np.testing.assert_allclose(lo.pp.log1p(x).toarray(), np.log1p([[0, 2, 0], [1, 0, 0]]))


@pytest.mark.parametrize("form", ["coo", "lil", "dia", "bsr"])
def test_other_sparse_formats(form: str) -> None:
    """As CSR; scanpy refuses them, or fails."""
    x = sp.csr_matrix(COUNTS.astype("f4"))
    for verb in (lo.pp.log1p, lambda m: lo.pp.scale(m, zero_center=False)):
        found = verb(x.asformat(form))
        assert found.format == form
        np.testing.assert_array_equal(found.toarray(), verb(x.copy()).toarray())
    np.testing.assert_array_equal(
        lo.pp.filter_cells(x.asformat(form), min_genes=5)[0], lo.pp.filter_cells(x, min_genes=5)[0]
    )


def test_matrices_of_numpy_that_are_no_plain_arrays() -> None:
    x = COUNTS.astype("f4")
    same = lo.pp.log1p(x.copy())
    np.testing.assert_array_equal(lo.pp.log1p(np.asmatrix(x.copy())), same)
    np.testing.assert_array_equal(lo.pp.log1p(np.ma.array(x.copy())), same)
    np.testing.assert_array_equal(lo.pp.log1p(x.astype(">f4")), same)
    x.setflags(write=False)
    np.testing.assert_array_equal(lo.pp.log1p(x, copy=True), same)


TAKE_MATRICES = {
    "pp.log1p": lambda x: lo.pp.log1p(x),
    "pp.scale": lambda x: lo.pp.scale(x),
    "pp.sqrt": lambda x: lo.pp.sqrt(x),
    "pp.pca": lambda x: lo.pp.pca(x, 1),
    "pp.filter_cells": lambda x: lo.pp.filter_cells(x, min_genes=1),
    "pp.filter_genes": lambda x: lo.pp.filter_genes(x, min_cells=1),
    "pp.filter_genes_dispersion": lambda x: lo.pp.filter_genes_dispersion(x),
    "pp.normalize_per_cell": lambda x: lo.pp.normalize_per_cell(x, copy=True),
    "pp.sample": lambda x: lo.pp.sample(x, n=1),
    "pp.subsample": lambda x: lo.pp.subsample(x, n_obs=1),
}
TAKE_ANNDATA = {
    "pp.normalize_total": lambda x: lo.pp.normalize_total(x),
    "pp.calculate_qc_metrics": lambda x: lo.pp.calculate_qc_metrics(x),
    "pp.highly_variable_genes": lambda x: lo.pp.highly_variable_genes(x),
    "pp.neighbors": lambda x: lo.pp.neighbors(x),
    "pp.combat": lambda x: lo.pp.combat(x),
    "pp.downsample_counts": lambda x: lo.pp.downsample_counts(x, 1),
    "pp.recipe_seurat": lambda x: lo.pp.recipe_seurat(x),
    "pp.recipe_weinreb17": lambda x: lo.pp.recipe_weinreb17(x),
    "pp.recipe_zheng17": lambda x: lo.pp.recipe_zheng17(x),
    "pp.regress_out": lambda x: lo.pp.regress_out(x, "a"),
    "pp.scrublet": lambda x: lo.pp.scrublet(x),
    "pp.scrublet_simulate_doublets": lambda x: lo.pp.scrublet_simulate_doublets(x),
    "tl.score_genes": lambda x: lo.tl.score_genes(x, ["a"]),
    "tl.score_genes_cell_cycle": lambda x: lo.tl.score_genes_cell_cycle(
        x, s_genes=["a"], g2m_genes=["b"]
    ),
    "tl.mofa": lambda x: lo.tl.mofa(x),
    "tl.umap": lambda x: lo.tl.umap(x),
    "tl.tsne": lambda x: lo.tl.tsne(x),
    "tl.draw_graph": lambda x: lo.tl.draw_graph(x),
    "tl.leiden": lambda x: lo.tl.leiden(x),
    "tl.louvain": lambda x: lo.tl.louvain(x),
    "tl.diffmap": lambda x: lo.tl.diffmap(x),
    "tl.dpt": lambda x: lo.tl.dpt(x),
    "tl.paga": lambda x: lo.tl.paga(x, "a"),
    "tl.paga_compare_paths": lambda x: lo.tl.paga_compare_paths(x, x),
    "tl.paga_degrees": lambda x: lo.tl.paga_degrees(x),
    "tl.paga_expression_entropies": lambda x: lo.tl.paga_expression_entropies(x),
    "tl.embedding_density": lambda x: lo.tl.embedding_density(x),
    "tl.ingest": lambda x: lo.tl.ingest(x, x),
    "tl.Ingest": lambda x: lo.tl.Ingest(x),
    "tl.dendrogram": lambda x: lo.tl.dendrogram(x, "a"),
    "get.obs_df": lambda x: lo.get.obs_df(x, ["a"]),
    "get.var_df": lambda x: lo.get.var_df(x, ["a"]),
    "tl.filter_rank_genes_groups": lambda x: lo.tl.filter_rank_genes_groups(x),
    "tl.marker_gene_overlap": lambda x: lo.tl.marker_gene_overlap(x, {"a": {"b"}}),
    "tl.rank_genes_groups": lambda x: lo.tl.rank_genes_groups(x, "a"),
    "get.aggregate": lambda x: lo.get.aggregate(x, "a", "sum"),
    "get.group_stats": lambda x: lo.get.group_stats(x, ["a"], "b"),
    "get.rank_genes_groups_df": lambda x: lo.get.rank_genes_groups_df(x, "a"),
}
TAKE_BOTH = {"pp.neighbors", "tl.umap", "tl.leiden", "tl.louvain"}
# of which this one needs no graph
TAKE_BOTH |= {"tl.mofa"}  # AnnData and MuData
TAKE_MODALITIES = {
    "pp.binarize": lambda x: lo.pp.binarize(x),
    "pp.clr": lambda x: lo.pp.clr(x),
    "pp.filter_obs": lambda x: lo.pp.filter_obs(x, "a"),
    "pp.filter_var": lambda x: lo.pp.filter_var(x, "a"),
    "pp.sample_obs": lambda x: lo.pp.sample_obs(x),
    "pp.tfidf": lambda x: lo.pp.tfidf(x),
    "tl.lsi": lambda x: lo.tl.lsi(x),
}


def test_every_verb_is_here() -> None:
    verbs = {f"{ns}.{v}" for ns in ("pp", "tl", "get") for v in getattr(lo, ns).__all__}
    others = {"tl.pca", "pp.intersect_obs"}  # the latter is for a MuData only
    assert verbs == {*others, *TAKE_MATRICES, *TAKE_ANNDATA, *TAKE_MODALITIES}


@pytest.mark.parametrize("verb", [*TAKE_ANNDATA, *TAKE_MODALITIES])
@pytest.mark.parametrize("matrix", MATRICES)
def test_verbs_that_need_annotation_say_so(verb: str, matrix: str) -> None:
    calls, name = {**TAKE_ANNDATA, **TAKE_MODALITIES}, verb if verb in TAKE_ANNDATA else ""
    with pytest.raises(TypeError, match=rf"{name}.* an AnnData.*found"):
        calls[verb](MATRICES[matrix]("f4"))


@pytest.mark.parametrize("verb", [*TAKE_MATRICES, *TAKE_ANNDATA])
@pytest.mark.parametrize(
    "value",
    [
        [[1, 2], [3, 4]],
        None,
        "file.h5ad",
        3.0,
        pd.DataFrame({"mod": [1.0]}),
        pd.Series([1.0]),
        sparse.COO.from_numpy(np.eye(2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_neither_is_refused(verb: str, value) -> None:
    with pytest.raises(TypeError, match=rf"{verb} takes an AnnData.* found {type(value).__name__}"):
        {**TAKE_MATRICES, **TAKE_ANNDATA}[verb](value)


@pytest.mark.parametrize("verb", sorted({*TAKE_MATRICES, *TAKE_ANNDATA} - TAKE_BOTH))
def test_a_mudata_is_told_of_its_modalities(verb: str) -> None:
    mdata = lo.MuData({"rna": lo.AnnData(COUNTS.astype("f4"))})
    with pytest.raises(TypeError, match=rf"{verb} takes an AnnData.*mdata\['rna'\]"):
        {**TAKE_MATRICES, **TAKE_ANNDATA}[verb](mdata)


@pytest.mark.parametrize("verb", sorted(TAKE_BOTH - {"tl.mofa"}))
def test_a_mudata_is_taken_once_its_graphs_are_there(verb: str) -> None:
    mdata = lo.MuData({"rna": lo.AnnData(COUNTS.astype("f4"))})
    error, said = ValueError, r"run lo\.pp\.neighbors"
    if verb == "tl.louvain":
        error, said = lo.errors.UnsupportedError, r"use tl\.leiden\(mdata\)"
    with pytest.raises(error, match=said):
        TAKE_ANNDATA[verb](mdata)


@pytest.mark.parametrize("verb", TAKE_MATRICES)
def test_what_is_no_matrix_or_masks_values_is_refused(verb: str) -> None:
    call, x = TAKE_MATRICES[verb], COUNTS.astype("f4")
    for other in (x[0], x[None], da.from_array(x[0]), np.zeros((), "f4")):
        with pytest.raises(lo.errors.ShapeError, match=rf"{verb}: the matrix has shape"):
            call(other)
    for masked in (np.ma.masked_equal(x, 0), da.ma.masked_equal(da.from_array(x), 0)):
        with pytest.raises(TypeError, match=r"the matrix: a .*masked array"):
            call(masked)
    chosen = da.from_array(x, chunks=10)
    with pytest.raises(lo.errors.ShapeError, match="unknown sizes"):
        call(chosen[chosen[:, 0] > 0])


@pytest.mark.parametrize("verb", TAKE_MATRICES)
@pytest.mark.parametrize("values", [COUNTS.astype(str), COUNTS.astype("c8")])
def test_matrices_of_no_numbers_are_refused(verb: str, values) -> None:
    with pytest.raises(TypeError, match="real numbers"):
        TAKE_MATRICES[verb](values)


def test_options_of_an_anndata_are_refused() -> None:
    x = COUNTS.astype("f4")
    for verb in (lo.pp.log1p, lo.pp.scale, lo.pp.pca):
        with pytest.raises(TypeError, match="layer belong"):
            verb(x, layer="a")
    with pytest.raises(ValueError, match="names a column"):
        lo.pp.scale(x, mask_obs="a")
    with pytest.raises(ValueError, match="length 40"):
        lo.pp.scale(x, mask_obs=EVEN[:3])


@pytest.mark.parametrize("verb", ["normalize_total", "log1p", "scale", "filter_cells", "pca"])
def test_objects_of_anndata_are_taken(verb: str) -> None:
    options = {"filter_cells": {"min_genes": 5}, "pca": {"n_comps": 2}}.get(verb, {})
    theirs, ours = (ad.AnnData(COUNTS.astype("f4")) for _ in range(2))
    getattr(sc.pp, verb)(theirs, **options)
    getattr(lo.pp, verb)(ours, **options)
    np.testing.assert_allclose(dense(ours.X), dense(theirs.X), rtol=1e-5, atol=1e-6)
