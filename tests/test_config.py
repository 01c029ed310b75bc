from __future__ import annotations

import subprocess
import sys

import dask
import pytest

from lazyomics import config


def test_sizes_are_parsed() -> None:
    with dask.config.set({"lazyomics.chunk-bytes": "8 MiB", "lazyomics.memory": "1 GiB"}):
        assert config.chunk_bytes() == 8 << 20
        assert config.memory() == 1 << 30


def test_a_share_of_memory() -> None:
    with dask.config.set({"lazyomics.memory": "50 %"}):
        half = config.memory()
    with dask.config.set({"lazyomics.memory": "10 %"}):
        tenth = config.memory()
    assert 3 < half / tenth < 7


def test_nonsense_is_refused() -> None:
    with (
        dask.config.set({"lazyomics.chunk-bytes": 0}),
        pytest.raises(ValueError, match="chunk-bytes"),
    ):
        config.chunk_bytes()


def test_defaults_are_in_dask() -> None:
    assert dask.config.get("lazyomics.chunk-bytes") == "32 MiB"
    assert config.progress_after() is None


@pytest.mark.parametrize("when", ["before", "after"])
def test_array_expressions_of_dask_are_refused(when) -> None:
    """Set before or after lazyomics is imported, they are told about before a file is opened."""
    lines = ["import dask", "dask.config.set({'array.query-planning': True})"]
    lines.insert(0 if when == "after" else 2, "import lazyomics as lo")
    code = "\n".join([*lines, "import lazyomics.lazy", "lo.lazy.as_lazy"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    message = done.stderr.splitlines()[-1]
    assert message.startswith("lazyomics.errors.UnsupportedError")
    assert "dask.config.set({'array.query-planning': False})" in message
