"""Operations on a MuData: each gives the lines of a history, for the object as it is."""

from __future__ import annotations

import random
import re
from typing import Any

from tests.fuzz.histories import on_anndata
from tests.fuzz.histories.keys import key
from tests.fuzz.histories.on_anndata import parts_of
from tests.fuzz.histories.values import COLUMNS, MATRICES, UNS
from tests.fuzz.histories.worlds import MODALITIES as NAMES

__all__ = ["OPERATIONS", "begin"]


def begin(rng: random.Random) -> str:
    """Return the line that makes the first object."""
    axis = rng.choice((0, 0, 0, 0, 1, -1))
    mods = [f"{mod!r}: {_modality(rng, mod, axis)}" for mod in NAMES[: rng.choice((1, 2, 2, 3))]]
    return f"one = w.MuData({{{', '.join(mods)}}}, axis={axis})"


def _modality(rng: random.Random, mod: str, axis: int) -> str:
    """Return text that makes a modality: names are shared along the axis, others its own."""
    sizes = rng.randint(1, 6), rng.randint(1, 4)
    if rng.random() < 0.25:
        sizes = (6, 4)
    names = []
    for way, size in enumerate(sizes):
        shared = axis in (way, -1)
        pool = [f"{'cg'[way]}{k}" for k in range(7)]
        chosen = pool[:size] if rng.random() < 0.4 else rng.sample(pool, size)
        names.append(chosen if shared else [f"{mod}-{k}" for k in chosen])
    tables = [
        f"w.table({[rng.choice(COLUMNS) for _ in range(rng.randrange(3))]}, {n}, "
        f"{rng.randrange(999)})"
        for n in names
    ]
    x = f"w.matrix({rng.choice(MATRICES)!r}, {sizes[0]}, {sizes[1]}, {rng.randrange(999)})"
    return f"w.AnnData({x}, obs={tables[0]}, var={tables[1]})"


def _select(rng: random.Random, one: Any) -> str:
    return f"one = w.take(one, {key(rng, one)})"


def _add(rng: random.Random, one: Any) -> str:
    free = [mod for mod in NAMES if mod not in one.mod]
    mod = rng.choice(free or NAMES)
    return f"one.mod[{mod!r}] = {_modality(rng, mod, one.axis)}; w.update(one)"


def _mod(rng: random.Random, one: Any) -> str:
    return rng.choice(list(one.mod)) if one.mod else "none"


def _remove(rng: random.Random, one: Any) -> str:
    if len(one.mod) < 2:
        return "pass"
    return f"del one.mod[{_mod(rng, one)!r}]; w.update(one)"


def _rename(rng: random.Random, one: Any) -> str:
    free = [mod for mod in NAMES if mod not in one.mod]
    if not free:
        return "pass"
    return f"one.mod[{rng.choice(free)!r}] = one.mod.pop({_mod(rng, one)!r}); w.update(one)"


def _inside(rng: random.Random, one: Any) -> str:
    """Do something to a modality, and bring the whole up to date."""
    if not one.mod:
        return "pass"
    mod = _mod(rng, one)
    line = rng.choice(INSIDE)(rng, one.mod[mod])
    return re.sub(r"\bone\b", f"one.mod[{mod!r}]", line) + "; w.update(one)"


def _cut(rng: random.Random, one: Any) -> str:
    if not one.mod:
        return "pass"
    mod = _mod(rng, one)
    line = re.sub(r"\bone\b", f"one.mod[{mod!r}]", f"w.take(one, {key(rng, one.mod[mod])})")
    return f"one.mod[{mod!r}] = {line}; w.update(one)"


def _update(rng: random.Random, one: Any) -> str:
    return rng.choice(("w.update(one)", "one.update_obs()", "one.update_var()"))


def _aligned(rng: random.Random, one: Any) -> str:
    part = rng.choice(("obsm", "varm", "obsp", "varp"))
    size = one.n_obs if part.startswith("obs") else one.n_vars
    seed, name = rng.randrange(999), f"k{rng.randrange(3)}"
    kind = rng.choice(MATRICES)
    if part.endswith("p"):
        return f"one.{part}[{name!r}] = w.matrix({kind!r}, {size}, {size}, {seed})"
    if rng.random() < 0.3:
        kinds = [rng.choice(COLUMNS) for _ in range(2)]
        return f"one.{part}[{name!r}] = w.table({kinds}, one.{part[:3]}_names, {seed})"
    return f"one.{part}[{name!r}] = w.matrix({kind!r}, {size}, {rng.randint(1, 3)}, {seed})"


