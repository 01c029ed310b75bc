"""When the compiled loop is loaded for a read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lazyomics.io.chunks import loop_choice
from lazyomics.io.chunks.loop_choice import is_worth_a_loop


def source(megabytes: int = 1024, is_local: bool = True) -> Any:
    fingerprint = SimpleNamespace(shape=(megabytes << 18,), dtype="f4")
    known, file = SimpleNamespace(fingerprint=fingerprint), SimpleNamespace(is_local=is_local)
    return SimpleNamespace(known=known, file=file)


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_choice, "_one_by_one", 0)


@pytest.fixture(params=[False, True])
def is_up(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(loop_choice, "compiler_is_up", lambda: request.param)
    return bool(request.param)


def test_a_pass_over_a_large_dataset_loads_the_loop(is_up: bool) -> None:
    assert is_worth_a_loop(source(), 200, share=1.0)


def test_a_selection_loads_it_when_it_cost_as_much_as_loading(is_up: bool) -> None:
    chosen = [is_worth_a_loop(source(), 200, share=0.2) for _ in range(60)]
    expected = 0 if is_up else loop_choice.PARTS_LIKE_LOADING // 200
    assert chosen == [False] * expected + [True] * (60 - expected)


def test_few_parts_of_a_small_or_remote_file_are_read_without(is_up: bool) -> None:
    assert is_worth_a_loop(source(), 20, share=1.0) == is_up
    assert is_worth_a_loop(source(100), 200, share=1.0) == is_up
    assert not is_worth_a_loop(source(), 10, share=1.0)
    assert not is_worth_a_loop(source(50), 200, share=1.0)
    assert not is_worth_a_loop(source(is_local=False), 200, share=1.0)
