"""The MuData half of the tutorial on backed mode: on real CITE-seq and on a simulated multiome."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import lazyomics as lo
from lazyomics.io.hdf5 import count_reads
from tests.container.mudata_cases import assert_same_mudata, read_with_mudata

pytest.importorskip("matplotlib", reason="the tutorial draws figures")
pytest.importorskip("umap", reason="the tutorial embeds cells")
pytest.importorskip("leidenalg", reason="the tutorial clusters cells")
pytest.importorskip("mudata", reason="compares with mudata")

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "backed_mudata.py"


@pytest.fixture(scope="module")
def tutorial() -> ModuleType:
    spec = importlib.util.spec_from_file_location("backed_mudata", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def follow(tutorial: ModuleType, source: Path, folder: Path, other: str) -> None:
    """Go through the steps, asserting what the tutorial shows after each."""
    path = folder / "multiome.h5mu"
    mdata = tutorial.open_backed(source, path)
    assert mdata.isbacked
    assert mdata.filename == path
    loaded = lo.read_h5mu(path, backed=False)[other]
    assert not loaded.isbacked
    assert mdata[other].__sizeof__() < loaded.__sizeof__() / 2
    del loaded

    counts = mdata["rna"].X[:50].compute().todense()
    with count_reads() as counter:
        tutorial.load_one_modality(mdata)
        assert not mdata["rna"].isbacked
        assert mdata[other].isbacked
        tutorial.preprocess(mdata.mod["rna"], folder)
        assert "leiden" in mdata["rna"].obs
        before = path.stat().st_size
        mdata = tutorial.save_changes(mdata)
    assert not any(f"mod/{other}/" in name for _, name in counter.by_dataset)
    assert path.stat().st_size > before
    assert mdata[other].isbacked
    assert mdata["rna"].isbacked
    np.testing.assert_array_equal(mdata["rna"].X[:50].compute().todense(), counts)
    assert list(mdata["rna"].layers) == ["lognorm_counts"]

    tutorial.plot_clusters(mdata, str(mdata["rna"].var_names[0]), folder)
    wanted = mdata.obs["rna:leiden"].isin(["0", "1", "3"])
    subset = tutorial.extract_subset(mdata, ["0", "1", "3"], folder)
    assert subset.isbacked
    assert subset.n_obs == wanted.sum()
    assert subset.n_vars == mdata.n_vars
    assert_same_mudata(subset[::20], mdata[wanted.to_numpy()][::20])

    subset, read = tutorial.load_subset(subset, folder)
    assert not subset.isbacked
    assert not read.isbacked
    assert_same_mudata(read, read_with_mudata(folder / "multiome_subset.h5mu"))
    different = tutorial.different_cells(path, folder)
    assert different.isbacked
    assert different["rna"].n_obs != different[other].n_obs


def test_on_real_cite_seq(
    tutorial: ModuleType, data_file: Callable[[str], Path], tmp_path: Path
) -> None:
    follow(tutorial, data_file("rebuilt_pbmc1k_citeseq.h5mu"), tmp_path, "prot")


@pytest.mark.slow
def test_on_a_multiome_of_the_tutorials_size(tutorial: ModuleType, tmp_path: Path) -> None:
    source = tutorial.simulate_multiome(tmp_path / "simulated.h5mu")
    assert lo.read_h5mu(source).shape == (11_909, 144_978)
    follow(tutorial, source, tmp_path, "atac")


def test_small_simulation_runs_as_a_program(
    tutorial: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tutorial.simulate_multiome(
        tmp_path / "small.h5mu", n_obs=400, n_genes=900, n_peaks=1500, mean_counts=(900, 900)
    )
    tutorial.main(source, tmp_path / "output")
    shown = capsys.readouterr().out
    assert "all are backed: True" in shown
    assert "XNotWrittenWarning: mod/rna/X" in shown
