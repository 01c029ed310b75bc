"""``lazyomics info``: what a file holds, and how it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lazyomics.cli.options import WorkCommand
from lazyomics.cli.outputs import echo_json

if TYPE_CHECKING:
    from lazyomics.io.describing import ElementInfo, FileInfo

__all__ = ["info"]

HEADS = ("element", "encoding", "shape", "dtype", "stored", "ratio", "chunks", "filters")
MOST_COLUMNS = 60


@click.command(
    cls=WorkCommand,
    examples=("lazyomics info a.h5ad", "lazyomics info a.h5mu --json | jq .elements[].name"),
)
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="All that is known, as JSON.")
@click.option("--all", "show_all", is_flag=True, help="Every column and entry, however many.")
def info(file: str, as_json: bool, show_all: bool) -> None:
    """Show the format, layout and elements of FILE: no values are read.

    FILE is an .h5ad, .h5mu, FILE.h5mu/MODALITY, 10x .h5, .loom or other HDF5 file. Damaged elements
    are listed with what is wrong, and do not change the exit code: that is for validate.
    """
    from lazyomics.io.describing import describe_file

    found = describe_file(file)
    if as_json:
        echo_json(found.as_dict())
        return
    for line in _summary(found):
        click.echo(line)
    rows = [_row(element) for element in found.elements if element.name]
    hidden = 0 if show_all else max(0, len(rows) - MOST_COLUMNS)
    damaged = [element for element in found.elements if element.damage]
    _table([HEADS, *rows[: len(rows) - hidden]])
    if hidden:
        click.echo(f"… {hidden} more elements (--all shows them)")
    for element in damaged:
        click.echo(f"damaged: {element.name or '/'}: {element.damage}")


def _summary(found: FileInfo) -> list[str]:
    from dask.utils import format_bytes

    size = "" if found.shape is None else f", {found.shape[0]} cells × {found.shape[1]} genes"
    lines = [f"{found.path}: {found.kind}{size}, {format_bytes(found.size)}"]
    if found.layout:
        lines.append(f"layout: {found.layout}")
    legacy = sum(element.is_legacy for element in found.elements)
    if found.kind in ("h5ad", "h5mu") and legacy:
        lines.append(f"legacy: {legacy} of {len(found.elements)} elements name no encoding")
    if found.unused > found.size // 10:
        lines.append(f"unused: {format_bytes(found.unused)} (texts count as unused)")
    if found.saves:
        lines.append(f"saves: {found.saves} recorded, the last by {found.last_save}")
    if found.left_over:
        left = found.left_over
        lines.append(f"interrupted save: {left.journal or 'not complete'} (lazyomics recover)")
    return lines


def _row(element: ElementInfo) -> tuple[str, ...]:
    from dask.utils import format_bytes

    if element.damage:
        return (element.name, "damaged", "", "", "", "", "", "")
    kind = element.encoding + (" (legacy)" if element.is_legacy else "")
    main: Any = None
    for name in ("data", "codes", "values", "", *element.datasets):
        main = main or element.datasets.get(name)
    shape = "" if element.shape is None else " × ".join(map(str, element.shape))
    values = "" if element.values is None else f", {element.values} stored"
    if main is None:
        return (element.name, kind, shape, "", "", "", "", element.note)
    packed = element.stored_bytes and main.dtype != "text"  # the bytes of texts are not known
    ratio = element.decoded_bytes / element.stored_bytes if packed else 0
    chunks = "contiguous" if main.chunks is None else " × ".join(map(str, main.chunks))
    filters = ", ".join(main.filters) or "none"
    return (
        element.name,
        kind,
        shape + values,
        element.dtype,
        format_bytes(element.stored_bytes),
        f"{ratio:.1f}" if ratio else "",
        chunks if element.shape else "",
        filters + (f"; {element.note}" if element.note else "") if element.shape else element.note,
    )


def _table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[k]) for row in rows) for k in range(len(HEADS))]
    for row in rows:
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())
