"""What a notebook shows and offers."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo


@pytest.fixture
def adata() -> lo.AnnData:
    return lo.AnnData(
        np.ones((3, 2)),
        obsm={"X_pca": np.ones((3, 2)), "X_umap": np.ones((3, 2))},
        layers={"counts": np.ones((3, 2))},
        uns={"n": 3, "text": "t" * 100, "table": {"a": 1, "b": 2}, "colors": np.array(["r", "g"])},
    )


def test_keys_are_offered(adata: lo.AnnData, tmp_path: Path) -> None:
    mdata = lo.MuData({"rna": adata, "prot": lo.AnnData(np.ones((3, 1)))})
    adata.write_h5ad(tmp_path / "a.h5ad")
    for shown in (adata, lo.read_h5ad(tmp_path / "a.h5ad"), adata[:2]):
        assert shown.obsm._ipython_key_completions_() == ["X_pca", "X_umap"]
        assert shown.layers._ipython_key_completions_() == ["counts"]
        assert sorted(shown.uns._ipython_key_completions_()) == ["colors", "n", "table", "text"]
    assert mdata._ipython_key_completions_() == ["rna", "prot"]
    assert mdata.mod._ipython_key_completions_() == ["rna", "prot"]
    assert mdata.obsmap._ipython_key_completions_() == ["rna", "prot"]


def test_ipython_may_read_what_it_completes(adata: lo.AnnData) -> None:
    mdata = lo.MuData({"rna": adata})
    adata.raw = adata
    for one in (adata, mdata, adata.raw):
        for name in ("obs", "var", "obsm", "varm", "obsp", "varp", "uns", "layers", "mod", "raw"):
            if hasattr(one, name):
                assert not isinstance(getattr(type(one), name), property)  # which it runs never


def test_uns_is_shown_in_a_few_lines(adata: lo.AnnData, tmp_path: Path) -> None:
    assert repr(adata.uns).splitlines() == [
        "uns with entries:",
        "    n: 3",
        f"    text: '{'t' * 59}…",
        "    table: dict with 'a', 'b'",
        "    colors: ndarray of shape (2,)",
    ]
    adata.write_h5ad(tmp_path / "a.h5ad")
    opened = lo.read_h5ad(tmp_path / "a.h5ad")
    assert "    colors: in the file" in repr(opened.uns).splitlines()
    assert repr(lo.AnnData(np.ones((1, 1))).uns) == "uns without entries"


@pytest.mark.parametrize("where", ["memory", "file", "selection", "lazy"])
def test_html_tells_what_is_where(tmp_path: Path, where: str, count_passes) -> None:
    x = sp.random(40, 10, 0.3, format="csr", dtype="f4", random_state=0)
    obs = {"kind": pd.Categorical(["<b>T</b>", "B"] * 20), "n": np.arange(40)}
    adata = lo.AnnData(x, obs=obs, obsm={"X_pca": np.ones((40, 2))}, layers={"counts": x.copy()})
    adata.uns["kind_colors"] = ["#ff0000", "#00ff00"]
    adata.uns["<script>"] = {"a": 1}
    path = tmp_path / "a.h5ad"
    adata.write_h5ad(path)
    shown = adata if where == "memory" else lo.read_h5ad(path)
    if where == "selection":
        shown = shown[:30, 1:]
    if where == "lazy":
        lo.pp.normalize_total(shown, target_sum=1e4)
        lo.pp.log1p(shown)
    with count_passes(path) as passes:
        html = shown._repr_html_()
        parts = [getattr(shown, p)._repr_html_() for p in ("obsm", "layers", "uns")]
    assert passes.values == 0
    assert "<script>" not in html
    assert "<script>" not in parts[2]
    assert "&lt;script&gt;" in html
    assert f"AnnData, {shown.n_obs} cells × {shown.n_vars} genes" in html
    assert ("in memory" if where == "memory" else f"file {path}") in html
    assert ("recorded steps" in html) == (where == "lazy")
    if where == "memory":
        assert "background:#ff0000" in html
        assert "&lt;b&gt;T&lt;/b&gt;" in html
    else:
        assert "2 categories" in html
    ElementTree.fromstring(html.partition("</style>")[2].strip().replace("&ensp;", " "))


def test_html_of_a_lazy_matrix_counts_what_is_stored(tmp_path: Path) -> None:
    x = sp.random(1000, 2000, 0.01, format="csr", dtype="f4", random_state=0)
    lo.AnnData(x).write_h5ad(tmp_path / "a.h5ad")
    matrix = lo.read_h5ad(tmp_path / "a.h5ad")[::2].X
    html = matrix._repr_html_()
    assert "lazy matrix, 500 × 2,000" in html
    assert "csr float32" in html
    assert "500 (scattered) of 1,000 rows" in html
    assert "MiB" not in html  # as dense it would be 3.8 MiB
    assert "a.h5ad:/X" in html


def test_html_of_several_modalities(tmp_path: Path, adata: lo.AnnData) -> None:
    mdata = lo.MuData({"rna": adata, "prot": lo.AnnData(np.ones((3, 1)))})
    mdata.write_h5mu(tmp_path / "a.h5mu")
    for shown in (mdata, lo.read_h5mu(tmp_path / "a.h5mu")):
        html = shown._repr_html_()
        assert "MuData, 3 cells × 3 features, 2 modalities" in html
        for part in ("rna", "prot", "X_umap", "counts"):
            assert part in html
            assert part in shown.mod._repr_html_()
        assert "array bool, 3 × 1" in html


EVIL = "<script>alert('x')</script>&\"quoted\""


def test_names_are_escaped(tmp_path: Path) -> None:
    x = np.ones((2, 2), "f4")
    obs = pd.DataFrame({EVIL: pd.Categorical([EVIL, "b"])}, index=[EVIL, "c2"])
    adata = lo.AnnData(x, obs=obs, obsm={EVIL: x}, uns={EVIL: EVIL, f"{EVIL}_colors": ["<b>", "r"]})
    adata.raw = adata
    mdata = lo.MuData({"<i>rna": adata.copy()})
    tag = "<script>"
    stored = lo.AnnData(
        x, obs={tag: [1, 2]}, obsm={tag: x}, uns={tag: {tag: 1}, "t": pd.DataFrame({tag: [1]})}
    )
    stored.write_h5ad(tmp_path / "a.h5ad")
    opened = lo.read_h5ad(tmp_path / "a.h5ad")
    shown = [adata, adata.raw, adata.uns, adata.obsm, mdata, mdata.mod, adata[:1], opened]
    for one in shown:
        html = one._repr_html_()
        assert "<script>" not in html
        assert "<i>rna" not in html
        ElementTree.fromstring(f"<div>{html.replace('&ensp;', ' ')}</div>")


@pytest.mark.parametrize("ending", [".h5ad", ".zarr"])
def test_what_is_on_disk_has_kind_and_shape(adata: lo.AnnData, tmp_path: Path, ending) -> None:
    if ending == ".zarr":
        pytest.importorskip("zarr")
    adata.obsm["table"] = pd.DataFrame({"a": [1, 2, 3]}, index=adata.obs_names)
    path = tmp_path / f"a{ending}"
    adata.write_zarr(path) if ending == ".zarr" else adata.write_h5ad(path)
    opened = lo.read(path)
    html = opened[:2]._repr_html_()
    for text in (
        *("array float64, 2 × 2, on disk, 32 B when read", "table with a, on disk"),
        *("dict: a, b, on disk", "<td>n</td><td>int64, on disk", "array of text, 2, on disk"),
    ):
        assert text in html
    assert "array of text" not in lo.AnnData._repr_html_(adata)


def test_plans_have_html_and_colours_fetch_nothing(tmp_path: Path) -> None:
    obs = {"kind": pd.Categorical(["a", "b"])}
    adata = lo.AnnData(np.ones((2, 2), "f4"), obs=obs)
    adata.uns["kind_colors"] = ["url(https://example.org/x.png)", "#00ff00"]
    html = adata._repr_html_()
    assert "background:url" not in html
    assert "background:#00ff00" in html
    adata.write_h5ad(tmp_path / "a.h5ad")
    opened = lo.read_h5ad(tmp_path / "a.h5ad")
    assert "<b>X</b>" in opened.explain()._repr_html_()
    assert "nothing is lazy" in adata.explain()._repr_html_()


def test_raw_and_selections_are_told(tmp_path: Path) -> None:
    adata = lo.AnnData(np.ones((5, 4), "f4"))
    adata.raw = adata
    adata[:, :3].write_h5ad(tmp_path / "a.h5ad")
    opened = lo.read_h5ad(tmp_path / "a.h5ad")
    assert repr(opened).endswith("raw: n_vars = 4")
    assert "selected" not in repr(opened)
    assert ", selected from 5 × 3" in repr(opened[:2]).splitlines()[0]
    assert "Raw, 2 cells × 4 genes" in opened[:2].raw._repr_html_()


def test_a_file_is_opened_once_for_all_that_is_shown(tmp_path: Path, monkeypatch) -> None:
    from lazyomics.io import snapshot

    x = np.ones((5, 4), "f4")
    whole = lo.AnnData(x, obsm=dict.fromkeys("abc", x), uns=dict.fromkeys("defg", x))
    lo.MuData({"rna": whole}).write_h5mu(tmp_path / "m.h5mu")
    whole.write_h5ad(tmp_path / "a.h5ad")
    opened, real = [], snapshot.open_for_reading
    monkeypatch.setattr(snapshot, "open_for_reading", lambda p: opened.append(p) or real(p))
    adata = lo.read_h5ad(tmp_path / "a.h5ad")
    for one in (adata, adata[:3], adata.uns, adata.obsm, lo.read_h5mu(tmp_path / "m.h5mu")):
        opened.clear()
        one._repr_html_()
        assert len(opened) <= 1
    (tmp_path / "a.h5ad").unlink()
    assert "gone or was changed" in lo.AnnData._repr_html_(adata)
