"""Mappings of a container: layers, obsm, varm, obsp, varp and uns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from lazyomics.container.baseline import Baseline, content_of
from lazyomics.container.deferred import Deferred, DeferredFrame, cut_value, defer_cut, is_deferred
from lazyomics.container.frames import (
    AlignedNames,
    FrameSlot,
    check_columns,
    check_table,
    is_stored_table,
    string_index,
)
from lazyomics.container.values import copied, is_ragged, normal_form
from lazyomics.errors import ShapeError
from lazyomics.lazy.indexer import Selector
from lazyomics.lazy.kinds import is_dask_array
from lazyomics.names import choices

__all__ = [
    "AXES",
    "AlignedMapping",
    "CutColors",
    "MappingName",
    "StoredValues",
    "Uns",
    "align_tables",
    "show_aligned",
]


class StoredValues(Mapping[str, Any]):
    """Values by name; one that is still in the file is read on first access, and kept.

    What a value was when it was read is remembered, so that a save finds what was changed in
    place.
    """

    name: Any = "values"

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)
        self._baselines: dict[str, Baseline] = {}

    def __getitem__(self, key: str) -> Any:
        value = self._values[key]
        if is_deferred(value):
            value = self._load(key, value, value.load())
        return value

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, or the default if there is none of that name."""
        return self[key] if key in self else default  # noqa: SIM401  # which would be this

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def _repr_html_(self) -> str:
        """What a notebook shows. Reads nothing."""
        from lazyomics.container.html import html_of_mapping

        return html_of_mapping(self.name, self)

    def _ipython_key_completions_(self) -> list[str]:
        """Keys that a notebook offers after an opening bracket."""
        return [str(key) for key in self]

    def stored(self) -> dict[str, Any]:
        """Values as they are held: those that were not read yet stay deferred."""
        return dict(self._values)

    def held(self) -> dict[str, Any]:
        """Return the values as they are held, whether or not they turn out to be left."""
        return dict(self._values)

    def baseline(self, key: str) -> Baseline | None:
        """What a value was when it was read; None for one that was not read from a file."""
        return self._baselines.get(key)

    def succeed(self, earlier: StoredValues) -> None:
        """Remember what is known of the values that these take the place of."""
        for key in {*earlier._values, *earlier._baselines}:
            earlier._note(key)
        self._baselines = {**earlier._baselines, **self._baselines}

    def _note(self, key: str) -> None:
        """Remember where a value is stored that was never read, before it is replaced."""
        value = self._values.get(key)
        if key not in self._baselines and is_deferred(value):
            self._baselines[key] = Baseline(value, None)

    def hold(self, key: str, value: Any, baseline: Baseline | None = None) -> None:
        """Hold a deferred or checked value as it is, with what is known of its file."""
        self._values[key] = value
        if baseline is None:
            self._baselines.pop(key, None)
        else:
            self._baselines[key] = baseline

    def forget(self, key: str) -> None:
        """Drop a value and what is known of it."""
        self._values.pop(key, None)
        self._baselines.pop(key, None)

    def load_with(self, key: str, loaded: Any) -> None:
        """Hold what was read for a value that is still deferred."""
        value = self._values.get(key)
        if is_deferred(value):
            self._load(key, value, loaded)

    def _load(self, key: str, deferred: Any, loaded: Any) -> Any:
        value = self._values[key] = self._checked(key, loaded)
        if not is_dask_array(value):
            self._baselines[key] = Baseline(deferred, content_of(value))
        return value

    def _checked(self, key: str, value: Any) -> Any:
        """Bring a value to the form that is held, or say what is wrong with it."""
        return value


MappingName = Literal["layers", "obsm", "varm", "obsp", "varp"]

AXES: dict[str, tuple[int, ...]] = {
    "layers": (0, 1),
    "obsm": (0,),
    "varm": (1,),
    "obsp": (0, 0),
    "varp": (1, 1),
}
"""Which axes of the object (0 obs, 1 var) the axes of a mapping's values follow."""


