"""``lazyomics qc``: quality-control metrics, and a table of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lazyomics.cli.failures import Refusal
from lazyomics.cli.near import near_matches
from lazyomics.cli.options import WorkCommand, output_option, overwrite_option
from lazyomics.cli.outputs import checked_output, echo_json, write_object, writing

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["qc"]

SHARES = {"min": 0.0, "5%": 0.05, "25%": 0.25, "median": 0.5, "75%": 0.75, "95%": 0.95, "max": 1.0}


@click.command(
    cls=WorkCommand,
    examples=("lazyomics qc a.h5ad --genes mt=MT- --genes ribo=RPS,RPL -o qc.h5ad",),
)
@click.argument("file")
@click.option(
    "--genes",
    "sets",
    multiple=True,
    metavar="NAME=PREFIX",
    help="A set of genes to total, such as mt=MT-; several prefixes with commas between them.",
)
@click.option(
    "--qc-vars", multiple=True, metavar="COLUMN", help="A boolean column of var, such a set, too."
)
@click.option(
    "--percent-top",
    default="50,100,200,500",
    show_default=True,
    help="Shares of the largest genes; '' for none. Numbers above that of genes are left out.",
)
@click.option("--layer", help="Layer to use instead of X.")
@click.option("--use-raw", is_flag=True, help="Use raw.X instead of X.")
@click.option("--log1p/--no-log1p", default=True, show_default=True, help="Also logarithms.")
@click.option("--in-place", is_flag=True, help="Add the columns to FILE.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
@output_option(required=False, help="A new file with the columns.")
@overwrite_option
def qc(
    file: str,
    sets: tuple[str, ...],
    qc_vars: tuple[str, ...],
    percent_top: str,
    layer: str | None,
    use_raw: bool,
    log1p: bool,
    in_place: bool,
    as_json: bool,
    output: str | None,
    overwrite: bool,
) -> None:
    """Compute pp.calculate_qc_metrics of FILE; print a table of them."""
    import lazyomics as lo
    from lazyomics.io.any_format import open_any

    if in_place and output is not None:
        raise Refusal("give either --in-place or -o")
    if output is not None:
        checked_output(output, overwrite=overwrite, inputs=(file,), suffixes=(".h5ad",))
    adata: Any = open_any(file)
    if isinstance(adata, lo.MuData):
        raise Refusal(f"{file}: name one of {', '.join(adata.mod)} as FILE.h5mu/MODALITY")
    if in_place and not adata.isbacked:
        raise Refusal(f"{file} is no .h5ad file: write one with -o")
    names = [*_with_sets(adata, sets, use_raw=use_raw), *qc_vars]
    for name in qc_vars:
        if name not in adata.var:
            raise Refusal(f"--qc-vars: var has no column {name!r}{near_matches(name, adata.var)}")
    n_vars = adata.raw.n_vars if use_raw and adata.raw is not None else adata.n_vars
    columns = list(adata.obs)
    lo.pp.calculate_qc_metrics(
        adata,
        qc_vars=names,
        percent_top=_tops(percent_top, n_vars),
        layer=layer,
        use_raw=use_raw,
        log1p=log1p,
        inplace=True,
    )
    if output is not None:
        write_object(adata, output, {})
    elif in_place:
        with writing(file):
            adata.write()
    made = ("n_genes_by_", "total_", "pct_", "log1p_")
    new = [c for c in adata.obs if c not in columns or str(c).startswith(made)]
    _show(adata.obs[new], adata, as_json=as_json)


def _tops(text: str, n_vars: int) -> list[int] | None:
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise Refusal(
            f"--percent-top {text!r}: expected numbers with commas between them"
        ) from None
    return [number for number in numbers if number <= n_vars] or None


def _with_sets(adata: Any, sets: tuple[str, ...], *, use_raw: bool) -> list[str]:
    """Add a column to var for each set of genes; return their names."""
    var = adata.raw.var if use_raw and adata.raw is not None else adata.var
    if sets and use_raw:
        raise Refusal("--genes is for X and layers; name columns of raw.var with --qc-vars")
    names = []
    for text in sets:
        name, _, prefixes = text.partition("=")
        if not name or not prefixes:
            raise Refusal(f"--genes {text!r}: expected NAME=PREFIX, such as mt=MT-")
        found = var.index.str.startswith(tuple(prefixes.split(",")))
        if not found.any():
            raise Refusal(f"--genes {text!r}: no gene begins so; the first is {var.index[0]!r}")
        adata.var[name] = found
        names.append(name)
    return names


def _show(frame: pd.DataFrame, adata: Any, *, as_json: bool) -> None:
    import pandas as pd

    table = pd.DataFrame({name: frame.quantile(q) for name, q in SHARES.items()})
    table.insert(3, "mean", frame.mean())
    if as_json:
        cells = {name: {k: float(v) for k, v in row.items()} for name, row in table.iterrows()}
        echo_json({"n_obs": adata.n_obs, "n_vars": adata.n_vars, "obs": cells})
        return
    click.echo(f"{adata.n_obs} cells, {adata.n_vars} genes")
    click.echo(table.to_string(float_format=lambda x: f"{x:.4g}"))
