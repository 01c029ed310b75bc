from __future__ import annotations

import pickle

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.blocks.block import SparseBlock
from lazyomics.errors import ShapeError
from tests.comparing import lines_of_repr as lines
from tests.container.reference import M, N, R, assert_same, reference

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")


def test_opened_objects_look_like_anndata(stored) -> None:
    ours, theirs = lo.read_h5ad(stored), ad.read_h5ad(stored)
    of_raw = f"    raw: n_vars = {ours.raw.n_vars}"  # which anndata does not tell
    assert of_raw in lines(ours)
    shown = [line for line in lines(ours) if line != of_raw]
    assert shown == lines(ad.read_h5ad(stored, backed="r"))
    assert ours.shape == theirs.shape == (len(ours), ours.n_vars)
    assert list(ours.obs_names) == list(theirs.obs_names)
    assert list(ours.var_names) == list(theirs.var_names)
    assert ours.isbacked
    assert ours.filename == stored
    loaded = lines(ours.to_memory())
    assert [line for line in loaded if line != of_raw] == lines(theirs)


def test_every_matrix_is_lazy(stored) -> None:
    adata = lo.read_h5ad(stored)
    matrices = [
        adata.X,
        adata.raw.X,
        *adata.layers.values(),
        *adata.obsp.values(),
        *adata.varp.values(),
    ]
    assert all(isinstance(x, da.Array) for x in matrices)


def test_everything_equals_anndata(stored) -> None:
    assert_same(lo.read_h5ad(stored), ad.read_h5ad(stored))
    assert_same(lo.read_h5ad(stored, backed=False), ad.read_h5ad(stored))


def test_memory_objects_hold_scipy_and_numpy(stored) -> None:
    loaded = lo.read_h5ad(stored).to_memory()
    assert type(loaded.X) is type(ad.read_h5ad(stored).X)
    assert not isinstance(loaded.X, SparseBlock)
    assert not loaded.isbacked
    assert loaded.filename is None


# anndata says so whenever it meets repeated names, as these selections make them
repeats = pytest.mark.filterwarnings("ignore:.*names are not unique:UserWarning")

KEYS = [
    slice(3, 20),
    slice(None, None, -3),
    slice("cell4", "cell9"),
    "cell7",
    ["cell9", "cell2", "cell2"],
    [5, 1, 1, -1],
    np.arange(N) % 3 == 0,
    pd.Series(np.arange(N) % 2 == 0, index=[f"cell{i}" for i in range(N)]),
    pd.Index(["cell3", "cell1"]),
    7,
    -1,
    [],
    Ellipsis,
]


@repeats
@pytest.mark.parametrize("key", KEYS, ids=str)
def test_cells_are_selected_as_anndata_does(stored, key) -> None:
    theirs = ad.read_h5ad(stored)[key if key is not Ellipsis else slice(None)].copy()
    for ours in (lo.read_h5ad(stored), lo.read_h5ad(stored).to_memory()):
        assert_same(ours[key], theirs)


@repeats
@pytest.mark.parametrize(
    "key", [["gene3", "gene1"], slice(2, 9), np.arange(M) > 5, "gene4", [], [-1, 0, 0]], ids=str
)
def test_genes_are_selected_as_anndata_does(stored, key) -> None:
    assert_same(lo.read_h5ad(stored)[:, key], ad.read_h5ad(stored)[:, key].copy())


def test_both_axes_and_again_on_the_result(stored) -> None:
    ours = lo.read_h5ad(stored)[3:25, [8, 2, 5]][[4, 1], ::-1][["cell4"]]
    theirs = ad.read_h5ad(stored)[["cell4"]].copy()[:, ["gene5", "gene2", "gene8"]].copy()
    assert_same(ours, theirs)
    assert isinstance(ours.X, da.Array)


@pytest.mark.parametrize("key", [["cell3", "nocell", "nix"], (slice(None), ["gene99"])], ids=str)
def test_unknown_labels_are_named(one_file, key) -> None:
    with pytest.raises(KeyError, match=r"nocell|gene99"):
        lo.read_h5ad(one_file)[key]


