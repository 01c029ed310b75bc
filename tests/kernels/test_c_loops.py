"""Calls of C functions from machine code that LLVM makes."""

from __future__ import annotations

import ctypes
import os
import threading
from itertools import pairwise

import numpy as np
import pytest

from lazyomics import c_loops
from lazyomics.c_loops import CLoops


@pytest.fixture
def loops() -> CLoops:
    made = c_loops.c_loops()
    if made is None:
        pytest.skip("functions are called otherwise here")
    return made


def test_calls_run_in_their_order(loops: CLoops) -> None:
    function = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 6)
    seen: list[tuple[int, ...]] = []

    @function
    def note(*words: int) -> int:
        seen.append(words)
        return sum(words)

    address = ctypes.cast(note, ctypes.c_void_p).value
    words = np.random.default_rng(0).integers(-(2**40), 2**40, (50, 6))
    calls = np.column_stack((np.full(50, address), words))
    np.testing.assert_array_equal(loops.run(calls), words.sum(axis=1))
    assert seen == [tuple(row) for row in words.tolist()]
    assert len(loops.run(calls[:0])) == 0


def test_calls_hold_no_lock_of_python(loops: CLoops) -> None:
    """A thread that waits in C for what another one does in Python would wait forever."""
    reading, writing = os.pipe()
    read = ctypes.cast(ctypes.CDLL(None).read, ctypes.c_void_p).value
    room = np.zeros(5, np.uint8)
    calls = np.array([[read, reading, room.ctypes.data, 5, 0, 0, 0]], np.int64)
    writer = threading.Timer(0.1, os.write, (writing, b"hello"))
    writer.start()
    assert loops.run(calls).tolist() == [5]
    assert room.tobytes() == b"hello"
    writer.join()
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("width", [2, 4, 8])
@pytest.mark.parametrize("count", [16, 17, 31, 32, 1000, 1023])
def test_bytes_are_unshuffled(loops: CLoops, width: int, count: int) -> None:
    expected = np.random.default_rng(0).integers(0, 256, (count, width), np.uint8)
    planes = np.ascontiguousarray(expected.T)
    out = np.zeros(count * width + 16, np.uint8)  # what lies behind must stay
    call = [loops.unshuffle[width], planes.ctypes.data, count, out.ctypes.data, 0, 0, 0]
    loops.run(np.array([call], np.int64))
    np.testing.assert_array_equal(out[:-16].reshape(count, width), expected)
    assert not out[-16:].any()


def test_pieces_are_copied(loops: CLoops) -> None:
    memcpy = ctypes.cast(ctypes.CDLL(None).memcpy, ctypes.c_void_p).value
    values, out = np.arange(100, dtype=np.uint8), np.zeros(20, np.uint8)
    pieces = np.array([[0, 50, 3], [9, 9, 9], [10, 90, 10], [3, 1, 2]])  # target, source, length
    addresses = [memcpy, pieces.ctypes.data]
    places = [values.ctypes.data, out.ctypes.data]
    calls = [[loops.copy_pieces, *addresses, *some, *places] for some in ([0, 1], [2, 4], [3, 3])]
    loops.run(np.array(calls, np.int64))
    assert out.tolist() == [50, 51, 52, 1, 2, *[0] * 5, *range(90, 100)]


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("count", [0, 1, 1000])
def test_wanted_indices_are_found(loops: CLoops, bits: int, count: int) -> None:
    rng = np.random.default_rng(0)
    indices = rng.integers(0, 50, count).astype(f"i{bits // 8}")
    wanted, places = rng.random(50) < 0.3, np.full(count, -1)
    words = [indices.ctypes.data, count, wanted.ctypes.data, places.ctypes.data, 7, 0]
    (found,) = loops.run(np.array([[loops.find[bits], *words]], np.int64)).tolist()
    np.testing.assert_array_equal(places[:found], np.flatnonzero(wanted[indices]) + 7)


def test_rows_are_summed(loops: CLoops) -> None:
    rng = np.random.default_rng(0)
    pointers = np.concatenate(([3], 3 + np.cumsum(rng.integers(0, 9, 200))))
    values = rng.normal(0, 1000, pointers[-1] + 5).astype("f4")
    out = np.full(201, 7.0)
    words = [values.ctypes.data, pointers.ctypes.data, 200, out.ctypes.data, 0, 0]
    loops.run(np.array([[loops.sum_rows, *words]], np.int64))
    expected = [values[a:b].sum(dtype="f8") for a, b in pairwise(pointers)]
    np.testing.assert_allclose(out[:-1], expected, rtol=1e-12, atol=1e-9)
    assert out[-1] == 7
