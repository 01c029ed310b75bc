"""`.h5mu` files: opening, writing, and saving in place."""

from __future__ import annotations
