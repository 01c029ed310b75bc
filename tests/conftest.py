"""Fixtures that all tests share: real files, and counted passes over a stored matrix."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

# A shell makes what it starts in the background ignore Ctrl-C, of which some tests are about.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep no more than LAZYOMICS_MOST_CASES cases of a function, drawn by their names."""
    most = int(os.environ.get("LAZYOMICS_MOST_CASES", "0"))
    if not most:
        return
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    drawn = {
        item
        for same in cases.values()
        for item in sorted(same, key=lambda item: sha256(item.nodeid.encode()).digest())[:most]
    }
    config.hook.pytest_deselected(items=[item for item in items if item not in drawn])
    items[:] = [item for item in items if item in drawn]


@pytest.fixture(autouse=True)
def printing() -> Iterator[None]:
    """NumPy prints as before: scanpy's diffusion maps change it for the process."""
    with np.printoptions():
        yield


def data_folder() -> Path | None:
    """The folder of real test files: LAZYOMICS_TEST_DATA, else ../shared/data."""
    named = os.environ.get("LAZYOMICS_TEST_DATA")
    for folder in (Path(named) if named else None, REPOSITORY.parent / "shared" / "data"):
        if folder is not None and folder.is_dir():
            return folder
    return None


@pytest.fixture(scope="session")
def data_file() -> Callable[[str], Path]:
    """Path of a real file by name; skips the test where it cannot be had."""

    def find(name: str) -> Path:
        folder = data_folder()
        if folder is None or not (folder / name).exists():
            pytest.skip(f"{name} not found: set LAZYOMICS_TEST_DATA to the folder with test files")
        return folder / name

    return find


@dataclass
class Passes:
    """How often a stored matrix was read: 1.0 is each of its values once."""

    values: float = 0.0
    indices: float = 0.0


@pytest.fixture
def count_passes() -> Callable[..., AbstractContextManager[Passes]]:
    """``with count_passes(path, "X") as passes: …`` then look at ``passes.values``."""
    from lazyomics.io.hdf5 import count_reads

    @contextmanager
    def counting(path: str | Path, element: str = "X") -> Iterator[Passes]:
        passes = Passes()
        sizes = _decoded_sizes(path, element)
        with count_reads() as counter:
            yield passes
        for part, size in sizes.items():
            read = counter.by_dataset[str(Path(path).absolute()), part].bytes_decoded / size
            if part.endswith("/indices"):
                passes.indices = read
            else:
                passes.values = read

    return counting


def _decoded_sizes(path: str | Path, element: str) -> dict[str, int]:
    """Bytes of the datasets that hold the values (and indices) of a matrix."""
    with h5py.File(path, "r") as file:
        stored = file[element]
        parts = {element: stored}
        if isinstance(stored, h5py.Group):
            parts = {f"{element}/{p}": stored[p] for p in ("data", "indices")}
        return {name: max(1, d.size * d.dtype.itemsize) for name, d in parts.items()}
