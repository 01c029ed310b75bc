"""``lazyomics transpose``: X or a layer stored by the other axis."""

from __future__ import annotations

import click

from lazyomics.cli.failures import Refusal
from lazyomics.cli.options import (
    MemorySize,
    WorkCommand,
    compression_options,
    output_option,
    overwrite_option,
    storing,
)
from lazyomics.cli.outputs import checked_output, writing

__all__ = ["transpose"]


@click.command(
    cls=WorkCommand,
    examples=("lazyomics transpose a.h5ad --to csc -o by_genes.h5ad",),
)
@click.argument("file")
@click.option(
    "--to", type=click.Choice(["csr", "csc"]), required=True, help="By cells or by genes."
)
@click.option("--layer", help="The layer; by default X.")
@click.option("--scratch-dir", type=click.Path(exists=True, file_okay=False))
@click.option("--scratch-bytes", type=MemorySize(), help="The most that may be put aside.")
@compression_options
@output_option()
@overwrite_option
def transpose(
    file: str,
    to: str,
    layer: str | None,
    scratch_dir: str | None,
    scratch_bytes: str | None,
    compression: str | None,
    level: int | None,
    chunk_bytes: str | None,
    output: str,
    overwrite: bool,
) -> None:
    """Write FILE to a new file with a matrix stored by cells (csr) or by genes (csc)."""
    import lazyomics as lo
    from lazyomics.io.any_format import open_any

    checked_output(output, overwrite=overwrite, inputs=(file,), suffixes=(".h5ad",))
    adata = open_any(file)
    if isinstance(adata, lo.MuData):
        raise Refusal(
            f"{file} has the modalities {', '.join(adata.mod)}: name one as FILE.h5mu/MODALITY, or "
            f"turn all with 'lazyomics repack --storage {to}'"
        )
    with writing(output):
        lo.transpose_storage(
            adata,
            output,
            to=to,
            layer=layer,
            scratch_dir=scratch_dir,
            scratch_bytes=scratch_bytes,
            **storing(compression, level, chunk_bytes),
        )
