from __future__ import annotations

import warnings

import pytest

from lazyomics import errors


def test_all_errors_share_a_base() -> None:
    for name in errors.__all__:
        value = getattr(errors, name)
        if isinstance(value, type) and not issubclass(value, Warning):
            assert issubclass(value, errors.LazyomicsError)


def test_format_errors_say_where_what_and_what_to_do() -> None:
    error = errors.FileFormatError.at("a.h5ad", "X", expected="6", found="5", hint="Do this.")
    assert str(error) == "a.h5ad: element 'X': expected 6, found 5. Do this."


def test_missing_packages_name_the_extra() -> None:
    with pytest.raises(errors.MissingDependencyError, match=r"'no_such_pkg'.*lazyomics\[plot\]"):
        errors.require("no_such_pkg.part", extra="plot", purpose="a test")


def test_warnings_point_at_the_caller() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        errors.warn_user("mind")
    assert caught[0].filename == __file__
