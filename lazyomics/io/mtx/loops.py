"""Compiled loops that read the lines of Matrix Market files.

Importing this module imports numba: `entries` does it when it has text to parse.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.compiled import jit

__all__ = ["PROBLEMS", "parse_lines"]

# Powers of ten that float64 holds exactly: a number of up to 2**53 times or through one of these is
# rounded once, as it is when Python reads it.
POWERS = 10.0 ** np.arange(23)
EXACT = 1 << 53
LONGEST = 10**17  # one more digit fits int64

#: What the lines lack, by the number that the loop gives.
PROBLEMS = {
    1: "the number of a row",
    2: "the number of a column",
    3: "a value",
    4: "the end of the line",
    5: "a row of the matrix",
    6: "a column of the matrix",
}


@jit
def _ends(byte: Any) -> bool:
    """Whether a byte is a blank or the end of a line."""
    return bool(byte == 32 or byte == 10 or byte == 9 or byte == 13)


@jit
def _skip_blanks(text: NDArray[np.uint8], place: int) -> int:
    while text[place] != 10 and _ends(text[place]):
        place += 1
    return place


@jit
def _digits(text: NDArray[np.uint8], place: int, number: Any) -> tuple[Any, int]:
    """Append digits to a number; return it, and where they end or become too many."""
    while 48 <= text[place] <= 57 and number < LONGEST:
        number = number * 10 + (np.int64(text[place]) - np.int64(48))
        place += 1
    return number, place


@jit
def _sign(text: NDArray[np.uint8], place: int) -> tuple[int, int]:
    """1 or -1, and the place behind a sign."""
    if text[place] == 45:
        return -1, place + 1
    return 1, place + 1 if text[place] == 43 else place


@jit
def _integer(text: NDArray[np.uint8], place: int) -> tuple[int, int, bool]:
    """An integer, where it ends, and whether it was read."""
    sign, start = _sign(text, place)
    number, place = _digits(text, start, 0)
    return sign * number, place, place > start and _ends(text[place])


@jit
def _real(text: NDArray[np.uint8], place: int) -> tuple[float, int, bool]:
    """A number, where it ends, and whether it was read without a doubt about its last bit."""
    sign, start = _sign(text, place)
    number, place = _digits(text, start, 0)
    count, scale = place - start, 0
    if text[place] == 46:
        start = place + 1
        number, place = _digits(text, start, number)
        count, scale = count + place - start, start - place
    if count > 0 and (text[place] == 101 or text[place] == 69):
        below, start = _sign(text, place + 1)
        power, place = _digits(text, start, 0)
        count = 0 if place == start else count
        scale += below * power
    good = count > 0 and _ends(text[place]) and number <= EXACT and -23 < scale < 23
    if not good:
        return 0.0, place, False
    real = number * POWERS[scale] if scale >= 0 else number / POWERS[-scale]
    return sign * real, place, True


@jit
def parse_lines(
    text: NDArray[np.uint8],
    has_values: bool,
    is_whole: bool,
    shape: tuple[int, int],
    positions: NDArray[Any],
    values: NDArray[Any],
    aside: NDArray[np.int64],
) -> tuple[int, int, int, int]:
    """Read lines of a row, a column and a value.

    Parameters
    ----------
    text
        (n_bytes,), uint8: whole lines, the last with its end.
    has_values, is_whole
        Whether lines have a value, and whether it is an integer.
    shape
        Of the matrix: positions count from 1.
    positions, values
        (2, n_lines) and (n_lines,): filled with the entries, positions counted from 0. Values are
        int64 where they are integers, else float64.
    aside
        (n_lines, 3), int64: filled with the entry, start and stop of values that are left for
        Python to read: those of many digits, and texts.

    Returns
    -------
    Entries, values that were put aside, lines that were read, and the problem with the last of
    these, 0 for none.
    """
    n, n_aside, n_lines, place = 0, 0, 0, 0
    while place < len(text):
        n_lines += 1
        place = _skip_blanks(text, place)
        if text[place] == 10:
            place += 1
            continue
        for axis in range(2):
            start = place
            number, place = _digits(text, start, 0)
            if place == start or not _ends(text[place]):
                return n, n_aside, n_lines, axis + 1
            if number < 1 or number > shape[axis]:
                return n, n_aside, n_lines, axis + 5
            positions[axis, n] = number - 1
            place = _skip_blanks(text, place)
        if has_values:
            if text[place] == 10:
                return n, n_aside, n_lines, 3
            start = place
            if is_whole:
                values[n], place, good = _integer(text, start)
            else:
                values[n], place, good = _real(text, start)
            while not _ends(text[place]):
                place += 1
            if not good:
                aside[n_aside, 0], aside[n_aside, 1], aside[n_aside, 2] = n, start, place
                n_aside += 1
            place = _skip_blanks(text, place)
        else:
            values[n] = 1
        if text[place] != 10:
            return n, n_aside, n_lines, 4
        n, place = n + 1, place + 1
    return n, n_aside, n_lines, 0
