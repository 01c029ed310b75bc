"""Map new cells on a reference: its principal components, its UMAP, its labels."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics import lazy
from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated, get_matrix
from lazyomics.kernels.product import project
from lazyomics.kernels.sums import column_totals
from lazyomics.names import choices
from lazyomics.options import settings
from lazyomics.pp.representation import choose_representation
from lazyomics.tl.projection import Nearest, majority_labels, nearest_cells, place_in_umap

__all__ = ["Ingest", "ingest"]


def ingest(
    adata: AnnData,
    adata_ref: AnnData,
    *,
    obs: str | Iterable[str] | None = None,
    embedding_method: str | Iterable[str] = ("umap", "pca"),
    labeling_method: str = "knn",
    neighbors_key: str | None = None,
    inplace: bool = True,
    **kwargs: Any,
) -> AnnData | None:
    """Map labels and embeddings of a reference to new cells.

    Parameters
    ----------
    adata
        New cells, shape (n_obs, n_vars), with the genes of the reference in the same order.
    adata_ref
        Reference after ``pp.pca``, ``pp.neighbors`` and, for "umap", ``tl.umap``.
    obs
        Columns of ``adata_ref.obs`` to map.
    embedding_method
        What to map: "umap", "pca", or both.
    labeling_method
        Only "knn": the commonest label among the nearest cells of the reference.
    neighbors_key
        Key in ``adata_ref.uns`` that ``pp.neighbors`` wrote; by default "neighbors".
    inplace
        Set the results in ``adata``; otherwise in a copy, which is returned.
    kwargs
        Of the search for labels: ``k``, the number of neighbours (by default that of the
        reference), ``epsilon`` and ``random_state``.

    Returns
    -------
    None, or the copy. Sets ``obsm["rep"]`` (what neighbours are searched in), ``obsm["X_pca"]`` and
    ``obsm["X_umap"]`` as asked for, and categorical columns of ``obs``.

    Raises
    ------
    ValueError
        If genes differ, or the reference lacks a graph, components or an embedding.
    NotImplementedError
        For other methods.
    MissingDependencyError
        If umap-learn ("umap") or pynndescent (references of 8,192 cells or more) is not installed.

    Notes
    -----
    Passes over X of the new cells: 1 if neighbours lie in principal components, whatever is asked
    for; of the reference: 1, for the mean of its genes. Peak memory: the blocks in flight, n_obs ×
    components, and the neighbours.

    As scanpy 1.12, the mean of the reference is subtracted before the projection, where scanpy 1.11
    takes that of the new cells. A layer that ``pp.pca`` read in the reference is read of the new
    cells, too. In a reference of fewer than 8,192 cells neighbours are exact, where scanpy's are
    approximate.

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> x = np.random.default_rng(0).normal(size=(60, 8)) + np.repeat([0, 9], 30)[:, None]
    >>> reference, new = lo.AnnData(x[::2]), lo.AnnData(x[1::2])
    >>> reference.obs["type"] = ["low"] * 15 + ["high"] * 15
    >>> lo.pp.pca(reference, n_comps=3)
    >>> lo.pp.neighbors(reference, n_neighbors=5, use_rep="X_pca")
    >>> lo.tl.ingest(new, reference, obs="type", embedding_method="pca")
    >>> new.obs["type"].value_counts().to_dict()
    {'high': 15, 'low': 15}
    """
    check_annotated(adata, "tl.ingest")
    check_annotated(adata_ref, "tl.ingest")
    columns = [obs] if isinstance(obs, str) else list(obs or ())
    methods = [embedding_method] if isinstance(embedding_method, str) else list(embedding_method)
    labeling = list(np.atleast_1d(labeling_method))  # scanpy takes one for each column, too
    if len(labeling) == 1:
        labeling *= len(columns)
    if len(labeling) != len(columns):
        raise ValueError(f"{len(labeling)} labeling methods for {len(columns)} columns of obs")
    missing = [name for name in columns if name not in adata_ref.obs.columns]
    if missing:
        raise KeyError(f"adata_ref.obs has no {missing}; {choices(missing, adata_ref.obs)}")
    mapping = Ingest(adata_ref, neighbors_key)
    mapping.fit(adata)
    for method in methods:
        mapping.map_embedding(method)
    if columns:
        mapping.neighbors(**kwargs)
    for name, method in zip(columns, labeling, strict=True):
        mapping.map_labels(name, method)
    return mapping.to_adata(inplace=inplace)


class Ingest:
    """A reference on which new cells are mapped: ``fit``, then what is wanted, then ``to_adata``.

    Parameters
    ----------
    adata
        Reference, as ``tl.ingest`` takes it.
    neighbors_key
        Key in ``adata.uns`` that ``pp.neighbors`` wrote.

    Raises
    ------
    TypeError
        If ``adata`` is not an AnnData.
    ValueError
        If there is no graph, or its representation.
    """

    def __init__(self, adata: AnnData, neighbors_key: str | None = None) -> None:
        check_annotated(adata, "tl.Ingest")
        key = "neighbors" if neighbors_key is None else neighbors_key
        if key not in adata.uns:
            raise ValueError(
                f'There is no neighbors data in `adata.uns["{key}"]`.\nPlease run lo.pp.neighbors.'
            )
        params: Mapping[str, Any] = adata.uns[key]["params"]
        self._reference = adata
        self._k = int(params["n_neighbors"])
        self._metric = params.get("metric", "euclidean")
        self._metric_kwds = dict(params.get("metric_kwds", {}))
        self._seed = params.get("random_state", 0)
        self._named_rep = str(params["use_rep"]) if "use_rep" in params else None
        self._n_pcs = int(params["n_pcs"]) if "n_pcs" in params else None
        if self._named_rep is None and self._n_pcs is None and "X_pca" in adata.obsm:
            self._n_pcs = settings.N_PCS if adata.n_vars > settings.N_PCS else None
        rep = self._named_rep or ("X" if self._n_pcs is None else "X_pca")
        self._rep = choose_representation(adata, use_rep=rep, finite=True)
        if self._named_rep is None and self._n_pcs is not None:
            self._rep = self._rep[:, : self._n_pcs]
        self._axes: tuple[NDArray[Any], NDArray[np.intp], NDArray[np.float64] | None] | None = None
        self._new: AnnData | None = None
        self._obsm: dict[str, Any] = {}
        self._labels: dict[str, Any] = {}
        self._nearest: Nearest | None = None
        self._scores: NDArray[Any] | None = None

    def fit(self, adata_new: AnnData) -> None:
        """Bring new cells into the representation that the neighbours of the reference have.

        Raises
        ------
        ValueError
            If genes differ, or the new cells lack the representation.
        """
        check_annotated(adata_new, "tl.Ingest")
        theirs = adata_new.var_names.astype(str).str.upper()
        if not self._reference.var_names.astype(str).str.upper().equals(theirs):
            raise ValueError(
                "Variables in the new adata are different from variables in the reference adata"
            )
        self._new, self._obsm, self._labels = adata_new, {}, {}
        self._nearest, self._scores = None, None
        name = self._named_rep
        if name is None and self._n_pcs is not None:
            self._obsm["rep"] = self._projected()[:, : self._n_pcs]
        elif name == "X_pca" and name not in adata_new.obsm:
            self._obsm["rep"] = self._projected()
        else:
            rep = choose_representation(adata_new, use_rep=name or "X", finite=True)
            if rep.shape[1] != self._rep.shape[1]:
                raise ValueError(
                    f"{name} has {rep.shape[1]} columns in the new adata and {self._rep.shape[1]} "
                    "in the reference"
                )
            self._obsm["rep"] = rep

    def neighbors(
        self,
        k: int | None = None,
        queue_size: int = 5,
        epsilon: float = 0.1,
        random_state: Any = 0,
    ) -> None:
        """Find the cells of the reference that are nearest to each new one.

        ``queue_size`` is accepted for compatibility; it has no effect in scanpy either.
        """
        self._nearest = self._found(self._k if k is None else k, epsilon, random_state)

    def map_embedding(self, method: str) -> None:
        """Map "umap" or "pca"."""
        if method == "pca":
            self._obsm["X_pca"] = self._projected()
        elif method == "umap":
            self._obsm["X_umap"] = self._in_umap()
        else:
            raise NotImplementedError(
                f"Ingest supports only umap and pca embeddings for now, found {method!r}."
            )

    def map_labels(self, labels: str, method: str) -> None:
        """Map a column of ``obs`` by "knn", after ``neighbors``."""
        if method != "knn":
            raise NotImplementedError(f"Ingest supports knn labeling for now, found {method!r}.")
        if self._nearest is None:
            self.neighbors()
        assert self._nearest is not None
        self._labels[labels] = majority_labels(self._reference.obs[labels], self._nearest.indices)

    def to_adata(self, *, inplace: bool = False) -> AnnData | None:
        """Set what was mapped in the new cells, or in a copy that is returned."""
        adata = self._fitted() if inplace else self._fitted().copy()
        for key, values in self._obsm.items():
            adata.obsm[key] = values
        for key, values in self._labels.items():
            adata.obs[key] = values
        return None if inplace else adata

    def to_adata_joint(
        self,
        batch_key: str = "batch",
        batch_categories: Sequence[Any] | None = None,
        index_unique: str | None = "-",
    ) -> AnnData:
        """Return reference and new cells as one object, with the labels and embeddings of both."""
        new, reference = self._fitted(), self._reference
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # concatenate is an older name
            joint: AnnData = reference.concatenate(
                new,
                batch_key=batch_key,
                batch_categories=batch_categories,
                index_unique=index_unique,
            )
        for key, mapped in self._labels.items():
            known = reference.obs[key].astype("category")
            codes = np.concatenate([known.cat.codes, mapped.codes])
            joint.obs[key] = pd.Categorical.from_codes(codes, categories=known.cat.categories)
        both = {key: key for key in self._obsm if key in reference.obsm}
        if self._named_rep not in (None, "X_pca", "X"):
            both[str(self._named_rep)] = "rep"
        for key, mine in both.items():
            values = choose_representation(reference, use_rep=key)
            joint.obsm[key] = np.vstack([values, self._obsm[mine]])
        if "X_umap" in self._obsm:
            joint.uns["umap"] = reference.uns["umap"]
        if "X_pca" in self._obsm:
            joint.uns["pca"] = reference.uns["pca"]
            joint.varm["PCs"] = reference.varm["PCs"]
        return joint

    def _fitted(self) -> AnnData:
        if self._new is None:
            raise ValueError("there are no new cells yet: call fit first")
        return self._new

    def _found(self, k: int, epsilon: float, random_state: Any) -> Nearest:
        self._fitted()
        return nearest_cells(
            self._rep,
            self._obsm["rep"],
            k,
            metric=self._metric,
            metric_kwds=self._metric_kwds,
            epsilon=epsilon,
            random_state=random_state,
        )

    def _in_umap(self) -> NDArray[np.float32]:
        reference = self._reference
        if "X_umap" not in reference.obsm or "umap" not in reference.uns:
            raise ValueError("the reference has no UMAP: run lo.tl.umap on it first")
        params = reference.uns["umap"]["params"]
        angular = self._metric in ("cosine", "correlation", "dice", "jaccard")
        # umap-learn looks this far around, a little farther where trees are angular
        nearest = self._found(self._k, 0.24 if angular else 0.12, self._seed)
        embedding = np.asarray(choose_representation(reference, use_rep="X_umap"))
        options = {"a": float(params["a"]), "b": float(params["b"]), "metric": self._metric}
        return place_in_umap(nearest, embedding, **options)

    def _projected(self) -> NDArray[Any]:
        """Coordinates of the new cells on all components of the reference, computed once."""
        if self._scores is not None:
            return self._scores
        axes, genes, center = self._components()
        x = get_matrix(self._fitted(), layer=self._layer())
        dtype = np.result_type(x.dtype, axes.dtype)
        dtype = dtype if np.issubdtype(dtype, np.floating) else np.dtype(np.float64)
        wide = axes.astype(np.float64)
        rows = lazy.collect_rows(
            x[:, genes],
            project,
            dtype=dtype,
            columns=axes.shape[1],
            axes=wide,
            offset=None if center is None else center @ wide,
            result_dtype=dtype.name,
        )
        (coordinates,) = lazy.compute(rows)
        self._scores = np.asarray(coordinates)
        return self._scores

    def _layer(self) -> str | None:
        layer = self._reference.uns["pca"]["params"].get("layer")
        return None if layer is None else str(layer)

    def _components(
        self,
    ) -> tuple[NDArray[Any], NDArray[np.intp], NDArray[np.float64] | None]:
        """Axes of the genes that have a part in them, these genes, and their mean."""
        reference = self._reference
        if self._axes is None:
            if "pca" not in reference.uns or "PCs" not in reference.varm:
                raise ValueError(
                    "the reference has no principal components: run lo.pp.pca on it first"
                )
            loadings = np.asarray(lazy.materialize(reference.varm["PCs"]))
            genes = np.flatnonzero(loadings.any(axis=1))
            center = None
            if reference.uns["pca"]["params"]["zero_center"]:
                x = get_matrix(reference, layer=self._layer())
                (totals,) = lazy.compute(lazy.fold_rows(x[:, genes], column_totals))
                center = totals / reference.n_obs
            self._axes = loadings[genes], genes, center
        return self._axes
