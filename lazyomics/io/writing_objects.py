"""Functions that write an object to a file, called as mudata's and anndata's are."""

from __future__ import annotations

import os
import re
from typing import Any, cast

from lazyomics.container.anndata import AnnData
from lazyomics.container.mudata import MuData
from lazyomics.io.h5mu.opening import read_h5mu

__all__ = ["write", "write_h5ad", "write_h5mu"]

MODALITY_PATH = re.compile(r"^(.+\.h5mu)/(?:mod/)?([^/]+)/?$")


def write_h5mu(filename: str | os.PathLike[str], mdata: MuData, **options: Any) -> None:
    """Write a MuData to a new .h5mu file; see :meth:`MuData.write_h5mu`.

    Parameters
    ----------
    filename
        The file.
    mdata
        What to write.
    **options
        ``compression`` and so on.
    """
    mdata.write_h5mu(os.fspath(filename), **options)


def write_h5ad(
    filename: str | os.PathLike[str],
    mod: str | AnnData,
    data: MuData | AnnData | None = None,
    **options: Any,
) -> None:
    """Write an AnnData into an existing .h5mu file as one of its modalities, or to a new file.

    Parameters
    ----------
    filename
        An .h5mu file; without ``data`` the .h5ad file to write.
    mod
        Name of the modality, which is replaced if it is there; without ``data`` the AnnData.
    data
        The modality, or a MuData that has it.
    **options
        ``compression`` and so on: see :meth:`AnnData.write_h5ad`.

    Raises
    ------
    FileNotFoundError
        If there is no such .h5mu file.
    KeyError
        If the MuData has no such modality.

    Notes
    -----
    The whole is brought up to date: cells that only the new modality has are added to its obs, its
    obsmap shows where they are. Other modalities are neither read nor written. Passes over the X
    of the modality: 1.

    Examples
    --------
    >>> import tempfile
    >>> import lazyomics as lo
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = f"{folder.name}/m.h5mu"
    >>> lo.write_h5mu(path, lo.MuData({"rna": lo.AnnData(shape=(2, 3))}))
    >>> lo.write_h5ad(path, "adt", lo.AnnData(shape=(2, 5)))
    >>> lo.read_h5mu(path).shape
    (2, 8)
    >>> folder.cleanup()
    """
    if isinstance(mod, AnnData):
        if data is not None:
            raise TypeError("mod is the name of a modality where data is given, found an AnnData")
        mod.write_h5ad(os.fspath(filename), **options)
        return
    adata = data.mod[mod] if isinstance(data, MuData) else data
    if not isinstance(adata, AnnData):
        raise TypeError(f"data is an AnnData or MuData of lazyomics, found {type(adata).__name__}")
    whole = read_h5mu(filename)
    whole.mod[mod] = adata._sharing()
    whole.update()
    whole.write_h5mu(overwrite_x=True, **options)


def write(
    filename: str | os.PathLike[str],
    data: MuData | AnnData | None = None,
    *,
    adata: MuData | AnnData | None = None,
    **options: Any,
) -> None:
    """Write a MuData or AnnData to the kind of file that the name says.

    Parameters
    ----------
    filename
        ``FILE.h5mu`` for a MuData, ``FILE.h5ad`` for an AnnData; ``FILE.h5mu/MODALITY`` or
        ``FILE.h5mu/mod/MODALITY`` puts an AnnData into an existing file.
    data, adata
        What to write; mudata calls it the one, scanpy the other.
    **options
        ``compression`` and so on.

    Raises
    ------
    ValueError
        If the name is of a file for another kind of object.
    TypeError
        If nothing is given to write, or two objects.
    """
    if (data is None) == (adata is None):
        raise TypeError("write takes one object: write(filename, data)")
    data = cast("MuData | AnnData", adata if data is None else data)
    name: Any = os.fspath(filename)
    if isinstance(data, MuData):
        if not name.endswith(".h5mu"):
            raise ValueError(f"a MuData is written to a .h5mu file, found the name {name!r}")
        write_h5mu(name, data, **options)
    elif matched := MODALITY_PATH.match(name):
        write_h5ad(matched[1], matched[2], data, **options)
    elif name.endswith(".h5mu"):
        raise ValueError(
            f"{name!r} is for a MuData; name the modality of an existing file: '{name}/rna'"
        )
    else:
        write_h5ad(name, data, **options)
