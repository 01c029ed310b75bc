"""The table of encodings: from an element to its reader, from a type to its writer."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NoReturn

import h5py

from lazyomics.errors import LazyomicsError, UnsupportedError
from lazyomics.io.encodings.checks import has_member, is_virtual, open_member
from lazyomics.io.encodings.damage import as_format_errors, damaged, location, missing_member
from lazyomics.io.encodings.dataset_values import check_texts
from lazyomics.io.encodings.kinds import element_kind, encoding, is_legacy
from lazyomics.io.files import open_for_reading

__all__ = [
    "OpaqueElement",
    "check_copy",
    "check_name",
    "element_path",
    "has_surrogates",
    "holds_its_values",
    "mark",
    "read_element",
    "reads",
    "refusal",
    "refuses",
    "write_element",
    "writes",
]


@as_format_errors
def holds_its_values(obj: Any) -> bool:
    """Whether an element refers to no other place: by links, virtual datasets, other files."""
    if isinstance(obj, h5py.Dataset):
        return _is_own(obj)
    if not isinstance(obj, h5py.Group):
        return True
    return not obj.visititems_links(_is_reference) and not obj.visititems(_is_elsewhere)


def _is_reference(_: str, link: Any) -> bool | None:
    return None if isinstance(link, h5py.HardLink) else True


def _is_elsewhere(_: str, member: Any) -> bool | None:
    return None if not isinstance(member, h5py.Dataset) or _is_own(member) else True


def _is_own(dataset: h5py.Dataset) -> bool:
    return not is_virtual(dataset) and not dataset.id.get_create_plist().get_external_count()


def check_copy(obj: Any) -> None:
    """Refuse an element whose values would stay behind if it were copied as it is stored.

    Raises
    ------
    FileFormatError
        If it refers to other places.
    """
    if not holds_its_values(obj):
        raise damaged(
            obj,
            expected="an element that can be copied as it is stored",
            found="links, virtual datasets or values in other files",
            hint="Copy it with the program that wrote it.",
        )


@dataclass(frozen=True)
class OpaqueElement:
    """A stored element of an encoding that lazyomics does not know.

    It can be shown, kept in ``uns`` or ``obsm``, and written to another file, where it arrives
    byte for byte. Only asking for its value fails.

    Parameters
    ----------
    path
        Name of the file that holds it.
    name
        Its name in the file.
    encoding
        What the file says about it, e.g. ``"ome-zarr 0.4"``.
    """

    path: str
    name: str
    encoding: str = field(default="", compare=False)

    @classmethod
    def of(cls, obj: Any) -> OpaqueElement:
        """Refer to an open HDF5 object."""
        return cls(*location(obj), encoding=" ".join(encoding(obj)).strip())

    def copy_to(self, parent: h5py.Group, name: str) -> None:
        """Copy the element verbatim, with everything below it, to ``parent[name]``."""
        if _same_file(location(parent)[0], self.path):  # opened already, and not twice
            _copy(parent.file, self.name, parent, name)
            return
        with open_for_reading(self.path) as file:
            _copy(file, self.name, parent, name)

    @property
    def value(self) -> NoReturn:
        """Raises :class:`~lazyomics.errors.UnsupportedError`: the encoding is not known."""
        self._fail()

    def _fail(self, *args: object, **kwargs: object) -> NoReturn:
        about = f"the encoding {self.encoding!r}" if self.encoding else "an unknown encoding"
        raise UnsupportedError(
            f"{self.path}: element {self.name!r} has {about}, which lazyomics cannot read. It is "
            "kept and copied unchanged; read it with the program that wrote it"
            + (", or install awkward." if self.encoding.startswith("awkward") else ".")
        )

    __array__ = __getitem__ = __iter__ = _fail


@as_format_errors
def _copy(file: h5py.File, source: str, parent: h5py.Group, name: str) -> None:
    if not has_member(file, source.lstrip("/")):
        raise missing_member(file, source.lstrip("/"), found="nothing any more")
    obj = open_member(file, source.lstrip("/"))
    check_copy(obj)
    check_texts(obj)
    file.copy(obj, parent, name)


def _same_file(path: str, other: str) -> bool:
    if path == other:
        return True
    return os.path.exists(path) and os.path.exists(other) and os.path.samefile(path, other)


Reader = Callable[[Any], Any]
Writer = Callable[[h5py.Group, str, Any, Mapping[str, Any]], None]

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})

READERS: dict[str, Reader] = {}
WRITERS: dict[type, Writer] = {}
# Datasets that were read by their dtype before encodings had names.
LEGACY_KINDS = frozenset({"array", "numeric-scalar", "rec-array", "string", "string-array"})
# What to do instead, for types that are often tried but that the format cannot hold.
REFUSED: dict[type, str] = {}


def reads(*kinds: str) -> Callable[[Reader], Reader]:
    """Register a reader, ``reader(obj) -> value``, for some kinds of element."""

    def register(reader: Reader) -> Reader:
        READERS.update(dict.fromkeys(kinds, reader))
        return reader

    return register


def writes(*types: type) -> Callable[[Writer], Writer]:
    """Register a writer, ``writer(parent, name, value, options)``, for some types."""

    def register(writer: Writer) -> Writer:
        WRITERS.update(dict.fromkeys(types, writer))
        return writer

    return register


def refuses(*types: type, instead: str) -> None:
    """Register types that cannot be written, and what to do about it."""
    REFUSED.update(dict.fromkeys(types, instead))


@as_format_errors
def read_element(obj: Any) -> Any:
    """Read one element, and all that is in it, into memory (eagerly).

    Parameters
    ----------
    obj
        An open :class:`h5py.Group` or :class:`h5py.Dataset` of any generation of the format.

    Returns
    -------
    What anndata returns: ``ndarray``, ``scipy.sparse.csr_matrix`` or ``csc_matrix``,
    ``DataFrame``, ``Categorical``, nullable pandas arrays, structured ``ndarray``, ``dict``,
    ``str``, Python or numpy scalars, ``None``, awkward ``Array`` (where awkward is installed), or
    :class:`OpaqueElement` for what is not understood.

    Raises
    ------
    FileFormatError
        If the element is damaged; the message names the file and the element.
    MissingDependencyError
        If a compression filter is not installed.

    Examples
    --------
    >>> import h5py, io
    >>> with h5py.File(io.BytesIO(), "w") as file:
    ...     write_element(file, "uns", {"n": 3, "colors": ["red", "blue"]})
    ...     read_element(file["uns"])
    {'colors': array(['red', 'blue'], dtype=object), 'n': 3}
    """
    kind = element_kind(obj)
    if kind in LEGACY_KINDS and is_legacy(obj):
        kind = "legacy"
    reader = READERS.get(kind)
    return OpaqueElement.of(obj) if reader is None else reader(obj)


def write_element(
    parent: h5py.Group,
    name: str,
    value: Any,
    *,
    dataset_kwargs: Mapping[str, Any] = NO_OPTIONS,
) -> None:
    """Write one element, and all that is in it, as anndata encodes it.

    A failure leaves nothing behind under ``name``.

    Parameters
    ----------
    parent
        An open group, writable.
    name
        Name of the new member; must not exist yet, and holds no ``"/"``.
    value
        Any of the types that :func:`read_element` returns; also lists, tuples, other mappings,
        ``np.matrix`` and other scipy sparse formats (converted to CSR).
    dataset_kwargs
        Options for :meth:`h5py.Group.create_dataset`, such as ``compression``; scalars ignore
        those that HDF5 does not allow for them.

    Raises
    ------
    TypeError
        If the format has no encoding for the type; the message says what to do instead.
    ValueError
        If the name or the value cannot be stored.

    Examples
    --------
    >>> import h5py, io, numpy as np
    >>> with h5py.File(io.BytesIO(), "w") as file:
    ...     write_element(file, "x", np.arange(3))
    ...     dict(file["x"].attrs)
    {'encoding-type': 'array', 'encoding-version': '0.2.0'}
    """
    check_name(str(parent.name), name)
    if name in parent:
        raise ValueError(f"{element_path(parent, name)} exists already; delete it first.")
    if callable(getattr(value, "to_scipy", None)):  # a sparse block of a lazy matrix
        value = value.to_scipy()
    writer = _writer_for(parent, name, value)
    try:
        writer(parent, name, value, dataset_kwargs)
    except BaseException as error:
        if name in parent:
            del parent[name]
        path = element_path(parent, name)
        if not isinstance(error, TypeError | ValueError) or isinstance(error, LazyomicsError):
            raise
        if path in str(error):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError  # HDF5's own
        raise kind(f"{path}: cannot store the value: {error}") from error


def mark(obj: Any, kind: str, version: str) -> None:
    """Set the two encoding attributes."""
    obj.attrs["encoding-type"] = kind
    obj.attrs["encoding-version"] = version


def element_path(parent: h5py.Group, name: str) -> str:
    """Path of a member that may not exist yet."""
    return f"{str(parent.name).rstrip('/')}/{name}"


def refusal(parent: h5py.Group, name: str, value: Any, instead: str) -> TypeError:
    """Build the error for a value that cannot be stored."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    return TypeError(
        f"{element_path(parent, name)}: cannot store a value of type {kind}. {instead}"
    )


