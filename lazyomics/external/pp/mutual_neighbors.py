"""Correct batches by mutual nearest neighbours: what is said of it."""

from __future__ import annotations

from typing import Any

from lazyomics.errors import UnsupportedError

__all__ = ["mnn_correct"]


def mnn_correct(
    *datas: Any,
    var_index: Any = None,
    var_subset: Any = None,
    batch_key: str = "batch",
    index_unique: str = "-",
    batch_categories: Any = None,
    k: int = 20,
    sigma: float = 1.0,
    cos_norm_in: bool = True,
    cos_norm_out: bool = True,
    svd_dim: int | None = None,
    var_adj: bool = True,
    compute_angle: bool = False,
    mnn_order: Any = None,
    svd_mode: str = "rsvd",
    do_concatenate: bool = True,
    save_raw: bool = False,
    n_jobs: int | None = None,
    **kwargs: Any,
) -> tuple[Any, list[Any], list[Any]]:
    """Say why there is no correction by mutual nearest neighbours, and what to use instead.

    The parameters are scanpy's.

    Returns
    -------
    As scanpy, ``(datas, [], [])`` for fewer than two objects, where nothing is to be corrected.

    Raises
    ------
    UnsupportedError
        For two objects or more.
    """
    if len(datas) < 2:
        return datas, [], []
    raise UnsupportedError(
        "external.pp.mnn_correct: the package mnnpy, which scanpy calls, has had no release since "
        "2019 and no wheels. Use external.pp.scanorama_integrate, which matches mutual nearest "
        "neighbours in components, external.pp.harmony_integrate, or pp.combat for corrected "
        "expression values"
    )
