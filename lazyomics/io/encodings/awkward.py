"""Awkward arrays: read where awkward is installed, carried along unread where it is not."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any

import h5py

from lazyomics.io.encodings.checks import open_member
from lazyomics.io.encodings.damage import damaged
from lazyomics.io.encodings.dataset_values import read_values
from lazyomics.io.encodings.kinds import text
from lazyomics.io.encodings.registry import (
    AwkwardArray,
    OpaqueElement,
    mark,
    reads,
    write_element,
    writes,
)

__all__ = ["read_awkward", "write_awkward"]


@reads("awkward-array")
def read_awkward(group: Any) -> Any:
    """Read an ``awkward.Array``, or refer to it if awkward is not installed."""
    if importlib.util.find_spec("awkward") is None:
        return OpaqueElement.of(group)
    ak = importlib.import_module("awkward")
    try:
        form, length = text(group.attrs["form"]), int(group.attrs["length"])
        buffers = {key: read_values(open_member(group, key)) for key in group}
        return ak.from_buffers(form, length, buffers)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise damaged(group, expected="an awkward array", found=f"an error: {error}") from error


@writes(AwkwardArray)
def write_awkward(parent: h5py.Group, name: str, value: Any, options: Mapping[str, Any]) -> None:
    """Write an ``awkward.Array`` as its packed buffers."""
    ak = importlib.import_module("awkward")
    form, length, buffers = ak.to_buffers(ak.to_packed(value))
    group = parent.create_group(name)
    mark(group, "awkward-array", "0.1.0")
    group.attrs["length"] = length
    group.attrs["form"] = form.to_json()
    for key, buffer in buffers.items():
        write_element(group, key, buffer, dataset_kwargs=options)
