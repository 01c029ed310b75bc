"""``lazyomics export``: tables, coordinates and markers as csv or parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lazyomics.cli.failures import Refusal
from lazyomics.cli.near import near_matches
from lazyomics.cli.options import WorkCommand, output_option, overwrite_option
from lazyomics.cli.outputs import STANDARD_OUTPUT, checked_output, table_format, write_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["export"]

FORMATS = ("csv", "tsv", "parquet")


@click.command(
    cls=WorkCommand,
    examples=(
        "lazyomics export a.h5ad obs --columns louvain,n_genes -o obs.csv",
        "lazyomics export a.h5ad obsm/X_umap -o umap.parquet",
        "lazyomics export a.h5ad markers --group B --top 20",
    ),
)
@click.argument("file")
@click.argument("what", metavar="obs|var|raw/var|obsm/KEY|varm/KEY|markers")
@click.option("--columns", metavar="A,B,…", help="Only these, in this order.")
@click.option("--genes", metavar="A,B,…", help="With obs: add the values of these genes.")
@click.option("--layer", help="Layer of --genes instead of X.")
@click.option("--use-raw", is_flag=True, help="raw.X for --genes instead of X.")
@click.option("--obs", metavar="EXPR", help="Only cells for which this is true.")
@click.option("--key", default="rank_genes_groups", show_default=True, help="Of markers, in uns.")
@click.option("--group", "groups", multiple=True, help="Markers of this group only; repeatable.")
@click.option("--pval-cutoff", type=float, help="Markers with a smaller corrected p-value only.")
@click.option("--top", type=click.IntRange(min=1), help="So many markers of each group.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="By default as OUT says; csv.")
@output_option(required=False, help="The file; - for standard output (default).")
@overwrite_option
def export(
    file: str,
    what: str,
    columns: str | None,
    genes: str | None,
    layer: str | None,
    use_raw: bool,
    obs: str | None,
    key: str,
    groups: tuple[str, ...],
    pval_cutoff: float | None,
    top: int | None,
    form: str | None,
    output: str | None,
    overwrite: bool,
) -> None:
    """Write a table of FILE as text or parquet; row names are the first column."""
    from lazyomics.cli.subset import select
    from lazyomics.io.any_format import open_any

    output = output or STANDARD_OUTPUT
    form = table_format(output, form)
    checked_output(output, overwrite=overwrite, inputs=(file,))
    data: Any = open_any(file)
    if obs is not None:
        data = select(data, obs=obs, allow_empty=True)
    if what == "markers":
        frame, index = _markers(data, key, groups, pval_cutoff, top), False
    else:
        frame, index = _table(data, what), True
    if genes is not None:
        if what != "obs":
            raise Refusal("--genes is for obs")
        frame = _with_genes(data, frame, genes, layer, use_raw=use_raw)
    if columns is not None:
        frame = frame[_known(columns, frame.columns, "--columns")]
    write_table(frame, output, form, index=index)


def _known(names: str, known: Any, option: str) -> list[str]:
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in known:
            raise Refusal(f"{option}: no {name!r}{near_matches(name, known, 'there are')}")
    return wanted


def _table(data: Any, what: str) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    part, _, key = what.partition("/")
    if what in ("obs", "var"):
        found: pd.DataFrame = getattr(data, what)
        return found
    if what in ("raw/var", "raw.var"):
        if getattr(data, "raw", None) is None:
            raise Refusal("raw/var: the file has no raw")
        frame: pd.DataFrame = data.raw.var
        return frame
    if part not in ("obsm", "varm") or not key:
        known = ["obs", "var", "raw/var", "markers"]
        known += [f"{name}/{k}" for name in ("obsm", "varm") for k in getattr(data, name)]
        raise Refusal(f"no table {what!r}{near_matches(what, known, 'there are')}")
    mapping = getattr(data, part)
    if key not in mapping:
        raise Refusal(f"{part} has no {key!r}{near_matches(key, mapping, 'it has')}")
    value = mapping[key]
    names = data.obs_names if part == "obsm" else data.var_names
    if isinstance(value, pd.DataFrame):
        return value
    value = value.compute() if hasattr(value, "compute") else value
    value = value.toarray() if hasattr(value, "toarray") else np.asarray(value)
    if value.ndim > 2:
        raise Refusal(f"{what} has {value.ndim} dimensions, a table has 2")
    value = value.reshape(len(names), -1)
    stem = key.removeprefix("X_")
    return pd.DataFrame(
        value, index=names, columns=[f"{stem}_{k + 1}" for k in range(value.shape[1])]
    )


def _with_genes(
    data: Any, frame: pd.DataFrame, genes: str, layer: str | None, *, use_raw: bool
) -> pd.DataFrame:
    import lazyomics as lo

    known = data.raw.var_names if use_raw and data.raw is not None else data.var_names
    names = _known(genes, known, "--genes")
    values = lo.get.obs_df(data, keys=names, layer=layer, use_raw=use_raw)
    return frame.join(values)


def _markers(
    data: Any, key: str, groups: tuple[str, ...], pval_cutoff: float | None, top: int | None
) -> pd.DataFrame:
    import lazyomics as lo

    if key not in data.uns:
        raise Refusal(f"uns has no {key!r}{near_matches(key, data.uns, 'it has')}")
    known = list(data.uns[key]["names"].dtype.names)
    for group in groups:
        _known(group, known, "--group")
    frame = lo.get.rank_genes_groups_df(
        data, list(groups) or None, key=key, pval_cutoff=pval_cutoff
    )
    if "group" not in frame:
        frame.insert(0, "group", (groups or tuple(known))[0])
    return frame if top is None else frame.groupby("group", observed=True, sort=False).head(top)
