from __future__ import annotations

import numpy as np
import pytest

import lazyomics as lo


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("n_pcs", [4, 30, 100])
def test_equals_scanpy(log, n_pcs, small, small_scanpy, sc):
    from matplotlib import pyplot as plt

    ratios = np.sort(np.random.default_rng(0).random(40))[::-1] / 20
    small.uns["pca"] = {"variance_ratio": ratios}
    small_scanpy.uns["pca"] = {"variance_ratio": ratios}
    ours = lo.pl.pca_variance_ratio(small, n_pcs, log=log, show=False)
    sc.pl.pca_variance_ratio(small_scanpy, n_pcs, log=log, show=False)
    theirs = plt.gca()
    assert len(ours.texts) == min(n_pcs + 1, 40)
    for text, other in zip(ours.texts, theirs.texts, strict=True):
        assert text.get_text() == other.get_text()
        assert text.get_position() == other.get_position()
    assert ours.get_title() == theirs.get_title()
    assert ours.get_ylim()[0] == theirs.get_ylim()[0]


@pytest.mark.parametrize("log", [False, True])
def test_all_texts_are_inside(log, small):
    small.uns["pca"] = {"variance_ratio": np.geomspace(0.3, 0.001, 31)}
    ax = lo.pl.pca_variance_ratio(small, log=log, show=False)
    renderer = ax.figure.canvas.get_renderer()
    frame = ax.get_window_extent(renderer)
    for text in ax.texts:
        assert text.get_window_extent(renderer).y1 <= frame.y1
        assert text.get_window_extent(renderer).y0 >= frame.y0


def test_pca_is_missing(small):
    with pytest.raises(KeyError, match=r"pp\.pca"):
        lo.pl.pca_variance_ratio(small)
