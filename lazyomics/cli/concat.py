"""``lazyomics concat``: several files as one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from lazyomics.cli.failures import ExitCode, Refusal
from lazyomics.cli.options import (
    WorkCommand,
    compression_options,
    output_option,
    overwrite_option,
    storing,
)
from lazyomics.cli.outputs import checked_output, write_object
from lazyomics.cli.subset import OUTPUTS, check_kind

__all__ = ["concat"]

MERGES = ("same", "unique", "first", "only")


@click.command(
    cls=WorkCommand,
    examples=("lazyomics concat a=a.h5ad b=b.h5ad --label batch --index-unique - -o ab.h5ad",),
)
@click.argument("files", nargs=-1, required=True, metavar="[NAME=]FILE...")
@click.option("--axis", type=click.Choice(["obs", "var"]), help="What is put behind each other.")
@click.option("--join", type=click.Choice(["inner", "outer"]), default="inner", show_default=True)
@click.option("--merge", type=click.Choice(MERGES), help="What to keep of the other axis.")
@click.option("--uns-merge", type=click.Choice(MERGES), help="What to keep of uns.")
@click.option("--label", metavar="COLUMN", help="New column that says which file a row is from.")
@click.option("--keys", metavar="A,B,…", help="Names of the files, if not given as NAME=FILE.")
@click.option("--index-unique", metavar="SEP", help="Put SEP and the file's name behind names.")
@click.option("--fill-value", type=float, help="Where a file has no value, with --join outer.")
@click.option("--pairwise", is_flag=True, help="Also join obsp.")
@compression_options
@output_option()
@overwrite_option
def concat(
    files: tuple[str, ...],
    axis: str | None,
    join: str,
    merge: str | None,
    uns_merge: str | None,
    label: str | None,
    keys: str | None,
    index_unique: str | None,
    fill_value: float | None,
    pairwise: bool,
    compression: str | None,
    level: int | None,
    chunk_bytes: str | None,
    output: str,
    overwrite: bool,
) -> None:
    """Join files along an axis, as lo.concat does, block by block."""
    import lazyomics as lo
    from lazyomics.io.any_format import open_any

    paths, names = named_files(files, keys)
    checked_output(output, overwrite=overwrite, inputs=tuple(paths), suffixes=OUTPUTS)
    objects: list[Any] = [open_any(path) for path in paths]
    joined = lo.concat(
        objects,
        axis=axis,  # type: ignore[arg-type]
        join=join,  # type: ignore[arg-type]
        merge=merge,  # type: ignore[arg-type]
        uns_merge=uns_merge,  # type: ignore[arg-type]
        label=label,
        keys=names,
        index_unique=index_unique,
        fill_value=fill_value,
        pairwise=pairwise,
    )
    check_kind(joined, output)
    twice = joined.obs_names.duplicated().sum() if axis != "var" else 0
    if twice and index_unique is None:
        click.echo(
            f"lazyomics: warning: {twice} names of cells occur several times; --index-unique - "
            "puts the name of the file behind them",
            err=True,
        )
    write_object(joined, output, storing(compression, level, chunk_bytes))
    click.echo(f"{output}: {joined.n_obs} cells, {joined.n_vars} genes", err=True)


def named_files(files: tuple[str, ...], keys: str | None) -> tuple[list[str], list[str] | None]:
    """Return paths, and names for all of them or for none.

    Parameters
    ----------
    files
        Paths, or ``NAME=PATH``; a path that exists as a whole is one.
    keys
        Names with commas between them.

    Raises
    ------
    Refusal
        If a file does not exist, if only some have names, or if names repeat.
    """
    parts = [("", f) if os.path.exists(f) or "=" not in f else f.split("=", 1) for f in files]
    paths, names = [p for _, p in parts], [n for n, _ in parts if n]
    for path in paths:
        whole = path if "://" in path else path.partition(".h5mu/")[0]
        if "://" not in path and not Path(whole).exists() and not Path(f"{whole}.h5mu").exists():
            raise Refusal(f"{path} does not exist", ExitCode.INPUT)
    if keys is not None:
        if names:
            raise Refusal("give names either as NAME=FILE or with --keys")
        names = [name.strip() for name in keys.split(",")]
    if not names:
        return paths, None
    if len(names) != len(paths):
        raise Refusal(f"{len(paths)} files, but {len(names)} names: {', '.join(names)}")
    if len(set(names)) != len(names):
        raise Refusal(f"names have to differ: {', '.join(names)}")
    return paths, names
