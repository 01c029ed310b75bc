"""Colours of one lightness."""

from __future__ import annotations

import colorsys

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.typing import ColorType

__all__ = ["desaturated", "even_hues"]

RGB = tuple[float, float, float]

FROM_XYZ = np.array(
    [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
)
WHITE = np.array([0.19784, 0.46834])  # u' and v' of the illuminant D65
LIGHTNESS, SATURATION, FIRST = 0.65 * 99, 0.9 * 0.99, 0.01


def desaturated(color: ColorType, share: float) -> RGB:
    """Colour that keeps a share of its saturation."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*to_rgb(color))
    return colorsys.hls_to_rgb(hue, lightness, saturation * share)


def even_hues(count: int) -> list[RGB]:
    """Colours with hues at equal distances, all of them as light and, for their hue, as saturated.

    They are seaborn's palette ``"husl"``, which has more colours than a colour cycle.

    Parameters
    ----------
    count
        Number of colours.

    References
    ----------
    Boronine (2012), HSLuv, https://www.hsluv.org

    Examples
    --------
    >>> [[round(part, 3) for part in color] for color in even_hues(2)]
    [[0.968, 0.441, 0.536], [0.21, 0.677, 0.643]]
    """
    hues = np.radians((np.linspace(0, 1, count + 1)[:-1] + FIRST) % 1 * 359)
    return [_rgb(float(hue)) for hue in hues]


def _rgb(hue: float) -> RGB:
    chroma = SATURATION * _most_chroma(hue)
    u, v = chroma * np.array([np.cos(hue), np.sin(hue)]) / (13 * LIGHTNESS) + WHITE
    y = ((LIGHTNESS + 16) / 116) ** 3
    x = 9 * y * u / (4 * v)
    z = (9 * y - 15 * v * y - v * x) / (3 * v)
    linear = FROM_XYZ @ (x, y, z)
    bent = 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055
    red, green, blue = np.clip(np.where(linear <= 0.0031308, 12.92 * linear, bent), 0, 1).tolist()
    return red, green, blue


def _most_chroma(hue: float) -> float:
    """Largest chroma of a hue at which red, green and blue are between 0 and 1."""
    height = (LIGHTNESS + 16) ** 3 / 1560896
    sine, cosine = np.sin(hue), np.cos(hue)
    found = []
    for m1, m2, m3 in FROM_XYZ:
        top = (0.99915 * m1 + 1.05122 * m2 + 1.14460 * m3) * height
        bottom = (
            (0.86330 * m3 - 0.17266 * m2) * sine + (0.12949 * m3 - 0.38848 * m1) * cosine
        ) * height
        for end in (0.0, 1.0):
            chroma = LIGHTNESS * (top - 1.05122 * end) / (bottom + 0.17266 * sine * end)
            if chroma > 0:
                found.append(float(chroma))
    return min(found)
