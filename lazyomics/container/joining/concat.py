"""concat: several objects as one, without reading their matrices."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lazyomics.container.anndata import AnnData
from lazyomics.container.frames import FrameSlot
from lazyomics.container.joining.arrays import realigned, stacked_values
from lazyomics.container.joining.frames import (
    common_names,
    merged_frame,
    positions_in,
    stacked_frame,
)
from lazyomics.container.joining.merging import Merge, MergeRule, merge_rule, shared_keys
from lazyomics.container.raw import RawParts
from lazyomics.container.uns import Uns
from lazyomics.errors import warn_user
from lazyomics.graph import join_matrices
from lazyomics.graph.selection import Positions

__all__ = ["concat"]

Axis: TypeAlias = Literal["obs", "var", 0, 1]
NAMES = ("obs", "var")


def concat(
    adatas: Collection[AnnData] | Mapping[str, AnnData],
    *,
    axis: Axis = "obs",
    join: Literal["inner", "outer"] = "inner",
    merge: Merge = None,
    uns_merge: Merge = None,
    label: str | None = None,
    keys: Collection[Any] | None = None,
    index_unique: str | None = None,
    fill_value: Any = None,
    pairwise: bool = False,
) -> AnnData:
    """Join objects along an axis, lazily where they are lazy.

    Parameters
    ----------
    adatas
        Opened or in-memory objects; a mapping also gives ``keys``.
    axis
        ``"obs"`` (0) puts cells under each other, ``"var"`` (1) genes beside each other.
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

    Returns
    -------
    AnnData without a file. A matrix is sparse by rows (CSR) as soon as one of those that it joins
    is sparse, in whatever storage, else dense. obsm (varm) entries are loaded; X, layers, raw and
    obsp stay lazy, and in memory if all were.

    Raises
    ------
    ValueError
        For unknown options, and for names that repeat on the other axis and differ.
    TypeError
        For keys given twice, or objects of other types.

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
    >>> one = AnnData(np.ones((2, 3)), var={"index": ["a", "b", "c"]})
    >>> two = AnnData(np.zeros((1, 2)), var={"index": ["c", "b"]})
    >>> both = concat({"x": one, "y": two}, label="from", index_unique="-")
    >>> both.shape, list(both.obs_names), list(both.var_names)
    ((3, 2), ['0-x', '1-x', '0-y'], ['b', 'c'])
    """
    named, objects = _named(adatas, keys)
    along = _axis(axis)
    index, labels = _joined_names(objects, along, named, index_unique)
    others = [_names(a, 1 - along) for a in objects]
    other_index = common_names(others, join)
    places = [positions_in(names, other_index, NAMES[1 - along]) for names in others]
    joint = _Join(objects, along, join, fill_value, index, other_index, places)
    table = stacked_frame([_frame(a, along) for a in objects], join, index)
    if label is not None:
        table[label] = labels
    rule = merge_rule(merge)
    side = merged_frame([_frame(a, 1 - along) for a in objects], other_index, rule)
    uns_rule = merge_rule(uns_merge)
    made = AnnData(
        joint.x(),
        **{NAMES[along]: table, NAMES[1 - along]: side},
        shape=joint.shape,
        uns=None if uns_rule is None else dict(uns_rule([_as_dict(a.uns) for a in objects])),
        layers=joint.layers(),
        **joint.aligned(rule, pairwise=pairwise),
    )
    options = {"label": label, "keys": named, "index_unique": index_unique}
    made._raw = _joined_raw(objects, axis=axis, join=join, fill_value=fill_value, **options)
    return made


def _named(adatas: Any, keys: Any) -> tuple[list[Any], list[AnnData]]:
    if isinstance(adatas, Mapping):
        if keys is not None:
            raise TypeError("keys are given twice: by the mapping and by `keys`; drop one of them")
        keys, adatas = list(adatas.keys()), list(adatas.values())
    objects = list(adatas)
    if not objects:
        raise ValueError("concat needs at least one object, found none")
    for one in objects:
        if not isinstance(one, AnnData):
            raise TypeError(
                f"concat joins lazyomics.AnnData, found {type(one).__module__}."
                f"{type(one).__name__}; AnnData.from_anndata converts anndata's objects"
            )
    named = [str(k) for k in range(len(objects))] if keys is None else list(keys)
    if len(named) != len(objects):
        raise ValueError(f"{len(named)} keys for {len(objects)} objects")
    return named, objects


def _axis(axis: Axis) -> int:
    if axis in ("obs", 0):
        return 0
    if axis in ("var", 1):
        return 1
    raise ValueError(f"axis is 'obs', 'var', 0 or 1, found {axis!r}")


def _names(adata: AnnData, axis: int) -> pd.Index:
    return adata.obs_names if axis == 0 else adata.var_names


def _frame(adata: AnnData, axis: int) -> pd.DataFrame:
    return adata.obs if axis == 0 else adata.var


def _as_dict(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: values[key] for key in values}


def _joined_names(
    objects: Sequence[AnnData], along: int, named: list[Any], join: str | None
) -> tuple[pd.Index, pd.Categorical]:
    """Names of the joined axis, and which object each comes from."""
    codes = np.repeat(np.arange(len(objects)), [a.shape[along] for a in objects])
    labels = pd.Categorical.from_codes(codes, categories=pd.Index(named))
    names = pd.concat([_names(a, along).to_series() for a in objects], ignore_index=True)
    if join is not None:
        names = names.str.cat(labels.map(str, na_action="ignore"), sep=join)
    return pd.Index(names), labels


@dataclass(frozen=True)
class _Join:
    """What all matrices of one join share."""

    objects: Sequence[AnnData]
    along: int
    join: str
    fill: Any
    index: pd.Index
    other_index: pd.Index
    places: list[Positions | None]

    @property
    def lengths(self) -> list[int]:
        return [a.shape[self.along] for a in self.objects]

    @property
    def shape(self) -> tuple[int, int]:
        sizes = len(self.index), len(self.other_index)
        return sizes if self.along == 0 else (sizes[1], sizes[0])

    def matrix(self, matrices: Sequence[Any]) -> Any:
        """Join matrices of the shapes of the objects; None for a missing one."""
        return join_matrices(
            matrices,
            axis=self.along,
            lengths=self.lengths,
            places=self.places,
            width=len(self.other_index),
            fill=self.fill,
        )

    def x(self) -> Any:
        matrices = [a.X for a in self.objects]
        absent = [x is None for x in matrices]
        if all(absent):
            return None
        if any(absent) and self.join == "inner":
            warn_user("some of the objects have no X: the result has none; use join='outer'")
            return None
        return self.matrix(matrices)

    def layers(self) -> dict[str, Any]:
        found = [a.layers for a in self.objects]
        keys = shared_keys(found, everywhere=self.join == "inner")
        return {k: self.matrix([m.get(k) for m in found]) for k in keys}

    def aligned(self, rule: MergeRule | None, *, pairwise: bool) -> dict[str, dict[str, Any]]:
        """Entries of obsm, varm, obsp and varp."""
        here, there = NAMES[self.along], NAMES[1 - self.along]
        return {
            f"{here}m": self._stacked(f"{here}m"),
            f"{here}p": self._blocks(f"{here}p") if pairwise else {},
            f"{there}m": self._merged(f"{there}m", rule, axes=1),
            f"{there}p": self._merged(f"{there}p", rule, axes=2),
        }

    def _stacked(self, name: str) -> dict[str, Any]:
        found = [getattr(a, name) for a in self.objects]
        return {
            key: stacked_values(
                [m.get(key) for m in found], self.lengths, self.index, self.join, self.fill
            )
            for key in shared_keys(found, everywhere=self.join == "inner")
        }

    def _blocks(self, name: str) -> dict[str, Any]:
        """Square matrices as the blocks of one; nothing connects rows of two objects."""
        found = [getattr(a, name) for a in self.objects]
        ends = np.cumsum([0, *self.lengths])
        places = [slice(int(a), int(b), 1) for a, b in pairwise(ends)]
        empty = [sp.csr_matrix((n, n), dtype=bool) for n in self.lengths]
        return {
            key: join_matrices(
                [m.get(key, none) for m, none in zip(found, empty, strict=True)],
                axis=0,
                lengths=self.lengths,
                places=places,
                width=int(ends[-1]),
                fill=0,
                sparse=True,
            )
            for key in shared_keys(found, everywhere=self.join == "inner")
        }

    def _merged(self, name: str, rule: MergeRule | None, *, axes: int) -> dict[str, Any]:
        if rule is None:
            return {}
        mappings = [
            {
                key: realigned(values[key], here, self.other_index, axes=axes)
                for values in [getattr(a, name)]
                for key in values
            }
            for a, here in zip(self.objects, self.places, strict=True)
        ]
        return dict(rule(mappings))


def _joined_raw(objects: Sequence[AnnData], **options: Any) -> RawParts | None:
    """Join raw as objects of their own, where all have it."""
    parts = [a._raw for a in objects]
    present = [part for part in parts if part is not None]
    if len(present) < len(parts):
        if present:
            warn_user("only some of the objects have raw: the result has none")
        return None
    raws = [
        AnnData._assemble(
            x=part.x,
            obs=FrameSlot(pd.DataFrame(index=a.obs_names)),
            var=part.var,
            uns=Uns(),
            mappings={"varm": part.varm},
        )
        for part, a in zip(present, objects, strict=True)
    ]
    return RawParts.of(concat(raws, **options))
