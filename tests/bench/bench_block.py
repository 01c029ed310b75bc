"""Time of each operation on a block, and on a dask array of blocks, as a multiple of scipy's.

``python tests/bench/bench_block.py [--rows 20000] [--columns 5000] [--density 0.08] [--repeat 3]``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import dask
import dask.array as da
import numpy as np
import scipy.sparse as sp

from lazyomics.blocks.block import CSCBlock, CSRBlock, as_block


class Case(NamedTuple):
    """An operation on blocks and dask arrays, and the way to do it in scipy."""

    name: str
    block: Callable[[Any], Any]
    scipy: Callable[[Any], Any]


def numpy_or_dask(x: Any) -> Any:
    return da if isinstance(x, da.Array) else np


def with_data(m: Any, data: Any) -> Any:
    """A matrix of its own, as scipy's functions of the values make it."""
    return type(m)((data, m.indices.copy(), m.indptr.copy()), shape=m.shape)


def untouched(m: Any) -> Any:
    """The same matrix before anything was found out about the order of its indices."""
    return type(m)((m.data, m.indices, m.indptr), shape=m.shape)


def in_three(block: Any, axis: int) -> Any:
    """A dask array of three blocks that are in memory."""
    parts = np.array_split(np.arange(block.shape[axis]), 3)
    keys = [slice(int(part[0]), int(part[-1]) + 1) for part in parts]
    blocks = [block[key] if axis == 0 else block[:, key] for key in keys]
    meta = type(block)(shape=(0, 0), dtype=block.dtype)
    lazy = [da.from_delayed(dask.delayed(b, pure=True), b.shape, meta=meta) for b in blocks]
    return da.concatenate(lazy, axis=axis)


def variance(m: Any, axis: int) -> Any:
    return m.multiply(m).mean(axis=axis) - np.square(m.mean(axis=axis))