def check_name(parent: str, name: object) -> None:
    """Refuse names that HDF5 takes for paths or cannot hold.

    Parameters
    ----------
    parent
        Path of the group, for messages.
    name
        Name of a member that is to be written there.

    Raises
    ------
    TypeError
        If it is no text.
    ValueError
        If it cannot be a name.
    """
    if not isinstance(name, str):
        raise TypeError(
            f"in {parent!r}: names of elements are text, found {name!r} of type "
            f"{type(name).__name__}. Use str({name!r})."
        )
    if name in {"", "."} or "/" in name or "\0" in name:
        raise ValueError(
            f"in {parent!r}: {name!r} cannot be the name of an element, because HDF5 reads "
            "'/' as a path. Rename it, e.g. with '_' in place of '/'."
        )
    if has_surrogates(name):
        raise ValueError(
            f"in {parent!r}: {name!r} cannot be the name of an element, because it holds lone "
            "surrogates, which are no text. Rename it."
        )


def has_surrogates(name: str) -> bool:
    """Whether a text cannot be stored, because parts of it are no characters."""
    return any("\ud800" <= character <= "\udfff" for character in name)


def _writer_for(parent: h5py.Group, name: str, value: Any) -> Writer:
    for cls in type(value).__mro__:
        if cls in REFUSED:
            raise refusal(parent, name, value, REFUSED[cls])
        if cls in WRITERS:
            return WRITERS[cls]
    if hasattr(value, "__dask_graph__"):
        raise refusal(
            parent, name, value, "It is lazy: compute it first, or stream it with write_h5ad."
        )
    package = type(value).__module__.partition(".")[0]
    if package == "awkward":
        return WRITERS[AwkwardArray]
    if package == "anndata" and type(value).__name__ == "AnnData":
        return WRITERS[ScverseAnnData]
    raise refusal(
        parent,
        name,
        value,
        "Store arrays, data frames, sparse matrices, text, numbers, None, or dicts of these.",
    )


class AwkwardArray:
    """Stands for ``awkward.Array`` in the table, so that awkward need not be imported."""


class ScverseAnnData:
    """Stands for ``anndata.AnnData`` in the table, so that anndata need not be imported."""
