"""read: any file or folder by its name, as scanpy's."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py

from lazyomics import logging
from lazyomics.container.anndata import AnnData
from lazyomics.container.annotated import is_url, local_name
from lazyomics.errors import FileFormatError, UnsupportedError
from lazyomics.importing import import_whole
from lazyomics.io.cached import FROM_SETTINGS, TEXTS, cache_options, cache_path, extension_of
from lazyomics.io.cached import is_fresh as is_cached
from lazyomics.io.encodings import has_member, open_member
from lazyomics.io.files import checked_path, fetched, named_file, open_for_reading
from lazyomics.io.h5mu.opening import MODALITY_PATH, open_modality, read_h5mu
from lazyomics.io.opening import read_h5ad
from lazyomics.io.remote.address import RemotePath
from lazyomics.options import settings

if TYPE_CHECKING:
    from lazyomics.container.mudata import MuData

__all__ = ["read"]

HDF5_NAMES = frozenset({"h5", "h5ad", "h5mu", "hdf5", "loom"})
READ_FILES = (
    ".h5ad, .h5mu, .h5 (10x Genomics), .loom, .zarr, .mtx, .csv, .tsv, .txt, .tab, .data (also .gz "
    "or .bz2), .xlsx"
)


def read(
    filename: str | os.PathLike[str],
    backed: bool | str | None = True,
    *,
    sheet: str | None = None,
    ext: str | None = None,
    delimiter: str | None = None,
    first_column_names: bool = False,
    backup_url: str | None = None,
    cache: bool = False,
    cache_compression: Any = FROM_SETTINGS,
    storage_options: Mapping[str, Any] | None = None,
    chunks: str | int = "auto",
    **kwargs: Any,
) -> AnnData | MuData:
    r"""Open any file or folder that lazyomics reads, by its name and by what it holds.

    Parameters
    ----------
    filename
        ``FILE.h5ad``, ``FILE.h5mu``, ``FILE.h5mu/MODALITY`` (or ``FILE.h5mu/mod/MODALITY``),
        ``FILE.zarr``, ``FILE.h5`` of 10x Genomics, ``FILE.loom``; ``FILE.mtx``, ``FILE.csv``,
        ``FILE.tsv``, ``FILE.txt``, ``FILE.tab``, ``FILE.data`` (also with ``.gz`` or ``.bz2``),
        ``FILE.xlsx``; a folder with ``matrix.mtx`` of Cell Ranger or STARsolo. HDF5 files of
        another name are opened by what they hold, and HDF5 files and zarr stores may be URLs. A
        name without extension that is no file stands for ``lo.settings.writedir / "NAME.h5ad"``.
    backed
        True, ``"r"`` or ``"r+"`` open matrices lazily, where the format allows it; False (and None)
        loads them.
    sheet
        Sheet of an Excel file, or dataset of an HDF5 file: see ``read_excel`` and ``read_hdf``.
    ext
        Kind of the file, such as ``"csv"``, where its name does not say it.
    delimiter
        What is between the columns of text: a comma in ``.csv``, any white space in others.
    first_column_names
        Whether the first column of text holds names, even if these are numbers.
    backup_url
        Download the file from here if there is none, with pooch (``lazyomics[datasets]``).
    cache
        Keep the matrix of a text, Matrix Market or Excel file as an .h5ad in
        ``lo.settings.cachedir``, and open it from there, also the next time. Made anew if the file
        is newer. Has no effect on other files.
    cache_compression
        Filter of that file: ``"lzf"``, ``"gzip"`` or None; ``lo.settings.cache_compression`` by
        default.
    storage_options, chunks
        As in ``read_h5ad``.
    **kwargs
        Of ``read_loom``, or of ``read_10x_h5`` (``genome``, ``gex_only``).

    Returns
    -------
    AnnData, or MuData for a whole .h5mu file or store.

    Raises
    ------
    FileNotFoundError
        If there is no such file, and it cannot be downloaded.
    FileFormatError
        If it is damaged, or none that is known: says what is read.
    IsADirectoryError
        For a folder that is none of those: says which function reads what is in it.
    ValueError
        For an unknown ``ext``, a missing ``sheet``, or a name without extension that is no file.

    Notes
    -----
    Passes over X: 0 of HDF5 files and zarr stores, 1 of others. Peak memory: names and shapes, or
    the matrix. scanpy's ``read`` loads matrices unless ``backed`` is given.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.csv").write_text("name,g1,g2\na,1,2\nb,3,4\n")
    ...     read(f"{folder}/a.csv").to_df().loc["b"].tolist()
    [3.0, 4.0]
    """
    filename, storage_options = named_file(filename, storage_options)
    name = filename if isinstance(filename, RemotePath) else os.fspath(filename)
    name = local_name(name) or name
    if (matched := MODALITY_PATH.match(name)) is not None and _names_a_modality(name):
        fetched(matched[1], backup_url)
        adata = open_modality(
            matched[1], matched[2], storage_options=storage_options, chunks=chunks
        )
        return adata if backed else adata.to_memory()
    fetched(name, backup_url)
    if ext is None and _stands_for_another(name):
        name = str(_keyed(Path(name)))
    kind = _kind(name, ext)
    _refuse_unused(kind, kwargs)
    if kind == "zarr":
        opened = import_whole("lazyomics.io.zarr").read_zarr(
            name, storage_options=storage_options, chunks=chunks
        )
        return opened if backed else opened.to_memory()
    if kind == "folder":
        return _folder(Path(name), cache=cache, cache_compression=cache_compression)
    if kind == "hdf5":
        return _hdf5(name, backed, sheet, storage_options, chunks, kwargs)
    if storage_options:
        raise ValueError(f"{filename} is a local file: storage_options are for files on servers")
    make = _reader(Path(name), kind, sheet, delimiter, first_column_names)
    if not cache:
        if kind in TEXTS:
            logging.hint("This might be slow: cache=True keeps an .h5ad, which is opened at once.")
        return make()
    adata = _from_cache(Path(name), kind, make, cache_compression)
    return adata if backed else adata.to_memory()


def _names_a_modality(name: str) -> bool:
    """Whether what follows ``.h5mu/`` is a modality, not a file in a folder of such a name."""
    if isinstance(name, RemotePath) or is_url(name):
        return not name.endswith((".h5ad", ".h5mu", ".h5", ".zarr"))
    return not Path(name).exists()


def _kind(name: Any, ext: str | None) -> str:
    """How a file is read: ``"hdf5"``, ``"zarr"``, ``"folder"``, or the extension of a table."""
    if ext is not None:
        ext = ext.removeprefix(".").lower()
        known = {*TEXTS, "mtx", "mtx.gz", "mtx.bz2", "xlsx", "xls", "zarr", *HDF5_NAMES}
        if ext not in known:
            raise ValueError(f"ext is one of {sorted(known)}, found {ext!r}")
        return "hdf5" if ext in HDF5_NAMES else ext
    if is_url(name) or isinstance(name, RemotePath):
        plain = str(name).partition("?")[0].rstrip("/")
        return "zarr" if plain.endswith((".zarr", ".zarr.zip")) else "hdf5"
    path = Path(name)
    if path.is_dir():
        return "zarr" if _is_zarr(path) else "folder"
    extension = _extension(path)
    if path.exists() and h5py.is_hdf5(path):
        return "hdf5"
    if extension == "zarr" or path.name.endswith(".zarr.zip"):
        return "zarr"
    if extension in HDF5_NAMES or (extension is None and path.exists()):
        _refuse_unknown(path, extension)
        return "hdf5"  # damaged or missing, which opening says
    if extension is None:
        raise _no_such_key(path)
    return extension


def _is_zarr(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("zarr.json", ".zgroup", ".zattrs"))


def _extension(path: Path) -> str | None:
    found = extension_of(path)
    last = path.suffix.lower().removeprefix(".")
    if found is None or last in ("bz2", "zarr", "xls"):
        if path.name.lower().endswith(".mtx.bz2"):
            return "mtx.bz2"
        return last if last in ("zarr", "xls") else found
    return found


def _refuse_unknown(path: Path, extension: str | None) -> None:
    """Refuse a file of an unknown name that is no HDF5 file either."""
    if extension is None and path.suffix:
        raise FileFormatError.at(
            path,
            "/",
            expected=f"a file that lazyomics reads: {READ_FILES}",
            found=f"the extension {path.suffix!r} and no HDF5 file",
            hint="Name what it is with ext=, such as ext='csv'.",
        )


def _no_such_key(path: Path) -> Exception:
    """Say what a name without extension stands for, as scanpy does."""
    stands_for = _keyed(path)
    if path.suffix:
        return FileNotFoundError(f"{path} does not exist")
    return ValueError(
        f"{str(path)!r} is no file, and {str(stands_for)!r}, which it stands for, does not exist. "
        f"Give a name with one of the extensions {READ_FILES}, or pass ext="
    )


def _keyed(path: Path) -> Path:
    return settings.writedir / f"{path}.{settings.file_format_data}"


def _stands_for_another(name: str) -> bool:
    """Whether a name without extension stands for a file in ``settings.writedir``."""
    path = Path(name)
    return not is_url(str(name)) and not path.suffix and not path.exists() and _keyed(path).exists()


def _refuse_unused(kind: str, kwargs: Mapping[str, Any]) -> None:
    if kwargs and kind not in ("hdf5", "loom"):
        raise TypeError(f"read() got arguments that only .loom and 10x take: {sorted(kwargs)}")


def _hdf5(
    name: Any,
    backed: bool | str | None,
    sheet: str | None,
    storage_options: Mapping[str, Any] | None,
    chunks: str | int,
    kwargs: dict[str, Any],
) -> AnnData | MuData:
    found = checked_path(name, storage_options)
    opened = found if isinstance(found, RemotePath) else name
    if sheet is not None:
        return import_whole("lazyomics.io.tables").read_hdf(opened, sheet)
    with open_for_reading(found) as file:
        holds = _content(file)
    if holds in ("mudata", "anndata"):
        _refuse_unused(holds, kwargs)
    if holds == "mudata":
        return read_h5mu(opened, backed=backed, chunks=chunks)
    if holds == "anndata":
        return read_h5ad(opened, backed=backed, chunks=chunks)
    if holds == "loom":
        adata = import_whole("lazyomics.io.loom").read_loom(opened, **kwargs)
        return adata if backed else adata.to_memory()
    return import_whole("lazyomics.io.opening_10x").read_10x_h5(
        opened, backed=bool(backed), **kwargs
    )


def _content(file: h5py.File) -> str:
    """What an HDF5 file holds, by its members; AnnData where it is none of the others."""
    if has_member(file, "mod"):
        return "mudata"
    if has_member(file, "obs") or has_member(file, "var"):
        return "anndata"
    if has_member(file, "row_attrs") and has_member(file, "matrix"):
        return "loom"
    from lazyomics.io.opening_10x import advice_for_10x

    is_matrix = has_member(file, "matrix") and isinstance(open_member(file, "matrix"), h5py.Group)
    return "10x" if is_matrix or advice_for_10x(file) else "anndata"


def _reader(
    path: Path, kind: str, sheet: str | None, delimiter: str | None, named: bool
) -> Callable[[], AnnData]:
    """What reads a table in memory."""
    tables: Any = import_whole("lazyomics.io.tables")
    if kind == "csv":
        return lambda: tables.read_csv(path, delimiter or ",", first_column_names=named)
    if kind in TEXTS:
        return lambda: tables.read_text(path, delimiter, first_column_names=named)
    if kind.startswith("mtx"):
        return lambda: import_whole("lazyomics.io.mtx.reading").read_mtx(path)
    if kind in ("xlsx", "xls"):
        if sheet is None:
            raise ValueError(f"{path} is an Excel file: name a sheet with sheet=")
        return lambda: tables.read_excel(path, sheet)
    raise UnsupportedError(
        f"{path}: files of the kind {kind!r} are not read here. Read it with scanpy and take it "
        "over with lo.AnnData.from_anndata(scanpy.read(...))"
    )


def _from_cache(path: Path, kind: str, make: Callable[[], AnnData], compression: Any) -> AnnData:
    """Open the cached form of a table, after making it; the object has no file to save into."""
    place = cache_path(path)
    if not is_cached(place, path):
        options = cache_options(compression)
        place.parent.mkdir(parents=True, exist_ok=True)
        logging.info(f"... writing the cache file {place}, which is read the next time")
        if kind.startswith("mtx"):
            import_whole("lazyomics.io.mtx.reading").stream_mtx(path, place, options=options)
        else:
            adata = make()
            from lazyomics.io.writing import write_new

            write_new(adata, place, options=options)
    else:
        logging.info(f"... reading from the cache file {place}")
    stored = read_h5ad(place)
    return AnnData(stored.X, obs=stored.obs, var=stored.var)


def _folder(path: Path, *, cache: bool, cache_compression: Any) -> AnnData:
    """Read a folder with a matrix of 10x, or say what reads it."""
    names = {found.name for found in path.iterdir()}
    if {"matrix.mtx", "matrix.mtx.gz"} & names:
        return import_whole("lazyomics.io.mtx.read_10x").read_10x_mtx(
            path, cache=cache, cache_compression=cache_compression
        )
    advice = _advice(path, names)
    raise IsADirectoryError(
        f"{path} is a folder without matrix.mtx or the metadata of zarr, which are what read() "
        f"opens of folders; it has {sorted(names)[:8] or 'nothing'}.{advice}"
    )


def _advice(path: Path, names: set[str]) -> str:
    prefixed = sorted(n for n in names if n.endswith(("_matrix.mtx.gz", "_matrix.mtx")))
    if prefixed:
        prefix = prefixed[0].partition("matrix.mtx")[0]
        return f" Read it with read_10x_mtx(path, prefix={prefix!r})."
    if "spatial" in names:
        return " It is of Space Ranger: open it with read_visium."
    if any(name.startswith(("cells_x_", "spliced.")) and name.endswith(".mtx") for name in names):
        return " It is of kb-python: read it with read_kb."
    if "alevin" in names or any(name.startswith("quants_mat") for name in names):
        return " It is of alevin or alevin-fry: read it with read_alevin."
    if names & {"Gene", "GeneFull", "Velocyto", "SJ", "Solo.out", "raw", "filtered"}:
        return " It may be of STARsolo: read it with read_starsolo."
    inner = sorted(found.parent for found in path.glob("*/matrix.mtx*"))
    if inner:
        return f" Read one of the folders in it, such as {str(inner[0])!r}."
    if files := sorted(n for n in names if n.endswith((".h5ad", ".h5mu", ".h5", ".zarr", ".loom"))):
        return f" Read a file in it, such as {str(path / files[0])!r}."
    return ""
