"""Settings and messages with scanpy's names."""

from __future__ import annotations

import io
import logging
import re
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dask
import numpy as np
import pytest

import lazyomics as lo


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch):
    """Settings as they were, after each test."""
    kept = dict(vars(lo.settings))
    folders = dict(lo.settings._folders)
    with dask.config.set({}):
        yield
    lo.settings.logfile = None
    vars(lo.settings).update(kept)
    lo.settings._folders = folders


def said(call, verbosity) -> str:
    lo.settings.verbosity = verbosity
    lo.settings.logfile = io.StringIO()
    call()
    return lo.settings.logfile.getvalue()


@pytest.mark.parametrize("verbosity", range(5))
@pytest.mark.parametrize("name", ["error", "warning", "info", "hint", "debug"])
@pytest.mark.parametrize("text", ["plain", "took {time_passed} in all"])
def test_messages_are_scanpys(verbosity: int, name: str, text: str) -> None:
    sc = pytest.importorskip("scanpy", reason="compares with scanpy")
    before, where = sc.settings.verbosity, sc.settings.logfile
    theirs = io.StringIO()
    sc.settings.verbosity, sc.settings.logfile = verbosity, theirs
    begun = datetime.now(UTC) - timedelta(seconds=75)
    try:
        for options in ({}, {"deep": "more"}, {"time": begun}, {"time": begun, "deep": "more"}):
            getattr(sc.logging, name)(text, **options)
            ours = said(lambda o=options: getattr(lo.logging, name)(text, **o), verbosity)
            assert ours == theirs.getvalue()
            theirs.seek(0)
            theirs.truncate()
    finally:
        sc.settings.verbosity, sc.settings.logfile = before, where


