"""Whatever an object shows is of one state of its file, and a save merges with those of others."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.state.machine import OneFile, OneMuData, end_other_process, steps_taken

EXAMPLES = int(os.environ.get("LAZYOMICS_HISTORIES", "15"))
STEPS = 50


@pytest.fixture(autouse=True)
def other_process() -> Iterator[None]:
    yield
    end_other_process()


@pytest.mark.parametrize("machine", [OneFile, OneMuData])
def test_random_histories(machine) -> None:
    """Objects in two processes open, select, copy, change, save and replace one file.

    The same histories each time, but for more of them: ``LAZYOMICS_HISTORIES=2000`` takes others.
    """
    more = "LAZYOMICS_HISTORIES" in os.environ
    before = steps_taken[0]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            derandomize=not more,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.generate),
        ),
    )
    print(steps_taken[0] - before, "steps")
    assert steps_taken[0] - before >= 20 * EXAMPLES
