"""Conversion from and to the package mudata, and its functions on an opened object."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lazyomics.container.anndata import AnnData
from lazyomics.container.applying import Given, as_ours, name_of
from lazyomics.container.interop import in_memory, nested_from_anndata, nested_to_anndata
from lazyomics.errors import ShapeError, UnsupportedError, require

if TYPE_CHECKING:
    from lazyomics.container.mudata.mudata import MuData

__all__ = ["apply_to_mudata", "parts_of_mudata", "to_mudata"]


def to_mudata(mdata: MuData, *, lazy: bool = False) -> Any:
    """Return a ``mudata.MuData``, with everything loaded or with lazy matrices."""
    mudata = require("mudata", extra="scverse", purpose="to_mudata")
    whole = mdata if lazy else mdata.to_memory(copy=True)
    kept = {name: dict(getattr(whole, name)) for name in ("obsm", "varm")}
    with warnings.catch_warnings():
        # mudata 0.3 announces with every update that 0.4 updates differently
        warnings.simplefilter("ignore", FutureWarning)
        return mudata.MuData(
            {name: adata.to_anndata(lazy=lazy) for name, adata in whole.mod.items()},
            obs=whole.obs.copy(),
            var=whole.var.copy(),
            uns=nested_to_anndata(whole.uns),
            obsp=in_memory(whole.obsp),
            varp=in_memory(whole.varp),
            obsmap=dict(whole.obsmap),
            varmap=dict(whole.varmap),
            axis=whole.axis,
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
    return {
        "data": data,
        "axis": int(other.axis),
        **{axis: own_columns(other, axis) for axis in ("obs", "var")},
        "uns": nested_from_anndata(other.uns, AnnData.from_anndata),
        "obsm": {k: v for k, v in other.obsm.items() if k not in names},
        "varm": {k: v for k, v in other.varm.items() if k not in names},
        "obsp": dict(other.obsp),
        "varp": dict(other.varp),
        "obsmap": dict(other.obsmap.items()),
        "varmap": dict(other.varmap.items()),
    }


def own_columns(other: Any, axis: str) -> Any:
    """Columns of obs or var of a MuData that are no copy of a modality's.

    mudata 0.3 pulls all of them by itself.
    """
    frame = getattr(other, axis)
    if not hasattr(other, "_shrink_attr"):  # mudata 0.4 copies only when asked to
        return frame
    copies = [
        f"{mod}:{column}" for mod, adata in other.mod.items() for column in getattr(adata, axis)
    ]
    return frame.drop(columns=[c for c in copies if c in frame.columns])


def apply_to_mudata(
    mdata: MuData, function: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]
) -> Any:
    """Call a function on an object of mudata with lazy matrices; see ``MuData.apply``."""
    theirs = to_mudata(mdata, lazy=True)
    whole = Given(theirs, own_columns)
    given = {name: Given(adata) for name, adata in theirs.mod.items()}
    result = function(theirs, *args, **kwargs)
    if list(theirs.mod) != list(given):
        raise ShapeError(
            f"apply: {name_of(function)} changed the modalities from {list(given)} to "
            f"{list(theirs.mod)}; nothing was taken over. Change them on the object itself"
        )
    for name, adata in theirs.mod.items():
        given[name].check_shape(adata, function)
    whole.check_shape(theirs, function)
    for name, adata in theirs.mod.items():
        given[name].take_over(adata, mdata.mod[name], AnnData.from_anndata)
    whole.take_over(theirs, mdata, AnnData.from_anndata)
    return as_ours(result, type(mdata).from_mudata, "mudata", "MuData")
