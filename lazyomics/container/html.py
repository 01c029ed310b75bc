"""Objects as notebooks show them: what is in memory, lazy or on disk. Reads no matrix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lazyomics import lazy
from lazyomics.container.deferred import deferred_recipe, is_deferred
from lazyomics.container.frames import FrameSlot
from lazyomics.container.slots import matrix_bytes
from lazyomics.lazy.explain import size_text
from lazyomics.lazy.html import page, section, swatches, table
from lazyomics.lazy.kinds import is_dask_array

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData
    from lazyomics.container.mudata.mudata import MuData
    from lazyomics.container.raw import Raw

__all__ = ["html_of_anndata", "html_of_mapping", "html_of_mudata", "html_of_raw", "value_text"]

FIRST_NAMES = 5
NAMES_READ = 50_000  # more of them are not read for being shown


def html_of_anndata(adata: AnnData) -> str:
    """Return the parts of an object, each of which opens to what is in it."""
    title = f"AnnData, {adata.n_obs:,} cells × {adata.n_vars:,} genes"
    with _opened_once([adata]):
        return page(repr(adata), title, _origin(adata), list(_parts(adata)))


def html_of_raw(raw: Raw) -> str:
    """Return the parts of raw."""
    parts = raw._parts
    title = f"Raw, {raw.n_obs:,} cells × {raw.n_vars:,} genes"
    with _opened_once([parts.var.stored, *parts.varm.stored().values()]):
        sections = [section("X", value_text(parts.x.held), "")]
        sections += _table_section("var", parts.var, None)
        sections += _mapping_section("varm", parts.varm)
        return page(repr(raw), title, [], sections)


def html_of_mudata(mdata: MuData) -> str:
    """Return the joint parts of an object, and its modalities."""
    with _opened_once([mdata, *mdata.mod.values()]):
        return _page_of_mudata(mdata)


def _page_of_mudata(mdata: MuData) -> str:
    parts = []
    for name, adata in mdata.mod.items():
        note = f"{adata.n_obs:,} × {adata.n_vars:,}"
        parts.append(section(name, note, "".join(_parts(adata))))
    for name, axis in mdata._axes.items():
        parts += _table_section(name, axis.table, mdata.uns)
    for name in ("obsm", "varm", "obsp", "varp"):
        parts += _mapping_section(name, getattr(mdata, name))
    parts += _mapping_section("uns", mdata.uns)
    size = f"{mdata.n_obs:,} cells × {mdata.n_vars:,} features"
    title = f"MuData, {size}, {len(mdata.mod)} modalities"
    return page(repr(mdata), title, _origin(mdata), parts)


def html_of_mapping(name: str, mapping: Any) -> str:
    """Return a line for each value of a mapping."""
    held = mapping.stored()
    note = f"{len(held)} entr{'y' if len(held) == 1 else 'ies'}"
    with _opened_once(held.values()):
        return page(repr(mapping), name, [note], [_entries(held)])


@contextmanager
def _opened_once(values: Iterable[Any]) -> Iterator[None]:
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


def _origin(of: AnnData | MuData) -> list[str]:
    return [f"file {of.filename}" if of.isbacked else "in memory"]


def _parts(adata: AnnData) -> Iterator[str]:
    x = adata._x.held
    yield section("X", "none" if x is None else value_text(x), "")
    yield from _table_section("obs", adata._obs, adata._uns)
    yield from _table_section("var", adata._var, adata._uns)
    for mapping in adata._mappings():
        yield from _mapping_section(mapping.name, mapping)
    if adata._raw is not None:
        x = value_text(adata._raw.x.held)
        yield section("raw", f"{len(adata._raw.var):,} genes, X {x}", "")
    yield from _mapping_section("uns", adata._uns)


def _table_section(name: str, slot: FrameSlot, uns: Any) -> Iterator[str]:
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
        rows = [(escape(c), escape(kinds.get(c, "?"))) for c in slot.columns]
    place = "in memory" if stored is None else "on disk"
    yield section(name, f"{len(slot.columns)} columns, {place}", table([*first, *rows]))


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
    kind = f"{len(dtype.categories):,} categories"
    return f"{kind}:{swatches([str(c) for c in dtype.categories], colors)}"


def _mapping_section(name: str, mapping: Any) -> Iterator[str]:
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
        return f"{kind} {value.dtype}, {_shape(value.shape)}, {size} in memory{after}"
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
    plan = deferred_recipe(value)
    size = f"on disk, {size_text(int(value.nbytes))} in memory"
    if plan is None:
        return size
    return f"{plan.source.format} {plan.source.dtype}, {_shape(plan.shape)}, {size}"


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{n:,}" for n in shape)
