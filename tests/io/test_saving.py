from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import ConflictError, ShapeError, XNotWrittenWarning
from tests.comparing import assert_same_anndata

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")
h5py = pytest.importorskip("h5py")


def addresses(path) -> dict[str, int]:
    """Where each dataset's header is in the file: it moves when the dataset is written anew."""
    found = {}

    def visit(name, obj) -> None:
        if isinstance(obj, h5py.Dataset):
            found[name] = h5py.h5o.get_info(obj.id).addr

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def test_saving_nothing_writes_nothing(stored) -> None:
    adata = lo.read_h5ad(stored)
    _ = adata.obs, adata.var, dict(adata.uns), dict(adata.obsm), adata.X, adata.layers["counts"]
    before = addresses(stored)
    adata.write()
    assert addresses(stored) == before


def test_what_changed_is_saved_and_only_that(stored) -> None:
    adata = lo.read_h5ad(stored)
    theirs = ad.read_h5ad(stored)
    before = addresses(stored)
    adata.obs["new"] = np.arange(30.0)
    adata.obs["size"] = adata.obs["size"] * 2
    adata.obs["kind"] = adata.obs["kind"].cat.rename_categories({"a": "A"})
    del adata.obs["good"]
    adata.obsm["X_pca"][:] = 0
    adata.obsm["X_umap"] = np.ones((30, 2))
    adata.uns["deep"]["k"] = np.arange(5)
    adata.uns["new"] = {"list": ["a", "b"], "number": 3}
    del adata.uns["kind_colors"]
    adata.layers["more"] = adata.X
    del adata.layers["dense"]
    adata.write()
    changed = {n for n, a in addresses(stored).items() if before.get(n) != a}
    assert {n.split("/")[0] for n in changed} == {"obs", "obsm", "uns", "layers"}
    assert not any(
        n.startswith(("layers/counts", "obsm/frame", "obs/n"))
        for n in changed
        if n not in ("obs/new",)
    )
    theirs.obs["new"] = np.arange(30.0)
    theirs.obs["size"] *= 2
    theirs.obs["kind"] = theirs.obs["kind"].cat.rename_categories({"a": "A"})
    del theirs.obs["good"]
    theirs.obsm["X_pca"][:] = 0
    theirs.obsm["X_umap"] = np.ones((30, 2))
    theirs.uns["deep"]["k"] = np.arange(5)
    theirs.uns["new"] = {"list": np.array(["a", "b"], dtype=object), "number": np.int64(3)}
    del theirs.uns["kind_colors"]
    theirs.layers["more"] = theirs.X.copy()
    del theirs.layers["dense"]
    saved = ad.read_h5ad(stored)
    theirs.uns["new"]["list"] = saved.uns["new"]["list"]
    assert list(saved.uns["new"]["list"]) == ["a", "b"]
    assert_same_anndata(saved, theirs)
    assert_same_anndata(lo.read_h5ad(stored).to_anndata(), theirs)


def test_saving_again_writes_nothing_again(one_file) -> None:
    adata = lo.read_h5ad(one_file)
    adata.obs["new"] = "text"
    adata.layers["lazy"] = adata.X * 2
    adata.uns["list"] = ["a", "b"]
    adata.write()
    before = addresses(one_file)
    adata.write()
    assert addresses(one_file) == before


def test_a_saved_lazy_layer_is_read_from_the_file_afterwards(one_file, count_passes) -> None:
    adata = lo.read_h5ad(one_file)
    adata.layers["double"] = adata.X * 2
    adata.write()
    with count_passes(one_file, "X") as passes:
        total = adata.layers["double"].sum().compute()
    assert passes.values == 0
    assert total == 2 * ad.read_h5ad(one_file).X.sum()


def test_a_layer_may_be_derived_from_itself(one_file) -> None:
    expected = np.log1p(ad.read_h5ad(one_file).layers["counts"].toarray())
    adata = lo.read_h5ad(one_file)
    lo.pp.log1p(adata, layer="counts")
    adata.write()
    np.testing.assert_allclose(ad.read_h5ad(one_file).layers["counts"].toarray(), expected)
    np.testing.assert_allclose(adata.layers["counts"].compute().toarray(), expected)


