"""Compiled loops that call C functions by address."""

from __future__ import annotations

import ctypes
import os
import threading
from typing import Any

import numpy as np
import pytest

from lazyomics.io.hdf5 import batch_decode

pytestmark = pytest.mark.skipif(
    not batch_decode.is_possible(), reason="functions are called otherwise here"
)


@pytest.fixture
def loops() -> Any:
    from lazyomics.io.hdf5 import batch_loops

    return batch_loops


def extents(bounds: list[int], offset: list[int], size: list[int]) -> batch_decode.Extents:
    return batch_decode.Extents(*(np.array(v, np.int64) for v in (bounds, offset, size)))


def read_address() -> int:
    return int(ctypes.cast(ctypes.CDLL(None).pread, ctypes.c_void_p).value or 0)


def test_functions_are_called_with_six_words(loops: Any) -> None:
    """Of a function of Python, which takes back the lock that the loop does not hold."""
    function = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 6)
    seen: list[tuple[int, ...]] = []

    @function
    def note(*words: int) -> int:
        seen.append(words)
        return 2**40 + 3

    address = ctypes.cast(note, ctypes.c_void_p).value
    out, buffer = np.zeros(9, np.uint8), np.zeros(8, np.uint8)
    wanted = extents([0, 2], [2**41, 2**41 + 3], [3, 2])
    goal = np.array([0, 3])
    assert not loops.read_extents(address, 77, wanted, goal, out, buffer)
    assert seen == [(77, buffer.ctypes.data, 5, 2**41, 0, 0)]


def test_loops_hold_no_lock_of_python(loops: Any) -> None:
    """A thread that waits in C for what another one does in Python would wait forever."""
    reading, writing = os.pipe()
    read = ctypes.cast(ctypes.CDLL(None).read, ctypes.c_void_p).value
    out, none = np.zeros(5, np.uint8), np.zeros(0, np.uint8)
    writer = threading.Timer(0.1, os.write, (writing, b"hello"))
    writer.start()
    assert loops.read_extents(read, reading, extents([0, 1], [0], [5]), np.array([0]), out, none)
    assert out.tobytes() == b"hello"
    writer.join()
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("width", [2, 4, 8])
@pytest.mark.parametrize("count", [1, 15, 16, 17, 31, 32, 1000, 1023])
def test_bytes_are_unshuffled(loops: Any, width: int, count: int) -> None:
    expected = np.random.default_rng(0).integers(0, 256, (count, width), np.uint8)
    planes = np.ascontiguousarray(expected.T).reshape(-1)
    out = np.zeros(count + 4, f"u{width}")  # what lies behind must stay
    loops.unshuffle(planes, out[:count])
    np.testing.assert_array_equal(out[:count].view(np.uint8).reshape(count, width), expected)
    assert not out[count:].any()


def test_extents_are_read_and_copied(loops: Any, tmp_path) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(bytes(range(100)))
    wanted = extents([0, 3, 4], [10, 20, 15, 90], [3, 2, 1, 4])
    out = np.full(20, 255, np.uint8)
    with open(path, "rb") as file:
        arguments = read_address(), file.fileno()
        target, buffer = np.array([5, 0, 3, 10]), np.zeros(12, np.uint8)
        assert loops.read_extents(*arguments, wanted, target, out, buffer)
        expected = [20, 21, 255, 15, 255, 10, 11, 12, 255, 255, 90, 91, 92, 93, *[255] * 6]
        assert out.tolist() == expected
        beyond = extents([0, 1], [98], [3])
        assert not loops.read_extents(*arguments, beyond, np.array([0]), out, buffer)
