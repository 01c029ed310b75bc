"""What is said of content that is not what the format promises.

Every value of every element is read through :mod:`~lazyomics.io.encodings.dataset_values` and every
member of a group is opened through :mod:`~lazyomics.io.encodings.checks`, so that a damaged or
hostile file ends in one kind of error that names the file, the element, what was expected and what
was found.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import h5py

from lazyomics.errors import FileFormatError, LazyomicsError
from lazyomics.io.remote.opened import path_of

__all__ = [
    "BROKEN_HEAP",
    "HDF5_ERRORS",
    "OUTSIDE",
    "as_format_errors",
    "damage_named",
    "damaged",
    "location",
    "missing_member",
]

P = ParamSpec("P")
T = TypeVar("T")

REWRITE = "The file is damaged or breaks the format; write it again from its source."
BROKEN_HEAP = "texts whose heap is damaged"
OUTSIDE = (
    "Data outside the file is read only when that is allowed: "
    'dask.config.set({"lazyomics.external-files": True}).'
)

# What h5py raises on damaged metadata and data: nothing narrower is documented.
HDF5_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError, OverflowError)


def location(obj: Any) -> tuple[str, str]:
    """File name and element name of an open HDF5 object."""
    return path_of(os.fsdecode(obj.file.filename)), str(obj.name)


def damaged(obj: Any, *, expected: str, found: str, hint: str = REWRITE) -> FileFormatError:
    """Build the error for content of ``obj`` that is not what the format promises."""
    file, name = location(obj)
    return FileFormatError.at(file, name, expected=expected, found=found, hint=hint)


def missing_member(
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


def as_format_errors(reader: Callable[P, T]) -> Callable[P, T]:
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

    For work on many elements; :func:`as_format_errors` also names the element.
    """
    try:
        yield
    except LazyomicsError:
        raise
    except RuntimeError as error:
        raise FileFormatError.at(
            file, "/", expected="readable content", found=f"an error: {error}", hint=REWRITE
        ) from error
