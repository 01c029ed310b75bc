"""What was given where an AnnData or a MuData is meant, in words, with the way out."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["found_instead", "has_modalities"]

PARTS_OF_MODALITIES = ("mod", "obs", "var", "obsmap")
OPENED_BY = {".h5ad": "read_h5ad", ".h5mu": "read_h5mu", ".loom": "read_loom", ".csv": "read_csv"}


def has_modalities(data: Any) -> bool:
    """Whether an object has the parts of a MuData."""
    return all(hasattr(type(data), part) for part in PARTS_OF_MODALITIES)


def found_instead(data: Any) -> str:
    """Name what was given, and say what to do if it is known.

    Parameters
    ----------
    data
        Anything that is not what was meant.

    Returns
    -------
    The end of a sentence that begins with "found".

    Examples
    --------
    >>> found_instead("cells.h5ad")
    "str 'cells.h5ad': open it first, lo.read_h5ad('cells.h5ad')"
    >>> found_instead(3.0)
    'float'
    """
    kind = type(data).__name__
    package = type(data).__module__.partition(".")[0]
    if package == "anndata" and kind == "AnnData":
        return "an AnnData of the package anndata: convert it first, lo.AnnData.from_anndata(adata)"
    if package == "mudata" and kind == "MuData":
        return "a MuData of the package mudata: convert it first, lo.MuData.from_mudata(mdata)"
    if has_modalities(data):
        names = ", ".join(f"mdata[{name!r}]" for name in data.mod) or "it has none"
        return f"a MuData: use one of its modalities, {names}"
    if isinstance(data, str | os.PathLike):
        path = os.fspath(data)
        opener = OPENED_BY.get(os.path.splitext(str(path))[1].lower(), "read")
        return f"{kind} {path!r}: open it first, lo.{opener}({path!r})"
    if kind == "Raw":
        return "a Raw: make an AnnData of it, adata.raw.to_adata()"
    return kind
