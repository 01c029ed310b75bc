"""``tl.mofa``: factors that several modalities share, by the package mofapy2."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics import lazy
from lazyomics.container import AnnData
from lazyomics.container.choose import check_annotated, get_matrix, has_modalities
from lazyomics.container.mudata import MuData
from lazyomics.errors import UnsupportedError, require
from lazyomics.names import choices
from lazyomics.pp.neighbors_of_modalities import rows_in_modality
from lazyomics.pp.representation import as_dense

__all__ = ["mofa"]

LIKELIHOODS = ("gaussian", "bernoulli", "poisson")


def mofa(
    data: AnnData | MuData,
    groups_label: str | None = None,
    use_raw: bool = False,
    use_layer: str | None = None,
    use_var: str | None = "highly_variable",
    use_obs: str | None = None,
    likelihoods: str | Sequence[str] | None = None,
    n_factors: int = 10,
    scale_views: bool = False,
    scale_groups: bool = False,
    center_groups: bool = True,
    ard_weights: bool = True,
    ard_factors: bool = True,
    spikeslab_weights: bool = True,
    spikeslab_factors: bool = False,
    n_iterations: int = 1000,
    convergence_mode: str = "fast",
    use_float32: bool = False,
    *,
    seed: int = 1,
    outfile: str | None = None,
    quiet: bool = True,
    copy: bool = False,
) -> AnnData | MuData | None:
    """Factor analysis of several modalities (MOFA+), eagerly, by mofapy2.

    Parameters
    ----------
    data
        Modalities that share cells; or an AnnData, taken for one modality.
    groups_label
        Column of ``data.obs`` whose groups are centred and weighed each by itself.
    use_raw, use_layer
        Read ``raw`` of each modality, or a layer (which goes before), instead of X.
    use_var
        Boolean column of each ``mod.var``: only these variables are read. None for all, as where
        no modality has the column, with a warning.
    use_obs
        ``"union"`` or ``"intersection"`` of the cells, where modalities hold different ones.
    likelihoods
        ``"gaussian"``, ``"bernoulli"`` or ``"poisson"``, one or one for each modality; guessed
        by default.
    n_factors
        Factors to begin with; the model may drop some.
    scale_views, scale_groups, center_groups
        Scale modalities or groups to variance 1; centre variables in each group.
    ard_weights, ard_factors, spikeslab_weights, spikeslab_factors
        Which priors make weights and factors sparse.
    n_iterations, convergence_mode
        Most iterations; ``"fast"``, ``"medium"`` or ``"slow"`` to stop before.
    use_float32
        Train in single precision.
    seed
        Seed of the model.
    outfile
        Also save the model there, as mofapy2 does; by default nowhere.
    quiet
        Drop what mofapy2 prints.
    copy
        Return a changed copy and leave ``data`` as it is.

    Returns
    -------
    None, or the copy
        Sets ``data.obsm["X_mofa"]``, float64, shape (n_obs, n_factors), NaN for cells that took no
        part; ``data.varm["LFs"]``, shape (n_vars, n_factors), 0 for variables that took none; and
        ``data.uns["mofa"]`` with ``params`` and ``variance``, percent that each factor explains.

    Raises
    ------
    ValueError
        If cells differ and ``use_obs`` does not say what to do; for columns or likelihoods that
        are not there.
    UnsupportedError
        For modalities that share variables, not cells.
    MissingDependencyError
        If mofapy2 is not installed (``pip install "lazyomics[mofa]"``).

    Notes
    -----
    Passes over X: 1 of each modality, of the chosen variables only. Peak memory: these, dense, and
    what mofapy2 takes, several times as much.

    Numbers are muon's for the same cells. Stochastic training, graphics cards and covariates
    (MEFISTO) are not here: ``mdata.apply(muon.tl.mofa, …)``.

    References
    ----------
    Argelaguet et al. (2020), MOFA+. doi:10.1186/s13059-020-02015-1
    """
    if not has_modalities(data):
        check_annotated(data, "tl.mofa", or_modalities=True)
    elif data.axis != 0:  # type: ignore[union-attr]
        raise UnsupportedError("tl.mofa takes modalities that share cells, found axis other than 0")
    mods = dict(data.mod) if has_modalities(data) else {"data": data}  # type: ignore[union-attr]
    rows = {m: rows_in_modality(data, m) for m in mods} if has_modalities(data) else {}  # type: ignore[arg-type]
    use_var = _column(mods, use_var)
    taking_part, use_obs = _taking_part(data.n_obs, rows, use_obs)
    groups = _groups(data, groups_label)[taking_part]
    kinds = _likelihoods(likelihoods, len(mods))
    require("mofapy2", extra="mofa", purpose="tl.mofa")
    columns = {m: _columns(a, use_var) for m, a in mods.items()}
    views = []
    for mod, adata in mods.items():
        x = _dense(adata, columns[mod], use_raw, use_layer)
        views.append(_on_cells(x, rows[mod][taking_part]) if rows else x)
    options = {"scale_views": scale_views, "scale_groups": scale_groups}
    options |= {"center_groups": center_groups, "use_float32": use_float32}
    model_options = {"ard_factors": ard_factors, "ard_weights": ard_weights}
    model_options |= {"spikeslab_weights": spikeslab_weights}
    model_options |= {"spikeslab_factors": spikeslab_factors}
    names = {
        "views_names": list(mods),
        "features_names": [np.asarray(a.var_names[columns[m]]) for m, a in mods.items()],
        "groups_names": list(dict.fromkeys(groups)),
        "samples_names": [
            data.obs_names[taking_part][groups == g].tolist() for g in dict.fromkeys(groups)
        ],
        "samples_groups": groups,
    }
    training = {"n_iterations": n_iterations, "convergence_mode": convergence_mode}
    training |= {"gpu_mode": False, "seed": seed}
    with contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext():
        factors, weights, explained, kinds = _trained(
            views, kinds, names, options, {**model_options, "factors": n_factors}, training, outfile
        )
    data = data.copy() if copy else data
    embedding = np.full((data.n_obs, factors.shape[1]), np.nan)
    embedding[taking_part] = factors
    data.obsm["X_mofa"] = embedding
    data.varm["LFs"] = _loadings(data, mods, columns, weights)
    data.uns["mofa"] = {
        "params": {
            "data": {
                "groups_label": groups_label,
                "use_raw": use_raw,
                "use_layer": use_layer,
                "likelihoods": np.array(kinds),
                "features_subset": use_var,
                "use_obs": use_obs,
                **options,
            },
            "model": {**model_options, "n_factors": n_factors},
            "training": training,
        },
        "variance": _variance(explained, names),
    }
    return data if copy else None


def _column(mods: dict[str, Any], use_var: str | None) -> str | None:
    having = [mod for mod, adata in mods.items() if use_var in adata.var]
    if use_var is None or len(having) == len(mods):
        return use_var
    if having:
        raise ValueError(
            f"var of {[m for m in mods if m not in having]} has no {use_var!r}, which use_var "
            "names: set it in each modality, or pass use_var=None"
        )
    warnings.warn(
        f"no var has a column {use_var!r}: all variables are used", UserWarning, stacklevel=3
    )
    return None


def _columns(adata: Any, use_var: str | None) -> NDArray[np.bool_]:
    if use_var is None:
        return np.ones(adata.n_vars, dtype=bool)
    return np.asarray(adata.var[use_var]).astype(bool)


def _taking_part(
    n_obs: int, rows: dict[str, NDArray[np.int64]], use_obs: str | None
) -> tuple[NDArray[np.bool_], str | None]:
    common = np.ones(n_obs, dtype=bool)
    for positions in rows.values():
        common &= positions >= 0
    if common.all():
        return common, None
    if use_obs not in ("union", "intersection"):
        raise ValueError(
            f"modalities hold different cells ({common.sum()} of {n_obs} are in all): pass "
            f"use_obs='union' or 'intersection', found {use_obs!r}"
        )
    return (common if use_obs == "intersection" else np.ones(n_obs, dtype=bool)), use_obs


def _groups(data: Any, label: str | None) -> NDArray[np.str_]:
    if label is None:
        return np.full(data.n_obs, "group1")
    if label not in data.obs:
        raise ValueError(
            f"obs has no {label!r}, which groups_label names; {choices(label, data.obs)}"
        )
    if data.obs[label].isna().any():
        raise ValueError(f"obs[{label!r}] has missing values: select the cells that have a group")
    return np.asarray(data.obs[label]).astype(str)


def _likelihoods(given: str | Sequence[str] | None, n_views: int) -> list[str] | None:
    if given is None:
        return None
    kinds = [given] * n_views if isinstance(given, str) else list(given)
    if len(kinds) != n_views or not set(kinds) <= set(LIKELIHOODS):
        raise ValueError(f"likelihoods are {n_views} of {LIKELIHOODS}, found {given!r}")
    return kinds


def _dense(
    adata: Any, columns: NDArray[np.bool_], use_raw: bool, layer: str | None
) -> NDArray[Any]:
    from_raw = use_raw and layer is None
    chosen = np.flatnonzero(columns)
    x = get_matrix(adata, layer=layer, use_raw=from_raw)
    if from_raw:
        chosen = pd.Index(adata.raw.var_names).get_indexer(adata.var_names[chosen])
        if (chosen < 0).any():
            raise ValueError("raw does not have all variables: pass use_raw=False")
    return np.array(as_dense(lazy.materialize(x[:, chosen])))


def _on_cells(x: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return the rows in the order of the whole, NaN where a cell is absent."""
    if (rows >= 0).all():
        return x[rows]
    found = np.full((len(rows), x.shape[1]), np.nan)
    found[rows >= 0] = x[rows[rows >= 0]]
    return found


