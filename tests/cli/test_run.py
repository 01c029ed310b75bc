"""``lazyomics run``: pipelines that are checked, run, and kept in the file."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lazyomics as lo
from lazyomics.cli.pipeline import read_pipeline
from lazyomics.io.difference import differences

ad = pytest.importorskip("anndata")

STEPS = """
input: {source}
output: {out}
compression: gzip
steps:
  - pp.filter_cells: {{min_genes: 8}}
  - subset: {{obs: 'kind != "NK cells"', genes: [g3, g4, g5, g6, g7, MT-0]}}
  - keep_layer: {{name: before}}
  - pp.normalize_total: {{target_sum: 1e4}}
  - pp.log1p
  - keep_raw
  - pp.pca: {{n_comps: 2}}
"""


def test_steps_are_those_of_python(call, small, tmp_path):
    out = tmp_path / "out.h5ad"
    (tmp_path / "p.yaml").write_text(STEPS.format(source=small, out=out))
    result = call("run", tmp_path / "p.yaml")
    assert result.stderr.splitlines()[-1] == "step 7 of 7: pp.pca"

    adata = lo.read_h5ad(small)
    lo.pp.filter_cells(adata, min_genes=8)
    genes = ["g3", "g4", "g5", "g6", "g7", "MT-0"]
    adata = adata[(adata.obs["kind"] != "NK cells").to_numpy(), genes]
    adata.layers["before"] = adata.X
    lo.pp.normalize_total(adata, target_sum=1e4)
    lo.pp.log1p(adata)
    adata.raw = adata
    lo.pp.pca(adata, n_comps=2)
    adata.write_h5ad(tmp_path / "expected.h5ad")
    found = lo.read_h5ad(out)
    record = found.uns.pop("lazyomics_run")
    assert not list(differences(found, lo.read_h5ad(tmp_path / "expected.h5ad")))

    assert [json.loads(line) for line in record["steps"]][3] == {
        "pp.normalize_total": {"target_sum": 1e4}
    }
    assert record["input"] == str(small)
    assert ad.read_h5ad(out).uns["lazyomics_run"]["version"] == lo.__version__
    call("run", tmp_path / "p.yaml", code=4)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            "pp.normalise_total: {}",
            "step 2: no verb 'pp.normalise_total'; did you mean 'pp.normalize_total'",
        ),
        ("log1p: {}", "no verb 'log1p'; did you mean 'pp.log1p'"),
        ("pp.log1p: {bse: 2}", "pp.log1p has no parameter 'bse'; did you mean 'base'"),
        ("pp.log1p: 2", "pp.log1p takes parameters by name"),
        ("pp.combat: {data: 1}", "combat"),
        ("pp.normalize_total: {adata: 1}", "adata is the input of the pipeline"),
        ("pp.calculate_qc_metrics: {}", "would be lost: set inplace: true"),
        ("pp.normalize_total: {inplace: false}", "would be lost"),
        ("tl.rank_genes_groups: {}", "needs the parameter 'groupby'"),
        ("subset: {obz: x}", "subset has no parameter 'obz'; did you mean 'obs'"),
        ("keep_layer: {}", "keep_layer needs the parameter 'name'"),
        ("{a: 1, b: 2}", "expected one verb"),
        ("pp.log1p: {base: 2, base: 3}", "the key 'base' is there twice"),
    ],
)
def test_what_is_not_there_fails_before_anything_runs(call, small, tmp_path, step, message):
    path, out = tmp_path / "p.yaml", tmp_path / "o.h5ad"
    path.write_text(f"input: {small}\noutput: {out}\nsteps:\n  - pp.log1p\n  - {step}\n")
    result = call("run", path, code=2)
    assert message in result.stderr
    assert "step 1 of" not in result.stderr
    assert not out.exists()


def test_files_that_are_no_pipelines(call, small, tmp_path):
    path = tmp_path / "p.yaml"
    for text, message in {
        "inptu: a\nsteps: [pp.log1p]": "no key 'inptu'; did you mean 'input'",
        "steps: []": "expected a list of steps",
        "- pp.log1p": "expected the keys",
        "steps: [": "is no YAML",
        "input: 3\nsteps: [pp.log1p]": "input is the name of a file",
        "steps: [pp.log1p]": "names no input",
    }.items():
        path.write_text(text)
        assert message in call("run", path, code=2).stderr
    call("run", tmp_path / "none.yaml", code=3)
    call("run", small, code=2)


def test_an_error_names_its_step(call, small, tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("steps:\n  - tl.rank_genes_groups: {groupby: knd}\n")
    result = call("run", path, "--input", small, "-o", tmp_path / "o.h5ad", code=2)
    assert "(step 1, tl.rank_genes_groups)" in result.stderr
    assert [p.name for p in tmp_path.glob("*.h5ad")] == ["small.h5ad"]


def test_toml_and_plain_values(call, tmp_path):
    toml, yaml = tmp_path / "p.toml", tmp_path / "p.yaml"
    toml.write_text(
        'input = "a.h5ad"\n[[steps]]\n"pp.normalize_total" = {target_sum = 1e4}\n'
        '[[steps]]\n"pp.log1p" = {}\n'
    )
    yaml.write_text("input: a.h5ad\nsteps:\n- pp.normalize_total: {target_sum: 1e4}\n- pp.log1p:\n")
    one, other = read_pipeline(str(toml)), read_pipeline(str(yaml))
    assert [(s.verb, s.parameters) for s in one.steps] == [
        (s.verb, s.parameters) for s in other.steps
    ]
    yaml.write_text(
        "steps:\n- subset: {obs: no, var: 1:30, cells: 010, genes: null, skip_missing: true}\n"
    )
    found = read_pipeline(str(yaml)).steps[0].parameters
    assert found == {
        "obs": "no",
        "var": "1:30",
        "cells": found["cells"],
        "genes": None,
        "skip_missing": True,
    }
    assert np.ndim(found["cells"]) == 0
    shown = json.loads(call("run", toml, "--dry-run").stdout)
    assert shown["steps"][1] == {"pp.log1p": {}}
