"""To and from the package anndata; the only module that imports it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lazyomics.errors import require

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData

__all__ = ["nested_from_anndata", "nested_to_anndata", "parts_of_anndata", "to_anndata"]


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
    from lazyomics.container.anndata import AnnData

    return _converted(uns, lambda v: isinstance(v, AnnData), to_anndata)


def nested_from_anndata(uns: Mapping[str, Any]) -> dict[str, Any]:
    """Values of uns, those that are objects of anndata as objects of ours."""
    from lazyomics.container.anndata import AnnData

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
