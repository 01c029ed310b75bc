"""The PBMC 3k data set, as counts and processed, found on this machine or downloaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lazyomics.errors import require

__all__ = ["pbmc3k", "pbmc3k_processed"]


@dataclass(frozen=True)
class _File:
    """A file by its names on this machine, and where scanpy downloads it from."""

    function: str
    names: tuple[str, str]
    url: str


COUNTS = _File(
    "pbmc3k",
    ("rebuilt_pbmc3k_raw.h5ad", "pbmc3k_raw.h5ad"),
    "https://exampledata.scverse.org/scanpy/pbmc3k_raw.h5ad",
)
PROCESSED = _File(
    "pbmc3k_processed",
    ("rebuilt_pbmc3k_processed.h5ad", "pbmc3k_processed.h5ad"),
    "https://raw.githubusercontent.com/chanzuckerberg/cellxgene/main/example-dataset/pbmc3k.h5ad",
)


def pbmc3k() -> Path:
    """Find the PBMC 3k file of counts: 2,700 cells and 32,738 genes, nothing filtered.

    Looked for where :func:`pbmc3k_processed` looks, otherwise downloaded in the same way.

    Returns
    -------
    Path of an ``.h5ad`` file, not an object as from scanpy: opened in place, changes of the object
    could be saved into it. Open it with :func:`lazyomics.read_h5ad`.

    Raises
    ------
    MissingDependencyError
        If it has to be downloaded and pooch is not installed.
    FileNotFoundError
        If it is nowhere and cannot be downloaded.

    Notes
    -----
    Passes over X: none. Peak memory: none to speak of.

    References
    ----------
    10x Genomics (2016), 3k PBMCs from a Healthy Donor.
    """
    return _find(COUNTS)


def pbmc3k_processed() -> Path:
    """Find the processed PBMC 3k file: 2,638 cells with clusters, PCA, UMAP and all genes in raw.

    Looked for in the folder named by the environment variable ``LAZYOMICS_TEST_DATA``, in
    ``../shared/data`` seen from a source checkout, and in the download cache; otherwise downloaded
    with pooch, from where scanpy has it.

    Returns
    -------
    Path of an ``.h5ad`` file. Open it with :func:`lazyomics.read_h5ad`.

    Raises
    ------
    MissingDependencyError
        If it has to be downloaded and pooch is not installed.
    FileNotFoundError
        If it is nowhere and cannot be downloaded.

    Notes
    -----
    Passes over X: none. Peak memory: none to speak of.

    References
    ----------
    10x Genomics (2016), 3k PBMCs from a Healthy Donor; processed as in Satija et al. (2015),
    Nature Biotechnology, doi:10.1038/nbt.3192
    """
    return _find(PROCESSED)


def _find(file: _File) -> Path:
    for folder in _folders():
        for name in file.names:
            if (folder / name).is_file():
                return folder / name
    return _download(file)


def _folders() -> Iterator[Path]:
    if configured := os.environ.get("LAZYOMICS_TEST_DATA"):
        yield Path(configured)
    yield Path(__file__).resolve().parents[2].parent / "shared" / "data"


def _download(file: _File) -> Path:
    pooch = require("pooch", extra="datasets", purpose=f"datasets.{file.function}")
    cache, name = pooch.os_cache("lazyomics"), file.names[-1]
    try:
        # retrieve() returns the file in the cache without asking the network, if it is there.
        found = pooch.retrieve(file.url, known_hash=None, fname=name, path=cache)
    except OSError as error:
        raise FileNotFoundError(
            f"PBMC 3k is not on this machine and could not be downloaded ({error}). Download "
            f"{file.url} to {Path(cache) / name}, set LAZYOMICS_TEST_DATA to a folder that has "
            f"{file.names[0]}, or make a data set with lazyomics.datasets.simulate()"
        ) from error
    return Path(found)
