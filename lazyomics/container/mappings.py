"""layers, obsm, varm, obsp, varp: mappings whose values are aligned to one or both axes."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from lazyomics.container.aligned_names import AlignedNames
from lazyomics.container.aligned_tables import check_table, is_stored_table
from lazyomics.container.deferred import cut_value, defer_cut, is_deferred
from lazyomics.container.frames import check_columns, string_index
from lazyomics.container.normal_form import copied, normal_form
from lazyomics.container.ragged import is_ragged
from lazyomics.container.stored_values import StoredValues
from lazyomics.errors import ShapeError
from lazyomics.graph.selection import Selector

__all__ = ["AXES", "AlignedMapping", "MappingName"]

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
            known = ", ".join(repr(k) for k in self._values) or "nothing"
            raise KeyError(f"{self.name} has no {key!r}; it holds {known}")
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
            raise KeyError(f"{self.name} has no {key!r}")
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
