"""Ctrl-C at moments at which an exception would be lost, or end the process."""

from __future__ import annotations

import signal

import h5py
import numpy as np
import pytest

import lazyomics as lo
from lazyomics.io.transaction import atomic_replace, disk, raise_failures, temporary_sibling


class Finalised:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def test_while_an_object_is_finalised(tmp_path) -> None:
    """Python ignores exceptions there: the interrupt is raised when the next block is written."""
    path = tmp_path / "a.h5"
    reached = []

    def write() -> None:
        with atomic_replace(path) as file:
            Finalised()
            file["x"] = 1
            reached.append("written")
            raise_failures()
            reached.append("gone on")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert reached == ["written"]
    assert list(tmp_path.iterdir()) == []


def test_while_hdf5_writes(tmp_path, monkeypatch) -> None:
    real = disk.write

    def interrupted(*args: object) -> None:
        signal.raise_signal(signal.SIGINT)
        real(*args)

    monkeypatch.setattr(disk, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        lo.AnnData(np.ones((300, 200))).write_h5ad(tmp_path / "a.h5ad")
    assert list(tmp_path.iterdir()) == []


def test_at_once_elsewhere(tmp_path) -> None:
    reached = []

    def write() -> None:
        with temporary_sibling(str(tmp_path / "a.h5"), replace=False):
            signal.raise_signal(signal.SIGINT)
            reached.append("gone on")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert reached == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_ignores_it_goes_on(tmp_path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with atomic_replace(tmp_path / "a.h5") as file:
            signal.raise_signal(signal.SIGINT)
            file["x"] = 1
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["x"][()] == 1
