"""What a file holds and how it is stored: encodings, bytes, chunks, filters, damage."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import Any

import h5py

from lazyomics.errors import LazyomicsError
from lazyomics.io.any_format import kind_of_open, part_of, split_modality
from lazyomics.io.encodings import frame_length, open_member, sparse_info
from lazyomics.io.encodings.damage import HDF5_ERRORS
from lazyomics.io.encodings.frames import CATEGORIES
from lazyomics.io.encodings.kinds import encoding
from lazyomics.io.files import checked_path, open_for_reading, unused_bytes
from lazyomics.io.gene_major import COPIED_FROM
from lazyomics.io.hdf5.pipeline import FILTER_NAMES
from lazyomics.io.save_records import read_records
from lazyomics.io.transaction.left_over import LeftOver, left_over
from lazyomics.io.walking import GROUPS, Element, elements_of, reason_of

__all__ = ["DatasetInfo", "ElementInfo", "FileInfo", "describe_file"]


@dataclass(frozen=True)
class DatasetInfo:
    """How a dataset of HDF5 is stored."""

    shape: tuple[int, ...]
    dtype: str
    stored_bytes: int
    decoded_bytes: int
    chunks: tuple[int, ...] | None
    filters: tuple[str, ...]


@dataclass(frozen=True)
class ElementInfo:
    """An element: its encoding, and its datasets.

    Attributes
    ----------
    name, encoding, version
        Path in the file; encoding and its version, empty where the file does not say it.
    is_legacy
        Whether the file does not say the encoding, as before anndata 0.8.
    shape, dtype, values
        Of the matrix, table or array; the number of stored values of a sparse matrix.
    datasets
        By name, ``""`` for an element that is a dataset.
    damage
        What is wrong with it, as far as names and attributes tell; else empty.
    note
        What else is known of it.
    """

    name: str
    encoding: str
    version: str = ""
    is_legacy: bool = False
    shape: tuple[int, ...] | None = None
    dtype: str = ""
    values: int | None = None
    datasets: dict[str, DatasetInfo] = field(default_factory=dict)
    damage: str = ""
    note: str = ""

    @property
    def stored_bytes(self) -> int:
        """Bytes that it takes in the file."""
        return sum(part.stored_bytes for part in self.datasets.values())

    @property
    def decoded_bytes(self) -> int:
        """Bytes of its values."""
        return sum(part.decoded_bytes for part in self.datasets.values())


@dataclass(frozen=True)
class FileInfo:
    """A file and its elements.

    Attributes
    ----------
    path, kind, layout
        The file, its format (``"modality"`` for one of an .h5mu), and the generation of its layout,
        in words.
    shape
        Lengths of obs and var; None where it has none.
    size, unused
        Bytes of the file, and those that no dataset uses.
    saves, last_save
        How many saves of lazyomics are recorded, and by whom the last was.
    left_over
        What an interrupted save left.
    elements
        In the order of the file.
    """

    path: str
    kind: str
    layout: str
    shape: tuple[int, int] | None
    size: int
    unused: int
    saves: int
    last_save: str
    left_over: LeftOver
    elements: tuple[ElementInfo, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the same as dicts, lists, texts and numbers."""
        whole = asdict(self)
        for info, element in zip(whole["elements"], self.elements, strict=True):
            info["stored_bytes"] = element.stored_bytes
            info["decoded_bytes"] = element.decoded_bytes
        return whole


def describe_file(path: str | os.PathLike[str]) -> FileInfo:
    """Describe an .h5ad, .h5mu, 10x .h5, .loom or other HDF5 file, damaged ones included.

    Parameters
    ----------
    path
        The file, a URL, or ``FILE.h5mu/MODALITY``, whose elements alone are described then.

    Returns
    -------
    Its format, layout and elements.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is no HDF5 file, or so damaged that HDF5 cannot open it.
    UnknownModalityError
        If the file has no such modality.

    Notes
    -----
    Passes over X: 0: names, attributes and the index of chunks are read. Peak memory: names.

    Examples
    --------
    >>> import tempfile
    >>> import lazyomics as lo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lo.AnnData(shape=(2, 3)).write_h5ad(f"{folder}/a.h5ad")
    ...     info = describe_file(f"{folder}/a.h5ad")
    >>> info.kind, info.shape, info.elements[0].encoding
    ('h5ad', (2, 3), 'anndata')
    """
    whole, modality = split_modality(path)
    found = checked_path(whole)
    left = LeftOver() if "://" in str(path) else left_over(found)  # opening finishes it
    with open_for_reading(found) as file:
        part = part_of(file, modality)
        kind = kind_of_open(file) if modality is None else "modality"
        stated = kind in ("h5ad", "h5mu", "modality")  # other formats name no encodings
        elements = tuple(_described(element, stated) for element in elements_of(part))
        saves = read_records(file)
        return FileInfo(
            path=os.fspath(path),
            kind=kind,
            layout=_layout(part),
            shape=_shape_of(part),
            size=int(file.id.get_filesize()),
            unused=unused_bytes(file),
            saves=len(saves),
            last_save=saves[-1].by if saves else "",
            left_over=left,
            elements=elements,
        )


