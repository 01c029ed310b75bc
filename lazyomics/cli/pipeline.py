"""Pipeline files: read, and checked before anything is computed."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lazyomics.cli.failures import ExitCode, Refusal
from lazyomics.cli.near import near_matches

__all__ = ["OWN_STEPS", "Pipeline", "Step", "read_pipeline"]

#: Where verbs are, and which of a package's functions are no steps.
PACKAGES = ("pp", "tl", "experimental.pp", "external.pp")
OTHER_VERBS = ("get.aggregate",)
KEYS = ("input", "output", "steps", "compression", "level", "chunk_bytes", "storage")


def _subset(data: Any, **chosen: Any) -> Any:
    from lazyomics.cli.subset import select

    for name in ("cells", "genes"):
        if isinstance(chosen.get(name), list):
            chosen[name] = ",".join(map(str, chosen[name]))
    return select(data, **chosen)


def _keep_raw(data: Any) -> None:
    data.raw = data


def _keep_layer(data: Any, name: str) -> None:
    data.layers[name] = data.X


@dataclass(frozen=True)
class OwnStep:
    """A step that is no verb of the library."""

    function: Callable[..., Any]
    parameters: tuple[str, ...]
    required: tuple[str, ...] = ()


OWN_STEPS = {
    "subset": OwnStep(_subset, ("obs", "var", "cells", "genes", "skip_missing", "allow_empty"), ()),
    "keep_raw": OwnStep(_keep_raw, ()),
    "keep_layer": OwnStep(_keep_layer, ("name",), ("name",)),
}


@dataclass(frozen=True)
class Step:
    """One step: a verb and its parameters.

    Attributes
    ----------
    verb
        Such as ``"pp.normalize_total"``.
    parameters
        As in Python.
    function
        What is called with an object and these.
    """

    verb: str
    parameters: dict[str, Any]
    function: Callable[..., Any] = field(repr=False)

    def __call__(self, data: Any) -> Any:
        """Run the step; return the object to go on with."""
        found = self.function(data, **self.parameters)
        return data if found is None else found


@dataclass(frozen=True)
class Pipeline:
    """Input, output and steps."""

    input: str | None
    output: str | None
    steps: tuple[Step, ...]
    storing: dict[str, Any]


def read_pipeline(path: str) -> Pipeline:
    """Read a pipeline, and make sure that its verbs and parameters exist.

    Parameters
    ----------
    path
        A .yaml, .yml, .toml or .json file.

    Returns
    -------
    The pipeline.

    Raises
    ------
    Refusal
        If it is no such file, or names something that is not there: says where, and what was
        probably meant.
    """
    found = _parsed(path)
    if not isinstance(found, Mapping):
        raise Refusal(f"{path}: expected the keys input, output and steps, found {found!r:.60}")
    for key in found:
        if key not in KEYS:
            raise Refusal(f"{path}: no key {key!r}{near_matches(str(key), KEYS, 'there are')}")
    steps = found.get("steps")
    if not isinstance(steps, list) or not steps:
        raise Refusal(f"{path}: expected a list of steps, found {steps!r:.60}")
    for key in ("input", "output"):
        if not isinstance(found.get(key), str | None):
            raise Refusal(f"{path}: {key} is the name of a file, found {found[key]!r}")
    names = {"compression": "compression", "level": "compression_opts"}
    names |= {"chunk_bytes": "chunk_bytes", "storage": "storage"}
    storing = {names[key]: found[key] for key in names if found.get(key) is not None}
    verbs = _verbs()
    made = tuple(_step(step, f"{path}: step {k + 1}", verbs) for k, step in enumerate(steps))
    return Pipeline(found.get("input"), found.get("output"), made, storing)


def _parsed(path: str) -> Any:
    file = Path(path)
    if not file.is_file():
        raise Refusal(f"{path} does not exist", ExitCode.INPUT)
    suffix = file.suffix.lower()
    if suffix not in (".toml", ".yaml", ".yml", ".json"):
        raise Refusal(f"{path}: expected a name that ends in .yaml, .toml or .json")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Refusal(f"{path} is no text in UTF-8: {error}") from error
    if suffix == ".toml":
        import tomllib

        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise Refusal(f"{path} is no TOML: {error}") from error
    import yaml

    try:
        return yaml.load(text, Loader=_loader())
    except yaml.YAMLError as error:
        raise Refusal(f"{path} is no YAML: {error}") from error


def _loader() -> Any:
    """A loader of plain values, as YAML 1.2 and JSON have them.

    PyYAML follows YAML 1.1, in which 1e4 is a text, no is false, 1:30 is 90 and 010 is 8.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """Plain values; a key that is there twice is an error."""

        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            for k, key in enumerate(keys):
                if key in keys[:k]:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key!r} is there twice", node.start_mark
                    )
            return super().construct_mapping(node, deep)

    def plain(tag: str, pattern: str, first: str) -> None:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))

    plain("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF")
    plain("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789")
    number = r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.inf$|^\.nan$"
    plain("float", number, "-+.0123456789")
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
    )
    return Loader


