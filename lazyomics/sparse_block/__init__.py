"""Compressed sparse blocks that NumPy and dask compute with: ``sparse.GCXS`` at scipy's speed."""
