"""Files of every format that is opened in place, by what they hold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import h5py

from lazyomics.container.anndata import AnnData
from lazyomics.container.mudata import MuData
from lazyomics.errors import FileFormatError, UnsupportedError
from lazyomics.io.encodings import has_member, open_member
from lazyomics.io.files import checked_path, open_for_reading
from lazyomics.io.h5mu.opening import MODALITY_PATH, stored_modalities
from lazyomics.io.opening_10x import advice_for_10x
from lazyomics.io.reading import read
from lazyomics.names import choices

__all__ = [
    "FileKind",
    "UnknownModalityError",
    "kind_of_open",
    "open_any",
    "part_of",
    "refuse_zarr",
    "split_modality",
]

FileKind = Literal["h5ad", "h5mu", "10x", "loom", "hdf5"]


class UnknownModalityError(KeyError):
    """A modality that was asked for and is not in the file: no damage of the file."""


def kind_of_open(file: h5py.File) -> FileKind:
    """Return the format of an open HDF5 file; ``"hdf5"`` for one that is opened by nothing here."""
    if has_member(file, "mod") and isinstance(file.get("mod"), h5py.Group):
        return "h5mu"
    if has_member(file, "obs") and has_member(file, "var"):
        return "h5ad"
    if advice_for_10x(file) is not None:
        return "10x"
    is_loom = has_member(file, "matrix") and has_member(file, "row_attrs")
    return "loom" if is_loom else "hdf5"


def split_modality(path: str | os.PathLike[str]) -> tuple[str | os.PathLike[str], str | None]:
    """Split ``FILE.h5mu/MODALITY`` into both; None for the modality of any other name."""
    name = os.fspath(path)
    matched = MODALITY_PATH.match(name)
    if matched is None or Path(name).exists():
        return path, None
    return matched[1], matched[2]


def part_of(file: h5py.File, modality: str | None) -> h5py.Group:
    """Return an open file, or the group of one of its modalities.

    Raises
    ------
    UnknownModalityError
        If the file has no such modality.
    """
    if modality is None:
        return file
    known = stored_modalities(file) if kind_of_open(file) == "h5mu" else []
    if modality not in known:
        raise UnknownModalityError(
            f"{file.filename} has no modality {modality!r}; {choices(modality, known)}"
        )
    return open_member(open_member(file, "mod"), modality)


def open_any(path: str | os.PathLike[str], **options: Any) -> AnnData | MuData:
    """Open an .h5ad, .h5mu, 10x Genomics .h5 or .loom file lazily, by what it holds.

    Parameters
    ----------
    path
        The file, a URL, or ``FILE.h5mu/MODALITY``.
    **options
        Of ``read_10x_h5`` or ``read_loom``, if it is such a file.

    Returns
    -------
    AnnData, or MuData for a whole .h5mu file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is none of these, or damaged.
    UnsupportedError
        If it is a zarr store.
    TypeError
        For options that are not those of the format.

    Notes
    -----
    Passes over X: 0. Peak memory: names and shapes.

    Examples
    --------
    >>> import tempfile
    >>> import lazyomics as lo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lo.AnnData(shape=(2, 3)).write_h5ad(f"{folder}/a.h5ad")
    ...     open_any(f"{folder}/a.h5ad").shape
    (2, 3)
    """
    name = os.fspath(path)
    refuse_zarr(name)
    if split_modality(name)[1] is not None:
        return read(name, **options)
    found = checked_path(name)
    with open_for_reading(found) as file:
        kind, members = kind_of_open(file), sorted(map(str, file))[:10]
    if kind != "hdf5":
        return read(name, **options)
    raise FileFormatError.at(
        name,
        "/",
        expected="an .h5ad, .h5mu, 10x Genomics .h5 or .loom file",
        found=", ".join(members) or "nothing",
        hint="It is HDF5, but of another format.",
    )


def refuse_zarr(name: str) -> None:
    """Refuse a zarr store, which is a folder, or a zip file of one.

    Raises
    ------
    UnsupportedError
        If it is one, or has the name of one.
    """
    path = Path(name)
    markers = (".zgroup", ".zattrs", "zarr.json")
    is_store = path.is_dir() and any((path / marker).exists() for marker in markers)
    if is_store or name.rstrip("/").endswith((".zarr", ".zarr.zip")):
        raise UnsupportedError(
            f"{name} is a zarr store, which the command line does not read or write. Convert it in "
            "Python: lazyomics.read_zarr(store).write_h5ad(file), or write_zarr the other way; "
            "with anndata, anndata.read_zarr(store).write_h5ad(file)"
        )
