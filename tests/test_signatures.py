"""Parameters of the verbs that scanpy also has: names, order, kinds and defaults are scanpy's."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import pytest

import lazyomics as lo

sc = pytest.importorskip("scanpy", reason="compares with scanpy")
anndata = pytest.importorskip("anndata", reason="compares with anndata")

SPACES = ("pp", "tl", "get", "metrics")
SHARED = [
    f"{space}.{verb}"
    for space in SPACES
    for verb in getattr(lo, space).__all__
    if hasattr(getattr(sc, space), verb)
]
OWN = {"pp.binarize", "pp.clr", "pp.tfidf", "tl.lsi", "tl.mofa", "get.group_stats"}
OWN |= {"pp.filter_obs", "pp.filter_var", "pp.intersect_obs", "pp.sample_obs"}
NEWER_VERBS = {"metrics.modularity"}  # not in every scanpy that is supported
NEWER = "a newer scanpy has it, so that scripts for it run whichever scanpy is installed"

# Parameters that only lazyomics has, and why. Where they stand does not matter: they take keywords.
ADDED: dict[tuple[str, str], str] = {
    ("pp.pca", "tol"): "how exact the components of very many genes are",
    ("pp.pca", "max_passes"): "how often the file may be read for the components",
    ("tl.pca", "tol"): "as in pp.pca",
    ("tl.pca", "max_passes"): "as in pp.pca",
    ("pp.pca", "obsm"): NEWER,
    ("tl.pca", "obsm"): NEWER,
    ("pp.normalize_total", "obsm"): NEWER,
    ("pp.neighbors", "recall"): "share of the true neighbours that the own search is to find",
    ("pp.neighbors", "distances"): NEWER,
    ("pp.highly_variable_genes", "filter_unexpressed_genes"): NEWER,
    ("tl.tsne", "n_components"): NEWER,
    ("metrics.morans_i", "neighbors_key"): NEWER,
    ("metrics.gearys_c", "neighbors_key"): NEWER,
}
NEWER_PARAMETERS = {key for key, reason in ADDED.items() if reason == NEWER}

# Defaults that differ, and why. None is taken too, and means what it means in scanpy.
OTHER_DEFAULTS: dict[tuple[str, str], str] = {
    ("pp.pca", "mask_var"): "a mark of our own for 'highly variable genes, if there are any'",
    ("tl.pca", "mask_var"): "as in pp.pca",
    ("pp.neighbors", "metric"): "None as in newer scanpy, 'euclidean' before: which None means",
    ("tl.leiden", "flavor"): "None in newer scanpy, which then takes 'leidenalg' and warns",
}


def parameters(module: Any, verb: str) -> dict[str, inspect.Parameter]:
    space, name = verb.split(".")
    return dict(inspect.signature(getattr(getattr(module, space), name)).parameters)


def plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def test_every_verb_is_either_shared_or_our_own() -> None:
    every = {f"{space}.{verb}" for space in SPACES for verb in getattr(lo, space).__all__}
    assert every == {*SHARED, *OWN, *NEWER_VERBS}


@pytest.mark.parametrize("verb", SHARED)
def test_parameters_are_scanpys(verb: str) -> None:
    ours, theirs = parameters(lo, verb), parameters(sc, verb)
    added = {name for name in ours if name not in theirs}
    assert added <= {name for where, name in ADDED if where == verb}
    assert all(ours[name].kind is inspect.Parameter.KEYWORD_ONLY for name in added)
    assert [name for name in ours if name not in added] == list(theirs)
    for name, theirs_has in theirs.items():
        assert ours[name].kind is theirs_has.kind, name
        if (verb, name) not in OTHER_DEFAULTS:
            assert plain(ours[name].default) == plain(theirs_has.default), name


@pytest.mark.parametrize(("verb", "name"), [*ADDED, *OTHER_DEFAULTS])
def test_the_tables_name_what_is_there(verb: str, name: str) -> None:
    assert name in parameters(lo, verb)
    if (verb, name) in ADDED and (verb, name) not in NEWER_PARAMETERS:
        assert name not in parameters(sc, verb)


READERS = [
    *("read_10x_mtx", "read_csv", "read_excel", "read_hdf", "read_loom", "read_mtx", "read_text"),
    *("read_umi_tools", "read_elem", "write_elem"),
]
# Parameters of readers that only lazyomics has: where to stream to, and what newer scanpy has.
ADDED_TO_READERS = {
    ("read_10x_mtx", "filename"),
    ("read_10x_mtx", "compressed"),
    ("read_mtx", "target"),
}


@pytest.mark.parametrize("name", READERS)
def test_parameters_of_readers_are_scanpys(name: str) -> None:
    reference = getattr(sc, name, None) or getattr(anndata.io, name)
    ours, theirs = (dict(inspect.signature(f).parameters) for f in (getattr(lo, name), reference))
    theirs.pop("kwargs", None)
    added = {parameter for parameter in ours if parameter not in theirs}
    assert added <= {parameter for where, parameter in ADDED_TO_READERS if where == name}
    assert all(ours[parameter].kind is inspect.Parameter.KEYWORD_ONLY for parameter in added)
    assert [parameter for parameter in ours if parameter not in added] == list(theirs)
    for parameter, their in theirs.items():
        assert ours[parameter].kind is their.kind, parameter
        if parameter != "cache_compression":  # a mark for the value in settings, in both
            assert plain(ours[parameter].default) == plain(their.default), parameter
