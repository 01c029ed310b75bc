"""The plan of an object: what a pass over its lazy matrices reads and holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from lazyomics.container.anndata import AnnData
    from lazyomics.container.verb_costs import VerbPlan
    from lazyomics.lazy.explain import Plan

__all__ = ["explain"]


@overload
def explain(adata: AnnData) -> Plan: ...
@overload
def explain(adata: AnnData, verb: str, **parameters: Any) -> VerbPlan: ...
def explain(adata: AnnData, verb: str | None = None, **parameters: Any) -> Plan | VerbPlan:
    """Say what a pass over each lazy matrix, or a call of a verb, costs before anything runs.

    Parameters
    ----------
    adata
        Object, opened from a file or in memory.
    verb
        Name of a verb, such as ``"pca"`` or ``"pp.pca"``; by default no verb is meant.
    **parameters
        What the verb would be called with.

    Returns
    -------
    Of a verb: passes, bytes read, and estimates of time and memory. Else a plan that prints itself:
    storage, selection, steps and blocks of X, raw.X and each lazy layer, the HDF5 chunks and stored
    bytes that one pass reads, and an estimate of its memory. Fields of both hold the numbers.

    Raises
    ------
    ValueError
        If there is no such verb, or what it costs is not known.
    TypeError
        If the verb has no such parameter.

    Notes
    -----
    Passes over X: 0. Only row pointers and the positions of chunks are read; and, to estimate the
    time that a verb takes, one block.

    Examples
    --------
    >>> import lazyomics as lo
    >>> adata = lo.AnnData(obs={"n": [1, 2]}, var={"n": [3]})
    >>> lo.explain(adata)
    nothing is lazy: all matrices are in memory
    """
    if verb is not None:
        from lazyomics.container.verb_costs import plan_of_verb

        return plan_of_verb(adata, verb, parameters)
    if parameters:
        raise TypeError(f"explain: {', '.join(parameters)} belong to a verb, but none is named")
    plan: Plan = adata.explain()
    return plan
