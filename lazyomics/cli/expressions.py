"""Expressions over obs and var, and lists of names, as choices of rows."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lazyomics.cli.failures import ExitCode, Refusal
from lazyomics.cli.near import near_matches
from lazyomics.errors import warn_user

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["chosen_names", "chosen_rows"]

_MOST_NAMED = 5
#: What the names of rows are called in expressions.
ROW_NAMES = {"obs": "obs_names", "var": "var_names"}


def chosen_rows(frame: pd.DataFrame, expression: str, axis: str) -> NDArray[np.bool_]:
    """Return which rows of a table an expression chooses.

    Parameters
    ----------
    frame
        obs or var, shape (n, n_columns).
    expression
        In the language of ``DataFrame.eval``; row names are ``obs_names`` or ``var_names``.
    axis
        ``"obs"`` or ``"var"``, for messages.

    Returns
    -------
    Mask of length n. Missing values choose nothing.

    Raises
    ------
    Refusal
        If the expression is not valid, names a column that is not there, or has no truth value for
        each row.
    """
    import numpy as np
    import pandas as pd

    rows = ROW_NAMES[axis]
    names = {rows: pd.Series(frame.index, index=frame.index)}
    try:
        found = frame.eval(
            expression, engine="python", local_dict={}, global_dict={}, resolvers=(names,)
        )
    except pd.errors.UndefinedVariableError as error:
        raise _undefined(frame, expression, axis, error) from error
    except SyntaxError as error:
        raise Refusal(f"--{axis} {expression!r} is no expression: {error.msg}") from error
    except (TypeError, ValueError, KeyError, AttributeError, NotImplementedError) as error:
        raise Refusal(f"--{axis} {expression!r} cannot be evaluated: {error}") from error
    if isinstance(found, bool | np.bool_):
        return np.full(len(frame), bool(found))
    mask = pd.Series(found) if not isinstance(found, pd.Series) else found
    if len(mask) != len(frame) or not pd.api.types.is_bool_dtype(mask.dtype):
        raise Refusal(
            f"--{axis} {expression!r}: expected true or false for each row, found values of type "
            f"{getattr(found, 'dtype', type(found).__name__)}; compare them, as in 'n_genes > 500'"
        )
    _warn_of_unknown_values(frame, expression, axis)
    return np.asarray(mask.fillna(False), dtype=np.bool_)


def _undefined(frame: pd.DataFrame, expression: str, axis: str, error: Exception) -> Refusal:
    words = str(error).split("'")
    name = words[1] if len(words) > 1 else str(error)
    known = [str(column) for column in frame.columns]
    if name.startswith("BACKTICK_QUOTED_STRING"):
        quoted = [part for part in expression.split("`")[1::2] if part not in known]
        name = quoted[0] if quoted else name
    spaced = [column for column in known if not column.isidentifier() and name in column]
    hint = f"; write `{spaced[0]}` in backticks" if spaced else ""
    hint = hint or near_matches(name, [*known, ROW_NAMES[axis]], "it has")
    return Refusal(f"--{axis} {expression!r}: {axis} has no column {name!r}{hint}")


def _warn_of_unknown_values(frame: pd.DataFrame, expression: str, axis: str) -> None:
    """Warn of texts that a column is compared with and never holds: a slip of the pen, mostly."""
    for column, value in _compared_texts(expression):
        if column not in frame.columns:
            continue
        series = frame[column]
        known = list(series.cat.categories) if hasattr(series, "cat") else None
        if known is None and series.dtype.kind in "OUTS":
            known = list(series.dropna().unique())
        if known is not None and value not in known:
            hint = near_matches(value, known, "it has")
            warn_user(f"--{axis} {expression!r}: no {column} is {value!r}{hint}")


def _compared_texts(expression: str) -> Iterator[tuple[str, str]]:
    """Columns, and the texts that they are compared with."""
    try:
        tree = ast.parse(expression.replace("\n", " ").strip(), mode="eval")
    except SyntaxError:  # backticks, or "&" without brackets: only a warning is lost
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare) or len(node.ops) != 1:
            continue
        if not isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn):
            continue
        sides = (node.left, node.comparators[0])
        columns = [side.id for side in sides if isinstance(side, ast.Name)]
        for constant in (c for side in sides for c in ast.walk(side)):
            if columns and isinstance(constant, ast.Constant) and isinstance(constant.value, str):
                yield columns[0], constant.value


def chosen_names(listed: str, known: pd.Index[Any], option: str, *, skip_missing: bool) -> Any:
    """Return positions of the rows that a list names, in the order of the list.

    Parameters
    ----------
    listed
        A file with a name on each line (of a table, the first column), ``"-"`` for standard input,
        or names with commas between them.
    known
        Names of the rows.
    option
        The option, for messages.
    skip_missing
        Whether names that are not there are left out, with a warning.

    Returns
    -------
    Positions, an integer array without repetitions.

    Raises
    ------
    Refusal
        If a name is not there or there several times, or the list is empty.
    """
    import pandas as pd

    names = list(dict.fromkeys(_listed(listed, option)))
    if not names:
        raise Refusal(f"{option} {listed}: the list is empty")
    wanted = pd.Index(names)
    twice = known[known.duplicated()].intersection(wanted)
    if len(twice):
        raise Refusal(
            f"{option}: {len(twice)} of the names stand for several rows, such as {twice[0]!r}: "
            "make names unique first",
            ExitCode.INPUT,
        )
    unique = known[~known.duplicated()]
    positions = unique.get_indexer(wanted)
    missing = wanted[positions < 0]
    if len(missing):
        shown = ", ".join(repr(name) for name in missing[:_MOST_NAMED])
        more = ", …" if len(missing) > _MOST_NAMED else ""
        hint = near_matches(str(missing[0]), known)
        text = f"{option}: {len(missing)} of {len(names)} names are not there: {shown}{more}{hint}"
        if not skip_missing:
            raise Refusal(f"{text.rstrip('?')}{'?' * hint.endswith('?')} (--skip-missing goes on)")
        warn_user(text)
        if len(missing) == len(names):
            raise Refusal(f"{option}: none of the {len(names)} names is there")
    place = dict(zip(known, range(len(known)), strict=True))
    return [place[name] for name in wanted[positions >= 0]]


def _listed(listed: str, option: str) -> list[str]:
    if listed == "-":
        lines = sys.stdin.read().splitlines()
    elif Path(listed).is_file():
        lines = Path(listed).read_text(encoding="utf-8-sig").splitlines()
    elif "/" in listed or listed.endswith((".txt", ".csv", ".tsv")):
        raise Refusal(f"{option}: the file {listed} does not exist", ExitCode.INPUT)
    else:
        lines = listed.split(",")
        return [name.strip() for name in lines if name.strip()]
    cells = (line.split("\t")[0].strip().strip('"') for line in lines)
    return [name for name in cells if name and not name.startswith("#")]
