"""Doublets, under the names that they had before they moved to ``pp``."""

from __future__ import annotations

from functools import wraps
from typing import Any

from lazyomics.errors import warn_user
from lazyomics.pp.scrublet import scrublet as find_doublets
from lazyomics.pp.scrublet_simulate_doublets import scrublet_simulate_doublets as simulate_doublets

__all__ = ["scrublet", "scrublet_simulate_doublets"]


@wraps(find_doublets)
def scrublet(*args: Any, **options: Any) -> Any:
    """Call ``pp.scrublet``. Deprecated: use that."""
    warn_user("external.pp.scrublet is deprecated: use pp.scrublet", FutureWarning)
    return find_doublets(*args, **options)


@wraps(simulate_doublets)
def scrublet_simulate_doublets(*args: Any, **options: Any) -> Any:
    """Call ``pp.scrublet_simulate_doublets``. Deprecated: use that."""
    warn_user(
        "external.pp.scrublet_simulate_doublets is deprecated: use pp.scrublet_simulate_doublets",
        FutureWarning,
    )
    return simulate_doublets(*args, **options)
