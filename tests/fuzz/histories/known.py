"""Differences between lazyomics and anndata or mudata that are meant, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["KNOWN", "RENAMING", "Known", "reason_for"]

RENAMING = re.compile(r"one\.mod\[[^]]*\]\.(obs|var)(_names|\.index| =).*update")
"""A line that gives other names to the entries of one modality. Of what follows mudata and
lazyomics have different ideas, so that they are compared at once."""


@dataclass(frozen=True)
class Known:
    """A difference that ends a history without counting as a failure.

    Attributes
    ----------
    line
        Pattern of the last line.
    failure
        Pattern of what is said of the difference.
    reason
        Why it is meant.
    earlier
        Pattern of a line that must have been played, if the reason needs one.
    """

    line: str
    failure: str
    reason: str
    earlier: str = ""

    def explains(self, lines: Sequence[str], failure: str) -> bool:
        """Tell whether a difference after some lines is this one."""
        return (
            re.search(self.line, lines[-1]) is not None
            and re.search(self.failure, failure, re.DOTALL) is not None
            and any(re.search(self.earlier, line) for line in lines)
        )


KNOWN: tuple[Known, ...] = (
    Known(
        r"pull_",
        r"only the oracle refuses",
        "mudata 0.3 joins columns of several types by writing values into the first one",
    ),
    Known(
        r"update|_names",
        r"only the oracle refuses: NotImplementedError: .*renamed and filtered",
        "mudata does not follow names of one modality that change",
    ),
    Known(
        RENAMING.pattern,
        r"^(obs|var) row names, in another order",
        "entries that are renamed in one modality keep their place, in mudata they come last",
    ),
    Known(
        RENAMING.pattern,
        r"^(obs|var)[mp]?\[.* values, some missing in the oracle",
        "entries that are renamed in one modality keep their values, in mudata they are new",
    ),
    Known(
        r"update|_names",
        r"^(obs|var) columns: lazyomics has \[(.*)\], the oracle "
        r"\['level_\d'(, 'level_\d')*(, )?\2\]",
        "mudata leaves a column of its own behind where names are repeated",
    ),
    Known(
        r"update",
        r"^(obs|var)[mp]\['\w+'\] shape: lazyomics has .*, the oracle \(0, ",
        "mudata brings arrays of a MuData without entries to no new entries",
    ),
    Known(
        r"",
        r"lazyomics has dtype\('float32'\), the oracle dtype\('float64'\)",
        "anndata 0.13 fills float32 with NaN as float64, as pandas does not",
    ),
    Known(
        r"",
        r"(lazyomics has .*oracle dtype\('O'\))",
        "booleans with gaps become objects in anndata, which no file can hold",
    ),
    Known(
        r"",
        r"only the oracle refuses: TypeError: 'NoneType' object is not subscriptable",
        "raw of an object without X: anndata cannot select from it",
    ),
    Known(
        r"concat",
        r"only the oracle refuses: ValueError: cannot reindex on an axis with duplicate",
        "repeated names that are the same in all objects are matched by position",
    ),
    Known(
        r"\.raw = ",
        r"only the oracle refuses: AttributeError: 'NoneType' object has no attribute 'copy'",
        "raw of an object without X: anndata fails by accident",
    ),
    Known(
        r"backed=True",
        r"only the oracle refuses: KeyError: .*object 'X' doesn't exist",
        "anndata cannot open a file without X as backed",
    ),
    Known(
        r"concat",
        r"oracle dtype\('O'\)",
        "booleans with a fill value become objects in anndata, which no file can hold",
    ),
    Known(
        r"",
        r"only the oracle refuses: (ValueError|IntCastingNaNError): cannot convert (float )?NaN",
        "whole numbers in obsm of a MuData: mudata 0.3 fails when it updates or copies",
    ),
    Known(
        r"concat",
        r"only the oracle refuses: InvalidIndexError: Reindexing only valid with uniquely",
        "repeated names that are the same in all objects are matched by position",
    ),
    Known(
        r"concat",
        r"only the oracle refuses: NotImplementedError: Some \(but not all\)",
        "an outer join fills X of objects that have none, as it does with layers",
    ),
)


def reason_for(lines: Sequence[str], failure: str) -> str | None:
    """Return why a difference after some lines is meant; None if it is not."""
    for known in KNOWN:
        if known.explains(lines, failure):
            return known.reason
    return None