class AlignedMapping(AlignedNames, StoredValues, MutableMapping[str, Any]):
    """Values whose leading axes follow those of the object; stored ones are read on access."""

    def __init__(
        self, name: MappingName, shape: tuple[int, int], values: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__({})
        self.name = name
        self._shape = shape
        for key, value in (values or {}).items():
            self[key] = value

    @property
    def sizes(self) -> tuple[int, ...]:
        """Lengths that the leading axes of each value must have."""
        return tuple(self._shape[axis] for axis in AXES[self.name])

    def __getitem__(self, key: str) -> Any:
        if key not in self._values:
            raise KeyError(f"{self.name} has no {key!r}; {choices(key, self._values)}")
        return super().__getitem__(key)

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"keys of {self.name} are strings, found {type(key).__name__}")
        if not is_deferred(value):
            value = self._checked(key, value)
            if isinstance(value, pd.DataFrame) and self._slot is not None:
                check_table(value, self._slot.index, f"{self.name}[{key!r}]")
        self._note(key)
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        if key not in self._values:
            raise KeyError(f"{self.name} has no {key!r}; {choices(key, self._values)}")
        self._note(key)
        del self._values[key]

    def __repr__(self) -> str:
        return f"{self.name} with keys: {', '.join(self._values)}"

    def take(self, selectors: tuple[Selector, Selector], shape: tuple[int, int]) -> AlignedMapping:
        """Return the mapping of a selection of the object."""
        chosen = tuple(selectors[axis] for axis in AXES[self.name])
        cut = AlignedMapping(self.name, shape)
        for key, value in self._values.items():
            if is_deferred(value):
                cut._values[key] = defer_cut(value, chosen, self.sizes)
            else:
                cut._values[key] = cut_value(value, chosen)
        return cut

    def rename(self, axis: int, names: pd.Index) -> None:
        """Give tables among the values the new names of an axis."""
        if AXES[self.name] != (axis,):
            return
        for key, value in self._values.items():
            if isinstance(value, pd.DataFrame) or is_stored_table(value):
                self[key].index = names

    def succeeded(self, values: Mapping[str, Any]) -> AlignedMapping:
        """Return the mapping of other values, which remembers what is stored for their keys."""
        made = AlignedMapping(self.name, self._shape)
        made._slot = self._slot
        made.update(values)
        made.succeed(self)
        return made

    def copy(self) -> AlignedMapping:
        """Return an independent mapping; lazy and stored values are shared."""
        twin = AlignedMapping(self.name, self._shape)
        for key, value in self._values.items():
            twin._values[key] = value if is_deferred(value) else copied(value)
        twin._baselines = dict(self._baselines)
        return twin

    def _checked(self, key: str, value: Any) -> Any:
        tables = self.name in ("obsm", "varm")
        value = normal_form(value, f"{self.name}[{key!r}]", tables=tables)
        if is_ragged(value):
            shape: tuple[int, ...] = (len(value),)
        else:
            shape = tuple(value.shape if hasattr(value, "shape") else np.shape(value))
        lead = shape[: len(self.sizes)]
        if lead != self.sizes:
            raise ShapeError(
                f"{self.name}[{key!r}] has shape {shape}, expected {self.sizes} to begin with"
            )
        if isinstance(value, pd.DataFrame) and self.name in ("obsm", "varm"):
            check_columns(value, f"{self.name}[{key!r}]")
            value.index = string_index(value.index, f"{self.name}[{key!r}]")
        return value


# Categories as they are at the time of the selection, or the stored table that has them.
Held = pd.Index | DeferredFrame | None


@dataclass(frozen=True, eq=False)
class CutColors(Deferred):
    """Colours of a column, of which those of the categories that are left are kept.

    Attributes
    ----------
    colors
        What the entry was before: colours, in memory or not.
    column
        Name of the column.
    before, after
        Its categories before and after the selection; None if it has none.
    """

    colors: Any
    column: str
    before: Held
    after: Held

    @classmethod
    def of(cls, colors: Any, column: str, before: FrameSlot, after: FrameSlot) -> CutColors:
        """Note what decides about the colours: tables that are in memory may change later."""
        return cls(colors, column, _held(before, column), _held(after, column))

    @cached_property
    def fits(self) -> bool:
        """Whether there is a colour for each category; if not, nothing says whose they are."""
        if isinstance(self.colors, CutColors) and not self.colors.fits:
            return False
        categories = self._categories(self.before)
        colors = _loaded(self.colors)
        return categories is None or np.ndim(colors) == 0 or len(colors) == len(categories)

    def load(self) -> Any:
        """Return the colours of the categories that are left."""
        colors = _loaded(self.colors)
        full, left = self._categories(self.before), self._categories(self.after)
        if full is None or left is None:
            return deepcopy(colors)
        if np.ndim(colors) == 0:
            return np.array(colors)[None]
        return np.asarray(colors)[full.isin(left)]

    @property
    def sources(self) -> tuple[Any, ...]:
        """What is still in the file of colours and categories."""
        parts = (self.colors, self.before, self.after)
        return tuple(part for part in parts if is_deferred(part))

    def _categories(self, held: Held) -> pd.Index | None:
        if held is None or isinstance(held, pd.Index):
            return held
        dtype = held.column(self.column).dtype
        return dtype.categories if isinstance(dtype, pd.CategoricalDtype) else None

    @property
    def nbytes(self) -> int:
        """Bytes of the colours, which count nothing."""
        return 0


