"""``lazyomics recover``: what interrupted saves left, finished."""

from __future__ import annotations

from pathlib import Path

import click

from lazyomics.cli.failures import ExitCode
from lazyomics.cli.options import WorkCommand

__all__ = ["recover"]


@click.command(
    cls=WorkCommand, examples=("lazyomics recover a.h5ad", "lazyomics recover --check results/")
)
@click.argument("paths", nargs=-1, required=True, metavar="FILE|FOLDER...")
@click.option("--check", is_flag=True, help="Only look: exit code 1 if something was left.")
@click.option("--timeout", type=click.FloatRange(min=0), help="Seconds to wait for other programs.")
@click.pass_context
def recover(ctx: click.Context, paths: tuple[str, ...], check: bool, timeout: float | None) -> None:
    """Finish interrupted saves: all of a save is in the file afterwards, or nothing.

    Opening a file does the same; this is for files that nobody opens, or only reads where they
    may not be written.
    """
    from lazyomics.io.transaction.left_over import files_with_left_over, finish_save, left_over

    remaining = False
    for path in paths:
        is_folder = Path(path).is_dir()
        for file in files_with_left_over(path) if is_folder else [Path(path)]:
            left = left_over(file)
            if not check:
                if left or not is_folder:
                    after = finish_save(file, timeout=timeout)
                    remaining = remaining or bool(after)
                    words = _words(after) if after else "finished" if left else "nothing was left"
                    click.echo(f"{file}: {words}")
                continue
            if not file.exists() and not left:
                raise FileNotFoundError(f"{file} does not exist")
            remaining = remaining or bool(left)
            click.echo(f"{file}: {_words(left)}")
    ctx.exit(ExitCode.NO if remaining else ExitCode.DONE)


def _words(left: object) -> str:
    from lazyomics.io.transaction.left_over import LeftOver

    assert isinstance(left, LeftOver)
    parts = [left.journal] if left.journal else []
    if left.unfinished:
        parts.append(f"{len(left.unfinished)} files of saves that were not complete")
    if left.set_aside:
        parts.append(f"a journal that could not be used, {left.set_aside}")
    return "; ".join(parts) or "nothing was left"
