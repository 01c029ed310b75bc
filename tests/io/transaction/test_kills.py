"""A saving process is killed at random moments. ``make faults`` does it more often."""

from __future__ import annotations

import signal

import pytest

from tests.faults.kill_saves import kill_saves


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
def test_nothing_is_lost_when_the_process_is_killed(tmp_path) -> None:
    result = kill_saves(tmp_path, kills=8, seed=0)
    assert result.kills == 8
    assert result.damaged == 0
    assert result.saves > result.kills  # the first save of each process is not disturbed
