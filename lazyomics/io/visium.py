"""read_visium: folders of Space Ranger, with coordinates and images."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lazyomics.container.anndata import AnnData
from lazyomics.errors import FileFormatError, require, warn_user
from lazyomics.io.encodings.kinds import text
from lazyomics.io.files import checked_path, open_for_reading
from lazyomics.io.opening_10x import read_10x_h5

__all__ = ["read_visium"]

POSITIONS = ("in_tissue", "array_row", "array_col", "pxl_col_in_fullres", "pxl_row_in_fullres")


def read_visium(
    path: str | os.PathLike[str],
    genome: str | None = None,
    *,
    count_file: str = "filtered_feature_bc_matrix.h5",
    library_id: str | None = None,
    load_images: bool | None = True,
    source_image_path: str | os.PathLike[str] | None = None,
) -> AnnData:
    """Open a folder of Space Ranger: counts lazily, with coordinates, images and scale factors.

    Parameters
    ----------
    path
        The folder, which holds ``count_file`` and the folder ``spatial``.
    genome
        Keep only the genes of this genome.
    count_file
        File of counts in the folder, such as ``"raw_feature_bc_matrix.h5"``.
    library_id
        Key of the sample in ``uns["spatial"]``; that of the file by default.
    load_images
        False leaves out coordinates, images and scale factors.
    source_image_path
        Path of the microscope image, noted as
        ``uns["spatial"][library_id]["metadata"]["source_image_path"]``.

    Returns
    -------
    AnnData as of ``read_10x_h5``, and ``obs`` with ``in_tissue``, ``array_row`` and ``array_col``,
    ``obsm["spatial"]`` of shape (n_obs, 2), pixels of the full image;
    ``uns["spatial"][library_id]`` with ``images`` (``hires`` and ``lowres``), ``scalefactors`` and
    ``metadata``.

    Raises
    ------
    FileNotFoundError
        If counts, positions, scale factors or an image are missing: names the file.
    FileFormatError
        If a file is damaged, or the counts do not say their library.
    MissingDependencyError
        If matplotlib, which reads images, is not installed.

    Notes
    -----
    Passes over X: 0. Peak memory: the images.

    Examples
    --------
    >>> import lazyomics as lo  # doctest: +SKIP
    >>> lo.read_visium("outs").obsm["spatial"]  # doctest: +SKIP
    """
    folder = Path(path)
    counts = folder / count_file
    if not folder.is_dir():
        raise FileNotFoundError(f"{path} is no folder, expected one of Space Ranger")
    adata = read_10x_h5(counts, genome=genome)
    attributes = _attributes(counts)
    name = library_id or _library(counts, attributes.pop("library_ids", None))
    sample: dict[str, Any] = {}
    if load_images:
        positions, factors, images = _files(folder / "spatial")
        sample["images"] = {key: _image(image) for key, image in images.items()}
        sample["scalefactors"] = _scale_factors(factors)
        kept = ("chemistry_description", "software_version")
        metadata = {
            k: text(v) if isinstance(v := attributes[k], bytes) else v
            for k in kept
            if k in attributes
        }
        if source_image_path is not None:
            metadata["source_image_path"] = str(Path(source_image_path).resolve())
        sample["metadata"] = metadata
        _place(adata, positions)
    adata.uns["spatial"] = {name: sample}
    return adata


def _attributes(path: Path) -> dict[str, Any]:
    with open_for_reading(checked_path(path)) as file:
        return dict(file.attrs)


def _library(path: Path, found: Any) -> str:
    names = np.atleast_1d([] if found is None else found)
    if not len(names):
        raise FileFormatError.at(
            path,
            "/",
            expected="the attribute library_ids",
            found="none",
            hint="Name the sample with library_id=.",
        )
    return text(names[0])


def _files(folder: Path) -> tuple[Path, Path, dict[str, Path]]:
    """Positions, scale factors and images of a sample; all have to be there."""
    positions = folder / "tissue_positions.csv"
    if not positions.exists():
        positions = folder / "tissue_positions_list.csv"
    factors = folder / "scalefactors_json.json"
    images = {key: folder / f"tissue_{key}_image.png" for key in ("hires", "lowres")}
    for file in (positions, factors, *images.values()):
        if not file.exists():
            hint = ""
            if file is positions and (folder / "tissue_positions.parquet").exists():
                hint = "; there is tissue_positions.parquet of Visium HD: write it as .csv"
            raise FileNotFoundError(
                f"{file} does not exist{hint}. load_images=False reads the counts alone"
            )
    return positions, factors, images


def _image(path: Path) -> Any:
    reading = require("matplotlib.image", extra="plot", purpose="read_visium")
    try:
        return reading.imread(str(path))
    except (OSError, SyntaxError, ValueError) as error:
        raise FileFormatError.at(path, "image", expected="a PNG", found=str(error)) from error


def _scale_factors(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise FileFormatError.at(path, "/", expected="JSON", found=str(error)) from error
    if not isinstance(found, dict):
        raise FileFormatError.at(path, "/", expected="named factors", found=type(found).__name__)
    return found


def _place(adata: AnnData, path: Path) -> None:
    """Join positions of spots to obs by their barcodes, and keep pixels in obsm."""
    header = 0 if path.name == "tissue_positions.csv" else None
    try:
        table = pd.read_csv(path, header=header, index_col=0)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise FileFormatError.at(path, "/", expected="a table", found=str(error)) from error
    if table.shape[1] != len(POSITIONS):
        raise FileFormatError.at(
            path,
            "/",
            expected=f"a barcode and the columns {list(POSITIONS)}",
            found=f"{table.shape[1]} columns besides the barcode",
        )
    table.columns = list(POSITIONS)
    if not table.index.is_unique:
        raise FileFormatError.at(path, "/", expected="each barcode once", found="repetitions")
    missing = len(adata.obs_names.difference(table.index))
    if missing:
        warn_user(f"{path} has no position of {missing} of the {adata.n_obs} barcodes")
    joined = adata.obs.join(table, how="left")
    pixels = ["pxl_row_in_fullres", "pxl_col_in_fullres"]
    adata.obsm["spatial"] = joined[pixels].to_numpy()
    adata.obs = joined.drop(columns=pixels)
