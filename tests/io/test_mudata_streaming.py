"""Streaming a subset of a large multiome: bounded memory, whatever modalities share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lazyomics as lo
from tests.container.mudata_cases import CELLS, assert_same_mudata, modalities, read_with_mudata
from tests.peaks import PEAK

pytest.importorskip("mudata", reason="compares with mudata")

SUBSET = (
    PEAK
    + """
import numpy as np
import lazyomics as lo
mdata = lo.read_h5mu(sys.argv[1])
chosen = np.random.default_rng(0).random(mdata.n_obs) < 0.25
subset = mdata[chosen].copy(filename=sys.argv[2])
assert subset.n_obs == chosen.sum()
print(peak() / 2**20)
"""
)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("cells", list(CELLS))
def test_subsets_of_subsets_of_files(axis: int, cells: str, tmp_path: Path) -> None:
    if axis == -1:
        mods = {m: a[:, :3] for m, a in modalities(cells, "in common").items()}
    else:
        mods = modalities(cells, "own" if axis == 0 else "in common")
    mdata = lo.MuData(mods, axis=axis)
    mdata.obs["donor"] = [f"d{k}" for k in range(mdata.n_obs)]
    mdata.obsm["X_joint"] = np.arange(2.0 * mdata.n_obs).reshape(-1, 2)
    mdata.write_h5mu(tmp_path / "all.h5mu")
    opened = lo.read_h5mu(tmp_path / "all.h5mu")
    rows = np.arange(opened.n_obs) % 3 != 1
    cols = np.arange(opened.n_vars) % 2 == 0
    for source in (opened, mdata):
        once = source[rows].copy(filename=tmp_path / "once.h5mu")
        twice = once[:, cols].copy(filename=tmp_path / "twice.h5mu")
        assert_same_mudata(twice, mdata[rows, cols])
        assert_same_mudata(once, read_with_mudata(tmp_path / "once.h5mu"))
        assert_same_mudata(twice, read_with_mudata(tmp_path / "twice.h5mu"))


def test_a_stream_that_fails_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "all.h5mu"
    lo.MuData(modalities()).write_h5mu(path)
    before = path.read_bytes()
    mdata = lo.read_h5mu(path)
    mdata["atac"].uns["function"] = print
    with pytest.raises(TypeError):
        mdata.write_h5mu(tmp_path / "new.h5mu")
    with pytest.raises(TypeError):
        mdata[:3].write_h5mu(overwrite_x=True)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all.h5mu"]


def test_modalities_of_other_files_are_gathered(tmp_path: Path) -> None:
    mods = modalities("partial")
    for mod, adata in mods.items():
        adata.write_h5ad(tmp_path / f"{mod}.h5ad")
    opened = lo.MuData({mod: lo.read_h5ad(tmp_path / f"{mod}.h5ad") for mod in mods})
    assert not opened.isbacked
    assert opened["rna"].isbacked
    copied = opened.copy(filename=tmp_path / "gathered.h5mu")
    assert_same_mudata(copied, lo.MuData(mods))
    assert_same_mudata(copied, read_with_mudata(tmp_path / "gathered.h5mu"))


@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
def test_compression(compression: str | None, tmp_path: Path) -> None:
    import h5py

    mdata = lo.MuData(modalities("partial"))
    mdata.write_h5mu(tmp_path / "x.h5mu", compression=compression)
    with h5py.File(tmp_path / "x.h5mu") as file:
        assert file["mod/rna/X/data"].compression == compression
    assert_same_mudata(mdata, read_with_mudata(tmp_path / "x.h5mu"))


@pytest.mark.slow
def test_memory_of_a_quarter_of_a_gigabyte(tmp_path: Path) -> None:
    parts = {}
    for seed, (mod, n_vars, counts) in enumerate(
        [("rna", 36_601, 2_500), ("atac", 300_000, 5_000)]
    ):
        path = tmp_path / f"{mod}.h5ad"
        lo.datasets.simulate(path, n_obs=15_000, n_vars=n_vars, mean_counts=counts, seed=seed)
        parts[mod] = lo.read_h5ad(path)
    parts["atac"].var_names = [f"peak{k}" for k in range(300_000)]
    source, target = tmp_path / "all.h5mu", tmp_path / "quarter.h5mu"
    lo.MuData(parts).write_h5mu(source)
    assert source.stat().st_size > 0.5e9
    ran = subprocess.run(
        [sys.executable, "-c", SUBSET, str(source), str(target)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(lo.__file__).parent.parent,
    )
    assert float(ran.stdout) < 450  # MiB
