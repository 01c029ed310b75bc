"""Values that plots show, of AnnData and MuData."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from lazyomics.container import AnnData
from lazyomics.container.mudata import MuData
from lazyomics.container.mudata.values import cell_coordinates, cell_values
from lazyomics.get import obs_df
from lazyomics.get.keys import gene_table
from lazyomics.names import choices
from lazyomics.pl.figure import widest

__all__ = [
    "Values",
    "VarGroups",
    "VarNames",
    "as_categories",
    "choose_raw",
    "column_values",
    "coordinates",
    "draw_brackets",
    "gene_frame",
    "gene_names",
    "keep_palettes",
    "label_room",
    "obs_columns",
    "plot_values",
    "side_by_side",
    "split_var_names",
]


Values = pd.Categorical | npt.NDArray[Any]

MOST_LABELS = 102  # as many as there are colours for


def choose_raw(adata: AnnData, use_raw: bool | None, layer: str | None) -> bool:
    """Whether genes come from ``raw``: by default if there is one and no layer is asked for."""
    if use_raw is None:
        return layer is None and adata.raw is not None
    if use_raw and layer is not None:
        raise ValueError(f"either use_raw=True or layer={layer!r}, not both")
    if use_raw and adata.raw is None:
        raise ValueError("use_raw=True, but this AnnData has no raw")
    return use_raw


def coordinates(adata: AnnData, basis: str) -> npt.NDArray[Any]:
    """Coordinates in ``obsm[basis]`` or ``obsm["X_" + basis]``, shape (n_obs, dimensions)."""
    key = next((key for key in (basis, f"X_{basis}") if key in adata.obsm), None)
    if key is None:
        wanted = basis if basis.startswith("X_") else f"X_{basis}"
        raise KeyError(
            f"neither {basis!r} nor 'X_{basis}' is in obsm; {choices(wanted, adata.obsm)}"
        )
    found = adata.obsm[key]
    if isinstance(found, pd.DataFrame):
        return found.to_numpy()
    return np.asarray(found.toarray() if hasattr(found, "toarray") else found)


def plot_values(
    adata: AnnData,
    keys: Iterable[str],
    *,
    layer: str | None,
    use_raw: bool,
    gene_symbols: str | None = None,
) -> dict[str, Values]:
    """Values of each key for every observation: obs columns first, then genes in one pass.

    Parameters
    ----------
    adata
        Where to look.
    keys
        Columns of obs, names in ``var_names`` (or ``raw.var_names``), or gene symbols.
    layer, use_raw
        Where gene values come from; see :func:`choose_raw`.
    gene_symbols
        Column of ``var`` with other names of the genes.

    Returns
    -------
    For each key a Categorical (text, bool and categorical columns) or a 1-D numeric array.

    Raises
    ------
    KeyError
        If a key is found nowhere. The message names what is available.
    """
    keys = list(dict.fromkeys(keys))
    in_obs = set(adata.obs.columns)
    genes = [key for key in keys if key not in in_obs]
    names = gene_names(adata, genes, use_raw=use_raw, gene_symbols=gene_symbols)
    frame = gene_frame(adata, names, layer=layer, use_raw=use_raw)
    found: dict[str, Values] = {
        key: frame[name].to_numpy() for key, name in zip(genes, names, strict=True)
    }
    return {key: found[key] if key in found else column_values(adata.obs[key]) for key in keys}


def gene_frame(
    adata: AnnData, names: Sequence[str], *, layer: str | None, use_raw: bool
) -> pd.DataFrame:
    """Values of genes, a column each without repeats, read in one pass."""
    if not names:
        return pd.DataFrame(index=adata.obs_names)
    return obs_df(adata, keys=list(dict.fromkeys(names)), layer=layer, use_raw=use_raw)


def gene_names(
    adata: AnnData, keys: Sequence[str], *, use_raw: bool, gene_symbols: str | None = None
) -> list[str]:
    """Names in ``var_names`` that the keys (names or gene symbols) stand for.

    Raises
    ------
    KeyError
        If a key is unknown. The message names what is available.
    """
    var = gene_table(adata, use_raw=use_raw, gene_symbols=gene_symbols)
    symbols: dict[str, str] = {}
    if gene_symbols is not None and not set(keys) <= set(var.index):
        # The first gene wins where several share a symbol, hence the reversed order.
        symbols = dict(zip(var[gene_symbols].iloc[::-1], var.index[::-1], strict=True))
    missing = [key for key in keys if key not in var.index and key not in symbols]
    if missing:
        raise KeyError(_unknown(missing, adata, var.index, "raw.var_names" if use_raw else "var"))
    return [key if key in var.index else symbols[key] for key in keys]


def obs_columns(
    adata: AnnData, keys: Sequence[str], *, use_raw: bool, gene_symbols: str | None = None
) -> list[str]:
    """Keys that are columns of obs and stand for no gene."""
    var = gene_table(adata, use_raw=use_raw)
    symbols = set() if gene_symbols not in var.columns else set(var[gene_symbols])
    return [
        key
        for key in dict.fromkeys(keys)
        if key in adata.obs.columns and key not in var.index and key not in symbols
    ]


def as_categories(column: pd.Series[Any]) -> pd.Categorical | None:
    """Categories of a categorical, text or bool column; None if it holds numbers.

    Examples
    --------
    >>> as_categories(pd.Series(["b", "a", "b"])).categories.tolist()
    ['a', 'b']
    >>> as_categories(pd.Series([True, False])).categories.tolist()
    ['False', 'True']
    >>> as_categories(pd.Series([0.5])) is None
    True
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return pd.Categorical(column)
    if pd.api.types.is_bool_dtype(column.dtype):
        texts: Any = column.astype(str).mask(column.isna())
        return pd.Categorical(texts)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return None
    if not (pd.api.types.is_string_dtype(column.dtype) or column.dtype == object):
        raise TypeError(
            f"obs[{column.name!r}] is of type {column.dtype}; plots take numbers, text, bool and "
            "categories. Convert it first, e.g. with .astype('category')"
        )
    groups = pd.Categorical(column)
    if len(groups.categories) > MOST_LABELS and len(groups.categories) == column.notna().sum():
        raise TypeError(
            f"obs[{column.name!r}] holds {len(column)} different texts, so it groups nothing"
        )
    return groups


