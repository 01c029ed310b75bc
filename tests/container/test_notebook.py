"""What a notebook shows and offers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

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
