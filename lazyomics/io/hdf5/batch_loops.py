"""Compiled loops that read, decode and place many chunks without the interpreter lock.

Importing this module imports numba: `batch_decode` does it when it first has many chunks to read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from lazyomics.compiled import jit
from lazyomics.io.hdf5.codecs import DEFLATE, LZF, ZSTD

__all__ = ["decode_chunks", "read_extents", "unshuffle"]


def _call_address(
    typing: Any, address: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any
) -> tuple[Any, Any]:
    """Call the C function at an address with up to six integers or pointers.

    On the systems supported here six words are passed in registers, so that a function that takes
    fewer does not see the others. Of a result shorter than a word only the low bits have a meaning.
    """
    word = types.int64

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        native = ir.IntType(64)
        function = ir.FunctionType(native, [native] * 6)
        address = builder.inttoptr(arguments[0], function.as_pointer())
        return builder.call(address, arguments[1:])

    return word(*[word] * 7), generate


_call: Any = intrinsic(_call_address)


@jit
def unshuffle(planes: NDArray[np.uint8], out: NDArray[Any]) -> None:
    """Undo HDF5's byte shuffle.

    Parameters
    ----------
    planes
        (n * width,), uint8: first bytes of all elements, then second bytes, and so on.
    out
        (n,), uint16, uint32 or uint64: the elements, little-endian.

    Notes
    -----
    The bytes of an element are joined by shifts, which LLVM vectorises; it would not vectorise
    writing single bytes, or a loop over the planes.
    """
    n, word = len(out), out.dtype.type
    a, b = planes[:n], planes[n : 2 * n]
    if out.itemsize == 2:
        for k in range(n):
            out[k] = word(a[k]) | word(b[k]) << word(8)
        return
    c, d = planes[2 * n : 3 * n], planes[3 * n : 4 * n]
    if out.itemsize == 4:
        for k in range(n):
            low, high = word(a[k]) | word(b[k]) << word(8), word(c[k]) | word(d[k]) << word(8)
            out[k] = low | high << word(16)
        return
    e, f = planes[4 * n : 5 * n], planes[5 * n : 6 * n]
    g, h = planes[6 * n : 7 * n], planes[7 * n : 8 * n]
    for k in range(n):
        first, second = word(a[k]) | word(b[k]) << word(8), word(c[k]) | word(d[k]) << word(8)
        third, fourth = word(e[k]) | word(f[k]) << word(8), word(g[k]) | word(h[k]) << word(8)
        low, high = first | second << word(16), third | fourth << word(16)
        out[k] = low | high << word(32)


@jit
def _decode(
    filter_id: int, function: int, state: int, source: int, size: int, target: int, room: int
) -> bool:
    """Decode a chunk with the function of its filter, and say whether it filled its ``room``."""
    if filter_id == DEFLATE:  # returns an int, which is 0 if the chunk has this very size
        return np.int32(_call(function, state, source, size, target, room, 0)) == 0
    if filter_id == LZF:
        return np.uint32(_call(function, source, size, target, room, 0, 0)) == room
    if filter_id == ZSTD:
        return _call(function, state, target, room, source, size, 0) == room
    return False


@jit
def decode_chunks(
    pread: int,
    descriptor: int,
    decoder: tuple[int, int, int],
    extents: tuple[NDArray[np.int64], ...],
    copies: tuple[NDArray[np.int64], ...],
    out: NDArray[Any],
    buffer: NDArray[np.uint8],
    planes: NDArray[np.uint8],
    chunk: NDArray[Any],
    done: NDArray[np.bool_],
) -> None:
    """Decode chunks into ``out``, as far as that goes without an error.

    Parameters
    ----------
    pread
        Address of the system's function.
    descriptor
        An open file.
    decoder
        Number of the filter, address of its function, address of its state.
    extents
        Bounds of runs, then offset and stored size of each chunk (`batch_decode.Extents`).
    copies
        For each chunk its place or -1 and the first and last of its pieces; for each piece its
        target, source and length, in elements (`batch_decode.Copies`).
    out
        Unsigned integers as wide as the elements.
    buffer
        uint8, for the longest run.
    planes
        uint8, for a shuffled chunk; empty if they are not shuffled.
    chunk
        Like ``out``, for a decoded chunk.
    done
        bool: set for each chunk that was read, decoded and placed.
    """
    filter_id, function, state = decoder
    bounds, offset, size = extents
    place, first, last, target, source, length = copies
    for run in range(len(bounds) - 1):
        head, end = bounds[run], bounds[run + 1]
        begin, stop = offset[head], offset[head]
        for k in range(head, end):
            stop = max(stop, offset[k] + size[k])
        found = _call(pread, descriptor, buffer.ctypes.data, stop - begin, begin, 0, 0)
        for k in range(head, end):
            inside = offset[k] - begin
            if inside + size[k] > found:
                continue
            values = chunk if place[k] < 0 else out[place[k] : place[k] + len(chunk)]
            goal = planes if len(planes) else values.view(np.uint8)
            stored = buffer.ctypes.data + inside
            if not _decode(
                filter_id, function, state, stored, size[k], goal.ctypes.data, len(goal)
            ):
                continue
            if len(planes):
                unshuffle(planes, values)
            for p in range(first[k], last[k]):
                piece = values[source[p] : source[p] + length[p]]
                out[target[p] : target[p] + length[p]] = piece
            done[k] = True


@jit
def read_extents(
    pread: int,
    descriptor: int,
    extents: tuple[NDArray[np.int64], ...],
    target: NDArray[np.int64],
    out: NDArray[np.uint8],
    buffer: NDArray[np.uint8],
) -> bool:
    """Read stretches of bytes to their places, and say whether the file holds them all.

    Parameters
    ----------
    pread, descriptor, extents
        As of `decode_chunks`.
    target
        Where in ``out`` each goes.
    out
        uint8.
    buffer
        uint8, for the longest run of more than one stretch.
    """
    bounds, offset, size = extents
    for run in range(len(bounds) - 1):
        head, end = bounds[run], bounds[run + 1]
        begin, stop = offset[head], offset[head]
        for k in range(head, end):
            stop = max(stop, offset[k] + size[k])
        alone = end == head + 1  # goes straight to its place
        goal = out[target[head] :] if alone else buffer
        if _call(pread, descriptor, goal.ctypes.data, stop - begin, begin, 0, 0) != stop - begin:
            return False
        if not alone:
            for k in range(head, end):
                inside = offset[k] - begin
                out[target[k] : target[k] + size[k]] = buffer[inside : inside + size[k]]
    return True
