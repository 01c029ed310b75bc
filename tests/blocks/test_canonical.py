"""What is believed of the positions in compressed lines."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from lazyomics.blocks.canonical import index_state

SIZE = 6


def expected(lines: list[list[int]]) -> str:
    if any(not 0 <= i < SIZE for line in lines for i in line):
        return "outside"
    rising = all(a < b for line in lines for a, b in pairwise(line))
    return "canonical" if rising else "unsorted"


@pytest.mark.parametrize(
    ("lines", "state"),
    [
        ([], "canonical"),
        ([[], []], "canonical"),
        ([[], [5], [], [0, 1], []], "canonical"),
        ([[3, 3]], "unsorted"),
        ([[1, 0], [-1]], "outside"),
        ([[0], [-1, 2]], "outside"),
        ([[0, SIZE], [1]], "outside"),
        ([[5, 0, SIZE]], "outside"),
    ],
)
def test_known_states(lines: list[list[int]], state: str) -> None:
    assert expected(lines) == state
    assert _state(lines) == state


def test_random_lines() -> None:
    rng, seen = np.random.default_rng(0), set()
    for _ in range(3000):
        lines = [
            np.unique(rng.integers(0, SIZE, rng.integers(0, 4))).tolist()
            for _ in range(rng.integers(0, 6))
        ]
        if rng.random() < 0.6 and any(lines):  # spoil one of them
            line = next(line for line in lines if line)
            line[rng.integers(len(line))] = int(rng.integers(-2, SIZE + 2))
        assert _state(lines) == expected(lines), lines
        seen.add(expected(lines))
    assert seen == {"canonical", "unsorted", "outside"}


def _state(lines: list[list[int]]) -> str:
    indices = np.array([i for line in lines for i in line], np.int32)
    indptr = np.cumsum([0, *map(len, lines)])
    return index_state(indices, indptr, SIZE)
