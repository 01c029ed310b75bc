"""The two worlds of a history: the same words, said to anndata and mudata or to lazyomics."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import anndata
import mudata
import numpy as np
import pandas as pd

import lazyomics as lo
from lazyomics.errors import XNotWrittenWarning
from tests.fuzz.histories import values

__all__ = ["MODALITIES", "Ours", "Theirs", "World", "as_latest", "namespace", "oracle_reads"]


MODALITIES = ("rna", "atac", "adt", "hto", "gex")


@contextmanager
def as_latest() -> Iterator[None]:
    """Let anndata 0.12 and mudata 0.3 behave as 0.13 and 0.4 do.

    The one writes nullable text, the other copies columns only when asked to.
    """
    text: AbstractContextManager[Any] = nullcontext()
    if hasattr(anndata.settings, "allow_write_nullable_strings"):
        text = anndata.settings.override(allow_write_nullable_strings=True)
    pulling: AbstractContextManager[Any] = nullcontext()
    if hasattr(mudata, "set_options"):
        pulling = mudata.set_options(pull_on_update=False)
    with text, pulling:
        yield


def oracle_reads(path: str) -> Any:
    """Return what anndata or mudata reads of a file."""
    return mudata.read_h5mu(path) if path.endswith(".h5mu") else anndata.read_h5ad(path)


class World:
    """What the lines of a history call ``w``.

    Parameters
    ----------
    folder
        Where this world writes.
    other
        Where the other one does.
    """

    column = staticmethod(values.column)
    matrix = staticmethod(values.matrix)
    table = staticmethod(values.table)
    uns_value = staticmethod(values.uns_value)

    def __init__(self, folder: Path, other: Path) -> None:
        self.folder, self.other = folder, other
        self.written: list[str] = []
        self.saved = 0

    def write(self, one: Any, name: str) -> None:
        """Write to a new file."""
        path = str(self.folder / name)
        one.write(path)
        self.written.append(path)

    def copy(self, one: Any) -> Any:
        return one.copy()

    def raw_as_object(self, one: Any) -> Any:
        return one.raw.to_adata()

    def update(self, one: Any) -> None:
        one.update()


class Theirs(World):
    """anndata and mudata, the oracle."""

    AnnData = anndata.AnnData
    MuData = mudata.MuData

    def write(self, one: Any, name: str) -> None:
        """Write a copy to a new file: anndata changes text in what it writes."""
        super().write(one.copy(), name)

    def concat(self, objects: list[Any], **options: Any) -> Any:
        join = mudata.concat if hasattr(objects[0], "mod") else anndata.concat
        return join(objects, **options)

    def take(self, one: Any, key: Any) -> Any:
        """Return an independent selection."""
        return one[key].copy()

    def labelled(self, mask: Any, names: Any) -> Any:
        """Bring a mask to the order of the names, which anndata expects it to have."""
        return mask.loc[names]

    def transposed(self, one: Any) -> Any:
        return one.T.copy()

    def update(self, one: Any) -> None:
        """Update, and forget what mudata remembers of modalities that are gone.

        It keeps their memberships in obsm and varm and their positions in obsmap and varmap, and
        a later update fails to bring these to other rows.
        """
        one.update()
        gone = set(MODALITIES) - set(one.mod)
        for mapping in (one.obsm, one.varm, one.obsmap, one.varmap):
            for mod in gone & set(mapping):
                del mapping[mod]

    def save(self, one: Any) -> Any:
        """Write a file of its own: there is no saving in place."""
        self.saved += 1
        end = "h5mu" if hasattr(one, "mod") else "h5ad"
        self.write(one, f"saved{self.saved}.{end}")
        return one

    def reopen(self, one: Any) -> Any:
        """Open what was written last."""
        return oracle_reads(self.written[-1])

    def open(self, name: str, *, cross: bool = False, backed: bool = False) -> Any:
        """Open what this world wrote, or what the other one did."""
        path = str((self.other if cross else self.folder) / name)
        if backed and name.endswith(".h5ad"):
            return anndata.read_h5ad(path, backed="r").to_memory()
        return oracle_reads(path)


class Ours(World):
    """lazyomics."""

    AnnData = lo.AnnData
    MuData = lo.MuData
    concat = staticmethod(lo.concat)

    def take(self, one: Any, key: Any) -> Any:
        """Return an independent selection."""
        return one[key]

    def labelled(self, mask: Any, names: Any) -> Any:
        """Leave a mask in its own order."""
        return mask

    def transposed(self, one: Any) -> Any:
        return one.T

    def save(self, one: Any) -> Any:
        """Save in place what belongs to a file of this world, else write it to one first.

        Matrices that a save leaves out with a warning are saved by a second one. A part of what
        is in the file, or the same in another order, takes the place of the whole.
        """
        self.saved += 1
        if not one.isbacked or Path(one.filename).parent != self.folder:
            end = "h5mu" if hasattr(one, "mod") else "h5ad"
            self.write(one, f"saved{self.saved}.{end}")
        else:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                try:
                    one.write()
                except ValueError as refused:
                    if "overwrite_x=True" not in str(refused):
                        raise
                    gone = {"remove_modalities": True} if hasattr(one, "mod") else {}
                    one.write(overwrite_x=True, **gone)
            if any(issubclass(w.category, XNotWrittenWarning) for w in said):
                one.write(overwrite_x=True)
            self.written.append(str(one.filename))
        return one

    def reopen(self, one: Any) -> Any:
        """Open what was written last."""
        return lo.read(self.written[-1])

    def open(self, name: str, *, cross: bool = False, backed: bool = False) -> Any:
        """Open what this world wrote, or what the other one did."""
        return lo.read(str((self.other if cross else self.folder) / name))


def namespace(world: World) -> dict[str, Any]:
    """Return what the lines of a history may name."""
    return {"w": world, "np": np, "pd": pd}
