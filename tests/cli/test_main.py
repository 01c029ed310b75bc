"""The group of commands: help, exit codes, errors on one line, settings."""

from __future__ import annotations

import subprocess
import sys

import dask.config
import pytest

from lazyomics import errors
from lazyomics.cli import options
from lazyomics.cli.failures import ExitCode, exit_code_of, message_of
from lazyomics.cli.main import COMMANDS


def test_help_lists_commands_without_importing_them():
    code = (
        "import sys\nfrom lazyomics.cli.main import cli\n"
        "try:\n    cli.main(['--help'])\nfinally:\n    print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in COMMANDS)
    loaded = set(done.stderr.split())
    assert not loaded & {"lazyomics.cli.subset", "dask", "h5py", "numba", "numpy", "pandas"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_examples_and_the_common_options(call, name):
    text = call(name, "--help").stdout
    for option in ("--memory", "--threads", "--scheduler", "--progress", "--debug"):
        assert option in text
    assert f"Examples:\n  lazyomics {name} " in text


def test_names_that_are_not_there(call):
    assert "did you mean 'subset'?" in call("subzet", code=2).stderr
    assert "--obz" in call("subset", "a.h5ad", "--obz", "x", code=2).stderr
    assert "(see lazyomics subset --help)" in call("subset", code=2).stderr


def test_no_command_shows_the_help():
    done = subprocess.run(
        [sys.executable, "-m", "lazyomics"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: lazyomics ")


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FileNotFoundError("x"), 3),
        (errors.FileFormatError("x"), 3),
        (errors.UnsupportedError("x"), 3),
        (OSError(28, "No space left on device"), 4),
        (MemoryError("x"), 4),
        (BlockingIOError(11, "x"), 5),
        (errors.ConflictError("x"), 5),
        (errors.StaleFileError("x"), 5),
        (errors.MissingDependencyError("x"), 6),
        (ZeroDivisionError("x"), 70),
        (raised(ValueError("x")), 70),  # not of this package
    ],
)
def test_exit_codes(error, code):
    assert exit_code_of(error) == code
    assert "\n" not in message_of(error)


def test_wrong_arguments_are_told_from_other_failures(call, small, tmp_path):
    result = call(
        "transpose", small, "--to", "csc", "--layer", "x", "-o", tmp_path / "o.h5ad", code=2
    )
    assert "no layer 'x'; there are ['counts']" in result.stderr


def test_debug_shows_where(call, tmp_path):
    result = call("info", tmp_path / "none.h5ad", "--debug", code=3)
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("lazyomics: error: ")


def test_settings_are_in_effect_only_meanwhile():
    before = dask.config.get("num_workers", None)
    with options.working("1 GiB", 3, None, False):
        assert dask.config.get("lazyomics.memory") == "1 GiB"
        assert dask.config.get("num_workers") == 3
    assert dask.config.get("num_workers", None) == before
    assert dask.config.get("lazyomics.memory") != "1 GiB"


def test_settings_that_make_no_sense(call, small):
    assert "no size" in call("validate", small, "--memory", "much", code=2).stderr
    call("validate", small, "--threads", "0", code=2)
    call("validate", small, "--memory", "20%", "--threads", "2", "--no-progress")


def test_progress_is_on_standard_error(call, small):
    result = call("export", small, "obs", "--genes", "g5", "--progress")
    assert result.stdout.startswith(",kind,donor")
    assert "#" not in result.stdout


def test_a_scheduler_that_is_not_there(call, small, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(options, "_SECONDS_TO_REACH_A_SCHEDULER", 0.2)
    result = call("validate", small, "--scheduler", "tcp://127.0.0.1:1", code=5)
    assert "no scheduler answers at tcp://127.0.0.1:1" in result.stderr
    call("validate", small, "--scheduler", "none.json", code=3)


def test_completion():
    from click.testing import CliRunner

    from lazyomics.cli.main import cli

    words = {
        "COMP_WORDS": "lazyomics su",
        "COMP_CWORD": "1",
        "_LAZYOMICS_COMPLETE": "bash_complete",
    }
    result = CliRunner().invoke(cli, [], env=words)
    assert result.stdout.split() == ["plain,subset"]


def test_the_codes_are_the_documented_ones(call):
    text = " ".join(call("--help").stdout.split())
    for code in ExitCode:
        if code not in (ExitCode.PIPE_CLOSED,):
            assert f"{int(code)} " in text
