"""The group of all commands, and how each of them ends."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import click

from lazyomics.cli.failures import ExitCode, exit_code_of, message_of
from lazyomics.cli.near import near_matches
from lazyomics.importing import import_whole

__all__ = ["COMMANDS", "Invocation", "cli", "main"]

COMMANDS = {
    "info": "What a file holds, and how it is stored.",
    "validate": "Whether readers take a file; reads every element.",
    "subset": "Cells and genes of a file, by expressions and lists.",
    "concat": "Several files as one.",
    "convert": "Other formats and old layouts to .h5ad and .h5mu, and back.",
    "repack": "The same file with other filters, chunks or order.",
    "transpose": "X or a layer stored by the other axis.",
    "add-gene-major": "A copy of X by genes, so that one gene is read alone.",
    "qc": "Quality-control metrics of cells and genes.",
    "run": "The steps of a pipeline file.",
    "pseudobulk": "Sums, means, … of groups of cells.",
    "export": "Tables, coordinates and markers as csv or parquet.",
    "diff": "In which elements and values two files differ.",
    "recover": "What interrupted saves left, finished.",
}


@dataclass
class Invocation:
    """State of one call of the command line."""

    debug: bool = False
    terminated: bool = False


class Commands(click.Group):
    """Commands that are imported when they are called, and errors on one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        found: click.Command = getattr(import_whole(f"lazyomics.cli.{name}"), name)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(
                f"no command {args[0]!r}{near_matches(args[0], COMMANDS, 'there are')}", ctx
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List all commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(
        self,
        args: Any = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and exit with one of the documented codes."""
        invocation = Invocation()

        def run() -> Any:
            with _one_line_warnings(invocation), _stopped_by_signals(invocation):
                return super(Commands, self).main(
                    args,
                    prog_name or "lazyomics",
                    complete_var,
                    standalone_mode=False,
                    windows_expand_args=windows_expand_args,
                    obj=invocation,
                    **extra,
                )

        if not standalone_mode:
            return run()
        sys.exit(_exit_code(run, invocation))

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command; a closed pipe ends it."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # The interpreter flushes standard output once more when it ends.
            with contextlib.suppress(OSError, ValueError, AttributeError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(ExitCode.PIPE_CLOSED) from None
        return result


def _exit_code(run: Callable[[], Any], invocation: Invocation) -> int:
    """Run, print what went wrong, and return the exit code."""
    try:
        result = run()
    except (KeyboardInterrupt, click.Abort):
        code = ExitCode.TERMINATED if invocation.terminated else ExitCode.INTERRUPTED
        click.echo(
            f"lazyomics: {'terminated' if invocation.terminated else 'interrupted'}", err=True
        )
        return code
    except SystemExit:
        raise
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    except Exception as error:
        if invocation.debug:
            traceback.print_exc()
        click.echo(f"lazyomics: error: {message_of(error)}", err=True)
        return exit_code_of(error)
    return result if isinstance(result, int) else ExitCode.DONE


_QUIET = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ImportWarning)


@contextlib.contextmanager
def _one_line_warnings(invocation: Invocation) -> Iterator[None]:
    """Print warnings for users on one line, and those for programmers not at all."""

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if invocation.debug or not issubclass(category, _QUIET):
            click.echo(f"lazyomics: warning: {' '.join(str(message).split())}", err=True)

    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("ignore", ResourceWarning)
        warnings.showwarning = show
        yield


@contextlib.contextmanager
def _stopped_by_signals(invocation: Invocation) -> Iterator[None]:
    """Let SIGTERM, which workflow managers send, stop the work as Ctrl-C does.

    The library waits with Ctrl-C where nothing may be left undone, so that SIGTERM becomes one.
    What a shell starts in the background ignores Ctrl-C, and would ignore SIGTERM with it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        invocation.terminated = True
        signal.raise_signal(signal.SIGINT)

    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGTERM: signal.signal(signal.SIGTERM, terminate),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        import lazyomics

        click.echo(f"lazyomics {lazyomics.__version__}")
        ctx.exit()


@click.command(
    "lazyomics",
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done; 1 files differ or are not valid; 2 usage; 3 input; 4 output; "
    "5 busy, try again; 6 a package is missing; 70 unexpected; 130 Ctrl-C; 143 SIGTERM.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Work on single-cell files (.h5ad, .h5mu) that are larger than memory."""


def main() -> None:
    """Run the command line of this process."""
    cli.main()