def test_a_changed_x_is_kept_out_and_said_so(one_file) -> None:
    before = ad.read_h5ad(one_file)
    adata = lo.read_h5ad(one_file)
    lo.pp.normalize_total(adata, target_sum=10)
    adata.obs["saved"] = 1
    with pytest.warns(XNotWrittenWarning, match="X was changed") as caught:
        adata.write()
    assert caught[0].filename == __file__
    for way in ("overwrite_x=True", "layer", "new file"):
        assert way in str(caught[0].message)
    after = ad.read_h5ad(one_file)
    assert (after.X != before.X).nnz == 0
    assert "saved" in after.obs
    np.testing.assert_allclose(adata.X.sum(1).compute().max(), 10, rtol=1e-5)


def test_a_changed_x_is_replaced_on_request(stored, tmp_path) -> None:
    adata = lo.read_h5ad(stored)
    lo.pp.log1p(adata)
    adata.obs["saved"] = 1
    expected = adata.to_anndata()
    other = lo.read_h5ad(stored)
    _ = other.X
    adata.write(overwrite_x=True)
    assert_same_anndata(ad.read_h5ad(stored), expected)
    assert_same_anndata(adata.to_anndata(), expected)
    with pytest.raises(lo.errors.StaleFileError, match="open it again"):
        other.X.sum().compute()


def test_an_absent_x_is_new_and_written(tmp_path) -> None:
    path = tmp_path / "no_x.h5ad"
    lo.AnnData(obs={"a": np.arange(3)}, var=pd.DataFrame(index=["g"])).write(path)
    adata = lo.read_h5ad(path)
    adata.X = sp.csr_matrix(np.ones((3, 1)))
    adata.write()
    assert ad.read_h5ad(path).X.sum() == 3


def test_raw_is_protected_and_new_raw_is_saved(one_file, tmp_path) -> None:
    adata = lo.read_h5ad(one_file)
    adata.raw = adata
    with pytest.warns(XNotWrittenWarning, match=r"raw\.X"):
        adata.write()
    assert ad.read_h5ad(one_file).raw.n_vars == 20
    bare = tmp_path / "bare.h5ad"
    lo.AnnData(np.eye(3)).write(bare)
    opened = lo.read_h5ad(bare)
    opened.raw = opened
    opened.write()
    np.testing.assert_array_equal(ad.read_h5ad(bare).raw.X, np.eye(3))


def test_selections_do_not_overwrite_what_they_come_from(one_file) -> None:
    before = one_file.read_bytes()
    for part in (lo.read_h5ad(one_file)[:5], lo.read_h5ad(one_file)[::-1]):
        with pytest.raises(ValueError, match="selection"):
            part.write()
    assert one_file.read_bytes() == before


def test_a_selection_replaces_the_file_on_request(one_file) -> None:
    expected = ad.read_h5ad(one_file)[[4, 2], [1]].copy()
    part = lo.read_h5ad(one_file)[[4, 2], [1]]
    part.write(overwrite_x=True)
    assert_same_anndata(ad.read_h5ad(one_file), expected)
    assert_same_anndata(part.to_anndata(), expected)
    part.obs["again"] = 1
    part.write()
    assert "again" in ad.read_h5ad(one_file).obs


def test_changes_of_two_processes_are_both_kept(one_file) -> None:
    first, second = lo.read_h5ad(one_file), lo.read_h5ad(one_file)
    first.obs["first"] = 1
    second.obs["second"] = 2
    second.obsm["second"] = np.ones((30, 1))
    first.write()
    second.write()
    saved = ad.read_h5ad(one_file)
    assert {"first", "second", "size"} <= set(saved.obs)
    assert "second" in saved.obsm


def test_unread_columns_stay(one_file) -> None:
    adata = lo.read_h5ad(one_file, obs_columns=["n"])
    adata.obs["new"] = 5
    adata.write()
    saved = ad.read_h5ad(one_file)
    assert list(saved.obs.columns) == ["kind", "size", "good", "n", "new"]


def test_names_of_cells_and_order_of_columns(one_file) -> None:
    adata = lo.read_h5ad(one_file)
    adata.obs_names = [f"renamed{i}" for i in range(30)]
    adata.obs = adata.obs[["n", "good", "size", "kind"]]
    adata.write()
    saved = ad.read_h5ad(one_file)
    assert list(saved.obs.columns) == ["n", "good", "size", "kind"]
    assert list(saved.obs_names)[:2] == ["renamed0", "renamed1"]


@pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore:.*written without encoding:", "ignore:.*very old version:"
)
def test_saving_into_old_layouts(data_file, tmp_path) -> None:
    import shutil

    for name in (
        "anndata_v0.7.0_adata.h5ad",
        "anndata_v0.5.0_adata.h5ad",
        "bpcells_mini_mat.anndata-v0.6.22.h5ad",
    ):
        path = tmp_path / name
        shutil.copy(data_file(name), path)
        expected = ad.read_h5ad(path)
        adata = lo.read_h5ad(path)
        adata.obs["new"] = 1
        adata.obsm["fresh"] = np.ones((adata.n_obs, 1))
        adata.write()
        expected.obs["new"] = 1
        expected.obsm["fresh"] = np.ones((adata.n_obs, 1))
        assert_same_anndata(ad.read_h5ad(path), expected)


def test_a_file_that_is_gone(one_file) -> None:
    adata = lo.read_h5ad(one_file)
    adata.obs["n"] = 0
    one_file.unlink()
    with pytest.raises(FileNotFoundError, match="gone"):
        adata.write()


def test_saving_while_another_process_computes(one_file) -> None:
    """A second process keeps reading X while this one saves obs columns."""
    code = (
        "import sys, lazyomics as lo\n"
        "adata = lo.read_h5ad(sys.argv[1])\n"
        "expected = adata.X.sum().compute()\n"
        "print('ready', flush=True)\n"
        "for _ in range(60):\n"
        "    try: assert adata.X.sum().compute() == expected\n"
        "    except lo.errors.StaleFileError:  # a save that waited too long replaced the file\n"
        "        adata = lo.read_h5ad(sys.argv[1])\n"
        "    try: assert len(lo.read_h5ad(sys.argv[1]).obs) == 30\n"
        "    except lo.errors.StaleFileError: pass  # saved between opening and reading\n"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", code, str(one_file)], stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout is not None
    assert reader.stdout.readline().strip() == "ready"
    adata = lo.read_h5ad(one_file)
    for i in range(20):
        adata.obs["round"] = i
        adata.obsm["round"] = np.full((30, 2), float(i))
        adata.write()
    reader.stdout.close()
    assert reader.wait(timeout=120) == 0
    assert ad.read_h5ad(one_file).obs["round"].iloc[0] == 19


def test_other_shapes_are_refused(one_file) -> None:
    adata = lo.read_h5ad(one_file)
    adata._become(adata.copy())
    adata._backing = lo.read_h5ad(one_file)[:3]._backing
    with pytest.raises(ValueError, match="selection"):
        adata.write()
    with pytest.raises(ShapeError):
        adata.layers["new"] = np.eye(3)


def test_other_names_of_the_opened_file_save_into_it(one_file, tmp_path, monkeypatch) -> None:
    """A link, or a relative path, to the opened file does not replace its X either."""
    link = tmp_path / "link.h5ad"
    link.symlink_to(one_file)
    monkeypatch.chdir(tmp_path)
    before = ad.read_h5ad(one_file).X
    for name in (link, one_file.name, one_file):
        adata = lo.read_h5ad(one_file)
        adata.X = adata.X * 2
        with pytest.warns(XNotWrittenWarning):
            adata.write_h5ad(name)
        part = lo.read_h5ad(one_file)[:4]
        with pytest.raises(ValueError, match="selection"):
            part.write_h5ad(name)
    after = ad.read_h5ad(one_file).X
    assert (after != before).nnz == 0


@pytest.mark.parametrize("place", ["layers", "obsm", "obsp"])
@pytest.mark.parametrize("kind", ["csr", "dense"])
@pytest.mark.parametrize("ending", ["h5ad", "h5mu"])
def test_derived_by_two_alike_is_no_conflict(tmp_path, ending, kind, place) -> None:
    path = tmp_path / f"x.{ending}"
    x = sp.random(40, 40, 0.3, format="csr", dtype="f4", random_state=0)
    made = lo.AnnData(x if kind == "csr" else x.toarray())
    (made if ending == "h5ad" else lo.MuData({"one": made})).write(path)

    def opened():
        whole = lo.read(path)
        return whole, (whole["one"] if ending == "h5mu" else whole)

    (first, a), (second, b), (third, c) = opened(), opened(), opened()
    for adata, factor in ((a, 4), (b, 4), (c, 2)):
        getattr(adata, place)["made"] = adata.X * factor
    first.write()
    second.write()
    with pytest.raises(ConflictError, match=f"{place}/made"):
        third.write()
    saved = getattr(opened()[1], place)["made"]
    values = saved.compute() if hasattr(saved, "compute") else saved
    np.testing.assert_array_equal(values.toarray() if kind == "csr" else values, x.toarray() * 4)
