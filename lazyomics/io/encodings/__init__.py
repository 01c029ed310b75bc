"""Elements of .h5ad and .h5mu files, other than lazy matrices, read and written with plain h5py.

An encoding is a row of a table (``registry``): kinds of element point to readers, types of value
to writers, and each family of encodings registers its own when it is imported here.
"""

from __future__ import annotations

from lazyomics.container.categories import strings_to_categoricals
from lazyomics.io.encodings import arrays as _arrays  # noqa: F401
from lazyomics.io.encodings import awkward as _awkward  # noqa: F401
from lazyomics.io.encodings import extension_arrays as _extension_arrays  # noqa: F401
from lazyomics.io.encodings.checks import check_storage, has_member, open_member
from lazyomics.io.encodings.damage import location
from lazyomics.io.encodings.frames import (
    frame_columns,
    frame_index,
    frame_length,
    named_rows,
    read_frame,
    write_frame,
)
from lazyomics.io.encodings.kinds import element_kind
from lazyomics.io.encodings.legacy import categories_from_uns, read_compound_mapping
from lazyomics.io.encodings.mappings import read_entry, read_mapping
from lazyomics.io.encodings.registry import OpaqueElement, read_element, write_element
from lazyomics.io.encodings.sparse import sparse_info

__all__ = [
    "OpaqueElement",
    "categories_from_uns",
    "check_storage",
    "element_kind",
    "frame_columns",
    "frame_index",
    "frame_length",
    "has_member",
    "location",
    "named_rows",
    "open_member",
    "read_compound_mapping",
    "read_element",
    "read_entry",
    "read_frame",
    "read_mapping",
    "sparse_info",
    "strings_to_categoricals",
    "write_element",
    "write_frame",
]