def test_repeated_names_must_be_made_unique_first(one_file) -> None:
    adata = lo.read_h5ad(one_file)
    adata.var_names = ["twice", "twice", *adata.var_names[2:]]
    with pytest.raises(KeyError, match="var_names_make_unique"):
        adata[:, "twice"]
    assert adata[:, ["gene4"]].shape == (N, 1)
    adata.var_names_make_unique()
    assert list(adata.var_names[:2]) == ["twice", "twice-1"]


def test_names_are_made_unique_as_anndata_makes_them() -> None:
    names = pd.Index(["a", "a", "b", "a", "b", "c"])
    adata = lo.AnnData(np.zeros((6, 1)), obs=pd.DataFrame(index=names))
    theirs = ad.utils.make_index_unique(names)
    adata.obs_names_make_unique()
    assert list(adata.obs_names) == list(theirs)


def test_assigning_to_a_selection_leaves_the_parent_alone(stored) -> None:
    adata = lo.read_h5ad(stored).to_memory()
    before = adata.to_anndata()
    part = adata[2:9]
    part.obs["size"] = 0.0
    part.obsm["X_pca"][:] = -1
    part.uns["deep"]["k"][:] = 9
    part.layers["dense"][:] = 0
    part.X = part.X * 0
    part.obs_names = [f"x{i}" for i in range(7)]
    assert_same(adata, before)


def test_parts_that_are_still_stored_are_selected_when_read(one_file) -> None:
    part = lo.read_h5ad(one_file)[4:10][[1, 0]]
    assert not part._obs.is_loaded
    assert list(part.obs_names) == ["cell5", "cell4"]
    whole = ad.read_h5ad(one_file)[[5, 4]].copy()
    np.testing.assert_array_equal(part.obsm["X_pca"], whole.obsm["X_pca"])
    np.testing.assert_array_equal(part.uns["kind_colors"], whole.uns["kind_colors"])


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("layers", np.zeros((N, M + 1))),
        ("obsm", np.zeros((N + 1, 2))),
        ("obsp", np.zeros((N, M))),
        ("varm", np.zeros(M - 1)),
    ],
)
def test_wrong_shapes_are_refused(one_file, part, value) -> None:
    adata = lo.read_h5ad(one_file)
    with pytest.raises(ShapeError, match=part):
        getattr(adata, part)["new"] = value
    assert "new" not in getattr(adata, part)


def test_wrong_x_obs_and_raw_are_refused(one_file) -> None:
    adata = lo.read_h5ad(one_file)
    with pytest.raises(ShapeError, match="X has shape"):
        adata.X = np.zeros((2, 2))
    with pytest.raises(ShapeError, match="obs has 3 rows"):
        adata.obs = pd.DataFrame(index=list("abc"))
    with pytest.raises(ShapeError, match="raw has 2 cells"):
        adata.raw = {"X": np.zeros((2, 2))}


def test_raw_becomes_an_object(stored) -> None:
    ours = lo.read_h5ad(stored).raw.to_adata()
    assert isinstance(ours.X, da.Array)
    assert ours.shape == (N, R)
    assert_same(ours, ad.read_h5ad(stored).raw.to_adata())


def test_raw_follows_the_cells(stored) -> None:
    part = lo.read_h5ad(stored)[[3, 1]]
    expected = ad.read_h5ad(stored).raw.X[[3, 1]].toarray()
    np.testing.assert_array_equal(part.raw.X.compute().toarray(), expected)
    assert part.raw[:, ["raw3"]].shape == (2, 1)
    np.testing.assert_array_equal(part.raw.obs_vector("raw3"), expected[:, 3])


def test_freezing_raw(one_file) -> None:
    adata = lo.read_h5ad(one_file)
    adata.raw = adata
    lo.pp.log1p(adata)
    np.testing.assert_array_equal(
        adata.raw.X.compute().toarray(), ad.read_h5ad(one_file).X.toarray()
    )
    del adata.raw
    assert adata.raw is None


@pytest.mark.filterwarnings("ignore:The method ..._vector is deprecated:FutureWarning")
def test_vectors_and_tables(stored) -> None:
    ours, theirs = lo.read_h5ad(stored), ad.read_h5ad(stored)
    np.testing.assert_array_equal(ours.obs_vector("gene3"), theirs.obs_vector("gene3"))
    np.testing.assert_array_equal(
        ours.obs_vector("gene3", layer="counts"), theirs.obs_vector("gene3", layer="counts")
    )
    np.testing.assert_array_equal(ours.obs_vector("size"), theirs.obs_vector("size"))
    np.testing.assert_array_equal(ours.var_vector("cell5"), theirs.var_vector("cell5"))
    pd.testing.assert_frame_equal(ours.to_df(), theirs.to_df())
    pd.testing.assert_frame_equal(ours.to_df("counts"), theirs.to_df("counts"))


