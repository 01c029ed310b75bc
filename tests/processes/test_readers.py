"""Processes that read while one saves. ``make faults`` does it longer."""

from __future__ import annotations

import pytest

from tests.faults.read_while_saving import read_while_saving
from tests.faults.rewrite_x import rewrite_x


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


@pytest.mark.parametrize("program", ["h5py", "mudata"])
def test_x_of_a_modality_is_rewritten_while_others_read_it(tmp_path, program) -> None:
    pytest.importorskip(program, reason="another program that reads the file")
    result = rewrite_x(tmp_path / "a.h5mu", seconds=2, cells=3_000, genes=100, backed=(program,))
    assert result.wrong == ()
    assert result.saves > 0
    assert result.reads > 0
    assert result.backed_reads > 0