def cases(n_rows: int, n_cols: int) -> list[Case]:
    rng = np.random.default_rng(0)
    rows = rng.permutation(n_rows)[: n_rows // 2]
    cols = rng.permutation(n_cols)[: n_cols // 2]
    mask = rng.random(n_rows) > 0.5
    per_row = rng.random(n_rows).astype("f4") + 1
    per_col = rng.random(n_cols).astype("f4") + 1
    thin = rng.random((n_cols, 50)).astype("f4")
    tall = rng.random((n_rows, 50)).astype("f4")
    found = [
        Case(f"{name}({axis})", lambda x, n=name, a=axis: getattr(x, n)(axis=a),
             lambda m, n=name, a=axis: getattr(m, n)(axis=a))
        for name in ("sum", "mean", "max", "min", "argmax", "argmin")
        for axis in ((0, 1, None) if "arg" not in name else (0, 1))
    ]  # fmt: skip
    found += [
        Case(f"var({axis})", lambda x, a=axis: x.var(axis=a), lambda m, a=axis: variance(m, a))
        for axis in (0, 1)
    ]
    return [
        *found,
        Case("std(0)", lambda x: x.std(0), lambda m: np.sqrt(variance(m, 0))),
        Case("any(0)", lambda x: x.any(0), lambda m: m.astype(bool).sum(0) > 0),
        Case("all(1)", lambda x: x.all(1), lambda m: m.astype(bool).sum(1) == n_cols),
        Case("count_nonzero(0)", lambda x: numpy_or_dask(x).count_nonzero(x, axis=0),
             lambda m: m.count_nonzero(axis=0)),
        Case("(x > 0).sum(0)", lambda x: (x > 0).sum(0), lambda m: (m > 0).sum(0)),
        Case("(x > 0).mean(0)", lambda x: (x > 0).mean(0), lambda m: (m > 0).mean(0)),
        Case("x > 0", lambda x: x > 0, lambda m: m > 0),
        Case("log1p", np.log1p, lambda m: m.log1p()),
        Case("sqrt", np.sqrt, lambda m: m.sqrt()),
        Case("abs", abs, abs),
        Case("round", lambda x: x.round(2), lambda m: with_data(m, m.data.round(2))),
        Case("clip", lambda x: x.clip(0, 1), lambda m: m.minimum(1)),
        Case("astype", lambda x: x.astype("f8"), lambda m: m.astype("f8")),
        Case("x * 2", lambda x: x * 2, lambda m: m * 2),
        Case("x * column", lambda x: x * per_row[:, None], lambda m: m.multiply(per_row[:, None])),
        Case("x / row", lambda x: x / per_col, lambda m: m.multiply(1 / per_col[None])),
        Case("x + x", lambda x: x + x * 2, lambda m: m + m * 2),
        Case("x * x", lambda x: x * np.sqrt(x), lambda m: m.multiply(m.sqrt())),
        Case("x[a:b]", lambda x: x[100 : n_rows - 100], lambda m: m[100 : n_rows - 100]),
        Case("x[rows]", lambda x: x[rows], lambda m: m[rows]),
        Case("x[mask]", lambda x: x[mask], lambda m: m[mask]),
        Case("x[::-1]", lambda x: x[::-1], lambda m: m[::-1]),
        Case("x[:, a:b]", lambda x: x[:, 100 : n_cols - 100], lambda m: m[:, 100 : n_cols - 100]),
        Case("x[:, cols]", lambda x: x[:, cols], lambda m: m[:, cols]),
        Case("x[rows][:, cols]", lambda x: x[rows][:, cols], lambda m: m[rows][:, cols]),
        Case("concatenate", lambda x: numpy_or_dask(x).concatenate([x, x]),
             lambda m: sp.vstack([m, m])),
        Case("hstack", lambda x: numpy_or_dask(x).concatenate([x, x], axis=1),
             lambda m: sp.hstack([m, m])),
        Case("T", lambda x: x.T, lambda m: m.T.copy()),
        Case("x @ dense", lambda x: x @ thin, lambda m: m @ thin),
        Case("x.T @ dense", lambda x: x.T @ tall, lambda m: m.T @ tall),
        Case("x[:3000].T @ same", lambda x: x[:3000].T @ x[:3000],
             lambda m: (m[:3000].T @ m[:3000]).toarray()),
        Case("x + 1", lambda x: x[:4000] + 1, lambda m: m[:4000].toarray() + 1),
        Case("x - row", lambda x: x[:4000] - per_col, lambda m: m[:4000].toarray() - per_col),
        Case("compute", lambda x: x.copy(), lambda m: m.copy()),
    ]  # fmt: skip


def fastest(function: Callable[[], Any], repeat: int) -> float:
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--columns", type=int, default=5_000)
    parser.add_argument("--density", type=float, default=0.08)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    shape = (options.rows, options.columns)
    rng = np.random.default_rng(0)
    matrix = sp.random_array(
        shape, density=options.density, format="csr", dtype=np.float32, rng=rng
    )
    columns = matrix.tocsc()
    x, y = in_three(as_block(matrix), 0), in_three(as_block(columns), 1)
    print(f"{shape[0]:,} x {shape[1]:,}, {matrix.nnz:,} values, float32; one thread")
    print(f"{'':20}{'scipy':>10}{'CSR':>8}{'dask':>8}{'CSC':>8}{'dask':>8}   (multiples)")
    for case in cases(*shape):
        line = f"{case.name:20}"
        for m, kind, lazy in ((matrix, CSRBlock, x), (columns, CSCBlock, y)):
            base = fastest(lambda: case.scipy(untouched(m)), options.repeat)  # noqa: B023
            # Both start anew each time: what one operation found out does not serve the next.
            block = fastest(lambda: case.block(kind.from_scipy(m)), options.repeat)  # noqa: B023
            with dask.config.set(scheduler="sync"):
                in_dask = fastest(lambda: case.block(lazy).compute(), options.repeat)  # noqa: B023
            line += f"{base * 1e3:8.1f}ms" if kind is CSRBlock else ""
            line += f"{block / base:8.2f}{in_dask / base:8.2f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
