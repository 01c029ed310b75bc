"""Join AnnData objects along an axis, without reading their matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lazyomics.container.anndata import AnnData
from lazyomics.container.annotated_object import AxisName
from lazyomics.container.frames import FrameSlot
from lazyomics.container.joining.arrays import realigned, stacked_values
from lazyomics.container.joining.frames import (
    common_names,
    merged_frame,
    positions_in,
    stacked_frame,
)
from lazyomics.container.joining.merging import MergeRule, shared_keys
from lazyomics.container.raw import RawParts
from lazyomics.container.uns import Uns
from lazyomics.errors import warn_user
from lazyomics.graph import join_matrices
from lazyomics.graph.selection import Positions

__all__ = ["NAMES", "JoinOptions", "OtherAxis", "join_annotated"]

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
