"""Whether HDF5's own copy of an element, as it is stored, has its values."""

from __future__ import annotations

from typing import Any

import h5py

from lazyomics.io.encodings.damage import damaged, guarded
from lazyomics.io.encodings.virtual import is_virtual

__all__ = ["check_copy", "holds_its_values"]


@guarded
def holds_its_values(obj: Any) -> bool:
    """Whether an element refers to no other place: by links, virtual datasets, other files."""
    if isinstance(obj, h5py.Dataset):
        return _is_own(obj)
    if not isinstance(obj, h5py.Group):
        return True
    return not obj.visititems_links(_is_reference) and not obj.visititems(_is_elsewhere)


def _is_reference(_: str, link: Any) -> bool | None:
    return None if isinstance(link, h5py.HardLink) else True


def _is_elsewhere(_: str, member: Any) -> bool | None:
    return None if not isinstance(member, h5py.Dataset) or _is_own(member) else True


def _is_own(dataset: h5py.Dataset) -> bool:
    return not is_virtual(dataset) and not dataset.id.get_create_plist().get_external_count()


def check_copy(obj: Any) -> None:
    """Refuse an element whose values would stay behind if it were copied as it is stored.

    Raises
    ------
    FileFormatError
        If it refers to other places.
    """
    if not holds_its_values(obj):
        raise damaged(
            obj,
            expected="an element that can be copied as it is stored",
            found="links, virtual datasets or values in other files",
            hint="Copy it with the program that wrote it.",
        )
