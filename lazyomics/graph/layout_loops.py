"""Compiled loops of the UMAP layout. Importing this module imports numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.compiled import jit

__all__ = ["move", "move_in_plane"]

# Forces are looked up by the bits of the squared distance: exponent and five bits of the mantissa
# say between which knots it lies, the other eighteen how far.
KNOT_BITS = 5
PART_BITS = 23 - KNOT_BITS
LOWEST, HIGHEST = -24, 16  # powers of two between which forces are tabulated
FIRST_KNOT = np.int32((LOWEST + 127) << KNOT_BITS)
LAST_KNOT = np.int32(((HIGHEST - LOWEST) << KNOT_BITS) - 1)
PART_MASK = np.int32((1 << PART_BITS) - 1)
PART_SCALE = np.float32(2.0**-PART_BITS)

STRONGEST = np.float32(4)  # pull in one direction, as in umap-learn
STEADY = np.float32(0.5)  # of Adam: how much of the last direction is kept
STEADY_SIZE = np.float32(0.9)  # and of its size
TINY = np.float32(1e-7)

# SplitMix64: random numbers that follow from a counter, in whatever order they are asked for.
STEP = np.uint64(0x9E3779B97F4A7C15)
BY_EPOCH = np.uint64(0xD1B54A32D192ED03)
BY_CELL = np.uint64(0x8CB92BA72F3D8DD7)


@jit
def _mix(state: Any) -> Any:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


@jit
def _force(table: NDArray[np.float32], squared: Any) -> Any:
    """Force at a squared distance, between two knots of a table."""
    bits = np.float32(squared).view(np.int32)
    knot = (bits >> PART_BITS) - FIRST_KNOT
    if knot < 0:
        return table[0, 0]
    if knot > LAST_KNOT:
        return table[LAST_KNOT, 0] + table[LAST_KNOT, 1]
    return table[knot, 0] + table[knot, 1] * (np.float32(bits & PART_MASK) * PART_SCALE)


@jit
def _first_state(seed: Any, epoch: int, cell: int) -> Any:
    """State from which the numbers of a cell in an epoch follow."""
    return _mix(seed * STEP + np.uint64(epoch) * BY_EPOCH + np.uint64(cell) * BY_CELL)


@jit
def _averaged(
    direction: NDArray[np.float32], size: NDArray[np.float32], k: int, pull: Any, grown: Any
) -> Any:
    """Put a pull into the averages of Adam along one axis; return where to, and what divides it."""
    ahead = STEADY * direction[k] + (np.float32(1) - STEADY) * pull
    squares = STEADY_SIZE * size[k] + (np.float32(1) - STEADY_SIZE) * pull * pull
    direction[k] = ahead
    size[k] = squares
    return ahead / grown[0], np.sqrt(squares / grown[1]) + TINY


@jit
def _grown(epoch: int) -> Any:
    """Averages of Adam begin at zero: divided by these, they are those of the epochs that were."""
    direction = np.float32(1 - np.float64(STEADY) ** (epoch + 1))
    return direction, np.float32(1 - np.float64(STEADY_SIZE) ** (epoch + 1))


@jit
def _clipped(pull: Any) -> Any:
    return min(STRONGEST, max(-STRONGEST, pull))


@jit
def move(
    positions: NDArray[np.float32],
    moved: NDArray[np.float32],
    direction: NDArray[np.float32],
    size: NDArray[np.float32],
    start: NDArray[Any],
    neighbors: NDArray[Any],
    every: NDArray[np.float32],
    due: NDArray[np.float32],
    attraction: NDArray[np.float32],
    repulsion: NDArray[np.float32],
    n_negative: int,
    seed: Any,
    epoch: int,
    rate: Any,
    first: int,
    stop: int,
) -> None:
    """Move some cells one epoch on; all see where the others were before. In any dimensions.

    Parameters
    ----------
    positions
        (n, d), before.
    moved
        (n, d), filled for the cells from ``first`` to ``stop``.
    direction, size
        (n, d), the averages of Adam, changed in place for these.
    start, neighbors
        Rows of the graph.
    every, due
        Of each edge: every how many epochs it pulls, and when it does so next (changed).
    attraction, repulsion
        Forces at the knots, and how much they change to the next one, shape (knots, 2).
    n_negative
        Cells drawn to be repelled by, for each edge that pulls.
    seed
        uint64.
    epoch, rate
        Number of the epoch, from 0, and the length of its steps.
    """
    n, width = positions.shape
    pull = np.empty(width, dtype=np.float32)
    grown = _grown(epoch)
    for cell in range(first, stop):
        pull[:] = 0
        drawn = 0
        for edge in range(start[cell], start[cell + 1]):
            if due[edge] > epoch:
                continue
            due[edge] += every[edge]
            drawn += n_negative
            other = neighbors[edge]
            squared = np.float32(0)
            for k in range(width):
                apart = positions[cell, k] - positions[other, k]
                squared += apart * apart
            if squared > 0:
                force = _force(attraction, squared)
                for k in range(width):
                    apart = positions[cell, k] - positions[other, k]
                    # Twice, as the edge pulls from its other end, too.
                    pull[k] += np.float32(2) * _clipped(force * apart)
        state = _first_state(seed, epoch, cell)
        for _ in range(drawn):
            state += STEP
            chance = _mix(state) >> np.uint64(32)
            other = np.int64((chance * np.uint64(n)) >> np.uint64(32))
            if other == cell:
                continue
            squared = np.float32(0)
            for k in range(width):
                apart = positions[cell, k] - positions[other, k]
                squared += apart * apart
            force = _force(repulsion, squared)
            for k in range(width):
                pull[k] += _clipped(force * (positions[cell, k] - positions[other, k]))
        for k in range(width):
            ahead, steps = _averaged(direction[cell], size[cell], k, pull[k], grown)
            moved[cell, k] = positions[cell, k] + rate * ahead / steps


@jit
def move_in_plane(
    positions: NDArray[np.float32],
    moved: NDArray[np.float32],
    direction: NDArray[np.float32],
    size: NDArray[np.float32],
    start: NDArray[Any],
    neighbors: NDArray[Any],
    every: NDArray[np.float32],
    due: NDArray[np.float32],
    attraction: NDArray[np.float32],
    repulsion: NDArray[np.float32],
    n_negative: int,
    seed: Any,
    epoch: int,
    rate: Any,
    first: int,
    stop: int,
) -> None:
    """Do what `move` does in two dimensions, where sums stay in registers: in a third of its time.

    Each random number gives two draws.
    """
    n = len(positions)
    grown = _grown(epoch)
    low = np.uint64(0xFFFFFFFF)
    for cell in range(first, stop):
        x, y = positions[cell, 0], positions[cell, 1]
        pull_x = pull_y = np.float32(0)
        drawn = 0
        for edge in range(start[cell], start[cell + 1]):
            if due[edge] > epoch:
                continue
            due[edge] += every[edge]
            drawn += n_negative
            other = neighbors[edge]
            dx, dy = x - positions[other, 0], y - positions[other, 1]
            squared = dx * dx + dy * dy
            if squared > 0:
                force = _force(attraction, squared)
                pull_x += np.float32(2) * _clipped(force * dx)
                pull_y += np.float32(2) * _clipped(force * dy)
        state = _first_state(seed, epoch, cell)
        number = np.uint64(0)
        for k in range(drawn):
            if k & 1:
                chance = number & low
            else:
                state += STEP
                number = _mix(state)
                chance = number >> np.uint64(32)
            other = np.int64((chance * np.uint64(n)) >> np.uint64(32))
            dx, dy = x - positions[other, 0], y - positions[other, 1]  # the cell itself: 0
            force = _force(repulsion, dx * dx + dy * dy)
            pull_x += _clipped(force * dx)
            pull_y += _clipped(force * dy)
        for k in range(2):
            pull = pull_y if k else pull_x
            ahead, steps = _averaged(direction[cell], size[cell], k, pull, grown)
            moved[cell, k] = positions[cell, k] + rate * ahead / steps
