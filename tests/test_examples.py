"""The examples run, and the tutorial gives the figures that it gives in anndata's words."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import dask.array as da
import numpy as np
import pandas as pd
import pytest

import lazyomics as lo

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"

pytest.importorskip("matplotlib", reason="the examples draw")
pytest.importorskip("umap", reason="the examples cluster")
pytest.importorskip("igraph", reason="the examples cluster")

OBS = ["n_genes", "percent_mito", "n_counts", "louvain", "leiden_res0.5"]


@pytest.fixture
def tutorial(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("backed_anndata")


def described(adata) -> dict[str, list[str]]:
    """The lines of the text of an object: part -> keys."""
    _, *lines = repr(adata).splitlines()
    parts = (line.strip().split(": ", 1) for line in lines)
    return {name: [key.strip("'") for key in keys.split(", ")] for name, keys in parts}


def same(a, b) -> bool:
    """Whether two sparse matrices hold the same values."""
    return a.shape == b.shape and (a != b).nnz == 0


def check_keys(adata):
    parts = described(adata)
    assert parts["obs"] == OBS
    assert parts["var"] == ["n_cells"]
    wanted = {"louvain", "louvain_colors", "neighbors", "umap", "leiden_res0.5"}
    assert wanted <= set(parts["uns"])
    assert parts["obsm"] == ["X_draw_graph_fr", "X_pca", "X_tsne", "X_umap"]
    assert parts["obsp"] == ["connectivities", "distances"]


@pytest.mark.slow
def test_the_tutorial_step_by_step(tutorial, data_file, tmp_path, capsys):
    source = data_file("rebuilt_pbmc3k_processed.h5ad")
    before = source.stat().st_mtime_ns

    adata = tutorial.open_backed(source, tmp_path)
    in_memory, opened = (float(x.split()[0]) for x in capsys.readouterr().out.splitlines()[2:4])
    assert in_memory == pytest.approx(21.2, abs=0.5)
    assert opened <= 3.28
    path = tmp_path / "pbmc3k_processed_raw.h5ad"
    assert adata.shape == (2638, 13714)
    assert adata.isbacked
    assert adata.filename == path
    assert isinstance(adata.X, da.Array)

    tutorial.explore(adata, tmp_path)
    assert list(adata.obs) == OBS
    assert 4 <= adata.obs["leiden_res0.5"].nunique() <= 8
    assert adata.uns["neighbors"]["params"]["n_neighbors"] == 20

    in_memory, in_file = tutorial.extract_subset(adata, tmp_path)
    assert in_memory.shape == in_file.shape == (1460, 13714)
    assert not in_memory.isbacked
    assert in_file.isbacked
    assert repr(in_memory).startswith("AnnData object with n_obs × n_vars = 1460 × 13714\n")
    name = tmp_path / "pbmc3k_processed_CD4Tcells.h5ad"
    assert repr(in_file).startswith(
        f"AnnData object with n_obs × n_vars = 1460 × 13714 backed at {str(name)!r}\n"
    )
    check_keys(in_memory)
    check_keys(in_file)
    assert same(in_memory.X, in_file.to_memory().X)

    block = tutorial.index_by_numbers(adata)
    assert (block.shape, block.nnz, block.dtype) == ((2638, 13714), 2_238_732, np.float32)

    umap = adata.obsm["X_umap"]
    adata = tutorial.save_changes(adata, tmp_path)
    assert adata.isbacked
    assert repr(adata).startswith(
        f"AnnData object with n_obs × n_vars = 2638 × 13714 backed at {str(path)!r}\n"
    )
    check_keys(adata)
    np.testing.assert_array_equal(adata.obsm["X_umap"], umap)
    elsewhere = lo.read_h5ad(tmp_path / "pbmc3k_processed_newclustering.h5ad")
    check_keys(elsewhere)
    assert same(elsewhere.to_memory().X, adata.to_memory().X)

    check_the_impossible(tutorial, adata, tmp_path)
    assert source.stat().st_mtime_ns == before
    figures = {p.name for p in tmp_path.glob("*.png")}
    assert figures >= {"umap_louvain_CD4.png", "dotplot.png", "umap_louvain_leiden.png"}


def check_the_impossible(tutorial, adata, folder):
    stored = adata.to_memory().X

    normalized = tutorial.normalize_opened(adata)
    assert isinstance(normalized.X, da.Array)
    totals = np.expm1(normalized.to_memory().X.toarray()).sum(axis=1)
    np.testing.assert_allclose(totals, 1e4, rtol=1e-4)
    assert same(adata.to_memory().X, stored)

    adata = tutorial.lazy_layers(adata, normalized, folder)
    assert isinstance(adata.layers["lognorm"], da.Array)
    difference = adata.to_memory().layers["lognorm"] - normalized.to_memory().X
    assert abs(difference).max() < 1e-6

    adata = tutorial.two_processes(adata)
    assert adata.obs["seen_by_another_process"].all()
    assert same(adata.to_memory().X, stored)

    binary = tutorial.modify_x(adata, folder)
    assert set(np.unique(binary.to_memory().X.data)) == {1.0}
    assert same(lo.read_h5ad(adata.filename).to_memory().X, stored)


@pytest.mark.slow
def test_anndata_reads_what_the_tutorial_wrote(tutorial, data_file, tmp_path):
    anndata = pytest.importorskip("anndata", reason="reads the files back")
    adata = tutorial.open_backed(data_file("rebuilt_pbmc3k_processed.h5ad"), tmp_path)
    adata[adata.obs["louvain"].isin(tutorial.T_CLUSTERS)].copy(filename=tmp_path / "t.h5ad")
    theirs = anndata.read_h5ad(tmp_path / "pbmc3k_processed_raw.h5ad")
    assert theirs.X.nnz == 2_238_732
    subset = anndata.read_h5ad(tmp_path / "t.h5ad")
    expected = theirs[theirs.obs["louvain"].isin(tutorial.T_CLUSTERS)]
    assert same(subset.X, expected.X)
    assert subset.obs_names.equals(expected.obs_names)


@pytest.mark.slow
def test_demo_without_real_data(tmp_path):
    """A small demo on simulated cells: everything is printed, drawn and written."""
    command = [sys.executable, str(EXAMPLES / "demo.py"), "--simulated", "--n-obs", "600"]
    output = subprocess.run(
        [*command, "--output", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert output.returncode == 0, output.stderr
    assert "Input: simulated" in output.stdout
    assert "stated bound: 1000 MB" in output.stdout
    laps = json.loads((tmp_path / "pipeline.json").read_text(encoding="utf-8"))
    assert laps[0][0] == "open"
    assert lo.read_h5ad(tmp_path / "analysed.h5ad").shape == (600, 20_000)
    assert lo.read_h5ad(tmp_path / "largest_cluster.h5ad").n_obs > 10
    assert len(list(tmp_path.glob("*.png"))) >= 5


@pytest.mark.slow
def test_pbmc3k_is_annotated(data_file, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    source = tmp_path / "counts.h5ad"
    shutil.copy(data_file("rebuilt_pbmc3k_raw.h5ad"), source)
    made = importlib.import_module("pbmc3k").main(source, tmp_path)
    numbers = made.obs["cell_type"].value_counts()
    least = {
        "CD4 T": 950,
        "CD14 monocytes": 400,
        "CD8 T": 250,
        "B": 300,
        "FCGR3A monocytes": 120,
        "NK": 120,
        "Dendritic": 20,
        "Megakaryocytes": 8,
    }
    assert set(numbers.index) == set(least)
    assert all(numbers[name] >= n for name, n in least.items()), numbers
    markers = pd.read_csv(tmp_path / "markers.csv").groupby("group")["names"].agg(set)
    for name, gene in {"B": "CD79A", "NK": "GNLY", "CD14 monocytes": "S100A8"}.items():
        assert gene in markers[name]
    saved = lo.read_h5ad(tmp_path / "pbmc3k_annotated.h5ad")
    assert (saved.obs["cell_type"] == made.obs["cell_type"]).all()
    assert {"umap.png", "markers.png"} <= {path.name for path in tmp_path.iterdir()}
