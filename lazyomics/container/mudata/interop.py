"""To and from the package mudata; the only module that imports it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from lazyomics.container.anndata import AnnData
from lazyomics.container.interop import nested_from_anndata, nested_to_anndata
from lazyomics.errors import UnsupportedError, require

if TYPE_CHECKING:
    from lazyomics.container.mudata.object import MuData

__all__ = ["parts_of_mudata", "to_mudata"]


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
