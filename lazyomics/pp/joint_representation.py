"""Representations of several modalities beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics.container.mudata import MuData
from lazyomics.pp.neighbors_of_modalities import rows_in_modality
from lazyomics.pp.representation import as_dense, choose_representation

__all__ = ["joint_representation"]


def joint_representation(mdata: MuData, params: Mapping[str, Any]) -> NDArray[np.float32]:
    """Return what the joint neighbours of a MuData were searched in, in memory.

    Parameters
    ----------
    mdata
        Modalities, ``n_obs`` cells in all.
    params
        Of ``mdata.uns["neighbors"]``: ``use_rep`` and ``n_pcs`` name those of each modality, −1
        for the default.

    Returns
    -------
    float32, shape (n_obs, features of all modalities)
        Cells that a modality lacks have the mean of the others.
    """
    n_pcs = params.get("n_pcs", {})
    parts = []
    for mod, name in params["use_rep"].items():
        number = n_pcs.get(mod, -1)
        x = as_dense(
            choose_representation(
                mdata.mod[mod],
                use_rep=str(name) if isinstance(name, str) else None,
                n_pcs=None if number == -1 else int(number),
                finite=True,
            )
        )
        rows = rows_in_modality(mdata, mod)
        part = x[rows].astype(np.float32)  # rows of absent cells are any row's
        part[rows < 0] = x.mean(axis=0)
        parts.append(part)
    return np.hstack(parts)
