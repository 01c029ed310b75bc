"""Which dimensions of an embedding a panel shows, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product
from typing import Any, cast

from lazyomics.pl.panels import spread

__all__ = ["axis_names", "panel_dimensions"]

NAMES = {"diffmap": "DC", "tsne": "tSNE", "umap": "UMAP", "pca": "PC"}

Panel = tuple[str | None, list[int], str]


def panel_dimensions(
    color: str | Sequence[str | None] | None,
    components: str | Sequence[str] | None,
    dimensions: Sequence[Any] | None,
    marker: str | Sequence[str],
    available: int,
) -> list[Panel]:
    """What each panel shows: colour, two dimensions counted from 0, and marker.

    Parameters
    ----------
    color, components, dimensions, marker
        As :func:`lazyomics.pl.embedding` takes them.
    available
        Number of dimensions of the embedding.

    Examples
    --------
    >>> panel_dimensions(["a", "b"], None, None, ".", 2)
    [('a', [0, 1], '.'), ('b', [0, 1], '.')]
    >>> panel_dimensions("a", ["1,2", "2,3"], None, ".", 3)
    [('a', [0, 1], '.'), ('a', [1, 2], '.')]
    """
    colors: list[str | None] = [color] if isinstance(color, str) or color is None else list(color)
    markers = [marker] if isinstance(marker, str) else list(marker)
    if not colors:
        raise ValueError("color is an empty list; give None to plot without colours")
    if components is not None and dimensions is not None:
        raise ValueError("give either components or dimensions, not both")
    if components is not None:
        pairs = _parse(components, available)
        crossed = list(product(colors, pairs))
        colors, pairs = [color for color, _ in crossed], [pair for _, pair in crossed]
    elif dimensions is None:
        pairs = [[0, 1]]
    else:
        single = all(isinstance(number, int) for number in dimensions)
        pairs = [list(pair) for pair in ([dimensions] if single else dimensions)]
    for pair in pairs:
        if len(pair) != 2 or not all(-available <= number < available for number in pair):
            raise ValueError(
                f"dimensions {tuple(pair)}: expected two of 0 to {available - 1} "
                "(components count from 1)"
            )
    rows = spread(("color", "dimensions", "marker"), colors, pairs, markers)
    return cast("list[Panel]", rows)


def axis_names(basis: str, dims: Sequence[int]) -> list[str]:
    """Axis labels, such as UMAP1 and UMAP2.

    Examples
    --------
    >>> axis_names("draw_graph_fr", [0, 1])
    ['FR1', 'FR2']
    """
    name = NAMES.get(basis, basis)
    if "draw_graph" in basis:
        name = basis.replace("draw_graph_", "").upper()
    return [f"{name}{dim + 1}" for dim in dims]


def _parse(components: str | Sequence[str], available: int) -> list[list[int]]:
    if isinstance(components, str):
        if components == "all":
            return [list(pair) for pair in combinations(range(available), 2)]
        components = [components]
    try:
        return [[int(number) - 1 for number in pair.split(",")] for pair in components]
    except ValueError:
        raise ValueError(f"components={components!r}: expected pairs such as '1,2'") from None
