"""What is said of a name that is not there: which are, which come near, and what would make it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Any

__all__ = ["check_keywords", "choices", "first_step", "near"]

SHOWN = 10
LOOKED_THROUGH = 200_000  # of more names than that only so many, which takes a tenth of a second
MANY = 300
LIKENESS = (0.6, 0.7)  # of few names, and of many, some of which are alike by chance

# Keys that verbs write by default, and the call that writes them.
MADE_BY = {
    "X_pca": "pp.pca(adata)",
    "PCs": "pp.pca(adata)",
    "pca": "pp.pca(adata)",
    "X_umap": "tl.umap(adata)",
    "umap": "tl.umap(adata)",
    "X_tsne": "tl.tsne(adata)",
    "tsne": "tl.tsne(adata)",
    "X_diffmap": "tl.diffmap(adata)",
    "diffmap": "tl.diffmap(adata)",
    "diffmap_evals": "tl.diffmap(adata)",
    "draw_graph": "tl.draw_graph(adata)",
    "X_lsi": "tl.lsi(adata)",
    "X_mofa": "tl.mofa(mdata)",
    "neighbors": "pp.neighbors(adata)",
    "connectivities": "pp.neighbors(adata)",
    "distances": "pp.neighbors(adata)",
    "leiden": "tl.leiden(adata)",
    "louvain": "tl.louvain(adata)",
    "paga": "tl.paga(adata)",
    "dpt_pseudotime": "tl.dpt(adata)",
    "dpt_groups": "tl.dpt(adata, n_branchings=1)",
    "dpt_order": "tl.dpt(adata)",
    "dpt_order_indices": "tl.dpt(adata)",
    "dpt_changepoints": "tl.dpt(adata, n_branchings=1)",
    "rank_genes_groups": "tl.rank_genes_groups(adata, groupby)",
    "rank_genes_groups_filtered": "tl.filter_rank_genes_groups(adata)",
    "highly_variable": "pp.highly_variable_genes(adata)",
    "hvg": "pp.highly_variable_genes(adata)",
    "n_genes_by_counts": "pp.calculate_qc_metrics(adata, inplace=True)",
    "total_counts": "pp.calculate_qc_metrics(adata, inplace=True)",
    "doublet_score": "pp.scrublet(adata)",
    "predicted_doublet": "pp.scrublet(adata)",
    "scrublet": "pp.scrublet(adata)",
    "phase": "tl.score_genes_cell_cycle(adata, s_genes=..., g2m_genes=...)",
    "S_score": "tl.score_genes_cell_cycle(adata, s_genes=..., g2m_genes=...)",
    "G2M_score": "tl.score_genes_cell_cycle(adata, s_genes=..., g2m_genes=...)",
}
BEGINNINGS = {
    "X_draw_graph_": "tl.draw_graph(adata)",
    "draw_graph_": "tl.draw_graph(adata)",
    "dendrogram_": "tl.dendrogram(adata, groupby)",
}


def near(wanted: object, names: Iterable[Any], *, most: int = 3) -> list[str]:
    """Return the names that come near to one that is not there, nearest first.

    Parameters
    ----------
    wanted
        What was asked for.
    names
        What there is; of more than 200,000 the first are looked through.
    most
        How many to return.

    Returns
    -------
    Names that differ in case only, if there are any, else those that are alike without regard to
    case.

    Examples
    --------
    >>> near("cst3", ["CST3", "CST7", "NKG7"])
    ['CST3']
    >>> near("leidn", ["louvain", "leiden", "n_genes"])
    ['leiden']
    """
    from difflib import get_close_matches
    from heapq import nlargest

    asked = str(wanted).casefold()
    originals: dict[str, list[str]] = {}
    for name in map(str, islice(names, LOOKED_THROUGH)):
        originals.setdefault(name.casefold(), []).append(name)
    if asked in originals:
        return [name for name in originals[asked] if name != str(wanted)][:most]
    alike: Iterable[str] = originals
    if len(originals) > MANY:  # the slow comparison is for those that share most pairs of letters
        pairs = [asked[k : k + 2] for k in range(len(asked) - 1)] or [asked]
        alike = nlargest(MANY, originals, key=lambda name: sum(pair in name for pair in pairs))
    cutoff = LIKENESS[len(originals) > MANY]
    found = get_close_matches(asked, alike, n=most, cutoff=cutoff)
    return [originals[name][0] for name in found][:most]


def first_step(name: object) -> str | None:
    """Return the call that writes a key, for keys that verbs write by default.

    Examples
    --------
    >>> first_step("X_umap")
    'lo.tl.umap(adata)'
    """
    key = str(name)
    call = MADE_BY.get(key)
    for begin, made in BEGINNINGS.items():
        call = made if call is None and key.startswith(begin) else call
    return None if call is None else f"lo.{call}"


def choices(wanted: Any, names: Collection[Any], *, step: str | None = None) -> str:
    """Say what there is instead of a name, or of several, that are not there.

    Parameters
    ----------
    wanted
        A name, or a list of names.
    names
        What there is.
    step
        What to run first, where the name does not tell.

    Returns
    -------
    The second half of a sentence: up to ten names, and what to do if that is known.

    Examples
    --------
    >>> choices("leidn", ["leiden", "batch"])
    "there are ['leiden', 'batch']. Did you mean 'leiden'?"
    >>> choices("X_umap", ["X_pca"])
    "there are ['X_pca']: run lo.tl.umap(adata) first"
    >>> choices("a", [])
    'there are none'
    """
    listed = f"there are {_listed(names)}"
    all_wanted = [wanted] if isinstance(wanted, str) or not _is_list(wanted) else list(wanted)
    hints = []
    for name in all_wanted[:SHOWN]:
        close = near(name, names)
        same = [other for other in close if other.casefold() == str(name).casefold()]
        made = None if same else first_step(name)
        if made is not None:
            return f"{listed}: run {made} first"
        if close:
            hints.append(" or ".join(map(repr, close)))
    if hints:
        return f"{listed}. Did you mean {', '.join(hints)}?{f' If not, run {step}' if step else ''}"
    return f"{listed}: run {step} first" if step else listed


def _is_list(wanted: Any) -> bool:
    return isinstance(wanted, list | tuple | set | frozenset) or hasattr(wanted, "tolist")


def _listed(names: Collection[Any]) -> str:
    first = ", ".join(repr(str(name)) for name in islice(names, SHOWN))
    if len(names) > SHOWN:
        return f"{len(names):,}: [{first}, …]"
    return f"[{first}]" if first else "none"


def check_keywords(verb: str, given: Iterable[str], taken: Sequence[str], more: str = "") -> None:
    """Refuse keywords that a function does not know.

    Parameters
    ----------
    verb
        The function, e.g. ``"pl.umap"``.
    given
        Keywords of the call.
    taken
        Keywords that the function has.
    more
        What the message ends with.

    Raises
    ------
    TypeError
        That names function, keyword and those that come near.

    Examples
    --------
    >>> check_keywords("pl.umap", ["colour"], ["color", "size"])
    Traceback (most recent call last):
    ...
    TypeError: pl.umap has no keyword 'colour'. Did you mean 'color'?
    """
    for name in given:
        if name in taken:
            continue
        close = near(name, taken)
        hint = f". Did you mean {' or '.join(map(repr, close))}?" if close else f": {more}"
        raise TypeError(f"{verb} has no keyword {name!r}{hint if close or more else ''}")
