"""The scratch file of transpositions: what is said when it cannot be written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.io import transpose
from lazyomics.io.transpose import ScratchFile


def test_a_full_disk_names_the_folder_and_what_is_missing(tmp_path, monkeypatch) -> None:
    real = os.pwrite

    def full(descriptor: int, data: bytes, position: int) -> int:
        if position >= 4000:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        return real(descriptor, data[:4000], position)

    with ScratchFile(tmp_path) as file:
        file.put(np.ones(100))
        monkeypatch.setattr(os, "pwrite", full)
        expected = f"scratch in {tmp_path} cannot be written: .*uota.* 4.69 kiB were put there, "
        with pytest.raises(OSError, match=f"{expected}and at least 4.69 kiB more") as caught:
            file.put(np.ones(1200 - 100))
    assert caught.value.errno == errno.EDQUOT


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch) -> None:
    def refuse(**arguments: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(transpose.tempfile, "TemporaryFile", refuse)
    with pytest.raises(PermissionError, match=f"scratch in {tmp_path}.*scratch_dir="):
        ScratchFile(tmp_path)


def test_a_transposition_without_scratch_leaves_nothing(tmp_path, monkeypatch) -> None:
    class Full(ScratchFile):
        def put(self, values: np.ndarray) -> int:
            raise self._failure(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), values.nbytes)

    monkeypatch.setattr("lazyomics.io.transpose.ScratchFile", Full)
    lo.AnnData(sp.random(200, 100, 0.3, format="csr", random_state=0)).write_h5ad(tmp_path / "s")
    adata = lo.read_h5ad(tmp_path / "s")
    folder = tmp_path / "target"
    folder.mkdir()
    with pytest.raises(OSError, match=r"No space left on device.*scratch_dir"):
        lo.transpose_storage(adata, folder / "a.h5ad", to="csc", memory="10 kB")
    assert list(Path(folder).iterdir()) == []
