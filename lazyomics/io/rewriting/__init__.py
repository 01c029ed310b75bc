"""Rewriting whole files: without unused space, or stored in another way."""
