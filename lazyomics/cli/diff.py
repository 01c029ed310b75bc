"""``lazyomics diff``: in which elements and values two files differ."""

from __future__ import annotations

from dataclasses import asdict
from fnmatch import fnmatchcase
from itertools import islice

import click

from lazyomics.cli.failures import ExitCode, Refusal
from lazyomics.cli.options import WorkCommand
from lazyomics.cli.outputs import echo_json

__all__ = ["diff"]


@click.command(
    cls=WorkCommand,
    examples=(
        "lazyomics diff a.h5ad b.h5ad",
        "lazyomics diff a.h5ad b.h5ad --rtol 1e-6 --ignore 'uns/*' --ignore obs/batch",
    ),
)
@click.argument("a")
@click.argument("b")
@click.option("--rtol", type=click.FloatRange(min=0), default=0.0, help="Relative tolerance.")
@click.option("--atol", type=click.FloatRange(min=0), default=0.0, help="Absolute tolerance.")
@click.option("--ignore", multiple=True, metavar="PATTERN", help="Elements to leave out: 'uns/*'.")
@click.option("--quiet", is_flag=True, help="Print nothing, and stop at the first difference.")
@click.option("--json", "as_json", is_flag=True, help="Print differences as JSON.")
@click.pass_context
def diff(
    ctx: click.Context,
    a: str,
    b: str,
    rtol: float,
    atol: float,
    ignore: tuple[str, ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Compare elements, types and values of A and B; exit code 1 if they differ.

    Rows are compared by their place. How matrices are stored (sparse, dense, filters) does not
    count.
    """
    from lazyomics.io.any_format import open_any
    from lazyomics.io.difference import Tolerance, differences

    objects = open_any(a), open_any(b)
    if type(objects[0]) is not type(objects[1]):
        kinds = [type(x).__name__ for x in objects]
        raise Refusal(f"{a} holds {kinds[0]}, {b} {kinds[1]}: name one modality of it")

    def ignored(element: str) -> bool:
        return any(fnmatchcase(element, pattern) for pattern in ignore)

    found = differences(*objects, tolerance=Tolerance(rtol, atol), ignore=ignored)
    listed = []
    for difference in islice(found, 1) if quiet else found:
        listed.append(difference)
        if not quiet and not as_json:
            click.echo(f"{difference.element}: {difference.message}")
    if as_json and not quiet:
        echo_json([asdict(difference) for difference in listed])
    ctx.exit(ExitCode.NO if listed else ExitCode.DONE)