def _delete_aligned(rng: random.Random, one: Any) -> str:
    part = rng.choice(("obsm", "varm", "obsp", "varp"))
    keys = [k for k in getattr(one, part) if k not in one.mod]
    return f"del one.{part}[{rng.choice(keys)!r}]" if keys else "pass"


def _column(rng: random.Random, one: Any) -> str:
    axis = rng.choice(("obs", "var"))
    n = one.n_obs if axis == "obs" else one.n_vars
    name = f"c{rng.randrange(4)}"
    if rng.random() < 0.3 and one.mod:
        name = f"{_mod(rng, one)}:{name}"
    value = f"w.column({rng.choice(COLUMNS)!r}, {n}, {rng.randrange(999)})"
    return f"one.{axis}[{name!r}] = {value}"


def _delete_column(rng: random.Random, one: Any) -> str:
    axis = rng.choice(("obs", "var"))
    columns = list(getattr(one, axis).columns)
    return f"del one.{axis}[{rng.choice(columns)!r}]" if columns else "pass"


def _pull(rng: random.Random, one: Any) -> str:
    axis = rng.choice(("obs", "var"))
    options: dict[str, Any] = {}
    if rng.random() < 0.3:
        options["columns"] = rng.sample(["t0", "t1", "c0", "rna:t0"], 2)
    elif rng.random() < 0.4:
        options[rng.choice(("common", "nonunique", "unique"))] = rng.choice((True, False))
    if rng.random() < 0.2 and one.mod:
        options["mods"] = [_mod(rng, one)]
    if rng.random() < 0.15:
        options["prefix_unique"] = False
    if rng.random() < 0.2:
        options[rng.choice(("drop", "only_drop"))] = True
    given = ", ".join(f"{name}={value!r}" for name, value in options.items())
    return f"one.pull_{axis}({given})"


def _push(rng: random.Random, one: Any) -> str:
    axis = rng.choice(("obs", "var"))
    options: dict[str, Any] = {}
    if rng.random() < 0.3:
        options["columns"] = rng.sample(["t0", "c0", "c1", "rna:t0"], 2)
    elif rng.random() < 0.4:
        options[rng.choice(("common", "prefixed"))] = rng.choice((True, False))
    if rng.random() < 0.2 and one.mod:
        options["mods"] = [_mod(rng, one)]
    if rng.random() < 0.2:
        options[rng.choice(("drop", "only_drop"))] = True
    given = ", ".join(f"{name}={value!r}" for name, value in options.items())
    return f"one.push_{axis}({given})"


def _names(rng: random.Random, one: Any) -> str:
    axis = rng.choice(("obs", "var"))
    n = one.n_obs if axis == "obs" else one.n_vars
    if rng.random() < 0.2:
        return f"one.{axis}_names_make_unique()"
    names = [f"r{rng.randrange(99)}-{k}" for k in range(n)]
    if rng.random() < 0.1:
        names = names[1:]
    return f"one.{axis}_names = {names}"


def _uns(rng: random.Random, one: Any) -> str:
    if one.uns and rng.random() < 0.2:
        return f"del one.uns[{rng.choice(list(one.uns))!r}]"
    value = f"w.uns_value({rng.choice(UNS)!r}, {rng.randrange(999)})"
    return f"one.uns['u{rng.randrange(3)}'] = {value}"


def _texts(rng: random.Random, one: Any) -> str:
    return "one.strings_to_categoricals()"


def _copies(rng: random.Random, one: Any) -> str:
    return "one = w.copy(one)"


def _rewrite(rng: random.Random, one: Any) -> str:
    name = f"f{rng.randrange(10**6)}.h5mu"
    how = rng.choice(("", "", ", cross=True"))
    return f"w.write(one, {name!r})\none = w.open({name!r}{how})"


def _save(rng: random.Random, one: Any) -> str:
    return "one = w.save(one)" + ("" if rng.random() < 0.5 else "\none = w.reopen(one)")


INSIDE = [
    operation
    for operation in on_anndata.OPERATIONS
    if operation.__name__ not in ("_rewrite", "_save", "_transposed", "_concat")
]

OPERATIONS = parts_of(
    {
        _select: 10,
        _add: 4,
        _remove: 3,
        _rename: 3,
        _inside: 14,
        _cut: 4,
        _update: 2,
        _aligned: 10,
        _delete_aligned: 2,
        _column: 6,
        _delete_column: 2,
        _pull: 4,
        _push: 4,
        _names: 4,
        _uns: 4,
        _texts: 1,
        _copies: 2,
        _rewrite: 5,
        _save: 5,
    }
)
