"""Loops of machine code that need no numba, and their text."""

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

__all__ = [
    "INDEX_BITS",
    "SHUFFLED_WIDTHS",
    "WORDS",
    "CLoops",
    "c_loops",
    "c_loops_are_up",
    "loops_text",
]


# %calls holds %n calls of seven words each, %results takes what they return.
_RUN_CALLS = """
define void @run_calls(i64* %calls, i64* %results, i64 %n) {
entry:
  %none = icmp slt i64 %n, 1
  br i1 %none, label %done, label %loop
loop:
  %k = phi i64 [0, %entry], [%next, %loop]
  %first = mul i64 %k, 7
  %call = getelementptr i64, i64* %calls, i64 %first
  %address = load i64, i64* %call
  %at_a = getelementptr i64, i64* %call, i64 1
  %at_b = getelementptr i64, i64* %call, i64 2
  %at_c = getelementptr i64, i64* %call, i64 3
  %at_d = getelementptr i64, i64* %call, i64 4
  %at_e = getelementptr i64, i64* %call, i64 5
  %at_f = getelementptr i64, i64* %call, i64 6
  %a = load i64, i64* %at_a
  %b = load i64, i64* %at_b
  %c = load i64, i64* %at_c
  %d = load i64, i64* %at_d
  %e = load i64, i64* %at_e
  %f = load i64, i64* %at_f
  %function = inttoptr i64 %address to i64 (i64, i64, i64, i64, i64, i64)*
  %found = call i64 %function(i64 %a, i64 %b, i64 %c, i64 %d, i64 %e, i64 %f)
  %result = getelementptr i64, i64* %results, i64 %k
  store i64 %found, i64* %result
  %next = add i64 %k, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""

# Copies pieces %first to %last by memcpy; %pieces holds target, source and length of each.
_COPY_PIECES = """
define i64 @copy_pieces(i64 %memcpy, i64 %pieces, i64 %first, i64 %last, i64 %from, i64 %into) {
entry:
  %copy = inttoptr i64 %memcpy to i64 (i64, i64, i64)*
  %table = inttoptr i64 %pieces to i64*
  %some = icmp slt i64 %first, %last
  br i1 %some, label %loop, label %done
loop:
  %k = phi i64 [%first, %entry], [%next, %loop]
  %row = mul i64 %k, 3
  %at_target = getelementptr i64, i64* %table, i64 %row
  %at_source = getelementptr i64, i64* %at_target, i64 1
  %at_length = getelementptr i64, i64* %at_target, i64 2
  %target = load i64, i64* %at_target
  %source = load i64, i64* %at_source
  %length = load i64, i64* %at_length
  %goal = add i64 %into, %target
  %begin = add i64 %from, %source
  %ignored = call i64 %copy(i64 %goal, i64 %begin, i64 %length)
  %next = add i64 %k, 1
  %more = icmp slt i64 %next, %last
  br i1 %more, label %loop, label %done
done:
  ret i64 0
}
"""

# Writes %base + k for each k whose index is %wanted (bytes 0 or 1); there is room for %n of them.
_FIND = """
define i64 @find{bits}(i64 %indices, i64 %n, i64 %wanted, i64 %places, i64 %base, i64 %x) {{
entry:
  %table = inttoptr i64 %indices to i{bits}*
  %flags = inttoptr i64 %wanted to i8*
  %out = inttoptr i64 %places to i64*
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %loop, label %done
loop:
  %k = phi i64 [0, %entry], [%next, %loop]
  %found = phi i64 [0, %entry], [%count, %loop]
  %place = add i64 %base, %k
  %to = getelementptr i64, i64* %out, i64 %found
  store i64 %place, i64* %to
  %at = getelementptr i{bits}, i{bits}* %table, i64 %k
  %index = load i{bits}, i{bits}* %at
{widening}
  %flag = getelementptr i8, i8* %flags, i64 %wide
  %is = load i8, i8* %flag
  %one = zext i8 %is to i64
  %count = add i64 %found, %one
  %next = add i64 %k, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  %all = phi i64 [0, %entry], [%count, %loop]
  ret i64 %all
}}
"""

# Sums the floats of each of %rows, between pointers that rise and lie inside. In two doubles, so
# that an addition need not wait for the one before.
_SUM_ROWS = """
define i64 @sum_rows(i64 %values, i64 %pointers, i64 %rows, i64 %out, i64 %x, i64 %y) {
entry:
  %from = inttoptr i64 %values to float*
  %ends = inttoptr i64 %pointers to i64*
  %sums = inttoptr i64 %out to double*
  %some = icmp sgt i64 %rows, 0
  br i1 %some, label %row, label %done
row:
  %r = phi i64 [0, %entry], [%after, %store]
  %after = add i64 %r, 1
  %at_start = getelementptr i64, i64* %ends, i64 %r
  %at_stop = getelementptr i64, i64* %ends, i64 %after
  %start = load i64, i64* %at_start
  %stop = load i64, i64* %at_stop
  %n = sub i64 %stop, %start
  %paired = and i64 %n, -2
  %last = add i64 %start, %paired
  %pairs = icmp slt i64 %start, %last
  br i1 %pairs, label %pair, label %rest
pair:
  %k = phi i64 [%start, %row], [%next, %pair]
  %even = phi double [0.0, %row], [%more_even, %pair]
  %odd = phi double [0.0, %row], [%more_odd, %pair]
  %beside = add i64 %k, 1
  %at_a = getelementptr float, float* %from, i64 %k
  %at_b = getelementptr float, float* %from, i64 %beside
  %a = load float, float* %at_a
  %b = load float, float* %at_b
  %wide_a = fpext float %a to double
  %wide_b = fpext float %b to double
  %more_even = fadd double %even, %wide_a
  %more_odd = fadd double %odd, %wide_b
  %next = add i64 %k, 2
  %again = icmp slt i64 %next, %last
  br i1 %again, label %pair, label %rest
rest:
  %evens = phi double [0.0, %row], [%more_even, %pair]
  %odds = phi double [0.0, %row], [%more_odd, %pair]
  %left = icmp slt i64 %last, %stop
  br i1 %left, label %single, label %store
single:
  %at_c = getelementptr float, float* %from, i64 %last
  %c = load float, float* %at_c
  %wide_c = fpext float %c to double
  %with_c = fadd double %evens, %wide_c
  br label %store
store:
  %all_even = phi double [%evens, %rest], [%with_c, %single]
  %sum = fadd double %all_even, %odds
  %to = getelementptr double, double* %sums, i64 %r
  store double %sum, double* %to
  %more = icmp slt i64 %after, %rows
  br i1 %more, label %row, label %done
done:
  ret i64 0
}
"""

# Undoes the byte shuffle of %n elements, 16 at a time, the last 16 again if they do not fit.
_UNSHUFFLE = """
define i64 @unshuffle{width}(i64 %planes, i64 %n, i64 %out, i64 %x, i64 %y, i64 %z) {{
entry:
  %last = sub i64 %n, 16
  br label %loop
loop:
  %k = phi i64 [0, %entry], [%next, %loop]
  %beyond = icmp sgt i64 %k, %last
  %at = select i1 %beyond, i64 %last, i64 %k
  %in0 = add i64 %planes, %at
{loads}
{weaving}
  %row = mul i64 %at, {width}
  %to0 = add i64 %out, %row
{stores}
  %next = add i64 %k, 16
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret i64 0
}}
"""

SHUFFLED_WIDTHS = (2, 4, 8)
INDEX_BITS = {32: "  %wide = sext i32 %index to i64", 64: "  %wide = add i64 %index, 0"}
_AT_ONCE = 16


def loops_text() -> str:
    """All loops, as one module."""
    find = (_FIND.format(bits=bits, widening=text) for bits, text in INDEX_BITS.items())
    unshuffle = map(_unshuffle, SHUFFLED_WIDTHS)
    return "".join((_RUN_CALLS, _COPY_PIECES, *find, _SUM_ROWS, *unshuffle))


def _unshuffle(width: int) -> str:
    vector = f"<{_AT_ONCE} x i8>"
    loads, stores = [], []
    for k in range(width):
        if k:
            loads.append(f"  %in{k} = add i64 %in{k - 1}, %n")
            stores.append(f"  %to{k} = add i64 %to{k - 1}, {_AT_ONCE}")
        loads.append(f"  %plane{k} = inttoptr i64 %in{k} to {vector}*")
        loads.append(f"  %v{k} = load {vector}, {vector}* %plane{k}, align 1")
    weaving: list[str] = []
    for k, woven in enumerate(_weave([f"%v{k}" for k in range(width)], weaving)):
        stores.append(f"  %place{k} = inttoptr i64 %to{k} to {vector}*")
        stores.append(f"  store {vector} {woven}, {vector}* %place{k}, align 1")
    parts = {"loads": loads, "weaving": weaving, "stores": stores}
    return _UNSHUFFLE.format(width=width, **{k: "\n".join(lines) for k, lines in parts.items()})


def _weave(planes: list[str], lines: list[str]) -> list[str]:
    """Elements of planes in turn: of the even ones, of the odd ones, and of both."""
    if len(planes) == 1:
        return planes
    pairs = zip(_weave(planes[::2], lines), _weave(planes[1::2], lines), strict=True)
    woven, half, vector = [], _AT_ONCE // 2, f"<{_AT_ONCE} x i8>"
    for a, b in pairs:
        for start in (0, half):
            order = (f"i32 {k + side}" for k in range(start, start + half) for side in (0, 16))
            woven.append(f"%w{len(lines)}")
            lines.append(
                f"  {woven[-1]} = shufflevector {vector} {a}, {vector} {b}, "
                f"<{_AT_ONCE} x i32> <{', '.join(order)}>"
            )
    return woven


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
