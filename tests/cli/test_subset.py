"""``lazyomics subset`` against pandas, the Python interface and anndata."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lazyomics as lo

ad = pytest.importorskip("anndata")


@pytest.mark.parametrize(
    ("expression", "mask"),
    [
        ('kind in ["B cells", "T cells"] and n_genes > 11', None),
        ("`a score` < 0.5", None),
        ("maybe", lambda obs: obs["maybe"].fillna(False).astype(bool)),
        ('kind.str.startswith("T")', lambda obs: obs["kind"].str.startswith("T").astype(bool)),
        ('obs_names == "c7"', lambda obs: obs.index == "c7"),
        ("not (n_genes <= 11)", None),
    ],
)
def test_expressions(call, adata, small, tmp_path, expression, mask):
    out = tmp_path / "out.h5ad"
    call("subset", small, "--obs", expression, "--var", "chosen", "-o", out)
    wanted = adata.obs.query(expression, engine="python").index if mask is None else None
    wanted = adata.obs_names[mask(adata.obs)] if wanted is None else wanted
    found, whole = ad.read_h5ad(out), ad.read_h5ad(small)
    expected = whole[list(wanted), whole.var["chosen"]]
    assert found.obs_names.tolist() == list(wanted)
    pd.testing.assert_frame_equal(found.obs, pd.DataFrame(expected.obs))
    assert (found.X != expected.X).nnz == 0
    assert (found.layers["counts"] != expected.layers["counts"]).nnz == 0
    np.testing.assert_array_equal(found.obsm["X_umap"], expected.obsm["X_umap"])
    assert found.raw.shape == (len(wanted), 30)


@pytest.mark.parametrize(
    ("option", "expression", "message"),
    [
        ("--obs", "knd == 'B cells'", "obs has no column 'knd'; did you mean 'kind'?"),
        ("--obs", "a_score < 1", "obs has no column 'a_score'; did you mean 'a score'?"),
        ("--obs", "n_genes", "expected true or false for each row, found values of type int64"),
        ("--obs", "n_genes >", "is no expression"),
        ("--obs", "n_genes > 'a'", "cannot be evaluated"),
        ("--obs", "@lo.errors", "obs has no column 'lo'"),
        ("--obs", "kind == 'B cell'", "no cell is chosen"),
        ("--var", "chosn", "var has no column 'chosn'; did you mean 'chosen'?"),
        ("--genes", "g5,g6x", "1 of 2 names are not there: 'g6x'; did you mean 'g6'"),
        ("--cells", "none.txt", "the file none.txt does not exist"),
    ],
)
def test_what_does_not_fit(call, small, tmp_path, option, expression, message):
    result = call(
        "subset",
        small,
        option,
        expression,
        "-o",
        tmp_path / "o.h5ad",
        code=3 if "none." in expression else 2,
    )
    assert message in result.stderr
    assert not (tmp_path / "o.h5ad").exists()


def test_values_that_never_occur_are_told(call, small, tmp_path):
    out = tmp_path / "o.h5ad"
    result = call("subset", small, "--obs", "kind in ['T cells', 'B cell']", "-o", out)
    assert "warning" in result.stderr
    assert "no kind is 'B cell'; did you mean 'B cells'" in result.stderr


def test_lists_keep_their_order(call, adata, small, tmp_path):
    (tmp_path / "genes.txt").write_text("# mine\ng9\tx\nMT-1\n\ng9\n")
    out = tmp_path / "o.h5ad"
    call(
        "subset",
        small,
        "--genes",
        tmp_path / "genes.txt",
        "--cells",
        "-",
        "-o",
        out,
        stdin="c5\nc2\n",
    )
    found = lo.read_h5ad(out)
    assert found.var_names.tolist() == ["g9", "MT-1"]
    assert found.obs_names.tolist() == ["c5", "c2"]
    np.testing.assert_array_equal(
        found.X.compute().toarray(), adata[["c5", "c2"], ["g9", "MT-1"]].X.toarray()
    )
    result = call("subset", small, "--genes", "g9,q", "--skip-missing", "-o", out, "--overwrite")
    assert "1 of 2 names are not there: 'q'" in result.stderr
    assert lo.read_h5ad(out).shape == (60, 1)


def test_outputs_are_refused_before_anything_is_read(call, small, tmp_path):
    choice = ("--obs", "n_genes > 0")
    before = small.read_bytes()
    assert (
        "is an input" in call("subset", small, *choice, "-o", small, "--overwrite", code=2).stderr
    )
    (tmp_path / "o.h5ad").write_text("mine")
    assert "--overwrite" in call("subset", small, *choice, "-o", tmp_path / "o.h5ad", code=4).stderr
    assert (tmp_path / "o.h5ad").read_text() == "mine"
    call("subset", small, *choice, "-o", tmp_path / "none/o.h5ad", code=4)
    call("subset", small, *choice, "-o", tmp_path / "o.zarr", code=2)
    call("subset", small, *choice, "-o", tmp_path / "o.h5mu", code=2)
    call("subset", small, "-o", tmp_path / "p.h5ad", code=2)
    assert small.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o.h5ad", "small.h5ad"]


def test_nothing_left_only_if_asked_for(call, small, tmp_path):
    out = tmp_path / "o.h5ad"
    call("subset", small, "--obs", "n_genes < 0", "--allow-empty", "-o", out)
    assert ad.read_h5ad(out).shape == (0, 30)


def test_modalities(call, adata, tmp_path):
    path, out = tmp_path / "m.h5mu", tmp_path / "o.h5mu"
    mdata = lo.MuData({"rna": adata, "adt": adata[:, :4].copy()})
    mdata.obs["n"] = np.arange(60)
    mdata.write_h5mu(path)
    call("subset", path, "--obs", "n >= 50", "-o", out)
    assert {m: a.shape for m, a in lo.read_h5mu(out).mod.items()} == {
        "rna": (10, 30),
        "adt": (10, 4),
    }
    call("subset", f"{path}/rna", "--obs", "n_genes > 11", "-o", tmp_path / "rna.h5ad")
    assert (
        "name an .h5mu file"
        in call("subset", path, "--obs", "n > 1", "-o", tmp_path / "x.h5ad", code=2).stderr
    )
