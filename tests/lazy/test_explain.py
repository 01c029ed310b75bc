from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.io.hdf5 import count_reads
from lazyomics.lazy import materialize
from lazyomics.lazy.explain import size_text


@pytest.fixture(params=["csr", "csc", "dense"])
def path(request, tmp_path):
    dense = np.random.default_rng(0).poisson(1.0, (300, 40)).astype(np.float32)
    x = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}[request.param](dense)
    lo.AnnData(x, layers={"same": x}).write_h5ad(tmp_path / "a.h5ad", compression="gzip")
    return tmp_path / "a.h5ad"


@pytest.mark.parametrize("rows", [slice(None), slice(10, 200), [250, 3, 3, 17]])
def test_the_plan_is_what_is_read(path, rows) -> None:
    adata = lo.read_h5ad(path, chunks=50)[rows]
    plan = lo.explain(adata)
    names = [m.name for m in plan.matrices]
    assert names == ["X", "layers['same']"]
    first = plan.matrices[0]
    assert first.element == (str(path), "X")
    assert first.shape == adata.shape
    if first.storage.startswith("csc") and rows != slice(None):
        return  # columns that hold none of the rows may cost less
    with count_reads() as counter:
        materialize(adata.X)
    ours = {k: v for k, v in counter.by_dataset.items() if "indptr" not in k[1]}
    assert first.chunks == sum(v.chunks for v in ours.values())
    assert first.stored_bytes == sum(v.bytes_read for v in ours.values())


def test_nothing_is_read(path) -> None:
    adata = lo.read_h5ad(path)
    lo.pp.normalize_total(adata, target_sum=10)
    lo.pp.log1p(adata)
    with count_reads() as counter:
        text = repr(adata[::3, [5, 1]].explain())
    assert {name.rpartition("/")[2] for _, name in counter.by_dataset} <= {"indptr"}
    assert "NormalizeRows(target=10" in text
    assert "SelectCols(2) → Log1p" in text
    assert "100 (scattered) of 300 rows" in text
    assert str(path) in text


def test_contiguous_and_other_arrays(tmp_path) -> None:
    dense = np.arange(60, dtype=np.float32).reshape(12, 5)
    lo.AnnData(dense).write_h5ad(tmp_path / "a.h5ad")
    adata = lo.read_h5ad(tmp_path / "a.h5ad")
    adata.layers["double"] = adata.X * 2
    plan = adata[3:7].explain()
    assert plan.matrices[0].stored_bytes == 4 * 5 * 4
    assert plan.matrices[1].chunks == -1
    assert plan.stored_bytes == 4 * 5 * 4
    assert plan.peak_bytes > 0
    assert "dask array" in str(plan.matrices[1])


def test_in_memory_objects_have_nothing_to_plan() -> None:
    assert repr(lo.explain(lo.AnnData(np.eye(3)))).startswith("nothing is lazy")


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1536, "1.5 KiB"), (200 << 20, "200 MiB"), (3 << 40, "3.0 TiB")]
)
def test_sizes_for_people(size, text) -> None:
    assert size_text(size) == text
