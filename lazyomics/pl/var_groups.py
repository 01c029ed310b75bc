"""Groups of genes, and the brackets that name them beside a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from lazyomics.pl.textsize import widest

__all__ = ["VarGroups", "VarNames", "draw_brackets", "label_room", "split_var_names"]

VarNames = str | Sequence[str]


@dataclass(frozen=True)
class VarGroups:
    """Groups of neighbouring genes.

    Attributes
    ----------
    labels
        Name of each group.
    positions
        First and last gene of each group, counted from 0.
    """

    labels: tuple[str, ...]
    positions: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.positions):
            raise ValueError(
                f"var_group_labels has {len(self.labels)} entries, "
                f"var_group_positions {len(self.positions)}"
            )

    def ordered(self, labels: Sequence[str]) -> tuple[VarGroups, list[int]]:
        """Groups in another order, and the order of genes that goes with it.

        Examples
        --------
        >>> VarGroups(("a", "b"), ((0, 1), (2, 2))).ordered(["b", "a"])
        (VarGroups(labels=('b', 'a'), positions=((0, 0), (1, 2))), [2, 0, 1])
        """
        order: list[int] = []
        positions = []
        for label in labels:
            first, last = self.positions[self.labels.index(label)]
            positions.append((len(order), len(order) + last - first))
            order += range(first, last + 1)
        return VarGroups(tuple(labels), tuple(positions)), order


def split_var_names(
    var_names: VarNames | Mapping[str, VarNames],
    labels: Sequence[str] | None = None,
    positions: Sequence[tuple[int, int]] | None = None,
) -> tuple[list[str], VarGroups | None]:
    """Genes in one list, and the groups they form.

    Parameters
    ----------
    var_names
        A name, a list of names, or lists of names by group.
    labels, positions
        Groups of a list of names.

    Examples
    --------
    >>> split_var_names({"B": ["CD79A", "MS4A1"], "T": "CD3D"})
    (['CD79A', 'MS4A1', 'CD3D'], VarGroups(labels=('B', 'T'), positions=((0, 1), (2, 2))))
    """
    if not isinstance(var_names, Mapping):
        names = [var_names] if isinstance(var_names, str) else list(var_names)
        if not names:
            raise ValueError("var_names is empty")
        if (labels is None) != (positions is None):
            raise ValueError("give both var_group_labels and var_group_positions, or neither")
        if labels is None or positions is None or len(labels) == 0:
            return names, None
        return names, VarGroups(tuple(labels), tuple((a, b) for a, b in positions))
    if labels is not None or positions is not None:
        raise TypeError("var_names is a dict, so its keys are the labels: give no var_group_labels")
    lists = {k: [v] if isinstance(v, str) else list(v) for k, v in var_names.items() if len(v)}
    names = [name for group in lists.values() for name in group]
    if not names:
        raise ValueError("var_names is empty")
    spans, start = [], 0
    for group in lists.values():
        spans.append((start, start + len(group) - 1))
        start += len(group)
    return names, VarGroups(tuple(map(str, lists)), tuple(spans))


def draw_brackets(
    ax: Axes,
    groups: VarGroups,
    *,
    side: Literal["top", "right"],
    rotation: float | None,
    unit: float,
    depth: float = 1.0,
) -> None:
    """Draw a bracket and a label for each group.

    Parameters
    ----------
    ax
        Axes beside the main plot, sharing the axis of the genes.
    groups
        What to draw.
    side
        Side of the main plot.
    rotation
        Rotation of the labels in degrees. By default what is readable: on top, labels of more than
        4 characters are vertical; on the right, labels longer than their bracket are horizontal.
    unit
        Inches between two genes.
    depth
        How many brackets would fit side by side into ``ax``, the rest being room for labels.
    """
    vertices: list[tuple[float, float]] = []
    if rotation is None:
        rotation = _rotation(groups, side, unit)
    for label, (first, last) in zip(groups.labels, groups.positions, strict=True):
        # A gene reaches from its position to the next; the dot is in the middle.
        start, end = first + 0.2, last + 0.7
        middle = (start + end) / 2
        if side == "top":
            vertices += [(start, 0), (start, 0.6), (end, 0.6), (end, 0)]
            ax.text(middle, 1.1, label, ha="center", va="bottom", rotation=rotation)
        else:
            vertices += [(0, start), (0.4, start), (0.4, end), (0, end)]
            ax.text(
                0.55, middle, label, ha="left", va="center", rotation=rotation, fontsize="small"
            )
    if side == "right":
        ax.set_xlim(0, depth)
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO] * len(groups.labels)
    ax.add_patch(PathPatch(Path(vertices, codes), facecolor="none", lw=1.5))
    ax.axis("off")


def label_room(groups: VarGroups, *, unit: float, rotation: float | None) -> float:
    """Inches on paper that labels on the right need beyond their bracket."""
    angle = _rotation(groups, "right", unit) if rotation is None else rotation
    vertical = angle % 180 == 90
    return 0.0 if vertical else widest(groups.labels, fontsize="small") + 0.1


def _rotation(groups: VarGroups, side: Literal["top", "right"], unit: float) -> float:
    if side == "top":
        return 90 if max(map(len, groups.labels)) > 4 else 0
    fits = all(
        widest([label], fontsize="small") < (last - first + 1) * unit
        for label, (first, last) in zip(groups.labels, groups.positions, strict=True)
    )
    return 270 if fits else 0
