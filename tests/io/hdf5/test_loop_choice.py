"""When many parts are read in one call."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lazyomics.io.hdf5 import ranges
from lazyomics.io.hdf5.ranges import is_worth_a_loop


def source(megabytes: int = 1024, is_local: bool = True) -> Any:
    fingerprint = SimpleNamespace(shape=(megabytes << 18,), dtype="f4")
    known, file = SimpleNamespace(fingerprint=fingerprint), SimpleNamespace(is_local=is_local)
    return SimpleNamespace(known=known, file=file)


@pytest.mark.parametrize("are_up", [False, True])
def test_loops_are_made_for_large_datasets(are_up: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "compiler_is_up", lambda: are_up)
    assert is_worth_a_loop(source(), 200)
    assert is_worth_a_loop(source(50), 200) == are_up
    assert not is_worth_a_loop(source(), 10)
    assert not is_worth_a_loop(source(is_local=False), 200)
