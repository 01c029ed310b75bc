from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lazyomics.blocks.block import as_block
from lazyomics.kernels.sums import (
    divided,
    divided_columns,
    row_positives,
    row_totals,
    sums_between,
)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint16"])
def test_totals_equal_numpy(dtype):
    x = np.random.default_rng(0).poisson(0.4, (40, 7)).astype(dtype)
    exclude = np.arange(7) % 2 == 0
    for block in (x, as_block(sp.csr_matrix(x))):
        np.testing.assert_array_equal(row_totals(block), x.sum(1))
        np.testing.assert_array_equal(row_totals(block, exclude=exclude), x[:, ~exclude].sum(1))
        np.testing.assert_array_equal(row_positives(block), (x > 0).sum(1))
        assert row_totals(block).dtype == np.float64


@given(
    hnp.arrays(
        np.int64,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=8),
        elements=st.integers(-2, 3),
    )
)
@settings(deadline=None, max_examples=60)
def test_empty_rows_have_total_zero(x):
    block = as_block(sp.csr_matrix(x))
    np.testing.assert_array_equal(row_totals(block), x.sum(1))
    np.testing.assert_array_equal(row_positives(block), (x > 0).sum(1))


def test_small_counts_are_not_lost_in_large_float32_totals():
    x = np.ones((1, 5), dtype=np.float32)
    x[0, 0] = 2.0**25
    assert row_totals(as_block(sp.csr_matrix(x)))[0] == 2.0**25 + 4


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g", "i1", "i4", "u8", "?"])
@pytest.mark.parametrize("pointer", ["i4", "i8"])
def test_sums_between_pointers(dtype, pointer) -> None:
    rng = np.random.default_rng(0)
    indptr = np.concatenate(([0], np.cumsum(rng.integers(0, 9, 300)))).astype(pointer)
    values = rng.integers(0, 100, indptr[-1]).astype(dtype)
    expected = [values[a:b].sum(dtype="f8") for a, b in pairwise(indptr)]
    np.testing.assert_allclose(sums_between(values, indptr), expected)


SUMS = """
import sys
import numpy as np
import scipy.sparse as sp
from lazyomics.blocks.block import as_block
from lazyomics.kernels.sums import column_totals, divided, row_totals
if sys.argv[1] == "late":
    from lazyomics.compiled import compiled
    compiled(lambda values: values.sum())(np.ones(3))
    row_totals(as_block(sp.random(3000, 300, 0.5, format="csr")))
for dtype in ("f4", "i8"):
    x = as_block(sp.random(200, 300, 0.5, format="csr", random_state=0, dtype=np.float64) * 1e9)
    x = x.like(x.data.astype(dtype))
    print(row_totals(x).tobytes().hex())
    print(column_totals(x).tobytes().hex())
    print(divided(x, np.linspace(0.1, 3, 200, dtype="f4")).data.tobytes().hex())
"""


def test_sums_do_not_depend_on_what_ran_before() -> None:
    """The same bits in a process that has compiled, and summed more, before."""
    found = [
        subprocess.run(
            [sys.executable, "-c", SUMS, when], capture_output=True, text=True, check=True
        ).stdout
        for when in ("early", "late")
    ]
    assert len(found[0]) > 10_000
    assert found[0] == found[1]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i4", "i8", "u2"])
@pytest.mark.parametrize("result", ["f2", "f4", "f8"])
def test_rows_are_divided_as_by_numpy(dtype, result) -> None:
    """Integers that a float32 does not hold are rounded first."""
    rng = np.random.default_rng(0)
    most = 1000 if np.dtype(dtype).itemsize < 4 else 2**31 - 1
    x = sp.random(40, 30, 0.5, format="csr", random_state=1, dtype=np.float64)
    block = as_block(x).like((x.data * min(most, 100 if dtype == "i1" else most)).astype(dtype))
    divisors = (rng.random(40) + 0.01).astype(result)
    with np.errstate(over="ignore"):
        mine = np.repeat(divisors, np.diff(x.indptr))
        expected = block.data.astype(result) / mine
        got = divided(block, divisors)
        columns = np.array([0, 7, 8, 29])
        part = divided_columns(block, divisors, columns)
    np.testing.assert_array_equal(got.data, expected)
    np.testing.assert_array_equal(part.toarray(), got.toarray()[:, columns])


@pytest.mark.parametrize("indptr", [[0, 5, 99], [-3, 2, 4], [0, 9, 4, 10]])
def test_pointers_that_lead_out_are_not_followed(indptr) -> None:
    """Sums are of these values, whatever is added."""
    assert (sums_between(np.ones(10, "f4"), np.array(indptr)) <= 10).all()
