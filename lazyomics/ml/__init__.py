"""Batches of cells for learning from more than memory holds."""

from __future__ import annotations

from lazyomics.ml.batches import Batches, batches
from lazyomics.ml.torch_dataset import torch_dataset

__all__ = ["Batches", "batches", "torch_dataset"]


def __dir__() -> list[str]:
    return sorted(__all__)
