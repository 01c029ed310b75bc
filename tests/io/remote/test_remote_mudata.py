"""Several modalities on a server, behind the user block of .h5mu files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics import lazy
from lazyomics.errors import FileFormatError, UnsupportedError
from tests.comparing import assert_same_value
from tests.io.remote.conftest import store_sparse
from tests.io.remote.range_server import Behaviour, serving

pytest.importorskip("aiohttp", reason="http:// is opened through aiohttp")


@pytest.fixture(scope="module")
def modalities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("modalities") / "a.h5mu"
    chance = np.random.default_rng(0)
    names = [f"cell{k}" for k in range(5_000)]
    counts = sp.random_array((5_000, 300), density=0.1, format="csr", rng=chance, dtype=np.float32)
    rna = lo.AnnData(counts, obs={"n": range(5_000)})
    rna.obs_names = names
    proteins = lo.AnnData(chance.random((4_000, 20), dtype=np.float32))
    proteins.obs_names = names[:4_000]
    proteins.var_names = [f"protein{k}" for k in range(20)]
    lo.MuData({"rna": rna, "prot": proteins}).write_h5mu(path)
    with h5py.File(path, "r+") as file:
        assert file.userblock_size == 512
        del file["mod/rna/X"]
        # many chunks: their index has inner nodes, whose positions count from the superblock
        store_sparse(file["mod/rna"], "X", counts, chunks=(400,), compression="gzip")
    return path


@pytest.fixture
def told(modalities: Path) -> Iterator[Behaviour]:
    with serving(modalities.parent) as server:
        yield server


def test_all_is_the_same(told: Behaviour, modalities: Path, tmp_path: Path) -> None:
    there, here = lo.read_h5mu(told.url("a.h5mu")), lo.read_h5mu(modalities)
    assert told.sent < 800_000
    assert list(there.mod) == ["rna", "prot"]
    for mod in here.mod:
        expected = lazy.materialize(here[mod].X)
        assert_same_value(lazy.materialize(there[mod].X), expected, mod)
        assert_same_value(there[mod].obs, here[mod].obs, mod)
    assert_same_value(there.obs, here.obs, "obs")
    there[:100].copy(filename=tmp_path / "some.h5mu")
    some = lo.read_h5mu(tmp_path / "some.h5mu")
    assert_same_value(
        lazy.materialize(some["rna"].X), lazy.materialize(here[:100]["rna"].X), "some"
    )


def test_names_of_modalities(told: Behaviour, modalities: Path) -> None:
    url = told.url("a.h5mu")
    for name in (f"{url}/rna", f"{url}/mod/rna"):
        adata = lo.read(name)
        assert adata.shape == (5_000, 300)
        assert adata.filename == url
    assert type(lo.read(url)) is lo.MuData
    with pytest.raises(KeyError, match=r"http://.*a\.h5mu has no modality 'atac'"):
        lo.read(f"{url}/atac")
    with pytest.raises(FileFormatError, match="open it with read_h5mu"):
        lo.read_h5ad(url)


def test_saving_is_refused(told: Behaviour, modalities: Path) -> None:
    mdata = lo.read_h5mu(told.url("a.h5mu"))
    mdata["rna"].obs["new"] = 1
    for write in (mdata.write, mdata["rna"].write, mdata[:10].write):
        with pytest.raises(UnsupportedError, match=r"read-only.*write_h5mu\(path\)"):
            write()
