"""Colour tables for categories.

``DEFAULT_20`` is vega's category20 in the order and with the corrections that scanpy uses,
``DEFAULT_28`` extends the palette of Zeileis et al. [1]_, ``DEFAULT_102`` is the list of maximally
distinct colours by "godsnotwheregodsnot" [2]_ without black.

References
----------
.. [1] Zeileis, Hornik, Murrell (2009), Escaping RGBland: Selecting colors for statistical graphics,
   Computational Statistics & Data Analysis 53, doi:10.1016/j.csda.2008.11.033
.. [2] https://godsnotwheregodsnot.blogspot.com/2012/09/color-distribution-methodology.html
"""

from __future__ import annotations

from typing import Final

__all__ = ["DEFAULT_20", "DEFAULT_28", "DEFAULT_102", "R_COLORS"]

# fmt: off
DEFAULT_20: Final[tuple[str, ...]] = (
    "#1f77b4", "#ff7f0e", "#279e68", "#d62728", "#aa40fc", "#8c564b", "#e377c2", "#b5bd61",
    "#17becf", "#aec7e8", "#ffbb78", "#98df8a", "#ff9896", "#c5b0d5", "#c49c94", "#f7b6d2",
    "#dbdb8d", "#9edae5", "#ad494a", "#8c6d31",
)

DEFAULT_28: Final[tuple[str, ...]] = (
    "#023fa5", "#7d87b9", "#bec1d4", "#d6bcc0", "#bb7784", "#8e063b", "#4a6fe3", "#8595e1",
    "#b5bbe3", "#e6afb9", "#e07b91", "#d33f6a", "#11c638", "#8dd593", "#c6dec7", "#ead3c6",
    "#f0b98d", "#ef9708", "#0fcfc0", "#9cded6", "#d5eae7", "#f3e1eb", "#f6c4e1", "#f79cd4",
    "#7f7f7f", "#c7c7c7", "#1CE6FF", "#336600",
)

DEFAULT_102: Final[tuple[str, ...]] = (
    "#FFFF00", "#1CE6FF", "#FF34FF", "#FF4A46", "#008941", "#006FA6", "#A30059", "#FFDBE5",
    "#7A4900", "#0000A6", "#63FFAC", "#B79762", "#004D43", "#8FB0FF", "#997D87", "#5A0007",
    "#809693", "#6A3A4C", "#1B4400", "#4FC601", "#3B5DFF", "#4A3B53", "#FF2F80", "#61615A",
    "#BA0900", "#6B7900", "#00C2A0", "#FFAA92", "#FF90C9", "#B903AA", "#D16100", "#DDEFFF",
    "#000035", "#7B4F4B", "#A1C299", "#300018", "#0AA6D8", "#013349", "#00846F", "#372101",
    "#FFB500", "#C2FFED", "#A079BF", "#CC0744", "#C0B9B2", "#C2FF99", "#001E09", "#00489C",
    "#6F0062", "#0CBD66", "#EEC3FF", "#456D75", "#B77B68", "#7A87A1", "#788D66", "#885578",
    "#FAD09F", "#FF8A9A", "#D157A0", "#BEC459", "#456648", "#0086ED", "#886F4C", "#34362D",
    "#B4A8BD", "#00A6AA", "#452C2C", "#636375", "#A3C8C9", "#FF913F", "#938A81", "#575329",
    "#00FECF", "#B05B6F", "#8CD0FF", "#3B9700", "#04F757", "#C8A1A1", "#1E6E00", "#7900D7",
    "#A77500", "#6367A9", "#A05837", "#6B002C", "#772600", "#D790FF", "#9B9700", "#549E79",
    "#FFF69F", "#201625", "#72418F", "#BC23FF", "#99ADC0", "#3A2465", "#922329", "#5B4534",
    "#FDE8DC", "#404E55", "#0089A3", "#CB7E98", "#A4E804", "#324E72",
)

# Colour names of R that files written from R hold and that matplotlib does not know.
R_COLORS: Final[dict[str, str]] = {
    "gold2": "#eec900", "firebrick3": "#cd2626", "khaki2": "#eee685",
    "slategray3": "#9fb6cd", "palegreen3": "#7ccd7c", "tomato2": "#ee5c42",
    "grey80": "#cccccc", "grey90": "#e5e5e5", "wheat4": "#8b7e66",
    "grey65": "#a6a6a6", "grey10": "#1a1a1a", "grey20": "#333333",
    "grey50": "#7f7f7f", "grey30": "#4d4d4d", "grey40": "#666666",
    "antiquewhite2": "#eedfcc", "grey77": "#c4c4c4", "snow4": "#8b8989",
    "chartreuse3": "#66cd00", "yellow4": "#8b8b00", "darkolivegreen2": "#bcee68",
    "olivedrab3": "#9acd32", "azure3": "#c1cdcd", "violetred": "#d02090",
    "mediumpurple3": "#8968cd", "purple4": "#551a8b", "seagreen4": "#2e8b57",
    "lightblue3": "#9ac0cd", "orchid3": "#b452cd", "indianred 3": "#cd5555",
    "grey60": "#999999", "mediumorchid1": "#e066ff", "plum3": "#cd96cd",
    "palevioletred3": "#cd6889",
}
# fmt: on
