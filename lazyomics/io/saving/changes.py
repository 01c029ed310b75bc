"""What a save has to write and to remove, found by comparing an object with its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import h5py

from lazyomics import graph
from lazyomics.container.lazy_values import computed
from lazyomics.graph.kinds import is_dask_array
from lazyomics.io.backing import FileBacking
from lazyomics.io.encodings import read_element
from lazyomics.io.encodings.registry import check_name
from lazyomics.io.saving.equality import same_value
from lazyomics.io.saving.frames import FrameChange
from lazyomics.io.stored import StoredElement, StoredMatrix

__all__ = ["Changes", "compare_mapping", "in_file"]


def in_file(value: Any, backing: FileBacking, name: str) -> bool:
    """Whether a held value is the file's own element, unchanged and unselected."""
    places = {backing.place(name), backing.place(name.replace("raw/", "raw."))}
    if isinstance(value, StoredElement | StoredMatrix):
        return value.path == backing.absolute and value.name.strip("/") in places
    recipe = graph.recipe_of(value)
    if recipe is None or not recipe.is_plain:
        return False
    path, element = getattr(recipe.source, "element", (None, None))
    return path == backing.absolute and element in places


@dataclass
class Changes:
    """What a save does, decided before the file is opened for writing."""

    frames: dict[str, FrameChange] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    written: dict[str, Any] = field(default_factory=dict)
    raw: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether the file holds everything already."""
        frames = any(not change.is_empty for change in self.frames.values())
        return not (frames or self.removed or self.written or self.raw)


def compare_mapping(
    changes: Changes,
    group: h5py.Group,
    name: str,
    values: Mapping[str, Any],
    backing: FileBacking,
) -> None:
    """Add what of a mapping the file lacks or holds with other values, and what is gone."""
    stored = group.get(name)
    present = set(stored) if isinstance(stored, h5py.Group) else set()
    if isinstance(stored, h5py.Dataset) and values:  # one compound dataset, before anndata 0.7
        changes.removed.append(name)
    for key in sorted((backing.names[name] & present) - set(values)):
        changes.removed.append(f"{name}/{key}")
    for key, value in values.items():
        element = f"{name}/{key}"
        if in_file(value, backing, element):
            continue
        if hasattr(value, "load") and not is_dask_array(value):
            value = value.load()
        value = computed(value) if isinstance(value, Mapping) else value
        check_name(f"/{name}", key)
        lazy = is_dask_array(value)
        if not lazy and key in present and same_value(value, read_element(stored[key])):
            continue
        changes.written[element] = value
