"""Compressed sparse blocks that NumPy and dask compute with: ``sparse.GCXS`` at scipy's speed."""

# No module here has "sparse" in its name: dask multiplies types with that word in their full name
# as it does those of the package ``sparse``, which takes more memory and gives other types.
