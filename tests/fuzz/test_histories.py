"""Random histories: anndata and mudata, and lazyomics, end with the same objects and files."""

from __future__ import annotations

import os

import pytest

pytest.importorskip("mudata", reason="compares with anndata and mudata")

from tests.fuzz.histories.campaign import campaign, shares
from tests.fuzz.histories.known import KNOWN
from tests.fuzz.histories.playing import history, play, play_lines

HISTORIES = int(os.environ.get("LAZYOMICS_FUZZ_HISTORIES", "1000"))
# Processes of pytest-xdist take one after the other. An odd number, so that each has as many
# histories with files, which are every eighth.
BATCHES = min(25, HISTORIES)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_histories_end_alike(batch: int) -> None:
    """The same histories each time; ``LAZYOMICS_FUZZ_HISTORIES`` and ``make fuzz`` play more."""
    report = campaign(HISTORIES, seed=1, batch=batch, batches=BATCHES)
    assert not report.failures, "\n\n".join(report.failures[:5])
    assert report.histories == len(range(batch, HISTORIES, BATCHES))
    assert report.lines > 3 * report.histories


def test_batches_are_all_histories() -> None:
    every = list(shares(1000))
    batches = [every[k::BATCHES] for k in range(BATCHES)]
    assert sorted(task for batch in batches for task in batch) == sorted(every)
    for kind in ("anndata", "mudata"):
        files = [sum(k == kind and n % 8 == 0 for k, n in batch) for batch in batches]
        assert max(files) - min(files) <= 1


@pytest.mark.parametrize("kind", ["anndata", "mudata"])
def test_a_number_gives_one_history(kind: str) -> None:
    first, again = (play(history(kind, 1, 3)) for _ in range(2))
    assert first == again
    assert history(kind, 1, 3) != history(kind, 1, 4) != history(kind, 2, 4)
    assert play_lines("\n".join(first.lines)).lines[: len(first.lines)] == first.lines


def test_three_in_ten_are_of_mudata() -> None:
    kinds = [kind for kind, _ in shares(1000)]
    assert (kinds.count("anndata"), kinds.count("mudata")) == (700, 300)


def test_each_known_difference_has_a_reason() -> None:
    assert all(known.reason and known.failure for known in KNOWN)


BEGIN = (
    "one = w.AnnData(w.matrix('csr float32', 7, 5, 1), var=w.table([{kinds}], list('abcde'), 3))"
)
MODS = (
    "one = w.MuData({'rna': w.AnnData(w.matrix('csr float32', 4, 2, 1), "
    "obs=w.table(['category'], ['c0', 'c1', 'c2', 'c3'], 1)), 'adt': "
    "w.AnnData(w.matrix('dense float32', 3, 2, 2), obs=w.table(['int'], ['c3', 'c1', 'c9'], 1), "
    "var=w.table([], ['p', 'q'], 1))}, axis=0)"
)


@pytest.mark.parametrize(
    "lines",
    [
        # Found by histories: raw keeps all categories of its genes
        [
            BEGIN.format(kinds="'unused categories'"),
            "one.raw = one",
            "one = w.take(one, [2, 0])",
        ],
        [
            BEGIN.format(kinds="'unused categories'"),
            "one.raw = one",
            "w.write(one, 'a.h5ad')",
            "one = w.open('a.h5ad')",
            "one = w.take(one, (slice(1, 5), ['b', 'a']))",
            "one = w.take(one, [1])",
        ],
        # colours of a column that obs and var have, categories in one of them only
        [
            BEGIN.format(kinds="'category'"),
            "one.obs['t0'] = w.column('text', 7, 1)",
            "one.uns['t0_colors'] = ['#000000']",
            "one = w.take(one, (slice(None), [0, 1]))",
        ],
        # categories of a concat of texts and numbers
        [
            BEGIN.format(kinds="'category', 'int'"),
            "two = w.copy(one)",
            "two.var['t0'] = w.column('category of numbers', 5, 2)",
            "one = w.concat([one, two], axis=1, index_unique='-')",
        ],
        # tables of a whole MuData keep their categories
        [
            MODS,
            "one.obs['k'] = w.column('unused categories', 5, 3)",
            "one.uns['k_colors'] = ['#000000'] * 6",
            "one = w.take(one, (['c0', 'c1'], slice(None)))",
            "w.write(one, 'a.h5mu')",
            "one = w.open('a.h5mu')",
            "one = w.take(one, (['c1'], slice(None)))",
        ],
        # a modality that is gone leaves no membership
        [
            MODS,
            "one.obsm['joint'] = w.matrix('dense float64', 5, 2, 1)",
            "del one.mod['adt']; w.update(one)",
            "w.write(one, 'a.h5mu')",
            "one = w.open('a.h5mu', cross=True)",
        ],
        # tables in obsm and varm show new names at once
        [
            BEGIN.format(kinds="'int'"),
            "one.varm['k'] = w.table(['int'], one.var_names, 1)",
            "one.var = w.table(['int'], list('vwxyz'), 1)",
        ],
        [
            MODS,
            "one.obsm['k'] = w.table(['category'], one.obs_names, 1)",
            "one.obs_names = list('vwxyz')",
        ],
        # pairs of new entries after a modality was renamed
        *[
            [
                MODS,
                f"one.obsp['d'] = w.matrix({kind!r}, 5, 5, 1)",
                "one.mod['prot'] = one.mod.pop('adt'); w.update(one)",
                "one.mod['hto'] = w.AnnData(w.matrix('csr float32', 2, 1, 1), "
                "obs=w.table([], ['c0', 'c20'], 1), var=w.table([], ['h'], 1)); w.update(one)",
            ]
            for kind in ("dense float32", "csr float32")
        ],
    ],
)
def test_found_by_histories(lines: list[str]) -> None:
    outcome = play_lines("\n".join(lines))
    assert (outcome.failure, outcome.known) == (None, None)
    assert len(outcome.lines) == len(lines)
