"""The processed PBMC 3k data set, found on this machine or downloaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lazyomics.errors import require

__all__ = ["pbmc3k_processed"]

# The file that scanpy.datasets.pbmc3k_processed downloads.
URL = "https://raw.githubusercontent.com/chanzuckerberg/cellxgene/main/example-dataset/pbmc3k.h5ad"
NAMES = ("rebuilt_pbmc3k_processed.h5ad", "pbmc3k_processed.h5ad")


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
    for folder in _folders():
        for name in NAMES:
            if (folder / name).is_file():
                return folder / name
    return _download()


def _folders() -> Iterator[Path]:
    if configured := os.environ.get("LAZYOMICS_TEST_DATA"):
        yield Path(configured)
    yield Path(__file__).resolve().parents[2].parent / "shared" / "data"


def _download() -> Path:
    pooch = require("pooch", extra="datasets", purpose="datasets.pbmc3k_processed")
    cache = pooch.os_cache("lazyomics")
    try:
        # retrieve() returns the file in the cache without asking the network, if it is there.
        found = pooch.retrieve(URL, known_hash=None, fname=NAMES[-1], path=cache)
    except OSError as error:
        raise FileNotFoundError(
            f"PBMC 3k is not on this machine and could not be downloaded ({error}). Download {URL} "
            f"to {Path(cache) / NAMES[-1]}, set LAZYOMICS_TEST_DATA to a folder that has "
            f"{NAMES[0]}, or make a data set with lazyomics.datasets.simulate()"
        ) from error
    return Path(found)
