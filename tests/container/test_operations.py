"""What anndata's documentation and users do with objects, done with both libraries."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from packaging.version import Version

import lazyomics as lo
from tests.comparing import assert_same_anndata, assert_same_value

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")

Operation = Callable[[Any, Any], Any]
OPERATIONS: dict[str, Operation] = {}


def operation(function: Operation) -> Operation:
    """Add a function of a module and an object of it, which returns what is compared."""
    OPERATIONS[function.__name__] = function
    return function


def example(kind: str) -> Any:
    """A small object with something in every part."""
    rng = np.random.default_rng(1)
    make = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}[kind]
    counts = rng.poisson(1.0, (6, 4)).astype("float32")
    names, genes = [f"cell{k}" for k in range(6)], [f"gene{k}" for k in range(4)]
    obs = pd.DataFrame(
        {
            "batch": pd.Categorical(list("aabbcc")),
            "n": np.arange(6),
            "score": rng.random(6),
            "text": list("uvuvuv"),
            "good": [True, False] * 3,
        },
        index=names,
    )
    var = pd.DataFrame({"kind": pd.Categorical(list("xyxy")), "length": [4, 3, 2, 1]}, index=genes)
    return ad.AnnData(
        make(counts),
        obs=obs,
        var=var,
        uns={
            "batch_colors": np.array(["#ff0000", "#00ff00", "#0000ff"]),
            "number": 3,
            "nested": {"a": np.arange(3), "b": {"c": "text"}},
        },
        obsm={"X_pca": rng.random((6, 2)), "table": pd.DataFrame({"q": np.arange(6)}, index=names)},
        varm={"PCs": rng.random((4, 2))},
        layers={"counts": make(counts * 2)},
        obsp={"graph": sp.csr_matrix(rng.poisson(0.5, (6, 6)).astype("float64"))},
        varp={"similar": rng.random((4, 4))},
    )


# -- selections -------------------------------------------------------------------------


@operation
def select_by_mask_of_a_column(m, a):
    return a[a.obs["score"] > 0.4]


@operation
def select_by_name_and_names(m, a):
    return a["cell3", ["gene2", "gene0"]]


@operation
def select_by_slice_of_names(m, a):
    return a["cell1":"cell3", :"gene1"]


@operation
def select_by_numbers_from_the_end(m, a):
    return a[-1, -2:]


@operation
def select_twice(m, a):
    return a[a.obs["batch"] != "b"][:, a.var["length"] > 1][[1, 0]]


@operation
def select_by_isin(m, a):
    return a[a.obs["batch"].isin(["a", "c"]), a.var_names.isin(["gene1", "nix"])]


@operation
def select_by_index(m, a):
    return a[a.obs.sort_values("score").index, a.var_names[::-1]]


@operation
def select_nothing(m, a):
    return a[a.obs["n"] > 99]


@operation
def select_by_startswith(m, a):
    return a[:, ~a.var_names.str.startswith("gene1")]


@operation
def select_by_group_positions(m, a):
    return a[a.obs.groupby("batch", observed=True).indices["b"]]


@operation
def select_unknown_name(m, a):
    return a[:, "nix"]


@operation
def select_out_of_range(m, a):
    return a[17]


@operation
def select_with_a_short_mask(m, a):
    return a[np.array([True, False])]


@operation
def cells_in_a_loop(m, a):
    return [a[k].obs_names[0] for k in range(a.n_obs)]


# -- tables -----------------------------------------------------------------------------


@operation
def add_a_column(m, a):
    a.obs["new"] = np.arange(a.n_obs)[::-1]
    return a


@operation
def add_a_column_of_a_number(m, a):
    a.var["new"] = 1.5
    return a


@operation
def add_a_series_by_its_names(m, a):
    a.obs["new"] = pd.Series([1, 2], index=["cell4", "cell1"])
    return a


@operation
def change_a_value(m, a):
    a.obs.loc["cell2", "n"] = 50
    return a


@operation
def map_categories(m, a):
    a.obs["type"] = a.obs["batch"].map({"a": "A", "b": "B", "c": "A"}).astype("category")
    return a


@operation
def drop_columns(m, a):
    a.obs = a.obs.drop(columns=["n", "score"])
    del a.var["kind"]
    return a


@operation
def rename_columns(m, a):
    a.obs.rename(columns={"n": "count"}, inplace=True)
    return a


@operation
def replace_obs_by_another_table(m, a):
    a.obs = pd.DataFrame({"z": range(6)}, index=list("abcdef"))
    return a


@operation
def replace_obs_by_a_shorter_table(m, a):
    a.obs = a.obs.iloc[:3]


@operation
def merge_a_table(m, a):
    extra = pd.DataFrame({"batch": ["a", "b"], "day": [1, 2]})
    a.obs = a.obs.reset_index().merge(extra, on="batch", how="left").set_index("index")
    return a


@operation
def value_counts(m, a):
    return a.obs["batch"].value_counts().to_frame()


@operation
def columns_and_keys(m, a):
    layers = [key for key in a.layers if key is not None]  # X, for anndata 0.13
    return [list(a.obs), list(a.var.columns), sorted(a.uns), list(a.obsm), layers]


# -- names ------------------------------------------------------------------------------


@operation
def rename_cells(m, a):
    a.obs_names = ["x_" + name for name in a.obs_names]
    return a


@operation
def names_from_a_column(m, a):
    a.var_names = a.var["length"].astype(str)
    return a


@operation
def names_of_a_wrong_number(m, a):
    a.var_names = ["one"]


@operation
def names_that_repeat(m, a):
    a.var_names = ["g", "g", "h", "g"]
    a.var_names_make_unique()
    return list(a.var_names)


@operation
def find_positions_of_names(m, a):
    return [a.obs_names.get_loc("cell3"), list(a.var_names.get_indexer(["gene2", "nix"]))]


# -- matrices ---------------------------------------------------------------------------


@operation
def logarithm_of_x(m, a):
    a.X = np.log1p(a.X)
    return a


@operation
def keep_counts_in_a_layer(m, a):
    a.layers["kept"] = a.X.copy()
    a.X = a.X * 2
    return a


@operation
def x_of_a_layer(m, a):
    a.X = a.layers["counts"]
    return a


@operation
def x_of_other_values(m, a):
    a.X = np.ones(a.shape)
    return a


@operation
def x_of_a_wrong_shape(m, a):
    a.X = np.ones((2, 2))


@operation
def remove_x(m, a):
    a.X = None
    return a


@operation
def delete_a_layer(m, a):
    del a.layers["counts"]
    return a


@operation
def layer_of_a_wrong_shape(m, a):
    a.layers["new"] = np.ones((6, 3))


@operation
def unknown_layer(m, a):
    return a.layers["nix"]


@operation
def totals_of_cells(m, a):
    a.obs["total"] = np.ravel(plain(a.X.sum(axis=1)))
    return a


@operation
def values_of_a_gene(m, a):
    return np.ravel(plain(a[:, "gene1"].X))


@operation
def table_of_some_genes(m, a):
    return a[:, ["gene3", "gene0"]].to_df()


@operation
def table_of_a_layer(m, a):
    return a.to_df(layer="counts")


# -- arrays and annotation --------------------------------------------------------------


@operation
def add_an_embedding(m, a):
    a.obsm["X_umap"] = np.zeros((6, 2))
    return a


@operation
def add_a_list_of_values(m, a):
    a.obsm["vector"] = np.arange(6.0)
    return a


@operation
def add_a_sparse_embedding(m, a):
    a.obsm["sparse"] = sp.csr_matrix(np.eye(6, 3))
    return a


@operation
def add_a_table_to_obsm(m, a):
    a.obsm["scores"] = pd.DataFrame({"k": list("aabbcc")}, index=a.obs_names)
    return a[[3, 1]]


@operation
def embedding_of_a_wrong_length(m, a):
    a.obsm["X_umap"] = np.zeros((5, 2))


@operation
def replace_all_of_obsm(m, a):
    a.obsm = {"only": np.ones((6, 1))}
    return a


@operation
def copy_obsm(m, a):
    kept = dict(a.obsm.copy())
    kept["X_pca"][:] = 0
    return a


@operation
def pop_and_update(m, a):
    first = a.obsm.pop("X_pca")
    a.varm.update({"w": np.ones((4, 1))})
    return first, a


@operation
def graph_of_some_cells(m, a):
    return a[["cell4", "cell0"]].obsp["graph"]


@operation
def change_uns(m, a):
    a.uns["params"] = {"k": 5}
    a.uns["nested"]["b"]["c"] = "other"
    del a.uns["number"]
    return a


@operation
def uns_with_default(m, a):
    return [a.uns.get("nix"), a.uns.get("number"), "nested" in a.uns, a.uns.setdefault("z", 1)]


@operation
def uns_replaced(m, a):
    a.uns = {"only": 1}
    return a


# -- raw --------------------------------------------------------------------------------


@operation
def raw_before_genes_are_filtered(m, a):
    a.raw = a
    a = a[:, :2].copy()
    a.X = a.X * 0
    return a, a.raw.to_adata(), plain(a.raw[:, "gene3"].X)


@operation
def raw_of_some_cells(m, a):
    a.raw = a
    part = a[[4, 2], [0]]
    return part, list(part.raw.var_names), part.raw.shape


@operation
def raw_removed(m, a):
    a.raw = a
    a.raw = None
    return a


# -- changes of selections --------------------------------------------------------------


@operation
def column_of_a_selection(m, a):
    part = a[a.obs["batch"] == "a"]
    part.obs["new"] = 1
    return part, a


@operation
def layer_and_embedding_of_a_selection(m, a):
    part = a[:3, :2]
    part.layers["new"] = np.ones((3, 2))
    part.obsm["X_new"] = np.ones((3, 1))
    del part.obsm["X_pca"]
    return part, a


@operation
def value_in_an_embedding_of_a_selection(m, a):
    part = a[:3]
    part.obsm["X_pca"][0, 0] = 99
    return part, a


@operation
def uns_of_a_selection(m, a):
    part = a[:3]
    part.uns["number"] = 4
    return part, a


@operation
def names_of_a_selection(m, a):
    part = a[:2]
    part.obs_names = ["p", "q"]
    return part, a


@operation
def categories_of_a_selection(m, a):
    part = a[a.obs["batch"] != "b"]
    return part, list(part.obs["batch"].cat.categories), list(part.uns["batch_colors"])


@operation
def subset_where_it_is(m, a):
    a._inplace_subset_obs(a.obs["n"] > 2)
    a._inplace_subset_var(["gene3", "gene1"])
    return a


# -- objects ----------------------------------------------------------------------------


@operation
def shape_and_length(m, a):
    return [a.shape, a.n_obs, a.n_vars, len(a)]


@operation
def copied_deeply(m, a):
    twin = copy.deepcopy(a)
    twin.obs["new"] = 1
    return twin, a


@operation
def pickled(m, a):
    return pickle.loads(pickle.dumps(a))


@operation
def concatenated(m, a):
    parts = [a[:2].copy(), a[2:].copy()]
    return m.concat(parts, label="part", keys=["p", "q"], index_unique="-", merge="same")


@operation
def concatenated_outer(m, a):
    made = m.concat([a[:2, :3].copy(), a[2:, 1:].copy()], join="outer")
    for key in made.layers:  # anndata 0.13 has other types than 0.12
        if key is not None:
            made.layers[key] = made.layers[key].astype(np.float64)
    made.X = made.X.astype(np.float64)
    return made


@operation
def genes_beside_each_other(m, a):
    return m.concat([a[:, :2].copy(), a[:, 2:].copy()], axis=1, merge="first")


@operation
def of_a_table(m, a):
    return m.AnnData(pd.DataFrame(np.eye(2), index=["a", "b"], columns=["x", "y"]))


@operation
def of_arrays_and_dicts(m, a):
    obs = {"obs_names": ["a", "b"], "k": [1, 2]}
    return m.AnnData(np.eye(2), obs, {"var_names": ["x", "y"]}, {"u": 1}, obsm={"e": np.eye(2)})


@operation
def of_a_vector(m, a):
    return m.AnnData(np.arange(3.0))


@operation
def of_parts_that_do_not_fit(m, a):
    return m.AnnData(np.eye(3), obs=pd.DataFrame(index=["a", "b"]))


@operation
def split_by_a_column(m, a):
    return [a[a.obs["batch"] == batch].copy() for batch in a.obs["batch"].cat.categories]


@operation
def mean_by_group(m, a):
    return a.to_df().groupby(a.obs["batch"], observed=True).mean()


# -- the comparison ---------------------------------------------------------------------


def plain(x: Any) -> Any:
    """Values in memory, of a lazy or sparse matrix too."""
    x = x.compute() if hasattr(x, "compute") else x
    return np.asarray(x.toarray() if hasattr(x, "toarray") else x)


def outcome(function: Operation, module: Any, adata: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return function(module, adata)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            return error


def assert_same_outcome(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, Exception):
        kinds = (KeyError, IndexError, ValueError)
        wanted = next((kind for kind in kinds if isinstance(theirs, kind)), type(theirs))
        assert isinstance(ours, wanted), repr(ours)
    elif isinstance(ours, Exception):
        raise ours
    elif isinstance(theirs, ad.AnnData):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert_same_anndata(ours.to_anndata(), theirs.copy())
    elif isinstance(theirs, list | tuple):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert_same_outcome(a, b)
    else:
        computed = ours.compute() if hasattr(ours, "compute") else ours
        assert_same_value(lo.lazy.to_memory_format(computed), theirs, "result")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("operations")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind in ("csr", "csc", "dense"):
            example(kind).write_h5ad(folder / kind, convert_strings_to_categoricals=False)
    return folder


HELD = {"opened": "csr", "in memory": "csc", "selected": "dense"}


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("name", OPERATIONS)
def test_both_libraries_do_the_same(name, held, files) -> None:
    if name == "raw_of_some_cells" and Version(version("anndata")) < Version("0.12.11"):
        pytest.skip("this anndata gives raw the shape of all cells")
    path = files / HELD[held]
    ours, theirs = lo.read_h5ad(path), ad.read_h5ad(path)
    if held == "in memory":
        ours = ours.to_memory()
    elif held == "selected":
        ours, theirs = ours[:], theirs[:].copy()
    function = OPERATIONS[name]
    assert_same_outcome(outcome(function, lo, ours), outcome(function, ad, theirs))
