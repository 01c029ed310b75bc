"""Data that tutorials need: whether it can be had, and what a page says if it cannot."""

from __future__ import annotations

import os
from typing import Any

import lazyomics as lo

__all__ = ["pages_without_data", "say_what_was_not_run"]

NEEDED = {
    "tutorials/pbmc3k": "pbmc3k",
    "tutorials/backed_mode": "pbmc3k_processed",
}
_missing: dict[str, str] = {}

NOTE = """
:::{{attention}}
The cells of this page were not run when the site was built: {reason}
:::
"""


def pages_without_data() -> list[str]:
    """Find the tutorials whose data is neither here nor can be downloaded, and name them.

    Returns
    -------
    Names of pages, with ``*`` for the suffix.

    Raises
    ------
    FileNotFoundError
        If data is missing and ``LAZYOMICS_DOCS_COMPLETE`` is set, as it is for the published site.
    """
    _missing.clear()
    for page, name in NEEDED.items():
        try:
            getattr(lo.datasets, name)()
        except FileNotFoundError as error:
            if os.environ.get("LAZYOMICS_DOCS_COMPLETE"):
                raise
            _missing[page] = f"lo.datasets.{name}() found no file."
            print(f"docs/{page}.md will not be executed: {error}")
    return [f"{page}*" for page in _missing]


def say_what_was_not_run(app: Any, page: str, source: list[str]) -> None:
    """Put a note below the title of a page that is not executed, in place.

    Parameters
    ----------
    app
        Not used.
    page
        Name of the page.
    source
        Its text, as the only entry.
    """
    if page in _missing:
        title = next(line for line in source[0].splitlines() if line.startswith("# "))
        note = NOTE.format(reason=_missing[page])
        source[0] = source[0].replace(title, title + "\n" + note, 1)
