from __future__ import annotations

from pathlib import Path

import pytest

from tests.io.transaction.changes import make_file


@pytest.fixture(params=["h5ad", "user_block", "latest"])
def any_file(request, tmp_path) -> Path:
    """A small file in each of the layouts that HDF5 has."""
    folder = tmp_path / "files"
    folder.mkdir()
    return make_file(folder / "a.h5", request.param)


@pytest.fixture
def small_file(tmp_path) -> Path:
    folder = tmp_path / "small"
    folder.mkdir()
    return make_file(folder / "a.h5", "h5ad")
