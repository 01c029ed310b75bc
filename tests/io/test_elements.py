"""read_elem and write_elem of objects, in processes that imported nothing else before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import UnsupportedError


def small() -> ad.AnnData:
    return ad.AnnData(
        sp.random(6, 4, 0.5, format="csr", dtype="f4", random_state=0),
        obs=pd.DataFrame({"kind": pd.Categorical(list("ababab"))}, index=list("uvwxyz")),
        obsm={"X_pca": np.ones((6, 2))},
        uns={"inner": ad.AnnData(np.ones((2, 2)))},
    )


def ran(program: str, *arguments: object) -> str:
    made = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(lo.__file__).parent.parent,
    )
    assert made.returncode == 0, made.stderr
    return made.stdout


@pytest.mark.parametrize("name", ["/", "uns", "uns/inner"])
def test_objects_are_read_by_a_fresh_process(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.h5ad"
    small().write_h5ad(path)
    program = """
import sys, h5py, lazyomics as lo
with h5py.File(sys.argv[1]) as file:
    read = lo.read_elem(file[sys.argv[2]])
print(type(read["inner"] if isinstance(read, dict) else read).__name__)
"""
    assert ran(program, path, name) == "AnnData\n"


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("name", ["/", "a", "deep/a"])
def test_objects_are_written_by_a_fresh_process(tmp_path: Path, name: str, lazy: bool) -> None:
    source, path = tmp_path / "a.h5ad", tmp_path / "b.h5"
    small().write_h5ad(source)
    with h5py.File(path, "w") as file:
        file["obsm/old"] = [1]  # in the way of "/" only
    program = """
import sys, h5py, lazyomics as lo
adata = lo.read_h5ad(sys.argv[1])
if sys.argv[3] == "False":
    adata = adata.to_memory()
with h5py.File(sys.argv[2], "r+") as file:
    lo.write_elem(file, sys.argv[4], adata)
"""
    ran(program, source, path, lazy, name)
    with h5py.File(path) as file:
        assert ("obsm/old" in file) == (name != "/")
        read = ad.io.read_elem(file[name])
    expected = small()
    np.testing.assert_array_equal(read.X.toarray(), expected.X.toarray())
    pd.testing.assert_frame_equal(read.obs, expected.obs)
    assert list(read.obsm) == ["X_pca"]
    assert read.uns["inner"].shape == (2, 2)


def test_a_group_itself_takes_a_mapping_and_nothing_else(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["old"] = 1
        with pytest.raises(UnsupportedError, match="AnnData or a mapping; found ndarray"):
            lo.write_elem(file, "/", np.ones(3))
        with pytest.raises(ValueError, match="cannot be the name"):
            lo.write_elem(file, "/", {"a/b": 1})
        assert list(file) == ["old"]
        lo.write_elem(file, "/", {"a": 1})
        assert lo.read_elem(file) == ad.io.read_elem(file["/"]) == {"a": 1}


def test_a_mudata_is_refused_with_the_way_out(tmp_path: Path) -> None:
    mdata = lo.MuData({"rna": lo.AnnData.from_anndata(small())})
    with (
        h5py.File(tmp_path / "a.h5", "w") as file,
        pytest.raises((TypeError, UnsupportedError), match=r"an \.h5mu of its own"),
    ):
        lo.write_elem(file, "a", mdata)
