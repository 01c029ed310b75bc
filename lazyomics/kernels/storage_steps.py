"""Steps that change how a block holds its values, not the values."""

from __future__ import annotations

from dataclasses import dataclass

import scipy.sparse as sp

from lazyomics.kernels.block import CSRBlock
from lazyomics.kernels.steps import Block, Step

__all__ = ["AsDense", "AsSparse"]


@dataclass(frozen=True, eq=False)
class AsDense(Step):
    """Hold every value, zeros too."""

    def __call__(self, block: Block) -> Block:
        return block.toarray() if isinstance(block, CSRBlock) else block


@dataclass(frozen=True, eq=False)
class AsSparse(Step):
    """Hold the values of each row that are not zero."""

    def __call__(self, block: Block) -> Block:
        return block if isinstance(block, CSRBlock) else CSRBlock.from_scipy(sp.csr_matrix(block))
