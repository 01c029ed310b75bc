"""Fletcher-32 and unshuffle against what HDF5 writes and NumPy computes."""

from __future__ import annotations

import io

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyomics.io.hdf5.codecs import (
    Buffer,
    fletcher32,
    fletcher32_matches,
    native_unshuffle,
    unshuffle,
)


@pytest.mark.parametrize("length", [1, 2, 7, 720, 721, 100_001, 3_000_001])
@pytest.mark.parametrize("fill", [None, 0, 255])
def test_matches_hdf5(length: int, fill: int | None) -> None:
    rng = np.random.default_rng(length)
    data = rng.integers(0, 256, length, dtype=np.uint8)
    if fill is not None:
        data[:] = fill
    with h5py.File(io.BytesIO(), "w") as file:
        made = file.create_dataset("x", data=data, chunks=(length,), fletcher32=True)
        file.flush()
        _, raw = made.id.read_direct_chunk((0,))
    assert fletcher32_matches(data, raw[-4:])
    other = data.copy()
    other[length // 2] ^= 0x10
    assert not fletcher32_matches(other, raw[-4:])


def test_old_byte_order_is_accepted() -> None:
    data = np.arange(100, dtype=np.uint8)
    first, second = fletcher32(data)
    assert fletcher32_matches(data, first.to_bytes(2, "big") + second.to_bytes(2, "big"))


@given(st.binary(max_size=300), st.sampled_from([1, 2, 3, 4, 8, 16]), st.booleans())
def test_unshuffle(content: bytes, width: int, fast: bool) -> None:
    data = np.frombuffer(content, np.uint8)
    whole = len(data) // width * width
    planes = data[:whole].reshape(-1, width).T.reshape(-1)
    source = Buffer(np.concatenate([[9], planes, data[whole:]]).astype(np.uint8))
    target = Buffer(np.full(len(data) + 2, 9, np.uint8))
    with pytest.MonkeyPatch.context() as patch:
        if not fast:
            patch.setattr("lazyomics.io.hdf5.codecs.native_unshuffle", lambda: None)
        unshuffle(source, 1, len(data), target, 1, width=width)
    np.testing.assert_array_equal(target.bytes[1:-1], data)
    assert target.bytes[0] == target.bytes[-1] == 9


def test_fast_unshuffle_is_found() -> None:
    pytest.importorskip("hdf5plugin", reason="it carries the vectorised function")
    assert native_unshuffle() is not None