def _verbs() -> dict[str, Callable[..., Any]]:
    """All verbs by their names."""
    from lazyomics.importing import import_whole

    found: dict[str, Callable[..., Any]] = {}
    for package in PACKAGES:
        module = import_whole(f"lazyomics.{package}")
        for name in module.__all__:
            function = getattr(module, name)
            if inspect.isfunction(function):
                found[f"{package}.{name}"] = function
    for name in OTHER_VERBS:
        package, _, verb = name.partition(".")
        found[name] = getattr(import_whole(f"lazyomics.{package}"), verb)
    return found


def _step(step: Any, place: str, verbs: Mapping[str, Callable[..., Any]]) -> Step:
    if isinstance(step, str):
        step = {step: {}}
    if not isinstance(step, Mapping) or len(step) != 1:
        raise Refusal(
            f"{place}: expected one verb with its parameters, such as "
            f"'pp.normalize_total: {{target_sum: 1e4}}', found {step!r:.80}"
        )
    ((verb, parameters),) = step.items()
    parameters = {} if parameters is None else parameters
    if not isinstance(parameters, Mapping):
        raise Refusal(f"{place}: {verb} takes parameters by name, found {parameters!r:.80}")
    parameters = {str(key): value for key, value in parameters.items()}
    if verb in OWN_STEPS:
        own = OWN_STEPS[verb]
        _check_names(place, verb, parameters, own.parameters, own.required)
        return Step(verb, parameters, own.function)
    if verb not in verbs:
        known = [*verbs, *OWN_STEPS]
        close = near_matches(str(verb), known) or near_matches(f"pp.{verb}", known)
        raise Refusal(f"{place}: no verb {verb!r}{close}")
    _check_parameters(place, verb, verbs[verb], parameters)
    return Step(str(verb), parameters, verbs[verb])


def _check_names(
    place: str,
    verb: Any,
    given: Mapping[str, Any],
    known: tuple[str, ...],
    required: tuple[str, ...],
) -> None:
    for name in given:
        if name not in known:
            hint = near_matches(name, known, "it has") or "; it has none"
            raise Refusal(f"{place}: {verb} has no parameter {name!r}{hint}")
    for name in required:
        if name not in given:
            raise Refusal(f"{place}: {verb} needs the parameter {name!r}")


def _check_parameters(
    place: str, verb: Any, function: Callable[..., Any], given: Mapping[str, Any]
) -> None:
    first, *others = inspect.signature(function).parameters.values()
    if first.name in given:
        raise Refusal(f"{place}: {verb}: {first.name} is the input of the pipeline, leave it out")
    free = any(p.kind is p.VAR_KEYWORD for p in others)
    named = [p for p in others if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    known = tuple(p.name for p in named)
    if not free:
        _check_names(place, verb, given, known, ())
    for parameter in named:
        if parameter.default is parameter.empty and parameter.name not in given:
            raise Refusal(f"{place}: {verb} needs the parameter {parameter.name!r}")
        inplace = given.get("inplace", parameter.default)
        if parameter.name == "inplace" and inplace is False:
            raise Refusal(
                f"{place}: {verb} returns its result instead of keeping it, which would be lost: "
                "set inplace: true"
            )
