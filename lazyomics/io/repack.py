"""Write a file anew without the space that replaced and removed elements left in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py

from lazyomics.errors import UnsupportedError
from lazyomics.io.files import checked_path, open_for_reading
from lazyomics.io.transaction import claimed
from lazyomics.io.writing import new_file

__all__ = ["repack"]


def repack(path: str | os.PathLike[str], *, timeout: float = 30.0) -> int:
    """Give back the space that replaced and removed elements left in a file.

    Everything is copied as it is stored, without decoding, to a file beside it, which then takes
    its place in one step: whatever is interrupted leaves the file as it was. Objects that were
    opened from it must be opened again.

    Parameters
    ----------
    path
        An .h5ad, .h5mu or other HDF5 file.
    timeout
        Seconds to wait for another process that saves it.

    Returns
    -------
    Bytes that were given back.

    Raises
    ------
    BlockingIOError
        If another process saves the file, or keeps it open, for the whole time.
    PermissionError
        If the file or its folder cannot be written.
    UnsupportedError
        If it is an unusual HDF5 file with references among its values.

    Notes
    -----
    Passes over X: 1, of the stored bytes. Peak memory: a few chunks. The folder needs room for the
    new file beside the old one.

    Examples
    --------
    >>> import tempfile
    >>> import lazyomics as lo
    >>> folder = tempfile.TemporaryDirectory()
    >>> adata = lo.AnnData(obs={"n": [1, 2]}, var={"n": [3]})
    >>> adata.write_h5ad(f"{folder.name}/a.h5ad")
    >>> lo.repack(f"{folder.name}/a.h5ad") >= 0
    True
    >>> folder.cleanup()
    """
    found = checked_path(path)
    with claimed(found, timeout=timeout), open_for_reading(found) as source:
        before = os.stat(found).st_size
        size = int(source.userblock_size)
        with open(found, "rb") as raw:
            user_block = raw.read(size)
        with new_file(Path(found), user_block=user_block) as target:
            _copy_all(source, target)
    return before - os.stat(found).st_size


def _copy_all(source: h5py.File, target: h5py.File) -> None:
    """Copy the root's members, links and attributes, and let references refer to the copies."""
    renew = _holds_references(source)
    for key in source:
        link = source.get(key, getlink=True)
        if isinstance(link, h5py.HardLink):
            source.copy(source[key], target, key)
        else:
            target[key] = link
    _copy_attributes(source, target)
    if renew:
        _renew_references(source, target)


def _copy_attributes(source: Any, target: Any) -> None:
    for key in source.attrs:
        attribute = h5py.h5a.open(source.id, key.encode())
        value = source.attrs[key]
        target.attrs.create(key, value, shape=attribute.shape, dtype=attribute.dtype)


def _holds_references(source: h5py.File) -> bool:
    """Whether any attribute refers to an object, as categories did before anndata 0.8."""

    def look(name: str, obj: Any) -> bool | None:
        if isinstance(obj, h5py.Dataset) and h5py.check_ref_dtype(obj.dtype) is not None:
            raise UnsupportedError(
                f"{source.filename}: {name!r} holds references to other elements"
            )
        return True if any(isinstance(obj.attrs[k], h5py.Reference) for k in obj.attrs) else None

    return bool(source.visititems(look))


def _renew_references(source: h5py.File, target: h5py.File) -> None:
    def renew(name: str, obj: Any) -> None:
        for key in obj.attrs:
            value = obj.attrs[key]
            if isinstance(value, h5py.Reference) and value:
                target[name].attrs[key] = target[source[value].name].ref

    source.visititems(renew)
