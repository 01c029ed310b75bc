"""Loops that reading needs, as machine code that holds no lock of Python.

LLVM, which numba brings, makes them of `c_loops_text` in 0.02 to 0.04 s. Written for numba they
would be shorter, but numba takes 0.35 s and 65 MB to run the first loop of a process, which is more
than many a read takes as a whole.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.importing import import_whole
from lazyomics.kernels.c_loops_text import INDEX_BITS, SHUFFLED_WIDTHS, loops_text

__all__ = ["WORDS", "CLoops", "c_loops", "c_loops_are_up"]

#: Words of a call: the function's address, and what it is called with. All are passed in registers,
#: so that a function that takes fewer does not see the others.
WORDS = 7


@dataclass(frozen=True)
class CLoops:
    """The loops as C functions.

    Parameters
    ----------
    copy_pieces
        Address of ``copy_pieces(memcpy, pieces, first, last, from, into)``.
    find
        For each number of bits of an index the address of
        ``find(indices, n, wanted, places, base)``, which returns how many places there are.
    sum_rows
        Address of ``sum_rows(floats, pointers, rows, doubles)``.
    unshuffle
        For each width of elements the address of ``unshuffle(planes, elements, out)``, for 16
        elements or more.
    """

    copy_pieces: int
    find: dict[int, int]
    sum_rows: int
    unshuffle: dict[int, int]
    _run_calls: Callable[[int, int, int], None]
    _owner: Any  # of the machine code

    def run(self, calls: NDArray[np.int64]) -> NDArray[np.int64]:
        """Call C functions one after the other, without Python's lock.

        Parameters
        ----------
        calls
            (n, 7), int64: the function's address, and six words. What they point to must stay.

        Returns
        -------
        (n,), int64: what the functions returned; of those that return less than a word, the rest
        of the word has no meaning.
        """
        calls = np.ascontiguousarray(calls)
        results = np.empty(len(calls), np.int64)
        self._run_calls(calls.ctypes.data, results.ctypes.data, len(calls))
        return results

    def call(self, *words: int) -> int:
        """Call one C function, named first by its address, as `run` does."""
        (result,) = self.run(np.array([words + (0,) * (WORDS - len(words))], np.int64))
        return int(result)


_made: list[CLoops] = []
_making = Lock()


def c_loops_are_up() -> bool:
    """Whether they were made in this process already."""
    return bool(_made)


def c_loops() -> CLoops | None:
    """The loops; None where functions are not called as assumed here."""
    if os.name != "posix" or sys.maxsize < 1 << 32 or sys.byteorder != "little":
        return None
    with _making:
        if not _made:
            _made.append(_make())
        return _made[0]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_making.acquire, after_in_parent=_making.release, after_in_child=_making.release
    )


def _make() -> CLoops:
    binding: Any = import_whole("llvmlite.binding")

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_triple(binding.get_process_triple()).create_target_machine(opt=2)
    engine = binding.create_mcjit_compiler(binding.parse_assembly(loops_text()), target)
    engine.finalize_object()
    word = ctypes.c_int64
    run = ctypes.CFUNCTYPE(None, word, word, word)(engine.get_function_address("run_calls"))
    found = {b: engine.get_function_address(f"find{b}") for b in INDEX_BITS}
    unshuffle = {w: engine.get_function_address(f"unshuffle{w}") for w in SHUFFLED_WIDTHS}
    copy, total = (engine.get_function_address(name) for name in ("copy_pieces", "sum_rows"))
    return CLoops(copy, found, total, unshuffle, run, engine)
