"""The model behind simulated counts: gene profiles of cell types, batches and shared activity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import ndtri

from lazyomics.datasets.cell_sampler import (
    AliasTables,
    Cells,
    alias_tables,
    draw_cells,
    draw_counts,
)

__all__ = ["ExpressionModel"]

MITO_GENES = [  # as in the human annotation
    "MT-ND1", "MT-ND2", "MT-CO1", "MT-CO2", "MT-ATP8", "MT-ATP6", "MT-CO3",
    "MT-ND3", "MT-ND4L", "MT-ND4", "MT-ND5", "MT-ND6", "MT-CYB",
]  # fmt: skip
EXPRESSION_SIGMA = 2.5  # of log expression over genes: real data sets detect about as many genes
BATCH_SIGMA = 0.25
ACTIVITY_SIGMA = 1.0


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
        common = base * rng.lognormal(0.0, ACTIVITY_SIGMA, n_genes)
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
