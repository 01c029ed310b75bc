"""``lazyomics add-gene-major``: a copy of X by genes inside the file."""

from __future__ import annotations

from typing import Any

import click

from lazyomics.cli.failures import Refusal
from lazyomics.cli.options import WorkCommand, compression_options, storing
from lazyomics.cli.outputs import writing

__all__ = ["add_gene_major"]


@click.command(
    "add-gene-major",
    cls=WorkCommand,
    examples=("lazyomics add-gene-major a.h5ad",),
)
@click.argument("file")
@click.option("--layer", help="The layer to copy; by default X.")
@click.option("--key-added", metavar="NAME", help="Name of the copy; by default X_by_gene.")
@compression_options
def add_gene_major(
    file: str,
    layer: str | None,
    key_added: str | None,
    compression: str | None,
    level: int | None,
    chunk_bytes: str | None,
) -> None:
    """Copy X, or a layer, gene by gene into FILE, in place, as lo.add_gene_major does."""
    import lazyomics as lo

    adata: Any = lo.read(file)
    if isinstance(adata, lo.MuData):
        raise Refusal(f"{file}: name one of {', '.join(adata.mod)} as FILE.h5mu/MODALITY")
    with writing(file):
        lo.add_gene_major(
            adata, layer=layer, key_added=key_added, **storing(compression, level, chunk_bytes)
        )
