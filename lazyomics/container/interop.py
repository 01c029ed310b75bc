"""Conversion from and to the packages anndata and mudata."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lazyomics.container.anndata import AnnData
from lazyomics.errors import UnsupportedError, require

if TYPE_CHECKING:
    from lazyomics.container.mudata.mudata import MuData

__all__ = [
    "nested_from_anndata",
    "nested_to_anndata",
    "parts_of_anndata",
    "parts_of_mudata",
    "to_anndata",
    "to_mudata",
]


def to_anndata(adata: AnnData) -> Any:
    """Return an ``anndata.AnnData`` with everything loaded."""
    anndata = require("anndata", extra="scverse", purpose="to_anndata")
    loaded = adata.to_memory(copy=True)
    raw = loaded.raw
    return anndata.AnnData(
        X=loaded.X,
        obs=loaded.obs,
        var=loaded.var,
        uns=nested_to_anndata(loaded.uns),
        obsm=dict(loaded.obsm),
        varm=dict(loaded.varm),
        layers=dict(loaded.layers),
        obsp=dict(loaded.obsp),
        varp=dict(loaded.varp),
        raw=None if raw is None else {"X": raw.X, "var": raw.var, "varm": dict(raw.varm)},
        shape=None if loaded.X is not None else loaded.shape,
    )


def parts_of_anndata(other: Any) -> dict[str, Any]:
    """Arguments of our constructor, taken from an ``anndata.AnnData``."""
    raw = other.raw
    return {
        "X": other.X,
        "obs": other.obs,
        "var": other.var,
        "uns": nested_from_anndata(other.uns),
        "obsm": dict(other.obsm),
        "varm": dict(other.varm),
        # anndata 0.13 lists X among the layers, under None
        "layers": {k: v for k, v in other.layers.items() if k is not None},
        "obsp": dict(other.obsp),
        "varp": dict(other.varp),
        "raw": None if raw is None else {"X": raw.X, "var": raw.var, "varm": dict(raw.varm)},
        "shape": other.shape,
    }


def nested_to_anndata(uns: Mapping[str, Any]) -> dict[str, Any]:
    """Values of uns, those that are objects of ours as objects of anndata."""
    return _converted(uns, lambda v: isinstance(v, AnnData), to_anndata)


def nested_from_anndata(uns: Mapping[str, Any]) -> dict[str, Any]:
    """Values of uns, those that are objects of anndata as objects of ours."""
    return _converted(uns, _is_of_anndata, AnnData.from_anndata)


def _is_of_anndata(value: Any) -> bool:
    kind = type(value)
    return kind.__name__ == "AnnData" and kind.__module__.partition(".")[0] == "anndata"


def _converted(
    values: Mapping[str, Any], chosen: Callable[[Any], bool], convert: Callable[[Any], Any]
) -> dict[str, Any]:
    """Convert the chosen values, also in dicts of dicts."""
    made = dict(values)
    for key, value in made.items():
        if chosen(value):
            made[key] = convert(value)
        elif isinstance(value, dict):
            made[key] = _converted(value, chosen, convert)
    return made


def to_mudata(mdata: MuData) -> Any:
    """Return a ``mudata.MuData`` with everything loaded."""
    mudata = require("mudata", extra="scverse", purpose="to_mudata")
    loaded = mdata.to_memory(copy=True)
    kept = {name: dict(getattr(loaded, name)) for name in ("obsm", "varm", "obsp", "varp")}
    with warnings.catch_warnings():
        # mudata 0.3 announces with every update that 0.4 updates differently
        warnings.simplefilter("ignore", FutureWarning)
        return mudata.MuData(
            {name: adata.to_anndata() for name, adata in loaded.mod.items()},
            obs=loaded.obs.copy(),
            var=loaded.var.copy(),
            uns=nested_to_anndata(loaded.uns),
            obsmap=dict(loaded.obsmap),
            varmap=dict(loaded.varmap),
            axis=loaded.axis,
            **kept,
        )


def parts_of_mudata(other: Any) -> dict[str, Any]:
    """Arguments of our constructor, taken from a ``mudata.MuData``."""
    data = {}
    for name, adata in other.mod.items():
        if hasattr(adata, "mod"):
            raise UnsupportedError(
                f"modality {name!r} is a MuData itself: nesting is not supported, and no .h5mu "
                "file can hold it. Put its modalities beside the others."
            )
        data[name] = AnnData.from_anndata(adata)
    names = set(other.mod)
    pulled = {"obs": other.obs, "var": other.var}
    return {
        "data": data,
        "axis": int(other.axis),
        **{axis: _own_columns(frame, other, axis) for axis, frame in pulled.items()},
        "uns": nested_from_anndata(other.uns),
        "obsm": {k: v for k, v in other.obsm.items() if k not in names},
        "varm": {k: v for k, v in other.varm.items() if k not in names},
        "obsp": dict(other.obsp),
        "varp": dict(other.varp),
        "obsmap": dict(other.obsmap.items()),
        "varmap": dict(other.varmap.items()),
    }


def _own_columns(frame: Any, other: Any, axis: str) -> Any:
    """Columns that are no copy of a modality's: mudata 0.3 pulls all of them by itself."""
    if not hasattr(other, "_shrink_attr"):  # mudata 0.4 copies only when asked to
        return frame
    copies = [
        f"{mod}:{column}" for mod, adata in other.mod.items() for column in getattr(adata, axis)
    ]
    return frame.drop(columns=[c for c in copies if c in frame.columns])
