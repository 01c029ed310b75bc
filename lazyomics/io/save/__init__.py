"""Saving in place what changed since a file was opened."""

from __future__ import annotations
