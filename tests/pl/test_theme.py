from __future__ import annotations

import subprocess
import sys
import warnings

import matplotlib as mpl
import pytest

import lazyomics as lo
from lazyomics import settings


def test_parameters_equal_scanpy(sc):
    scanpy = pytest.importorskip("scanpy", reason="compared with scanpy's style")
    options = {"fontsize": 18, "figsize": [6, 6], "color_map": "magma", "facecolor": "white"}
    with mpl.rc_context():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scanpy.settings.set_figure_params(**options)
        theirs = dict(mpl.rcParams)
    lo.pl.set_figure_params(**options)
    different = {key for key in theirs if mpl.rcParams[key] != theirs[key]}
    assert different == set()


def test_only_resolution(sc):
    before = mpl.rcParams["font.size"]
    lo.pl.set_figure_params(scanpy=False, dpi=50, frameon=False, format="png", fontsize=30)
    assert mpl.rcParams["font.size"] == before
    assert mpl.rcParams["figure.dpi"] == 50
    assert not settings.frameon
    assert lo.pl.settings.file_format_figs == "png"


def test_frames_and_images_follow_the_settings(small):
    settings.frameon = settings.vector_friendly = False
    ax = lo.pl.umap(small, show=False)
    assert not ax.axison
    assert not ax.collections[0].get_rasterized()


def test_matplotlib_is_imported_on_first_use():
    code = "import sys, lazyomics.pl; print('matplotlib' in sys.modules, dir(lazyomics.pl)[-1])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "violin"]


def test_every_name_is_there():
    for name in lo.pl.__all__:
        assert getattr(lo.pl, name) is not None
    with pytest.raises(AttributeError, match="umapp"):
        _ = lo.pl.umapp


def test_without_matplotlib(monkeypatch):
    from lazyomics.errors import MissingDependencyError

    monkeypatch.delitem(lo.pl.__dict__, "violin", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"lazyomics\[plot\]"):
        _ = lo.pl.violin


def test_styles_by_their_own_functions(sc):
    with mpl.rc_context():
        sc.pl.set_rcParams_scanpy(9, "magma")
        theirs = dict(mpl.rcParams)
        sc.pl.set_rcParams_defaults()
        plain = dict(mpl.rcParams)
    lo.pl.set_rcParams_scanpy(9, "magma")
    assert dict(mpl.rcParams) == theirs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of options that matplotlib drops
        lo.pl.set_rcParams_defaults()
    assert {k: v for k, v in mpl.rcParams.items() if k != "backend"} == {
        k: v for k, v in plain.items() if k != "backend"
    }
