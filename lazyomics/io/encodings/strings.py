"""Arrays of text, and single texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from lazyomics.io.encodings.damage import damaged
from lazyomics.io.encodings.dataset_values import read_values
from lazyomics.io.encodings.registry import (
    element_path,
    has_surrogates,
    mark,
    reads,
    refusal,
    writes,
)
from lazyomics.io.encodings.scalars import scalar_options

__all__ = [
    "check_texts_of",
    "read_string",
    "read_strings",
    "text_options",
    "write_string",
    "write_strings",
]

NOT_TEXT = (
    "A column or array of objects can hold only text: convert it with .astype(str), with "
    '.astype("category"), or with .astype("string") if some values are missing.'
)


@reads("string-array")
def read_strings(dataset: Any) -> Any:
    """Read text as an object array of ``str``, from variable- or fixed-length strings."""
    if isinstance(dataset, h5py.Dataset) and h5py.check_string_dtype(dataset.dtype) is None:
        raise damaged(dataset, expected="strings", found=f"dtype {dataset.dtype}")
    return read_values(dataset, as_text=True)


@reads("string")
def read_string(dataset: Any) -> str | None:
    """Read one text; an array of one text counts as that."""
    value = read_strings(dataset)
    if isinstance(value, np.ndarray):
        if value.size != 1:
            raise damaged(dataset, expected="one text", found=f"shape {value.shape}")
        value = value.reshape(-1)[0]
    return value if value is None else str(value)


@writes(str)
def write_string(parent: h5py.Group, name: str, value: str, options: Mapping[str, Any]) -> None:
    """Write one text as a variable-length UTF-8 string."""
    _check_characters(parent, name, [value])
    data = np.array(value, dtype=h5py.string_dtype(encoding="utf-8"))
    mark(parent.create_dataset(name, data=data, **scalar_options(options)), "string", "0.2.0")


def write_strings(
    parent: h5py.Group, name: str, value: np.ndarray[Any, Any], options: Mapping[str, Any]
) -> None:
    """Write an array of text (numpy ``U``, ``StringDType`` or objects) as UTF-8 strings."""
    texts = value.astype(object)
    check_texts_of(parent, name, value, texts)
    utf8 = h5py.string_dtype(encoding="utf-8")
    try:
        made = texts.astype(utf8)
        dataset = parent.create_dataset(name, data=made, dtype=utf8, **text_options(options))
    except ValueError:  # UnicodeEncodeError too: HDF5's own message does not say which text it is
        _check_characters(parent, name, texts.flat)
        raise
    mark(dataset, "string-array", "0.2.0")


def check_texts_of(
    parent: h5py.Group, name: str, value: Any, texts: Any, advice: str = NOT_TEXT
) -> None:
    """Refuse a value if some of its texts are none."""
    for item in np.asarray(texts, dtype=object).flat:
        if not isinstance(item, str | bytes):
            raise refusal(
                parent, name, value, f"It holds {item!r} ({type(item).__name__}). {advice}"
            )


def text_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out filters that HDF5 has as plugins.

    The chunks of text hold references, not text: there is little to gain, and Blosc's plugin
    divides by zero on them.
    """
    if isinstance(options.get("compression"), int):
        return {k: v for k, v in options.items() if not k.startswith("compression")}
    return dict(options)


def _check_characters(parent: h5py.Group, name: str, texts: Any) -> None:
    for item in texts:
        shown = item if isinstance(item, str) else item.decode("utf-8", errors="surrogateescape")
        if "\0" in shown or has_surrogates(shown):
            raise ValueError(
                f"{element_path(parent, name)}: {shown!r} cannot be stored, because text in HDF5 "
                "holds neither NUL characters nor lone surrogates. Replace them."
            )
