"""Batches of cells as a dataset of PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from lazyomics.errors import require

if TYPE_CHECKING:
    from lazyomics.ml.batches import Batches

__all__ = ["torch_dataset"]


def torch_dataset(batches: Batches) -> Any:
    """Make an iterable dataset of PyTorch of :func:`batches`.

    Parameters
    ----------
    batches
        What ``lazyomics.ml.batches`` returned.

    Returns
    -------
    A ``torch.utils.data.IterableDataset`` of dictionaries of tensors, to be given to
    ``torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=…)``. Dense matrices are
    strided tensors, sparse ones ``torch.sparse_csr``. Workers of a loader share the cells, and the
    memory of the buffers. ``set_epoch`` goes to an epoch, as that of torch's ``DistributedSampler``
    does: call it before each, since workers do not tell how far they went.
    ``load_state_dict({"epoch": e, "batch": b})`` leaves out the first `b` batches that a loader of
    as many workers returns of epoch `e`.

    Raises
    ------
    MissingDependencyError
        If PyTorch is not installed.

    Notes
    -----
    Passes over X and memory: those of :func:`batches`.

    Examples
    --------
    >>> import lazyomics as lo
    >>> dataset = lo.ml.torch_dataset(lo.ml.batches(adata, 512, dense=True))  # doctest: +SKIP
    >>> loader = torch.utils.data.DataLoader(dataset, batch_size=None)  # doctest: +SKIP
    """
    require("torch.utils.data", extra="torch", purpose="ml.torch_dataset")
    return _kind()(batches)


@cache
def _kind() -> Any:
    """Make the class when PyTorch is there: importing it takes seconds."""
    torch = require("torch.utils.data", extra="torch", purpose="ml.torch_dataset")

    class TorchBatches(torch.IterableDataset):  # type: ignore[name-defined]
        """An iterable dataset of dictionaries of tensors."""

        def __init__(self, batches: Batches) -> None:
            self.batches = batches

        def __reduce__(self) -> Any:
            return torch_dataset, (self.batches,)

        def set_epoch(self, epoch: int) -> None:
            """Begin with an epoch."""
            self.load_state_dict({"epoch": epoch, "batch": 0})

        def load_state_dict(self, state: Mapping[str, int]) -> None:
            """Leave out batches that a loader returned before."""
            self.batches.load_state_dict(state)

        def __iter__(self) -> Iterator[dict[str, Any]]:
            worker = torch.get_worker_info()
            chosen = self.batches
            if worker is not None:  # a loader takes a batch of each in turn, from worker 0 on
                state, workers = chosen.state_dict(), worker.num_workers
                shard = (worker.id + state["batch"]) % workers
                chosen = chosen.shard(shard, workers)
                done = -(-(state["batch"] - shard) // workers)
                chosen.load_state_dict({"epoch": state["epoch"], "batch": max(0, done)})
            for batch in chosen:
                yield {name: _tensor(values) for name, values in batch.items()}

    return TorchBatches


def _tensor(values: Any) -> Any:
    torch = require("torch", extra="torch", purpose="ml.torch_dataset")
    if sp.issparse(values):
        parts = (values.indptr, values.indices, values.data)
        return torch.sparse_csr_tensor(*map(torch.from_numpy, parts), size=values.shape)
    return torch.from_numpy(np.ascontiguousarray(values))
