"""Small data sets of scanpy: simulated ones, and published ones that are found or downloaded."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from lazyomics.container.anndata import AnnData
from lazyomics.errors import FileFormatError, require
from lazyomics.io.opening import read_h5ad
from lazyomics.io.tables import read_text
from lazyomics.options import settings

__all__ = ["blobs", "krumsiek11", "paul15", "pbmc68k_reduced", "toggleswitch"]

#: A release whose files are those of all since 1.4.
SOURCE = "https://raw.githubusercontent.com/scverse/scanpy/1.11.5/src/scanpy/datasets"


@dataclass(frozen=True)
class Published:
    """A file by its names, and where it is downloaded from.

    Attributes
    ----------
    function
        Name of the data set.
    name
        Of the file.
    url
        Where it is.
    sha256
        Checksum of what comes from there; None where nobody states one.
    folder
        Below ``settings.datasetdir``.
    """

    function: str
    name: str
    url: str
    sha256: str | None
    folder: str = ""

    def find(self) -> Path:
        """Path of the file: in the package scanpy, in ``settings.datasetdir``, or downloaded."""
        for folder in (_folder_of_scanpy(), settings.datasetdir / self.folder):
            if folder is not None and (folder / self.name).is_file():
                return folder / self.name
        return self._download()

    def _download(self) -> Path:
        place = settings.datasetdir / self.folder
        pooch = require("pooch", extra="datasets", purpose=f"datasets.{self.function}")
        try:
            return Path(
                pooch.retrieve(self.url, known_hash=self.sha256, fname=self.name, path=place)
            )
        except OSError as error:
            raise FileNotFoundError(
                f"{self.name} is not on this machine and could not be downloaded ({error}). "
                f"Download {self.url} to {place / self.name}, or install scanpy, which has some of "
                "its data sets"
            ) from error


def _folder_of_scanpy() -> Path | None:
    """Where the installed scanpy keeps its data sets; it is not imported."""
    found = importlib.util.find_spec("scanpy")
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0]) / "datasets"


PAUL = Published(
    "paul15",
    "paul15.h5",
    "https://exampledata.scverse.org/scanpy/paul15.h5",
    None,
    folder="paul15",
)
# The checksums are those of the files in scanpy 1.11.5.
KRUMSIEK = Published(
    "krumsiek11",
    "krumsiek11.txt",
    f"{SOURCE}/krumsiek11.txt",
    "sha256:a49c6d04bd77f61028133a9b787222ebf00c4fc02dbf8e2b8edda493a0d5dc93",
)
TOGGLE = Published(
    "toggleswitch",
    "toggleswitch.txt",
    f"{SOURCE}/toggleswitch.txt",
    "sha256:11b70a557b9a9c942ba15f8c89d070d914d373d3e76f91f4472c5d8e14dc74e2",
)
PBMC68K = Published(
    "pbmc68k_reduced",
    "10x_pbmc68k_reduced.h5ad",
    f"{SOURCE}/10x_pbmc68k_reduced.h5ad",
    "sha256:e71d41e737c941559b7c57c9243bdb3d2c889c2adfdf00e3422ac6b46783676f",
)
FATES = {"Mo": (80, 160), "Ery": (240, 320), "Mk": (400, 480), "Neu": (560, 640)}
CELL_TYPES = (
    *6 * ("Ery",),
    *("MEP", "Mk", "GMP", "GMP", "DC", "Baso", "Baso", "Mo", "Mo", "Neu", "Neu", "Eos", "Lymph"),
)


def blobs(
    *,
    n_variables: int = 11,
    n_centers: int = 5,
    cluster_std: float = 1.0,
    n_observations: int = 640,
    random_state: Any = 0,
) -> AnnData:
    """Draw points around centres, with scanpy's numbers for the same seed.

    Parameters
    ----------
    n_variables
        Dimensions.
    n_centers
        Number of centres.
    cluster_std
        Standard deviation around them.
    n_observations
        Number of points.
    random_state
        Seed, or a ``numpy.random.RandomState``.

    Returns
    -------
    AnnData in memory, X float64 of shape (n_observations, n_variables), with the number of the
    centre in ``obs["blobs"]``.

    Raises
    ------
    ValueError
        By scikit-learn, for numbers that are none.

    Notes
    -----
    Passes over X: none. Peak memory: twice X.

    Examples
    --------
    >>> blobs(n_observations=3, n_variables=2).shape
    (3, 2)
    """
    from sklearn.datasets import make_blobs

    x, centre = make_blobs(
        n_samples=n_observations,
        n_features=n_variables,
        centers=n_centers,
        cluster_std=cluster_std,
        random_state=random_state,
    )
    return AnnData(x, obs={"blobs": centre.astype(str)})


def krumsiek11() -> AnnData:
    """Read simulated myeloid progenitors: 640 states of 11 genes, which develop to four fates.

    Found in the installed scanpy or ``lo.settings.datasetdir``, else downloaded with pooch.

    Returns
    -------
    AnnData in memory, X float32 of shape (640, 11), with ``obs["cell_type"]``, ``uns["iroot"]`` and
    ``uns["highlights"]``. Names of observations repeat.

    Raises
    ------
    MissingDependencyError
        If it has to be downloaded and pooch is not installed.
    FileNotFoundError
        If it is nowhere and cannot be downloaded.

    Notes
    -----
    Passes over X: 1. Peak memory: none to speak of. ``uns["highlights"]`` has numbers as keys, as
    in scanpy, with which the object cannot be written.

    References
    ----------
    Krumsiek et al. (2011), Hierarchical Differentiation of Myeloid Progenitors Is Encoded in the
    Transcription Factor Network, PLoS ONE, doi:10.1371/journal.pone.0022649

    Examples
    --------
    >>> krumsiek11().shape  # doctest: +SKIP
    (640, 11)
    """
    adata = read_text(KRUMSIEK.find(), first_column_names=True)
    adata.uns["iroot"] = 0
    adata.uns["highlights"] = {0: "Stem", 159: "Mo", 319: "Ery", 459: "Mk", 619: "Neu"}
    kinds = pd.array(["progenitor"]).repeat(adata.n_obs)  # whatever pandas makes of text
    for fate, (start, stop) in FATES.items():
        kinds[start:stop] = fate
    adata.obs["cell_type"] = pd.Categorical(kinds)
    return adata


def toggleswitch() -> AnnData:
    """Read a simulated toggle switch: 200 states of two genes that inhibit each other.

    Found in the installed scanpy or ``lo.settings.datasetdir``, else downloaded with pooch.

    Returns
    -------
    AnnData in memory, X float32 of shape (200, 2), with ``uns["iroot"]``. Names of observations
    repeat.

    Raises
    ------
    MissingDependencyError
        If it has to be downloaded and pooch is not installed.
    FileNotFoundError
        If it is nowhere and cannot be downloaded.

    Notes
    -----
    Passes over X: 1. Peak memory: none to speak of.

    References
    ----------
    Gardner, Cantor & Collins (2000), Construction of a genetic toggle switch in Escherichia coli,
    Nature, doi:10.1038/35002131

    Examples
    --------
    >>> toggleswitch().shape  # doctest: +SKIP
    (200, 2)
    """
    adata = read_text(TOGGLE.find(), first_column_names=True)
    adata.uns["iroot"] = 0
    return adata


def pbmc68k_reduced() -> AnnData:
    """Read 700 of 68,000 peripheral blood cells, processed: 765 genes, labels, PCA, UMAP, markers.

    Found in the installed scanpy or ``lo.settings.datasetdir``, else downloaded with pooch.

    Returns
    -------
    AnnData in memory, X float32 of shape (700, 765).

    Raises
    ------
    MissingDependencyError
        If it has to be downloaded and pooch is not installed.
    FileNotFoundError
        If it is nowhere and cannot be downloaded.

    Notes
    -----
    Passes over X: 1. Peak memory: X.

    References
    ----------
    Zheng et al. (2017), Massively parallel digital transcriptional profiling of single cells,
    Nature Communications, doi:10.1038/ncomms14049

    Examples
    --------
    >>> pbmc68k_reduced().shape  # doctest: +SKIP
    (700, 765)
    """
    return read_h5ad(PBMC68K.find(), backed=False)


def paul15() -> AnnData:
    """Read counts of myeloid progenitors: 2,730 cells and 3,451 informative genes.

    Found in ``lo.settings.datasetdir``, else downloaded with pooch, 10 MB. Nobody states a
    checksum.

    Returns
    -------
    AnnData in memory, X float32 of shape (2730, 3451), with ``obs["paul15_clusters"]`` and
    ``uns["iroot"]``.

    Raises
    ------
    MissingDependencyError
        If it has to be downloaded and pooch is not installed.
    FileNotFoundError
        If it is nowhere and cannot be downloaded.
    FileFormatError
        If the file is another one.

    Notes
    -----
    Passes over X: 1. Peak memory: twice the 8,716 genes of the file.

    References
    ----------
    Paul et al. (2015), Transcriptional Heterogeneity and Lineage Commitment in Myeloid Progenitors,
    Cell, doi:10.1016/j.cell.2015.11.013

    Examples
    --------
    >>> paul15().shape  # doctest: +SKIP
    (2730, 3451)
    """
    path = PAUL.find()
    try:
        with h5py.File(path, "r") as file:
            x = file["data.debatched"][()].astype(np.float32)
            parts = ("data.debatched_rownames", "data.debatched_colnames", "info.genes_strings")
            genes, cells, informative = (file[name][()].astype(str) for name in parts)
            clusters = file["cluster.id"][()].ravel().astype(int)
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise FileFormatError.at(
            path, "/", expected="the data of Paul et al.", found=f"an error: {error}"
        ) from error
    obs = pd.DataFrame(
        {"paul15_clusters": [f"{i}{CELL_TYPES[i - 1]}" for i in clusters]},
        index=pd.Index(cells.astype(object)),
    )
    names = [gene.split(";")[0] for gene in genes]
    adata = AnnData(x.T, obs=obs, var=pd.DataFrame(index=names))
    adata.strings_to_categoricals()
    adata = adata[:, np.intersect1d(informative, names)].copy()
    adata.uns["iroot"] = 840
    return adata
