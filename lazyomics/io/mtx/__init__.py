"""Matrix Market files, read in bounded memory."""

from __future__ import annotations
