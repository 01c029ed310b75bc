"""What happens to a finished figure: written to a file, shown, or handed back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.backends.registry import BackendFilter, backend_registry
from matplotlib.figure import Figure

from lazyomics.pl.theme import settings

__all__ = ["Save", "figure_path", "finish"]

Save = bool | str | os.PathLike[str] | None

T = TypeVar("T")

EXTENSIONS = (".svg", ".pdf", ".png")
LOWEST_DPI = 150  # matplotlib's own 100 makes axis labels hard to read in a file


def figure_path(name: str, save: bool | str | os.PathLike[str]) -> Path:
    """File that ``save`` means for a plot called ``name``.

    Parameters
    ----------
    name
        Name of the plot, such as ``"umap"``.
    save
        ``True``, a text to append to the name, or a path (see :mod:`lazyomics.pl`).

    Examples
    --------
    >>> figure_path("umap", True).as_posix()
    'figures/umap.pdf'
    >>> figure_path("umap", "_cd4.png").as_posix()
    'figures/umap_cd4.png'
    >>> figure_path("umap", "out/cd4.png").as_posix()
    'out/cd4.png'
    """
    if isinstance(save, bool):
        return settings.figdir / f"{name}.{settings.file_format}"
    if not isinstance(save, str) or os.path.dirname(save):
        path = Path(save)
        return path if path.suffix else path.with_name(f"{path.name}.{settings.file_format}")
    ending = "" if save.endswith(EXTENSIONS) else f".{settings.file_format}"
    return settings.figdir / f"{name}{save}{ending}"


def finish(
    figure: Figure, axes: T, *, name: str, show: bool | None, save: Save, owned: bool
) -> T | None:
    """Save and show a figure as asked; return ``axes`` unless it was shown.

    Parameters
    ----------
    figure
        The finished figure.
    axes
        What the plotting function returns.
    name
        Name of the plot, for the file.
    show, save
        As the plotting functions take them (see :mod:`lazyomics.pl`).
    owned
        Whether the plotting function made the figure. A saved figure is closed then, so that a
        script which saves many does not keep them all.
    """
    if save:
        path = figure_path(name, save)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=_save_dpi(), bbox_inches="tight")
    shown = _can_show() if show is None else show
    if shown:
        plt.show()
    if save and owned:
        plt.close(figure)
    return None if shown else axes


def _save_dpi() -> float:
    dpi = mpl.rcParams["savefig.dpi"]
    return max(LOWEST_DPI, mpl.rcParams["figure.dpi"]) if dpi == "figure" else float(dpi)


def _can_show() -> bool:
    backend = mpl.get_backend().lower()
    return backend not in backend_registry.list_builtin(BackendFilter.NON_INTERACTIVE)
