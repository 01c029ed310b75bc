"""Names of scanpy that are not here yet."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import lazyomics as lo
from lazyomics.missing import NOT_HERE

sc = pytest.importorskip("scanpy", reason="compares with scanpy")


def space_of(module: Any, space: str) -> Any:
    return import_module(f"{module.__name__}.{space}")


@pytest.mark.parametrize("space", NOT_HERE)
def test_every_function_of_scanpy_is_here_or_named(space: str) -> None:
    theirs = space_of(sc, space)
    public = {
        name
        for name in dir(theirs)
        if not name.startswith("_")
        and getattr(getattr(theirs, name), "__module__", "").startswith("scanpy")
    }
    here = set(space_of(lo, space).__all__)
    assert public - here <= NOT_HERE[space]
    assert not NOT_HERE[space] & here
    assert NOT_HERE[space] - public <= {"dogplot"}  # only the newest has it


@pytest.mark.parametrize("space", NOT_HERE)
def test_the_message_says_how_to_go_on(space: str) -> None:
    ours = space_of(lo, space)
    for name in NOT_HERE[space]:
        with pytest.raises(AttributeError, match=rf"adata\.apply\(scanpy\.{space}\.{name}, "):
            getattr(ours, name)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = ours.nothing
    assert not hasattr(ours, "nothing")


@pytest.mark.parametrize("space", NOT_HERE)
def test_no_module_has_such_a_name(space: str) -> None:
    """Once imported, it would be found in the place of the function."""
    folder = Path(lo.__file__).parent.joinpath(*space.split("."))
    assert not NOT_HERE[space] & {path.stem for path in folder.iterdir()}