def _held(slot: FrameSlot, column: str) -> Held:
    if slot.stored is not None:
        return slot.stored
    dtypes = slot.frame.dtypes[slot.frame.columns == column]
    if len(dtypes) != 1 or not isinstance(dtypes.iloc[0], pd.CategoricalDtype):
        return None
    return dtypes.iloc[0].categories


def _loaded(colors: Any) -> Any:
    return colors.load() if is_deferred(colors) else colors


SHOWN_AS_THEY_ARE = 60  # characters of an entry


def _in_a_word(value: Any) -> str:
    if is_deferred(value):
        return "in the file"
    if isinstance(value, Mapping):
        return f"dict with {', '.join(map(repr, value)) or 'nothing'}"
    if not isinstance(value, bool | int | float | str | np.generic):
        shape = getattr(value, "shape", None)
        size = f" of shape {shape}" if shape is not None else ""
        return f"{type(value).__name__}{size}"
    text = repr(value)
    return text if len(text) <= SHOWN_AS_THEY_ARE else f"{text[:SHOWN_AS_THEY_ARE]}…"


class Uns(StoredValues, MutableMapping[str, Any]):
    """A dict whose stored entries are loaded on access."""

    name = "uns"

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        super().__init__(values or {})

    def __setitem__(self, key: str, value: Any) -> None:
        self._note(key)
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        self._note(key)
        del self._values[key]

    def __repr__(self) -> str:
        """A line for each entry; those that are still in the file are not read."""
        lines = [f"    {key}: {_in_a_word(value)}" for key, value in self.stored().items()]
        return "\n".join(["uns with entries:" if lines else "uns without entries", *lines])

    def copy(self) -> Uns:
        """Return an independent copy; stored entries stay in the file."""
        twin = Uns({k: v if is_deferred(v) else deepcopy(v) for k, v in self._values.items()})
        twin._baselines = dict(self._baselines)
        return twin

    def take(self, *tables: tuple[FrameSlot, FrameSlot]) -> Uns:
        """Return the entries for a selection: colours follow the categories that are left.

        Parameters
        ----------
        *tables
            obs and var, before and after the selection.
        """
        cut = self.copy()
        for before, after in tables:
            for key in self._values:
                column = key.removesuffix("_colors")
                if column != key and column in before.columns:
                    cut._values[key] = CutColors.of(cut._values[key], column, before, after)
        return cut

    def _settled(self) -> dict[str, Any]:
        """The values, without colours that did not fit their categories before a selection.

        Cut to the categories that are left, they might fit by chance.
        """
        for key, value in list(self._values.items()):
            if isinstance(value, CutColors) and not value.fits:
                del self._values[key]
        return self._values

    def __getitem__(self, key: str) -> Any:
        if key not in self._settled():
            raise KeyError(f"uns has no {key!r}; {choices(key, self._values)}")
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        return key in self._settled()

    def __iter__(self) -> Iterator[str]:
        return iter(self._settled())

    def __len__(self) -> int:
        return len(self._settled())

    def stored(self) -> dict[str, Any]:
        """Values as they are held: those that were not read yet stay deferred."""
        return dict(self._settled())


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
        others = before is not None and names is not before and not names.equals(before)
        renamed = others or (before is not None and names.name != before.name)
        for key, value in mapping.held().items():
            if is_stored_table(value) and renamed:
                value = mapping[key]
            if not isinstance(value, pd.DataFrame) or value.index is names:
                continue
            where = f"{mapping.name}[{key!r}]"
            if renamed and before is not None and value.index.equals(before):
                if others and set(names) == set(before):
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
