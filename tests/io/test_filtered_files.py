"""Whole files under each HDF5 filter: sparse, dense, columns and texts, lazily and in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import lazyomics as lo
from lazyomics.io.hdf5 import count_reads
from tests.comparing import assert_same_anndata
from tests.conftest import REPOSITORY
from tests.container.reference import reference
from tests.io.plain_texts import write_plain

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")
plugins = pytest.importorskip("hdf5plugin", reason="writes files under the filters of plugins")

FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "gzip": {"compression": "gzip"},
    "shuffle": {"shuffle": True},
    "gzip and shuffle": {"compression": "gzip", "compression_opts": 9, "shuffle": True},
    "lzf": {"compression": "lzf"},
    "fletcher32": {"fletcher32": True},
    "lzf, shuffle and fletcher32": {"compression": "lzf", "shuffle": True, "fletcher32": True},
    "zstd": dict(plugins.Zstd()),
    "blosc": dict(plugins.Blosc()),
    "blosc2": dict(plugins.Blosc2()),
    "lz4": dict(plugins.LZ4()),
    "bzip2": dict(plugins.BZip2()),
    "bitshuffle": dict(plugins.Bitshuffle()),
}
OF_PLUGINS = ("zstd", "blosc", "blosc2", "lz4", "bzip2", "bitshuffle")
NUMBERS = (
    "X/data",
    "X/indices",
    "X/indptr",
    "layers/dense",
    "layers/counts/data",
    "layers/counts/indices",
    "raw/X/data",
    "raw/X/indices",
    "obs/size",
    "obs/n",
    "obs/good",
    "obs/kind/codes",
    "obsm/X_pca",
    "obsp/connectivities/data",
)
TEXTS = ("obs/_index", "var/_index", "obs/kind/categories", "uns/kind_colors")


def rewrite(path: Path, name: str, options: dict[str, Any]) -> None:
    with h5py.File(path, "r+") as file:
        old = file[name]
        values, attributes = old[()], dict(old.attrs)
        dtype = old.dtype
        if name in TEXTS and (
            "fletcher32" in options or isinstance(options.get("compression"), int)
        ):
            # HDF5 has no checksums of references to text, and Blosc fails on them
            values = values.astype(object).astype(str).astype("S")
            dtype = values.dtype
        del file[name]
        chunks = tuple(max(1, -(-n // 3)) for n in values.shape) if options else None
        file.create_dataset(name, data=values, dtype=dtype, chunks=chunks, **options)
        file[name].attrs.update(attributes)


@pytest.fixture(params=FILTERS)
def filtered(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "filtered.h5ad"
    write_plain(reference(), path)
    for name in (*NUMBERS, *TEXTS):
        rewrite(path, name, FILTERS[request.param])
    return path


def test_read_lazily(filtered: Path, tmp_path: Path) -> None:
    with count_reads() as counter:
        adata = lo.read_h5ad(filtered)
        repr(adata)
    assert counter.bytes_read == 0
    assert_same_anndata(adata.to_anndata(), reference())
    part = lo.read_h5ad(filtered)[[7, 3, 3], ::-2]
    np.testing.assert_array_equal(
        part.X.compute().todense(), reference().X.toarray()[[7, 3, 3]][:, ::-2]
    )
    np.testing.assert_array_equal(
        part.layers["dense"].compute(), reference().layers["dense"][[7, 3, 3]][:, ::-2]
    )
    lo.read_h5ad(filtered).write_h5ad(tmp_path / "copy.h5ad")
    assert_same_anndata(ad.read_h5ad(tmp_path / "copy.h5ad"), reference())


WITHOUT_PLUGINS = """
import sys
sys.modules["hdf5plugin"] = None  # as if it were not installed
sys.path.insert(0, sys.argv[2])
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == "hdf5plugin" else find(name, *a)
import lazyomics as lo
from lazyomics.errors import MissingDependencyError
adata = lo.read_h5ad(sys.argv[1])
repr(adata)
try:
    {action}
except MissingDependencyError as error:
    print("refused:", error)
else:
    print("read")
"""

ACTIONS = {
    "X/data": "adata.X.compute()",
    "layers/dense": "adata.layers['dense'].compute()",
    "obs/size": "adata.obs",
    "obs/_index": "adata.obs_names",
    "obsm/X_pca": "adata.obsm['X_pca']",
}


@pytest.mark.parametrize("name", ACTIONS)
def test_without_the_plugin(tmp_path: Path, name: str) -> None:
    """The error says which filter, of which element and file, and what to install."""
    outcomes = {}
    for kind in OF_PLUGINS if name == "X/data" else ("zstd", "blosc2"):
        path = tmp_path / f"{kind}.h5ad"
        write_plain(reference(), path)
        rewrite(path, name, FILTERS[kind])
        code = WITHOUT_PLUGINS.format(action=ACTIONS[name])
        made = subprocess.run(
            [sys.executable, "-c", code, str(path), str(REPOSITORY)],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        outcomes[kind] = made.stdout.strip()
        if outcomes[kind] != "read":  # bzip2, and what this system has libraries for, are read
            for part in ("refused:", str(path), name, kind, "lazyomics[codecs]"):
                assert part in outcomes[kind]
    assert outcomes["blosc2"].startswith("refused")
