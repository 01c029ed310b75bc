"""dsb beside muon's formula, step by step with numpy and scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.mixture import GaussianMixture

import lazyomics as lo

N, EMPTY, M = 25, 300, 12
KINDS = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.asarray}
RNG = np.random.default_rng(5)
NAMES = [f"p{k}" for k in range(M)]
BACKGROUND = RNG.poisson(RNG.gamma(2, 2, M), (EMPTY, M))
COUNTS = RNG.poisson(RNG.gamma(2, 3, M) + 60 * (RNG.random((N, M)) < 0.3))
RNA = np.concatenate([RNG.poisson(40, (N, 20)), RNG.poisson(0.3, (EMPTY, 20))])
CELLS = [f"cell{k}" for k in range(N)]
DROPLETS = CELLS + [f"empty{k}" for k in range(EMPTY)]


def annotated(x: Any, names: list[str], kind: str, dtype: str, mod: str = "p") -> lo.AnnData:
    var = pd.DataFrame(index=[f"{mod}{k}" for k in range(x.shape[1])])
    return lo.AnnData(KINDS[kind](x.astype(dtype)), obs=pd.DataFrame(index=names), var=var)


def droplets(kind: str = "csr", dtype: str = "f4") -> lo.AnnData:
    order = RNG.permutation(N + EMPTY)  # cells are among the droplets
    return annotated(
        np.concatenate([COUNTS, BACKGROUND])[order], [DROPLETS[k] for k in order], kind, dtype
    )


def as_muon(
    cells: np.ndarray,
    empty: np.ndarray,
    *,
    pseudocount: float = 10,
    denoise: bool = True,
    controls: list[int] | None = None,
    standardize: bool = True,
    clip: tuple[float, float] | None = None,
) -> np.ndarray:
    logs = np.log(empty.astype(float) + pseudocount)
    values = np.log(cells.astype(float) + pseudocount) - logs.mean(axis=0)
    if standardize:
        values /= logs.std(axis=0, ddof=1)
    if denoise:
        background = np.empty(len(values))
        for row, cell in enumerate(values[:, :, np.newaxis]):
            seeded = {"init_params": "random", "random_state": 0}
            fits = [
                GaussianMixture(2, covariance_type=k, **seeded).fit(cell) for k in ("tied", "full")
            ]
            best = fits[0] if fits[0].bic(cell) < fits[1].bic(cell) else fits[1]
            background[row] = best.means_.min()
        covar = background[:, np.newaxis]
        if controls is not None:
            pca = PCA(n_components=1, whiten=True)
            covar = pca.fit_transform(np.hstack((values[:, controls], covar)))
        covar -= covar.mean(axis=0)  # muon's LinearRegression(copy_X=False) does it in place
        line = LinearRegression().fit(covar, values)
        values = values - (line.predict(covar) - line.intercept_)
    if clip is not None:
        values = np.clip(values, *np.quantile(values, clip))
    return values


OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "default": ({}, {}),
    "plain": ({"denoise_counts": False}, {"denoise": False}),
    "small pseudocount": (
        {"denoise_counts": False, "pseudocount": 0.5},
        {"denoise": False, "pseudocount": 0.5},
    ),
    "controls": ({"isotype_controls": ["p3", "p7"]}, {"controls": [3, 7]}),
    "means": ({"scale_factor": "mean_subtract"}, {"standardize": False}),
    "clipped": (
        {"quantile_clipping": True, "quantile_clip": (0.1, 0.8)},
        {"clip": (0.1, 0.8)},
    ),
}


@pytest.mark.parametrize("dtype", ["f4", "i4"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", OPTIONS)
def test_values_are_those_of_muon(tmp_path: Path, options: str, kind: str, dtype: str) -> None:
    given, expected = OPTIONS[options]
    droplets(kind, dtype).write_h5ad(tmp_path / "raw.h5ad")
    annotated(COUNTS, CELLS, kind, dtype).write_h5ad(tmp_path / "cells.h5ad")
    cells = lo.read_h5ad(tmp_path / "cells.h5ad")
    lo.prot.pp.dsb(cells, lo.read_h5ad(tmp_path / "raw.h5ad"), random_state=0, **given)
    assert cells.X.dtype == ("f4" if dtype == "f4" else "f8")
    result = as_muon(COUNTS, BACKGROUND, **expected)
    # Fits of rounded values end a little elsewhere.
    tolerance = 1e-9 if dtype == "i4" else 1e-2 if options in ("default", "controls") else 2e-3
    if not expected.get("denoise", True):
        tolerance = 1e-5 if dtype == "f4" else 1e-9
    np.testing.assert_allclose(cells.X, result, atol=tolerance)


# numpy warns of logarithms of 0, as it does in muon.
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_without_a_pseudocount_counts_of_zero_have_no_logarithm(tmp_path: Path, kind: str) -> None:
    # Proteins of odd positions are in every droplet: only they have a finite background.
    lift = np.arange(M) % 2
    annotated(COUNTS + lift, CELLS, kind, "f8").write_h5ad(tmp_path / "cells.h5ad")
    names = [f"empty{k}" for k in range(EMPTY)]
    annotated(BACKGROUND + lift, names, kind, "f8").write_h5ad(tmp_path / "raw.h5ad")
    cells, raw = lo.read_h5ad(tmp_path / "cells.h5ad"), lo.read_h5ad(tmp_path / "raw.h5ad")
    lo.prot.pp.dsb(cells, raw, pseudocount=0, denoise_counts=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = as_muon(COUNTS + lift, BACKGROUND + lift, pseudocount=0, denoise=False)
    assert np.isfinite(expected[:, 1::2]).all()
    assert not np.isfinite(expected).all()
    np.testing.assert_allclose(cells.X, expected, atol=1e-9)


@pytest.mark.parametrize("form", ["memory", "h5mu"])
def test_a_multiome_of_all_droplets_is_split(tmp_path: Path, form: str) -> None:
    prot = annotated(np.concatenate([COUNTS, BACKGROUND]), DROPLETS, "csr", "f8")
    rna = annotated(RNA, DROPLETS, "csr", "f8", "g")
    mdata = lo.MuData({"prot": prot, "rna": rna})
    if form == "h5mu":
        mdata.write_h5mu(tmp_path / "a.h5mu")
        mdata = lo.read_h5mu(tmp_path / "a.h5mu")
    totals = np.log10(RNA.sum(axis=1) + 1)
    split = lo.prot.pp.dsb(
        mdata,
        empty_counts_range=(0.8, 2),
        cell_counts_range=(2, 4),
        denoise_counts=False,
        add_layer=True,
    )
    assert split["prot"].obs_names.tolist() == split["rna"].obs_names.tolist() == CELLS
    empty = np.concatenate([COUNTS, BACKGROUND])[(totals >= 0.8) & (totals < 2)]
    assert 2 < len(empty) < EMPTY
    expected = as_muon(COUNTS, empty, denoise=False)
    np.testing.assert_allclose(split["prot"].layers["dsb"], expected, atol=1e-9)
    np.testing.assert_array_equal(lo.AnnData(split["prot"].X).to_memory().X.toarray(), COUNTS)
    assert mdata.n_obs == N + EMPTY
    assert "dsb" not in mdata["prot"].layers

    cells = annotated(COUNTS, CELLS, "csr", "f8")
    lo.prot.pp.dsb(cells, mdata, empty_counts_range=(0.8, 2), denoise_counts=False)
    np.testing.assert_allclose(cells.X, expected, atol=1e-9)


def test_slips_are_named() -> None:
    cells, raw = annotated(COUNTS, CELLS, "csr", "f4"), droplets()
    both = lo.MuData({"prot": raw})
    for given, error, message in (
        ((cells,), ValueError, "give empty_counts_range"),
        ((cells, raw[:, :5]), ValueError, "differ: 12 and 5"),
        ((cells, raw[:, ::-1]), ValueError, "another order"),
        ((cells, cells), ValueError, "two empty droplets or more, found 0"),
        ((lo.MuData({"rna": cells}), raw), TypeError, "'prot'"),
    ):
        with pytest.raises(error, match=message):
            lo.prot.pp.dsb(*given)
    for options, error, message in (
        ({"pseudocount": -1}, ValueError, "not negative"),
        ({"scale_factor": "other"}, ValueError, "mean_subtract"),
        ({"quantile_clipping": True, "quantile_clip": (0, 2)}, ValueError, "between 0 and 1"),
        ({"isotype_controls": ["P3"]}, KeyError, "p3"),
    ):
        with pytest.raises(error, match=message):
            lo.prot.pp.dsb(cells, raw, **options)
    ranges = {"empty_counts_range": (1, 3), "cell_counts_range": (2, 4)}
    with pytest.raises(ValueError, match="overlap"):
        lo.prot.pp.dsb(both, **ranges)
    with pytest.raises(TypeError, match="'rna'"):
        lo.prot.pp.dsb(both, **{**ranges, "cell_counts_range": (3, 4)})
    with pytest.warns(UserWarning, match="no modality 'rna'"):
        lo.prot.pp.dsb(cells, raw, empty_counts_range=(1, 2), denoise_counts=False)
    for space in (lo.prot, lo.prot.pp):
        assert not hasattr(space, "nothing")


def test_droplets_are_read_once(tmp_path: Path, count_passes: Any) -> None:
    droplets().write_h5ad(tmp_path / "raw.h5ad")
    raw = lo.read_h5ad(tmp_path / "raw.h5ad")
    cells = annotated(COUNTS, CELLS, "csr", "f4")
    with count_passes(tmp_path / "raw.h5ad", "X") as passes:
        lo.prot.pp.dsb(cells, raw, denoise_counts=False)
    assert 0 < passes.values <= 1