def _layout(file: h5py.Group) -> str:
    """The generation of the layout, from what each introduced."""
    try:
        kind, version = encoding(file)
        if kind in ("anndata", "mudata"):
            return f"{kind} {version}, of today"
        group = file["mod"][next(iter(file["mod"]))] if "mod" in file else file
        obs = group.get("obs")
        if isinstance(obs, h5py.Dataset):
            return "before anndata 0.7: tables are records"
        if isinstance(obs, h5py.Group):
            if CATEGORIES in obs:
                return "anndata 0.7: categories beside the columns"
            return "no encoding of the file is named: anndata 0.7, or another program"
    except (LazyomicsError, *HDF5_ERRORS, StopIteration) as error:
        return f"damaged: {reason_of(error)}"
    return ""


def _shape_of(file: h5py.Group) -> tuple[int, int] | None:
    try:
        n_obs, n_vars = (frame_length(open_member(file, name)) for name in ("obs", "var"))
    except (LazyomicsError, *HDF5_ERRORS):
        return None
    return n_obs, n_vars


def _described(element: Element, is_stated: bool) -> ElementInfo:
    if element.obj is None:
        return ElementInfo(element.name, element.kind, damage=element.damage)
    try:
        return _info(element, is_stated)
    except (LazyomicsError, *HDF5_ERRORS) as error:
        return ElementInfo(element.name, element.kind, damage=reason_of(error))


def _info(element: Element, is_stated: bool) -> ElementInfo:
    obj, kind = element.obj, element.kind
    stated, version = encoding(obj)
    datasets: dict[str, DatasetInfo] = {}
    shape, dtype, values = None, "", None
    if isinstance(obj, h5py.Dataset):
        datasets[""] = _dataset(obj)
        shape, dtype = datasets[""].shape, datasets[""].dtype
    elif kind not in GROUPS:
        _collect(obj, "", datasets)
    if kind in ("csr_matrix", "csc_matrix"):
        shape = sparse_info(obj)[1]
        dtype, values = datasets["data"].dtype, datasets["data"].shape[0]
    elif kind == "dataframe":
        shape = (frame_length(obj),)
    elif kind == "categorical" and "codes" in datasets:
        shape, dtype = datasets["codes"].shape, f"{datasets['categories'].shape[0]} categories"
    elif "values" in datasets:
        shape, dtype = datasets["values"].shape, datasets["values"].dtype
    legacy = is_stated and not stated and kind != "unknown"
    note = "copy by genes" if COPIED_FROM in obj.attrs else ""
    if kind == "unknown":
        note = f"encoding {stated!r} {version} is not known: copied as it is" if stated else note
    return ElementInfo(
        element.name, kind, version, legacy, shape, dtype, values, datasets, note=note
    )


def _collect(group: h5py.Group, lead: str, found: dict[str, DatasetInfo]) -> None:
    for name in group:
        member = open_member(group, name)
        if isinstance(member, h5py.Dataset):
            found[f"{lead}{name}"] = _dataset(member)
        elif isinstance(member, h5py.Group) and lead.count("/") < 8:
            _collect(member, f"{lead}{name}/", found)


def _dataset(dataset: h5py.Dataset) -> DatasetInfo:
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(k) for k in range(properties.get_nfilters())]
    text = h5py.check_string_dtype(dataset.dtype)
    return DatasetInfo(
        shape=tuple(dataset.shape or ()),
        dtype="text" if text is not None else str(dataset.dtype),
        stored_bytes=int(dataset.id.get_storage_size()),
        decoded_bytes=int(dataset.size or 0) * int(dataset.dtype.itemsize),
        chunks=None if dataset.chunks is None else tuple(dataset.chunks),
        filters=tuple(_filter(number, values) for number, _, values, *_ in filters),
    )


def _filter(number: int, values: tuple[int, ...]) -> str:
    name = FILTER_NAMES.get(number, f"filter {number}")
    return f"{name} {values[0]}" if name == "deflate" and values else name
