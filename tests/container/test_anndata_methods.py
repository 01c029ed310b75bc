"""Methods and assignments of anndata's AnnData, on opened, computed and selected objects."""

from __future__ import annotations

import warnings

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import ShapeError
from tests.container.reference import M, N, assert_same, reference

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Use .* instead:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*will be removed in the future:FutureWarning"),
    pytest.mark.filterwarnings("ignore:`del adata.layers` currently keeps:FutureWarning"),
]

WAYS = ("opened", "in memory", "selected")


@pytest.fixture(params=WAYS)
def way(request) -> str:
    return request.param


@pytest.fixture
def ours(way, stored):
    """The reference object of lazyomics, in each way that one can be held."""
    adata = lo.read_h5ad(stored)
    return {"opened": adata, "in memory": adata.to_memory(), "selected": adata[:, :]}[way]


@pytest.fixture
def theirs(way, stored):
    adata = ad.read_h5ad(stored)
    return adata[:, :].copy() if way == "selected" else adata


def dense(x):
    x = x.compute() if isinstance(x, da.Array) else x
    return x.toarray() if hasattr(x, "toarray") else np.asarray(x)


def test_rows_in_chunks(ours, theirs) -> None:
    for size in (None, 7, N, 1000):
        found, expected = list(ours.chunked_X(size)), list(theirs.chunked_X(size))
        assert [part[1:] for part in found] == [part[1:] for part in expected]
        for (rows, *_), (same, *_) in zip(found, expected, strict=True):
            assert type(rows) is type(same)
            np.testing.assert_array_equal(dense(rows), dense(same))
    with pytest.raises(ValueError, match="chunk_size"):
        next(ours.chunked_X(0))


@pytest.mark.parametrize("select", [[3, 1, 1, 29], np.array([2, 0]), 5, 1000], ids=str)
def test_chosen_rows(ours, theirs, select) -> None:
    np.random.seed(3)  # noqa: NPY002 (anndata draws from the global state)
    found = ours.chunk_X(select)
    np.random.seed(3)  # noqa: NPY002
    np.testing.assert_array_equal(found, theirs.chunk_X(select))
    assert type(found) is np.ndarray
    with pytest.raises(ValueError, match="select"):
        ours.chunk_X(None)


def test_transposed(ours, theirs, tmp_path) -> None:
    turned, expected = ours.T, theirs.T
    assert isinstance(turned.X, da.Array) == isinstance(ours.X, da.Array)
    assert not turned.isbacked
    assert_same(turned, expected)
    assert_same(turned.T, expected.T)
    assert_same(turned[3:9, ::2], expected[3:9, ::2].copy())
    assert_same(turned[[4, 1]].T[[7, 2]], expected[[4, 1]].copy().T[[7, 2]].copy())
    turned.write_h5ad(tmp_path / "turned.h5ad")
    assert_same(lo.read_h5ad(tmp_path / "turned.h5ad"), expected)


def test_transposed_x_is_not_taken_for_the_stored_one(tmp_path) -> None:
    path = tmp_path / "square.h5ad"
    x = sp.csr_matrix(np.triu(np.arange(9.0).reshape(3, 3)))
    ad.AnnData(x).write_h5ad(path)
    adata = lo.read_h5ad(path)
    adata.X = adata.T.X
    adata.write(overwrite_x=True)
    np.testing.assert_array_equal(ad.read_h5ad(path).X.toarray(), x.toarray().T)


def test_transposed_with_steps_recorded(one_file) -> None:
    adata = lo.read_h5ad(one_file)
    lo.pp.log1p(adata)
    expected = np.log1p(ad.read_h5ad(one_file).X.toarray()).T
    np.testing.assert_allclose(dense(adata.T.X), expected, rtol=1e-6)


