"""Concatenate AnnData objects: matrices, tables, arrays and raw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lazyomics.container.anndata import AnnData
from lazyomics.container.annotated import AxisName
from lazyomics.container.concat.frames import (
    Merge,
    MergeRule,
    common_names,
    merge_rule,
    merged_frame,
    on_rows,
    positions_in,
    shared_keys,
    stacked_frame,
)
from lazyomics.container.frames import FrameSlot
from lazyomics.container.given import found_instead
from lazyomics.container.mappings import Uns
from lazyomics.container.raw import RawParts
from lazyomics.container.reindex import take_with_gaps
from lazyomics.container.values import is_ragged
from lazyomics.errors import UnsupportedError, require, warn_user
from lazyomics.lazy import join_matrices, materialize
from lazyomics.lazy.indexer import Positions
from lazyomics.lazy.joined import type_with

__all__ = [
    "NAMES",
    "JoinOptions",
    "OtherAxis",
    "concatenate",
    "join_annotated",
    "names_of_objects",
    "realigned",
    "stacked_values",
]


def stacked_values(
    values: Sequence[Any], lengths: Sequence[int], index: pd.Index, join: str, fill: Any
) -> Any:
    """Put arrays, tables or sparse matrices under each other; None stands for a missing one.

    An inner join keeps the columns that all of them have (of arrays: the first ones), an outer
    join all columns, filled with ``fill`` (by default 0 for sparse, else NaN).
    """
    present = [v for v in values if v is not None]
    tables = [isinstance(v, pd.DataFrame) for v in present]
    if any(tables):
        if not all(tables):
            raise UnsupportedError("a table cannot be joined with an array; convert one of them")
        return _stacked_tables(values, lengths, index, join)
    if any(is_ragged(v) for v in present):
        return _stacked_awkward(values, lengths, join)
    loaded = [None if v is None else materialize(v) for v in values]
    widths = [v.shape[1] for v in loaded if v is not None]
    width = min(widths) if join == "inner" else max(widths)
    if any(v is not None and v.ndim > 2 for v in loaded):
        return _stacked_boxes(loaded, lengths, width, fill)
    places = [None if v is None else _first_columns(v.shape[1], width) for v in loaded]
    return join_matrices(loaded, axis=0, lengths=lengths, places=places, width=width, fill=fill)


def _first_columns(n: int, width: int) -> Positions | None:
    if n == width:
        return None
    here = np.arange(width, dtype=np.int64)
    return np.where(here < n, here, -1)


def _stacked_tables(
    values: Sequence[Any], lengths: Sequence[int], index: pd.Index, join: str
) -> pd.DataFrame:
    frames = [
        pd.DataFrame(index=pd.RangeIndex(n)) if v is None else v
        for v, n in zip(values, lengths, strict=True)
    ]
    if join == "inner":
        columns = reduce(lambda a, b: a.intersection(b), (f.columns for f in frames))
        frames = [f.reindex(columns=columns) for f in frames]
    return stacked_frame(frames, "outer", index)


def _stacked_awkward(values: Sequence[Any], lengths: Sequence[int], join: str) -> Any:
    """Join awkward arrays; rows of an object that has none are None."""
    present = [v for v in values if v is not None]
    if not all(is_ragged(v) for v in present):
        raise UnsupportedError("an awkward array can only be joined with other awkward arrays")
    ak = require("awkward", extra="awkward", purpose="concat of awkward arrays")
    fields = [set(v.fields) for v in present]
    if join == "inner" and any(f != fields[0] for f in fields):
        common = [f for f in present[0].fields if all(f in other for other in fields)]
        values = [v[common] for v in values]
    missing = ak.Array([None] * (1 + max(lengths)))  # cut, as none of them would have no type
    pieces = [missing[:n] if v is None else v for v, n in zip(values, lengths, strict=True)]
    return ak.concatenate(pieces, axis=0)


def _stacked_boxes(values: Sequence[Any], lengths: Sequence[int], width: int, fill: Any) -> Any:
    """Join arrays of more than two dimensions."""
    rest = next(v.shape[2:] for v in values if v is not None)
    fill = np.nan if fill is None else fill
    pieces = []
    for value, n in zip(values, lengths, strict=True):
        if value is None:
            pieces.append(np.full((n, width, *rest), fill))
            continue
        kept = value[:, :width]
        gap = width - kept.shape[1]
        if gap:
            kept = kept.astype(type_with(kept.dtype, fill))
            filling = np.full((n, gap, *rest), fill, dtype=kept.dtype)
            kept = np.concatenate([kept, filling], axis=1)
        pieces.append(kept)
    return np.concatenate(pieces)


def realigned(value: Any, here: Positions | None, names: pd.Index, *, axes: int) -> Any:
    """Bring a value of varm (``axes=1``) or varp (2) to other row names, loaded.

    Parameters
    ----------
    value
        Array, table or matrix whose leading axes follow the old names.
    here
        Old position of each new name, −1 for none; None if the names are the same.
    names
        The new names.
    axes
        How many leading axes follow the names.
    """
    if here is None:
        return value
    if isinstance(value, pd.DataFrame):
        return on_rows(value, here, names)
    loaded = materialize(value)
    for axis in range(axes):
        loaded = take_with_gaps(loaded, here, axis)
    return loaded


NAMES: tuple[AxisName, AxisName] = ("obs", "var")


@dataclass(frozen=True)
class JoinOptions:
    """Arguments of ``concat``, checked.

    Attributes
    ----------
    along
        0: rows under each other, 1: columns beside each other.
    join
        ``"inner"`` or ``"outer"``, of the other axis.
    merge, uns_merge
        What to keep of the other axis, and of uns; None for nothing.
    label, keys, index_unique
        Column that says where an entry comes from, the names of the objects, and what goes
        between an entry's name and that.
    fill_value
        Where an object has no value.
    pairwise
        Whether to join obsp (varp) of the joined axis.
    """

    along: int
    join: str
    merge: MergeRule | None
    uns_merge: MergeRule | None
    label: str | None
    keys: list[Any]
    index_unique: str | None
    fill_value: Any
    pairwise: bool

    @classmethod
    def of(
        cls,
        along: int,
        keys: list[Any],
        *,
        join: str = "inner",
        merge: Merge = None,
        uns_merge: Merge = None,
        label: str | None = None,
        index_unique: str | None = None,
        fill_value: Any = None,
        pairwise: bool = False,
    ) -> JoinOptions:
        """Check what ``concat`` was called with, of an axis and names of the objects."""
        return cls(
            along=along,
            join=join,
            merge=merge_rule(merge),
            uns_merge=merge_rule(uns_merge),
            label=label,
            keys=keys,
            index_unique=index_unique,
            fill_value=fill_value,
            pairwise=pairwise,
        )


@dataclass(frozen=True)
class OtherAxis:
    """Names of the axis that is not joined along, and the row of each name in each object.

    A row is −1 where an object lacks the name; None stands for the same names in the same order.
    """

    names: pd.Index
    places: list[Positions | None]


def join_annotated(
    objects: Sequence[AnnData], options: JoinOptions, other: OtherAxis | None = None
) -> AnnData:
    """Join objects; what is lazy or stored in them stays so.

    ``other`` says what the other axis is to be, where that does not follow from the names.
    """
    along, join = options.along, options.join
    index, labels = _joined_names(objects, options)
    other = other or _by_names(objects, options)
    joint = _Join(objects, along, join, options.fill_value, index, other.names, other.places)
    table = stacked_frame([_frame(a, along) for a in objects], join, index)
    if options.label is not None:
        table[options.label] = labels
    side = pd.DataFrame(index=other.names)
    if options.merge is not None:
        frames = [_frame(a, 1 - along) for a in objects]
        side = merged_frame(frames, other.places, other.names, options.merge)
    uns = options.uns_merge
    tables: dict[str, Any] = {NAMES[along]: table, NAMES[1 - along]: side}
    made = AnnData(
        joint.x(),
        obs=tables["obs"],
        var=tables["var"],
        shape=joint.shape,
        uns=None if uns is None else dict(uns([_as_dict(a.uns) for a in objects])),
        layers=joint.layers(),
        **joint.aligned(options.merge, pairwise=options.pairwise),
    )
    made._raw = _joined_raw(objects, options)
    return made


def _by_names(objects: Sequence[AnnData], options: JoinOptions) -> OtherAxis:
    name = NAMES[1 - options.along]
    held = [_names(a, 1 - options.along) for a in objects]
    names = common_names(held, options.join)
    return OtherAxis(names, [positions_in(mine, names, name) for mine in held])


def _names(adata: AnnData, axis: int) -> pd.Index:
    return adata.obs_names if axis == 0 else adata.var_names


def _frame(adata: AnnData, axis: int) -> pd.DataFrame:
    return adata.obs if axis == 0 else adata.var


def _as_dict(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: values[key] for key in values}


def _joined_names(
    objects: Sequence[AnnData], options: JoinOptions
) -> tuple[pd.Index, pd.Categorical]:
    """Names of the joined axis, and which object each comes from."""
    along = options.along
    codes = np.repeat(np.arange(len(objects)), [a.shape[along] for a in objects])
    labels = pd.Categorical.from_codes(codes, categories=pd.Index(options.keys))
    names = pd.concat([_names(a, along).to_series() for a in objects], ignore_index=True)
    if options.index_unique is not None:
        names = names.str.cat(labels.map(str, na_action="ignore"), sep=options.index_unique)
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

    def aligned(self, rule: MergeRule | None, *, pairwise: bool) -> dict[str, Any]:
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


def _joined_raw(objects: Sequence[AnnData], options: JoinOptions) -> RawParts | None:
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
    plain = replace(options, merge=None, uns_merge=None, pairwise=False)
    return RawParts.of(join_annotated(raws, plain))


def names_of_objects(objects: Sequence[Any], keys: Sequence[Any] | None) -> list[Any]:
    """Return the names of the objects to join, by default their numbers.

    Raises
    ------
    ValueError
        If there are more or fewer names than objects.
    """
    named = [str(k) for k in range(len(objects))] if keys is None else list(keys)
    if len(named) != len(objects):
        raise ValueError(f"{len(named)} keys for {len(objects)} objects")
    return named


def concatenate(
    adatas: Sequence[AnnData],
    *,
    join: Any,
    batch_key: str,
    batch_categories: Sequence[Any] | None,
    uns_merge: Any,
    index_unique: str | None,
    fill_value: Any,
) -> Any:
    """Join objects under each other; the parameters are those of ``AnnData.concatenate``."""
    for one in adatas:
        if not isinstance(one, AnnData):
            raise TypeError(f"concatenate joins AnnData of lazyomics, found {found_instead(one)}")
    keys = names_of_objects(adatas, batch_categories)
    options = JoinOptions.of(
        0,
        keys,
        join=join,
        uns_merge=uns_merge,
        label=batch_key,
        index_unique=index_unique,
        fill_value=fill_value,
    )
    made = join_annotated(adatas, options)
    every_column = replace(options, join="outer", uns_merge=None, fill_value=None)
    made.obs = join_annotated([AnnData(obs=a.obs) for a in adatas], every_column).obs
    names = batch_categories or range(len(adatas))
    made.var = _columns_of_all(
        [a.var for a in adatas], made.var_names, [str(name) for name in names]
    )
    return made


def _columns_of_all(
    frames: Sequence[pd.DataFrame], index: pd.Index, batches: Sequence[str]
) -> pd.DataFrame:
    """Columns that all tables have alike, then the others of each, named after their batch."""
    same = merge_rule("same")
    assert same is not None
    alike: list[str] = []

    def merged(mappings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        kept = dict(same(mappings))
        alike.extend(kept)
        for key in shared_keys(mappings, everywhere=False):
            if key not in alike:
                for batch, columns in zip(batches, mappings, strict=True):
                    kept |= {f"{key}-{batch}": columns[key]} if key in columns else {}
        return kept

    places = [positions_in(frame.index, index, "var") for frame in frames]
    table = merged_frame(frames, places, index, merged)
    ends = [next((b for b in batches if str(c).endswith(f"-{b}")), "") for c in table.columns]
    return table.iloc[:, np.argsort(np.asarray(ends, dtype=object), kind="stable")]
