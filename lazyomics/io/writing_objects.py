"""Functions that write an object to a file, called as mudata's and anndata's are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

from lazyomics.container.anndata import AnnData
from lazyomics.container.given import found_instead
from lazyomics.container.mudata import MuData
from lazyomics.io.h5mu.opening import MODALITY_PATH, read_h5mu
from lazyomics.options import settings

__all__ = ["write", "write_h5ad", "write_h5mu", "write_zarr"]

KINDS = frozenset({"csv", "h5", "h5ad", "h5mu", "loom", "zarr"})
AS_SCANPY: Any = "gzip in a .h5ad"


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


def write_zarr(store: Any, data: MuData | AnnData, **options: Any) -> None:
    """Write an AnnData or MuData to a new zarr store; see :meth:`AnnData.write_zarr`.

    Parameters
    ----------
    store
        A folder, a ``.zip``, a URL, or a store of zarr.
    data
        What to write.
    **options
        Of :meth:`AnnData.write_zarr`.
    """
    data.write_zarr(store, **options)


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
    adata = data.mod[mod] if isinstance(data, MuData) else mod if data is None else data
    if not isinstance(adata, AnnData):
        raise TypeError(f"data is an AnnData or MuData of lazyomics, found {found_instead(adata)}")
    whole = read_h5mu(filename)
    whole.mod[mod] = adata._sharing()
    whole.update()
    whole.write_h5mu(overwrite_x=True, **options)


def write(
    filename: str | os.PathLike[str],
    data: MuData | AnnData | None = None,
    *,
    adata: MuData | AnnData | None = None,
    ext: str | None = None,
    compression: str | int | None = AS_SCANPY,
    compression_opts: Any = None,
    **options: Any,
) -> None:
    """Write a MuData or AnnData to the kind of file that the name says.

    Parameters
    ----------
    filename
        ``FILE.h5ad`` (or ``.h5``) for an AnnData, ``FILE.h5mu`` for a MuData, ``FILE.zarr`` for
        either; ``FILE.h5mu/MODALITY`` or ``FILE.h5mu/mod/MODALITY`` puts an AnnData into an
        existing file. ``FILE.csv`` writes text files into the folder ``FILE``, ``FILE.loom`` a loom
        file. A name without any of these extensions stands for
        ``lo.settings.writedir / "NAME.h5ad"``.
    data, adata
        What to write; mudata calls it the one, scanpy the other.
    ext
        Kind of the file, for a name without extension; ``lo.settings.file_format_data`` by default.
    compression, compression_opts
        Filter of matrices and arrays in HDF5 files: by default gzip in a .h5ad, as of scanpy, and
        none in a .h5mu, as of mudata.
    **options
        Of ``write_h5ad``, ``write_h5mu``, ``write_zarr``, ``write_csvs`` or ``write_loom``.

    Raises
    ------
    ValueError
        If the name is of a file for another kind of object, or says another kind than ``ext``.
    TypeError
        If nothing is given to write, or two objects.

    Notes
    -----
    Passes over X: 1; 0 of ``.csv``.
    """
    if (data is None) == (adata is None):
        raise TypeError("write takes one object: write(filename, data)")
    made = cast("MuData | AnnData", adata if data is None else data)
    name: Any = os.fspath(filename)
    filters = {"compression": compression, "compression_opts": compression_opts}
    if isinstance(made, AnnData) and (matched := MODALITY_PATH.match(name)):
        write_h5ad(matched[1], matched[2], made, **_without_default(filters), **options)
        return
    name, kind = _named_kind(name, ext, made)
    if isinstance(made, MuData) and kind not in ("h5mu", "zarr"):
        raise ValueError(f"a MuData is written to a .h5mu file or .zarr, found the name {name!r}")
    if isinstance(made, AnnData) and kind == "h5mu":
        raise ValueError(
            f"{name!r} is for a MuData; name the modality of an existing file: '{name}/rna'"
        )
    if kind in ("csv", "loom", "zarr"):
        if compression is not AS_SCANPY and compression is not None:
            raise ValueError(f"compression is of HDF5 files, found it for {name!r}")
        getattr(made, {"csv": "write_csvs"}.get(kind, f"write_{kind}"))(name, **options)
    elif isinstance(made, MuData):
        write_h5mu(name, made, **_without_default(filters), **options)
    else:
        given = "gzip" if compression is AS_SCANPY else compression
        write_h5ad(name, made, compression=given, compression_opts=compression_opts, **options)


def _without_default(filters: dict[str, Any]) -> dict[str, Any]:
    return {**filters, "compression": None} if filters["compression"] is AS_SCANPY else filters


def _named_kind(name: str, ext: str | None, data: MuData | AnnData) -> tuple[str, str]:
    """Name and kind of a file, which a name without extension takes from the settings."""
    found = name.rstrip("/").rpartition(".")[2].lower() if "." in Path(name).name else ""
    if found in KINDS:
        if ext is not None and ext != found:
            raise ValueError(f"the name {name!r} says {found!r}, ext says {ext!r}: give one")
        return name, found
    default = "h5mu" if isinstance(data, MuData) else settings.file_format_data
    kind = default if ext is None else ext
    if kind not in KINDS:
        raise ValueError(f"ext is one of {sorted(KINDS)}, found {kind!r}")
    place = settings.writedir / f"{name}.{kind}"
    place.parent.mkdir(parents=True, exist_ok=True)
    return str(place), kind
