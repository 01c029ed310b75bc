"""Checks made before the content of a file is believed.

Every value of every element is read through :func:`read_values` and every member of a group is
opened through :func:`child`, so that a damaged or hostile file ends in one kind of error that
names the file, the element, what was expected and what was found.
"""

from __future__ import annotations

import functools
import math
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import h5py
import numpy as np

from lazyomics import config
from lazyomics.errors import FileFormatError, LazyomicsError
from lazyomics.io.addresses import address_of
from lazyomics.io.encodings.filters import load_filters
from lazyomics.io.encodings.heaps import (
    has_broken_attributes,
    has_broken_texts,
    is_of_variable_length,
)
from lazyomics.io.remote.opened import path_of

__all__ = [
    "check_storage",
    "check_texts",
    "child",
    "damage_named",
    "damaged",
    "guarded",
    "has_member",
    "is_text",
    "location",
    "lost",
    "member_names",
    "read_values",
    "text",
    "vector_length",
]

P = ParamSpec("P")
T = TypeVar("T")

REWRITE = "The file is damaged or breaks the format; write it again from its source."
BROKEN_HEAP = "texts whose heap is damaged"
OUTSIDE = (
    "Data outside the file is read only when that is allowed: "
    'dask.config.set({"lazyomics.external-files": True}).'
)

# A dataset may claim any shape for a few bytes. No lossless codec packs real annotations by more
# than this factor; small arrays are exempt because nothing is lost by allocating them.
LARGEST_RATIO = 4096
ALWAYS_ALLOWED_BYTES = 256 * 2**20
# HDF5 inflates a chunk to its end, whatever size the dataset declares for it. Smaller ones cannot
# grow by more than 64 MiB (deflate: 1032 times).
SMALLEST_BOMB = 2**16
DEFLATE = 1

# What h5py raises on damaged metadata and data: nothing narrower is documented.
HDF5_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError, OverflowError)


def location(obj: Any) -> tuple[str, str]:
    """File name and element name of an open HDF5 object."""
    return path_of(os.fsdecode(obj.file.filename)), str(obj.name)


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
        if not is_text(key):
            raise lost(group, key, found="a name that is no UTF-8")
        link = group.get(key, getlink=True)
        if link is None:
            raise lost(group, key, found=f"only the members {list(group)[:20]}")
        if isinstance(link, h5py.ExternalLink) and not config.get("external-files"):
            raise lost(group, key, found=f"a link to {link.filename!r}", hint=OUTSIDE)
        member = group[key]
        if not config.get("external-files") and _file_number(member) != _file_number(group):
            raise lost(group, key, found=f"a way into {member.file.filename!r}", hint=OUTSIDE)
        if has_broken_attributes(member):
            raise lost(group, key, found=BROKEN_HEAP)
        return member
    except FileFormatError:
        raise
    except HDF5_ERRORS as error:
        raise lost(group, key, found=f"no readable object ({error})") from error


def is_text(name: str | bytes) -> bool:
    """Whether a name is made of characters; h5py gives bytes where it is not."""
    if isinstance(name, bytes):
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def member_names(group: h5py.Group) -> list[str]:
    """Names in a group; bytes that are no UTF-8 are shown as lone surrogates.

    Members with such names cannot be opened, but others beside them can.
    """
    stored: list[Any] = list(group)
    return [n if isinstance(n, str) else n.decode("utf-8", "surrogateescape") for n in stored]


def _file_number(obj: Any) -> int:
    """Number that HDF5 gives to the file that holds an object."""
    return address_of(obj)[0]


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
        if has_broken_texts(dataset):
            raise damaged(dataset, expected="readable texts", found=BROKEN_HEAP)
        _check_chunks(dataset)
        if fields is not None:
            return dataset.fields(list(fields))[()]
        return (dataset.asstr() if as_text else dataset)[()]
    except FileFormatError:
        raise
    except UnicodeDecodeError as error:
        raise damaged(dataset, expected="UTF-8 text", found=f"other bytes ({error})") from error
    except HDF5_ERRORS as error:
        raise damaged(dataset, expected="readable data", found=f"an error: {error}") from error


@guarded
def check_texts(obj: Any) -> None:
    """Refuse an element with texts that cannot be read, in it or in any of its members.

    HDF5's own copying reads texts, too, but frees what it could not read a second time.
    """

    def visit(_: str, member: Any) -> None:
        if has_broken_attributes(member):
            raise damaged(member, expected="readable texts", found=BROKEN_HEAP)
        if isinstance(member, h5py.Dataset) and is_of_variable_length(member):
            read_values(member)

    visit("", obj)
    if isinstance(obj, h5py.Group):
        obj.visititems(visit)


def _check_chunks(dataset: h5py.Dataset) -> None:
    """Refuse chunks that would decode to more than the dataset declares: bombs."""
    if dataset.chunks is None or not dataset.id.get_create_plist().get_nfilters():
        return
    itemsize = dataset.id.get_type().get_size()
    expected = math.prod(dataset.chunks) * itemsize
    large: list[Any] = []
    dataset.id.chunk_iter(lambda c: large.append(c) if c.size > SMALLEST_BOMB else None)
    first, _ = _filters(dataset)[-1]  # the first to be undone
    for chunk in large:
        whole = chunk.size <= 2 * expected + SMALLEST_BOMB
        if whole and first == DEFLATE and not chunk.filter_mask:
            stream = zlib.decompressobj()
            stream.decompress(dataset.id.read_direct_chunk(chunk.chunk_offset)[1], expected + 64)
            whole = stream.eof or not stream.unconsumed_tail
        if not whole:
            raise damaged(
                dataset,
                expected=f"chunks of {expected} bytes",
                found=f"one whose {chunk.size} stored bytes decode to more",
            )


def _filters(dataset: h5py.Dataset) -> list[tuple[int, Any]]:
    properties = dataset.id.get_create_plist()
    found = (properties.get_filter(k) for k in range(properties.get_nfilters()))
    return [(int(code), values) for code, _, values, _ in found]


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
    if size <= ALWAYS_ALLOWED_BYTES or outside:
        return
    stored = dataset.id.get_storage_size()
    if layout == h5py.h5d.VIRTUAL:
        stored = sum(_stored_in(dataset.file, s.dset_name) for s in dataset.virtual_sources())
    if size > LARGEST_RATIO * stored:
        raise damaged(
            dataset,
            expected=f"a shape that {stored} stored bytes can fill",
            found=f"shape {dataset.shape} of {dataset.dtype} ({size} bytes)",
        )


def _stored_in(file: h5py.File, name: str) -> int:
    """Stored bytes of a dataset that another one is made of."""
    source = child(file, name.lstrip("/"))
    return int(source.id.get_storage_size()) if isinstance(source, h5py.Dataset) else 0


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
