"""``lazyomics validate``: whether readers take a file."""

from __future__ import annotations

from dataclasses import asdict

import click

from lazyomics.cli.failures import ExitCode
from lazyomics.cli.options import WorkCommand
from lazyomics.cli.outputs import echo_json

__all__ = ["validate"]


@click.command(
    cls=WorkCommand,
    examples=("lazyomics validate a.h5ad", "lazyomics validate *.h5ad --strict --quiet"),
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--shapes-only", is_flag=True, help="Names, shapes and attributes, without values.")
@click.option("--strict", is_flag=True, help="Exit code 1 for warnings, too.")
@click.option("--quiet", is_flag=True, help="Print nothing of valid files.")
@click.option("--json", "as_json", is_flag=True, help="Print problems as JSON.")
@click.pass_context
def validate(
    ctx: click.Context,
    files: tuple[str, ...],
    shapes_only: bool,
    strict: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Read every element of each FILE, matrices in blocks; exit code 1 if a reader refuses one."""
    from lazyomics.io.checking import check_file

    refused, told = False, {}
    for file in files:
        problems = check_file(file, values=not shapes_only)
        errors = [p for p in problems if strict or p.severity == "error"]
        refused = refused or bool(errors)
        told[file] = [asdict(p) for p in problems]
        if as_json:
            continue
        for problem in problems:
            click.echo(f"{file}: {problem.severity}: {problem.element}: {problem.message}")
        if not quiet or errors:
            click.echo(f"{file}: {'not valid' if errors else 'valid'}")
    if as_json:
        echo_json(told)
    ctx.exit(ExitCode.NO if refused else ExitCode.DONE)
