from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import lazyomics
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


@pytest.fixture
def run_as() -> Callable[..., str]:
    """Run a program that may call ``drop(user, *groups)`` to go on as another user."""
    start = (
        "import os, sys, warnings\n"
        "def drop(user, *groups):\n"
        "    os.setgroups(groups); os.setgid(user); os.setuid(user)\n"
    )

    def run(code: str, *arguments: object) -> str:
        ran = subprocess.run(
            [sys.executable, "-c", start + code, *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=Path(lazyomics.__file__).parent.parent,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    return run
