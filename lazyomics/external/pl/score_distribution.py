"""Scores of doublets, under the name that the plot had before it moved to ``pl``."""

from __future__ import annotations

from typing import Any

from lazyomics import pl
from lazyomics.errors import warn_user

__all__ = ["scrublet_score_distribution"]


def scrublet_score_distribution(*args: Any, **options: Any) -> Any:
    """Call ``pl.scrublet_score_distribution``. Deprecated: use that.

    Parameters
    ----------
    args, options
        As there.

    Returns
    -------
    What it returns.
    """
    warn_user(
        "external.pl.scrublet_score_distribution is deprecated: use pl.scrublet_score_distribution",
        FutureWarning,
    )
    return pl.scrublet_score_distribution(*args, **options)