def test_text_becomes_categories() -> None:
    columns = {
        "t": ["b10", "b2", "b2"],
        "u": ["x", "y", "z"],
        "n": [1, 2, 3],
        "g": ["a", None, "a"],
    }
    frames = {"obs": pd.DataFrame(columns, index=list("abc")), "var": pd.DataFrame(columns)}
    frames["var"].index = list("xyz")
    ours, theirs = lo.AnnData(np.eye(3), **frames), ad.AnnData(np.eye(3), **frames)
    frame, same = frames["obs"].copy(), frames["obs"].copy()
    for adata, table in ((ours, frame), (theirs, same)):
        adata.strings_to_categoricals(table)
        assert adata.obs["t"].dtype != "category"
        adata.strings_to_categoricals()
    pd.testing.assert_frame_equal(frame, same)
    assert_same(ours, theirs)


def test_renamed_categories() -> None:
    def records():
        return np.array([(1, 2)], dtype=[("a", int), ("b", int)])

    for axis in ("obs", "var"):
        made = []
        for module in (lo, ad):
            adata = module.AnnData(
                np.eye(2),
                **{axis: pd.DataFrame({"k": pd.Categorical(["b", "a"])}, index=["p", "q"])},
            )
            uns = {"params": {"groupby": "k"}, "names": records(), "other": np.zeros(2)}
            adata.uns["genes"] = uns
            adata.uns["unrelated"] = {"params": {"groupby": "z"}, "names": records()}
            adata.rename_categories("k", ["new", "newer"])
            made.append(adata)
        ours, theirs = made
        pd.testing.assert_frame_equal(getattr(ours, axis), getattr(theirs, axis))
        for key in ("genes", "unrelated"):
            assert ours.uns[key]["names"].dtype == theirs.uns[key]["names"].dtype
        for key, names in (("zz", ["x"]), ("k", {"a": "x"}), ("k", ["x"])):
            for adata in made:
                with pytest.raises(ValueError):  # noqa: PT011 (only the type is the same)
                    adata.rename_categories(key, names)


def test_records_of_other_fields_keep_their_names() -> None:
    adata = lo.AnnData(np.eye(2), obs={"k": pd.Categorical(["b", "a"])})
    records = np.array([(1, 2)], dtype=[("a", int), ("c", int)])
    adata.uns["genes"] = {"params": {"groupby": "k"}, "names": records}
    with pytest.warns(UserWarning, match="keeps its fields"):
        adata.rename_categories("k", ["x", "y"])


def pieces():
    """Three objects that differ in what concatenate treats in its own way."""
    rng = np.random.default_rng(0)
    made = []
    genes = (list("abcd"), list("dcb"), list("bcde"))
    for k, names in enumerate(genes):
        n = 2 + k
        obs = pd.DataFrame(
            {f"only{k}": np.arange(n), "kind": pd.Categorical(list("xyzw")[:n])},
            index=[f"s{i}" for i in range(n)],
        )
        var = pd.DataFrame(
            {"same": [ord(g) for g in names], "own": np.arange(len(names)) + k}, index=names
        )
        if k == 2:
            var["third"] = 1.0
        x = sp.csr_matrix(rng.poisson(1, (n, len(names))).astype("f4"))
        made.append({"X": x, "obs": obs, "var": var, "uns": {"u": 1, "v": k}})
    return made


