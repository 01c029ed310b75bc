"""``tl.tsne``: embed cells by t-SNE."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyomics import logging
from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.errors import warn_user
from lazyomics.pp.representation import choose_representation

__all__ = ["tsne"]


def tsne(
    adata: AnnData,
    n_pcs: int | None = None,
    *,
    n_components: int = 2,
    use_rep: str | None = None,
    perplexity: float = 30,
    metric: str = "euclidean",
    early_exaggeration: float = 12,
    learning_rate: float = 1000,
    random_state: Any = 0,
    use_fast_tsne: bool = False,
    n_jobs: int | None = None,
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Embed the cells with t-SNE of scikit-learn, eagerly.

    Parameters
    ----------
    adata
        Annotated matrix, ``n_obs`` × ``n_vars``.
    n_pcs
        Use only the first ``n_pcs`` columns of the representation; 0 means X.
    n_components
        Dimensions of the embedding.
    use_rep
        ``"X"`` or a key of ``adata.obsm``. By default ``X_pca``, or X where ``n_vars`` ≤ 50.
    perplexity
        About how many neighbours count, less than ``n_obs``.
    metric
        Distance between cells, as scikit-learn takes it.
    early_exaggeration
        How far groups are pulled apart at first.
    learning_rate
        Length of the steps; usually from 100 to 1000.
    random_state
        Seed, or a :class:`numpy.random.RandomState`.
    use_fast_tsne
        Use the package MulticoreTSNE where it is installed (deprecated).
    n_jobs
        Threads that search for neighbours, 1 by default. Forces are computed by all threads that
        OpenMP has.
    key_added
        Key in ``obsm`` and ``uns``; by default ``"X_tsne"`` and ``"tsne"``.
    copy
        Return a changed copy and leave ``adata`` as it is.

    Returns
    -------
    None, or the copy
        Sets ``adata.obsm["X_tsne"]``, float32, shape (n_obs, n_components), and
        ``adata.uns["tsne"]["params"]``.

    Raises
    ------
    ValueError
        If the representation is unknown, has fewer than ``n_pcs`` columns or is not finite, and for
        what scikit-learn refuses, ``perplexity`` ≥ ``n_obs`` for example.
    MemoryError
        If X is the representation and would not fit ``lazyomics.memory``.

    Warns
    -----
    UserWarning
        If ``n_jobs`` is not 1, as in scanpy; or MulticoreTSNE is asked for and not installed.
    FutureWarning
        If MulticoreTSNE is asked for.

    Notes
    -----
    Passes over X: 0; 1 if X is the representation, those of :func:`lazyomics.pp.pca` if ``X_pca``
    is missing. Peak memory: the representation and about ``90 * perplexity`` bytes a cell.

    The coordinates are scanpy's, on one thread. On several threads of OpenMP, scikit-learn adds up
    in another order each time, and after hundreds of steps coordinates differ from run to run.

    References
    ----------
    van der Maaten and Hinton (2008). https://jmlr.org/papers/v9/vandermaaten08a.html

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(np.random.default_rng(0).normal(size=(20, 4)).astype("float32"))
    >>> lo.tl.tsne(adata, perplexity=5)
    >>> adata.obsm["X_tsne"].shape
    (20, 2)
    """
    check_annotated(adata, "tl.tsne")
    begun = logging.info("computing tSNE")
    adata = adata.copy() if copy else adata
    x = choose_representation(adata, use_rep=use_rep, n_pcs=n_pcs, finite=True)
    n_jobs = 1 if n_jobs is None else n_jobs
    options: dict[str, Any] = {
        "perplexity": perplexity,
        "early_exaggeration": early_exaggeration,
        "learning_rate": learning_rate,
        "n_jobs": n_jobs,
        "metric": metric,
        "n_components": n_components,
    }
    if n_jobs != 1 and not use_fast_tsne:
        warn_user(
            "n_jobs other than 1 meant MulticoreTSNE in scanpy once; now scikit-learn searches for "
            "neighbours with so many threads"
        )
    embedding = _embedded(x, use_fast_tsne, {**options, "random_state": random_state})
    params = {**options, "use_rep": use_rep}
    key_obsm, key_uns = ("X_tsne", "tsne") if key_added is None else (key_added, key_added)
    adata.obsm[key_obsm] = embedding
    adata.uns[key_uns] = {"params": {k: v for k, v in params.items() if v is not None}}
    deep = f"added\n    {key_obsm!r}, tSNE coordinates (adata.obsm)\n"
    deep += f"    {key_uns!r}, tSNE parameters (adata.uns)"
    logging.info("    finished", time=begun, deep=deep)
    return adata if copy else None


def _embedded(x: Any, use_fast_tsne: bool, options: dict[str, Any]) -> NDArray[Any]:
    if use_fast_tsne:
        warn_user(
            "use_fast_tsne is deprecated: MulticoreTSNE is not kept any more, and not faster",
            FutureWarning,
        )
        if find_spec("MulticoreTSNE") is not None:
            from MulticoreTSNE import MulticoreTSNE

            fast: NDArray[Any] = MulticoreTSNE(**options).fit_transform(x.astype(np.float64))
            return fast
        warn_user("MulticoreTSNE is not installed: scikit-learn's t-SNE is used")
    from sklearn.manifold import TSNE

    logging.info("    using sklearn.manifold.TSNE")
    embedding: NDArray[Any] = TSNE(**options).fit_transform(x)
    return embedding
