from __future__ import annotations

import numpy as np
import pytest

from lazyomics.datasets.expression_model import alias_tables, draw_cells, draw_counts


def test_alias_tables_hold_the_profile_exactly():
    weights = np.random.default_rng(0).lognormal(0.0, 2.0, (3, 101))
    tables = alias_tables(weights)
    for row, threshold, alias in zip(weights, *tables, strict=True):
        own = (threshold.astype(np.float64) + 1) / 2**32
        share = own + np.bincount(alias, 1 - own, minlength=len(row))
        np.testing.assert_allclose(share / len(row), row / row.sum(), atol=1e-9)


def test_alias_tables_of_one_gene_and_of_genes_never_expressed():
    assert alias_tables(np.array([[2.0]])).alias.tolist() == [[0]]
    silent = alias_tables(np.array([[0.0, 1.0, 0.0]]))
    assert silent.threshold[0, [0, 2]].tolist() == [0, 0]
    assert silent.alias[0].tolist() == [1, 1, 1]


@pytest.fixture(scope="module")
def drawn():
    cells = draw_cells(7, 0, 4000, np.array([0.2, 0.5, 1.0]), 2, 1000.0)
    rng = np.random.default_rng(1)
    weights = rng.lognormal(0.0, 1.0, (7, 40))
    mito = rng.lognormal(0.0, 1.0, (1, 3))
    counts = draw_counts(7, 0, cells, 2, alias_tables(weights), alias_tables(mito))
    return cells, weights, mito, counts


def test_properties_follow_their_distributions(drawn):
    cells = drawn[0]
    np.testing.assert_allclose(np.bincount(cells.cell_type) / 4000, [0.2, 0.3, 0.5], atol=0.03)
    np.testing.assert_allclose(np.bincount(cells.batch) / 4000, [0.5, 0.5], atol=0.03)
    assert cells.transcripts.mean() == pytest.approx(1000, rel=0.03)
    assert np.log(cells.transcripts).std() == pytest.approx(0.4, rel=0.05)
    assert 0.04 < cells.mito.mean() < 0.07


def test_counts_sum_to_the_transcripts_and_rows_are_sorted(drawn):
    cells, _, _, (data, indices, indptr) = drawn
    np.testing.assert_array_equal(np.add.reduceat(data, indptr[:-1]), cells.transcripts)
    assert data.min() >= 1
    inside = np.ones(len(indices), bool)
    inside[indptr[:-1]] = False
    assert (np.diff(indices)[inside[1:]] > 0).all()


def test_counts_follow_the_profiles(drawn):
    cells, weights, mito, (data, indices, indptr) = drawn
    profiles = weights / weights.sum(axis=1, keepdims=True)
    chosen = (cells.cell_type == 1) & (cells.batch == 0)
    total, common = cells.transcripts[chosen], cells.activity[chosen]
    mito_total = (total * cells.mito[chosen]).sum()
    common_total = (total * common).sum()
    own_total = total.sum() - mito_total - common_total
    expected = np.append(
        own_total * profiles[2] + common_total * profiles[6], mito_total * mito / mito.sum()
    )
    entries = np.repeat(chosen, np.diff(indptr))
    found = np.bincount(indices[entries], data[entries], minlength=43)
    # Poisson at least: five standard deviations for each gene.
    assert (np.abs(found - expected) < 5 * np.sqrt(expected)).all()


def test_a_cell_depends_on_its_position_only(drawn):
    cells, weights, mito, (data, indices, indptr) = drawn
    later = draw_cells(7, 100, 130, np.array([0.2, 0.5, 1.0]), 2, 1000.0)
    for name in later._fields:
        np.testing.assert_array_equal(getattr(later, name), getattr(cells, name)[100:130])
    again = draw_counts(7, 100, later, 2, alias_tables(weights), alias_tables(mito))
    part = slice(indptr[100], indptr[130])
    np.testing.assert_array_equal(again[0], data[part])
    np.testing.assert_array_equal(again[1], indices[part])
    np.testing.assert_array_equal(again[2], indptr[100:131] - indptr[100])
