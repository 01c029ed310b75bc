"""The example for clusters runs as it is, and says what to install where that is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import lazyomics as lo

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "cluster.py"


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLE), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(EXAMPLE.parents[1]), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.slow
def test_it_runs(counts, tmp_path) -> None:
    pytest.importorskip("distributed", reason="starts worker processes")
    done = run(counts, tmp_path / "output")
    assert done.returncode == 0, done.stderr
    assert "workers" in done.stdout
    analysed = lo.read_h5ad(tmp_path / "output" / "analysed.h5ad")
    assert analysed.obsm["X_pca"].shape == (3000, 30)
    deep = lo.read_h5ad(tmp_path / "output" / "deep_cells.h5ad")
    assert 1000 < deep.n_obs <= 1500


def test_without_distributed_it_says_what_to_install(tmp_path) -> None:
    (tmp_path / "distributed.py").write_text("raise ImportError('not installed')\n")
    hidden = os.pathsep.join([str(tmp_path), str(EXAMPLE.parents[1])])
    done = run(PYTHONPATH=hidden)
    assert done.returncode == 1
    assert "pip install 'lazyomics[distributed]'" in done.stderr
    assert "Traceback" not in done.stderr
