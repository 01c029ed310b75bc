"""Checks made before the content of a file is believed.

Every value of every element is read through :func:`read_values` and every member of a group is
opened through :func:`child`, so that a damaged or hostile file ends in one kind of error that
names the file, the element, what was expected and what was found.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import h5py
import numpy as np

from lazyomics import config
from lazyomics.errors import FileFormatError, LazyomicsError
from lazyomics.io.encodings.filters import load_filters

__all__ = [
    "check_storage",
    "child",
    "damage_named",
    "damaged",
    "guarded",
    "has_member",
    "location",
    "lost",
    "read_values",
    "text",
    "vector_length",
]

P = ParamSpec("P")
T = TypeVar("T")

REWRITE = "The file is damaged or breaks the format; write it again from its source."
OUTSIDE = (
    "Data outside the file is read only when that is allowed: "
    'dask.config.set({"lazyomics.external-files": True}).'
)

# A dataset may claim any shape for a few bytes. No lossless codec packs real annotations by more
# than this factor; small arrays are exempt because nothing is lost by allocating them.
LARGEST_RATIO = 4096
ALWAYS_ALLOWED_BYTES = 256 * 2**20

# What h5py raises on damaged metadata and data: nothing narrower is documented.
HDF5_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError, OverflowError)


def location(obj: Any) -> tuple[str, str]:
    """File name and element name of an open HDF5 object."""
    return os.fsdecode(obj.file.filename), str(obj.name)


def damaged(obj: Any, *, expected: str, found: str, hint: str = REWRITE) -> FileFormatError:
    """Build the error for content of ``obj`` that is not what the format promises."""
    file, name = location(obj)
    return FileFormatError.at(file, name, expected=expected, found=found, hint=hint)


def lost(
    group: h5py.Group, key: str, *, found: str = "nothing", hint: str = REWRITE
) -> FileFormatError:
    """Build the error for a member that is missing or cannot be opened."""
    file, name = location(group)
    return FileFormatError.at(
        file,
        f"{name.rstrip('/')}/{key}",
        expected="a group or dataset",
        found=found,
        hint=hint,
    )


def guarded(reader: Callable[P, T]) -> Callable[P, T]:
    """Turn whatever HDF5 raises inside ``reader(obj, …)`` into an error that names ``obj``."""

    @functools.wraps(reader)
    def guard(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return reader(*args, **kwargs)
        except LazyomicsError:
            raise
        except HDF5_ERRORS as error:
            raise damaged(
                args[0], expected="readable content", found=f"an error: {error}"
            ) from error

    return guard


@contextmanager
def damage_named(file: object) -> Iterator[None]:
    """Turn what HDF5 raises on damaged structures into an error that names the file.

    For work on many elements; :func:`guarded` also names the element.
    """
    try:
        yield
    except LazyomicsError:
        raise
    except RuntimeError as error:
        raise FileFormatError.at(
            file, "/", expected="readable content", found=f"an error: {error}", hint=REWRITE
        ) from error


def child(group: h5py.Group, key: str) -> Any:
    """Open a member of a group; never follows a link out of the file unless that is allowed.

    Parameters
    ----------
    group
        An open group.
    key
        Name of the member, possibly a path.

    Returns
    -------
    An open :class:`h5py.Group`, :class:`h5py.Dataset` or :class:`h5py.Datatype`.

    Raises
    ------
    FileFormatError
        If there is no such member, its link dangles, or it points out of the file.
    """
    if not isinstance(group, h5py.Group):
        raise damaged(group, expected=f"a group with a member {key!r}", found="a dataset")
    try:
        link = group.get(key, getlink=True)
        if link is None:
            raise lost(group, key, found=f"only the members {list(group)[:20]}")
        if isinstance(link, h5py.ExternalLink) and not config.get("external-files"):
            raise lost(group, key, found=f"a link to {link.filename!r}", hint=OUTSIDE)
        member = group[key]
        if not config.get("external-files") and _file_number(member) != _file_number(group):
            raise lost(group, key, found=f"a way into {member.file.filename!r}", hint=OUTSIDE)
        return member
    except FileFormatError:
        raise
    except HDF5_ERRORS as error:
        raise lost(group, key, found=f"no readable object ({error})") from error


def _file_number(obj: Any) -> int:
    """Number that HDF5 gives to the file that holds an object."""
    return int(h5py.h5o.get_info(obj.id).fileno)


def has_member(group: h5py.Group, key: str) -> bool:
    """Whether a group has a member of that name, wherever its link leads; follows none."""
    try:
        return group.get(key, getlink=True) is not None
    except HDF5_ERRORS as error:
        raise lost(group, key, found=f"no readable object ({error})") from error


def read_values(dataset: Any, *, as_text: bool = False, fields: Sequence[str] | None = None) -> Any:
    """Read a dataset into memory.

    Parameters
    ----------
    dataset
        An open :class:`h5py.Dataset`.
    as_text
        Decode strings to ``str`` (an object array).
    fields
        Of a compound dataset, read only these.

    Returns
    -------
    numpy array, numpy scalar or str, as h5py returns it; ``None`` for a null dataspace.

    Raises
    ------
    FileFormatError
        If ``dataset`` is a group, refers to other files, claims an absurd size, or cannot be read.
    MissingDependencyError
        If a compression filter is not installed.
    """
    if not isinstance(dataset, h5py.Dataset):
        raise damaged(dataset, expected="a dataset", found=f"a {type(dataset).__name__.lower()}")
    if dataset.shape is None:
        return None
    check_storage(dataset)
    load_filters(dataset)
    try:
        if fields is not None:
            return dataset.fields(list(fields))[()]
        return (dataset.asstr() if as_text else dataset)[()]
    except UnicodeDecodeError as error:
        raise damaged(dataset, expected="UTF-8 text", found=f"other bytes ({error})") from error
    except HDF5_ERRORS as error:
        raise damaged(dataset, expected="readable data", found=f"an error: {error}") from error


def check_storage(dataset: h5py.Dataset) -> None:
    """Refuse values that live in other files, and sizes that the stored bytes cannot hold.

    Reads nothing but the header of the dataset.

    Raises
    ------
    FileFormatError
        If the dataset must not be believed.
    """
    plist = dataset.id.get_create_plist()
    layout = plist.get_layout()
    outside = plist.get_external_count() > 0 or (
        layout == h5py.h5d.VIRTUAL
        and any(source.file_name != "." for source in dataset.virtual_sources())
    )
    if outside and not config.get("external-files"):
        raise damaged(
            dataset, expected="values in this file", found="values in other files", hint=OUTSIDE
        )
    size = math.prod(dataset.shape) * dataset.dtype.itemsize
    if size <= ALWAYS_ALLOWED_BYTES or outside or layout == h5py.h5d.VIRTUAL:
        return
    stored = dataset.id.get_storage_size()
    if size > LARGEST_RATIO * stored:
        raise damaged(
            dataset,
            expected=f"a shape that {stored} stored bytes can fill",
            found=f"shape {dataset.shape} of {dataset.dtype} ({size} bytes)",
        )


def vector_length(dataset: Any, *, of: str) -> int:
    """Length of a one-dimensional dataset, without reading it."""
    shape = dataset.shape if isinstance(dataset, h5py.Dataset) else None
    if shape is None or len(shape) != 1:
        found = "a group" if isinstance(dataset, h5py.Group) else f"shape {shape}"
        raise damaged(dataset, expected=f"one dimension ({of})", found=found)
    return int(shape[0])


def text(value: Any) -> str:
    """Python text of a string attribute: ``str``, UTF-8 ``bytes``, or an array of one of them."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)
