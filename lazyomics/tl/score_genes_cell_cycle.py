"""Scores and phase of the cell cycle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lazyomics import logging
from lazyomics.container.choose import check_annotated
from lazyomics.tl.score_genes import Scoring, add_scores

if TYPE_CHECKING:
    from lazyomics.container import AnnData

__all__ = ["score_genes_cell_cycle"]


def score_genes_cell_cycle(
    adata: AnnData,
    *,
    s_genes: Sequence[str],
    g2m_genes: Sequence[str],
    copy: bool = False,
    **kwargs: Any,
) -> AnnData | None:
    """Score genes of the S and the G2M phase and name the phase of each cell, eagerly.

    Parameters
    ----------
    adata
        Annotated data, shape (n_obs, n_vars), logarithmised as a rule.
    s_genes, g2m_genes
        Names of the genes of each phase.
    copy
        Return a changed copy and leave ``adata`` as it is.
    kwargs
        Parameters of ``tl.score_genes``, but for ``ctrl_size``, which is the size of the smaller
        set, and ``score_name``.

    Returns
    -------
    None, or the copy. Sets ``obs["S_score"]`` and ``obs["G2M_score"]`` (float64, shape (n_obs,))
    and ``obs["phase"]`` (text): ``"G1"`` if both are negative, otherwise that of the larger one.

    Raises
    ------
    TypeError
        For parameters that ``tl.score_genes`` does not have, or that are set here.
    ValueError, KeyError, RuntimeError
        As ``tl.score_genes``.

    Notes
    -----
    Passes over X: 2 for both sets; see ``tl.score_genes`` for these, peak memory and control genes.

    References
    ----------
    Tirosh, I. et al. (2016). Dissecting the multicellular ecosystem of metastatic melanoma by
    single-cell RNA-seq. doi:10.1126/science.aad0501

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import lazyomics as lo
    >>> var = pd.DataFrame(index=["s", "m", "c", "d"])
    >>> x = np.array([[4.0, 1.0, 1.0, 1.0], [0.0, 4.0, 2.0, 1.0], [0.0, 0.0, 3.0, 1.0]])
    >>> adata = lo.AnnData(x, var=var)
    >>> sets = {"s_genes": ["s"], "g2m_genes": ["m"]}
    >>> lo.tl.score_genes_cell_cycle(adata, **sets, n_bins=2, ctrl_as_ref=False)
    >>> adata.obs["phase"].tolist()
    ['S', 'G2M', 'G1']
    """
    check_annotated(adata, "tl.score_genes_cell_cycle")
    for name in ("ctrl_size", "score_name"):
        if name in kwargs:
            raise TypeError(f"tl.score_genes_cell_cycle sets {name} itself; leave it out")
    logging.info("calculating cell cycle phase")
    adata = adata.copy() if copy else adata
    how = Scoring(ctrl_size=min(len(s_genes), len(g2m_genes)), **kwargs)
    add_scores(adata, {"S_score": s_genes, "G2M_score": g2m_genes}, how)
    scores = adata.obs[["S_score", "G2M_score"]]
    phase = pd.Series("S", index=scores.index)
    phase[scores["G2M_score"] > scores["S_score"]] = "G2M"
    phase[np.all(scores < 0, axis=1)] = "G1"
    adata.obs["phase"] = phase
    logging.hint("    'phase', cell cycle phase (adata.obs)")
    return adata if copy else None
