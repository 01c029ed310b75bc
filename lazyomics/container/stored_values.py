"""Mappings whose values are read from the file when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lazyomics.container.baseline import Baseline, content_of
from lazyomics.container.deferred import is_deferred
from lazyomics.graph.kinds import is_dask_array

__all__ = ["StoredValues"]


class StoredValues(Mapping[str, Any]):
    """Values by name; one that is still in the file is read on first access, and kept.

    What a value was when it was read is remembered, so that a save finds what was changed in
    place.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)
        self._baselines: dict[str, Baseline] = {}

    def __getitem__(self, key: str) -> Any:
        value = self._values[key]
        if is_deferred(value):
            value = self._load(key, value, value.load())
        return value

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

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
