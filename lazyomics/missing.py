"""What is said of functions of scanpy that have no counterpart here."""

from __future__ import annotations

from importlib import import_module

from lazyomics.names import near

__all__ = ["ELSEWHERE", "NOT_HERE", "missing"]

# Public functions of scanpy 1.11 and 1.12 by namespace; a test compares them with scanpy.
NOT_HERE: dict[str, frozenset[str]] = {
    "experimental.pp": frozenset(),
    "get": frozenset(),
    "metrics": frozenset(),
    "pl": frozenset(
        {
            *("dogplot", "matrix", "sim"),
            *("timeseries", "timeseries_as_heatmap", "timeseries_subplot"),
        }
    ),
    "pp": frozenset(),
    "tl": frozenset({"sim"}),
}


_APPLY = "Call scanpy's: adata.apply({0}, ...)"
_CONVERT = "Call scanpy's: lo.AnnData.from_anndata({0}(...))"
_CALL = "Call scanpy's: {0}(...)"

# Other public names of scanpy and muon, and what to do; {0} is the name with its namespace.
ELSEWHERE: dict[str, dict[str, str]] = {
    "": {
        "Neighbors": "Use lo.pp.neighbors(adata), which fills obsp and uns['neighbors']",
        "from_anndata": "Call lo.AnnData.from_anndata(adata)",
        "from_mudata": "Call lo.MuData.from_mudata(mdata)",
        "queries": _CALL.format("scanpy.queries.biomart_annotations"),
    },
    "atac": {"pl": "Plots of lo.pl take modalities: lo.pl.umap(mdata['atac'], ...)"},
    "atac.pp": {"scopen": "Call muon's: mdata['atac'].apply(muon.atac.pp.scopen, ...)"},
    "atac.tl": {
        "rank_peaks_groups": "To lo.tl.rank_genes_groups(mdata['atac'], ...) peaks are genes"
    },
    "datasets": dict.fromkeys(
        ("burczynski06", "ebi_expression_atlas", "moignard15", "visium_sge"), _CONVERT
    ),
    "external": dict.fromkeys(("exporting", "tl"), "Call scanpy's: adata.apply({0}.NAME, ...)"),
    "external.pl": dict.fromkeys(
        ("harmony_timeseries", "phate", "sam", "trimap", "wishbone_marker_trajectory"), _APPLY
    ),
    "external.pp": dict.fromkeys(("dca", "hashsolo", "magic"), _APPLY),
}
VERBS = ("pp", "tl", "pl", "get", "metrics")


def missing(space: str, name: str) -> AttributeError:
    """Make the error for a name that a namespace does not have.

    Parameters
    ----------
    space
        Namespace, ``"pp"`` for example; ``""`` for the package itself.
    name
        What was asked for.

    Returns
    -------
    AttributeError, which says how to go on if scanpy has a function of that name, where it is if
    another namespace has it, and which names come near.

    Examples
    --------
    >>> raise missing("tl", "sim")
    Traceback (most recent call last):
    ...
    AttributeError: lazyomics.tl.sim is not there yet. Call scanpy's: \
adata.apply(scanpy.tl.sim, ...)
    """
    module = f"lazyomics.{space}".rstrip(".")
    theirs = f"scanpy.{space}.{name}".replace("..", ".")
    if name in NOT_HERE.get(space, ()):
        return AttributeError(f"{module}.{name} is not there yet. {_APPLY.format(theirs)}")
    if name in ELSEWHERE.get(space, ()):
        said = ELSEWHERE[space][name].format(theirs)
        return AttributeError(f"{module}.{name} is not there. {said}")
    said = f"module {module!r} has no attribute {name!r}"
    return AttributeError(said if name.startswith("_") else f"{said}{_hint(space, name)}")


def _hint(space: str, name: str) -> str:
    """Say where else there is such a name, or which come near."""
    for other in VERBS:
        if other != space and name in import_module(f"lazyomics.{other}").__all__:
            return f"; there is lo.{other}.{name}"
    close = near(name, import_module(f"lazyomics.{space}".rstrip(".")).__all__)
    return f". Did you mean {' or '.join(map(repr, close))}?" if close else ""
