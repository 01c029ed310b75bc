"""Where results go: new files that appear when they are complete, and standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lazyomics.cli.failures import ExitCode, Refusal
from lazyomics.errors import RemoteFileError, StaleFileError, require

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["checked_output", "echo_json", "table_format", "write_object", "write_table", "writing"]

STANDARD_OUTPUT = "-"
TABLES = {".csv": "csv", ".tsv": "tsv", ".parquet": "parquet", ".pq": "parquet"}


def checked_output(
    output: str, *, overwrite: bool, inputs: tuple[str, ...] = (), suffixes: tuple[str, ...] = ()
) -> None:
    """Make sure that a result can go where it should, before anything is computed.

    Parameters
    ----------
    output
        Name of a file, or ``"-"``.
    overwrite
        Whether a file that is there may be replaced.
    inputs
        Files that it must not be.
    suffixes
        Of which its name must have one; none for any.

    Raises
    ------
    Refusal
        If it exists, is an input, or its folder does not exist.
    """
    if output == STANDARD_OUTPUT:
        return
    if suffixes and not output.lower().endswith(suffixes):
        raise Refusal(f"-o {output}: expected a name that ends in {' or '.join(suffixes)}")
    path = Path(output)
    folder = path.parent
    if not folder.is_dir():
        raise Refusal(f"-o {output}: the folder {folder} does not exist", ExitCode.OUTPUT)
    if path.is_dir():
        raise Refusal(f"-o {output} is a folder, expected the name of a file", ExitCode.OUTPUT)
    if not path.exists():
        if not os.access(folder, os.W_OK):
            raise Refusal(f"-o {output}: no file can be made in {folder}", ExitCode.OUTPUT)
        return
    for name in inputs:
        if os.path.exists(name) and os.path.samefile(name, path):
            raise Refusal(f"-o {output} is an input: choose another name")
    if not overwrite:
        raise Refusal(f"{output} exists: pass --overwrite to replace it", ExitCode.OUTPUT)


@contextmanager
def writing(output: str) -> Iterator[None]:
    """Name the output in errors of the system that happen while it is written."""
    try:
        yield
    except (BlockingIOError, StaleFileError, RemoteFileError, BrokenPipeError):
        raise
    except OSError as error:
        text = error.strerror if error.strerror and error.filename is None else str(error)
        text = text if output in text else f"{output}: {text}"
        raise Refusal(text, ExitCode.OUTPUT) from error


def write_object(data: Any, output: str, options: dict[str, Any]) -> None:
    """Stream an AnnData or MuData to a new file.

    Parameters
    ----------
    data
        The object.
    output
        Its file.
    options
        Of ``write_h5ad``.
    """
    with writing(output):
        data.write(output, **options)


def table_format(output: str, asked: str | None) -> str:
    """Return the format of a table: as asked, or as the name says; csv on standard output."""
    if asked is not None:
        return asked
    suffix = Path(output.removesuffix(".gz")).suffix.lower()
    if output == STANDARD_OUTPUT:
        return "csv"
    if suffix not in TABLES:
        raise Refusal(f"-o {output}: expected a name that ends in {' or '.join(TABLES)}")
    return TABLES[suffix]


def write_table(frame: pd.DataFrame, output: str, form: str, *, index: bool = True) -> None:
    """Write a table: to a file that appears when it is complete, or to standard output.

    Parameters
    ----------
    frame
        The table.
    output
        Name of the file, or ``"-"``.
    form
        ``"csv"``, ``"tsv"`` or ``"parquet"``.
    index
        Whether row names are a column.
    """
    if form == "parquet":
        require("pyarrow", extra="parquet", purpose="writing parquet")
        if output == STANDARD_OUTPUT:
            raise Refusal("parquet is not written to standard output: name a file with -o")
    sep = "\t" if form == "tsv" else ","
    if output == STANDARD_OUTPUT:
        frame.to_csv(sys.stdout, sep=sep, index=index, lineterminator="\n")
        return
    from lazyomics.io.replaced import replaced_file

    with writing(output), replaced_file(output) as temporary:
        if form == "parquet":
            frame.to_parquet(temporary, engine="pyarrow", index=index)
        else:
            packed: Any = "gzip" if output.endswith(".gz") else None
            frame.to_csv(temporary, sep=sep, index=index, compression=packed, lineterminator="\n")


def echo_json(value: Any) -> None:
    """Print a value as JSON."""
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))
