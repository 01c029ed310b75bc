"""A model of cells: programs of genes, and the sampler of their counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import ndtri

from lazyomics.compiled import compiled

__all__ = [
    "AliasTables",
    "Cells",
    "ExpressionModel",
    "alias_tables",
    "draw_cells",
    "draw_counts",
]


# Called from compiled loops only. (Numba's annotations do not know a decorator without brackets.)
inlined: Any = numba.njit

GAMMA = np.uint64(0x9E3779B97F4A7C15)
CELL_GAMMA = np.uint64(0xD1342543DE82EF95)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
U11, U27, U30, U31, U32 = (np.uint64(bits) for bits in (11, 27, 30, 31, 32))
LOW_WORD = np.uint64(0xFFFFFFFF)

# Two streams a cell: its properties, and its transcripts.
PROPERTIES, TRANSCRIPTS = np.uint64(1), np.uint64(2)

LIBRARY_SIGMA = 0.4
MITO_LOGIT, MITO_SIGMA = -3.0, 0.4  # about 5 % of a cell's transcripts
ACTIVITY_LOGIT, ACTIVITY_SIGMA = -2.0, 1.0  # about 15 %, very different from cell to cell


class AliasTables(NamedTuple):
    """Gene profiles prepared for drawing: one row a profile, one column a gene."""

    threshold: NDArray[np.uint32]
    alias: NDArray[np.int32]


class Cells(NamedTuple):
    """What is drawn of each cell before its transcripts; every array has one value a cell."""

    cell_type: NDArray[np.int32]
    batch: NDArray[np.int32]
    transcripts: NDArray[np.int64]
    mito: NDArray[np.float64]  # share of the transcripts that is mitochondrial
    activity: NDArray[np.float64]  # share that comes from the profile all types have in common


@inlined
def _next(state: np.uint64) -> tuple[np.uint64, np.uint64]:
    state = state + GAMMA
    z = (state ^ (state >> U30)) * MIX_1
    z = (z ^ (z >> U27)) * MIX_2
    return state, z ^ (z >> U31)


@inlined
def _stream(seed: int, cell: int, purpose: np.uint64) -> np.uint64:
    _, mixed = _next(np.uint64(seed) + np.uint64(cell) * CELL_GAMMA)
    _, state = _next(mixed ^ (purpose * GAMMA))
    return state


@inlined
def _uniform(state: np.uint64) -> tuple[np.uint64, float]:
    state, z = _next(state)
    return state, (z >> U11) * 2.0**-53


@inlined
def _normal(state: np.uint64) -> tuple[np.uint64, float]:
    state, u = _uniform(state)
    state, v = _uniform(state)
    return state, np.sqrt(-2.0 * np.log(1.0 - u)) * np.cos(2.0 * np.pi * v)


@inlined
def _share(logit: float) -> float:
    return 1.0 / (1.0 + np.exp(-logit))


@inlined
def _pick(threshold: Any, alias: Any, n: int, z: np.uint64) -> np.int64:
    # The high word chooses the column of the alias table, the low word one of its two genes.
    column = np.int64(((z >> U32) * np.uint64(n)) >> U32)
    return column if (z & LOW_WORD) <= threshold[column] else np.int64(alias[column])


@compiled
def _alias_row(weights: Any, threshold: Any, alias: Any) -> None:
    n = len(weights)
    scaled = weights / weights.sum() * n
    small, large = np.empty(n, np.int32), np.empty(n, np.int32)
    n_small = n_large = 0
    for gene in range(n):
        if scaled[gene] < 1.0:
            small[n_small] = gene
            n_small += 1
        else:
            large[n_large] = gene
            n_large += 1
    alias[:] = np.arange(n)  # a column left over by rounding belongs to its own gene alone
    threshold[:] = LOW_WORD
    while n_small and n_large:
        n_small -= 1
        poor, rich = small[n_small], large[n_large - 1]
        threshold[poor] = np.uint32(scaled[poor] * 4294967295.0)
        alias[poor] = rich
        scaled[rich] -= 1.0 - scaled[poor]
        if scaled[rich] < 1.0:
            n_large -= 1
            small[n_small] = rich
            n_small += 1


def alias_tables(weights: NDArray[np.float64]) -> AliasTables:
    """Prepare gene profiles for drawing.

    Parameters
    ----------
    weights
        Relative expression, float64, shape (n_profiles, n_genes), rows with a positive sum.
    """
    tables = AliasTables(np.empty(weights.shape, np.uint32), np.empty(weights.shape, np.int32))
    for row, threshold, alias in zip(weights, *tables, strict=True):
        _alias_row(np.ascontiguousarray(row, np.float64), threshold, alias)
    return tables


@compiled
def _draw_cells(
    seed: int, start: int, type_cdf: Any, n_batches: int, mean: float, cells: Any
) -> None:
    cell_type, batch, transcripts, mito, activity = cells
    shift = np.log(mean) - LIBRARY_SIGMA**2 / 2  # so that the mean of the lognormal is `mean`
    for i in range(len(cell_type)):
        state = _stream(seed, start + i, PROPERTIES)
        state, u = _uniform(state)
        cell_type[i] = min(np.searchsorted(type_cdf, u, "right"), len(type_cdf) - 1)
        state, u = _uniform(state)
        batch[i] = np.int32(u * n_batches)
        state, x = _normal(state)
        transcripts[i] = max(1, round(min(np.exp(shift + LIBRARY_SIGMA * x), 8 * mean)))
        state, x = _normal(state)
        mito[i] = _share(MITO_LOGIT + MITO_SIGMA * x)
        state, x = _normal(state)
        activity[i] = _share(ACTIVITY_LOGIT + ACTIVITY_SIGMA * x)


def draw_cells(
    seed: int, start: int, stop: int, type_cdf: NDArray[np.float64], n_batches: int, mean: float
) -> Cells:
    """Draw type, batch, size and composition of the cells ``start`` to ``stop``.

    Parameters
    ----------
    seed
        Seed of all streams.
    start, stop
        Positions of the cells.
    type_cdf
        Cumulated shares of the cell types, float64, shape (n_types,).
    n_batches
        Number of batches, equally likely.
    mean
        Expected number of transcripts of a cell.
    """
    n = stop - start
    cells = Cells(
        np.empty(n, np.int32),
        np.empty(n, np.int32),
        np.empty(n, np.int64),
        np.empty(n, np.float64),
        np.empty(n, np.float64),
    )
    _draw_cells(seed, start, type_cdf, n_batches, float(mean), tuple(cells))
    return cells


@inlined
def _count_transcripts(
    seed: int, cell: int, total: int, shares: Any, tables: Any, n_genes: int, counts: Any
) -> None:
    (profile, common), (mito_share, activity) = tables[:2], shares
    (mito_threshold, mito_alias) = tables[2]
    state = _stream(seed, cell, TRANSCRIPTS)
    for _ in range(total):
        state, u = _uniform(state)
        state, z = _next(state)
        if u < mito_share:
            gene = n_genes + _pick(mito_threshold, mito_alias, len(mito_alias), z)
        elif u < mito_share + activity:
            gene = _pick(common[0], common[1], n_genes, z)
        else:
            gene = _pick(profile[0], profile[1], n_genes, z)
        counts[gene] += 1


@compiled
def _draw_counts(
    seed: int, start: int, cells: Any, genes: Any, mito: Any, data: Any, indices: Any, indptr: Any
) -> None:
    profile, total, mito_share, activity = cells
    threshold, alias = genes
    n_genes, common = alias.shape[1], len(alias) - 1
    counts = np.zeros(n_genes + mito[1].shape[1], np.int32)
    k = 0
    for i in range(len(total)):
        row = profile[i]
        tables = (
            (threshold[row], alias[row]),
            (threshold[common], alias[common]),
            (mito[0][0], mito[1][0]),
        )
        shares = (mito_share[i], activity[i])
        _count_transcripts(seed, start + i, total[i], shares, tables, n_genes, counts)
        for gene in range(len(counts)):
            if counts[gene]:
                data[k] = counts[gene]
                indices[k] = gene
                counts[gene] = 0
                k += 1
        indptr[i + 1] = k


def draw_counts(
    seed: int, start: int, cells: Cells, n_batches: int, genes: AliasTables, mito: AliasTables
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    """Draw the counts of the cells from position ``start`` on.

    Parameters
    ----------
    seed
        Seed of all streams.
    start
        Position of the first cell.
    cells
        Properties of the cells, by :func:`draw_cells`.
    n_batches
        Number of batches.
    genes
        A profile for each type and batch (row ``type * n_batches + batch``), and as the last row
        the profile that all types have in common.
    mito
        The profile of the mitochondrial genes, one row; they stand behind the others.

    Returns
    -------
    data, indices, indptr
        The counts as CSR arrays: int32, int32 (sorted in each row), int64.
    """
    mito_share = cells.mito if mito.alias.size else np.zeros_like(cells.mito)
    n_vars = genes.alias.shape[1] + mito.alias.shape[1]
    capacity = int(np.minimum(cells.transcripts, n_vars).sum())
    data, indices = np.empty(capacity, np.int32), np.empty(capacity, np.int32)
    indptr = np.zeros(len(cells.batch) + 1, np.int64)
    rows = cells.cell_type * n_batches + cells.batch
    drawn = (rows, cells.transcripts, mito_share, cells.activity)
    _draw_counts(seed, start, drawn, tuple(genes), tuple(mito), data, indices, indptr)
    return data[: indptr[-1]], indices[: indptr[-1]], indptr


MITO_GENES = [  # as in the human annotation
    "MT-ND1", "MT-ND2", "MT-CO1", "MT-CO2", "MT-ATP8", "MT-ATP6", "MT-CO3",
    "MT-ND3", "MT-ND4L", "MT-ND4", "MT-ND5", "MT-ND6", "MT-CYB",
]  # fmt: skip
EXPRESSION_SIGMA = 2.5  # of log expression over genes: real data sets detect about as many genes
BATCH_SIGMA = 0.25
PROGRAM_SIGMA = 1.0


@dataclass(frozen=True)
class ExpressionModel:
    """Cells as they would be drawn: :meth:`cells` and :meth:`counts` give any range of them."""

    seed: int
    n_types: int
    n_batches: int
    mean_counts: float
    type_cdf: NDArray[np.float64]  # shape (n_types,)
    marker_of: NDArray[np.int64]  # shape (n_vars,): the type a gene marks, -1 for none
    mito: NDArray[np.bool_]  # shape (n_vars,)
    profiles: AliasTables
    mito_profile: AliasTables

    @classmethod
    def build(
        cls,
        *,
        seed: int,
        n_vars: int,
        n_types: int,
        n_batches: int,
        mean_counts: float,
        markers_per_type: int,
    ) -> ExpressionModel:
        """Draw the gene profiles and the shares of the cell types."""
        rng = np.random.default_rng(seed)
        n_mito = min(len(MITO_GENES), n_vars // 10)
        n_genes = n_vars - n_mito
        # Evenly spaced quantiles: how much the highest genes take does not depend on luck.
        quantiles = (rng.permutation(n_genes) + 0.5) / n_genes
        base = np.exp(EXPRESSION_SIGMA * ndtri(quantiles))
        markers = _choose_markers(rng, base, n_types, markers_per_type)
        weights = _type_profiles(rng, base, markers, n_batches)
        common = base * rng.lognormal(0.0, PROGRAM_SIGMA, n_genes)
        shares = rng.dirichlet(np.full(n_types, 5.0))
        return cls(
            seed=seed,
            n_types=n_types,
            n_batches=n_batches,
            mean_counts=mean_counts,
            type_cdf=np.cumsum(shares),
            marker_of=np.append(markers, np.full(n_mito, -1)),
            mito=np.arange(n_vars) >= n_genes,
            profiles=alias_tables(np.vstack([weights, common])),
            mito_profile=alias_tables(rng.lognormal(0.0, 1.0, (1, n_mito))),
        )

    @property
    def n_vars(self) -> int:
        """Number of genes."""
        return len(self.mito)

    def cells(self, start: int, stop: int) -> Cells:
        """Properties of the cells ``start`` to ``stop``."""
        return draw_cells(self.seed, start, stop, self.type_cdf, self.n_batches, self.mean_counts)

    def counts(self, start: int, stop: int) -> csr_array:
        """Counts of the cells ``start`` to ``stop``: int32, shape (stop - start, n_vars)."""
        arrays = draw_counts(
            self.seed,
            start,
            self.cells(start, stop),
            self.n_batches,
            self.profiles,
            self.mito_profile,
        )
        return csr_array(arrays, shape=(stop - start, self.n_vars))

    def var(self) -> pd.DataFrame:
        """Genes by name, with the type each one marks and whether it is mitochondrial."""
        n_genes = int((~self.mito).sum())
        width = len(str(n_genes))
        names = [f"GENE{i:0{width}d}" for i in range(1, n_genes + 1)]
        marker_of = pd.Categorical.from_codes(self.marker_of, _names("type", self.n_types))
        return pd.DataFrame(
            {"marker_of": marker_of, "mito": self.mito},
            index=pd.Index(names + MITO_GENES[: self.n_vars - n_genes]),
        )

    def obs(self, cell_type: NDArray[np.int32], batch: NDArray[np.int32]) -> pd.DataFrame:
        """Cells by barcode, with the type and batch that was drawn for each."""
        types, batches = _names("type", self.n_types), _names("batch", self.n_batches)
        return pd.DataFrame(
            {
                "cell_type": pd.Categorical.from_codes(cell_type, types),
                "batch": pd.Categorical.from_codes(batch, batches),
            },
            index=pd.Index(_barcodes(len(batch))),
        )


def _names(kind: str, n: int) -> pd.Index[str]:
    return pd.Index([f"{kind}_{i}" for i in range(n)])


def _choose_markers(
    rng: np.random.Generator, base: NDArray[np.float64], n_types: int, per_type: int
) -> NDArray[np.int64]:
    # Among the better expressed half, so that markers are seen.
    better = np.argsort(base, kind="stable")[len(base) // 2 :]
    if n_types * per_type > len(better):
        raise ValueError(
            f"{n_types} types with {per_type} markers each need {2 * n_types * per_type} genes "
            f"besides the mitochondrial ones, n_vars leaves {len(base)}: lower markers_per_type"
        )
    chosen = rng.permutation(better)[: n_types * per_type]
    markers = np.full(len(base), -1)
    markers[chosen] = np.repeat(np.arange(n_types), per_type)
    return markers


def _type_profiles(
    rng: np.random.Generator,
    base: NDArray[np.float64],
    markers: NDArray[np.int64],
    n_batches: int,
) -> NDArray[np.float64]:
    """One row a type and batch, types outermost, shape (n_types * n_batches, n_genes)."""
    fold = rng.lognormal(2.0, 0.5, len(base))  # 7-fold up in the type that a gene marks
    batch_factor = rng.lognormal(0.0, BATCH_SIGMA, (n_batches, len(base)))
    batch_factor[0] = 1.0
    rows = []
    for cell_type in range(markers.max() + 1):
        other = np.where(markers >= 0, 0.25, 1.0)
        profile = base * np.where(markers == cell_type, fold, other)
        rows.append(profile / profile.sum() * batch_factor)
    return np.vstack(rows)


def _barcodes(n: int) -> NDArray[np.str_]:
    """Sixteen letters of ACGT for each cell, all different: a bijection of its position."""
    word = np.arange(1, n + 1, dtype=np.uint32) * np.uint32(2_654_435_769)
    word ^= word >> np.uint32(15)
    word *= np.uint32(2_246_822_519)
    shifts = np.arange(0, 32, 2, dtype=np.uint32)
    letters = np.frombuffer(b"ACGT", "u1")[(word[:, None] >> shifts) & np.uint32(3)]
    codes: NDArray[np.str_] = np.ascontiguousarray(letters).view("S16").ravel().astype("U16")
    return np.char.add(codes, "-1")
