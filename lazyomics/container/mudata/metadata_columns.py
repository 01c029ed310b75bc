"""Columns of modalities and how they are called in the whole object: with or without prefix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lazyomics.container.mudata.object import MuData

__all__ = ["ModalityColumn", "asked_mods", "modality_columns", "split_prefix"]

Kind = Literal["common", "unique", "nonunique"]


@dataclass(frozen=True)
class ModalityColumn:
    """A column of one modality; ``kind`` says how many modalities have one of this name.

    ``"common"``: all of them, ``"unique"``: only this one, ``"nonunique"``: some others too.
    """

    mod: str
    name: str
    kind: Kind
    count: int

    @property
    def prefixed(self) -> str:
        """Name with the modality in front."""
        return f"{self.mod}:{self.name}"


def modality_columns(columns: Mapping[str, Iterable[str]]) -> dict[str, list[ModalityColumn]]:
    """Classify the columns of each modality.

    Examples
    --------
    >>> found = modality_columns({"rna": ["n", "leiden"], "atac": ["n"]})
    >>> [(c.prefixed, c.kind) for c in found["rna"]]
    [('rna:n', 'common'), ('rna:leiden', 'unique')]
    """
    names = {mod: [str(c) for c in held] for mod, held in columns.items()}
    counts = Counter(name for held in names.values() for name in held)

    def kind(name: str) -> Kind:
        if counts[name] == len(names):
            return "common"
        return "unique" if counts[name] == 1 else "nonunique"

    return {
        mod: [ModalityColumn(mod, name, kind(name), counts[name]) for name in held]
        for mod, held in names.items()
    }


def split_prefix(name: str, mods: Iterable[str]) -> tuple[str | None, str]:
    """Split ``"rna:leiden"`` into modality and column; the modality is None without a prefix.

    Examples
    --------
    >>> split_prefix("rna:leiden", ["rna"]), split_prefix("x:y", ["rna"])
    (('rna', 'leiden'), (None, 'x:y'))
    """
    prefix, colon, rest = name.partition(":")
    return (prefix, rest) if colon and prefix in set(mods) else (None, name)


def asked_mods(mdata: MuData, mods: Sequence[str] | str | None) -> list[str]:
    """Names of the modalities that an argument asks for."""
    if mods is None:
        return list(mdata.mod)
    wanted = [mods] if isinstance(mods, str) else list(mods)
    for mod in wanted:
        mdata.mod[mod]  # for its message
    return wanted
