"""``lazyomics repack``: the same file with other filters, chunks or order."""

from __future__ import annotations

import click

from lazyomics.cli.options import MemorySize, WorkCommand, output_option, overwrite_option
from lazyomics.cli.outputs import checked_output, writing

__all__ = ["repack"]


@click.command(
    cls=WorkCommand,
    examples=("lazyomics repack a.h5ad --codec gzip -o small.h5ad",),
)
@click.argument("file")
@click.option(
    "--codec", metavar="NAME", help="gzip, lzf, none, zstd, lz4 or blosc, of all numbers."
)
@click.option("--level", type=int, help="Level of the codec.")
@click.option("--shuffle/--no-shuffle", default=None, help="Sort bytes before compressing.")
@click.option("--chunk-bytes", type=MemorySize(), help="Decoded bytes of a chunk.")
@click.option("--storage", type=click.Choice(["csr", "csc"]), help="Order of sparse matrices.")
@output_option(required=False, help="The new file; by default it takes the place of FILE.")
@overwrite_option
def repack(
    file: str,
    codec: str | None,
    level: int | None,
    shuffle: bool | None,
    chunk_bytes: str | None,
    storage: str | None,
    output: str | None,
    overwrite: bool,
) -> None:
    """Write an HDF5 file anew without what is unused in it, as lo.repack does."""
    import lazyomics as lo

    if output is not None:
        checked_output(output, overwrite=overwrite, inputs=(file,))
    with writing(output or file):
        made = lo.repack(
            file,
            codec=codec,
            level=level,
            shuffle=shuffle,
            chunk_bytes=chunk_bytes,
            storage=storage,
            out=output,
        )
    click.echo(str(made))
