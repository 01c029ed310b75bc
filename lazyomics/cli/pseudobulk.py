"""``lazyomics pseudobulk``: statistics of groups of cells."""

from __future__ import annotations

from typing import Any

import click

from lazyomics.cli.failures import Refusal
from lazyomics.cli.near import near_matches
from lazyomics.cli.options import WorkCommand, output_option, overwrite_option
from lazyomics.cli.outputs import (
    STANDARD_OUTPUT,
    TABLES,
    checked_output,
    table_format,
    write_object,
    write_table,
)

__all__ = ["pseudobulk"]

STATISTICS = ("sum", "mean", "var", "count_nonzero", "median")


@click.command(
    cls=WorkCommand,
    examples=("lazyomics pseudobulk a.h5ad --by donor,louvain --layer counts -o bulk.h5ad",),
)
@click.argument("file")
@click.option("--by", required=True, metavar="COLUMN,…", help="Columns of obs that make groups.")
@click.option(
    "--func",
    multiple=True,
    type=click.Choice(STATISTICS),
    default=("sum",),
    show_default=True,
    help="What to compute; several are layers of an .h5ad.",
)
@click.option("--layer", help="Layer to use instead of X.")
@click.option("--use-raw", is_flag=True, help="Use raw.X instead of X.")
@click.option("--obs", metavar="EXPR", help="Only cells for which this is true.")
@click.option("--min-cells", type=click.IntRange(min=1), help="Leave out smaller groups.")
@output_option(required=False, help="An .h5ad, .csv, .tsv or .parquet file; - for csv (default).")
@overwrite_option
def pseudobulk(
    file: str,
    by: str,
    func: tuple[str, ...],
    layer: str | None,
    use_raw: bool,
    obs: str | None,
    min_cells: int | None,
    output: str | None,
    overwrite: bool,
) -> None:
    """Aggregate the cells of each group, as get.aggregate does.

    A table has a row for each group: its columns of obs, its number of cells, and the genes.
    """
    import lazyomics as lo
    from lazyomics.cli.subset import select
    from lazyomics.io.any_format import open_any

    output = output or STANDARD_OUTPUT
    is_table = not output.endswith(".h5ad")
    form = table_format(output, None) if is_table else ""
    checked_output(output, overwrite=overwrite, inputs=(file,), suffixes=_suffixes())
    if is_table and len(func) > 1:
        raise Refusal("a table holds one statistic: write an .h5ad file for several")
    adata: Any = open_any(file)
    if isinstance(adata, lo.MuData):
        raise Refusal(f"{file}: name one of {', '.join(adata.mod)} as FILE.h5mu/MODALITY")
    names = [name.strip() for name in by.split(",")]
    for name in names:
        if name not in adata.obs:
            hint = near_matches(name, adata.obs, "it has")
            raise Refusal(f"--by: obs has no column {name!r}{hint}")
    if obs is not None:
        adata = select(adata, obs=obs)
    if use_raw:
        adata = _of_raw(adata, layer)
    bulk = lo.get.aggregate(adata, names, list(func), layer=layer)  # type: ignore[arg-type]
    if min_cells is not None:
        bulk = bulk[(bulk.obs["n_obs_aggregated"] >= min_cells).to_numpy()]
    if not is_table:
        write_object(bulk, output, {})
        return
    write_table(_as_table(bulk, names, func[0]), output, form, index=False)


def _suffixes() -> tuple[str, ...]:
    return (".h5ad", *TABLES, ".csv.gz", ".tsv.gz")


def _of_raw(adata: Any, layer: str | None) -> Any:
    if adata.raw is None:
        raise Refusal("--use-raw: the file has no raw")
    if layer is not None:
        raise Refusal("give either --layer or --use-raw")
    whole = adata.raw.to_adata()
    whole.obs = adata.obs
    return whole


def _as_table(bulk: Any, names: list[str], statistic: str) -> Any:
    """A row for each group: columns that name it, its cells, and the genes."""
    import numpy as np
    import pandas as pd

    values = bulk.layers[statistic]
    values = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
    taken = {*names, "n_obs_aggregated"} & set(bulk.var_names)
    if taken:
        raise Refusal(f"genes are called {sorted(taken)}, as columns of groups: write an .h5ad")
    lead = bulk.obs[[*names, "n_obs_aggregated"]].reset_index(drop=True)
    return pd.concat([lead, pd.DataFrame(values, columns=bulk.var_names)], axis=1)
