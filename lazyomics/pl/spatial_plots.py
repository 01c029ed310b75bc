"""Spots on the image of a tissue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import ColorType

from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated
from lazyomics.pl.embeddings import embedding, like_embedding
from lazyomics.pl.figure import Save, figure_of, finish
from lazyomics.pl.group_plots import UNSET

__all__ = ["spatial"]

GREY = (0.2989, 0.5870, 0.1140)  # shares of red, green and blue in brightness


@like_embedding
def spatial(
    adata: AnnData,
    *,
    basis: str = "spatial",
    img: npt.NDArray[Any] | None = None,
    img_key: str | None = UNSET,
    library_id: str | None = UNSET,
    crop_coord: tuple[int, int, int, int] | None = None,
    alpha_img: float = 1.0,
    bw: bool | None = False,
    size: float = 1.0,
    scale_factor: float | None = None,
    spot_size: float | None = None,
    na_color: ColorType | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
    save: Save = None,
    **kwargs: Any,
) -> Figure | list[Axes] | None:
    """Spots in the coordinates of a tissue, on its image in ``uns["spatial"]``.

    Parameters
    ----------
    adata
        What to plot.
    basis
        Key in ``obsm`` of the coordinates.
    img
        Image, shape (height, width, channels), instead of a stored one.
    img_key
        Key of the image in ``uns["spatial"][library_id]["images"]``, by default ``"hires"`` or
        ``"lowres"``; None for no image.
    library_id
        Key in ``uns["spatial"]``, by default the only one; None for none.
    crop_coord
        Left, right, top and bottom of what is shown, in the units of the coordinates.
    alpha_img
        Opacity of the image.
    bw
        Whether the image is grey.
    size
        Size of spots as a multiple of the stored one.
    scale_factor
        Pixels of the image for a unit of the coordinates; by default what is stored.
    spot_size
        Diameter of a spot in the units of the coordinates; by default what is stored.
    na_color
        Colour of missing values; by default transparent on an image.
    show, save
        See :mod:`lazyomics.pl`.
    return_fig
        Whether to return the figure instead of showing it.
    **kwargs
        As :func:`lazyomics.pl.embedding` takes them.

    Returns
    -------
    The figure if ``return_fig``; None if it was shown; else the axes of all panels.

    Raises
    ------
    KeyError
        If a library, an image or the coordinates are not there.
    TypeError
        If ``adata`` is no AnnData.
    ValueError
        If there are several libraries, or no size of spots is stored or given.

    Notes
    -----
    Passes over X: 1 if a gene is among ``color``, else 0. Peak memory: n_obs values for each
    colour, and the image.

    Files are named after ``basis`` (in scanpy: ``"show"``).
    """
    check_annotated(adata, "pl.spatial")
    stored = _library(adata.uns, library_id)
    if img is None and stored is not None and img_key is UNSET:
        img_key = next((key for key in ("hires", "lowres") if key in stored["images"]), None)
        if img_key is None:
            raise KeyError(f"there is neither a hires nor a lowres image: {list(stored['images'])}")
    img_key = None if img_key is UNSET else img_key
    if img is None and stored is not None and img_key is not None:
        if img_key not in stored["images"]:
            raise KeyError(f"img_key={img_key!r} is not among {list(stored['images'])}")
        img = np.asarray(stored["images"][img_key])
    if bw and img is not None:
        img = np.dot(img[..., :3], GREY)
    if spot_size is None:
        if stored is None:
            raise ValueError("no library has the diameter of spots: give spot_size")
        spot_size = float(stored["scalefactors"]["spot_diameter_fullres"])
    if scale_factor is None:
        scale_factor = 1.0
        if stored is not None and img_key is not None:
            scale_factor = float(stored["scalefactors"][f"tissue_{img_key}_scalef"])
    if crop_coord is not None and len(crop_coord) != 4:
        raise ValueError(f"crop_coord={crop_coord}: expected left, right, top and bottom")
    if na_color is None:
        na_color = "lightgray" if img is None else (0.0, 0.0, 0.0, 0.0)
    drawn: Any = embedding(
        adata,
        basis,
        scale_factor=scale_factor,
        size=size * scale_factor * spot_size * 0.5,
        na_color=na_color,
        show=False,
        save=False,
        **kwargs,
    )
    axes: list[Axes] = drawn if isinstance(drawn, list) else [drawn]
    crop = None if crop_coord is None else [scale_factor * edge for edge in crop_coord]
    for ax in axes:
        _show_image(ax, img, crop, alpha=alpha_img, bw=bool(bw))
    figure = figure_of(axes[0])
    owned = kwargs.get("ax") is None
    result = finish(
        figure, axes, name=basis, show=False if return_fig else show, save=save, owned=owned
    )
    return figure if return_fig else result


def _library(uns: Mapping[str, Any], library_id: str | None) -> Any:
    """Images and sizes of a library, None without one."""
    libraries = uns.get("spatial", {})
    if library_id is UNSET:
        if len(libraries) > 1:
            raise ValueError(f"uns['spatial'] has several libraries: name one of {list(libraries)}")
        library_id = next(iter(libraries), None)
    if library_id is None:
        return None
    if library_id not in libraries:
        raise KeyError(f"library_id={library_id!r} is not among {list(libraries)}")
    return libraries[library_id]


def _show_image(
    ax: Axes,
    img: npt.NDArray[Any] | None,
    crop: list[float] | None,
    *,
    alpha: float,
    bw: bool,
) -> None:
    left, right, bottom, top = *ax.get_xlim(), *ax.get_ylim()
    if img is not None:
        ax.imshow(img, cmap="gray" if bw else None, alpha=alpha)
    else:
        ax.set_aspect("equal")
    if crop is not None:
        left, right, bottom, top = crop[0], crop[1], crop[2], crop[3]
    # Rows of images count from the top.
    ax.set(xlim=(left, right), ylim=(top, bottom))
