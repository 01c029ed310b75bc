"""Virtual datasets: values that HDF5 puts together of those of other datasets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import h5py

from lazyomics.io.addresses import address_of
from lazyomics.io.encodings.damage import damaged
from lazyomics.io.encodings.members import child

__all__ = ["bytes_behind", "is_virtual", "leads_outside"]

DEEPEST = 16  # virtual datasets made of virtual ones: HDF5 needs memory of its stack for each
MOST_PARTS = 2**16  # that are read for one dataset, also those of parts


def is_virtual(dataset: h5py.Dataset) -> bool:
    """Whether the values are those of other datasets."""
    return bool(dataset.id.get_create_plist().get_layout() == h5py.h5d.VIRTUAL)


def leads_outside(dataset: h5py.Dataset) -> bool:
    """Whether parts of a virtual dataset are in another file, by name."""
    return any(source.file_name != "." for source in dataset.virtual_sources())


def bytes_behind(dataset: h5py.Dataset) -> int:
    """Count the stored bytes that a virtual dataset is made of.

    Raises
    ------
    FileFormatError
        If it is made of itself, directly or through others, which HDF5 follows until the process
        ends; of parts that do not exist; or of too many.
    """
    with ExitStack() as files:
        return _Walk(files).count(dataset)[1]


@dataclass
class _Walk:
    """Virtual datasets above the present one, and parts and bytes of those that are known."""

    files: ExitStack
    above: list[tuple[int, int]] = field(default_factory=list)
    known: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)

    def count(self, dataset: h5py.Dataset) -> tuple[int, int]:
        """Parts that are read for a dataset, and their bytes."""
        if not is_virtual(dataset):
            return 1, int(dataset.id.get_storage_size())
        address = address_of(dataset)
        if address in self.known:
            return self.known[address]
        if address in self.above:
            raise damaged(dataset, expected="values of other datasets", found="values of itself")
        if len(self.above) == DEEPEST:
            raise damaged(
                dataset, expected=f"at most {DEEPEST} virtual datasets in another", found="more"
            )
        self.above.append(address)
        counts = [self.count(source) for source in self._sources(dataset)]
        self.above.pop()
        parts, stored = sum(n for n, _ in counts), sum(n for _, n in counts)
        if parts > MOST_PARTS:
            raise damaged(dataset, expected=f"at most {MOST_PARTS} parts", found="more")
        self.known[address] = parts, stored
        return parts, stored

    def _sources(self, dataset: h5py.Dataset) -> Iterator[h5py.Dataset]:
        for source in dataset.virtual_sources():
            name = source.dset_name.replace("%%", "%")
            if "%b" in source.dset_name.replace("%%", ""):
                raise damaged(dataset, expected="names of its parts", found=f"a pattern {name!r}")
            file = self._opened(dataset.file, source.file_name)
            if file is None:  # HDF5 shows fill values for files that do not exist
                continue
            part = child(file, name.strip("/"))
            if not isinstance(part, h5py.Dataset):
                raise damaged(part, expected="a dataset, as part of another", found="a group")
            yield part

    def _opened(self, file: h5py.File, name: str) -> h5py.File | None:
        """The file that holds a part; others are looked into only where they may be read."""
        if name == ".":
            return file
        own = os.fsdecode(file.filename)
        path = os.path.join(os.path.dirname(own), name)
        if not os.path.exists(path):
            return None
        if os.path.exists(own) and os.path.samefile(path, own):
            return file
        try:
            return self.files.enter_context(h5py.File(path, "r"))
        except OSError:
            return None
