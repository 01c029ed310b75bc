"""``lazyomics run``: the steps of a pipeline file."""

from __future__ import annotations

import json
from typing import Any

import click

from lazyomics.cli.failures import Refusal
from lazyomics.cli.options import WorkCommand, overwrite_option
from lazyomics.cli.outputs import checked_output, echo_json, write_object
from lazyomics.cli.pipeline import Pipeline, Step, read_pipeline
from lazyomics.cli.subset import OUTPUTS, check_kind

__all__ = ["run"]

RECORD = "lazyomics_run"


@click.command(
    cls=WorkCommand,
    examples=(
        "lazyomics run pipeline.yaml",
        "lazyomics run pipeline.toml --input a.h5ad -o b.h5ad",
    ),
)
@click.argument("pipeline")
@click.option("--input", "source", metavar="FILE", help="Instead of the input that it names.")
@click.option("-o", "--output", metavar="OUT", help="Instead of the output that it names.")
@overwrite_option
@click.option("--dry-run", is_flag=True, help="Check the pipeline and print its steps as JSON.")
@click.option("--quiet", is_flag=True, help="Do not name the steps on standard error.")
def run(
    pipeline: str,
    source: str | None,
    output: str | None,
    overwrite: bool,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Run the steps of PIPELINE, a .yaml, .toml or .json file, and write the result.

    Steps are verbs with their parameters as in Python, such as 'pp.normalize_total: {target_sum:
    1e4}', and subset, keep_raw and keep_layer. They are checked before anything is computed; the
    output says in uns["lazyomics_run"] which they were.
    """
    from lazyomics.io.any_format import open_any

    found = read_pipeline(pipeline)
    source, output = source or found.input, output or found.output
    if dry_run:
        steps = [{step.verb: step.parameters} for step in found.steps]
        echo_json({"input": source, "output": output, "steps": steps})
        return
    for name, value in (("input", source), ("output", output)):
        if value is None:
            raise Refusal(f"{pipeline} names no {name}: give it as --{name}")
    assert source is not None
    assert output is not None
    checked_output(output, overwrite=overwrite, inputs=(source,), suffixes=OUTPUTS)
    data: Any = open_any(source)
    if not any(step.verb == "get.aggregate" for step in found.steps):
        check_kind(data, output)
    for number, step in enumerate(found.steps, 1):
        if not quiet:
            click.echo(f"step {number} of {len(found.steps)}: {step.verb}", err=True)
        data = _done(step, number, data)
    data.uns[RECORD] = _record(found, source)
    write_object(data, output, found.storing)


def _done(step: Step, number: int, data: Any) -> Any:
    from lazyomics.container import AnnData
    from lazyomics.container.mudata import MuData

    try:
        made = step(data)
    except Exception as error:
        error.add_note(f"step {number}, {step.verb}")
        raise
    if not isinstance(made, AnnData | MuData):
        raise Refusal(
            f"step {number}, {step.verb}: it returned {type(made).__name__} instead of changing "
            "the object, and that would be lost"
        )
    return made


def _record(pipeline: Pipeline, source: str) -> dict[str, Any]:
    """What ran, as the file keeps it: each step as a line of JSON."""
    import numpy as np

    import lazyomics

    lines = [json.dumps({step.verb: step.parameters}) for step in pipeline.steps]
    return {
        "version": lazyomics.__version__,
        "input": source,
        "steps": np.array(lines, dtype=object),
    }
