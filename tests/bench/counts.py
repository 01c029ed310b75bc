"""The file that benchmarks are run on: simulated counts, laid out as anndata lays them out.

    python tests/bench/counts.py COUNTS.h5ad [--cells 100000] [--compression gzip]

28,000 genes, 12 types of cells, about 2,280 stored values a cell, float32, CSR, in the chunks that
h5py chooses: 100,000 cells are 532 MB with gzip, 1,829 MB without. It is written 10,000 cells at a
time, and the same for the same number of cells.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numba
import numpy as np
import pandas as pd
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script

import lazyomics as lo

N_GENES = 28_000
N_TYPES = 12
TRANSCRIPTS = 5_000  # median of a cell
WINDOW = 10_000  # cells


class Window(NamedTuple):
    """Cells that are drawn together."""

    types: NDArray[np.int64]
    sizes: NDArray[np.int64]
    seed: int


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--compression", choices=["gzip", "lzf", "none"], default="gzip")
    given = parser.parse_args()
    write_counts(given.path, given.cells, given.compression)


def write_counts(path: Path, n_cells: int, compression: str = "gzip") -> None:
    """Write the file, all of it or none."""
    rng = np.random.default_rng(0)
    cumulative = cumulative_profiles(rng)
    windows = [
        drawn_window(rng, min(WINDOW, n_cells - start)) for start in range(0, n_cells, WINDOW)
    ]
    unfinished = path.with_name(path.name + ".unfinished")
    without_counts(np.concatenate([w.types for w in windows])).write_h5ad(unfinished)
    with h5py.File(unfinished, "r+") as file:
        write_matrix(file, cumulative, windows, None if compression == "none" else compression)
    unfinished.replace(path)


def cumulative_profiles(rng: np.random.Generator) -> NDArray[np.float64]:
    """(types, genes): the share of each type's transcripts up to each gene."""
    common = rng.lognormal(0, 2.2, N_GENES)
    profiles = np.stack([common * own_genes(rng) for _ in range(N_TYPES)])
    cumulative = np.cumsum(profiles / profiles.sum(axis=1, keepdims=True), axis=1)
    cumulative[:, -1] = 1
    return cumulative


def own_genes(rng: np.random.Generator) -> NDArray[np.float64]:
    """What a type makes of each gene: one in twenty is changed, most of these up."""
    changed = rng.random(N_GENES) < 0.05
    return np.where(changed, rng.lognormal(1.5, 1, N_GENES), 1)


def drawn_window(rng: np.random.Generator, n_cells: int) -> Window:
    types = rng.integers(0, N_TYPES, n_cells)
    sizes = np.clip(rng.lognormal(np.log(TRANSCRIPTS), 0.5, n_cells), 500, 30_000)
    return Window(types, sizes.astype(np.int64), int(rng.integers(1 << 31)))


def without_counts(types: NDArray[np.int64]) -> lo.AnnData:
    names = [f"type{k}" for k in range(N_TYPES)]
    obs = pd.DataFrame(
        {"cell_type": pd.Categorical.from_codes(types, names)},
        index=[f"cell{k}" for k in range(len(types))],
    )
    var = pd.DataFrame(index=[f"{'MT-' if k < 13 else 'G'}{k}" for k in range(N_GENES)])
    return lo.AnnData(obs=obs, var=var)


def write_matrix(
    file: h5py.File,
    cumulative: NDArray[np.float64],
    windows: list[Window],
    compression: str | None,
) -> None:
    n_cells = sum(len(window.types) for window in windows)
    group = file.create_group("X")
    group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
    group.attrs["shape"] = np.array([n_cells, N_GENES])
    for name, dtype in (("data", np.float32), ("indices", np.int32)):
        # h5py chooses chunks by the length that it is told first.
        about = (2_000 * n_cells,)
        dataset = group.create_dataset(
            name, about, dtype, chunks=True, maxshape=(None,), compression=compression
        )
        dataset.resize((0,))
    stored = [np.zeros(1, np.int64)]
    for window in windows:
        data, indices, lengths = draw(cumulative, *window)
        append(group["data"], data)
        append(group["indices"], indices)
        stored.append(lengths)
    indptr = np.cumsum(np.concatenate(stored))
    group["indptr"] = indptr.astype(np.int32 if indptr[-1] < 1 << 31 else np.int64)


def append(dataset: h5py.Dataset, values: NDArray[Any]) -> None:
    start = len(dataset)
    dataset.resize((start + len(values),))
    dataset[start:] = values


@numba.njit
def draw(cumulative: Any, types: Any, sizes: Any, seed: int) -> Any:
    """Counts of some cells: values, their genes, and how many each cell has."""
    np.random.seed(seed)  # noqa: NPY002 (numba's own, not NumPy's)
    n_cells, n_genes = len(types), cumulative.shape[1]
    data, indices = np.empty(sizes.sum(), np.float32), np.empty(sizes.sum(), np.int32)
    lengths, counts, used = np.zeros(n_cells, np.int64), np.zeros(n_genes, np.int32), 0
    for cell in range(n_cells):
        for _ in range(sizes[cell]):
            drawn = np.random.random()  # noqa: NPY002
            counts[np.searchsorted(cumulative[types[cell]], drawn)] += 1
        first = used
        for gene in range(n_genes):
            if counts[gene]:
                data[used], indices[used] = counts[gene], gene
                counts[gene] = 0
                used += 1
        lengths[cell] = used - first
    return data[:used], indices[:used], lengths


if __name__ == "__main__":
    main()