def _trained(
    views: list[NDArray[Any]],
    kinds: list[str] | None,
    names: dict[str, Any],
    options: dict[str, bool],
    model_options: dict[str, Any],
    training: dict[str, Any],
    outfile: str | None,
) -> tuple[NDArray[Any], list[NDArray[Any]], list[NDArray[Any]], list[str]]:
    """Factors, weights of each view, variance explained in each group, and likelihoods."""
    from mofapy2.build_model.utils import guess_likelihoods, process_data
    from mofapy2.run.entry_point import entry_point

    run = entry_point()
    run.set_data_options(**options)
    run.dimensionalities |= {
        "M": len(views),
        "G": len(names["groups_names"]),
        "N": len(views[0]),
        "D": [view.shape[1] for view in views],
    }
    run.data_opts.update(names)
    run.likelihoods = guess_likelihoods(views) if kinds is None else kinds
    parts = [names["samples_groups"] == group for group in names["groups_names"]]
    run.intercepts = [[np.nanmean(view[part], axis=0) for part in parts] for view in views]
    # In floating point, as mofapy2 centres in place.
    views = [view if view.dtype.kind == "f" else view.astype(np.float64) for view in views]
    run.data = process_data(views, run.likelihoods, run.data_opts, names["samples_groups"])
    run.set_model_options(**model_options)
    run.set_train_options(
        iter=training["n_iterations"],
        convergence_mode=training["convergence_mode"],
        seed=training["seed"],
        quiet=True,
        verbose=False,
        outfile=outfile,
    )
    run.build()
    run.run()
    if outfile is not None:
        run.save(outfile)
    explained = run.model.calculate_variance_explained()
    total = np.nansum(np.array(explained), axis=(0, 1))
    order = np.argsort(total)[::-1]
    nodes = run.model.getNodes()
    factors = np.asarray(nodes["Z"].getExpectation())[:, order]
    weights = [np.asarray(w)[:, order] for w in nodes["W"].getExpectation()]
    return factors, weights, [100 * r2[:, order] for r2 in explained], list(run.likelihoods)


def _loadings(
    data: Any,
    mods: dict[str, Any],
    columns: dict[str, NDArray[np.bool_]],
    weights: list[NDArray[Any]],
) -> NDArray[np.float64]:
    loadings = np.zeros((data.n_vars, weights[0].shape[1]))
    for mod, values in zip(mods, weights, strict=True):
        chosen = columns[mod]
        if has_modalities(data):
            there = np.asarray(data.varmap[mod]).astype(np.int64).ravel()
            held = np.flatnonzero(there > 0)
            loadings[held[chosen[there[held] - 1]]] = values[
                (np.cumsum(chosen) - 1)[there[held] - 1][chosen[there[held] - 1]]
            ]
        else:
            loadings[chosen] = values
    return loadings


def _variance(explained: list[NDArray[Any]], names: dict[str, Any]) -> dict[str, Any]:
    views, groups = names["views_names"], names["groups_names"]
    if len(groups) == 1:
        return {view: explained[0][i] for i, view in enumerate(views)}
    return {
        view: {group: explained[g][i] for g, group in enumerate(groups)}
        for i, view in enumerate(views)
    }
