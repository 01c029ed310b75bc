"""Functions of scverse on an opened object: what they change is taken over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from lazyomics.container.baseline import content_of, is_content
from lazyomics.container.interop import nested_from_anndata, to_anndata
from lazyomics.errors import ShapeError
from lazyomics.lazy.kinds import is_dask_array

if TYPE_CHECKING:
    from lazyomics.container.anndata_parts import AnnDataParts

__all__ = ["Given", "apply_to_anndata", "as_ours", "name_of"]

MAPPINGS = ("obsm", "varm", "obsp", "varp", "layers")
FRAMES = ("obs", "var")


def apply_to_anndata(
    adata: AnnDataParts,
    convert: Callable[[Any], AnnDataParts],
    function: Callable[..., Any],
    args: Any,
    kwargs: Mapping[str, Any],
) -> Any:
    """Call a function on an object of anndata with lazy matrices; see ``AnnData.apply``.

    ``convert`` makes an object of ours of one of anndata.
    """
    theirs = to_anndata(adata, lazy=True)
    given = Given(theirs)
    result = function(theirs, *args, **kwargs)
    given.check_shape(theirs, function)
    given.take_over(theirs, adata, convert)
    return as_ours(result, convert, "anndata", "AnnData")


def as_ours(result: Any, convert: Callable[[Any], Any], package: str, name: str) -> Any:
    """What a function returned; an object of scverse as one of ours."""
    found = type(result)
    if found.__name__ == name and found.__module__.partition(".")[0] == package:
        return convert(result)
    return result


def name_of(function: Callable[..., Any]) -> str:
    """Name of a function, for messages."""
    return str(getattr(function, "__name__", function))


class Given:
    """An object of anndata or mudata as it was handed to a function.

    Arrays are remembered by their checksums, as a function may change them where they are.

    Parameters
    ----------
    theirs
        The object.
    columns
        Makes of the object, and the name of a table, the table without what is a copy of others.
    """

    def __init__(self, theirs: Any, columns: Callable[[Any, str], pd.DataFrame] = getattr) -> None:
        self.columns = columns
        self.frames = {name: content_of(columns(theirs, name)) for name in FRAMES}
        self.names = {name: getattr(theirs, f"{name}_names").copy() for name in FRAMES}
        self.mappings = {
            name: {key: _Noted(value) for key, value in _entries(theirs, name)} for name in MAPPINGS
        }
        self.uns = {key: _Noted(value) for key, value in theirs.uns.items()}
        self.x, self.raw = _Noted(getattr(theirs, "X", None)), getattr(theirs, "raw", None)

    def check_shape(self, theirs: Any, function: Callable[..., Any]) -> None:
        """Refuse what removed, added or re-ordered cells or genes, before anything is taken over.

        Raises
        ------
        ShapeError
            If the names are others than before.
        """
        for name in FRAMES:
            before, now = self.names[name], getattr(theirs, f"{name}_names")
            if len(before) != len(now):
                raise ShapeError(
                    f"apply: {name_of(function)} left {len(now):,} of {len(before):,} {name} "
                    "names; nothing was taken over. Let it return what it would select, or use a "
                    "verb of lazyomics or adata[mask], and then write or go on with the selection"
                )

    def take_over(self, theirs: Any, ours: Any, convert: Callable[[Any], AnnDataParts]) -> None:
        """Assign what is another than before."""
        for name in FRAMES:
            frame = self.columns(theirs, name)
            if not is_content(frame, self.frames[name]):
                setattr(ours, name, frame)
        for name, before in self.mappings.items():
            if hasattr(ours, name):
                _update(getattr(ours, name), before, dict(_entries(theirs, name)))
        _update(ours.uns, self.uns, nested_from_anndata(theirs.uns, convert))
        if hasattr(theirs, "X") and not self.x.is_still(theirs.X):
            ours.X = theirs.X
        raw = getattr(theirs, "raw", None)
        if raw is not self.raw:
            made = None if raw is None else {"X": raw.X, "var": raw.var, "varm": dict(raw.varm)}
            ours.raw = made


class _Noted:
    """A value before a function was called: lazy ones by their name in dask, others by content."""

    def __init__(self, value: Any) -> None:
        self.lazy = value.name if is_dask_array(value) else None
        self.content = None if is_dask_array(value) else content_of(value)

    def is_still(self, value: Any) -> bool:
        """Whether it is this value, unchanged."""
        if self.lazy is not None or is_dask_array(value):
            return is_dask_array(value) and value.name == self.lazy  # NumPy's out= keeps identity
        return is_content(value, self.content)


def _entries(theirs: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Entries of a mapping, of layers without X, which anndata 0.13 has there under None."""
    mapping = getattr(theirs, name, None) or {}  # layers of a MuData are None
    mods = getattr(theirs, "mod", {}) if name in ("obsm", "varm") else {}
    return ((k, v) for k, v in mapping.items() if k is not None and k not in mods)


def _update(ours: Any, before: Mapping[str, _Noted], now: Mapping[str, Any]) -> None:
    for key in before:
        if key not in now and key in ours:
            del ours[key]
    for key, value in now.items():
        if key not in before or not before[key].is_still(value):
            ours[key] = value
