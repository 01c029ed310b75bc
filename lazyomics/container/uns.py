"""uns: unstructured annotation, each top-level entry read from the file when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from copy import deepcopy
from typing import Any

from lazyomics.container.cut_colors import CutColors
from lazyomics.container.deferred import is_deferred
from lazyomics.container.frames import FrameSlot
from lazyomics.container.stored_values import StoredValues

__all__ = ["Uns"]


class Uns(StoredValues, MutableMapping[str, Any]):
    """A dict whose stored entries are loaded on access."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        super().__init__(values or {})

    def __setitem__(self, key: str, value: Any) -> None:
        self._note(key)
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        self._note(key)
        del self._values[key]

    def __repr__(self) -> str:
        return repr(dict(self))

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
        self._settled()
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
