"""The reference object of these tests in files written by anndata."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.container.reference import reference


@pytest.fixture(params=["csr", "csc", "dense"])
def stored(request, tmp_path) -> Path:
    """The reference object, written by anndata."""
    path = tmp_path / f"{request.param}.h5ad"
    reference(x=request.param).write_h5ad(path)
    return path


@pytest.fixture
def one_file(tmp_path) -> Path:
    """The reference object with a CSR matrix, written by anndata."""
    path = tmp_path / "one.h5ad"
    reference().write_h5ad(path)
    return path
