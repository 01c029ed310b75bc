"""What reads a file or folder that is no HDF5 file, said where one was expected."""

from __future__ import annotations

import os
from pathlib import Path

from lazyomics.names import near

__all__ = ["advice_for_folder", "advice_for_missing", "advice_for_other_file"]

GZIP = b"\x1f\x8b"
READERS = {
    ".csv": "read_csv",
    ".tsv": "read_text",
    ".tab": "read_text",
    ".txt": "read_text",
    ".data": "read_text",
    ".mtx": "read_mtx",
    ".xlsx": "read_excel",
}
ENDINGS = (".h5ad", ".h5mu", ".h5", ".loom")
MOST_NAMES = 5
MOST_LOOKED_AT = 10_000


def advice_for_folder(folder: Path) -> str:
    """Say what a folder is, if that is known, and what reads it."""
    names = _names_in(folder)
    if folder.suffix == ".zarr" or {".zgroup", ".zattrs", "zarr.json"} & set(names):
        return "It is a zarr store: open it with lo.read_zarr."
    if any(name.removesuffix(".gz").endswith("matrix.mtx") for name in names):
        return "It holds the files of a matrix of 10x Genomics: open it with lo.read_10x_mtx."
    held = sorted(name for name in names if name.endswith(ENDINGS))
    shown = ", ".join(map(repr, held[:MOST_NAMES])) + (", …" if len(held) > MOST_NAMES else "")
    return f"It holds {shown}: name one of them." if held else "It holds no .h5ad file."


def advice_for_other_file(path: Path) -> str:
    """Say what reads a file without the HDF5 signature."""
    with path.open("rb") as file:
        begin = file.read(2)
    if not begin:
        return "The file is empty."
    inner = Path(path.stem) if path.suffix == ".gz" else path
    reader = READERS.get(inner.suffix.lower())
    if reader is not None:
        return f"Its name is that of another format: open it with lo.{reader}."
    if begin == GZIP:
        return f"It is compressed by gzip: unpack it first, gunzip {os.fspath(path)!r}."
    if begin == b"PK":
        return "It is a zip archive: lo.read_zarr opens it if it is a zarr store; unpack others."
    return "The file is truncated at its start, or of another format."


def advice_for_missing(path: Path) -> str:
    """Name files of the folder whose names come near."""
    if not path.parent.is_dir():
        return f"; there is no folder {os.fspath(path.parent)!r}"
    close = near(path.name, _names_in(path.parent))
    return f". Did you mean {' or '.join(map(repr, close))}?" if close else ""


def _names_in(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry, _ in zip(entries, range(MOST_LOOKED_AT), strict=False)]
    except OSError:
        return []
