"""Options that all commands have: memory, threads, scheduler, progress, debug."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import click
import dask.config
from dask.utils import parse_bytes

from lazyomics.cli.failures import ExitCode, Refusal

__all__ = ["WorkCommand", "compression_options", "output_option", "overwrite_option", "storing"]

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

_SECONDS_TO_REACH_A_SCHEDULER = 10
_THREADS_OF_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class MemorySize(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Bytes, a text such as ``2GiB``, or a share of what is available such as ``25%``."""

    name = "size"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        text = str(value).strip()
        try:
            number = float(text[:-1]) if text.endswith("%") else parse_bytes(text)
        except ValueError:
            number = 0
        if not number > 0:
            self.fail(f"{text!r} is no size such as 2GiB, or share such as 25%", param, ctx)
        return text


def _set_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and ctx.obj is not None:
        ctx.obj.debug = True


def _options() -> list[click.Option]:
    return [
        click.Option(
            ["--memory"],
            type=MemorySize(),
            help="What may be held besides blocks in flight: 2GiB, or a share such as 25%.",
        ),
        click.Option(["--threads"], type=click.IntRange(min=1), help="Number of threads."),
        click.Option(["--scheduler"], metavar="ADDRESS", help="Compute on a dask cluster."),
        click.Option(
            ["--progress/--no-progress"],
            default=None,
            help="Progress bars on standard error; by default on a terminal.",
        ),
        click.Option(
            ["--debug"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_set_debug,
            help="Show the traceback of an error.",
        ),
    ]


class WorkCommand(click.Command):
    """A command with the options that all have, in effect while it runs.

    Parameters
    ----------
    examples
        Lines that the help ends with.
    """

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += _options()
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are."""
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(f"  {line}\n")

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command with the settings that were asked for."""
        names = ("memory", "threads", "scheduler", "progress")
        chosen = {name: ctx.params.pop(name) for name in names}
        with working(**chosen):
            return super().invoke(ctx)


@contextmanager
def working(
    memory: str | None, threads: int | None, scheduler: str | None, progress: bool | None
) -> Iterator[None]:
    """Put settings in effect for a while.

    Parameters
    ----------
    memory
        ``lazyomics.memory``.
    threads
        Of dask, and of the libraries that multiply matrices.
    scheduler
        Address of a cluster, or the file that its scheduler wrote.
    progress
        Whether bars are shown; by default on a terminal.
    """
    with ExitStack() as stack:
        if memory is not None:
            stack.enter_context(dask.config.set({"lazyomics.memory": memory}))
        if threads is not None:
            stack.enter_context(_limited(threads))
        if sys.stderr.isatty() if progress is None else progress:
            from dask.diagnostics import ProgressBar

            stack.enter_context(ProgressBar(minimum=1.0, out=sys.stderr))
        if scheduler is not None:
            stack.enter_context(_connected(scheduler))
        yield


@contextmanager
def _limited(threads: int) -> Iterator[None]:
    from threadpoolctl import threadpool_limits

    before = {name: os.environ.get(name) for name in _THREADS_OF_LIBRARIES}
    os.environ.update(dict.fromkeys(_THREADS_OF_LIBRARIES, str(threads)))
    try:
        with dask.config.set(num_workers=threads), threadpool_limits(limits=threads):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _connected(address: str) -> Iterator[None]:
    from lazyomics.errors import require

    distributed = require("distributed", extra="distributed", purpose="--scheduler")
    where = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
    if "scheduler_file" in where and not os.path.exists(address):
        raise Refusal(f"--scheduler: the file {address} does not exist", ExitCode.INPUT)
    try:
        client = distributed.Client(**where, timeout=_SECONDS_TO_REACH_A_SCHEDULER)
    except (OSError, ValueError) as error:
        raise Refusal(
            f"--scheduler: no scheduler answers at {address} ({error})", ExitCode.BUSY
        ) from error
    with client:
        yield


def output_option(*, required: bool = True, help: str = "The new file.") -> Decorator:
    """Return the option ``-o``."""
    return click.option(
        "-o", "--output", required=required, metavar="OUT", help=help, type=click.Path()
    )


def overwrite_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option ``--overwrite``."""
    return click.option(
        "--overwrite", is_flag=True, help="Replace the output if it exists, when all is written."
    )(function)


def compression_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how a new file is stored."""
    for option in (
        click.option(
            "--compression",
            metavar="NAME",
            help="Filter: gzip, lzf, zstd, lz4, blosc or none; by default as in the input.",
        ),
        click.option("--level", type=int, help="Level of the filter."),
        click.option("--chunk-bytes", type=MemorySize(), help="Decoded bytes of a chunk."),
    ):
        function = option(function)
    return function


def storing(compression: str | None, level: int | None, chunk_bytes: str | None) -> dict[str, Any]:
    """Return the same as arguments of ``write_h5ad``."""
    named = {"compression": compression, "compression_opts": level, "chunk_bytes": chunk_bytes}
    return {name: value for name, value in named.items() if value is not None}
