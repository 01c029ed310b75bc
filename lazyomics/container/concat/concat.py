"""Concatenate objects lazily, with the arguments of anndata.concat."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from lazyomics.container.anndata import AnnData
from lazyomics.container.concat.anndata import JoinOptions, join_annotated, names_of_objects
from lazyomics.container.concat.frames import Merge
from lazyomics.container.given import found_instead

if TYPE_CHECKING:
    from lazyomics.container.mudata.mudata import MuData

__all__ = [
    "concat",
]


Axis: TypeAlias = Literal["obs", "var", 0, 1]
AnnDataOrMuData = TypeVar("AnnDataOrMuData", AnnData, "MuData")


def concat(
    adatas: Collection[AnnDataOrMuData] | Mapping[str, AnnDataOrMuData],
    *,
    axis: Axis | None = None,
    join: Literal["inner", "outer"] = "inner",
    merge: Merge = None,
    uns_merge: Merge = None,
    label: str | None = None,
    keys: Collection[Any] | None = None,
    index_unique: str | None = None,
    fill_value: Any = None,
    pairwise: bool = False,
    force_lazy: bool = False,
) -> AnnDataOrMuData:
    """Join objects along an axis, lazily where they are lazy.

    Parameters
    ----------
    adatas
        Opened or in-memory objects, all AnnData or all MuData; a mapping also gives ``keys``.
    axis
        ``"obs"`` (0) puts cells under each other, ``"var"`` (1) genes beside each other. By
        default obs; for MuData the axis that their modalities share.
    join
        Of the other axis: names that all objects have, or any. It also decides which layers,
        obsm (varm) entries and columns are kept.
    merge
        What to keep of the other axis' table, varm (obsm) and varp (obsp): None, ``"same"``,
        ``"unique"``, ``"first"``, ``"only"``, or a function of the list of mappings.
    uns_merge
        The same for uns.
    label
        Name of a column of the joined axis that says which object a row comes from.
    keys
        Names of the objects, used by ``label`` and ``index_unique``; by default 0, 1, ….
    index_unique
        Text put between each name and the key of its object.
    fill_value
        Where an object has no value; by default 0 if one of the joined matrices is sparse, else
        NaN. Integers with NaN become float64.
    pairwise
        Also join obsp (varp), as blocks of a sparse matrix.
    force_lazy
        anndata's, without effect: what is lazy is always joined lazily.

    Returns
    -------
    AnnData or MuData without a file. A matrix is sparse by rows (CSR) as soon as one of those that
    it joins is sparse, in whatever storage, else dense. obsm (varm) entries are loaded; X, layers,
    raw and obsp stay lazy, and in memory if all were. Of MuData, the modalities that all objects
    have are joined, each as an AnnData, and the annotation of the whole likewise.

    Raises
    ------
    ValueError
        For unknown options, for names that repeat on the other axis and differ, and for MuData
        that share other axes or no modality.
    TypeError
        For keys given twice, objects of other types, or AnnData together with MuData.

    Warns
    -----
    UserWarning
        If only some of the objects have raw, or an inner join drops X because some have none.

    Notes
    -----
    Passes over X: 0 (``merge`` loads varm and varp, not X). Peak memory: tables and obsm of all
    objects. Reading or writing the result touches one block of one object at a time; objects that
    are stored by columns (CSC) are scanned once for each window of their rows. Matrices that
    were changed by ordinary dask operations are joined as dask arrays, so that selections cut
    their blocks after these are computed.

    Examples
    --------
    >>> import numpy as np
    >>> one = AnnData(np.ones((2, 3)), var={"var_names": ["a", "b", "c"]})
    >>> two = AnnData(np.zeros((1, 2)), var={"var_names": ["c", "b"]})
    >>> both = concat({"x": one, "y": two}, label="from", index_unique="-")
    >>> both.shape, list(both.obs_names), list(both.var_names)
    ((3, 2), ['0-x', '1-x', '0-y'], ['b', 'c'])
    """
    named, objects = _named(adatas, keys)
    along = _axis(axis)
    if isinstance(objects[0], AnnData):
        join_objects: Any = join_annotated
    else:
        from lazyomics.container.concat.mudata import join_modalities, joined_axis

        along, join_objects = joined_axis(objects, along), join_modalities
    options = JoinOptions.of(
        along or 0,
        named,
        join=join,
        merge=merge,
        uns_merge=uns_merge,
        label=label,
        index_unique=index_unique,
        fill_value=fill_value,
        pairwise=pairwise,
    )
    made: AnnDataOrMuData = join_objects(objects, options)
    return made


def _named(adatas: Any, keys: Any) -> tuple[list[Any], list[Any]]:
    if isinstance(adatas, Mapping):
        if keys is not None:
            raise TypeError("keys are given twice: by the mapping and by `keys`; drop one of them")
        keys, adatas = list(adatas.keys()), list(adatas.values())
    objects = list(adatas)
    if not objects:
        raise ValueError("concat needs at least one object, found none")
    _check_types(objects)
    return names_of_objects(objects, keys), objects


def _check_types(objects: Sequence[Any]) -> None:
    from lazyomics.container.mudata.mudata import MuData

    for one in objects:
        if not isinstance(one, AnnData | MuData):
            raise TypeError(
                f"concat joins AnnData or MuData of lazyomics, found {found_instead(one)}"
            )
    kinds = [isinstance(one, MuData) for one in objects]
    if len(set(kinds)) > 1:
        raise TypeError(
            f"concat joins AnnData or MuData, not both: object {kinds.index(False)} is an AnnData, "
            f"object {kinds.index(True)} a MuData. Join a modality (mdata['rna']), or make a "
            "MuData of the AnnData first (MuData({'rna': adata}))."
        )


def _axis(axis: Axis | None) -> int | None:
    if axis is None:
        return None
    if axis in ("obs", 0):
        return 0
    if axis in ("var", 1):
        return 1
    raise ValueError(f"axis is 'obs', 'var', 0 or 1, found {axis!r}")
