"""``lazyomics subset``: chosen cells and genes, streamed to a new file."""

from __future__ import annotations

from typing import Any

import click

from lazyomics.cli.failures import Refusal
from lazyomics.cli.options import (
    WorkCommand,
    compression_options,
    output_option,
    overwrite_option,
    storing,
)
from lazyomics.cli.outputs import checked_output, write_object

__all__ = ["select", "subset"]

OUTPUTS = (".h5ad", ".h5mu")


@click.command(
    cls=WorkCommand,
    examples=(
        'lazyomics subset a.h5ad --obs \'louvain in ["B", "T"] and n_genes > 500\' -o b.h5ad',
        "lazyomics subset a.h5ad --var 'highly_variable' --cells barcodes.txt -o b.h5ad",
    ),
)
@click.argument("file")
@click.option(
    "--obs",
    metavar="EXPR",
    help="Keep cells for which this is true, in the language of pandas' DataFrame.query; their "
    "names are obs_names.",
)
@click.option("--var", metavar="EXPR", help="Keep genes for which this is true.")
@click.option(
    "--cells", metavar="FILE|LIST", help="Keep these cells, in this order: a file, -, or A,B,C."
)
@click.option("--genes", metavar="FILE|LIST", help="Keep these genes, in this order.")
@click.option("--skip-missing", is_flag=True, help="Leave out listed names that are not there.")
@click.option("--allow-empty", is_flag=True, help="Write a file without cells or genes, too.")
@compression_options
@output_option()
@overwrite_option
def subset(
    file: str,
    obs: str | None,
    var: str | None,
    cells: str | None,
    genes: str | None,
    skip_missing: bool,
    allow_empty: bool,
    compression: str | None,
    level: int | None,
    chunk_bytes: str | None,
    output: str,
    overwrite: bool,
) -> None:
    """Write the chosen cells and genes of FILE to a new file, block by block.

    FILE is an .h5ad, .h5mu, FILE.h5mu/MODALITY, 10x .h5 or .loom file, or a URL of one.
    """
    from lazyomics.io.any_format import open_any

    checked_output(output, overwrite=overwrite, inputs=(file,), suffixes=OUTPUTS)
    data = open_any(file)
    check_kind(data, output)
    chosen = select(
        data,
        obs=obs,
        var=var,
        cells=cells,
        genes=genes,
        skip_missing=skip_missing,
        allow_empty=allow_empty,
    )
    write_object(chosen, output, storing(compression, level, chunk_bytes))
    click.echo(
        f"{output}: {chosen.n_obs} of {data.n_obs} cells, {chosen.n_vars} of {data.n_vars} genes",
        err=True,
    )


def check_kind(data: Any, output: str) -> None:
    """Refuse a name of the wrong kind of file for an object."""
    from lazyomics.container.mudata import MuData

    is_mudata = isinstance(data, MuData)
    if is_mudata and not output.endswith(".h5mu"):
        raise Refusal(
            f"-o {output}: the input has the modalities {', '.join(data.mod)}: name an .h5mu file, "
            "or one modality as FILE.h5mu/MODALITY"
        )
    if not is_mudata and not output.endswith(".h5ad"):
        raise Refusal(f"-o {output}: the input has one modality: name an .h5ad file")


def select(
    data: Any,
    *,
    obs: str | None = None,
    var: str | None = None,
    cells: str | None = None,
    genes: str | None = None,
    skip_missing: bool = False,
    allow_empty: bool = False,
) -> Any:
    """Return a selection of an opened object; reads obs and var where an expression needs them.

    Parameters
    ----------
    data
        AnnData or MuData.
    obs, var
        Expressions.
    cells, genes
        Files or lists of names. With an expression, both have to be fulfilled.
    skip_missing
        Whether names that are not there are left out.
    allow_empty
        Whether nothing may be left.

    Returns
    -------
    The selection, lazy where ``data`` is.

    Raises
    ------
    Refusal
        For expressions and names that do not fit, or if nothing is left.
    """
    rows = _chosen(data.obs_names, lambda: data.obs, obs, cells, "obs", "--cells", skip_missing)
    cols = _chosen(data.var_names, lambda: data.var, var, genes, "var", "--genes", skip_missing)
    for found, what in ((rows, "cell"), (cols, "gene")):
        if found is not None and len(found) == 0 and not allow_empty:
            raise Refusal(f"no {what} is chosen (--allow-empty writes a file without)")
    if rows is None and cols is None:
        raise Refusal("nothing is chosen: give --obs, --var, --cells or --genes")
    whole = slice(None)
    return data[whole if rows is None else rows, whole if cols is None else cols]


def _chosen(
    names: Any,
    table: Any,
    expression: str | None,
    listed: str | None,
    axis: str,
    option: str,
    skip_missing: bool,
) -> Any:
    """Positions of the chosen rows; None for all."""
    import numpy as np

    from lazyomics.cli.expressions import chosen_names, chosen_rows

    found = None
    if listed is not None:
        found = np.asarray(chosen_names(listed, names, option, skip_missing=skip_missing))
    if expression is None:
        return found
    mask = chosen_rows(table(), expression, axis)
    return np.flatnonzero(mask) if found is None else found[mask[found]]
