"""Chunks and texts of which HDF5 believes more than is stored."""

from __future__ import annotations

import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from lazyomics.errors import FileFormatError
from lazyomics.io.encodings import read_element
from tests.peaks import PEAK

ROOT = Path(__file__).parent.parent.parent
N = 64
LONG = (2**31).to_bytes(4, "little")
TEXT = h5py.string_dtype()
PAIR = np.dtype([("a", TEXT), ("b", "f4")])
TYPES: dict[str, Any] = {"numbers": "i8", "texts": TEXT, "fixed": "S8", "records": PAIR}
ENCODINGS = {"numbers": "array", "texts": "string-array", "fixed": "string-array"}
SHORT = {  # options, bytes of a chunk that are too few, and the filters that it is stored without
    "gzip": ({"compression": "gzip"}, zlib.compress(bytes(8)), 0),
    "gzip, not used": ({"compression": "gzip"}, bytes(8), 1),
    "gzip of shuffled": ({"compression": "gzip", "shuffle": True}, zlib.compress(bytes(16)), 0),
    "lzf, not used": ({"compression": "lzf"}, bytes(8), 1),
    "shuffle": ({"shuffle": True}, bytes(8), 0),
    "fletcher32, not used": ({"fletcher32": True}, bytes(8), 1),
    "none": ({}, bytes(8), 0),
}


def make(path: Path, kind: str, **options: Any) -> h5py.File:
    """A file with an element in one chunk."""
    file = h5py.File(path, "w")
    made = file.create_dataset("x", (N,), TYPES[kind], chunks=(N,), **options)
    encoding = {"encoding-type": ENCODINGS.get(kind, "rec-array"), "encoding-version": "0.2.0"}
    made.attrs.update(encoding)
    return file


@pytest.mark.parametrize("kind", list(TYPES))
@pytest.mark.parametrize("how", list(SHORT))
def test_chunks_that_decode_to_too_few_bytes(tmp_path, kind, how) -> None:
    """HDF5 hands out what lies behind them in the memory of the process."""
    if "fletcher32" in how and kind in ("texts", "records"):
        pytest.skip("HDF5 has no checksums for texts")
    options, stored, mask = SHORT[how]
    with make(tmp_path / "a.h5", kind, **options) as file:
        file["x"].id.write_direct_chunk((0,), stored, mask)
    with h5py.File(tmp_path / "a.h5") as file, pytest.raises(FileFormatError, match=r"'/x'.*chunk"):
        read_element(file["/"])


