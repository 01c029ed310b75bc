"""The python blocks of README.md run, in order, in one namespace."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def python_blocks(text: str) -> list[str]:
    return BLOCK.findall(text)


def test_readme_runs(tmp_path, monkeypatch):
    """Blocks may use the file ``atlas.h5ad`` of the working directory."""
    pytest.importorskip("matplotlib", reason="README draws")
    pytest.importorskip("umap", reason="README clusters")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)
    import lazyomics as lo

    lo.datasets.simulate("atlas.h5ad", n_obs=600, n_vars=3000)
    blocks = python_blocks(README.read_text(encoding="utf-8"))
    assert blocks
    namespace: dict[str, object] = {"__name__": "readme"}
    for number, block in enumerate(blocks, 1):
        exec(compile(block, f"README.md, python block {number}", "exec"), namespace)


def test_blocks_are_found():
    assert python_blocks("a\n```python\nx = 1\n```\n```\nno\n```\n") == ["x = 1\n"]
