"""``lazyomics convert``: other formats and old layouts to .h5ad and .h5mu, and back."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lazyomics.cli.concat import named_files
from lazyomics.cli.failures import ExitCode, Refusal
from lazyomics.cli.options import (
    WorkCommand,
    compression_options,
    overwrite_option,
    storing,
)
from lazyomics.cli.outputs import checked_output, write_object, writing
from lazyomics.cli.subset import OUTPUTS, check_kind

__all__ = ["convert"]

PLACE = "{modality}"
PACKED = (".gz", ".bz2")


@click.command(
    cls=WorkCommand,
    examples=(
        "lazyomics convert filtered_feature_bc_matrix.h5 a.h5ad",
        "lazyomics convert rna=a.h5ad prot=b.h5ad ab.h5mu",
        "lazyomics convert ab.h5mu '{modality}.h5ad'",
    ),
)
@click.argument("inputs", nargs=-1, required=True, metavar="[NAME=]IN...")
@click.argument("out")
@click.option("--modality", metavar="NAME", help="The modality of an .h5mu input to write.")
@click.option("--genome", help="The genome to keep of a 10x .h5 file.")
@click.option(
    "--all-features", is_flag=True, help="Keep features of 10x files that are no genes, too."
)
@click.option(
    "--var-names",
    type=click.Choice(["gene_symbols", "gene_ids"]),
    default="gene_symbols",
    show_default=True,
    help="Names of the genes of a 10x folder.",
)
@click.option("--transpose", is_flag=True, help="The rows of IN (csv, mtx) are genes.")
@click.option("--delimiter", help="Between columns of a text file; by default as its name says.")
@click.option("--storage", type=click.Choice(["csr", "csc"]), help="Order of sparse matrices.")
@compression_options
@overwrite_option
def convert(
    inputs: tuple[str, ...],
    out: str,
    modality: str | None,
    genome: str | None,
    all_features: bool,
    var_names: str,
    transpose: bool,
    delimiter: str | None,
    storage: str | None,
    compression: str | None,
    level: int | None,
    chunk_bytes: str | None,
    overwrite: bool,
) -> None:
    """Write IN as OUT, an .h5ad or .h5mu file in today's layout.

    IN is a 10x .h5 file or folder of matrix.mtx, .mtx, .csv, .tsv, .txt (also .gz), .loom, .h5ad or
    .h5mu file. Several as NAME=FILE become the modalities of an .h5mu; OUT with {modality} in its
    name takes one .h5ad for each modality of an .h5mu.
    """
    from lazyomics.io.any_format import refuse_zarr

    for name in (*inputs, out):
        refuse_zarr(name)
    options = storing(compression, level, chunk_bytes)
    options |= {} if storage is None else {"storage": storage}
    paths, names = named_files(inputs, None)
    if PLACE not in out:
        checked_output(out, overwrite=overwrite, inputs=tuple(paths), suffixes=OUTPUTS)
    if names is not None or len(paths) > 1:
        _together(paths, names, out, options)
        return
    only_10x = {"genome": genome, "gex_only": not all_features}
    texts: dict[str, Any] = {"var_names": var_names, "delimiter": delimiter, "transpose": transpose}
    if transpose and not _is_text(paths[0]):
        raise Refusal("--transpose is for csv and mtx files")
    if _is_text(paths[0]) or Path(paths[0]).is_dir():
        _from_text(paths[0], out, options, gex_only=not all_features, **texts)
        return
    data = _opened(paths[0], out, only_10x)
    if PLACE in out or modality is not None:
        _modalities(data, out, modality, options, overwrite, paths[0])
        return
    check_kind(data, out)
    write_object(data, out, options)


def _suffix(path: str) -> str:
    bare = path.lower()
    for packed in PACKED:
        bare = bare.removesuffix(packed)
    return Path(bare).suffix


def _is_text(path: str) -> bool:
    return _suffix(path) in (".mtx", ".csv", ".tsv", ".txt", ".tab")


def _opened(path: str, out: str, only_10x: dict[str, Any]) -> Any:
    """Open a file lazily; a 10x file as what the output is."""
    from lazyomics.io.any_format import kind_of_open, open_any
    from lazyomics.io.files import checked_path, open_for_reading

    if "://" in path or not Path(path).exists():  # a URL, or a modality
        return open_any(path)
    with open_for_reading(checked_path(path)) as file:
        kind = kind_of_open(file)
    if kind != "10x":
        if only_10x["genome"] is not None:
            raise Refusal("--genome is for 10x files")
        return open_any(path)
    options: dict[str, Any] = {k: v for k, v in only_10x.items() if v is not None}
    if out.endswith(".h5mu"):
        options |= {"modalities": True, "gex_only": False}
    return open_any(path, **options)


def _from_text(
    path: str,
    out: str,
    options: dict[str, Any],
    *,
    gex_only: bool,
    var_names: str,
    delimiter: str | None,
    transpose: bool,
) -> None:
    """Matrix Market files are streamed; tables of text are read into memory."""
    import lazyomics as lo

    if not out.endswith(".h5ad"):
        raise Refusal(f"{out}: the input has one modality: name an .h5ad file")
    folder = Path(path).is_dir()
    if not folder and _suffix(path) != ".mtx":
        sep = delimiter or ("," if _suffix(path) == ".csv" else "\t")
        adata = lo.read_text(path, sep.encode().decode("unicode_escape"))
        write_object(adata.T if transpose else adata, out, options)
        return

    def read(target: str) -> Any:
        if folder:
            return lo.read_10x_mtx(path, var_names=var_names, gex_only=gex_only, filename=target)  # type: ignore[arg-type]
        return lo.read_mtx(path, target=target)

    if not options and not transpose:
        with writing(out):
            read(out)
        return
    _through_a_file(read, out, options, transpose=transpose)


def _through_a_file(
    read: Callable[[str], Any], out: str, options: dict[str, Any], *, transpose: bool
) -> None:
    """Stream to a file beside the output, and from there in the form that was asked for."""
    import tempfile

    with writing(out), tempfile.TemporaryDirectory(dir=Path(out).absolute().parent) as scratch:
        adata = read(os.path.join(scratch, "matrix.h5ad"))
        (adata.T if transpose else adata).write_h5ad(out, **options)


def _together(paths: list[str], names: list[str] | None, out: str, options: dict[str, Any]) -> None:
    from lazyomics.container.mudata import MuData
    from lazyomics.io.any_format import open_any

    if names is None:
        raise Refusal("several inputs become modalities: name each, as in rna=a.h5ad")
    if not out.endswith(".h5mu"):
        raise Refusal(f"{out}: several modalities go into an .h5mu file (concat joins cells)")
    opened: dict[str, Any] = {n: open_any(path) for n, path in zip(names, paths, strict=True)}
    for name, data in opened.items():
        if isinstance(data, MuData):
            raise Refusal(f"{name} is an .h5mu file: name one modality, as FILE.h5mu/MODALITY")
    write_object(MuData(opened), out, options)


def _modalities(
    data: Any, out: str, modality: str | None, options: dict[str, Any], overwrite: bool, path: str
) -> None:
    """Write one modality, or each to a file of its own."""
    from lazyomics.cli.near import near_matches
    from lazyomics.container.mudata import MuData

    if not isinstance(data, MuData):
        raise Refusal("--modality and {modality} are for .h5mu files", ExitCode.USAGE)
    if modality is not None and modality not in data.mod:
        raise Refusal(f"no modality {modality!r}{near_matches(modality, data.mod, 'there are')}")
    chosen = list(data.mod) if modality is None else [modality]
    goals = {name: out.replace(PLACE, name) for name in chosen}
    for goal in goals.values():  # all of them before the first is written
        checked_output(goal, overwrite=overwrite, inputs=(path,), suffixes=(".h5ad",))
    for name, goal in goals.items():
        write_object(data.mod[name], goal, options)
        click.echo(goal, err=True)