@pytest.mark.filterwarnings("ignore:Observation names are not unique:UserWarning")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"join": "outer"},
        {"batch_categories": ["one", "two", "three"], "batch_key": "from"},
        {"index_unique": None, "uns_merge": "same"},
        {"join": "outer", "fill_value": 7, "index_unique": "_", "uns_merge": "first"},
    ],
    ids=str,
)
def test_concatenate_as_before_concat(options) -> None:
    found = [lo.AnnData(**parts) for parts in pieces()]
    expected = [ad.AnnData(**parts) for parts in pieces()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not hasattr(ad.AnnData, "concatenate"):
            pytest.skip("this anndata has no concatenate any more")
        same = expected[0].concatenate(*expected[1:], **options)
    with pytest.warns(FutureWarning, match=r"lazyomics\.concat"):
        made = found[0].concatenate(*found[1:], **options)
    assert_same(made, same)


def test_vectors_say_which_names_are_meant(one_file) -> None:
    ours, theirs = lo.read_h5ad(one_file), ad.read_h5ad(one_file)
    for adata in (ours, theirs):
        adata.obs["gene1"] = 1
        adata.var["cell1"] = 1
    for adata in (ours, theirs):
        for key, error in (("gene1", ValueError), ("nix", KeyError)):
            with pytest.raises(error):
                adata.obs_vector(key)
        for key, error in (("cell1", ValueError), ("nix", KeyError)):
            with pytest.raises(error):
                adata.var_vector(key)
    np.testing.assert_array_equal(ours.obs_vector("gene2", layer="X"), theirs.obs_vector("gene2"))
    np.testing.assert_array_equal(ours.raw.var_vector("cell3"), theirs.raw.var_vector("cell3"))
    np.testing.assert_array_equal(ours.raw.var_vector("full"), theirs.raw.var_vector("full"))
    np.testing.assert_array_equal(ours.raw.obs_vector("raw3"), theirs.raw.obs_vector("raw3"))


def test_raw_is_copied(ours) -> None:
    twin = ours.raw.copy()
    twin.var["new"] = 1
    assert "new" not in ours.raw.var
    assert twin.shape == ours.raw.shape
    assert not twin.is_view


def test_text_files(ours, theirs, tmp_path) -> None:
    for adata in (ours, theirs):
        adata.uns["number"] = 3
        adata.uns["table"] = pd.DataFrame({"a": [1, 2]})
        del adata.obsm["frame"]
        del adata.uns["deep"]
    ours.write_csvs(tmp_path / "ours.csv", skip_data=False, sep=";")
    theirs.write_csvs(tmp_path / "theirs", skip_data=False, sep=";")
    names = sorted(p.relative_to(tmp_path / "theirs") for p in (tmp_path / "theirs").rglob("*.csv"))
    assert names == sorted(
        p.relative_to(tmp_path / "ours") for p in (tmp_path / "ours").rglob("*.csv")
    )
    for name in names:
        assert (tmp_path / "ours" / name).read_text() == (tmp_path / "theirs" / name).read_text()


def test_text_files_name_what_they_leave_out(tmp_path) -> None:
    adata = lo.AnnData(np.eye(2), uns={"m": sp.eye(2, format="csr"), "cube": np.zeros((2, 2, 2))})
    with pytest.warns(UserWarning, match="left out") as caught:
        adata.write_csvs(tmp_path)
    assert [str(w.message).split("'")[1] for w in caught] == ["m", "cube"]
    assert not (tmp_path / "X.csv").exists()


@pytest.mark.parametrize("copy", [False, True])
def test_to_memory_shares_or_copies(copy) -> None:
    for adata in (lo.AnnData.from_anndata(reference()), reference()):
        loaded = adata.to_memory(copy=copy)
        assert np.shares_memory(loaded.X.data, adata.X.data) is not copy
        assert np.shares_memory(loaded.obsm["X_pca"], adata.obsm["X_pca"]) is not copy
        loaded.obs["new"] = 1
        loaded.obsm["new"] = np.ones((N, 1))
        loaded.uns["new"] = 1
        assert "new" not in adata.obs
        assert "new" not in adata.obsm
        assert "new" not in adata.uns


PARTS = ("obs", "var", "uns", "obsm", "varm", "layers", "obsp", "varp")


@pytest.mark.parametrize("part", PARTS)
def test_parts_are_deleted(one_file, part) -> None:
    theirs = ad.read_h5ad(one_file)
    delattr(theirs, part)
    for ours in (lo.read_h5ad(one_file), lo.read_h5ad(one_file, backed=False)):
        delattr(ours, part)
        assert_same(ours, theirs)


@pytest.mark.parametrize("part", PARTS)
def test_deleted_parts_are_gone_from_the_file(one_file, part) -> None:
    ours, theirs = lo.read_h5ad(one_file), ad.read_h5ad(one_file)
    delattr(ours, part)
    delattr(theirs, part)
    ours.write()
    assert_same(lo.read_h5ad(one_file), theirs)


VALUES = {
    "number": 1,
    "float": 2.5,
    "float32": np.float32(3),
    "missing": np.nan,
    "bool": True,
    "float64": np.full((2, 3), 5.5),
    "integers": np.arange(6).reshape(2, 3),
    "csr": sp.csr_matrix(np.full((2, 3), 5.5)),
    "csc": sp.csc_matrix(np.full((2, 3), 5.5)),
    "csr_array": sp.csr_array(np.full((2, 3), 5.5)),
    "list": [[1, 2, 3], [4, 5, 6]],
    "frame": pd.DataFrame(np.ones((2, 3))),
    "row": np.arange(3),
    "too wide": np.ones((2, 4)),
    "turned": np.ones((3, 2)),
    "text": "a",
    "None": None,
}


@pytest.fixture
def own_values(monkeypatch):
    """Selections take assigned values as they are: anndata 0.13, or 0.12 that is told so."""
    if ad.__version__.startswith("0.12."):
        with ad.settings.override(copy_on_write_X=True):
            yield
    else:
        yield


@pytest.mark.usefixtures("own_values")
@pytest.mark.filterwarnings("ignore:Setting element `.X` of view")
@pytest.mark.parametrize("selected", [True, False])
@pytest.mark.parametrize("held", ["dense", "csr", "csc", "absent"])
@pytest.mark.parametrize("name", VALUES)
def test_x_is_assigned(name, held, selected) -> None:
    x = {"dense": np.asarray, "csr": sp.csr_matrix, "csc": sp.csc_matrix}.get(held)
    x = None if x is None else x(np.ones((3, 3), "f4"))
    made = []
    for module in (lo, ad):
        parent = module.AnnData(x, shape=(3, 3) if x is None else None)
        adata = parent[[0, 2]] if selected else parent[[0, 2]].copy()
        try:
            adata.X = VALUES[name]
        except (ValueError, TypeError) as error:
            made.append(type(error))
            continue
        if not selected and name in ("number", "float", "float32", "missing", "bool", "text"):
            pytest.skip("anndata 0.12 keeps the number itself") if np.ndim(adata.X) == 0 else None
        made.append(adata.X)
        assert not adata.is_view
        assert parent.X is x or np.all(dense(parent.X) == 1)
    if name == "text":  # anndata fills X with text
        assert made[0] is TypeError
        return
    if name == "turned":  # anndata 0.13 reshapes, and warns that it will not any more
        assert made[0] is ShapeError
        return
    if isinstance(made[1], type):
        assert made[0] in (ShapeError, made[1])
        return
    if made[1] is None:
        assert made[0] is None
        return
    assert type(made[0]) is type(made[1])
    assert made[0].dtype == made[1].dtype
    np.testing.assert_array_equal(dense(made[0]), dense(made[1]))


@pytest.mark.parametrize(("shape", "n"), [((1, 3), 3), ((3, 1), 3), ((1, 1), 1)])
def test_a_vector_is_the_only_row_or_column(shape, n) -> None:
    for values in (np.arange(n), list(range(n))):
        ours, theirs = lo.AnnData(np.ones(shape)), ad.AnnData(np.ones(shape))
        ours.X = theirs.X = values
        np.testing.assert_array_equal(ours.X, np.reshape(theirs.X, shape))


def test_a_number_in_place_of_a_lazy_matrix_is_lazy(one_file, tmp_path) -> None:
    adata = lo.read_h5ad(one_file)
    adata.X = 2.5
    assert isinstance(adata.X, da.Array)
    assert adata.X.shape == (N, M)
    adata.write_h5ad(tmp_path / "new.h5ad")
    np.testing.assert_array_equal(ad.read_h5ad(tmp_path / "new.h5ad").X, np.full((N, M), 2.5))


@pytest.mark.parametrize(
    "parts",
    [
        {"obsm": {"a": np.ones((4, 2))}},
        {"varm": {"a": np.ones((3, 2))}},
        {"obsm": {"a": np.ones((4, 2))}, "varm": {"b": np.ones((3, 2))}},
        {"obsp": {"a": sp.eye(4, format="csr")}},
        {"varp": {"a": np.ones((3, 3))}, "obsm": {"a": sp.csr_matrix((4, 2))}},
        {"layers": {"a": np.ones((4, 3))}},
        {"layers": {"a": np.ones((4, 3))}, "obs": {"k": list("abcd")}},
        {"obs": {"k": list("abcd")}, "obsm": {"a": np.ones((4, 2))}},
        {"obs": pd.DataFrame(index=list("abcd")), "varm": {"a": np.ones((3, 2))}},
        {"obsm": {"a": pd.DataFrame({"x": [1, 2, 3, 4]}, index=list("0123"))}},
        {"shape": (4, 3), "obsm": {"a": np.ones((4, 2))}},
    ],
    ids=lambda parts: "+".join(parts),
)
def test_shape_follows_from_what_is_given(parts) -> None:
    assert_same(lo.AnnData(**parts), ad.AnnData(**parts))


def test_shapes_that_contradict_each_other() -> None:
    for module in (lo, ad):
        with pytest.raises(ValueError, match=r"shape|rows"):
            module.AnnData(obsm={"a": np.ones((4, 2)), "b": np.ones((3, 2))})
        with pytest.raises(ValueError):  # noqa: PT011 (only the type is the same)
            module.AnnData(obs={"k": list("abc")}, obsm={"a": np.ones((4, 2))})
    with pytest.raises(ShapeError, match=r"obs\['k'\] has 3 values, expected 4"):
        lo.AnnData(obs={"k": list("abc")}, obsm={"a": np.ones((4, 2))})


@pytest.mark.parametrize("axis", ["obs", "var"])
@pytest.mark.parametrize(
    "key", ["obs_names", "row_names", "var_names", "col_names", "index", "names"]
)
def test_names_among_the_columns(axis, key) -> None:
    columns = {key: ["p", "q"], "n": [1, 2]}
    ours, theirs = (m.AnnData(np.eye(2), **{axis: dict(columns)}) for m in (lo, ad))
    assert_same(ours, theirs)
    for adata in (ours, theirs):
        setattr(adata, axis, dict(columns))
    assert_same(ours, theirs)


NAMES = {
    "list": list("xyz"),
    "array": np.array(list("xyz")),
    "index": pd.Index(list("xyz")),
    "named index": pd.Index(list("xyz"), name="barcode"),
    "series": pd.Series(list("xyz"), name="barcode"),
}


@pytest.mark.parametrize("axis", ["obs", "var"])
@pytest.mark.parametrize("names", NAMES)
def test_name_of_the_names(axis, names) -> None:
    made = []
    for module in (lo, ad):
        frame = pd.DataFrame({"n": [1, 2, 3]}, index=pd.Index(list("abc"), name="old"))
        adata = module.AnnData(np.eye(3), **{axis: frame})
        getattr(adata, f"{axis}m")["t"] = frame.copy()
        setattr(adata, f"{axis}_names", NAMES[names])
        made.append(adata)
    ours, theirs = (getattr(adata, f"{axis}_names") for adata in made)
    assert list(ours) == list(theirs)
    assert ours.name == theirs.name
    assert getattr(made[0], f"{axis}m")["t"].index.name == theirs.name


def test_mappings_know_the_names_of_their_axis(ours, theirs) -> None:
    for part in ("obsm", "varm"):
        mine, same = getattr(ours, part), getattr(theirs, part)
        assert list(mine.dim_names) == list(same.dim_names)
        assert mine.dim == same.dim
    assert list(ours.obsp.dim_names) == list(ours.obs_names)
    assert list(ours.raw.varm.dim_names) == list(theirs.raw.var_names)
    ours.obs_names = [f"x{i}" for i in range(N)]
    assert list(ours.obsm.dim_names) == list(ours.obs_names)
    del ours.obsm["frame"], theirs.obsm["frame"]
    theirs.obs_names = ours.obs_names
    pd.testing.assert_frame_equal(ours.obsm.to_df(), theirs.obsm.to_df())
    pd.testing.assert_frame_equal(ours.varm.to_df(), theirs.varm.to_df())


def test_raw_of_another_kind(one_file) -> None:
    ours, theirs = lo.read_h5ad(one_file), ad.read_h5ad(one_file)
    whole = theirs.copy()
    expected = theirs.copy()
    expected.raw = whole
    for value in (whole, ours.copy(), {"X": whole.X, "var": whole.var, "varm": dict(whole.varm)}):
        ours.raw = value
        assert_same(ours, expected)
    ours.raw = whole.raw
    assert_same(ours, theirs)
    ours.raw = None
    assert ours.raw is None
    with pytest.raises(TypeError, match="raw is an AnnData"):
        ours.raw = 3
    with pytest.raises(ShapeError, match="raw has 3 cells"):
        ours.raw = ad.AnnData(np.ones((3, 2)))


def test_an_object_of_another(ours, theirs) -> None:
    twin = lo.AnnData(ours)
    twin.obs["new"] = 1
    assert "new" not in ours.obs
    assert_same(lo.AnnData(ours), theirs)
    with pytest.raises(ValueError, match="give no other part"):
        lo.AnnData(ours, obs=ours.obs)


def test_an_object_of_a_file(stored) -> None:
    opened = lo.AnnData(filename=stored)
    assert opened.isbacked
    assert opened.filename == stored
    assert_same(opened, ad.read_h5ad(stored))
    assert lo.AnnData(filename=str(stored), filemode="r").shape == (N, M)
    with pytest.raises(ValueError, match="give no other part"):
        lo.AnnData(np.eye(2), filename=stored)
    with pytest.raises(ValueError, match="filemode"):
        lo.AnnData(filename=stored, filemode="w")


def test_nothing_is_in_an_object(ours, theirs) -> None:
    for adata in (ours, theirs):
        with pytest.raises((AttributeError, TypeError)):
            assert "gene1" in adata


@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize("axis", ["obs", "var"])
def test_colors_that_do_not_fit_never_fit_by_chance(axis, loaded, tmp_path) -> None:
    kinds = pd.Categorical(["a", "b", "c", "a"])
    table = pd.DataFrame(dict.fromkeys(("short", "fit", "long", "one"), kinds), index=list("wxyz"))
    theirs = ad.AnnData(np.eye(4), **{axis: table})
    counts = {"short_colors": 2, "fit_colors": 3, "long_colors": 4}
    theirs.uns = {key: np.array(["r", "g", "b", "k"][:n]) for key, n in counts.items()}
    theirs.uns |= {"one_colors": "r", "other_colors": np.array(["r"])}
    theirs.write_h5ad(tmp_path / "colors.h5ad")
    ours, theirs = (m.read_h5ad(tmp_path / "colors.h5ad") for m in (lo, ad))
    if loaded:
        ours.obs, ours.var  # noqa: B018
    keys = [(["w", "x"], ["x"]) if axis == "obs" else (slice(None), ["w", "x"])]
    for key in keys[0] if axis == "obs" else [keys[0], (slice(None), ["x"])]:
        ours, theirs = ours[key], theirs[key].copy()
        assert sorted(ours.uns) == sorted(theirs.uns)
        for name in theirs.uns:
            np.testing.assert_array_equal(ours.uns[name], theirs.uns[name])
            assert np.shape(ours.uns[name]) == np.shape(theirs.uns[name])


def test_colors_of_a_selection_do_not_change_with_what_it_was_selected_from(one_file) -> None:
    adata = lo.read_h5ad(one_file).to_memory()
    part = adata[adata.obs["kind"] != "b"]
    adata.obs["kind"] = adata.obs["kind"].cat.rename_categories(list("wxyz"))
    assert list(part.uns["kind_colors"]) == ["#a", "#c"]
