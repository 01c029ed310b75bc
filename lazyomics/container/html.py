"""Parts of objects as notebooks show them: in memory, lazy or on disk. Reads no matrix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lazyomics import lazy
from lazyomics.container.deferred import Cut, deferred_recipe, is_deferred
from lazyomics.container.frames import FrameSlot
from lazyomics.container.mappings import CutColors
from lazyomics.container.slots import matrix_bytes
from lazyomics.lazy.explain import size_text
from lazyomics.lazy.html import counted, page, section, swatches, table
from lazyomics.lazy.indexer import length
from lazyomics.lazy.kinds import is_dask_array

if TYPE_CHECKING:
    from lazyomics.container.mappings import AlignedMapping

__all__ = [
    "html_of_mapping",
    "html_of_raw",
    "mapping_section",
    "opened_once",
    "table_section",
    "value_text",
]

FIRST_NAMES = 5
NAMES_READ = 50_000  # more of them are not read for being shown


def html_of_raw(title: str, x: Any, var: FrameSlot, varm: AlignedMapping) -> str:
    """Return the parts of raw: its matrix as it is held, its genes and their arrays."""
    with opened_once([var.stored, *varm.stored().values()]):
        sections = [section("X", value_text(x), "")]
        sections += table_section("var", var, None)
        sections += mapping_section("varm", varm)
        return page(title, [], sections)


def html_of_mapping(name: str, mapping: Any) -> str:
    """Return a line for each value of a mapping."""
    held = mapping.stored()
    note = counted(len(held), "entry", "entries")
    with opened_once(held.values()):
        return page(name, [note], [_entries(held)])


@contextmanager
def opened_once(values: Iterable[Any]) -> Iterator[None]:
    """Open each file of some objects or stored values once for all that is asked of them.

    A file that cannot be opened any more is not in the way of showing the rest.
    """
    with ExitStack() as sessions:
        for value in values:
            stored = getattr(value, "_backing", value)
            while hasattr(stored, "base"):  # of a selection
                stored = stored.base
            if hasattr(stored, "snapshot"):
                with suppress(OSError):
                    sessions.enter_context(stored.snapshot.session())
        yield


def table_section(name: str, slot: FrameSlot, uns: Any) -> Iterator[str]:
    """Yield a table's columns; colours of categories are in uns."""
    stored = slot.stored
    first = []
    if stored is None or len(slot) <= NAMES_READ:
        names = ", ".join(_first_names(slot)) + (", …" if len(slot) > FIRST_NAMES else "")
        first = [(f"<i>{name}_names</i>", escape(names))]
    if stored is None:
        rows = [(escape(str(c)), _column_html(slot.frame[c], uns)) for c in slot.columns]
    else:
        try:
            kinds = stored.kinds()
        except OSError:  # the file is gone, or another one now
            kinds = {}
        rows = [(escape(c), escape(_one(kinds.get(c, "?")))) for c in slot.columns]
    place = "in memory" if stored is None else "on disk"
    yield section(name, f"{counted(len(slot.columns), 'column')}, {place}", table([*first, *rows]))


def _one(kind: str) -> str:
    return "1 category" if kind == "1 categories" else kind


def _first_names(slot: FrameSlot) -> list[str]:
    try:
        return [str(name) for name in slot.index[:FIRST_NAMES]]
    except OSError:  # the file is gone, or another one now
        return []


def _column_html(column: Any, uns: Any) -> str:
    if not isinstance(column, pd.Series):  # of a name that repeats
        return "several"
    dtype = column.dtype
    if not isinstance(dtype, pd.CategoricalDtype):
        return escape(str(dtype))
    held = None if uns is None else uns.stored().get(f"{column.name}_colors")
    colors = held.load() if held is not None and is_deferred(held) else held
    colors = None if colors is None or np.ndim(colors) != 1 else [str(c) for c in colors]
    kind = counted(len(dtype.categories), "category", "categories")
    return f"{kind}:{swatches([str(c) for c in dtype.categories], colors)}"


def mapping_section(name: str, mapping: Any) -> Iterator[str]:
    """Yield the values of a mapping, if there are any."""
    held = mapping.stored()
    if held:
        yield section(name, ", ".join(map(str, held)), _entries(held))


def _entries(held: Mapping[str, Any]) -> str:
    return table((escape(str(key)), escape(value_text(value))) for key, value in held.items())


def value_text(value: Any) -> str:
    """Kind, shape, type and bytes of a value, and where it is; a stored one is not read."""
    if is_deferred(value):
        try:
            return _deferred_text(value)
        except OSError:
            return "in a file that is gone or was changed since"
    if is_dask_array(value):
        recipe = lazy.recipe_of(value)
        kind = "dask array" if recipe is None else f"lazy {recipe.source.format}"
        steps = 0 if recipe is None else len(recipe.steps)
        after = f", {steps} recorded step{'s' if steps > 1 else ''}" if steps else ""
        size = size_text(matrix_bytes(value))
        return f"{kind} {value.dtype}, {_shape(value.shape)}, {size} when read{after}"
    if isinstance(value, pd.DataFrame):
        return f"table, {_shape(value.shape)}"
    if sp.issparse(value):
        stored = f"{value.nnz:,} stored values, {size_text(matrix_bytes(value))}"
        return f"{value.format} {value.dtype}, {_shape(value.shape)}, {stored}, in memory"
    if isinstance(value, np.ndarray):
        return f"array {value.dtype}, {_shape(value.shape)}, {size_text(value.nbytes)}, in memory"
    if isinstance(value, Mapping):
        return f"dict: {', '.join(map(str, value))}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _deferred_text(value: Any) -> str:
    if isinstance(value, CutColors):
        return f"colours of {value.column}"
    plan = deferred_recipe(value)
    if plan is not None:
        kind, shape = f"{plan.source.format} {plan.source.dtype}", tuple(plan.shape)
    else:
        kind, shape = _outline(value)
    if not shape:
        return f"{kind}, on disk" if kind else f"on disk, {size_text(int(value.nbytes))} when read"
    return f"{kind}, {_shape(shape)}, on disk, {size_text(int(value.nbytes))} when read"


def _outline(value: Any) -> tuple[str, tuple[int, ...]]:
    """Kind and shape of a stored element or of a cut of one; empty where it does not tell."""
    base, selectors = (value.base, value.selectors) if isinstance(value, Cut) else (value, ())
    if not hasattr(base, "outline"):
        return "", ()
    kind, shape = base.outline()
    if not shape:
        return kind, ()
    return kind, (*map(length, selectors), *shape[len(selectors) :])


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{n:,}" for n in shape)
