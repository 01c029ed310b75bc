"""Rows and columns of dense datasets read as NumPy selects them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lazyomics.io.hdf5 import StoredArray, count_reads

SHAPE = (83, 47)
LAYOUTS: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "boxes": {"chunks": (16, 12)},
    "gzip boxes": {"chunks": (16, 12), "compression": "gzip", "shuffle": True},
    "gzip rows": {"chunks": (10, 47), "compression": "gzip"},
    "lzf columns": {"chunks": (83, 5), "compression": "lzf"},
    "one chunk": {"chunks": SHAPE, "compression": "gzip"},
    "scaleoffset": {"chunks": (16, 12), "scaleoffset": 0},
}


def opened(path: Path, data: np.ndarray, **options: Any) -> StoredArray:
    with h5py.File(path, "w") as file:
        return StoredArray.of(file.create_dataset("X", data=data, **options), path)


def selection(length: int) -> st.SearchStrategy[Any]:
    inside = st.integers(-length, length - 1)
    limits = st.one_of(st.none(), st.integers(-length - 2, length + 2))
    return st.one_of(
        st.lists(inside, max_size=30).map(lambda p: np.array(p, np.int64)),
        st.builds(slice, limits, limits, st.sampled_from([None, 1, 2, -1])),
        st.lists(st.booleans(), min_size=length, max_size=length).map(np.array),
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=selection(SHAPE[0]), cols=st.one_of(st.none(), selection(SHAPE[1])))
def test_any_selection(tmp_path: Path, layout: str, rows: Any, cols: Any) -> None:
    data = np.arange(np.prod(SHAPE), dtype=np.int32).reshape(SHAPE)
    path = tmp_path / "a.h5"
    if not path.exists():
        opened(path, data, **LAYOUTS[layout])
    with h5py.File(path, "r") as file:
        array = StoredArray.of(file["X"], path)
    wanted = data[rows] if cols is None else data[rows][:, cols]
    got = array.read_2d(rows, cols)
    np.testing.assert_array_equal(got, wanted)
    assert got.flags.c_contiguous


@pytest.mark.parametrize("dtype", [">f4", "<f8", "?", "<f2"])
@pytest.mark.parametrize("layout", ["contiguous", "boxes", "gzip rows"])
def test_types(tmp_path: Path, dtype: str, layout: str) -> None:
    data = np.random.default_rng(0).poisson(1, SHAPE).astype(dtype)
    array = opened(tmp_path / "a.h5", data, **LAYOUTS[layout])
    got = array.read_2d(np.array([80, 3, 3]), slice(2, 40))
    assert got.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(got, data[[80, 3, 3], 2:40])
    np.testing.assert_array_equal(array.read_2d([5, 1], [7, 2, 2]), data[[5, 1]][:, [7, 2, 2]])
    np.testing.assert_array_equal(array.read_rows(9, 71), data[9:71])


@pytest.mark.parametrize("layout", ["contiguous", "chunked"])
def test_three_axes_and_one(tmp_path: Path, layout: str) -> None:
    cube = np.arange(6 * 7 * 8).reshape(6, 7, 8)
    options = {"chunks": (2, 3, 8), "compression": "gzip"} if layout == "chunked" else {}
    array = opened(tmp_path / "a.h5", cube, **options)
    np.testing.assert_array_equal(array.read_2d([4, 0], [6, 1, 1]), cube[[4, 0]][:, [6, 1, 1]])
    np.testing.assert_array_equal(array.read_rows(1, 5), cube[1:5])
    line = opened(tmp_path / "b.h5", np.arange(90), **({"chunks": (9,)} if options else {}))
    np.testing.assert_array_equal(line.read_2d([80, 2, 2]), [80, 2, 2])
    np.testing.assert_array_equal(line.read_rows(7, 30), np.arange(7, 30))


def test_only_chunks_that_are_hit(tmp_path: Path) -> None:
    data = np.zeros((100, 100), np.float32)
    array = opened(tmp_path / "a.h5", data, chunks=(10, 10), compression="gzip")
    with count_reads() as counter:
        array.read_2d([5, 7, 95], slice(18, 22))
    assert counter.chunks == 4
    assert counter.bytes_decoded == 4 * 400
    array = opened(tmp_path / "b.h5", data)
    with count_reads() as counter:
        array.read_2d([5, 95])
    assert counter.bytes_read == 2 * 400


def test_unwritten_boxes(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset("X", (30, 30), "f4", chunks=(10, 10), fillvalue=2.5)
        made[12:15, 12:15] = 1
        array, wanted = StoredArray.of(made, path), made[()]
    np.testing.assert_array_equal(array.read_rows(0, 30), wanted)


def test_absurd_shapes_cost_what_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        line = StoredArray.of(file.create_dataset("x", (2**60,), "f4", chunks=(1000,)), path)
        page = StoredArray.of(file.create_dataset("y", (2**30, 2**30), "f8", chunks=(9, 9)), path)
    np.testing.assert_array_equal(line.read(2**59, 2**59 + 5), np.zeros(5))
    np.testing.assert_array_equal(line.read_ranges([2**60 - 1], [2**60]), [0])
    np.testing.assert_array_equal(page.read_2d([2**29, 0], slice(7, 12)), np.zeros((2, 5)))


def test_wrong_selections(tmp_path: Path) -> None:
    array = opened(tmp_path / "a.h5", np.zeros(SHAPE))
    for rows in ([SHAPE[0]], [-SHAPE[0] - 1], np.zeros(3, bool), [[1, 2]]):
        with pytest.raises(IndexError):
            array.read_2d(rows)
    with pytest.raises(ValueError, match="one axis"):
        array.read(0, 1)
