"""Processes that read while one saves. ``make faults`` does it longer."""

from __future__ import annotations

import pytest

from tests.faults.read_while_saving import read_while_saving


@pytest.mark.parametrize(
    ("kind", "mode"), [("h5ad", "layers"), ("h5ad", "anew"), ("h5mu", "tables")]
)
def test_readers_see_old_or_new(tmp_path, kind, mode) -> None:
    result = read_while_saving(
        tmp_path / f"a.{kind}", kind=kind, mode=mode, seconds=2, readers=2, cells=3_000, big=20
    )
    assert result.wrong == ()
    assert result.saves > 0
    assert result.reads > 0
