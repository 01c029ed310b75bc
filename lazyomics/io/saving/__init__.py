"""Saving in place what changed since a file was opened."""
