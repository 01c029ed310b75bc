"""The example of a workflow, where snakemake is installed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp

from lazyomics.cli.pipeline import read_pipeline

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "workflows"


def test_the_pipeline_of_the_examples_is_valid():
    steps = read_pipeline(str(EXAMPLES / "pipeline.yaml")).steps
    assert steps[2].parameters == {"target_sum": 1e4}


def test_snakemake(tmp_path):
    pytest.importorskip("snakemake")
    pytest.importorskip("igraph")
    random = np.random.default_rng(0)
    means = random.gamma(0.3, 3, (3, 150))
    means[:, :2] = 0.3
    counts = random.poisson(means[np.arange(120) % 3])
    folder = tmp_path / "counts"
    folder.mkdir()
    scipy.io.mmwrite(folder / "matrix.mtx", sp.csc_matrix(counts.T))
    (folder / "barcodes.tsv").write_text("".join(f"c{k}\n" for k in range(120)))
    names = [f"MT-{k}" if k < 2 else f"g{k}" for k in range(150)]
    (folder / "genes.tsv").write_text("".join(f"i{n}\t{n}\n" for n in names))
    config = [f"counts={folder}", f"lazyomics={sys.executable} -m lazyomics"]
    config.append("cells=n_genes_by_counts > 5")
    run = [sys.executable, "-m", "snakemake", "--cores", "2", "-s", EXAMPLES / "Snakefile"]
    subprocess.run([*run, "--config", *config], cwd=tmp_path, check=True)
    obs = pd.read_csv(tmp_path / "results" / "obs.csv", index_col=0)
    assert len(obs) == 120
    assert obs["leiden"].nunique() > 1
    assert set(pd.read_csv(tmp_path / "results" / "markers.csv")["group"]) == set(obs["leiden"])


def test_no_two_files_of_the_nextflow_example_have_the_same_name():
    """Its output was named as the file of a step if the input was counts.h5, the default."""
    script = (EXAMPLES / "main.nf").read_text()
    default = re.search(r"params.counts = '(.+)'", script)[1]
    for given in (default, "cells.h5ad", "qc.h5ad", "a.h5"):
        filled = script.replace("${counts.baseName}", Path(given).stem)
        lines = re.findall(r"lazyomics convert \S+ (\S+)|lazyomics .* -o (\S+)", filled)
        outputs = [first or second for first, second in lines]
        staged = [Path(name).name for name in (given, "pipeline.yaml")]
        assert len(outputs) == 6
        assert len({*outputs, *staged}) == len(outputs) + len(staged)
