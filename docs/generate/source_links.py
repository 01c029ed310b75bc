"""Links from the site into the repository."""

from __future__ import annotations

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["BRANCH", "REPOSITORY", "link_to_repository", "linkcode_resolve"]

REPOSITORY = "https://github.com/lazyomics/lazyomics"
BRANCH = "main"
ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = re.compile(r"\]\((?:\.\./)+([^)#\s]+)")


def linkcode_resolve(domain: str, info: dict[str, str]) -> str | None:
    """Address of the lines that define an object, as ``sphinx.ext.linkcode`` asks for it.

    Parameters
    ----------
    domain
        Language, ``"py"``.
    info
        Names of the module and of the object in it.

    Returns
    -------
    The address; None if the object has no lines of its own.
    """
    if domain != "py" or not info["module"]:
        return None
    value: Any = import_module(info["module"])
    try:
        for part in info["fullname"].split("."):
            value = getattr(value, part)
        value = inspect.unwrap(getattr(value, "fget", value))
        path = Path(inspect.getsourcefile(value) or "").resolve()
        lines, first = inspect.getsourcelines(value)
    except (AttributeError, TypeError, OSError):
        return None
    if not path.is_relative_to(ROOT) or path.is_relative_to(sys.prefix):
        return None
    where = path.relative_to(ROOT).as_posix()
    return f"{REPOSITORY}/blob/{BRANCH}/{where}#L{first}-L{first + len(lines) - 1}"


def link_to_repository(app: Any, page: str, source: list[str]) -> None:
    """Turn links to files outside of ``docs`` into links to the repository, in place.

    Parameters
    ----------
    app
        Not used.
    page
        Name of the page.
    source
        Its text, as the only entry.
    """
    inner = page.count("/")

    def outside(found: re.Match[str]) -> str:
        if found.group(0).count("../") <= inner:
            return found.group(0)
        return f"]({REPOSITORY}/blob/{BRANCH}/{found.group(1)}"

    source[0] = OUTSIDE.sub(outside, source[0])
