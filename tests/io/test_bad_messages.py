"""What each bad file is told: file, element, what was expected, what was found, what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import FileFormatError
from tests.container.reference import reference
from tests.io.plain_texts import write_plain

pytest.importorskip("anndata", reason="anndata writes the files of these tests")


def resized(file: h5py.File, name: str, length: int) -> None:
    values, attributes = file[name][()], dict(file[name].attrs)
    del file[name]
    file[name] = np.resize(values, length)
    file[name].attrs.update(attributes)


def write_at(name: str, place: int, value: int) -> Callable[[h5py.File], None]:
    return lambda file: file[name].__setitem__(place, value)


def shape_attribute(file: h5py.File) -> None:
    file["raw/X"].attrs["shape"] = np.array([40, 20])


def shape_and_names(file: h5py.File) -> None:
    """The attribute fits the names, and not the pointers."""
    file["layers/counts"].attrs["shape"] = np.array([30, 12])
    resized(file, "layers/counts/indptr", 25)


def soft_circle(file: h5py.File) -> None:
    del file["layers/counts"]
    file["layers/counts"] = h5py.SoftLink("/layers/counts")


def hard_circle(file: h5py.File) -> None:
    file["uns/deep/again"] = file["uns"]


def external_link(file: h5py.File) -> None:
    del file["X"]
    file["X"] = h5py.ExternalLink("elsewhere.h5ad", "/X")


def virtual_dataset(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=file["X/data"].shape, dtype="f4")
    layout[...] = h5py.VirtualSource("elsewhere.h5ad", "X/data", shape=layout.shape)
    del file["X/data"]
    file.create_virtual_dataset("X/data", layout)


def huge_column(file: h5py.File) -> None:
    attributes = dict(file["obs/n"].attrs)
    del file["obs/n"]
    file.create_dataset("obs/n", (10**12,), "int64", chunks=(1 << 16,))
    file["obs/n"].attrs.update(attributes)


BAD = {
    "shape and names": (shape_attribute, "/raw/X"),
    "shape and pointers": (shape_and_names, "layers/counts/indptr"),
    "index too large": (write_at("X/indices", 4, 999), "X/indices"),
    "index negative": (write_at("X/indices", 4, -7), "X/indices"),
    "index of a layer": (write_at("layers/counts/indices", 0, 12), "layers/counts/indices"),
    "pointer negative": (write_at("X/indptr", 0, -1), "X/indptr"),
    "pointers decrease": (write_at("X/indptr", 3, 10_000), "X/indptr"),
    "pointers beyond the values": (write_at("X/indptr", 30, 10_000), "X/indptr"),
    "fewer names than cells": (lambda file: resized(file, "obs/_index", 29), "X"),
    "fewer names than genes": (lambda file: resized(file, "raw/var/_index", 19), "raw/X"),
    "a shorter column": (lambda file: resized(file, "obs/n", 7), "obs/n"),
    "codes beyond categories": (write_at("obs/kind/codes", 3, 90), "obs/kind"),
    "soft links in a circle": (soft_circle, "layers/counts"),
    "groups in a circle": (hard_circle, "uns/deep/again"),
    "link to another file": (external_link, "X"),
    "values in another file": (virtual_dataset, "X/data"),
    "a column of 8 TB": (huge_column, "obs/n"),
}


@pytest.mark.parametrize("name", BAD)
def test_element_and_file_are_named(tmp_path: Path, name: str) -> None:
    spoil, element = BAD[name]
    path = tmp_path / "bad file.h5ad"
    write_plain(reference(), path)
    with h5py.File(path, "r+") as file:
        spoil(file)
    with pytest.raises(FileFormatError) as caught:
        lo.read_h5ad(path).to_memory()
    text = str(caught.value)
    for part in (str(path), element.strip("/"), "expected", "found"):
        assert part in text
    advice = text.partition("found")[2]
    assert ". " in advice, text  # a sentence that says what to do


def test_files_of_another_kind(tmp_path: Path) -> None:
    anndata, mudata = tmp_path / "a.h5ad", tmp_path / "m.h5mu"
    lo.AnnData(sp.eye(3, format="csr")).write_h5ad(anndata)
    lo.MuData({"rna": lo.AnnData(sp.eye(3, format="csr"))}).write_h5mu(mudata)
    magic, empty = tmp_path / "magic.h5ad", tmp_path / "empty.h5ad"
    magic.write_bytes(b"\x89PNG" + anndata.read_bytes()[4:])
    empty.write_bytes(b"")
    cases = [
        (lo.read_h5ad, mudata, "read_h5mu"),
        (lo.read_h5mu, anndata, "read_h5ad"),
        (lo.read_h5ad, magic, "signature"),
        (lo.read_h5mu, magic, "signature"),
        (lo.read_h5ad, empty, "0 bytes"),
    ]
    for read, path, words in cases:
        with pytest.raises(FileFormatError) as caught:
            read(path)
        for part in (str(path), words, "expected", "found"):
            assert part in str(caught.value)


@pytest.mark.parametrize("kind", ["h5ad", "h5ad, newest HDF5", "h5mu"])
def test_truncated_at_every_page(tmp_path: Path, kind: str) -> None:
    """HDF5 knows the length of a file: whatever is cut off, opening says so."""
    path, cut = tmp_path / "whole", tmp_path / "cut"
    lo_adata = lo.AnnData.from_anndata(reference())
    read: Callable[[Path], object] = lo.read_h5ad
    if kind == "h5mu":
        read = lo.read_h5mu
        lo.MuData({"rna": lo_adata, "two": lo_adata[:, :5]}).write_h5mu(path)
    else:
        lo_adata.write_h5ad(path, compression="gzip")
    if "newest" in kind:
        with h5py.File(path) as old, h5py.File(tmp_path / "new", "w", libver="latest") as file:
            for key in old:
                old.copy(key, file)
        path = tmp_path / "new"
    content = path.read_bytes()
    read(path)
    rng = np.random.default_rng(0)
    pages = range(0, len(content), 4096)
    near = [p + d for p in pages for d in (-1, 1) if 0 <= p + d < len(content)]
    sizes = {*pages, *near, *rng.integers(0, len(content), 60).tolist(), len(content) - 1}
    for size in sorted(sizes):
        cut.write_bytes(content[:size])
        with pytest.raises(FileFormatError) as caught:
            read(cut)
        assert str(cut) in str(caught.value)
        assert "truncated" in str(caught.value)
