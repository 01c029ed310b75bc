"""add_gene_major: put a copy of a matrix that is stored by columns beside it, into its file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import h5py
from dask.utils import parse_bytes

from lazyomics.container.anndata import AnnData
from lazyomics.container.slots import MatrixSlot
from lazyomics.errors import StaleFileError
from lazyomics.io.backing import FileBacking, refuse_remote
from lazyomics.io.compress import dataset_options
from lazyomics.io.encodings import open_member
from lazyomics.io.files import open_for_reading
from lazyomics.io.gene_major import COPIED_FROM, COPY, PAIR, SAMPLE, sample_of
from lazyomics.io.readers import CompressedReader, reader_of
from lazyomics.io.save.merge import in_file
from lazyomics.io.save.save import recorded_file
from lazyomics.io.snapshot import Snapshot
from lazyomics.io.stored import BlockPlan, StoredMatrix
from lazyomics.io.transaction import exclusively, raise_failures, temporary_sibling
from lazyomics.io.transpose import ScratchPlan, transpose_matrix
from lazyomics.lazy import from_source, recipe_of
from lazyomics.names import choices

__all__ = ["add_gene_major"]


def add_gene_major(
    adata: AnnData,
    *,
    layer: str | None = None,
    key_added: str | None = None,
    compression: str | int | None = "gzip",
    compression_opts: Any = None,
    shuffle: bool | None = None,
    chunk_bytes: int | str | None = "256 KiB",
    memory: int | str | None = None,
    scratch_dir: str | os.PathLike[str] | None = None,
    scratch_bytes: int | str | None = None,
) -> None:
    """Copy X, or a layer, gene by gene into the opened file, so that one gene is read alone.

    A matrix that is stored by cells (CSR) is read as a whole for the values of one gene. Beside a
    copy that is stored by genes (CSC), ``adata[:, "CD4"].X``, ``get.obs_df`` and
    ``pl.umap(color="CD4")`` read just the stored values of that gene, without being told to; so
    do selections of cells (``adata[mask, "CD4"]``). Work on all genes reads the matrix as before.

    Parameters
    ----------
    adata
        An object opened from a file. Changes to it that were not saved stay so.
    layer
        The layer to copy; by default X. The copy serves the matrix as it is stored: a matrix that
        was normalised lazily needs whole cells. To plot normalised values by gene, save them as a
        layer and copy that: ``adata.layers["lognorm"] = adata.X; adata.write();
        lo.add_gene_major(adata, layer="lognorm")``.
    key_added
        Key of the copy among the layers; by default ``"X_by_gene"`` or ``f"{layer}_by_gene"``.
        A copy that is there already is replaced.
    compression, compression_opts, shuffle, chunk_bytes
        How the copy is stored: see :meth:`AnnData.write_h5ad`. A gene is read in whole chunks.
    memory, scratch_dir, scratch_bytes
        Bounds of the transposition, as in ``transpose_storage``.

    Returns
    -------
    Nothing; sets ``adata.layers[key_added]``, in the object and in its file. It is an ordinary
    ``csc_matrix`` for anndata.

    Raises
    ------
    ValueError
        If the object is not opened from a file or is a selection, if the matrix was changed since
        or is not stored by cells, or if another layer has that key.
    KeyError
        If there is no such layer.

    Notes
    -----
    Passes over the matrix: 2, of which one over the indices only (more if scratch is short, see
    ``transpose_storage``). Peak memory: ``memory``. The file grows by about the size of the
    matrix, and holds all or nothing of the copy if the save is interrupted.

    When the matrix is replaced or changed, by any program, its copy is recognised as out of date
    and not used any more: both carry a word that is lost when either is written anew, and a sample
    of 4,096 values, indices and pointers each is compared, once for each state of the file. Not
    noticed: a few values overwritten in place with h5py, outside the sample.

    Examples
    --------
    >>> import tempfile
    >>> import lazyomics as lo
    >>> import scipy.sparse as sp
    >>> folder = tempfile.TemporaryDirectory()
    >>> AnnData(sp.eye(3, format="csr")).write_h5ad(f"{folder.name}/a.h5ad")
    >>> adata = lo.read_h5ad(f"{folder.name}/a.h5ad")
    >>> add_gene_major(adata)
    >>> list(adata.layers)
    ['X_by_gene']
    >>> folder.cleanup()
    """
    backing = _own_file(adata)
    name = "X" if layer is None else f"layers/{layer}"
    held = _held(adata, layer)
    if not in_file(held, backing, name):
        raise ValueError(
            f"{name} was changed or is not in {backing.path}: save it first, X as a layer "
            "(adata.layers['changed'] = adata.X; adata.write()), and copy what is in the file"
        )
    key = key_added or f"{layer or 'X'}_by_gene"
    reader = _reader(backing, name, key)
    target = Path(backing.absolute)
    scratch = ScratchPlan(
        Path(scratch_dir) if scratch_dir is not None else target.parent,
        None if scratch_bytes is None else int(parse_bytes(scratch_bytes)),
    )
    limit = None if memory is None else int(parse_bytes(memory))
    options = dataset_options(
        compression, compression_opts, shuffle=shuffle, chunk_bytes=chunk_bytes
    )
    with (
        _turned(reader, target, scratch, limit, options) as made,
        exclusively(target),
    ):
        with open_for_reading(target) as file:
            backing.snapshot.check(file, backing.place(name), backing.place(f"layers/{key}"))
        now = replace(backing, snapshot=Snapshot.of(backing.absolute))
        with recorded_file(backing.absolute, now) as opened:
            _put_beside(opened.file[backing.group], name, key, made, reader)
            record = opened.record([backing.place(f"layers/{key}")])
        _refer(adata, backing, record.stamp, layer, key, held)


def _own_file(adata: AnnData) -> FileBacking:
    backing = adata._backing
    if not isinstance(backing, FileBacking):
        raise ValueError("the object is not opened from a file: write it with write_h5ad first")
    refuse_remote(backing)
    if backing.is_selection:
        raise ValueError(
            f"this object is a selection of {backing.path}: add the copy to the whole, which "
            "serves its selections too, or write the selection to a new file first"
        )
    return backing


def _held(adata: AnnData, layer: str | None) -> Any:
    if layer is None:
        return adata._x.held
    if layer not in adata.layers:
        raise KeyError(f"no layer {layer!r}; {choices(layer, adata.layers)}")
    return adata.layers.stored()[layer]


def _reader(backing: FileBacking, name: str, key: str) -> CompressedReader:
    """Reader of the matrix; the key must be free or that of its old copy."""
    with open_for_reading(backing.absolute) as file:
        group = file[backing.group]
        reader = reader_of(open_member(group, name))
        if not isinstance(reader, CompressedReader) or reader.format != "csr":
            raise ValueError(
                f"{backing.path}: {name} is stored as {reader.format}: only a matrix that is "
                "stored by cells (csr) needs a copy by genes"
            )
        taken = f"layers/{key}" in group
        if taken and group[f"layers/{key}"].attrs.get(COPIED_FROM) != name:
            raise ValueError(f"{backing.path} has a layer {key!r}: choose another key_added")
    return reader


@contextmanager
def _turned(
    reader: CompressedReader,
    target: Path,
    scratch: ScratchPlan,
    memory: int | None,
    options: Mapping[str, Any],
) -> Iterator[h5py.File]:
    """Store the matrix by columns, in a file beside the target that is gone afterwards."""
    with temporary_sibling(os.path.realpath(target), replace=False) as file:
        x = from_source(reader)
        transpose_matrix(
            file, "copy", x, to="csc", scratch=scratch, memory=memory, dataset_kwargs=options
        )
        file["copy"].attrs[SAMPLE] = sample_of(reader)
        file.flush()
        raise_failures()  # what is not on the disk cannot be copied from it
        yield file


def _put_beside(
    group: h5py.Group, name: str, key: str, made: h5py.File, reader: CompressedReader
) -> None:
    """Put the copy among the layers, and give both matrices the word that pairs them."""
    if sample_of(reader) != made["copy"].attrs[SAMPLE]:
        raise StaleFileError(f"{reader.element[0]}: {name} changed while it was copied; try again")
    layers = group.require_group("layers")
    if "encoding-type" not in layers.attrs:
        layers.attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
    fresh, word = f"{key}.{uuid4().hex[:8]}.new", uuid4().hex
    made.copy("copy", layers, fresh)
    layers[fresh].attrs.update({COPIED_FROM: name, PAIR: word})
    if key in layers:
        del layers[key]
    layers.move(fresh, key)
    group[name].attrs.update({COPY: key, PAIR: word})


def _refer(
    adata: AnnData, backing: FileBacking, stamp: int, layer: str | None, key: str, held: Any
) -> None:
    """Let the object hold the copy, and the matrix as one that has a copy."""
    recipe = recipe_of(held)
    plan = getattr(held, "plan", BlockPlan())
    if recipe is not None:
        plan = BlockPlan(recipe.target_bytes, recipe.lines_per_block)
    snapshot = Snapshot.of(backing.absolute)
    place = f"/{backing.place('X' if layer is None else f'layers/{layer}')}"
    matrix = StoredMatrix(snapshot, place, plan, adata.shape)
    if layer is None:
        adata._x = MatrixSlot(matrix)
    else:
        adata.layers.hold(layer, matrix)
    by_gene = StoredMatrix(
        snapshot, f"/{backing.place(f'layers/{key}')}", BlockPlan(plan.target_bytes), adata.shape
    )
    adata.layers.hold(key, by_gene)
    names = {**backing.names, "layers": backing.names["layers"] | {key}}
    adata._backing = replace(backing, names=names, own_saves=backing.own_saves | {stamp})
