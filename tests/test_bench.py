"""The benchmarks run, on files too small to say anything about speed."""

import json
import subprocess
import sys
from pathlib import Path

import anndata
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_benchmarks_run_and_keep_their_results(tmp_path):
    jobs = ["pipeline", "decode"]  # the others would take four times as long
    command = ["-m", "tests.bench", "--folder", tmp_path, "--cells", "1000", "--runs", "1"]
    subprocess.run([sys.executable, *command, "--only", *jobs], check=True, cwd=REPOSITORY)
    results = json.loads((tmp_path / "results.json").read_text())
    assert [r["job"] for r in results] == ["pipeline, gzip", "pipeline, uncompressed"]
    for result in results:
        assert list(result["seconds"]) == ["lazyomics", "scanpy", "scanpy on dask"]
        assert min(result["seconds"].values()) > 0
    titles = [
        line.split()[1]
        for line in (tmp_path / "results.md").read_text().splitlines()
        if line.startswith("## ")
    ]
    assert sorted(set(titles)) == sorted(f"bench_{job}.py" for job in jobs)
    assert (tmp_path / "results.svg").stat().st_size > 0


def test_counts_of_benchmarks_are_laid_out_as_anndata_does(tmp_path):
    path = tmp_path / "counts.h5ad"
    command = ["tests/bench/counts.py", path, "--cells", "300"]
    subprocess.run([sys.executable, *command], check=True, cwd=REPOSITORY)
    written = anndata.read_h5ad(path)
    assert written.shape == (300, 28_000)
    assert written.X.has_canonical_format
    assert written.X.dtype == "float32"
    assert written.X.sum(axis=1).min() >= 500
    assert list(path.parent.iterdir()) == [path]
    assert written.obs["cell_type"].nunique() == 12