def test_names_are_scanpys() -> None:
    sc = pytest.importorskip("scanpy", reason="compares with scanpy")
    names = {n for n in dir(type(sc.settings)) if not n.startswith("_")} - {
        "getdoc",
        "mro",
        "preset",
    }
    assert {n for n in names if not hasattr(lo.settings, n)} == set()
    ours, theirs = lo.settings, sc.settings
    for name in ("N_PCS", "plot_suffix", "file_format_data", "file_format_figs"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("autosave", "autoshow", "cache_compression", "categories_to_ignore"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("writedir", "cachedir", "datasetdir", "figdir"):
        assert Path(getattr(ours, name)).name == Path(getattr(theirs, name)).name, name


def test_verbosity_by_name_and_number() -> None:
    lo.settings.verbosity = "hint"
    assert lo.settings.verbosity == 3
    with lo.settings.verbosity.override(0):
        assert lo.settings.verbosity is lo.Verbosity.error
    assert lo.settings.verbosity is lo.Verbosity.hint
    for wrong in ("loud", 7):
        with pytest.raises(ValueError, match="verbosity is one of"):
            lo.settings.verbosity = wrong


def test_threads_and_memory_are_those_of_dask() -> None:
    lo.settings.n_jobs = 3
    assert dask.config.get("num_workers") == 3
    assert lo.settings.n_jobs == 3
    lo.settings.n_jobs = -1
    assert dask.config.get("num_workers") is None
    lo.settings.max_memory = 2
    assert lo.config.memory() == 2_000_000_000
    assert lo.settings.max_memory == 2
    with pytest.raises(ValueError, match="n_jobs"):
        lo.settings.n_jobs = 0


def test_messages_go_to_a_file(tmp_path: Path) -> None:
    lo.settings.verbosity = 2
    lo.settings.logfile = tmp_path / "log.txt"
    assert lo.settings.logpath == tmp_path / "log.txt"
    lo.logging.info("first")
    lo.settings.logpath = None
    assert lo.settings.logpath is None
    assert (tmp_path / "log.txt").read_text() == "first\n"


def test_nothing_is_said_by_default(capsys) -> None:
    lo.pp.normalize_total(lo.AnnData(np.ones((3, 2))))
    lo.logging.info("not shown")
    assert capsys.readouterr() == ("", "")
    assert logging.getLogger("lazyomics").propagate is False


@pytest.mark.parametrize("name", ["file_format_data", "cache_compression"])
def test_values_that_mean_nothing_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        setattr(lo.settings, name, "zip")


def test_headers(capsys) -> None:
    for call in (lo.logging.print_header, lo.logging.print_versions, lo.show_versions):
        call()
        text = capsys.readouterr().out
        assert f"lazyomics    {lo.__version__}" in text
        assert "dask " in text
    lo.logging.print_version_and_date()
    assert capsys.readouterr().out.startswith(f"Running lazyomics {lo.__version__}, on 2")
    lo.logging.print_memory_usage("now")
    assert "now \n... Memory usage: current " in capsys.readouterr().out


def test_the_number_of_components_is_a_setting() -> None:
    lo.settings.N_PCS = 7
    adata = lo.AnnData(np.random.default_rng(0).normal(size=(40, 20)))
    lo.pp.pca(adata)
    assert adata.obsm["X_pca"].shape == (40, 7)


VERBS = {
    "pp.filter_cells": [{"min_genes": 12}, {"max_counts": 60}],
    "pp.filter_genes": [{"min_cells": 25}, {"max_counts": 30}],
    "pp.normalize_total": [{}],
    "pp.normalize_per_cell": [{}],
    "pp.highly_variable_genes": [{}, {"flavor": "seurat_v3", "n_top_genes": 5}],
    "pp.regress_out": [{"keys": ["n"]}],
    "pp.pca": [{"n_comps": 3, "svd_solver": "arpack"}],
    "pp.neighbors": [{"use_rep": "X_e"}, {"use_rep": "X_e", "key_added": "k"}],
    "tl.umap": [{"maxiter": 2}],
    "tl.tsne": [{"use_rep": "X_e"}],
    "tl.draw_graph": [{"layout": "fr"}],
    "tl.leiden": [{"flavor": "igraph", "n_iterations": 2}, {"key_added": "c", "flavor": "igraph"}],
    "tl.rank_genes_groups": [{"groupby": "kind"}, {"groupby": "kind", "key_added": "k"}],
    "tl.score_genes": [{"gene_list": ["1", "2"], "ctrl_size": 4, "n_bins": 3}],
    "tl.embedding_density": [{"basis": "e"}],
}


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_say_what_scanpys_say(verb: str) -> None:
    sc = pytest.importorskip("scanpy", reason="compares with scanpy")
    rng = np.random.default_rng(0)
    counts = rng.poisson(np.geomspace(0.5, 9, 20), (60, 20)).astype("f4")
    ours = lo.AnnData(counts, obsm={"X_e": rng.normal(size=(60, 2))})
    ours.obs["n"] = rng.normal(size=60)
    ours.obs["kind"] = np.array(["a", "b", "c"])[rng.integers(0, 3, 60)]
    if verb in ("tl.rank_genes_groups", "tl.score_genes") or verb == "pp.highly_variable_genes":
        ours.layers["counts"] = ours.X
        lo.pp.log1p(ours)
    lo.pp.neighbors(ours, use_rep="X_e")
    ours.strings_to_categoricals()
    theirs = ours.to_anndata()
    space, name = verb.split(".")
    before, where = sc.settings.verbosity, sc.settings.logfile
    for options in VERBS[verb]:
        if options.get("flavor") == "seurat_v3":
            pytest.importorskip("skmisc", reason="fits the trend of variances")
            options = {**options, "layer": "counts"}
        printed = io.StringIO()
        sc.settings.verbosity, sc.settings.logfile = 3, printed
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                getattr(getattr(sc, space), name)(theirs, **options)
        finally:
            sc.settings.verbosity, sc.settings.logfile = before, where
        found = said(lambda o=options: getattr(getattr(lo, space), name)(ours, **o), 3)
        known = re.sub(r"\d:\d\d:\d\d", "0:00:00", printed.getvalue())
        known = known.replace("    sparse input is densified and may lead to high memory use\n", "")
        assert re.sub(r"\d:\d\d:\d\d", "0:00:00", found) == known
