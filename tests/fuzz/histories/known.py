"""Differences between lazyomics and anndata or mudata that are meant, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

__all__ = ["KNOWN", "RENAMING", "Known", "reason_for"]

OLD_MUDATA = version("mudata").startswith("0.3.")
OLD_ANNDATA = version("anndata").startswith("0.12.")
OLD_PANDAS = version("pandas").startswith("2.")

RENAMING = re.compile(r"one\.mod\[[^]]*\]\.(obs|var)(_names|\.index| =).*update")
"""A line that gives other names to the entries of one modality. Of what follows mudata and
lazyomics have different ideas, so that they are compared at once."""

WITHOUT_X = r"w\.AnnData\(obs=|del one\.X|del one\.mod\[[^]]*\]\.X|\.X = None"
WHOLE_ARRAYS = r"one\.(obs|var)m\['\w+'\] = w\.(matrix\('\w+ int|table\()"
MATRIX = r"^(in the files: )?(raw\.)?(X|(layers|obsm|varm|obsp|varp)\['\w+'\])"


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
        Patterns, each of a line that must have been played for the reason to hold.
    applies
        Whether the installed anndata or mudata is one that it is known of.
    """

    line: str
    failure: str
    reason: str
    earlier: tuple[str, ...] = ()
    applies: bool = True

    def explains(self, lines: Sequence[str], failure: str) -> bool:
        """Tell whether a difference after some lines is this one."""
        return (
            self.applies
            and re.search(self.line, lines[-1]) is not None
            and re.search(self.failure, failure, re.DOTALL) is not None
            and all(any(re.search(each, line) for line in lines) for each in self.earlier)
        )