def column_values(column: pd.Series[Any]) -> Values:
    """Categories of a column, or its numbers."""
    groups = as_categories(column)
    if groups is not None:
        return groups
    if pd.api.types.is_extension_array_dtype(column.dtype):
        return column.to_numpy(dtype=float, na_value=np.nan)
    return column.to_numpy()


def _unknown(missing: list[str], adata: AnnData, genes: pd.Index[Any], place: str) -> str:
    return (
        f"{_listed(missing)}: neither in obs nor in {place}. Of obs and genes "
        f"{choices(missing, [*adata.obs.columns, *genes])}"
    )


def _listed(names: Iterable[Any], most: int = 10) -> str:
    names = list(map(str, names))
    tail = f", … ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + tail if names else "none"


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
    ends: tuple[float, float] = (0.2, 0.7),
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
    ends
        Where a bracket begins and ends, from the first and the last of its genes on. By default
        a gene reaches from its position to the next.
    """
    vertices: list[tuple[float, float]] = []
    if rotation is None:
        rotation = _rotation(groups, side, unit)
    for label, (first, last) in zip(groups.labels, groups.positions, strict=True):
        start, end = first + ends[0], last + ends[1]
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


def side_by_side(
    mdata: MuData,
    basis: str,
    color: str | Sequence[str | None] | None,
    *,
    layer: str | None,
    use_raw: bool | None,
) -> AnnData:
    """Collect what an embedding of a MuData shows.

    Parameters
    ----------
    mdata
        Modalities that share observations.
    basis
        Key of obsm, or ``"rna:X_umap"``.
    color
        Columns and variables such as ``"rna:leiden"`` or ``"atac:peak"``.
    layer, use_raw
        Where values of variables come from.

    Returns
    -------
    AnnData with the values in obs, the coordinates in ``obsm[basis]``, and the palettes of the
    columns. Cells that the modality of the embedding lacks have no coordinates.
    """
    keys = [color] if isinstance(color, str) else [k for k in color or () if k is not None]
    obs = pd.DataFrame(index=mdata.obs_names)
    for key in dict.fromkeys(keys):
        obs[key] = cell_values(mdata, key, layer=layer, use_raw=use_raw).array
    uns = {f"{key}_colors": colors for key in keys if (colors := _palette(mdata, key)) is not None}
    return AnnData(obs=obs, obsm={basis: cell_coordinates(mdata, basis)}, uns=uns)


def keep_palettes(mdata: MuData, drawn: AnnData) -> None:
    """Keep the palettes that were drawn with, in uns of the modality that has the column."""
    for key, colors in drawn.uns.items():
        place, name = _place(mdata, key)
        place.uns[name] = colors


def _palette(mdata: MuData, key: str) -> Any:
    place, name = _place(mdata, f"{key}_colors")
    return place.uns.get(name)


def _place(mdata: MuData, key: str) -> tuple[Any, str]:
    """Object and name that hold the palette called ``"rna:leiden_colors"``."""
    mod, colon, name = key.partition(":")
    return (mdata.mod[mod], name) if colon and mod in mdata.mod else (mdata, key)
