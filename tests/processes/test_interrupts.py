"""Ctrl-C at random moments. ``make faults`` does it more often."""

from __future__ import annotations

import os

import pytest

from tests.faults.interrupt_work import KINDS, interrupt


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_ctrl_c_stops_all_work_and_leaves_the_object_usable(tmp_path) -> None:
    result = interrupt(tmp_path, rounds=2, seed=2, cells=3_000)
    assert result.wrong == []
    assert sum(map(len, result.seconds.values())) + len(result.lost) == 2 * len(KINDS)
    assert len(result.lost) <= 4, result.lost  # all but some are raised
