"""obs and var of a MuData: a table of its own columns that also finds those of the modalities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pandas as pd

__all__ = ["JoinedFrame"]


class JoinedFrame(pd.DataFrame):
    """A DataFrame in which ``frame["rna:leiden"]`` is the column ``leiden`` of modality ``rna``.

    Such a column is joined each time it is asked for, so it always shows the modality as it is
    now. It is not listed in ``columns`` and not stored with the table; a column of the table
    itself comes first. Frames derived from this one are ordinary DataFrames.
    """

    _internal_names: ClassVar[list[str]] = [
        *pd.DataFrame._internal_names,  # type: ignore[attr-defined]
        "_find",
    ]
    _internal_names_set: ClassVar[set[str]] = set(_internal_names)
    _find: Callable[[str], pd.Series[Any] | None] | None = None

    @classmethod
    def over(cls, frame: pd.DataFrame, find: Callable[[str], pd.Series[Any] | None]) -> JoinedFrame:
        """Wrap a table, with a function that joins a column of a modality (or returns None)."""
        made = cls(frame)
        made._find = find
        return made

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            found = self._joined(key)
            return super().__getitem__(key) if found is None else found
        if isinstance(key, list) and any(self._is_elsewhere(k) for k in key):
            frame = pd.DataFrame({k: self[k] for k in dict.fromkeys(key)}, index=self.index)
            return frame[key]
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:  # type: ignore[misc]
        return super().__contains__(key) or (isinstance(key, str) and self._is_elsewhere(key))

    def __delitem__(self, key: Any) -> None:  # type: ignore[misc]
        if isinstance(key, str) and key not in self.columns and self._is_elsewhere(key):
            raise KeyError(f"{key!r} belongs to a modality; delete it there")
        super().__delitem__(key)

    def _is_elsewhere(self, key: object) -> bool:
        return isinstance(key, str) and self._joined(key) is not None

    def _joined(self, key: str) -> pd.Series[Any] | None:
        if self._find is None or key in self.columns:
            return None
        return self._find(key)
