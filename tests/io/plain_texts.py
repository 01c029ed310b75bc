"""Files whose texts are plain arrays: with pandas 3, anndata stores them with a mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

__all__ = ["write_plain"]


def write_plain(adata: Any, path: Path) -> None:
    """Write an object of anndata; masks of texts, none of which is missing, are left out."""
    adata.write_h5ad(path)
    masked: list[str] = []

    def look(name: str, obj: Any) -> None:
        if obj.attrs.get("encoding-type") == "nullable-string-array":
            masked.append(name)

    with h5py.File(path, "r+") as file:
        file.visititems(look)
        for name in masked:
            values = file[f"{name}/values"][()]
            assert not file[f"{name}/mask"][()].any()
            del file[name]
            file.create_dataset(name, data=values, dtype=h5py.string_dtype())
            file[name].attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
