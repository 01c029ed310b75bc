"""Open a file, touch every element of it, and say which errors came up."""

from __future__ import annotations

import re
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import lazyomics as lo
from lazyomics.errors import LazyomicsError

__all__ = ["Touching", "touch"]

ALLOWED = (LazyomicsError, OSError)
# HDF5 holds values that the format has no encoding for: writing says so
NO_ENCODING = re.compile("cannot store|cannot be stored|cannot be the name|data frame '/")


@dataclass
class Touching:
    """What happened to a file.

    Parameters
    ----------
    refused
        First lines of errors that are meant for damaged files.
    wrong
        Traces of all other exceptions.
    short_of_memory
        Traces of errors, of any kind, that a lack of memory led to.
    """

    refused: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    short_of_memory: list[str] = field(default_factory=list)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Go on with the next part after an error in this one."""
        try:
            yield
        except Exception as error:
            trace = f"{name}: {''.join(traceback.format_exception(error))}"
            if _led_to_by(error, MemoryError):
                self.short_of_memory.append(trace)
            elif isinstance(error, ALLOWED) or _has_no_encoding(name, error):
                self.refused.append(f"{name}: {error}")
            else:
                self.wrong.append(trace)


def _has_no_encoding(name: str, error: Exception) -> bool:
    refusal = isinstance(error, TypeError | ValueError) and NO_ENCODING.search(str(error))
    return name == "write" and bool(refusal)


def _led_to_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False


def touch(path: Path, copy: Path | None = None) -> Touching:
    """Touch everything in a file; then write it to ``copy``, if that is given."""
    found = Touching()
    is_mudata = path.suffix == ".h5mu"
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        with found.part("open"):
            opened = (lo.read_h5mu if is_mudata else lo.read_h5ad)(path)
            (_touch_mudata if is_mudata else _touch_anndata)(found, opened)
            if copy is not None:
                with found.part("to_memory"):
                    opened.to_memory()
                with found.part("write"):
                    (opened.write_h5mu if is_mudata else opened.write_h5ad)(copy)
                    _open_again(found, copy, is_mudata)
    return found


def _open_again(found: Touching, copy: Path, is_mudata: bool) -> None:
    """What could be written can be opened."""
    try:
        repr((lo.read_h5mu if is_mudata else lo.read_h5ad)(copy))
    except ALLOWED as error:
        found.wrong.append(f"written, but not readable: {error}")


def _touch_mudata(found: Touching, mdata: lo.MuData) -> None:
    with found.part("repr"):
        repr(mdata)
    _touch_tables(found, mdata)
    for name in ("obsmap", "varmap", "obsm", "varm", "obsp", "varp"):
        _touch_mapping(found, name, getattr(mdata, name))
    with found.part("uns"):
        _touch_mapping(found, "uns", mdata.uns)
    for name, adata in mdata.mod.items():
        with found.part(name):
            _touch_anndata(found, adata)
    with found.part("rows"):
        mdata[:3].to_memory()


def _touch_anndata(found: Touching, adata: lo.AnnData) -> None:
    with found.part("repr"):
        repr(adata)
    with found.part("nbytes"):
        assert adata.nbytes >= 0
    _touch_tables(found, adata)
    with found.part("X"):
        _touch_matrix(found, "X", adata.X)
        _touch_parts(found, adata.X)
    for name in ("layers", "obsm", "varm", "obsp", "varp"):
        _touch_mapping(found, name, getattr(adata, name))
    with found.part("uns"):
        _touch_mapping(found, "uns", adata.uns)
    with found.part("raw"):
        _touch_raw(found, adata.raw)
    with found.part("rows"):
        adata[np.arange(adata.n_obs) % 2 == 0].to_memory()
    with found.part("columns"):
        adata[:, [k for k in (2, 0, 0) if k < adata.n_vars]].to_memory()


def _touch_raw(found: Touching, raw: Any) -> None:
    if raw is None:
        return
    with found.part("raw.var"):
        assert len(raw.var) == raw.shape[1]
    with found.part("raw.X"):
        _touch_matrix(found, "raw.X", raw.X)
    _touch_mapping(found, "raw.varm", raw.varm)


def _touch_tables(found: Touching, data: Any) -> None:
    for name in ("obs", "var"):
        with found.part(f"{name}_names"):
            assert len(getattr(data, f"{name}_names")) == len(getattr(data, name))
        with found.part(name):
            repr(getattr(data, name))


def _touch_mapping(found: Touching, name: str, mapping: Mapping[str, Any]) -> None:
    """Every value, and every value in it."""
    for key in list(mapping):
        with found.part(f"{name}/{key!r}"):
            value = mapping[key]
            if isinstance(value, Mapping):
                _touch_mapping(found, f"{name}/{key!r}", value)
            elif hasattr(value, "compute"):
                _touch_matrix(found, f"{name}/{key!r}", value)
            else:
                repr(value)


def _touch_matrix(found: Touching, name: str, x: Any) -> None:
    """All of it."""
    if x is None:
        return
    with found.part(f"{name} whole"):
        whole = x.compute()
        assert whole.shape == x.shape
        _within(whole)


def _touch_parts(found: Touching, x: Any) -> None:
    """Rows, columns, and all of it as a sum."""
    if x is None:
        return
    n_rows, n_cols = x.shape
    with found.part("X rows"):
        assert x[n_rows // 2 :: -1].compute().shape[1] == n_cols
    with found.part("X columns"):
        some = np.unique([c for c in (0, 2, n_cols - 1) if 0 <= c < n_cols]).astype(int)
        assert x[:, some].compute().shape == (n_rows, len(some))
    with found.part("X mean"):
        assert x.mean(axis=0).compute().shape == (n_cols,)


def _within(block: Any) -> None:
    """Positions of a sparse block lie inside of it: what compiled loops rely on."""
    indices = getattr(block, "indices", None)
    if indices is not None and len(indices):
        length = block.shape[1 - block.major] if hasattr(block, "major") else max(block.shape)
        assert 0 <= indices.min() <= indices.max() < length
        assert block.indptr[0] == 0
        assert block.indptr[-1] == len(indices)
