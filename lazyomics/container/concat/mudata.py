"""Concatenate MuData objects, modality by modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics.container.anndata import AnnData
from lazyomics.container.annotated import AxisName
from lazyomics.container.concat.anndata import NAMES, JoinOptions, OtherAxis, join_annotated
from lazyomics.container.concat.frames import positions_in
from lazyomics.container.mappings import AlignedMapping
from lazyomics.container.mudata.axis import Axis, PositionMaps, is_shared, modality_slot
from lazyomics.container.mudata.modalities import Modalities
from lazyomics.container.mudata.mudata import MuData
from lazyomics.container.slots import MatrixSlot

__all__ = [
    "join_modalities",
    "joined_axis",
]


def joined_axis(objects: Sequence[MuData], asked: int | None) -> int:
    """Return the axis to join along: the one that the modalities of all objects share.

    Raises
    ------
    ValueError
        If objects share different axes, or not the one that is asked for.
    """
    shared = {mdata.axis for mdata in objects}
    if len(shared) > 1:
        raise ValueError(
            f"all MuData to join must have the same axis, found {[m.axis for m in objects]}"
        )
    (axis,) = shared
    if asked is None:
        return max(axis, 0)
    if axis not in (-1, asked):
        raise ValueError(
            f"modalities share their {NAMES[axis]}: these MuData can be joined along "
            f"{NAMES[axis]!r}, not along {NAMES[asked]!r}"
        )
    return asked


def join_modalities(objects: Sequence[MuData], options: JoinOptions) -> MuData:
    """Join objects; where each row of the result is in each modality follows from its object."""
    mods = _modalities_of_all(objects)
    for mdata in objects:
        for axis in mdata._axes.values():
            axis.check_lengths(mdata.mod)
    made = Modalities({m: join_annotated([o.mod[m] for o in objects], options) for m in mods})
    along, other = NAMES[options.along], NAMES[1 - options.along]
    kept = [_rows_in_any(o._axes[along], mods) for o in objects]
    parts = [_annotation(o, along, rows) for o, rows in zip(objects, kept, strict=True)]
    maps = _joined_maps([o._axes[along] for o in objects], kept, mods)
    if is_shared(other, objects[0].axis):
        whole = join_annotated(parts, options)
        none = PositionMaps(f"{other}map", whole.shape[1 - options.along], {}, {})
        side = _axis_of(whole, other, none).updated(made, is_shared=True)
    else:
        whole = join_annotated(parts, options, _one_after_the_other(objects, other, made))
        side = _axis_of(whole, other, _following(other, made))
    return MuData._assemble(
        mod=made,
        axis=objects[0].axis,
        axes={along: _axis_of(whole, along, maps), other: side},
        uns=whole.uns,
    )


def _modalities_of_all(objects: Sequence[MuData]) -> list[str]:
    common = [m for m in objects[0].mod if all(m in o.mod for o in objects)]
    if not common:
        raise ValueError(
            "the MuData to join have no modality in common: "
            + "; ".join(", ".join(map(repr, o.mod)) or "none" for o in objects)
        )
    return common


def _rows_in_any(axis: Axis, mods: Sequence[str]) -> NDArray[np.intp]:
    """Rows of the whole that one of these modalities has."""
    present = np.zeros(len(axis.table), dtype=bool)
    for mod in mods:
        present |= axis.maps[mod] > 0
    return np.flatnonzero(present)


def _annotation(mdata: MuData, along: AxisName, rows: NDArray[np.intp]) -> AnnData:
    """Some rows of what belongs to the whole of an object, as an AnnData without X."""
    mappings: dict[Any, AlignedMapping] = {}
    for axis in mdata._axes.values():
        for mapping in (axis.arrays, axis.pairs):
            held = AlignedMapping(mapping.name, mdata.shape)
            held._values = {k: v for k, v in mapping.stored().items() if k not in axis.maps}
            mappings[mapping.name] = held
    made = AnnData._assemble(
        x=MatrixSlot(None), obs=mdata._obs, var=mdata._var, uns=mdata.uns, mappings=mappings
    )
    if len(rows) == made.shape[along == "var"]:
        return made
    return made[rows] if along == "obs" else made[:, rows]


def _joined_maps(
    axes: Sequence[Axis], kept: Sequence[NDArray[np.intp]], mods: Sequence[str]
) -> PositionMaps:
    """Positions in the joined modalities: those in the objects, one object after the other."""
    values, counts = {}, {}
    for mod in mods:
        start, parts = 0, []
        for axis, rows in zip(axes, kept, strict=True):
            here = axis.maps[mod][rows]
            parts.append(np.where(here > 0, here + np.uint32(start), np.uint32(0)))
            start += axis.maps.counts[mod]
        values[mod], counts[mod] = np.concatenate(parts).astype(np.uint32), start
    return PositionMaps(axes[0].maps.name, sum(map(len, kept)), values, counts)


def _axis_of(whole: AnnData, name: AxisName, maps: PositionMaps) -> Axis:
    values = {f"{name}{end}": getattr(whole, f"{name}{end}") for end in "mp"}
    table = whole._obs if name == "obs" else whole._var
    return Axis.of(name, table, values, maps)


def _one_after_the_other(objects: Sequence[MuData], name: AxisName, mods: Modalities) -> OtherAxis:
    """The axis that modalities do not share: each in its own order, whatever its names."""
    indexes = {mod: modality_slot(adata, name).index for mod, adata in mods.items()}
    names = pd.Index(list(chain.from_iterable(indexes.values())))
    return OtherAxis(names, [_rows_of(o, name, indexes) for o in objects])


def _rows_of(
    mdata: MuData, name: AxisName, indexes: Mapping[str, pd.Index]
) -> NDArray[np.int64] | None:
    """Row in the whole object of each entry of the joined modalities, −1 where it has none."""
    axis, parts = mdata._axes[name], []
    for mod, names in indexes.items():
        positions = axis.maps.rows_in(mod)
        present = np.flatnonzero(positions >= 0)
        rows = np.empty(axis.maps.counts[mod], dtype=np.int64)
        rows[positions[present]] = present
        here = positions_in(modality_slot(mdata.mod[mod], name).index, names, name)
        parts.append(rows if here is None else np.where(here < 0, -1, rows[here]))
    joined = np.concatenate(parts)
    return None if np.array_equal(joined, np.arange(len(axis.table))) else joined


def _following(name: AxisName, mods: Modalities) -> PositionMaps:
    """Positions in modalities that follow each other."""
    counts = {mod: len(modality_slot(adata, name)) for mod, adata in mods.items()}
    values, start, size = {}, 0, sum(counts.values())
    for mod, n in counts.items():
        values[mod] = np.zeros(size, dtype=np.uint32)
        values[mod][start : start + n] = np.arange(1, n + 1)
        start += n
    return PositionMaps(f"{name}map", size, values, counts)