def test_compute_persist_and_dask_agree(stored) -> None:
    adata, theirs = lo.read_h5ad(stored), ad.read_h5ad(stored)
    (computed,) = dask.compute(adata)
    assert_same(computed, theirs)
    assert not computed.isbacked
    kept = adata.persist()
    assert isinstance(kept.X, da.Array)
    assert kept.isbacked
    assert_same(kept, theirs)
    (also_kept,) = dask.persist(adata)
    assert_same(also_kept, theirs)


def test_pickling_an_opened_and_changed_object(stored) -> None:
    adata = lo.read_h5ad(stored)[3:9]
    lo.pp.log1p(adata)
    again = pickle.loads(pickle.dumps(adata))
    np.testing.assert_array_equal(
        np.asarray(again.to_memory().to_df()), np.asarray(adata.to_memory().to_df())
    )


def test_from_and_to_anndata() -> None:
    theirs = reference()
    assert_same(lo.AnnData.from_anndata(theirs), theirs)


@pytest.mark.parametrize(
    "x",
    [
        np.eye(4),
        sp.eye(4, format="csr"),
        sp.eye(4, format="coo"),
        da.eye(4, chunks=2),
        pd.DataFrame(np.eye(4)),
        sp.csc_array(np.eye(4)),
    ],
    ids=lambda x: type(x).__name__,
)
def test_construction_from_anything(x) -> None:
    adata = lo.AnnData(x, obs={"batch": list("aabb")})
    np.testing.assert_array_equal(adata.to_df().to_numpy(), np.eye(4))
    assert list(adata.obs["batch"]) == list("aabb")
    assert list(adata.obs_names) == list("0123")


def test_construction_without_x() -> None:
    adata = lo.AnnData(obs=pd.DataFrame(index=list("abc")), var=pd.DataFrame(index=list("xy")))
    assert adata.X is None
    assert adata[["a"]].shape == (1, 2)
    assert lo.AnnData(shape=(3, 2)).shape == (3, 2)


def test_sizes_now_and_once_loaded(one_file) -> None:
    adata = lo.read_h5ad(one_file)
    assert adata.__sizeof__() == 0
    estimated = adata.nbytes
    loaded = adata.to_memory()
    assert 0.3 < estimated / loaded.__sizeof__() < 2
    assert loaded.nbytes == loaded.__sizeof__()


def test_reading_some_columns(one_file) -> None:
    adata = lo.read_h5ad(one_file, obs_columns=["n", "kind"], var_columns=[])
    assert list(adata.obs.columns) == ["n", "kind"]
    assert list(adata.var.columns) == []
    with pytest.raises(KeyError, match="nope"):
        lo.read_h5ad(one_file, obs_columns=["nope"])


@pytest.mark.parametrize("chunks", [1, 7, 1000, "1 kiB"])
def test_chunks_change_nothing_but_blocks(stored, chunks) -> None:
    adata = lo.read_h5ad(stored, chunks=chunks)
    assert_same(adata, ad.read_h5ad(stored))
    if chunks == 7:
        assert max(adata.X.chunksize) == 30 or 7 in adata.X.chunksize


def test_copy_of_a_lazy_object_is_independent(one_file) -> None:
    adata = lo.read_h5ad(one_file)
    twin = adata.copy()
    twin.obs["new"] = 1
    lo.pp.log1p(twin)
    assert "new" not in adata.obs
    assert_same(adata, ad.read_h5ad(one_file))


def test_setting_filename(one_file, tmp_path) -> None:
    adata = lo.read_h5ad(one_file)
    adata.filename = tmp_path / "moved.h5ad"
    assert adata.filename == tmp_path / "moved.h5ad"
    assert_same(adata, ad.read_h5ad(one_file))
    adata.filename = None
    assert not adata.isbacked
    assert sp.issparse(adata.X)
