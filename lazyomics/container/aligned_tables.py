"""Tables in obsm and varm: their row names are those of obs and var, also when these change."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pandas as pd

from lazyomics.container.deferred import is_deferred
from lazyomics.errors import ShapeError

if TYPE_CHECKING:
    from lazyomics.container.frames import FrameSlot
    from lazyomics.container.mappings import AlignedMapping

__all__ = ["align_tables", "check_table", "is_stored_table", "show_aligned"]


def is_stored_table(value: Any) -> bool:
    """Tell whether a value is a table that is still in the file, whole or cut."""
    base = getattr(value, "base", value)
    return is_deferred(value) and getattr(base, "kind", "") == "dataframe"


def check_table(table: pd.DataFrame, names: pd.Index, where: str) -> None:
    """Make sure that a table has the row names of its axis, in their order.

    Raises
    ------
    ShapeError
        If it has others: nothing says then which row belongs to which cell or gene.
    """
    if table.index is names or table.index.equals(names):
        return
    hint = f"Give it these names, e.g. with table.set_index({where[:3]}_names)"
    if len(table) == len(names) and names.is_unique and set(names) == set(table.index):
        hint = f"It has them in another order: table.loc[{where[:3]}_names] has theirs"
    first = next(k for k, (a, b) in enumerate(zip(table.index, names, strict=True)) if a != b)
    raise ShapeError(
        f"{where}: row {first} of the table is named {table.index[first]!r}, expected "
        f"{names[first]!r}: its row names are those of {where[:3]}. {hint}"
    )


def align_tables(
    mappings: Iterable[tuple[AlignedMapping, FrameSlot]], *, strict: bool = False
) -> None:
    """Carry new names of cells and genes along to the tables of obsm and varm.

    Names also change through the tables of pandas (``obs.index = …``, ``obs.set_index``), which
    tell nobody. This is called before names and tables are used together: by selections, copies
    and whatever is written.

    Parameters
    ----------
    mappings
        obsm and varm, each with the table of its axis.
    strict
        Whether tables are refused that have other names for another reason: files of others may
        hold such ones, which can be read, but should not be written.

    Raises
    ------
    ShapeError
        If a table has row names that neither were nor are those of its axis, or if the axis got
        its own names in another order.
    """
    for mapping, slot in mappings:
        if not slot.is_loaded:
            continue
        names, before = slot.index, slot.names_before
        renamed = before is not None and names is not before and not names.equals(before)
        for key, value in mapping.held().items():
            if is_stored_table(value) and renamed:
                value = mapping[key]
            if not isinstance(value, pd.DataFrame) or value.index is names:
                continue
            where = f"{mapping.name}[{key!r}]"
            if renamed and before is not None and value.index.equals(before):
                if set(names) == set(before):
                    raise ShapeError(
                        f"{mapping.name[:3]} has its rows in another order than before, all other "
                        f"parts do not: {where} cannot follow. Select with adata[order] instead"
                    )
                value.index = names
            elif strict:
                check_table(value, names, where)
        slot.note_names()


def show_aligned(mapping: AlignedMapping, slot: FrameSlot) -> AlignedMapping:
    """Return obsm or varm to look at: its tables have new names already, where these are usable.

    What is wrong with names is said by what needs them right, a selection, copy or save: until
    then entries can be looked at, and be taken out.
    """
    with suppress(TypeError, ValueError):
        align_tables([(mapping, slot)])
    return mapping.follow(slot)
