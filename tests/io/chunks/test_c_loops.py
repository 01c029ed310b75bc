"""Calls of C functions from machine code that LLVM makes."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest

from lazyomics.io.chunks import StoredArray, c_loops, in_one_call
from lazyomics.io.chunks.c_calls import system_calls
from lazyomics.io.chunks.c_loops import CLoops
from lazyomics.io.chunks.pipeline import SHUFFLE, Pipeline

DEFLATE = (1, (4,))


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
    assert system_calls() is not None
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
    assert system_calls() is not None
    _, memcpy = system_calls() or (0, 0)
    values, out = np.arange(100, dtype=np.uint8), np.zeros(20, np.uint8)
    pieces = np.array([[0, 50, 3], [9, 9, 9], [10, 90, 10], [3, 1, 2]])  # target, source, length
    addresses = [memcpy, pieces.ctypes.data]
    places = [values.ctypes.data, out.ctypes.data]
    calls = [[loops.copy_pieces, *addresses, *some, *places] for some in ([0, 1], [2, 4], [3, 3])]
    loops.run(np.array(calls, np.int64))
    assert out.tolist() == [50, 51, 52, 1, 2, *[0] * 5, *range(90, 100)]


@pytest.mark.parametrize("width", [None, 1, 2, 4, 8, 3, 16])
def test_filters_that_are_supported(width: int | None) -> None:
    shuffle = () if width is None else ((SHUFFLE, (width,)),)
    expected = width in (None, 1, 2, 4, 8)
    plan = in_one_call.plan_of(Pipeline((*shuffle, DEFLATE), 480))
    assert (plan is not None) == expected
    if width in (2, 4, 8):
        assert in_one_call.plan_of(Pipeline((*shuffle, DEFLATE), width * 15)) is None
    assert in_one_call.plan_of(Pipeline((DEFLATE, (3, ())), 480)) is None


def test_what_does_not_decode_is_left(tmp_path: Path) -> None:
    """Chunks that are damaged, or that the file ends before, are left; the others are read."""
    path = tmp_path / "a.h5"
    values = np.arange(4000, dtype="f4")
    with h5py.File(path, "w") as file:
        made = file.create_dataset("X", data=values, chunks=(1000,), compression="gzip")
        found = [made.id.get_chunk_info(k) for k in range(4)]
    offset = np.array([c.byte_offset for c in found])
    size = np.array([c.size for c in found])
    size[3] += 10**6
    with open(path, "r+b") as file:
        file.seek(offset[1] + size[1] // 2)
        file.write(bytes(8))
    extents = in_one_call.Extents(np.arange(5), offset, size)
    none = np.zeros(4, np.int64)
    copies = in_one_call.Copies(np.arange(4) * 4000, none, none, np.zeros((0, 3), np.int64))
    out = np.zeros(4000, "f4")
    plan = in_one_call.plan_of(Pipeline((DEFLATE,), 4000))
    if plan is None:
        pytest.skip("functions are called otherwise here")
    with open(path, "rb") as file:
        done = in_one_call.decode_runs(file.fileno(), plan, extents, copies, out)
    assert done.tolist() == [True, False, True, False]
    np.testing.assert_array_equal(out[:1000], values[:1000])
    np.testing.assert_array_equal(out[2000:3000], values[2000:3000])


def test_reading_a_large_dataset_does_not_start_numba(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset("X", (20_000_000,), "f4", chunks=(20_000,), compression="gzip")
        made[::1000] = 1
        assert StoredArray.of(made, path).read(0, 5).tolist() == [1, 0, 0, 0, 0]
    code = (
        "import sys, h5py\n"
        "from lazyomics.io.chunks import StoredArray\n"
        "from lazyomics.io.chunks.c_loops import c_loops_are_up\n"
        "from lazyomics.kernels.compiled import compiler_is_up\n"
        "with h5py.File(sys.argv[1]) as file: array = StoredArray.of(file['X'], sys.argv[1])\n"
        "print(float(array.read(0, 20_000_000).sum()), c_loops_are_up(), compiler_is_up())\n"
    )
    root = Path(in_one_call.__file__).parents[3]
    ran = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, cwd=root
    )
    assert ran.stdout.split() == ["20000.0", str(c_loops.c_loops() is not None), "False"], ran