KNOWN: tuple[Known, ...] = (
    Known(
        r"",
        r"^(in the files: )?(obs|var)m\['\w+'\]\['\w+'\] categories: lazyomics has",
        "a selection of all rows leaves unread tables of obsm and varm as they are stored",
        earlier=(r"w\.(take|open)", r"one\.(obs|var)m\['\w+'\] = w\.table\(.*'unused categories'"),
    ),
    Known(
        r"write|save",
        r"only the oracle refuses: TypeError: Can't implicitly convert non-string objects",
        "anndata fills gaps between booleans with other values, as objects, which no file can hold",
        earlier=(r"w\.matrix\('\w+ bool'", r"w\.concat\(.*join='outer'"),
    ),
    Known(
        r"w\.concat",
        r"only the oracle refuses: ValueError: scipy.sparse does not support dtype object",
        "anndata fills gaps between booleans with NaN, as objects, which it then cannot join",
        earlier=(r"w\.matrix\('\w+ bool'", r"w\.concat\(.*join='outer'"),
    ),
    Known(
        r"",
        r"uns(\[.*\])? keys: lazyomics has",
        "anndata takes two single NaN for different values, but not two arrays with NaN",
        earlier=(r"uns_value\('(nan|nested)'", r"w\.concat\(.*uns_merge='(same|unique)'"),
    ),
    Known(
        r"pull_|push_",
        r"only the oracle refuses: (ValueError|TypeError): (invalid literal for int"
        r"|could not convert string to float|dtype of categories must be the same"
        r"|to union ordered Categoricals|Categorical.ordered must be the same"
        r"|cannot safely cast non-equivalent|Need to pass bool-like values"
        r"|Cannot setitem on a Categorical with a new category|Invalid value.* for dtype)",
        "mudata joins columns of several types by writing values into the first one",
    ),
    Known(
        r"update|_names",
        r"only the oracle refuses: NotImplementedError: .*renamed and filtered at the same time",
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
        r"",
        r"^(obs|var) row names(, in another order)?: lazyomics has",
        "mudata names rows modality by modality, whatever their order is",
        earlier=(r"^one\.(obs|var)_names_make_unique\(\)",),
    ),
    Known(
        r"update",
        r"^(obs|var)map keys: lazyomics has",
        "a modality that takes a name which another one gave up has a membership, in mudata none",
        earlier=(r"one\.mod\.pop\(",),
    ),
    Known(
        r"update",
        r"only the oracle refuses: ValueError: cannot insert level_\d, already exists",
        "mudata leaves a column of its own behind where names are repeated, and stumbles over it",
    ),
    Known(
        r"update",
        r"only the oracle refuses: IndexError: index \(\d+\) out of range",
        "mudata takes arrays of a MuData without entries for such of new ones",
        earlier=(r"one\.(obs|var)[mp]\['\w+'\] = w\.matrix\('\w+ \w+', 0,",),
    ),
    Known(
        r"w\.take",
        r"^(obs|var) columns: lazyomics has \['\w+:\w+'\], the oracle \[\]",
        "columns of the whole that begin with a modality's name: a selection of mudata drops them",
        earlier=(r"one\.(obs|var)\['\w+:\w+'\] = ",),
    ),
    Known(
        r"",
        r"^(in the files: )?(obs|var)p\['\w+'\] dtype(, of equal values)?: lazyomics has",
        "whole numbers and booleans in dense obsp become floating-point when entries are missing; "
        "what mudata makes of them depends on how they came to be missing",
        earlier=(r"one\.(obs|var)p\['\w+'\] = w\.matrix\('dense (bool|int)", r"update"),
    ),
    Known(
        r"write|save",
        r"only the oracle refuses: TypeError: Can't implicitly convert non-string objects",
        "mudata makes objects of nullable columns of text and numbers that have gaps",
        earlier=(r"one\.(pull_|(obs|var)\['\w+:\w+'\] = w\.column\('string')",),
    ),
    Known(
        r"w\.take",
        r"^(obs|var) name of the index: lazyomics has None",
        "a selection of no rows: mudata takes over the name of one modality's index",
        earlier=(r"_names\.rename\(",),
    ),
    Known(
        r"w\.concat",
        r"^(obs|var)m\['\w+'\] name of the index: lazyomics has",
        "a table that is joined keeps the name of its own index",
        earlier=(r"_names\.rename\(",),
    ),
    Known(
        r"",
        r"only the oracle refuses: ValueError: value.index does not match parent",
        "tables in varm of raw keep raw's names, in anndata they stand in the way of the others",
        earlier=(r"\.raw = ", r"one\.var_names = "),
    ),
    Known(
        r"w\.save",
        r"^uns\['\w+_colors'\] type: lazyomics has <class 'numpy.ndarray'>",
        "what is saved in place is then what the file holds: arrays in the place of lists",
    ),
    Known(
        r"copy|write|save",
        r"only the oracle refuses: TypeError: Can't implicitly convert non-string objects",
        "mudata 0.3 makes objects of booleans in tables of obsm when it copies",
        earlier=(r"one\.(obs|var)m\['\w+'\] = w\.table\(.*'bool'",),
        applies=OLD_MUDATA,
    ),
    Known(
        r"",
        r"^(in the files: )?(obs|var) columns: lazyomics has \[(.*)\], the oracle "
        r"\['level_\d'(, 'level_\d')*(, )?\3\]",
        "mudata leaves a column of its own behind where names are repeated",
        earlier=(r"update|_names",),
    ),
    Known(
        r"",
        r"^(obs|var)[mp]\['\w+'\] (shape: lazyomics has .*, the oracle \(0, "
        r"|row names: lazyomics has .*, the oracle \[\])",
        "mudata brings arrays of a MuData without entries to no new entries",
        earlier=(r"update",),
    ),
    Known(
        r"update|_names",
        r"only the oracle refuses: TypeError: Invalid value 'nan' for dtype '(bool|int\d+)'",
        "mudata 0.4 writes missing values into columns of tables in obsm, whatever their type",
        earlier=(r"one\.(obs|var)m\['\w+'\] = w\.table\(",),
        applies=not OLD_MUDATA,
    ),
    Known(
        r"update|take|copy|write|save|_names = ",
        r"only the oracle refuses: ValueError: cannot convert float NaN to integer",
        "whole numbers in obsm of a MuData: mudata 0.3 fails when it updates or copies",
        earlier=(WHOLE_ARRAYS,),
        applies=OLD_MUDATA,
    ),
    Known(
        r"update|_names",
        r"only the oracle refuses: MaskError: Mask and data not compatible",
        "sparse whole numbers in obsm of a MuData: mudata 0.4 fails to mask new entries",
        earlier=(r"one\.(obs|var)m\['\w+'\] = w\.matrix\('cs[rc]\w* int",),
        applies=not OLD_MUDATA,
    ),
    Known(
        r"",
        MATRIX + r" dtype, of equal values: lazyomics has dtype\('float32'\), "
        r"the oracle dtype\('float64'\)",
        "anndata 0.13 fills float32 with NaN as float64, as pandas does not",
        earlier=(r"w\.concat",),
        applies=not OLD_ANNDATA,
    ),
    Known(
        r"",
        MATRIX + r" dtype, of equal values: lazyomics has dtype\('(float|int)64'\), "
        r"the oracle dtype\('O'\)",
        "booleans with gaps become objects in anndata, which no file can hold",
        earlier=(r"w\.concat", r"'dense bool'"),
    ),
    Known(
        r"",
        r"^(in the files: )?(raw\.)?(obs|var)m?\[.* dtype, of equal values: "
        r"lazyomics has 'boolean', the oracle 'object'",
        "anndata 0.13 makes booleans with gaps nullable, before they became objects",
        earlier=(r"w\.concat",),
        applies=OLD_ANNDATA,
    ),
    Known(
        r"",
        r"\] type, of no values: lazyomics has 'NumpyExtensionArray', the oracle 'StringArray'",
        "text without gaps is stored as old readers know it, which says nothing of no rows",
        earlier=(r"w\.(write|save)\(",),
        applies=not OLD_PANDAS,
    ),
    Known(
        r"w\.take",
        r"only the oracle refuses: TypeError: 'NoneType' object is not subscriptable",
        "raw of an object without X: anndata cannot select from it",
        earlier=(WITHOUT_X, r"\.raw = "),
    ),
    Known(
        r"\.raw = ",
        r"only the oracle refuses: AttributeError: 'NoneType' object has no attribute 'copy'",
        "raw of an object without X: anndata fails by accident",
        earlier=(WITHOUT_X,),
    ),
    Known(
        r"take|copy|write|save|concat|to_memory|raw_as_object",
        r"only the oracle refuses: AttributeError: 'NoneType' object has no attribute 'copy'",
        "raw of an object without X: anndata 0.13 makes it, and cannot copy it",
        earlier=(WITHOUT_X, r"\.raw = "),
        applies=not OLD_ANNDATA,
    ),
    Known(
        r"backed=True",
        r"only the oracle refuses: KeyError: .*object 'X' doesn't exist",
        "anndata cannot open a file without X as backed",
        earlier=(WITHOUT_X,),
    ),
    Known(
        r"concat",
        r"^raw\.(var columns|varm keys): lazyomics has \[\], the oracle \[.",
        "raw of objects without X: anndata 0.13 takes the var and varm of the joined object",
        earlier=(WITHOUT_X, r"\.raw = "),
        applies=not OLD_ANNDATA,
    ),
    Known(
        r"concat",
        r"only the oracle refuses: ValueError: all the input arrays must have same number of dim",
        "arrays of three axes are filled like others where an object has none",
        earlier=(r"reshape\(",),
    ),
    Known(
        r"\.X = w\.matrix\('dense int64', 1, 9, 1\)",
        r"only lazyomics refuses: ShapeError: X has shape \(1, 9\), expected \((9, 1|3, 3)\)",
        "anndata 0.13 reshapes anything of the right size",
        applies=not OLD_ANNDATA,
    ),
    Known(
        r"concat",
        r"only the oracle refuses: (ValueError: cannot reindex on an axis with duplicate labels"
        r"|InvalidIndexError: Reindexing only valid with uniquely valued Index objects)",
        "repeated names that are the same in all objects are matched by position",
    ),
    Known(
        r"concat.*join='outer'",
        r"only the oracle refuses: NotImplementedError: Some \(but not all\)",
        "an outer join fills X of objects that have none, as it does with layers",
        earlier=(WITHOUT_X,),
    ),
    Known(
        r"concat.*join='inner'",
        r"only the oracle refuses: NotImplementedError: Some \(but not all\)",
        "an inner join has an X if all objects have one, as it does with layers",
        earlier=(WITHOUT_X,),
    ),
)


def reason_for(lines: Sequence[str], failure: str) -> str | None:
    """Return why a difference after some lines is meant; None if it is not."""
    for known in KNOWN:
        if known.explains(lines, failure):
            return known.reason
    return None
