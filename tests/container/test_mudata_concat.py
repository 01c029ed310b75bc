"""MuData joined as mudata joins them, from opened files, without reading their matrices."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.io.hdf5 import count_reads
from tests.container.mudata_cases import (
    assert_same_axis,
    assert_same_frame,
    assert_same_matrix,
    assert_same_modality,
    assert_same_mudata,
    modalities,
    modality,
    no_pulling,
    quiet,
    read_with_mudata,
)
from tests.peaks import PEAK

mudata = pytest.importorskip("mudata", reason="mudata is the reference of these tests")


def whole(k: int, cells: str = "partial", axis: int = 0, **other: lo.AnnData) -> lo.MuData:
    """Modalities in alphabetical order (which mudata gives its result), annotation of the whole."""
    mods = modalities(cells, "own" if axis == 0 else "in common")
    mdata = lo.MuData({m: mods[m] for m in sorted(mods)} | other, axis=axis)
    n, m = mdata.shape
    if axis == 0:
        mdata.obs_names = [f"{name}-{k}" for name in mdata.obs_names]
    else:
        mdata = lo.MuData({m: _renamed(a, m, k) for m, a in mdata.mod.items()}, axis=1)
        n, m = mdata.shape
    mdata.obs["donor"] = pd.Categorical([f"d{k}"] * n)
    mdata.obs[f"only{k}"] = np.arange(float(n))
    mdata.var["same"] = np.arange(m)
    mdata.var["differs"] = np.arange(m) * k
    mdata.var[f"only{k}"] = "x"
    mdata.obsm["X_joint"] = np.full((n, 2 + k), k, dtype=np.float32)
    mdata.varm["loadings"] = np.arange(2.0 * m).reshape(-1, 2)
    mdata.obsp["graph"] = sp.eye(n, format="csr") * k
    mdata.varp["links"] = sp.eye(m, format="csr")
    mdata.uns.update({"same": 1, "differs": k, f"only{k}": [k]})
    return mdata


def _renamed(adata: lo.AnnData, mod: str, k: int) -> lo.AnnData:
    adata.obs_names = [f"{mod}-{name}-{k}" for name in adata.obs_names]
    return adata


def theirs(objects: list[lo.MuData], **options: Any) -> Any:
    with no_pulling(), quiet():
        return mudata.concat([m.to_mudata() for m in objects], **options)


def stored(objects: list[lo.MuData], folder: Path) -> list[lo.MuData]:
    """The same objects, opened from files."""
    return [m.copy(filename=folder / f"part{k}.h5mu") for k, m in enumerate(objects)]


LABELS = {"label": "batch", "keys": ["x", "y"], "index_unique": "/"}


@pytest.mark.parametrize("merge", [None, "same", "unique", "first", "only"])
@pytest.mark.parametrize("join", ["inner", "outer"])
def test_opened_files_equal_mudata(join: str, merge: str | None, tmp_path: Path) -> None:
    objects = [whole(1), whole(2, "shuffled")]
    options = {"join": join, "merge": merge, "uns_merge": merge, **LABELS, "pairwise": True}
    expected = theirs(objects, **options)
    with count_reads() as counter:
        ours = lo.concat(stored(objects, tmp_path), **options)
    read = {name for (_, name), count in counter.by_dataset.items() if count.bytes_read}
    matrices = {name for name in read if "/X/" in name or "/layers/" in name or "obsp/" in name}
    assert all(name.endswith("/indptr") for name in matrices)
    assert not ours.isbacked
    assert_same_mudata(ours, expected)
    assert type(ours.obs["batch"].dtype) is pd.CategoricalDtype
    written = ours.copy(filename=tmp_path / "joined.h5mu")
    assert_same_mudata(written, ours)
    assert_same_mudata(written, read_with_mudata(tmp_path / "joined.h5mu"))


@pytest.mark.parametrize("join", ["inner", "outer"])
def test_modalities_that_share_variables(join: str) -> None:
    objects = [whole(1, axis=1), whole(2, "same", axis=1)]
    for other in objects:  # joined along var, a name must not come twice
        other.var_names = [f"{name}-{other.uns['differs']}" for name in other.var_names]
    for mod in objects[1].mod:  # the other axis: cells that both have
        objects[1].mod[mod].obs_names = objects[1][mod].obs_names.str.replace("-2", "-1")
    objects[1].update()
    ours = lo.concat(objects, join=join, merge="unique", label="batch")
    expected = theirs(objects, join=join, merge="unique", label="batch")
    assert ours.axis == expected.axis == 1
    for mod in ours.mod:
        assert_same_modality(ours[mod], expected[mod])
    assert_same_axis(ours, expected, "var")
    assert_same_frame(ours.var, expected.var)
    assert set(ours.obs_names) == set(expected.obs_names)
    assert_same_frame(ours.obs.loc[expected.obs_names], expected.obs)


@pytest.mark.parametrize("join", ["inner", "outer"])
def test_other_variables_in_each(join: str) -> None:
    objects = [whole(1), whole(2)]
    objects[1] = objects[1][:, 1:]
    objects[1].mod["rna"].var_names = [f"new{k}" for k in range(3)] + list(
        objects[1]["rna"].var_names[3:]
    )
    objects[1].update()
    options = {"join": join, "merge": "first"}
    ours, expected = lo.concat(objects, **options), theirs(objects, **options)
    for mod in ours.mod:
        assert_same_modality(ours[mod], expected[mod])
    assert_same_axis(ours, expected, "obs")
    names = list(expected.var_names)
    assert set(ours.var_names) == set(names)
    assert_same_frame(ours.var.loc[names], expected.var)
    order = ours.var_names.get_indexer(names)
    np.testing.assert_array_equal(ours.varm["loadings"][order], expected.varm["loadings"])


def test_modalities_that_only_some_have() -> None:
    """Cells that are in none of the common modalities are left out, as in mudata."""
    extra = modality("zzz", [70, 71], 4)
    objects = [whole(1, zzz=extra), whole(2)]
    ours, expected = lo.concat(objects), theirs(objects)
    assert list(ours.mod) == list(expected.mod) == ["adt", "atac", "rna"]
    assert "c70-1" not in ours.obs_names
    for mod in ours.mod:
        assert_same_modality(ours[mod], expected[mod])
    assert_same_axis(ours, expected, "obs")
    assert_same_frame(ours.obs, expected.obs)


def test_order_of_modalities_is_that_of_the_first() -> None:
    ours = lo.concat([lo.MuData(modalities()), whole(2)])
    assert list(ours.mod) == ["rna", "atac", "adt"]
    assert [m.split("-")[0] for m in ours.var_names] == ["rna"] * 9 + ["atac"] * 14 + ["adt"] * 3


@pytest.mark.parametrize("names", ["own", "in common"])
def test_names_that_repeat(names: str, tmp_path: Path) -> None:
    """Batches with equal barcodes, modalities with equal genes: rows stay with their object."""
    first, second = (lo.MuData(modalities(cells, names)) for cells in ("partial", "shuffled"))
    first.var["gene"] = np.arange(first.n_vars)
    second.var["gene"] = np.arange(second.n_vars)
    joined = lo.concat(stored([first, second], tmp_path), merge="same")
    assert joined.n_obs == first.n_obs + second.n_obs
    assert joined.var["gene"].tolist() == first.var["gene"].tolist()
    for rows, one in ((slice(0, first.n_obs), first), (slice(first.n_obs, None), second)):
        part = joined[rows]
        same = one[:]  # modalities in the order of the whole
        assert list(part.obs_names) == list(one.obs_names)
        for mod in one.mod:
            assert_same_matrix(part[mod].X, same[mod].X)
            assert list(part[mod].obs_names) == list(same[mod].obs_names)
    assert_same_mudata(joined.copy(filename=tmp_path / "joined.h5mu"), joined)


@pytest.mark.parametrize(("axis", "along"), [(-1, "obs"), (-1, "var"), (-1, None)])
def test_both_axes_shared(axis: int, along: str | None, tmp_path: Path) -> None:
    def both(k: int) -> lo.MuData:
        mods = modalities("partial", "in common")
        mdata = lo.MuData({m: mods[m][:, : 3 - (m == "adt")] for m in mods}, axis=axis)
        n = mdata.shape[along == "var"]
        setattr(mdata, f"{along or 'obs'}_names", [f"n{i}-{k}" for i in range(n)])
        return mdata

    objects = [both(1), both(2)]
    ours = lo.concat(objects, axis=along)
    assert ours.axis == -1
    for mod in ours.mod:
        parts = [o[mod] for o in objects]
        assert_same_modality(ours[mod], lo.concat(parts, axis=along))
    stacked, other = ("var", "obs") if along == "var" else ("obs", "var")
    n = [o.shape[along == "var"] for o in objects]
    assert ours.shape[along == "var"] == sum(n)
    assert list(getattr(ours, f"{other}_names")) == list(getattr(objects[0], f"{other}_names"))
    for mod in ours.mod:
        expected = np.asarray(getattr(ours[mod], f"{stacked}_names"))
        rows = getattr(ours, f"{stacked}map").rows_in(mod)
        assert list(getattr(ours, f"{stacked}_names")[rows >= 0]) == list(expected[rows[rows >= 0]])
    assert_same_mudata(ours.copy(filename=tmp_path / "joined.h5mu"), ours)


def test_verbs_and_selections_of_the_result(tmp_path: Path) -> None:
    objects = [whole(1), whole(2, "shuffled")]
    joined = lo.concat(stored(objects, tmp_path), **LABELS)
    lo.pp.normalize_total(joined["rna"], target_sum=100)
    lo.pp.tfidf(joined)
    rows = (joined.obs["batch"] == "y").to_numpy() & (np.arange(joined.n_obs) % 2 == 0)
    in_memory = lo.concat(objects, **LABELS)
    lo.pp.normalize_total(in_memory["rna"], target_sum=100)
    lo.pp.tfidf(in_memory)
    assert isinstance(in_memory["rna"].X, sp.csr_matrix)
    assert_same_mudata(joined[rows], in_memory[rows])
    assert_same_mudata(joined[rows][::-1, ::2], in_memory[rows][::-1, ::2])


def test_joins_of_joins_and_single_objects() -> None:
    objects = [whole(1), whole(2), whole(3, "shuffled")]
    at_once = lo.concat(objects)
    assert_same_mudata(lo.concat([lo.concat(objects[:2]), objects[2]]), at_once)
    assert lo.concat(objects[:1]).shape == objects[0].shape


def test_wrong_arguments() -> None:
    mdata, adata = whole(1), modality("rna", range(3), 3)
    with quiet():
        foreign = mdata.to_mudata()
    for mixed in ([mdata, adata], [adata, mdata]):
        with pytest.raises(TypeError, match=r"not both: object \d is an AnnData.*mdata\['rna'\]"):
            lo.concat(mixed)
    with pytest.raises(TypeError, match=r"MuData\.from_mudata"):
        lo.concat([mdata, foreign])
    with pytest.raises(ValueError, match=r"same axis, found \[0, 1\]"):
        lo.concat([mdata, whole(2, axis=1)])
    with pytest.raises(ValueError, match=r"share their obs.*not along 'var'"):
        lo.concat([mdata, mdata], axis="var")
    with pytest.raises(ValueError, match="no modality in common: 'adt', 'atac', 'rna'; 'other'"):
        lo.concat([mdata, lo.MuData({"other": adata})])
    with pytest.raises(TypeError, match="keys are given twice"):
        lo.concat({"a": mdata}, keys=["b"])


def test_a_mapping_gives_keys() -> None:
    ours = lo.concat({"x": whole(1), "y": whole(2)}, label="batch", index_unique="-")
    assert ours["rna"].obs["batch"].cat.categories.tolist() == ["x", "y"]
    assert set(itertools.chain(*ours.obs_names.str.split("-").str[-1])) == {"x", "y"}


WRITE = (
    PEAK
    + """
