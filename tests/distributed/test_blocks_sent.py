"""Blocks on their way between processes: their arrays are sent as they are, without copies."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from dask.sizeof import sizeof

from lazyomics.blocks.block import CSCBlock, CSRBlock, as_block

serialize = pytest.importorskip("distributed.protocol", reason="sends blocks")


def block(kind: str):
    matrix = sp.random(2000, 300, density=0.1, format=kind, dtype=np.float32, random_state=0)
    return as_block(matrix)


@pytest.mark.parametrize("kind", ["csr", "csc"])
def test_arrays_are_frames_of_their_own(kind) -> None:
    one = block(kind)
    one.distinct()
    _, frames = serialize.serialize(one)
    views = [np.frombuffer(f, np.uint8) for f in frames if memoryview(f).nbytes > 1000]
    assert len(views) == 3
    for view, array in zip(views, (one.data, one.indices, one.indptr), strict=True):
        assert np.shares_memory(view, array)
    rest = sum(memoryview(f).nbytes for f in frames) - one.nbytes
    assert rest < 1000


@pytest.mark.parametrize("writable", [True, False])
def test_arrays_that_arrive_are_those_of_the_message(writable) -> None:
    one = block("csr")
    for array in (one.data, one.indices, one.indptr):
        array.flags.writeable = writable
    header, frames = serialize.serialize(one)
    received = [bytearray(f) for f in frames]  # as a connection reads them
    made = serialize.deserialize(header, received)
    assert type(made) is CSRBlock
    assert made._order == one._order
    np.testing.assert_array_equal(made.toarray(), one.toarray())
    for array in (made.data, made.indices, made.indptr):
        assert any(np.shares_memory(array, np.frombuffer(f, np.uint8)) for f in received)
    assert np.asarray(made.sum(axis=0)).sum() == pytest.approx(float(one.data.sum()), rel=1e-5)


def test_a_view_sends_its_own_rows() -> None:
    whole = block("csr")
    low, high = whole.indptr[100], whole.indptr[110]
    part = CSRBlock.from_arrays(
        whole.data[low:high], whole.indices[low:high], whole.indptr[100:111] - low, (10, 300)
    )
    _, frames = serialize.serialize(part)
    assert sum(memoryview(f).nbytes for f in frames) < part.nbytes + 1000


@pytest.mark.parametrize("kind", ["csr", "csc"])
def test_workers_know_the_size(kind) -> None:
    one = block(kind)
    assert isinstance(one, CSRBlock | CSCBlock)
    arrays = one.data.nbytes + one.indices.nbytes + one.indptr.nbytes
    assert arrays <= sizeof(one) < arrays + 1000