@pytest.mark.parametrize("shape", [(1,), (64,), (65,), (7, 9), (6, 5, 4)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "gzip"},
        {"compression": "lzf", "shuffle": True, "fletcher32": True},
        {"scaleoffset": 0},
    ],
)
@pytest.mark.parametrize("dtype", ["i2", ">i4", "?"])
def test_whole_chunks_are_read_as_hdf5_reads_them(tmp_path, shape, options, dtype) -> None:
    """Also at the edge, where some were never written, and with values in their place."""
    if dtype == "?" and "scaleoffset" in options:
        pytest.skip("not for enumerations")
    values = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    chunks = tuple(max(1, n // 3) for n in shape)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        made = file.create_dataset("x", shape, dtype, chunks=chunks, fillvalue=1, **options)
        made[: shape[0] // 2 + 1] = values[: shape[0] // 2 + 1]
    with h5py.File(tmp_path / "a.h5") as file:
        found, expected = read_element(file["/"])["x"], file["x"][()]
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", list(TYPES))
def test_many_small_chunks(tmp_path, kind) -> None:
    """More than HDF5 is asked for at once."""
    n = 20_000
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        values = np.zeros(n, TYPES[kind])
        numbers = np.arange(n)
        texts = [str(k).encode() for k in range(n)]
        if kind == "records":
            values["a"], values["b"] = texts, numbers
        else:
            values[:] = numbers if kind == "numbers" else texts
        file.create_dataset("x", data=values, dtype=TYPES[kind], chunks=(1,))
    with h5py.File(tmp_path / "a.h5") as file:
        found = read_element(file["/"])["x"]
    shown = found["a"] if kind == "records" else found
    assert [str(v) for v in shown] == [str(k) for k in range(n)]


READ = """
import h5py
from lazyomics.errors import FileFormatError
from lazyomics.io.encodings import read_element
before = peak()
with h5py.File(sys.argv[1]) as file:
    try:
        read_element(file["/"])
        print("read")
    except FileFormatError as error:
        print(error)
print((peak() - before) >> 20)
"""


def refusal(path: Path) -> str:
    """What a process says that reads a file, and takes little memory for it."""
    command = [sys.executable, "-c", PEAK + READ, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    message, used = done.stdout.splitlines()
    assert int(used) < 100
    return message


@pytest.mark.parametrize("kind", ["texts", "fixed", "records"])
def test_chunks_that_were_never_written(tmp_path, kind) -> None:
    """Of each that it is asked for, HDF5 makes notes of 4 KiB."""
    with make(tmp_path / "a.h5", kind) as file:
        del file["x"]
        file.create_dataset("x", (2**20,), TYPES[kind], chunks=(8,))
    assert "found 0 stored ones" in refusal(tmp_path / "a.h5")


@pytest.mark.parametrize("layout", ["scalar", "contiguous", "compact"])
def test_texts_that_claim_to_be_long(tmp_path, layout) -> None:
    """HDF5 takes gigabytes for them before it looks for the text."""
    path, texts = tmp_path / "a.h5", np.array(["text"] * 2, dtype=object)
    with h5py.File(path, "w") as file:
        if layout == "compact":
            properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            properties.set_layout(h5py.h5d.COMPACT)
            kind, space = h5py.h5t.py_create(TEXT, logical=True), h5py.h5s.create_simple((2,))
            made = h5py.h5d.create(file.id, b"x", kind, space, properties)
            made.write(h5py.h5s.ALL, h5py.h5s.ALL, texts)  # As Python's texts, not C's.
        else:
            file.create_dataset("x", data="text" if layout == "scalar" else texts, dtype=TEXT)
    content = path.read_bytes()
    place = content.index(b"GCOL").to_bytes(8, "little")
    assert b"text" in content
    assert (4).to_bytes(4, "little") + place in content
    path.write_bytes(content.replace((4).to_bytes(4, "little") + place, LONG + place))
    assert "texts whose heap is damaged" in refusal(path)


@pytest.mark.parametrize("nested", [False, True])
def test_records_with_texts_that_claim_to_be_long(tmp_path, nested) -> None:
    path, kind = tmp_path / "a.h5", np.dtype([("b", "i1"), ("a", TEXT, (2,))])
    kind = np.dtype([("first", TEXT), ("pair", kind)]) if nested else kind
    values = np.zeros(3, kind)
    if nested:
        values["first"] = b"x"
    pairs = values["pair"] if nested else values
    pairs["a"] = b"text"
    pairs["a"][2, 1] = b"other"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=values)
    content = path.read_bytes()
    place = content.index(b"GCOL").to_bytes(8, "little")
    assert content.count((5).to_bytes(4, "little") + place) == 1
    path.write_bytes(content.replace((5).to_bytes(4, "little") + place, LONG + place))
    assert "texts whose heap is damaged" in refusal(path)


@pytest.mark.parametrize(("front", "mask"), [(b"", 1), (b"\x1f", 0)])
def test_texts_in_chunks_that_claim_to_be_long(tmp_path, front, mask) -> None:
    """Of LZF, a byte that says how many follow as they are."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        made = file.create_dataset("x", (2,), TEXT, chunks=(2,), compression="lzf")
        references = 2 * (LONG + (4096).to_bytes(8, "little") + (1).to_bytes(4, "little"))
        made.id.write_direct_chunk((0,), front + references, mask)
    assert "texts whose heap is damaged" in refusal(tmp_path / "a.h5")