import dask
import lazyomics as lo
lo.MuData({"rna": lo.AnnData(shape=(2, 2))}).write_h5mu(sys.argv[2])
before = peak()
dask.config.set({"lazyomics.chunk-bytes": 2**22})
parts = [lo.read_h5mu(sys.argv[1]) for _ in range(int(sys.argv[3]))]
lo.concat(parts, index_unique="-").write_h5mu(sys.argv[2])
print((peak() - before) / 2**20)
"""
)


def test_memory_does_not_grow_with_what_is_joined(tmp_path: Path) -> None:
    part = tmp_path / "part.h5ad"
    lo.datasets.simulate(part, n_obs=4_000, n_vars=20_000, mean_counts=2_000)
    source = tmp_path / "part.h5mu"
    adata = lo.read_h5ad(part)
    lo.MuData({"rna": adata}).write_h5mu(source)

    def added(n: int) -> float:
        ran = subprocess.run(
            [sys.executable, "-c", WRITE, source, tmp_path / "joined.h5mu", str(n)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(lo.__file__).parent.parent,
        )
        return float(ran.stdout)

    added(1)  # what numba compiles is stored for the next
    few, many = added(3), added(12)
    assert lo.read_h5mu(tmp_path / "joined.h5mu").n_obs == 48_000
    grown = 9 * adata.nbytes / 2**20
    assert many - few < 0.35 * grown, (few, many, grown)
